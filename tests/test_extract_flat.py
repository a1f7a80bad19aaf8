"""Memory does not grow with a clip: what is long lies in files and is made block by block, the same to the last bit."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trivium.corpus import Stream, StreamSpecification
from trivium.errors import DiskError
from trivium.extract import scratch
from trivium.extract.audio import pitch, voice
from trivium.extract.audio.voice import VOICE_COLUMNS, voice_stream
from trivium.extract.notes import sound_level
from trivium.extract.scratch import ScratchFile, ScratchRows, let_go
from trivium.extract.source.media import SOUND_RATE, open_clip
from trivium.extract.vision.recorder import FaceRecorder
from trivium.extract.words import speech
from trivium.extract.words.speech import encoder_states, recognise, sound_blocks

_PLACE = {column.name: place for place, column in enumerate(VOICE_COLUMNS)}


@pytest.fixture
def in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything goes to a file at once."""
    monkeypatch.setattr(scratch, "_IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(scratch, "_BLOCK_BYTES", 1 << 12)


def _speech_like(seconds: float) -> NDArray[np.float32]:
    """A gliding buzz with pauses and noise, between -1 and 1."""
    time = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    phase = 2 * np.pi * np.cumsum(140 + 60 * np.sin(2 * np.pi * 0.3 * time)) / SOUND_RATE
    buzz = sum(np.sin(k * phase) / k for k in range(1, 12)) * (np.sin(2 * np.pi * 0.7 * time) > -0.4)
    return (0.2 * buzz + 0.003 * np.random.default_rng(7).standard_normal(time.size)).astype(np.float32)


@given(st.lists(st.integers(0, 40), max_size=8), st.integers(1, 3), st.sampled_from([0, 64, 1 << 20]))
def test_rows_are_those_that_were_added(counts: list[int], width: int, in_memory: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scratch, "_IN_MEMORY_BYTES", in_memory)
        patch.setattr(scratch, "_BLOCK_BYTES", 48)
        rows, random = ScratchRows(np.float64), np.random.default_rng(sum(counts))
        parts = [random.standard_normal((count, width)) for count in counts]
        for part in parts:
            rows.add(part)
        found = rows.finished()
    assert rows.length == sum(counts)
    if parts:
        assert np.array_equal(found, np.concatenate(parts)) and not found.flags.writeable


def test_what_is_let_go_is_read_again(in_files: None) -> None:
    rows = ScratchRows(np.float32)
    rows.add(np.arange(30_000, dtype=np.float32).reshape(-1, 3))
    found = rows.finished()
    let_go(found[5:], None)
    assert np.array_equal(found.reshape(-1), np.arange(30_000))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="tells memory by Linux's own account")
def test_what_is_let_go_leaves_memory() -> None:
    megabytes = 64
    rows = ScratchRows(np.float32)
    for _ in range(megabytes):
        rows.add(np.ones((1 << 18, 1), np.float32))
    found = rows.finished()
    before = _mapped_megabytes()
    assert found.sum() == megabytes << 18
    read = _mapped_megabytes()
    let_go(found)
    assert read - before > 0.8 * megabytes and _mapped_megabytes() - before < 0.2 * megabytes


def _mapped_megabytes() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith(("RssFile", "RssShmem")))


def test_a_file_with_holes_has_its_room_on_the_disk(tmp_path: Path) -> None:
    size = 3 << 20
    with (tmp_path / "holes").open("w+b") as file:
        scratch._reserve(file.fileno(), size)
        found = os.fstat(file.fileno())
    assert found.st_size == size and found.st_blocks * 512 >= size


def test_small_arrays_keep_no_file_open() -> None:
    opened = len(list(Path("/dev/fd").iterdir()))
    kept = []
    for _ in range(5):
        file = ScratchFile()
        file.write(400, np.ones(1000, np.float32))
        kept.append(file.mapped(np.float32, (1100,)))
    assert len(list(Path("/dev/fd").iterdir())) == opened and all(array.sum() == 1000 for array in kept)


def test_too_many_open_files_are_not_called_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("tempfile.TemporaryFile", refused)
    with pytest.raises(DiskError, match="ulimit"):
        ScratchFile()


def test_arrays_of_others_are_never_let_go(tmp_path: Path) -> None:
    np.zeros(5000).tofile(tmp_path / "values")
    private = np.memmap(tmp_path / "values", np.float64, "c")
    private[:] = 1.0
    let_go(private, private[3:])
    assert private.min() == 1.0, "changes of a private mapping would be lost"


