"""Transcripts that belong to something else: another clip, another language."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trivium.corpus.notes import read_notes
from trivium.errors import UpstreamError
from trivium.extract import extract_clips
from trivium.extract.source.media import SOUND_RATE, open_clip
from trivium.extract.source.recording import Recording
from trivium.extract.words import doubts, speech
from trivium.extract.words.doubts import (
    ANOTHER_CLIP,
    ANOTHER_LANGUAGE,
    UNSURE,
    fits_badly,
    hears_other_words,
    is_foreign,
    said_share,
    subtitles_say_other_words,
)
from trivium.extract.words.speech import Heard, Timed
from trivium.extract.words.spoken import words_in_time
from trivium.extract.words.timed_transcript import Segment, tidy
from trivium.extract.words.transcript import read_transcript
from trivium.formats.findings import Finding

NeedModels = Callable[..., None]
_SAID = "Unless to be rather cold-hearted and rather selfish is to be ill-disposed."
_OTHER = "My uncle bought seven green bicycles in the village for his youngest daughter."
_GERMAN = "Wir haben uns gestern Abend im Garten lange über das Wetter unterhalten."
_SPANISH = "Ayer por la tarde hablamos mucho tiempo en el jardín sobre el tiempo."
_RUSSIAN = "Вчера вечером мы долго говорили в саду о погоде и о детях."


@pytest.fixture(scope="module")
def voice(need_models: NeedModels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of 5.3 seconds in which a person reads ``_SAID``."""
    need_models("sample-voice", "minilm-l6", "g2p-en", "whisper-tiny-en")
    from trivium.upstream import model_file

    source = model_file("sample-voice")
    return Path(shutil.copy(source, tmp_path_factory.mktemp("voice") / f"voice{source.suffix}"))


def _sound(path: Path) -> NDArray[np.float32]:
    samples = open_clip(path).sound()
    assert samples is not None
    return samples


def _spoken(path: Path, transcript: Any) -> tuple[Any, list[Finding]]:
    findings: list[Finding] = []
    sound = _sound(path)
    recording = Recording(path, "a", transcript=transcript)
    return words_in_time(recording, sound, (0.0, len(sound) / SOUND_RATE), findings), findings


def _doubts(findings: list[Finding]) -> list[str]:
    return [finding.action for finding in findings if finding.kind == "doubt"]


def test_a_right_transcript_raises_no_doubt(voice: Path) -> None:
    spoken, findings = _spoken(voice, _SAID)
    assert _doubts(findings) == [] and spoken[1].timing == "aligned" and not fits_badly(spoken[1])


def test_the_transcript_of_another_clip(voice: Path, tmp_path: Path) -> None:
    corpus = extract_clips(
        voice, tmp_path / "out", transcripts={"voice": _OTHER}, modalities=["text", "audio"], show=False
    )
    assert corpus.provenance["failures"] == [] and corpus[0].text == _OTHER
    assert [row["action"] for row in corpus.provenance["findings"] if row["kind"] == "doubt"] == [ANOTHER_CLIP]
    assert read_notes(corpus.provenance)["voice"].doubts == [ANOTHER_CLIP]


@pytest.mark.parametrize("transcript", [_GERMAN, _SPANISH, _RUSSIAN])
def test_a_transcript_in_another_language(voice: Path, transcript: str, tmp_path: Path) -> None:
    corpus = extract_clips(
        voice, tmp_path / "out", transcripts={"voice": transcript}, modalities=["text", "audio"], show=False
    )
    assert corpus.provenance["failures"] == [] and set(corpus[0].streams) == {"text", "audio", "audio_whisper"}
    assert [row["action"] for row in corpus.provenance["findings"] if row["kind"] == "doubt"] == [ANOTHER_LANGUAGE]
    assert read_notes(corpus.provenance)["voice"].doubts == [ANOTHER_LANGUAGE]


def test_subtitles_in_another_language(voice: Path) -> None:
    _, findings = _spoken(voice, tidy([Segment(0.0, 5.0, _GERMAN)]))
    assert _doubts(findings) == [ANOTHER_LANGUAGE]


def _segments(text: str, seconds: float = 1.3) -> list[Segment]:
    words = text.split()
    return [Segment(n * seconds, (n + 1) * seconds, " ".join(words[3 * n : 3 * n + 3])) for n in range(4)]


def test_subtitles_of_another_clip(voice: Path, tmp_path: Path) -> None:
    srt = "".join(
        f"{n}\n00:00:0{one.start:.3f} --> 00:00:0{one.end:.3f}\n{one.text}\n\n".replace(".", ",")
        for n, one in enumerate(_segments(_OTHER.replace(".", "")), start=1)
    )
    (tmp_path / "voice.srt").write_text(srt)
    corpus = extract_clips(voice, tmp_path / "out", transcripts=tmp_path, modalities=["text", "audio"], show=False)
    assert corpus.provenance["failures"] == [] and corpus[0].text.startswith("My uncle bought")
    assert read_notes(corpus.provenance)["voice"].doubts == [ANOTHER_CLIP]


