"""What may be taken over from an earlier run, and what counts as absent; what is told of the words' origin."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from trivium.cli import app
from trivium.corpus import Specification, Stream, StreamSpecification, Utterance, Words
from trivium.corpus.staging import Staging
from trivium.corpus.writer import CorpusWriter
from trivium.errors import DataError
from trivium.extract import ClipExtractor
from trivium.extract.earlier import Earlier
from trivium.extract.run.folder import _provenance
from trivium.extract.source.recording import Recording
from trivium.extract.words import recogniser

_VOICE = StreamSpecification("audio", ("f0",))
_SPECIFICATION = Specification((_VOICE,))
_PRODUCT = {"name": "audio", "key": "1f", "streams": ["audio"]}


def _utterance(name: str) -> Utterance:
    return Utterance(name, {"audio": Stream(np.ones((2, 1), np.float32), _VOICE)})


def _hashed(told: dict[str, Any]) -> None:
    text = json.dumps(told["parts"], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    told["hash"] = hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("with_hash", [False, True])
@pytest.mark.parametrize(
    "change", [("utterances", 0), ("utterances", "1"), ("utterances", -1), ("key", 3), ("key", [])]
)
def test_parts_that_were_edited_are_not_taken_over(tmp_path: Path, change: tuple[str, Any], with_hash: bool) -> None:
    writer = CorpusWriter(tmp_path / "c", _SPECIFICATION)
    for name in "ab":
        writer.stage(name, [_utterance(name)], {"of": name})
    writer.finish(["a", "b"])
    told = json.loads((tmp_path / "c" / "parts.json").read_text())
    told["parts"][0][change[0]] = change[1]
    if with_hash:
        _hashed(told)
    (tmp_path / "c" / "parts.json").write_text(json.dumps(told))
    again = CorpusWriter(tmp_path / "c", _SPECIFICATION, overwrite=True)
    again.take_apart()
    assert again.staging.parts() == []


@pytest.mark.parametrize("text", ["[]", "3", '{"corpus": 1}', "{", '{"parts": [NaN]}', '{"parts": null}'])
def test_a_file_of_another_shape_is_not_taken_over(tmp_path: Path, text: str) -> None:
    writer = CorpusWriter(tmp_path / "c", _SPECIFICATION)
    writer.stage("a", [_utterance("a")], {"of": "a"})
    writer.finish(["a"])
    again = CorpusWriter(tmp_path / "c", _SPECIFICATION, overwrite=True)
    again.take_apart()
    assert len(again.staging.parts()) == 1, "as it was written it is taken over"
    again.staging.part("a").path.unlink()
    (tmp_path / "c" / "parts.json").write_text(text)
    again.take_apart()
    assert again.staging.parts() == []


_CUT = {"key": "c", "pieces": [{"start": 0.0, "end": 1, "transcript": "kids"}]}
_BAD: list[Any] = [
    [],
    {"products": [], "findings": []},
    {"products": {"a": {"key": "1f"}}, "findings": []},
    {"products": {"a": [{**_PRODUCT, "key": ["1f"]}]}, "findings": []},
    {"products": {"a": [{**_PRODUCT, "facts": {"missing": {}}}]}, "findings": []},
    {"products": {"a": [{**_PRODUCT, "findings": [{"kind": "words"}]}]}, "findings": []},
    {"products": {"a": [_PRODUCT]}, "findings": [], "cut": {**_CUT, "pieces": [{"start": "0"}]}},
    {"products": {"a": [_PRODUCT]}, "findings": [], "cut": {**_CUT, "key": {}}},
]


@pytest.mark.parametrize("notes", _BAD)
def test_a_part_with_malformed_notes_counts_as_absent(tmp_path: Path, notes: Any) -> None:
    staging = Staging(tmp_path, _SPECIFICATION)
    staging.stage("bad", [_utterance("a")], notes)
    earlier = Earlier(staging.parts())
    assert earlier.find("1f", "a") is None and earlier.pieces("c") is None


def test_a_part_with_sound_notes_is_found_unless_it_lacks_the_stream(tmp_path: Path) -> None:
    staging = Staging(tmp_path, _SPECIFICATION)
    other = {"name": "audio_x", "key": "2e", "streams": ["audio_x"]}
    staging.stage("good", [_utterance("a")], {"products": {"a": [_PRODUCT, other]}, "findings": [], "cut": _CUT})
    earlier = Earlier(staging.parts())
    assert earlier.find("1f", "a") is not None and earlier.find("2e", "a") is None
    assert earlier.pieces("c") == _CUT["pieces"]


def test_words_of_another_language_are_taken_over(tmp_path: Path) -> None:
    words = Words(("schön", "um", "10"), np.array([[0, 1], [1, 2], [2, 3.0]]), np.full(3, 0.5, np.float32))
    notes = {"products": {"a": [{"name": "words", "key": "1f"}]}, "findings": []}
    staging = Staging(tmp_path, Specification(()))
    staging.stage("de", [Utterance("a", {}, words, "Schön, um 10")], notes)
    kept = Earlier(staging.parts()).find("1f", "a", "de")
    assert kept is not None and kept.spoken is not None and kept.spoken.transcript.words == ("schön", "um", "10")


def _folder(folder: Path) -> Path:
    folder.mkdir()
    for name in ("config.json", "model.bin", "tokenizer.json", "vocabulary.json"):
        (folder / name).write_text("{}")
    return folder


@pytest.mark.parametrize("name", ["config.json", "model.bin", "tokenizer.json", "vocabulary.json"])
def test_the_version_of_a_recogniser_changes_with_each_of_its_files(tmp_path: Path, name: str) -> None:
    one, same, other = (_folder(tmp_path / folder) for folder in ("one", "same", "other"))
    (other / name).write_text("[]")
    version = recogniser.recogniser_version(one)
    assert version == recogniser.recogniser_version(same) != recogniser.recogniser_version(other)


def test_words_are_made_again_with_another_algorithm_or_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def key() -> str:
        return ClipExtractor(["audio"]).keys(Recording(Path("a.wav"), "a"), "1f").words

    usual = key()
    with monkeypatch.context() as patch:
        patch.setattr("trivium.extract.clip_words.WORDS_VERSION", 99)
        assert key() != usual
    for package in ("pocketsphinx", "faster-whisper"):
        with monkeypatch.context() as patch:
            patch.setattr("trivium.extract.keys._installed", lambda name, changed=package: "0" * (name == changed))
            assert key() != usual
    assert key() == usual


def test_the_provenance_names_what_is_not_as_usual_and_no_path(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "own")
    extractor = ClipExtractor(["text"], text="wordllama", recogniser=folder, faces=2)
    extractor.language = "de"
    told = _provenance(extractor, [Recording(Path("a.wav"), "a", transcript="kids")])
    assert told["recogniser"] == {"name": "own", "version": recogniser.recogniser_version(folder)}
    assert told["language"] == "de" and told["faces"] == 2 and str(tmp_path) not in json.dumps(told)
    usual = _provenance(ClipExtractor(["audio"]), [])
    assert not usual.keys() & {"recogniser", "language", "faces", "track", "cut"} and usual["models"] == {}


@pytest.mark.parametrize(("told", "threads"), [("2,1", 2), ("3", 3), ("", None), ("many", None), ("0", None)])
def test_the_threads_of_nested_levels_are_read(monkeypatch: pytest.MonkeyPatch, told: str, threads: int | None) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert recogniser._threads() == (threads or 3)


def test_a_picture_that_cannot_be_drawn_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["extract", str(tmp_path), "--out", str(tmp_path / "out"), "--modalities", "audio", "--show"]
    monkeypatch.setattr("trivium.extract.extract_clips", lambda *_, **__: pytest.fail("extracted"))
    told = CliRunner().invoke(app, [*command, str(tmp_path / "faces.jpg")])
    assert isinstance(told.exception, DataError) and "png" in str(told.exception)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    told = CliRunner().invoke(app, [*command, str(tmp_path / "faces.png")])
    assert "matplotlib is not installed" in str(told.exception)


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_the_sheet_that_was_drawn_is_named(
    make_clip: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    pytest.importorskip("matplotlib")
    make_clip("clips/tone.wav", fps=None, seconds=0.4)
    monkeypatch.setattr("trivium.report.face_sheet.face_sheet", lambda path, *_, **__: Path(path).touch())
    given = [str(tmp_path / "clips"), "--out", str(tmp_path / "out"), "--workers", "1", "--modalities", "audio"]
    told = CliRunner().invoke(app, ["extract", *given, "--show", str(tmp_path / "faces.png"), *more])
    assert told.exit_code == 0 and f"faces drawn: {tmp_path / 'faces.png'}\n" in told.output
    assert ("faces drawn" in told.stdout) == (not more), "what is printed as JSON stays JSON"


def test_clips_without_a_picture_do_not_hide_the_report(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    make_clip("clips/tone.wav", fps=None, seconds=0.4)
    (tmp_path / "clips" / "broken.mp4").write_text("no clip")
    sheet = tmp_path / "faces.png"
    given = [str(tmp_path / "clips"), "--out", str(tmp_path / "out"), "--workers", "1", "--show", str(sheet)]
    told = CliRunner().invoke(app, ["extract", *given, "--modalities", "audio"])
    assert told.exit_code == 1 and "1 utterance in" in told.output
    assert "failed: broken.mp4" in told.output and "no faces drawn: " in told.output and not sheet.exists()
