"""Runs over many clips: any number of processes, deaths, kills, full disks, what is taken over from earlier runs."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

from trivium import registry, upstream
from trivium.cli import app
from trivium.corpus import Stream, StreamSpecification
from trivium.errors import DataError, DiskError, TriviumError
from trivium.extract import ClipExtractor, Recording, extract_clips
from trivium.extract.run import processes
from trivium.extract.run.stage import Outcome, error_from_json, error_to_json

MakeClip = Callable[..., Path]


def _content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.fixture
def tones(make_clip: MakeClip, tmp_path: Path) -> Path:
    """Five clips of different length, and one that is none."""
    for number in range(5):
        make_clip(f"tones/{number}.wav", fps=None, seconds=0.4 + 0.3 * number, tone=300.0 + 60 * number)
    (tmp_path / "tones" / "broken.mp4").write_text("no clip")
    return tmp_path / "tones"


def test_the_number_of_processes_and_the_order_change_no_byte_and_models_are_loaded_where_the_work_is_done_only(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"modalities": ["audio"], "show": False}
    extract_clips(tones, tmp_path / "one", **options)
    monkeypatch.setattr(ClipExtractor, "extract_spans", lambda *_: pytest.fail("work in the parent"))
    order = iter(random.Random(3).sample(range(6), 6))
    monkeypatch.setattr(processes, "_bytes", lambda _: next(order))
    corpus = extract_clips(tones, tmp_path / "three", workers=3, **options)
    assert corpus.ids.tolist() == ["0", "1", "2", "3", "4"]
    assert [f["id"] for f in corpus.provenance["failures"]] == ["broken"]
    assert _content(tmp_path / "one") == _content(tmp_path / "three")


def test_the_bar_counts_what_was_taken_over_as_no_work_and_its_note_ends_well(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Told:
        worked: ClassVar[list[bool]] = []
        notes: ClassVar[list[str]] = []

        def advance(self, steps: float = 1, *, worked: bool = True) -> None:
            self.worked.append(worked)

        def note(self, text: str) -> None:
            self.notes.append(text)

    extract_clips(tones, tmp_path / "out", modalities=["audio"], show=False)
    monkeypatch.setattr("trivium.extract.run.folder.progress_bar", lambda *_, **__: nullcontext(Told()))
    for workers in (1, 2):
        Told.worked.clear()
        extract_clips(tones, tmp_path / "out", modalities=["audio"], show=False, overwrite=True, workers=workers)
        assert sorted(Told.worked) == [False] * 5 + [True], "only the broken clip was tried again"
        assert Told.notes[-1] == "1 failed"


_PLUG_IN = """
import os, signal, time
from functools import partial
from pathlib import Path
import numpy as np
from trivium.corpus import Stream, StreamSpecification

class Loud:
    models, takes = (), ""
    specification = StreamSpecification("audio", ("peak",), clock="seconds", extractor="loud", version="1")

    def __init__(self, argument="", local=None):
        pass

    def stream(self, sound, heard=None):
        hertz = np.argmax(np.abs(np.fft.rfft(sound))) * 16000 / len(sound)
        number = round((hertz - 300) / 60)
        how = os.environ["TRIVIUM_TEST_DEATHS"].split()[number]
        tried = Path(os.environ["TRIVIUM_TEST_FOLDER"]) / "tried"
        with tried.open("a") as file:
            file.write(f"{number}\\n")
        if how == "kill" or how == "once" and tried.read_text().split().count(str(number)) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "exit":
            os._exit(3)
        values = np.array([[np.abs(sound).max()]], np.float32)
        return Stream(values, self.specification, np.array([[0.0, len(sound) / 16000]]))
