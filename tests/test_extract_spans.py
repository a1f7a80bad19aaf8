"""Spans of clips: tables of them, long clips that are cut, one decoding for all, and times that stay the clip's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from trivium import upstream
from trivium.cli import app
from trivium.errors import DataError, FormatError, MediaError
from trivium.extract import ClipExtractor, Recording, extract_clips, find_recordings
from trivium.extract.source.listing import TranscriptSource
from trivium.extract.source.media import SOUND_RATE, Clip, open_clip
from trivium.extract.source.span_table import span_recordings
from trivium.extract.words.cutting import pieces_of, voiced_spans
from trivium.extract.words.segment_times import time_segments
from trivium.extract.words.timed_transcript import Segment, TimedTranscript, TimedWord, tidy

MakeClip = Callable[..., Path]


def _table(path: Path, *rows: str, head: str = "clip,start,end,id") -> Path:
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def two(make_clip: MakeClip, tmp_path: Path) -> Path:
    """Two clips of two seconds: tones of 300 and of 600 Hz."""
    make_clip("clips/low.wav", fps=None, tone=300.0, seconds=2.0)
    make_clip("clips/high.wav", fps=None, tone=600.0, seconds=2.0)
    return tmp_path / "clips"


def test_spans_of_a_table_become_utterances_with_times_of_the_clip(two: Path, tmp_path: Path) -> None:
    table = _table(
        tmp_path / "spans.csv",
        "high.wav,0.5,1.25,007,calm,x,train",
        "low,1.0,2.0,a,angry,y,test",
        head="clip,start,end,id,label.mood,group.speaker,split.official",
    )
    corpus = extract_clips(two, tmp_path / "out", spans=table, modalities=["audio"], show=False)
    assert corpus.ids.tolist() == ["007", "a"] and corpus.provenance["failures"] == []
    first, second = corpus
    assert (first.clip, first.start, first.end) == ("high.wav", 0.5, 1.25)
    voice = first.streams["audio"]
    assert voice.times is not None and voice.steps == 75
    assert voice.times[0].tolist() == [0.5, 0.51] and voice.times[-1, 1] == 1.25
    alone = voice_of(two / "high.wav", 0.5, 1.25)
    np.testing.assert_array_equal(voice.values, alone)
    assert corpus.label("mood").tolist() == ["calm", "angry"] and corpus.group("speaker").tolist() == ["x", "y"]
    assert corpus.split("official").tolist() == ["train", "test"] and corpus.group("video").tolist() == ["high", "low"]
    assert second.streams["audio"].times[0, 0] == 1.0  # type: ignore[index]


def test_a_column_that_nobody_knows_is_named(two: Path, tmp_path: Path) -> None:
    table = _table(tmp_path / "spans.csv", "low,0.5,1.25,a,1", head="clip,start,end,id,label_sentimnt")
    with pytest.warns(UserWarning, match="spans.csv: not used: label_sentimnt; .* label.NAME"):
        extract_clips(two, spans=table, modalities=["audio"], show=False)


def voice_of(path: Path, start: float, end: float) -> Any:
    """Voice columns of a stretch of sound, by cutting the sound by hand."""
    from trivium.extract.audio.voice import voice_stream

    sound = open_clip(path).sound()
    assert sound is not None
    return voice_stream(sound[round(start * SOUND_RATE) : round(end * SOUND_RATE)]).values


def test_bad_rows_cost_only_themselves_and_are_reported(two: Path, tmp_path: Path) -> None:
    table = _table(
        tmp_path / "spans.csv",
        *("low,0,1,good", "low,1,1,empty", "low,7,8,late", "gone.mp4,0,1,nowhere", "low,0,1,good", "low,x,1,words"),
        *("low,0.2,1,", "low,-1,1,early", "low,1.5,9,over"),
    )
    options = ["--spans", str(table), "--modalities", "audio", "--json", "--out", str(tmp_path / "out")]
    done: Any = CliRunner().invoke(app, ["extract", str(two), *options])
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    reasons = {f["id"]: f["reason"] for f in told["failures"]}
    assert told["utterances"] == 2 and set(reasons) == {"empty", "late", "nowhere", "good", "words", "row 7", "early"}
    assert "from 1 to 1 s is empty" in reasons["empty"] and "begins at 7 s, and the clip ends at 2" in reasons["late"]
    assert "no clip 'gone.mp4'" in reasons["nowhere"] and "taken by an earlier row" in reasons["good"]
    assert "no span in seconds" in reasons["words"] and "no id" in reasons["row 7"] and "before" in reasons["early"]
    assert [f["action"] for f in told["findings"]] == ["ends after the clip, cut at its end"]


def test_a_parquet_table_and_one_clip_need_no_column_clip(two: Path, tmp_path: Path) -> None:
    columns = {"id": [1, 2], "start": [0.0, 0.5], "end": [0.5, 1.0], "label_A": [0.5, None], "mode": ["train", "test"]}
    pq.write_table(pa.table(columns), tmp_path / "spans.parquet")
    recordings, labels = span_recordings(two / "low.wav", tmp_path / "spans.parquet")
    assert [r.id for r in recordings] == ["1", "2"] and recordings[0].labels == {"sentiment@audio": 0.5}
    assert [label.key for label in labels] == ["sentiment@audio"] and recordings[1].splits == {"standard": "test"}


def test_a_cell_may_hold_lines_and_a_mark_may_open_the_file(two: Path, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(
        'clip,start,end,id,text,label\nlow,0,1,01,"so,\ngood",0.5\nlow,1,2,02,,\n', encoding="utf-8-sig"
    )
    recordings, labels = span_recordings(two, tmp_path / "s.csv")
    assert [r.transcript for r in recordings] == ["so,\ngood", None] and [r.id for r in recordings] == ["01", "02"]
    assert [dict(r.labels) for r in recordings] == [{"sentiment": 0.5}, {}] and labels[0].kind == "regression"


@pytest.mark.parametrize("content", [b"", b"id\n1\n", b"\xff\xfe\x00", b"PAR1", b"id,id,start,end\n1,1,0,1\n"])
def test_what_is_no_table_of_spans_is_one_error(two: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "spans.csv").write_bytes(content)
    with pytest.raises(FormatError, match=r"spans\.csv"):
        span_recordings(two, tmp_path / "spans.csv")


def test_a_name_that_two_clips_share_is_refused_and_their_paths_are_not(make_clip: MakeClip, tmp_path: Path) -> None:
    for name in ("clips/x/1.wav", "clips/y/1.wav"):
        make_clip(name, fps=None, seconds=0.3)
    table = _table(tmp_path / "s.csv", "1,0,0.2,a", "x/1,0,0.2,b", "y/1.wav,0,0.2,c")
    recordings, _ = span_recordings(tmp_path / "clips", table)
    assert [r.fault is None for r in recordings] == [False, True, True]
    assert "may mean 2 clips" in str(recordings[0].fault)
    assert recordings[2].path == tmp_path / "clips" / "y" / "1.wav"


def test_a_clip_is_decoded_once_for_all_its_spans(two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = Clip.sound

    def sound(self: Clip, **named: Any) -> Any:
        opened.append(self.path.name)
        return real(self, **named)

    monkeypatch.setattr(Clip, "sound", sound)
    rows = [f"{name},{start / 4},{start / 4 + 0.25},{name}{start}" for start in range(6) for name in ("low", "high")]
    table = _table(tmp_path / "s.csv", *rows)
    corpus = extract_clips(two, spans=table, modalities=["audio"], show=False)
    assert opened == ["low.wav", "high.wav"] and corpus.ids.tolist() == [row.rsplit(",", 1)[1] for row in rows]


def test_a_killed_run_over_spans_goes_on_with_the_same_bytes(
    two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = _table(tmp_path / "s.csv", "low,0,1,a", "high,0,1,b", "low,0.5,1.5,c", "low,5,6,d")
    options: dict[str, Any] = {"spans": table, "modalities": ["audio"], "show": False}
    extract_clips(two, tmp_path / "straight", **options)
    real = ClipExtractor._utterance

    def utterance(self: ClipExtractor, source: Any, recording: Recording, face: Any) -> Any:
        if recording.id == "c":
            raise KeyboardInterrupt
        return real(self, source, recording, face)

    with monkeypatch.context() as patch:
        patch.setattr(ClipExtractor, "_utterance", utterance)
        with pytest.raises(KeyboardInterrupt):
            extract_clips(two, tmp_path / "killed", **options)
    extract_clips(two, tmp_path / "killed", **options)
    straight, killed = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("straight", "killed"))
    assert straight == killed


class _Tracker:
    """Sees a face in every picture; what it gives tells how many pictures it has followed without a break."""

    canonical = None

    def detect(self, picture: Any, turn: Any = None) -> list[Any]:
        return [_Followed(0)]

    def look(self, picture: Any, region: Any) -> Any:
        return _Followed(region + 1)


class _Followed:
    box = np.array([0.0, 0.0, 9.0, 9.0])
    landmarks = np.zeros((478, 3))

    def __init__(self, region: int) -> None:
        self.region = region


def test_overlapping_spans_follow_their_own_faces_in_one_pass(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trivium.extract.vision import face_columns as vision

    path = make_clip("a.mp4", seconds=2.0, fps=10, tone=None)
    monkeypatch.setattr(vision.FaceExtractor, "tracker", lambda _: _Tracker())
    monkeypatch.setattr(vision.FaceExtractor, "row", lambda _, face, *rest: np.full(66, face.region, np.float32))
    passes = 0
    real = Clip.frames

    def frames(self: Clip, *options: Any, **named: Any) -> Iterator[Any]:
        nonlocal passes
        passes += 1
        return real(self, *options, **named)

    monkeypatch.setattr(Clip, "frames", frames)
    spans = [Recording(path, "a", start=0.5, end=1.0), Recording(path, "b", start=0.7, end=1.25), Recording(path, "c")]
    extractor = ClipExtractor(["vision"], frames_per_second=10)
    made = [result for _, result in extractor.extract_spans(spans)]
    streams = [result[0].utterance.streams["vision"] for result in made if not isinstance(result, Exception)]
    assert passes == 1 and [s.steps for s in streams] == [5, 6, 20]
    for stream, start, end in zip(streams, (0.5, 0.7, 0.0), (1.0, 1.25, 3.0), strict=True):
        assert stream.values[:, 0].tolist() == list(range(1, stream.steps + 1)), "followed from its own first frame"
        assert stream.times is not None
        assert stream.times[0, 0] == pytest.approx(start, abs=1e-3) and stream.times[-1, 1] <= end


def test_damage_after_a_span_is_not_its_own(damaged_at_two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trivium.extract.vision import face_columns as vision

    monkeypatch.setattr(vision.FaceExtractor, "tracker", lambda _: _Tracker())
    monkeypatch.setattr(vision.FaceExtractor, "row", lambda _, face, *rest: np.full(66, face.region, np.float32))
    extractor = ClipExtractor(["vision"], frames_per_second=10)
    early, late = (Recording(damaged_at_two, name, start=a, end=b) for name, a, b in (("a", 0, 1), ("b", 1, 4)))
    alone = extractor.extract(early)
    whole = Recording(damaged_at_two, "c")
    (_, beside), (_, refused), (_, also) = extractor.extract_spans([early, late, whole])
    assert not isinstance(beside, Exception) and beside[0].findings == alone.findings
    values = [one.utterance.streams["vision"].values.tobytes() for one in (alone, beside[0])]
    assert values[0] == values[1] and not any(finding.kind == "damage" for finding in alone.findings)
    for error in (refused, also):
        assert isinstance(error, MediaError) and "30 of 101 video packets" in str(error)


def test_damage_in_the_sound_after_a_span_is_not_its_own(damaged_sound: Path) -> None:
    recordings = [Recording(damaged_sound, name, start=a, end=b) for name, a, b in (("a", 0, 1), ("b", 1, 4))]
    (_, early), (_, late), (_, whole) = ClipExtractor(["audio"]).extract_spans(
        [*recordings, Recording(damaged_sound, "c")]
    )
    assert not isinstance(early, Exception) and early[0].findings == ()
    for error in (late, whole):
        assert isinstance(error, MediaError) and "audio packets cannot be decoded" in str(error)


def _lines(*spans: tuple[float, float, str]) -> TimedTranscript:
    return tidy(Segment(*span) for span in spans)


def test_a_recording_is_cut_at_its_sentences() -> None:
    told = _lines((0.5, 1.0, "Kids are"), (1.0, 1.5, "talking."), (1.6, 2.0, "[music]"), (2.5, 3.0, "By the door."))
    first, second = pieces_of(Recording(Path("a.mp4"), groups={"speaker": "7"}), told, None, (0.0, 3.1))
    assert (first.id, second.id) == ("a$_$0001", "a$_$0002")
    assert dict(first.groups) == {"video": "a", "speaker": "7"}
    assert (first.start, first.end) == pytest.approx((0.3, 1.7)) and (second.start, second.end) == (2.3, 3.1)
    assert isinstance(second.transcript, TimedTranscript) and second.transcript.text == "By the door."


def test_where_nobody_speaks_there_is_nothing_to_cut(make_clip: MakeClip, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nobody speaks"):
        pieces_of(Recording(Path("a.mp4")), None, [], (0.0, 1.0))
    with pytest.raises(DataError, match="nobody speaks"):
        extract_clips(make_clip("a.wav", fps=None), modalities=["audio"], cut="voice", show=False)
    assert voiced_spans(np.zeros(16000, np.float32)) == []


def test_unknown_cuts_are_refused() -> None:
    with pytest.raises(DataError, match="whole, sentences, voice"):
        ClipExtractor(["audio"], cut="words")  # type: ignore[arg-type]


def test_a_clip_with_subtitles_is_cut_into_a_corpus(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip("talk.wav", fps=None, seconds=4.0)
    (tmp_path / "talk.srt").write_text(
        "1\n00:00:00,500 --> 00:00:01,000\nKids are\n\n2\n00:00:01,000 --> 00:00:01,500\ntalking.\n\n"
        "3\n00:00:02,500 --> 00:00:03,000\nBy the door.\n"
    )
    corpus = extract_clips(
        clip, tmp_path / "out", transcripts=tmp_path / "talk.srt", cut="sentences", modalities=["audio"], show=False
    )
    assert corpus.ids.tolist() == ["talk$_$0001", "talk$_$0002"] and corpus.group("video").tolist() == ["talk", "talk"]
    assert [(u.start, u.end) for u in corpus] == [(0.3, 1.7), (2.3, 3.2)]
    assert corpus.provenance["cut"] == "sentences"


@pytest.fixture
def voice(need_models: Callable[..., None]) -> Path:
    """5.3 seconds of a person reading."""
    need_models("sample-voice", "minilm-l6", "g2p-en")
    return upstream.model_file("sample-voice")


def test_voice_is_found_where_it_is(voice: Path) -> None:
    sound = open_clip(voice).sound()
    assert sound is not None
    quiet = np.zeros(3 * SOUND_RATE, np.float32)
    found = voiced_spans(np.concatenate([quiet, sound, quiet, sound]))
    assert found[0][0] == pytest.approx(3.0, abs=0.4) and found[-1][1] == pytest.approx(16.6, abs=0.4)
    silent = 3.0 + len(sound) / SOUND_RATE + 1.5
    assert not any(start <= silent < end for start, end in found)


def test_a_timed_transcript_is_aligned_inside_its_segments(voice: Path) -> None:
    sound = open_clip(voice).sound()
    told = _lines(
        (0.0, 2.6, "Unless to be rather cold-hearted"), (2.6, 5.3, "and rather selfish is to be ill disposed")
    )
    transcript, timed = time_segments(sound, told, 0.0, 5.3)
    whole = " ".join(segment.text for segment in told.segments)
    assert transcript.text == whole and timed.timing == "aligned"
    assert np.all(np.diff(timed.times[:, 0]) >= 0) and timed.times[-1, 1] <= 5.3
    moved = time_segments(sound, _moved(told, 100.0), 100.0, 105.3)[1]
    np.testing.assert_allclose(moved.times - 100.0, timed.times, atol=1e-6)


def _moved(told: TimedTranscript, seconds: float) -> TimedTranscript:
    return tidy(Segment(s.start + seconds, s.end + seconds, s.text) for s in told.segments)


def test_without_sound_words_keep_to_their_segments() -> None:
    transcript, timed = time_segments(None, _lines((1.0, 2.0, "kids are"), (4.0, 5.0, "talking")), 0.0, 9.0)
    assert timed.times.tolist() == [[1.0, 1.5], [1.5, 2.0], [4.0, 5.0]] and timed.timing == "spread"
    assert transcript.words == ("kids", "are", "talking") and timed.guessed == transcript.words


def test_set_word_times_stay_as_they_are() -> None:
    words = (TimedWord("only", 1.0, 1.5), TimedWord("21.", 1.5, 2.5))
    _, timed = time_segments(np.zeros(64000, np.float32), tidy([Segment(1, 3, "only 21.", words)], "set"), 0.0, 4.0)
    assert timed.times.tolist() == [[1.0, 1.5], [1.5, 2.0], [2.0, 2.5]] and timed.timing == "set"
    assert timed.confidence.tolist() == [1.0, 1.0, 1.0]


def test_the_transcript_of_a_longer_clip_is_told(make_clip: MakeClip) -> None:
    told = _lines((40.0, 42.0, "another clip"))
    extracted = ClipExtractor(["text", "audio"]).extract(Recording(make_clip("a.wav", fps=None), transcript=told))
    actions = {(f.kind, f.action) for f in extracted.findings}
    assert ("transcript", "segments begin after the end of the clip, left out") in actions
    assert ("missing", "the transcript has no words at this time") in actions


def test_transcripts_of_all_kinds_are_found_by_id_and_the_one_with_most_times_counts(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).touch()
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text("plain")
    (texts / "a.json").write_text(json.dumps({"segments": [{"start": 0, "end": 1, "text": "timed"}]}))
    (texts / "b.srt").write_text("nothing")
    first, second = find_recordings(tmp_path, texts)
    assert isinstance(first.transcript, TimedTranscript) and first.transcript.text == "timed"
    assert second.transcript is None and "its transcript b.srt holds no segment" in str(second.fault)


def test_one_file_is_the_transcript_of_one_clip(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav", "said.txt"):
        (tmp_path / name).write_text("so good")
    (one,) = find_recordings(tmp_path / "a.wav", tmp_path / "said.txt")
    assert one.transcript == "so good"
    with pytest.raises(DataError, match="there are several clips"):
        find_recordings(tmp_path, tmp_path / "said.txt")
    with pytest.raises(DataError, match="no such folder or file"):
        TranscriptSource(tmp_path / "gone", ())


def test_spans_take_their_words_from_the_transcript_of_their_clip(two: Path, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "low.srt").write_text(
        "1\n00:00:00,000 --> 00:00:01,000\nfirst\n\n2\n00:00:01,000 --> 00:00:02,000\nsecond\n"
    )
    (tmp_path / "texts" / "high.txt").write_text("without times")
    (tmp_path / "texts" / "c.txt").write_text("of the span")
    table = _table(
        tmp_path / "s.csv", "low,0,1,a,", "high,0,1,b,", "high,0,1,c,", "high,0,1,d,own", head="clip,start,end,id,text"
    )
    a, b, c, d = span_recordings(two, table, tmp_path / "texts")[0]
    assert isinstance(a.transcript, TimedTranscript) and "has no times" in str(b.fault)
    assert (c.transcript, d.transcript) == ("of the span", "own")


def test_a_pattern_names_clips(tmp_path: Path) -> None:
    for name in ("x/a.wav", "x/b.mp3", "y/a.wav", "y/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [r.id for r in find_recordings(tmp_path / "*" / "a.*")] == ["x/a", "y/a"]
    assert [r.id for r in find_recordings(tmp_path / "x" / "[ab].*")] == ["a", "b"]
    with pytest.raises(MediaError, match="no clips"):
        find_recordings(tmp_path / "y" / "*.txt")
    with pytest.raises(MediaError, match="no such file"):
        find_recordings(tmp_path / "z")


@pytest.fixture
def twice(voice: Path, tmp_path: Path, need_models: Callable[..., None]) -> Path:
    """The same sentence twice, with three seconds of silence before and between."""
    import av

    need_models("whisper-tiny-en")
    sound = open_clip(voice).sound()
    assert sound is not None
    quiet = np.zeros(3 * SOUND_RATE, np.float32)
    pcm = (np.concatenate([quiet, sound, quiet, sound, quiet]) * 32767).astype(np.int16)
    path = tmp_path / "twice.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=SOUND_RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(pcm[None], "s16", "mono")
        frame.sample_rate, frame.pts = SOUND_RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("cut", ["voice", "sentences"])
def test_a_recognised_clip_is_cut_and_its_words_keep_the_time_of_the_clip(twice: Path, cut: Any) -> None:
    corpus = extract_clips(twice, modalities=["text"], cut=cut, show=False)
    assert corpus.provenance["failures"] == []
    assert [f["action"] for f in corpus.provenance["findings"]] == ["recognised, aligned"]
    spoken = [u.words for u in corpus if u.words is not None and u.words.times is not None]
    starts = [t for w in spoken for t, word in zip(w.times[:, 0], w.text, strict=True) if word == "unless"]  # type: ignore[index]
    assert len(starts) == 2 and starts[0] == pytest.approx(3.3, abs=0.4)
    assert starts[1] - starts[0] == pytest.approx(8.3, abs=0.2)
    for one in corpus:
        assert one.words is not None and one.words.times is not None
        assert one.words.times[0, 0] >= one.start and one.words.times[-1, 1] <= one.end


def test_a_long_recognised_clip_is_aligned_sentence_by_sentence(twice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trivium.extract.words import spoken

    monkeypatch.setattr(spoken, "LONGEST_ALIGNED_SECONDS", 5.0)
    extracted = ClipExtractor(["text"]).extract(Recording(twice))
    words = extracted.utterance.words
    assert words is not None and words.times is not None and np.all(np.diff(words.times[:, 0]) >= 0)
    starts = [start for start, word in zip(words.times[:, 0], words.text, strict=True) if word == "unless"]
    assert starts[1] - starts[0] == pytest.approx(8.3, abs=0.2)
    assert [f.action for f in extracted.findings] == ["recognised, aligned"]
