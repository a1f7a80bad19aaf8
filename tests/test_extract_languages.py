"""A recogniser of the user's own, and languages that the aligner does not know."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trivium.errors import DataError, UpstreamError
from trivium.extract.source.media import SOUND_RATE, open_clip
from trivium.extract.source.recording import Recording
from trivium.extract.words import speech
from trivium.extract.words.recogniser import require_recogniser
from trivium.extract.words.speech import recognise, time_words
from trivium.extract.words.spoken import transcript_to_cut, words_in_time
from trivium.extract.words.timed_transcript import Segment, tidy
from trivium.formats.findings import Finding

NeedModels = Callable[..., None]
_SOUND = np.zeros(3 * SOUND_RATE, np.float32)
_SAID = [(" Schöne", 0.2, 0.6, 0.9), (" Grüße,", 0.6, 1.0, 0.8), (" um", 1.5, 1.7, 0.7), (" 10", 1.7, 2.0, 0.6)]


class _Whisper:
    """Says always the same, and remembers in which language it was asked."""

    def __init__(self, said: list[tuple[str, float, float, float]]) -> None:
        names = ("word", "start", "end", "probability")
        self.segment = SimpleNamespace(words=[SimpleNamespace(**dict(zip(names, row, strict=True))) for row in said])
        self.asked = ""

    def transcribe(self, samples: NDArray[np.float32], *, language: str, **_: Any) -> tuple[list[Any], None]:
        self.asked = language
        return [self.segment], None


@pytest.fixture
def german(monkeypatch: pytest.MonkeyPatch) -> _Whisper:
    """A recogniser that hears German, and an aligner that must not be asked."""
    whisper = _Whisper(_SAID)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the aligner knows English only")

    monkeypatch.setattr(speech, "load_recogniser", lambda *_, **__: whisper)
    monkeypatch.setattr(speech, "align_words", refuse)
    monkeypatch.setattr("trivium.extract.words.segment_times.align_words", refuse)
    return whisper


@pytest.fixture(scope="module")
def tiny(need_models: NeedModels) -> Path:
    """Folder of the English recogniser."""
    need_models("whisper-tiny-en", "sample-voice")
    from trivium.upstream import model_folder

    return model_folder("whisper-tiny-en")


def _multilingual(folder: Path, marks: list[str], size: int = 51865) -> Path:
    from tokenizers import Tokenizer, models

    folder.mkdir()
    tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    tokenizer.add_special_tokens(marks)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "vocabulary.txt").write_text("\n".join(str(n) for n in range(size)) + "\n")
    for name in ("config.json", "model.bin"):
        (folder / name).write_text("{}")
    return folder


def test_a_folder_of_the_users_hears_the_words_of_the_same_model_of_the_catalogue(tiny: Path, tmp_path: Path) -> None:
    from trivium.upstream import model_file

    own = shutil.copytree(tiny, tmp_path / "own")
    sound = open_clip(model_file("sample-voice")).sound()
    assert sound is not None
    mine, usual = recognise(sound, model=own), recognise(sound)
    # the catalogue's listens in windows of their own length, so commas and times may differ
    assert mine.transcript.words == usual.transcript.words and len(mine.transcript.words) == 14
    assert np.abs(mine.times - usual.times).max() < 0.5


@pytest.mark.parametrize("given", [True, False])
def test_an_english_recogniser_is_not_asked_for_german(tiny: Path, given: bool) -> None:
    with pytest.raises(DataError, match=r"whisper-tiny-en knows English only, not 'de'\. Remedy: .*multilingual"):
        recognise(_SOUND, model=tiny if given else None, language="de")


def test_a_folder_that_is_no_recogniser_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(
        UpstreamError, match=r"CTranslate2's format: it lacks config\.json, model\.bin, tokenizer\.json"
    ):
        recognise(_SOUND, model=tmp_path)
    folder = _multilingual(tmp_path / "a", ["<|de|>"])
    (folder / "vocabulary.txt").unlink()
    with pytest.raises(UpstreamError, match=r"it lacks vocabulary\.txt"):
        require_recogniser(folder)


def test_a_broken_model_says_so(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    with pytest.raises(UpstreamError, match="cannot be loaded as a Whisper model"):
        recognise(_SOUND, model=_multilingual(tmp_path / "a", ["<|de|>"]), language="de")


def test_a_multilingual_recogniser_speaks_the_languages_of_its_tokenizer(tmp_path: Path) -> None:
    folder = _multilingual(tmp_path / "a", ["<|de|>", "<|en|>"])
    assert require_recogniser(folder, "de") == folder
    with pytest.raises(DataError, match="a knows no language 'xx'"):
        require_recogniser(folder, "xx")
    with pytest.raises(DataError, match="knows English only"):
        require_recogniser(_multilingual(tmp_path / "b", ["<|de|>"], size=51864), "de")


def test_recognised_german_keeps_its_letters_and_the_recognisers_times(german: _Whisper) -> None:
    findings: list[Finding] = []
    spoken = words_in_time(Recording(Path("a.wav"), "a"), _SOUND, (0.0, 3.0), findings, language="de")
    assert spoken is not None and german.asked == "de"
    transcript, timed = spoken.transcript, spoken.timed
    assert transcript.words == ("schöne", "grüße", "um", "10") and transcript.text == "Schöne Grüße, um 10"
    assert timed.timing == "recognised" and timed.times.tolist() == [[0.2, 0.6], [0.6, 1.0], [1.5, 1.7], [1.7, 2.0]]
    (told,) = findings
    assert told.action == "recognised, with the recogniser's times (language de; the aligner knows English only)"


def test_given_german_takes_the_times_of_the_words_that_were_heard(german: _Whisper) -> None:
    findings: list[Finding] = []
    recording = Recording(Path("a.wav"), "a", transcript="Schöne, liebe Grüße um zehn")
    spoken = words_in_time(recording, _SOUND, (1.0, 4.0), findings, language="de")
    assert spoken is not None
    timed = spoken[1]
    assert timed.guessed == ("liebe", "zehn") and timed.confidence.tolist() == pytest.approx([0.9, 0, 0.8, 0.7, 0])
    expected = [[1.2, 1.6], [1.6, 1.6], [1.6, 2.0], [2.5, 2.7], [2.7, 4.0]]
    np.testing.assert_allclose(timed.times, expected)
    assert [told.action for told in findings] == [
        "given, with the times of the same words as recognised (language de; the aligner knows English only)",
        "time guessed",
    ]


def test_given_german_that_was_not_said_is_spread(german: _Whisper) -> None:
    timed = time_words(_SOUND, ["guten", "tag"], language="de")
    assert timed.timing == "spread" and timed.times.tolist() == [[0.0, 1.5], [1.5, 3.0]]


def test_german_segments_with_times_are_spread_within_themselves(german: _Whisper) -> None:
    findings: list[Finding] = []
    told = tidy([Segment(0.5, 1.5, "schöne Grüße"), Segment(2.0, 3.0, "tschüß")])
    recording = Recording(Path("a.wav"), "a", transcript=told)
    spoken = words_in_time(recording, _SOUND, (0.0, 3.0), findings, language="de")
    assert spoken is not None and spoken[0].words == ("schöne", "grüße", "tschüß")
    assert spoken[1].times.tolist() == [[0.5, 1.0], [1.0, 1.5], [2.0, 3.0]]
    assert "(language de; the aligner knows English only)" in findings[0].action


def test_german_is_cut_with_the_recognisers_times(german: _Whisper) -> None:
    recording = Recording(Path("a.wav"), "a", transcript="Schöne Grüße um 10")
    told = transcript_to_cut(recording, _SOUND, (0.0, 3.0), language="de")
    assert told is not None and told.word_times == "recognised"
    assert [word.start for segment in told.segments for word in segment.words] == [0.2, 0.6, 1.5, 1.7]


def test_words_of_a_language_without_spaces_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    whisper = _Whisper([("你好", 0.0, 0.4, 0.9), ("世界", 0.4, 0.9, 0.8)])
    monkeypatch.setattr(speech, "load_recogniser", lambda *_, **__: whisper)
    heard = recognise(_SOUND, language="zh")
    assert heard.transcript.words == ("你好", "世界") and heard.times.tolist() == [[0.0, 0.4], [0.4, 0.9]]