"""


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package whose extractor can take its process with it."""
    home = tmp_path / "site"
    (home / "loud-1.0.dist-info").mkdir(parents=True)
    (home / "loud.py").write_text(_PLUG_IN)
    (home / "loud-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    points = "[trivium]\naudio-extractor.loud = loud:Loud\n"
    (home / "loud-1.0.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(home)
    monkeypatch.setenv("TRIVIUM_TEST_FOLDER", str(tmp_path))
    registry._all.cache_clear()
    yield tmp_path
    registry._all.cache_clear()


def test_a_process_that_dies_costs_its_clip_alone_after_a_second_try(
    plug_in: Path, tones: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVIUM_TEST_DEATHS", "never kill exit once never")
    options: dict[str, Any] = {"modalities": ["audio"], "audio": "loud", "show": False}
    corpus = extract_clips(tones, plug_in / "out", workers=2, **options)
    reasons = {f["id"]: f["reason"] for f in corpus.provenance["failures"]}
    assert reasons.pop("broken")
    who = "the process that extracted it"
    assert reasons == {"1": f"{who} was killed (signal 9): probably out of memory", "2": f"{who} ended with code 3"}
    assert corpus.ids.tolist() == ["0", "3", "4"]
    assert _tries(plug_in) == {"0": 1, "1": 2, "2": 2, "3": 2, "4": 1}
    monkeypatch.setenv("TRIVIUM_TEST_DEATHS", "never " * 5)
    again = extract_clips(tones, plug_in / "out", overwrite=True, **options)
    assert again.ids.tolist() == list("01234")
    assert _tries(plug_in) == {"0": 1, "1": 3, "2": 3, "3": 2, "4": 1}, "what failed is tried again, and only that"


def _tries(folder: Path) -> Counter[str]:
    return Counter((folder / "tried").read_text().split())


def test_an_error_keeps_its_kind_on_the_way_from_another_process() -> None:
    known = error_from_json(error_to_json(DiskError("is full", file="a", remedy="make room")))
    assert type(known) is DiskError and str(known) == "a: is full. Remedy: make room."
    other = error_from_json(error_to_json(ZeroDivisionError("a slip")))
    assert type(other) is TriviumError and other.problem == "ZeroDivisionError: a slip"
    whole = Outcome({1: "k"}, {2: known}, Counter({("audio", "made"): 3}), {1})
    back = Outcome.from_json(whole.to_json())
    assert (
        back.settled == {1}
        and back.done == whole.done
        and back.counts == whole.counts
        and str(back.failed[2]) == str(known)
    )


@pytest.fixture
def spoken(need_models: Callable[..., None], write_clip: MakeClip, tmp_path: Path) -> Path:
    """A voice, a face and a tone with a picture, with a transcript for the voice."""
    return _spoken(tmp_path, need_models, write_clip)


def _spoken(home: Path, need_models: Callable[..., None], write_clip: MakeClip) -> Path:
    need_models("whisper-tiny-en", "minilm-l6", "g2p-en", "face-landmarker", "sample-voice", "sample-face")
    (home / "clips").mkdir()
    for name in ("sample-voice", "sample-face"):
        file = upstream.model_file(name)
        shutil.copy(file, home / "clips" / f"{name}{file.suffix}")
    write_clip(home / "clips" / "tone.mp4", seconds=0.5)
    (home / "texts").mkdir()
    (home / "texts" / "sample-voice.txt").write_text("unless to be rather cold hearted and rather selfish")
    return home / "clips"


class _Lengths:
    """Another extractor of text: the length of every word."""

    models: tuple[str, ...] = ()
    takes = ""
    specification = StreamSpecification("text", ("letters",), clock="seconds", extractor="lengths", version="1")

    def __init__(self, argument: str = "", local: Any = None) -> None:
        pass

    def stream(self, transcript: Any, times: Any) -> Stream:
        return Stream(np.array([[len(w)] for w in transcript.words], np.float32), self.specification, times)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the costly steps were taken."""
    from trivium.extract import clip_picture as picture
    from trivium.extract.audio import voice as audio
    from trivium.extract.audio import whisper
    from trivium.extract.source import media
    from trivium.extract.text import minilm as text
    from trivium.extract.words import spoken as words

    counted: Counter[str] = Counter()
    steps: list[tuple[Any, str]] = [
        (media.Clip, "sound"),
        (media.Clip, "frames"),
        (words, "recognise"),
        (words, "time_words"),
        (text.MinilmExtractor, "stream"),
        (audio.VoiceExtractor, "stream"),
        (whisper, "encoder_states"),
        (picture, "see_faces"),
    ]
    for owner, name in steps:
        real = getattr(owner, name)

        def counting(
            *given: Any, _real: Any = real, _name: str = f"{owner.__name__.rpartition('.')[2]}.{name}", **named: Any
        ) -> Any:
            counted[_name] += 1
            return _real(*given, **named)

        monkeypatch.setattr(owner, name, counting)
    entries = {**registry._all(), ("text-extractor", "lengths"): registry.Entry("text-extractor", "lengths", "")}
    monkeypatch.setattr(registry, "_all", lambda: entries)
    load = registry.load
    monkeypatch.setattr(
        "trivium.extract.choice.load", lambda kind, name: _Lengths if name == "lengths" else load(kind, name)
    )
    return counted


# words that are recognised bring the encoder's states along; given ones do not
_TIMED = {"Clip.sound": 1, "MinilmExtractor.stream": 1, "spoken.time_words": 1, "whisper.encoder_states": 1}
_HEARD = {"Clip.sound": 1, "MinilmExtractor.stream": 1, "spoken.recognise": 1, "spoken.time_words": 1}
# What changes, and the steps that are taken for it: all others are taken over.
_CHANGES: list[tuple[str, dict[str, Any], dict[str, int]]] = [
    ("nothing", {}, {}),
    ("the extractor of text", {"text": "lengths"}, {}),
    ("a further extractor of text", {"text": "minilm-l6,lengths"}, {}),
    ("frames per second", {"frames_per_second": 4}, {"clip_picture.see_faces": 2, "Clip.frames": 2}),
    ("fewer modalities", {"modalities": ["audio"]}, {}),
    ("statistics by word", {"audio": "voice,whisper:words=spread"}, {"Clip.sound": 1, "whisper.encoder_states": 1}),
    ("another transcript", {"transcripts": {"sample-voice": "unless to be rather"}}, _TIMED),
    ("no transcript any more", {"transcripts": None}, _HEARD),
]


_REPLACED, _STOPPED = "a corpus that is replaced", "parts of a run that was stopped"


@pytest.fixture(scope="module")
def home(
    need_models: Callable[..., None], write_clip: MakeClip, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Function that gives the folder of clips, texts and a usual run over them, which ended or was stopped.

    A run takes seconds, so it is made once; a test copies what it leaves.
    """
    folder = tmp_path_factory.mktemp("usual")
    _spoken(folder, need_models, write_clip)

    def ready(where: str) -> Path:
        if where == _REPLACED and not (folder / "out").exists():
            extract_clips(folder / "clips", folder / "out", **_usual(folder))
        if where == _STOPPED and not (folder / ".stopped.staging").exists():
            with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
                patch.setattr("trivium.extract.run.folder._Run.told", _interrupt)
                extract_clips(folder / "clips", folder / "stopped", **_usual(folder))
        return folder

    return ready


def _usual(home: Path) -> dict[str, Any]:
    return {"transcripts": home / "texts", "frames_per_second": 5, "show": False}


@pytest.fixture(scope="module")
def fresh() -> dict[str, dict[str, bytes]]:
    """Corpora of fresh runs by what was changed, made once."""
    return {}


@pytest.mark.parametrize("where", [_REPLACED, _STOPPED])
@pytest.mark.parametrize(("change", "options", "steps"), _CHANGES, ids=[change for change, *_ in _CHANGES])
def test_only_what_depends_on_a_change_is_made_anew(
    home: Callable[[str], Path],
    fresh: dict[str, dict[str, bytes]],
    tmp_path: Path,
    calls: Counter[str],
    where: str,
    change: str,
    options: dict[str, Any],
    steps: dict[str, int],
) -> None:
    folder = home(where)
    left, name = (folder / "out", "out") if where == _REPLACED else (folder / ".stopped.staging", ".out.staging")
    shutil.copytree(left, tmp_path / name)
    calls.clear()
    asked = _usual(folder) | options
    extract_clips(folder / "clips", tmp_path / "out", overwrite=True, **asked)
    assert dict(calls) == steps
    if change not in fresh:
        extract_clips(folder / "clips", tmp_path / "fresh", **asked)
        fresh[change] = _content(tmp_path / "fresh")
    assert _content(tmp_path / "out") == fresh[change]
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")], "nothing is left behind"


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def test_columns_by_word_are_the_same_for_any_number_of_processes(spoken: Path, tmp_path: Path) -> None:
    usual: dict[str, Any] = {"transcripts": tmp_path / "texts", "modalities": ["text", "audio"], "show": False}
    corpus = extract_clips(spoken, tmp_path / "one", **usual)
    assert corpus[0].streams["audio_whisper"].steps > 9
    extract_clips(spoken, tmp_path / "two", workers=2, **usual)
    assert _content(tmp_path / "one") == _content(tmp_path / "two")


def test_new_clips_and_new_names_cost_themselves_alone(
    spoken: Path, tmp_path: Path, calls: Counter[str], make_clip: MakeClip, capfd: pytest.CaptureFixture[str]
) -> None:
    usual: dict[str, Any] = {"transcripts": tmp_path / "texts", "frames_per_second": 5}
    extract_clips(spoken, tmp_path / "out", show=False, **usual)
    make_clip("clips/new.wav", fps=None, seconds=0.3)
    (spoken / "tone.mp4").rename(spoken / "renamed.mp4")
    calls.clear()
    capfd.readouterr()
    corpus = extract_clips(spoken, tmp_path / "out", overwrite=True, **usual)
    assert dict(calls) == {"Clip.sound": 1, "spoken.recognise": 1, "VoiceExtractor.stream": 1}
    assert (
        "taken over: 2 audio, 1 audio_whisper, 1 text, 1 vision, 1 words; made anew: 1 audio\n"
        in capfd.readouterr().err
    )
    assert {row["utterance"] for f in corpus.provenance["findings"] for row in f["examples"]} >= {"renamed"}
    extract_clips(spoken, tmp_path / "fresh", show=False, **usual)
    assert _content(tmp_path / "out") == _content(tmp_path / "fresh")


def test_a_corpus_that_was_changed_since_is_not_taken_over(tones: Path, tmp_path: Path) -> None:
    from trivium.corpus import Corpus

    options: dict[str, Any] = {"modalities": ["audio"], "show": False}
    made = extract_clips(tones, tmp_path / "out", **options)
    changed = [u for u in made if u.id != "3"]
    Corpus.from_utterances(changed, made.specification, made.provenance).save(tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out" / "parts.json").exists()
    extract_clips(tones, tmp_path / "again", **options)
    shutil.copy(tmp_path / "again" / "parts.json", tmp_path / "out")
    extract_clips(tones, tmp_path / "out", overwrite=True, **options)
    assert _content(tmp_path / "out") == _content(tmp_path / "again")


@pytest.mark.parametrize("cut", ["sentences", "voice"])
def test_a_cut_is_taken_over_with_its_words(spoken: Path, tmp_path: Path, calls: Counter[str], cut: Any) -> None:
    usual: dict[str, Any] = {"cut": cut, "modalities": ["text", "audio"], "show": False}
    extract_clips(spoken / "sample-voice.wav", tmp_path / "out", **usual)
    calls.clear()
    extract_clips(spoken / "sample-voice.wav", tmp_path / "out", overwrite=True, text="lengths", **usual)
    assert dict(calls) == {}
    extract_clips(spoken / "sample-voice.wav", tmp_path / "fresh", text="lengths", **usual)
    assert _content(tmp_path / "out") == _content(tmp_path / "fresh")


def test_a_full_disk_ends_the_run_with_one_line_and_the_same_command_goes_on(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa

    full = OSError(errno.ENOSPC, "No space left on device")
    count = 0

    def new_file(*given: Any) -> Any:
        nonlocal count
        count += 1
        if count == 3:
            raise full
        return real(*given)

    real = pa.ipc.new_file
    with monkeypatch.context() as patch:
        patch.setattr(pa.ipc, "new_file", new_file)
        with pytest.raises(DiskError, match="No space left on device"):
            extract_clips(tones, tmp_path / "out", modalities=["audio"], show=False)
    assert count == 3, "the other clips are not tried in vain"
    with monkeypatch.context() as patch:

        def write_folder(*_: Any) -> None:
            raise full

        patch.setattr("trivium.corpus.writer.write_folder", write_folder)
        with pytest.raises(DiskError, match=r"out: cannot be written: No space left on device.*Remedy"):
            extract_clips(tones, tmp_path / "out", modalities=["audio"], show=False)
    assert [p.name for p in tmp_path.iterdir() if "out" in p.name] == [".out.staging"], "nothing half written"
    extract_clips(tones, tmp_path / "out", modalities=["audio"], show=False)
    extract_clips(tones, tmp_path / "fresh", modalities=["audio"], show=False)
    assert _content(tmp_path / "out") == _content(tmp_path / "fresh")


def test_a_place_that_cannot_be_written_to_is_named_before_the_work(tones: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    command = [sys.executable, "-m", "trivium", "extract", str(tones), "--modalities", "audio", "--out"]
    done = subprocess.run([*command, str(tmp_path / "file" / "out")], capture_output=True, text=True)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "cannot be written" in done.stderr
    extract_clips(tones, tmp_path / "out", modalities=["audio"], show=False)
    with pytest.raises(DataError, match="exists already"):
        extract_clips(tones, tmp_path / "out", modalities=["audio"], show=False)


def _start(tones: Path, out: Path, workers: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "trivium", "extract", str(tones), "--modalities", "audio", "--out", str(out)]
    return subprocess.Popen(
        [*command, "--workers", str(workers)],
        start_new_session=True,
        # shells start background jobs, such as a test run may be, deaf to SIGINT, and processes inherit that
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tones.parent,
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_killed_twice_ends_with_the_same_bytes(make_clip: MakeClip, tmp_path: Path, workers: int) -> None:
    for number in range(9):
        make_clip(f"many/{number}.wav", fps=None, seconds=2.0, tone=200.0 + number)
    extract_clips(tmp_path / "many", tmp_path / "straight", modalities=["audio"], show=False)
    staged = 0
    for more in (1, 3):
        run = _start(tmp_path / "many", tmp_path / "out", workers)
        while _parts(tmp_path) < staged + more and run.poll() is None:
            time.sleep(0.002)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        assert not (tmp_path / "out").exists()
        staged = _parts(tmp_path)
    assert _start(tmp_path / "many", tmp_path / "out", workers).wait() == 0
    assert _content(tmp_path / "out") == _content(tmp_path / "straight")


def _parts(folder: Path) -> int:
    return len([p for p in folder.glob(".out.staging/*.arrow") if not p.name.startswith(".")])


def test_ctrl_c_stops_all_processes_at_once_and_the_same_command_goes_on(make_clip: MakeClip, tmp_path: Path) -> None:
    for number in range(16):
        make_clip(f"many/{number}.wav", fps=None, seconds=6.0, tone=200.0 + number)
    run = _start(tmp_path / "many", tmp_path / "out", 2)
    while _parts(tmp_path) < 2 and run.poll() is None:
        time.sleep(0.002)
    began = time.monotonic()
    os.killpg(run.pid, signal.SIGINT)
    told = run.communicate()[1]
    assert run.returncode == 130 and "the same command goes on" in told and time.monotonic() - began < 15
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)
    done = _parts(tmp_path)
    assert 2 <= done < 16
    again = CliRunner().invoke(
        app,
        ["extract", str(tmp_path / "many"), "--modalities", "audio", "--out", str(tmp_path / "out"), "--workers", "1"],
    )
    assert again.exit_code == 0 and f"taken over: {done} audio; made anew: {16 - done} audio" in again.output


def test_a_label_that_does_not_fit_costs_its_clip_alone_and_is_told(tones: Path, tmp_path: Path) -> None:
    clips = [Recording(tones / f"{n}.wav", labels={"mood": 0.5} if n == 1 else {}) for n in range(3)]
    corpus = extract_clips(clips, tmp_path / "out", modalities=["audio"], show=False)
    assert corpus.ids.tolist() == ["0", "2"]
    (failed,) = corpus.provenance["failures"]
    assert failed["id"] == "1" and "mood" in failed["reason"]


def test_what_cannot_be_sent_to_a_process_costs_its_clip_alone(tones: Path, tmp_path: Path) -> None:
    odd: Any = {"take": np.int64(3)}
    clips = [Recording(tones / f"{n}.wav", groups=odd if n == 1 else {}) for n in range(3)]
    corpus = extract_clips(clips, tmp_path / "out", modalities=["audio"], workers=2, show=False)
    assert corpus.ids.tolist() == ["0", "2"]
    assert "not JSON serializable" in corpus.provenance["failures"][0]["reason"]


def test_what_others_print_while_a_process_starts_and_modules_of_the_folder_we_are_in_are_passed_over(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("site", "here"):
        (tmp_path / name).mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("print('hello')\nprint(3)\n")
    (tmp_path / "here" / "glob.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *(path for path in sys.path if path)])
    assert len(extract_clips(tones, tmp_path / "out", modalities=["audio"], workers=2, show=False)) == 5


def test_processes_that_do_not_start_end_the_run_with_the_reason(
    tones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import os\nos._exit(5)\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(TriviumError, match="did not start: it ended with code 5"):
        extract_clips(tones, tmp_path / "out", modalities=["audio"], workers=2, show=False)


def test_whoever_leaves_early_does_not_wait_for_the_rest_of_the_picture(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip("a.mp4", seconds=2.0, fps=10, tone=300.0)
    looked: list[float] = []

    class Slow:
        region = None

    def add(self: Any, at: float, picture: Any) -> None:
        looked.append(at)
        time.sleep(0.5)

    monkeypatch.setattr("trivium.extract.vision.recorder.FaceRecorder.add", add)
    monkeypatch.setattr("trivium.extract.vision.recorder.FaceRecorder.__init__", lambda *_: None)
    monkeypatch.setattr("trivium.extract.vision.face_columns.FaceExtractor.tracker", lambda _: Slow())

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ClipExtractor, "_utterance", interrupted)
    extractor = ClipExtractor(["audio", "vision"], side_by_side=True)
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        list(extractor.extract_spans([Recording(path)]))
    assert time.perf_counter() - start < 4 and len(looked) < 20
