"""Timed transcripts: what is read from each kind of file, what is mended and told, and files that mean harm."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.errors import DataError, FormatError, LimitError, TriviumError, UnsafeFileError, UpstreamError
from trivium.extract import Recording, extract_clips, find_recordings
from trivium.extract.source.listing import warn_of_unread
from trivium.extract.words.timed_transcript import Segment, TimedTranscript, TimedWord, sentences, tidy
from trivium.extract.words.transcript_files import read_transcript_file

Write = Callable[[str, str | bytes], Path]


MakeClip = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def _read(path: Path) -> TimedTranscript:
    told = read_transcript_file(path)
    assert isinstance(told, TimedTranscript)
    return told


def _lines(told: TimedTranscript) -> list[tuple[float, float, str]]:
    return [(s.start, s.end, s.text) for s in told.segments]


SRT = "1\n00:00:01,000 --> 00:00:02,500\nKids are\n<i>talking.</i>\n\n2\n00:01:02,040 --> 00:01:03,000\nBy the door.\n"


@pytest.mark.parametrize("text", [SRT, SRT.replace("\n", "\r\n"), "\ufeff" + SRT])
def test_subrip(write: Write, text: str) -> None:
    assert _lines(_read(write("a.srt", text))) == [(1.0, 2.5, "Kids are talking."), (62.04, 63.0, "By the door.")]


def test_subrip_in_utf_16(write: Write) -> None:
    assert _read(write("a.srt", SRT.encode("utf-16"))).text == "Kids are talking. By the door."


def test_webvtt_without_its_notes_styles_names_and_inner_stamps(write: Write) -> None:
    text = (
        "WEBVTT - a talk\n\nSTYLE\n::cue { color: red }\n\nNOTE nobody says this\n\nintro\n"
        "00:01.000 --> 00:02.500 align:start\n<v Ann>Kids <00:01.500><c>are</c> <00:02.000>talking &amp; walking.\n\n"
        "NOTE\nnor this\n\n1:00:02.000 --> 1:00:03.000\nBy the door.\n"
    )
    lines = [(1.0, 2.5, "Kids are talking & walking."), (3602.0, 3603.0, "By the door.")]
    assert _lines(_read(write("a.vtt", text))) == lines


def test_whisper_with_word_times(write: Write) -> None:
    words = [
        {"word": " Just", "start": 0.0, "end": 0.4, "probability": 0.9},
        {"word": " 5", "start": 0.5, "end": 0.8, "probability": 0.5},
        {"word": "%", "start": 0.8, "end": 1.0, "probability": 0.7},
    ]
    content = {
        "text": " Just 5%",
        "segments": [{"id": 0, "start": 0.0, "end": 1.2, "text": " Just 5%", "words": words}],
    }
    told = _read(write("a.json", json.dumps(content)))
    assert told.word_times == "recognised" and _lines(told) == [(0.0, 1.2, "Just 5%")]
    assert told.segments[0].words == (TimedWord("Just", 0.0, 0.4, 0.9), TimedWord("5%", 0.5, 1.0, 0.5))


def test_whisper_without_word_times_and_as_a_bare_list(write: Write) -> None:
    told = _read(write("a.json", json.dumps([{"start": 1, "end": 2, "text": "so good"}])))
    assert told.word_times == "none" and _lines(told) == [(1.0, 2.0, "so good")]


_HEAD = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'


def _long(tiers: list[tuple[str, list[tuple[float, float, str]]]]) -> str:
    """A TextGrid as Praat writes it, by hand, so that the reader is not checked against itself."""
    text = f"{_HEAD}xmin = 0 \nxmax = 9 \ntiers? <exists> \nsize = {len(tiers)} \nitem []: \n"
    for number, (name, spans) in enumerate(tiers, start=1):
        text += f'    item [{number}]:\n        class = "IntervalTier" \n        name = "{name}" \n'
        text += f"        xmin = 0 \n        xmax = 9 \n        intervals: size = {len(spans)} \n"
        for place, (start, end, label) in enumerate(spans, start=1):
            text += f"        intervals [{place}]:\n            xmin = {start} \n            xmax = {end} \n"
            text += '            text = "' + label.replace('"', '""') + '" \n'
    return text


def _short(tiers: list[tuple[str, list[tuple[float, float, str]]]]) -> str:
    text = f"{_HEAD}0\n9\n<exists>\n{len(tiers)}\n"
    for name, spans in tiers:
        text += f'"IntervalTier"\n"{name}"\n0\n9\n{len(spans)}\n'
        for start, end, label in spans:
            text += f"{start}\n{end}\n" + '"' + label.replace('"', '""') + '"\n'
    return text


_WORDS = [(0, 1, ""), (1.0, 1.4, "kids"), (1.4, 1.7, "are"), (1.7, 2.2, "talking"), (2.2, 4.0, "sp"), (4.0, 4.5, "so")]
_SPOKEN = ["kids", "are", "talking", "so"]


@pytest.mark.parametrize("form", [_long, _short])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_textgrid_of_words(write: Write, form: Callable[..., str], encoding: str) -> None:
    tiers = [("Ann - phones", [(0.0, 9.0, "k")]), ("Ann - words", _WORDS)]
    told = _read(write("a.TextGrid", form(tiers).encode(encoding)))
    assert told.word_times == "set"
    assert [w.text for s in told.segments for w in s.words] == _SPOKEN
    assert _lines(told) == [(1.0, 2.2, "kids are talking"), (4.0, 4.5, "so")]
    assert told.segments[0].words[1] == TimedWord("are", 1.4, 1.7)


@pytest.mark.parametrize("form", [_long, _short])
def test_a_textgrid_of_words_and_sentences(write: Write, form: Callable[..., str]) -> None:
    tiers = [("sentences", [(0.9, 2.3, 'He said: "Kids are talking."'), (2.3, 3.9, "")]), ("words", _WORDS)]
    told = _read(write("a.TextGrid", form(tiers)))
    assert _lines(told) == [(0.9, 2.3, 'He said: "Kids are talking."'), (4.0, 4.5, "so")]
    assert [w.text for w in told.segments[0].words] == ["kids", "are", "talking"]


def test_a_lone_tier_needs_no_name_that_tells(write: Write) -> None:
    assert _read(write("a.TextGrid", _long([("Mary", _WORDS)]))).word_times == "set"
    lines = [(0.0, 2.0, "kids are talking"), (2.0, 3.0, "by the door")]
    assert _lines(_read(write("b.TextGrid", _long([("Mary", lines)])))) == lines


def test_a_textgrid_that_does_not_say_who_speaks_words_names_its_tiers(write: Write) -> None:
    with pytest.raises(FormatError, match=r"a\.TextGrid.*'Mary', 'John'.*name a tier"):
        _read(write("a.TextGrid", _long([("Mary", _WORDS), ("John", _WORDS)])))


def test_a_time_before_zero_in_a_textgrid_is_not_turned_positive(write: Write) -> None:
    told = _read(write("a.TextGrid", _long([("words", [(-0.5, 0.4, "so"), (0.4, 0.9, "good")])])))
    assert told.segments[0].words[0] == TimedWord("so", 0.0, 0.4)
    assert dict(told.findings)["time before 0, set to 0"] == 1


_EAF = """<?xml version="1.0" encoding="UTF-8"?>{doctype}
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2020-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="http://www.mpi.nl/EAFv3.0.xsd">
<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"></HEADER>
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1000"/><TIME_SLOT TIME_SLOT_ID="ts2"/>
<TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="2000"/></TIME_ORDER>
<TIER LINGUISTIC_TYPE_REF="d" TIER_ID="utterance@Ann"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1"
 TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts3"><ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>