def test_right_subtitles_raise_no_doubt_also_where_they_are_late_or_leave_words_out(voice: Path) -> None:
    for text in (_SAID, " ".join(_SAID.split()[:8])):
        for late in (0.0, 0.6):
            told = [Segment(one.start + late, one.end + late, one.text) for one in _segments(text) if one.text]
            assert _doubts(_spoken(voice, tidy(told))[1]) == [], (text, late)


def test_a_span_of_subtitles_is_not_compared_with_what_is_heard(voice: Path) -> None:
    findings: list[Finding] = []
    recording = Recording(voice, "a", transcript=tidy(_segments(_OTHER)), start=0.0, end=5.2)
    words_in_time(recording, _sound(voice), (0.0, 5.2), findings)
    assert _doubts(findings) == []


def test_words_in_common_are_compared_with_the_shorter_of_two_texts() -> None:
    said = "kids are talking by the door".split()
    assert not subtitles_say_other_words(said, _told("and then the kids are talking to all of the other people there"))
    assert subtitles_say_other_words(said, _told("and then some dogs sat here all day"))
    assert not subtitles_say_other_words(said, _told("some dogs sat here")), "four words say nothing"


def test_names_and_few_words_are_not_another_language() -> None:
    assert not is_foreign(read_transcript("Mr. Zbrowskiy met Qwertzuiop and his old friend at the station.").words)
    assert not is_foreign(["guten", "tag", "grüß", "gott"])
    assert is_foreign(read_transcript(_GERMAN).words)