def test_a_full_disk_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def seek(self, place: int) -> None:
            pass

        def write(self, values: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    file = ScratchFile()
    monkeypatch.setattr(file, "_file", Full())
    with pytest.raises(DiskError, match=r"No space left on device.*TMPDIR"):
        file.write(0, np.ones(3))


def test_the_folder_is_the_one_that_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    assert scratch._folder() is None, "TMPDIR decides"
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(scratch, "_LARGE_FILES", str(tmp_path))
    assert scratch._folder() == str(tmp_path)
    monkeypatch.setattr(scratch, "_LARGE_FILES", str(tmp_path / "nowhere"))
    assert scratch._folder() is None


def test_the_sound_of_a_file_is_that_of_its_samples(tmp_path: Path) -> None:
    samples = np.random.default_rng(3).integers(-32768, 32767, 40 * SOUND_RATE + 77, dtype=np.int16)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, 2, SOUND_RATE, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    sound = open_clip(tmp_path / "a.wav").sound()
    assert sound is not None and sound.dtype == np.float32
    assert np.array_equal(sound, samples.astype(np.float32) / 32768)


def test_the_level_of_blocks_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = np.clip(4 * _speech_like(3.0), -1, 1)
    monkeypatch.setattr("trivium.extract.notes._BLOCK", 1001)
    loud = np.abs(sound)
    assert sound_level(sound) == (round(20 * np.log10(loud.max()), 2), round(float((loud >= 0.99).mean()), 6))


def test_voice_columns_are_the_same_from_a_file_and_in_one(in_files: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = _speech_like(23.0)
    file = ScratchFile()
    file.write(0, sound)
    found = voice_stream(file.mapped(np.float32, sound.shape))
    monkeypatch.undo()
    usual = voice_stream(sound)
    assert found.values.tobytes() == usual.values.tobytes()
    assert found.times is not None and usual.times is not None and np.array_equal(found.times, usual.times)


@pytest.mark.parametrize("block", [1, 7, 499, 100_000])
def test_the_pitch_path_is_one_path_through_all_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    period = random.uniform(27, 266, (1500, 6)).astype(np.float32)
    strength = random.uniform(0, 1, (1500, 6)).astype(np.float32) * (random.random((1500, 6)) < 0.8)
    found = pitch.Candidates(period, strength.astype(np.float32), random.random(1500).astype(np.float32))
    usual = pitch.pitch_path(found)
    monkeypatch.setattr(pitch, "_BLOCK", block)
    other = pitch.pitch_path(found)
    assert np.array_equal(usual.period, other.period) and np.array_equal(usual.confidence, other.confidence)


def test_columns_that_look_at_their_neighbours_have_no_seam() -> None:
    values = voice_stream(_speech_like(16.0)).values  # four blocks of frames
    assert len(values) > 3 * voice._BLOCK
    for name in ("energy_db", "mfcc_04"):
        column = np.pad(values[:, _PLACE[name]], 2, mode="edge")
        slope = (2 * (column[4:] - column[:-4]) + (column[3:-1] - column[1:-3])) / 10
        assert np.array_equal(values[:, _PLACE[name.replace("_db", "") + "_slope"]], slope.astype(np.float32))
    semitones, voiced = (values[:, _PLACE[name]] for name in ("pitch_semitones", "voicing"))
    inner = (semitones[2:] - semitones[:-2]) / 2 * voiced[2:] * voiced[1:-1] * voiced[:-2]
    assert np.array_equal(values[1:-1, _PLACE["pitch_slope"]], inner) and voiced.mean() > 0.4


def test_columns_of_voiced_steps_lie_at_their_steps() -> None:
    sound = np.concatenate([np.zeros(9 * SOUND_RATE, np.float32), _speech_like(8.0)])
    values = voice_stream(sound).values
    alone = voice_stream(sound[8 * SOUND_RATE :]).values
    inside = slice(100, None)  # the second of silence before it; the loudest frames are the same ones
    names = ["jitter", "shimmer", "h1_h2", "h2_h3", "formant_1_frequency"]
    columns = [_PLACE[name] for name in names]
    np.testing.assert_allclose(values[900:, columns], alone[inside][:, columns], rtol=1e-4, atol=1e-3)
    assert np.all(values[:890][:, columns] == 0)


class _Face:
    landmarks = np.random.default_rng(0).random((478, 3))
    box = np.array([1.0, 1.0, 7.0, 7.0])
    region = 0


class _Tracker:
    canonical = None

    def detect(self, picture: Any, turn: Any = None) -> list[Any]:
        return [_Face()]

    def look(self, picture: Any, region: Any) -> Any:
        return _Face() if picture[0, 0, 0] else None


class _Numbers:
    """Its columns are the number of the frame."""

    specification = StreamSpecification("vision", tuple(f"n-{i}" for i in range(66)), clock="seconds", version="1")

    def __init__(self) -> None:
        self.seen = 0

    def row(self, *_: Any) -> NDArray[np.float32]:
        self.seen += 1
        return np.arange(66, dtype=np.float32) + self.seen


def _faces(frames: int) -> Stream:
    recorder = FaceRecorder(_Tracker(), 0.08, [_Numbers()])  # type: ignore[arg-type]
    picture = np.full((8, 8, 3), 9, np.uint8)
    for number in range(frames):
        picture[0, 0] = number % 10 != 3  # not seen in every tenth
        recorder.add(number * 0.08, picture)
    (stream,) = recorder.streams(recorder.choice())
    assert stream is not None
    return stream


def test_face_columns_are_the_same_in_a_file(in_files: None) -> None:
    found = _faces(500)
    expected = np.arange(66, dtype=np.float32) + np.arange(1, 451, dtype=np.float32)[:, None]
    assert np.array_equal(found.values, expected)
    assert found.times is not None and np.allclose(found.times[:4, 0], [0, 0.08, 0.16, 0.32])


class _Listener:
    width = 2

    def tokens(self, samples: Any, states: Any, **_: Any) -> list[list[Any]]:
        if states is not None:
            self.states(samples, states)
        return [["word", 0.5, 1.0, 0.5]]

    def states(self, samples: Any, states: Any) -> None:
        states[:] = samples[::320, None] + len(samples)


def test_states_of_long_sound_are_those_of_its_blocks_with_words_or_without(
    in_files: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "_BLOCK_SECONDS", 10.0)
    monkeypatch.setattr(speech, "load_listener", lambda _: _Listener())
    sound = _speech_like(33.0)[:-100]
    heard = recognise(sound, states=True)
    states = encoder_states(sound)
    assert heard.states is not None and np.array_equal(heard.states, states)
    blocks = sound_blocks(sound)
    assert len(blocks) == 4 == len(heard.transcript.tokens) and heard.times[-1, 0] == blocks[-1][0] / SOUND_RATE + 0.5
    expected = np.concatenate([sound[a:b:320] + np.float32(b - a) for a, b in blocks])
    assert np.array_equal(states[:, 0], expected)


_MEASURE = """
import sys, threading, time
import numpy as np
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from trivium.corpus import Specification, Utterance
from trivium.corpus.staging import Staging
from trivium.extract import scratch
from trivium.extract.audio.voice import voice_stream
from trivium.extract.notes import sound_level
from trivium.extract.source import media
import test_extract_flat as flat

scratch._IN_MEMORY_BYTES = 1 << 18
minutes, peak, going = int(sys.argv[2]), [0], [True]

def anonymous():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) / 1000

def watch():
    while going[0]:
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.01)

second = flat._speech_like(1.0)
voice_stream(second)  # tables that are made once
threading.Thread(target=watch, daemon=True).start()
samples = media._Samples(Path("a"))
for place in range(60 * minutes):
    samples.put(place * 16000, second)
sound = samples.finished()
stream = voice_stream(sound)
level = sound_level(sound)
faces = flat._faces(3000 * minutes)
specification = Specification((stream.specification, faces.specification))
staging = Staging(Path(sys.argv[3]), specification)
staging.stage("a", [Utterance("a", {"audio": stream, "vision": faces})])
going[0] = False
print(peak[0], stream.steps)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    found = []
    for minutes in (1, 5):
        line = [sys.executable, "-c", _MEASURE, str(Path(__file__).parent), str(minutes), str(tmp_path / str(minutes))]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        peak, steps = done.stdout.split()
        assert int(steps) == 6000 * minutes
        found.append(float(peak))
    # four minutes of sound and voice and 12,000 faces: measured 2 MB, and 14 where only the columns are held
    assert found[1] - found[0] < 8, f"{found} MB"