</ANNOTATION></TIER>
<TIER LINGUISTIC_TYPE_REF="d" TIER_ID="words@Ann"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2"
 TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2"><ANNOTATION_VALUE>so</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION>
</ANNOTATION><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
<ANNOTATION_VALUE>good</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="d" TIME_ALIGNABLE="true"/></ANNOTATION_DOCUMENT>"""


def test_elan_with_a_slot_that_has_no_time(write: Write) -> None:
    told = _read(write("a.eaf", _EAF.format(doctype="", value="So good!")))
    assert _lines(told) == [(1.0, 2.0, "So good!")] and told.word_times == "set"
    assert told.segments[0].words == (TimedWord("so", 1.0, 1.5), TimedWord("good", 1.5, 2.0))
    assert told.findings == (("time slot without a time, set between its neighbours", 1),)


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE x [<!ENTITY b SYSTEM "file:///etc/hostname">]>',
    ],
)
def test_elan_with_entities_is_refused(write: Write, doctype: str) -> None:
    with pytest.raises(UnsafeFileError, match=r"a\.eaf.*document type"):
        _read(write("a.eaf", _EAF.format(doctype=doctype, value="&b;")))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.srt", "no times here\n"),
        ("a.srt", ""),
        ("a.vtt", "WEBVTT\n\n"),
        ("a.json", "{"),
        ("a.json", '{"segments": 3}'),
        ("a.json", '{"segments": [{"text": "no times"}]}'),
        ("a.json", '{"segments": [{"start": NaN, "end": 2, "text": "so"}]}'),
        ("a.json", "[" * 100_000),
        ("a.TextGrid", "ooBinaryFile\x08TextGrid"),
        ("a.TextGrid", _HEAD + "0\n9\n<exists>\n1\n"),
        ("a.TextGrid", _long([("words", [(0.0, 1.0, "")])])),
        ("a.eaf", "<a>"),
        ("a.eaf", "<a/>"),
        ("a.docx", "so"),
        ("a.txt", b"\xff\xfa"),
        ("a.srt", b"\xff\xfa"),
    ],
)
def test_what_is_no_transcript_is_one_error_with_the_file(write: Write, name: str, content: str | bytes) -> None:
    with pytest.raises(TriviumError) as caught:
        read_transcript_file(write(name, content))
    assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.srt", "00:00:01,000 --> 00:00:02,000\nx" + "\n" * 2_000_000 + "y"),
        ("a.srt", "00:00:01,000 --> 00:00:02,000\n" + "<a" * 1_000_000),
        ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\n" + "{" * 2_000_000),
        ("a.TextGrid", _long([("words", [(0.0, 1.0, 'text = "' * 200_000)])])),
        ("a.srt", "x" * (5 << 20)),
    ],
)
def test_a_file_made_to_take_forever_ends_soon(write: Write, name: str, content: str) -> None:
    begin = time.process_time()
    with contextlib.suppress(LimitError):
        read_transcript_file(write(name, content))
    assert time.process_time() - begin < 5


def test_a_transcript_without_read_permission(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)  # root may read everything, so the mode of the file proves nothing
    with pytest.raises(DataError, match=r"a\.srt.*Permission denied"):
        read_transcript_file(write("a.srt", SRT))


def test_what_is_mended_is_told() -> None:
    told = tidy(
        [
            Segment(5.0, 6.0, "five"),
            Segment(-1.0, 1.0, "zero"),
            Segment(0.5, 2.0, "half"),
            Segment(3.0, 3.0, "no length"),
            Segment(8.0, 7.0, "backwards"),
            Segment(3.0, 4.0, "  "),
        ]
    )
    assert _lines(told) == [(0.0, 0.5, "zero"), (0.5, 2.0, "half"), (5.0, 6.0, "five")]
    assert dict(told.findings) == {
        "begins before 0, set to 0": 1,
        "ends before it begins or before 0, left out": 2,
        "out of order, sorted": 1,
        "overlapping, the earlier cut where the later begins": 1,
        "without text, left out": 1,
    }


def test_two_segments_that_begin_together_become_one() -> None:
    told = tidy([Segment(1, 2, "left"), Segment(1, 3, "right")])
    assert _lines(told) == [(1, 3, "left right")]


def test_a_negative_stamp_in_subtitles_is_told(write: Write) -> None:
    told = _read(write("a.srt", SRT.replace("00:00:01,000", "-00:00:01,000")))
    assert told.segments[0].start == 0.0 and dict(told.findings)["time before 0, set to 0"] == 1


_TIMES = st.floats(-5, 50, allow_nan=False)


@given(st.lists(st.tuples(_TIMES, _TIMES), min_size=1, max_size=12))
def test_a_tidy_transcript_is_in_order_and_without_overlap(spans: list[tuple[float, float]]) -> None:
    try:
        told = tidy(Segment(start, end, f"w{place}") for place, (start, end) in enumerate(spans))
    except DataError:
        assert all(end <= max(start, 0) for start, end in spans)
        return
    edges = [edge for segment in told.segments for edge in (segment.start, segment.end)]
    assert edges == sorted(edges) and edges[0] >= 0
    kept = [f"w{place}" for place, (start, end) in enumerate(spans) if end > max(start, 0)]
    assert sorted(told.text.split()) == sorted(kept), "no word is lost"


@given(st.lists(_TIMES, min_size=2, max_size=8, unique=True))
def test_neighbouring_spans_share_a_transcript_without_loss_or_doubling(edges: list[float]) -> None:
    words = tuple(TimedWord(f"w{k}", k / 2, k / 2 + 0.4) for k in range(20))
    told = tidy([Segment(0, 10, " ".join(w.text for w in words), words)], "set")
    cuts = [-1.0, *sorted(edges), 60.0]
    parts = [part for a, b in itertools.pairwise(cuts) if (part := told.within(a, b))]
    assert " ".join(part.text for part in parts) == told.text


def test_sentences_end_with_punctuation_pauses_and_thirty_seconds() -> None:
    lines = [
        *(Segment(0, 2, "He said:"), Segment(2, 3, "“So good.”"), Segment(3, 4, "Then"), Segment(6, 7, "nothing")),
        *(Segment(10 + 10 * k, 20 + 10 * k, f"long{k}") for k in range(4)),
    ]
    found = [(s.start, s.end, s.text) for s in sentences(tidy(lines))]
    assert found == [
        *((0.0, 3, "He said: “So good.”"), (3, 4, "Then"), (6, 7, "nothing")),
        *((10, 40, "long0 long1 long2"), (40, 50, "long3")),
    ]


def test_with_word_times_sentences_end_inside_segments() -> None:
    words = (TimedWord("So.", 0, 1), TimedWord("Then", 1, 2), TimedWord("good.", 2, 3))
    assert [s.text for s in sentences(tidy([Segment(0, 3, "So. Then good.", words)], "set"))] == ["So.", "Then good."]


def test_transcripts_that_no_clip_asks_for_are_named(make_clip: MakeClip, tmp_path: Path) -> None:
    for name in "ab":
        make_clip(f"clips/{name}.wav", fps=None)
    (tmp_path / "texts").mkdir()
    for name in ("a", "b1", "nobody"):
        (tmp_path / "texts" / f"{name}.txt").write_text("so good")
    with pytest.warns(UserWarning, match=r"2 transcripts of .*texts belong to no clip here: b1.txt, nobody.txt"):
        find_recordings(tmp_path / "clips", tmp_path / "texts")


def test_a_misnamed_transcript_of_a_folder_with_one_clip_is_named(make_clip: MakeClip, tmp_path: Path) -> None:
    make_clip("clips/a.wav", fps=None)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "other.txt").write_text("so good")
    with pytest.warns(UserWarning, match=r"1 transcript of .*texts belongs to no clip here: other.txt; .*as a.txt"):
        find_recordings(tmp_path / "clips", tmp_path / "texts")
    (tmp_path / "texts" / "a.txt").write_text("so good")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the folder may be for more clips than the one that is asked for
        assert find_recordings(tmp_path / "clips", tmp_path / "texts")[0].transcript == "so good"


def test_transcripts_that_lie_beside_the_clips_unread_are_told(make_clip: MakeClip, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    for name in ("a.wav", "b.wav", "deep/a.wav", "deep/c.wav"):
        make_clip(f"clips/{name}", fps=None)
    for name in ("a.txt", "a.SRT", "deep/c.eaf", "deep/b.txt", "b.csv", "notes.txt"):
        (clips / name).write_text("so good")
    with pytest.warns(
        UserWarning, match=r"^3 transcripts lie beside the clips and were not read: a.SRT, a.txt, c.eaf;"
    ):
        warn_of_unread(clips, find_recordings(clips))
    with pytest.warns(UserWarning, match=rf"give --transcripts {re.escape(str(clips))}$"):
        warn_of_unread(clips / "*.wav", find_recordings(clips / "*.wav"))
    with pytest.warns(UserWarning, match=r"^1 transcript lies beside the clip and was .*--transcripts .*deep/c.eaf$"):
        warn_of_unread(clips / "deep" / "c.wav", find_recordings(clips / "deep" / "c.wav"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unread(clips, [Recording(clips / "a.wav", "a", transcript="so good"), Recording(clips / "no.wav", "n")])


def test_the_command_says_that_transcripts_beside_the_clips_were_not_read(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clip("clips/a.wav", fps=None)
    (tmp_path / "clips" / "a.txt").write_text("so good")

    def stop(*_: object) -> None:
        raise UpstreamError("models are not needed to tell")

    monkeypatch.setattr("trivium.extract.clip.ClipExtractor.require_models", stop)
    with pytest.raises(UpstreamError), pytest.warns(UserWarning, match="1 transcript lies beside the clips"):
        extract_clips(tmp_path / "clips", tmp_path / "out")
    with warnings.catch_warnings(), pytest.raises(UpstreamError):
        warnings.simplefilter("error")
        extract_clips(tmp_path / "clips", tmp_path / "out", transcripts=tmp_path / "clips")