def test_what_cannot_be_aligned_but_is_heard_gets_the_recognisers_times(
    voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = speech.align_words(_sound(voice), read_transcript(_SAID).words)
    monkeypatch.setattr(speech, "align_words", lambda *_, **__: None)
    (transcript, timed, _), findings = _spoken(voice, _SAID.replace("rather selfish", "rather very selfish"))
    assert usual is not None and timed.timing == "recognised" and timed.guessed == ("very",)
    assert _doubts(findings) == [] and "with the times of the same words as recognised" in findings[0].action
    same = [place for place, word in enumerate(transcript.words) if word != "very"]
    assert np.median(np.abs(timed.times[same] - usual.times)) < 0.3
    assert np.all(timed.times[1:, 0] >= timed.times[:-1, 0]) and timed.confidence[transcript.words.index("very")] == 0


@pytest.mark.parametrize(("timing", "expected"), [("aligned", [UNSURE]), ("spread", [])])
def test_without_a_recogniser_only_a_bad_fit_tells(
    voice: Path, monkeypatch: pytest.MonkeyPatch, timing: Any, expected: list[str]
) -> None:
    def nowhere(*_: object, **__: object) -> None:
        raise UpstreamError("is not on this machine")

    def poor(samples: NDArray[np.float32], words: Any, *_: object, **__: object) -> Timed:
        times = np.stack([np.arange(len(words)), np.arange(1, len(words) + 1)], axis=1) / 4
        return Timed(times, np.full(len(words), 0.01, np.float32), timing)

    monkeypatch.setattr(doubts, "require_recogniser", nowhere)
    monkeypatch.setattr("trivium.extract.words.spoken.time_words", poor)
    assert _doubts(_spoken(voice, _SAID)[1]) == expected


def test_a_bad_fit_is_the_mean_of_logarithms_weighted_by_length() -> None:
    times = np.array([[0.0, 0.1], [0.1, 1.0]])
    good, bad = (np.array(pair, np.float32) for pair in ((0.001, 0.1), (0.1, 0.001)))
    assert not fits_badly(Timed(times, good, "aligned")) and fits_badly(Timed(times, bad, "aligned"))
    assert fits_badly(Timed(times, good, "spread")) and not fits_badly(Timed(times, bad, "set"))


@pytest.mark.parametrize(
    ("heard", "share"), [("kids are talking", 1.0), ("kids were talking", 2 / 3), ("talking kids", 0.5), ("", 1.0)]
)
def test_share_of_heard_words_that_were_given_in_order(heard: str, share: float) -> None:
    words = read_transcript(heard)
    count = len(words.words)
    told = Heard(words, np.zeros((count, 2)), np.zeros(count, np.float32))
    assert said_share("kids are talking by the door".split(), told) == pytest.approx(share)


def _told(text: str) -> Heard:
    words = read_transcript(text)
    return Heard(words, np.zeros((len(words.words), 2)), np.zeros(len(words.words), np.float32))


@pytest.mark.parametrize(
    ("heard", "other"), [("thank you", False), ("thank you so much", False), ("thank you so much indeed", True)]
)
def test_a_few_words_heard_say_nothing_against_a_transcript(heard: str, other: bool) -> None:
    assert hears_other_words("kids are talking by the door".split(), _told(heard)) is other


@pytest.mark.parametrize(
    ("heard", "expected"),
    [(_GERMAN, []), (_SAID, [ANOTHER_LANGUAGE]), ("", [ANOTHER_LANGUAGE]), (None, [ANOTHER_LANGUAGE])],
)
@pytest.mark.parametrize("with_times", [False, True])
def test_strange_words_are_no_doubt_where_they_are_heard(
    monkeypatch: pytest.MonkeyPatch, heard: str | None, expected: list[str], with_times: bool
) -> None:
    def spread(_: object, words: Any, *__: object, **___: object) -> Timed:
        return speech.spread_words(words, 5.0)

    monkeypatch.setattr("trivium.extract.words.spoken.is_foreign", lambda _: True)
    monkeypatch.setattr("trivium.extract.words.spoken.time_words", spread)
    monkeypatch.setattr("trivium.extract.words.spoken.listen", lambda *_, **__: None if heard is None else _told(heard))
    given: Any = tidy([Segment(0.0, 5.0, _GERMAN)]) if with_times else _GERMAN
    if with_times:
        told = read_transcript(_GERMAN)
        monkeypatch.setattr(
            "trivium.extract.words.spoken.time_segments", lambda *_, **__: (told, spread(None, told.words))
        )
    findings: list[Finding] = []
    sound = np.zeros(5 * SOUND_RATE, np.float32)
    words_in_time(Recording(Path("a.wav"), "a", transcript=given), sound, (0.0, 5.0), findings)
    assert _doubts(findings) == expected


@pytest.mark.parametrize(("heard", "expected"), [("right", []), ("other", [ANOTHER_CLIP])])
def test_subtitles_are_compared_with_what_is_heard_at_their_time(
    monkeypatch: pytest.MonkeyPatch, heard: str, expected: list[str]
) -> None:
    draw = np.random.default_rng(0)
    vocabulary = "the a and to of in that it was he she they we you had not on with for at".split()
    words = draw.choice(vocabulary, 3000).tolist()  # synthetic; two words a second, the first at second 40
    starts = 40.0 + 0.5 * np.arange(len(words))
    timed = Timed(np.stack([starts, starts + 0.4], axis=1), np.full(len(words), 1e-4, np.float32), "aligned")
    listened: list[float] = []

    def listen(*_: object, whole: bool, start: float, **__: object) -> Heard:
        listened.append(start)
        other = "seven green bicycles stand beside uncle peters house where nobody ever sees them".split()
        return _told(" ".join(words[:60] if heard == "right" else draw.permutation([*other, *vocabulary]).tolist()))

    told = read_transcript(" ".join(words))
    monkeypatch.setattr("trivium.extract.words.spoken.time_segments", lambda *_, **__: (told, timed))
    monkeypatch.setattr("trivium.extract.words.spoken.listen", listen)
    given: Any = tidy([Segment(40.0, 1540.0, " ".join(words))])
    findings: list[Finding] = []
    sound = np.zeros(5 * SOUND_RATE, np.float32)
    words_in_time(Recording(Path("a.wav"), "a", transcript=given), sound, (0.0, 1540.0), findings)
    assert listened == [40.0] and _doubts(findings) == expected


def test_it_is_listened_from_a_second_on(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[NDArray[np.float32]] = []

    def recognised(samples: NDArray[np.float32], **_: object) -> Heard:
        parts.append(samples)
        return _told("")

    monkeypatch.setattr(doubts, "require_recogniser", lambda *_, **__: None)
    monkeypatch.setattr(doubts, "recognise", recognised)
    sound = np.arange(50 * SOUND_RATE, dtype=np.float32)
    doubts.listen(sound, whole=False, start=12.5)
    assert parts[0][0] == 12.5 * SOUND_RATE and len(parts[0]) == 30 * SOUND_RATE


def test_doubts_are_among_the_problems_of_a_corpus(voice: Path, tmp_path: Path) -> None:
    from trivium.report.quality import corpus_quality
    from trivium.report.worst import Usual, problems_of

    corpus = extract_clips(voice, tmp_path / "out", transcripts={"voice": _GERMAN}, modalities=["text"], show=False)
    quality = corpus_quality(corpus)
    (one,) = quality.utterances
    assert ANOTHER_LANGUAGE in [problem.text for problem in problems_of(one, Usual.of(quality))]
