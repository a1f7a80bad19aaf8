"""inspect --quality: what it tells, compared with hand counts; what it cannot tell; tables, JSON, page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from trivium.cli import app
from trivium.corpus import Corpus, Specification, Stream, StreamSpecification, Utterance, Words, concat
from trivium.corpus.cache import cache_path
from trivium.corpus.manifest import read_manifest
from trivium.corpus.notes import ExtractionNote, pack_notes, read_notes
from trivium.errors import FormatError
from trivium.report.clip_tables import clip_rows
from trivium.report.quality import corpus_quality
from trivium.report.quality_page import write_quality_page
from trivium.report.quality_tables import quality_json, quality_tables, totals, untold
from trivium.report.sketch import draw_sketch
from trivium.report.worst import worst_first

VOICE = StreamSpecification("audio", ("voicing", "energy_db"), clock="seconds")
FACE = StreamSpecification("vision", ("mouth_opening", "face_confidence"), clock="seconds")
SPECIFICATION = Specification((VOICE, FACE))
FINDING = {
    **{"kind": "missing", "modality": "vision", "action": "no face", "utterances": 1, "count": 1},
    "examples": [{"utterance": "quiet", "row": None, "column": "", "count": 1}],
}


def steps(begin: float, count: int, seconds: float) -> NDArray[np.float64]:
    starts = begin + np.arange(count) * seconds
    return np.column_stack([starts, starts + seconds])


def voice(*rows: tuple[float, float]) -> Stream:
    return Stream(np.array(rows, np.float32), VOICE, steps(0.0, len(rows), 0.5))


def face(count: int) -> Stream:
    values = np.tile(np.array([[0.25, 0.75]], np.float32), (count, 1))
    return Stream(values, FACE, steps(0.0, count, 0.1))


def spoken(*confidence: float) -> Words:
    words = tuple(f"w{k}" for k in range(len(confidence)))
    return Words(words, steps(0.0, len(words), 0.5), np.array(confidence, np.float32))


def corpus() -> Corpus:
    loud = voice((1, -10), (1, -20), (0, -60), (0, -60))
    made = [
        Utterance("good", {"audio": loud, "vision": face(20)}, spoken(0.25, 0.25, 0.5, 0.5), start=0, end=2),
        Utterance("half a face", {"audio": loud, "vision": face(10)}, spoken(0.5, 0.5, 0.5, 0.5), start=0, end=2),
        Utterance("quiet", {"audio": voice((0, -80), (0, -80))}, spoken(0.25, 0.25), start=0, end=1),
        Utterance("silent", {"vision": face(20)}, spoken(0, 0, 0, 0), start=0, end=2),
    ]  # fmt: skip
    notes = {
        "good": ExtractionNote("given", "aligned", 0, [], 20, -3.0, 0.0),
        "half a face": ExtractionNote("given", "aligned", 1, ["w1", "w2"], 20, 0.0, 0.004),
        "quiet": ExtractionNote("given", "aligned", 0, [], None, -70.0, 0.0),
        "silent": ExtractionNote("given", "spread", frames=25, missing={"audio": "no sound"}),
    }
    failures = [{"id": "broken", "clip": "broken.mp4", "reason": "cannot be decoded"}]
    return Corpus.from_utterances(
        made, SPECIFICATION, {"notes": pack_notes(notes), "findings": [FINDING], "failures": failures}
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    corpus().save(tmp_path / "corpus")
    return tmp_path / "corpus"


def inspect(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["inspect", *arguments], env={"COLUMNS": "200"})


def test_an_utterance_is_what_a_hand_count_says() -> None:
    good, half, quiet, silent = corpus_quality(corpus()).utterances
    assert (good.words, good.timed, good.confidence, good.voiced) == (4, 4, 0.375, 0.5)
    assert good.level_db == pytest.approx(10 * np.log10((0.1 + 0.01) / 2), abs=1e-6), "the voiced steps alone"
    assert quiet.level_db == pytest.approx(-80, abs=1e-5), "all steps where none is voiced"
    assert [one.faced for one in (good, half, quiet, silent)] == [4, 2, 0, 4]
    assert (half.face_steps, half.frames, half.face_confidence) == (10, 20, 0.75)
    assert (half.clipped, half.peak_db, half.unknown, half.guessed) == (0.004, 0.0, ["w1", "w2"], 1)
    assert silent.guessed == 4 and silent.voiced is None and silent.level_db is None
    assert quiet.missing == {"vision": "no face"} and silent.missing == {"audio": "no sound"}


def test_the_totals_add_up() -> None:
    total = totals(corpus_quality(corpus()))
    assert (total["utterances"], total["failed"], total["seconds"]) == (4, 1, 7.0)
    words = total["words"]
    assert (words["count"], words["with_times"], words["share_with_times"]) == (14, 14, 1.0)
    assert words["timing"] == {"aligned": 9, "spread": 5}
    assert words["confidence"] == {"given": pytest.approx((4 * 0.375 + 4 * 0.5 + 2 * 0.25) / 10)}
    assert total["unknown"] == {"count": 2, "words": 10, "share": 0.2, "most": {"w1": 1, "w2": 1}}
    assert total["voice"]["voiced"] == pytest.approx(4 / 10) and total["voice"]["utterances_clipped"] == 1
    assert (total["face"]["words"], total["face"]["with_face"]) == (14, 10)
    assert (total["face"]["frames"], total["face"]["frames_with_face"]) == (65, 50)
    assert total["missing"] == [
        {"modality": "audio", "reason": "no sound", "utterances": 1},
        {"modality": "vision", "reason": "no face", "utterances": 1},
    ]


def test_a_folder_tells_the_same_as_the_corpus_and_needs_no_cache(folder: Path) -> None:
    assert corpus_quality(folder).utterances == corpus_quality(corpus()).utterances
    assert not cache_path(read_manifest(folder)).exists()


def test_the_worst_come_first_with_their_reasons() -> None:
    ranked = worst_first(corpus_quality(corpus()))
    assert [one.id for one, _ in ranked] == ["quiet", "silent", "half a face", "good"]
    told = {one.id: [problem.text for problem in why] for one, why in ranked}
    assert told["silent"] == ["4 of 4 words spread evenly, not aligned", "no audio: no sound"]
    assert told["half a face"][0] in ("a face at 2 of 4 words", "2 of 4 words unknown (w1, w2)")
    assert "0.4 % of the samples clipped" in told["half a face"] and "no vision: no face" in told["quiet"]
    assert told["good"] == []


def test_what_is_not_in_the_corpus_is_said_and_not_invented() -> None:
    plain = Corpus.from_utterances(list(corpus()), SPECIFICATION)
    quality = corpus_quality(plain)
    assert {"how words were timed", "unknown words", "peak and clipping", "share of frames with a face"} <= set(
        untold(quality)
    )
    assert all(one.timing is None and one.clipped is None and one.frames is None for one in quality.utterances)
    assert quality.utterances[2].missing == {"vision": ""}
    assert totals(quality)["words"]["timing"] == {"not recorded": 14}


def test_a_row_of_zeros_is_no_face_where_the_steps_are_words() -> None:
    spec = StreamSpecification("vision", ("smile",), clock="words")
    seen = Stream(np.array([[0.5], [0.0], [0.25]], np.float32), spec)
    one = Utterance("a", {"vision": seen}, spoken(1, 1, 1))
    assert corpus_quality(Corpus.from_utterances([one], Specification((spec,)))).utterances[0].faced == 2


def test_notes_of_joined_corpora_are_found_and_malformed_ones_refused() -> None:
    other = Corpus.from_utterances([replace(corpus()[0], id="other")], SPECIFICATION)
    both = concat([corpus(), other], ["one", "two"])
    assert [one.timing for one in corpus_quality(both).utterances] == ["aligned"] * 3 + ["spread", None]
    for notes in ({"id": ["a"], "frames": []}, {"id": ["a"], "frames": ["many"]}, {"id": [1]}, ["a"]):
        with pytest.raises(FormatError, match="notes"):
            read_notes({"notes": notes})


def test_notes_come_back_as_they_went() -> None:
    notes = {"a": ExtractionNote("given", "spread"), "b": ExtractionNote(frames=3, missing={"text": "no speech"})}
    assert read_notes({"notes": json.loads(json.dumps(pack_notes(notes)))}) == notes


def test_json_holds_totals_utterances_worst_and_failures(folder: Path) -> None:
    printed = inspect(str(folder), "--quality", "--json")
    assert printed.exit_code == 0
    told = json.loads(printed.stdout)
    assert told == json.loads(json.dumps(quality_json(corpus_quality(folder))))
    assert [row["id"] for row in told["worst"]] == ["quiet", "silent", "half a face"]
    assert told["failures"][0]["clip"] == "broken.mp4" and len(told["utterances"]) == 4


def test_the_tables_and_the_page_say_the_same(folder: Path, tmp_path: Path) -> None:
    printed = inspect(str(folder), "--quality", "--html", str(tmp_path / "q.html"))
    assert printed.exit_code == 0, printed.output
    page = (tmp_path / "q.html").read_text(encoding="utf-8")
    for table in quality_tables(corpus_quality(folder), clips=30):
        assert table.title in printed.stdout and table.title in page
    for text in ("no vision: no face", "cannot be decoded", "aligned 9, spread evenly 5", "71.4 %", "w1, w2"):
        assert text in printed.stdout and text in page, text
    assert page.count('class="sketch"') == 3 + 4, "the worst, and one for every clip"
    assert "src=" not in page and "http" not in page.replace("http-equiv", "")


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    one = Utterance("</script><marquee>", words=spoken(0.0))
    hostile = Corpus.from_utterances([one], Specification(()), {"failures": [{"id": "[bold]x", "reason": "<marquee>"}]})
    write_quality_page(tmp_path / "q.html", corpus_quality(hostile), hostile, show=False)
    page = (tmp_path / "q.html").read_text(encoding="utf-8")
    assert "<marquee>" not in page and "&lt;/script&gt;&lt;marquee&gt;" in page


def test_a_corpus_without_words_voice_and_face_gets_a_clear_word(tmp_path: Path) -> None:
    spec = StreamSpecification("gaze", ("x",))
    one = Utterance("a", {"gaze": Stream(np.ones((2, 1), np.float32), spec)})
    Corpus.from_utterances([one], Specification((spec,))).save(tmp_path / "plain")
    printed = inspect(str(tmp_path / "plain"), "--quality")
    assert printed.exit_code == 0 and "cannot be told" in printed.stdout
    Corpus.from_utterances([], Specification(())).save(tmp_path / "empty")
    assert inspect(str(tmp_path / "empty"), "--quality").exit_code == 0


def test_a_sketch_draws_guessed_words_hollow_and_leaves_the_hole_of_the_face_empty() -> None:
    full = str(draw_sketch(corpus()[0]))
    assert "sketch-word" in full and "sketch-guess" not in full and "sketch-voice" in full
    assert full.count("H480") == 0 and 'class="sketch-face"' in full
    half = str(draw_sketch(corpus()[1]))
    (band,) = [part for part in half.split("<path ") if "sketch-face" in part]
    assert 'd="M0 37H239.2V45H0Z"' in band, "the face ends in the middle of the two seconds"
    assert "sketch-guess" in str(draw_sketch(corpus()[3]))


def test_the_choice_between_faces_is_told_and_the_least_sure_named(tmp_path: Path) -> None:
    names = ("alone", "sure", "unsure", "old")
    made = [Utterance(name, {"vision": face(20)}, start=0, end=2) for name in names]
    notes = {
        "alone": ExtractionNote(frames=20, faces=1, shots=1),
        "sure": ExtractionNote(frames=20, faces=2, shots=1, speaker_confidence=0.96),
        "unsure": ExtractionNote(frames=20, faces=3, shots=2, speaker_confidence=0.4),
        "old": ExtractionNote(frames=20),
    }
    wide = Specification((FACE, StreamSpecification("vision_2", FACE.columns, clock="seconds")))
    missing = {name: {"vision_2": "no further face"} for name in names}
    notes = {name: replace(note, missing=missing[name]) for name, note in notes.items()}
    quality = corpus_quality(Corpus.from_utterances(made, wide, {"notes": pack_notes(notes)}))
    assert totals(quality)["speaker"] == {
        **{"utterances": 3, "several_faces": 2, "share": pytest.approx(2 / 3, abs=1e-6), "least_sure": "unsure"},
        "confidence": {"min": 0.4, "median": pytest.approx(0.68), "max": 0.96},
    }
    assert totals(quality)["missing"] == [], "a second face is no loss where there is one person"
    told = {one.id: [problem.text for problem in why] for one, why in worst_first(quality)}
    assert told["unsure"] == ["several faces; which one speaks is sure by 0.40"] and not told["alone"]
    assert "which of several faces speaks" not in untold(quality)
    rows = {row[0]: row for row in quality_tables(quality, clips=4)[0].rows}
    assert rows["utterances with several faces"][1:] == ["66.7 %", "2 of 3"]
    assert rows["speaker choice, how sure"][2] == "median; least sure unsure: 0.40"
    assert totals(corpus_quality(corpus()))["speaker"] is None


@pytest.mark.parametrize("width", [80, 100])
def test_no_table_is_wider_than_the_screen_and_no_word_is_cut(folder: Path, width: int) -> None:
    printed = CliRunner().invoke(app, ["inspect", str(folder), "--quality"], env={"COLUMNS": str(width)})
    assert printed.exit_code == 0 and max(map(len, printed.stdout.splitlines())) <= width
    heads = [line.split() for line in printed.stdout.splitlines() if line.strip().startswith("id")]
    assert ["id", "s", "words", "how", "fit", "unknown"] in heads and ["id", "at", "words", "in", "frames"] in heads
    assert ["id", "voiced", "level", "peak", "clipped"] in heads
    for whole in ("half a face", "given, aligned", "given, spread evenly", "100 %"):
        assert whole in printed.stdout, whole


def test_the_two_kinds_of_confidence_stand_in_columns_of_their_own() -> None:
    notes = {
        "given": ExtractionNote("given", "aligned", 0),
        "found": ExtractionNote("recognised", "recognised", 0),
        "heard": ExtractionNote("given", "recognised", 0),
        "set": ExtractionNote("given", "set", 0),
    }
    made = [Utterance(name, {}, spoken(0.25, 0.75), start=0, end=2) for name in notes]
    quality = corpus_quality(Corpus.from_utterances(made, SPECIFICATION, {"notes": pack_notes(notes)}))
    kinds = {one.id: one.confidence_kind for one in quality.utterances}
    assert kinds == {"given": "fit", "found": "probability", "heard": "probability", "set": None}
    rows = {row[0]: row[3:6] for row in clip_rows(quality.utterances)["words"]}
    assert rows["given"] == ["given, aligned", "0.50", "-"] and rows["set"] == ["given with times", "-", "-"]
    assert rows["found"] == ["recognised, not aligned", "-", "0.50"]
    assert {one.to_json()["confidence_kind"] for one in quality.utterances} == {"fit", "probability", None}


def test_a_clip_with_sound_alone_is_not_to_blame_for_its_missing_face() -> None:
    heard = [Utterance(name, {"audio": voice((1, -10))}, spoken(0.5), start=0, end=1) for name in ("radio", "hidden")]
    notes = {
        "radio": ExtractionNote("given", "aligned", 0, missing={"vision": "no picture"}),
        "hidden": ExtractionNote("given", "aligned", 0, missing={"vision": "no face"}),
    }
    quality = corpus_quality(Corpus.from_utterances(heard, SPECIFICATION, {"notes": pack_notes(notes)}))
    told = {one.id: [problem.text for problem in why] for one, why in worst_first(quality)}
    assert told == {"hidden": ["no vision: no face"], "radio": []}
    assert totals(quality)["face"]["words"] == 1, "its words are not among those that lack a face"
    assert totals(quality)["missing"][1] == {"modality": "vision", "reason": "no picture", "utterances": 1}


def test_the_page_says_what_its_colours_mean(folder: Path, tmp_path: Path) -> None:
    assert inspect(str(folder), "--html", str(tmp_path / "q.html")).exit_code == 0
    page = (tmp_path / "q.html").read_text(encoding="utf-8")
    for name, what in (("sketch-word", "words"), ("sketch-guess", "a guess"), ("sketch-face", "a face is seen")):
        (swatch, *_) = re.findall(rf'<rect [^>]*class="{name}"></rect></svg>([^<]*)</span>', page)
        assert what in swatch
