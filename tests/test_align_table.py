"""The table of words: its rows compared with the streams themselves, its cells where nothing was seen, its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

import trivium
from trivium.align import table, word_tables
from trivium.cli import app
from trivium.corpus import Corpus, Specification, Stream, StreamSpecification, Utterance, Words
from trivium.errors import AlignmentError

VOICE = StreamSpecification("audio", ("f0", "energy"), clock="seconds")
FACE = StreamSpecification("vision", ("smile",), clock="seconds")
TOKENS = StreamSpecification("text_tokens", ("id",), dtype="int32")


def steps(begin: float, count: int, seconds: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    starts = begin + np.arange(count) * seconds
    return np.column_stack([starts, starts + seconds])


def utterance(name: str, *, face: bool = True, words: bool = True) -> Utterance:
    rng = np.random.default_rng(sum(map(ord, name)))
    streams = {"audio": Stream(rng.random((10, 2)).astype(np.float32), VOICE, steps(0.0, 10, 0.1))}
    if face:
        streams["vision"] = Stream(rng.random((2, 1)).astype(np.float32), FACE, steps(0.0, 2, 0.2))
    spoken = Words(("ça", 'say "so"', "x,y"), np.array([[0.05, 0.3], [0.3, 0.6], [0.6, 0.95]]))
    return Utterance(name, streams, spoken if words else None, clip=f"{name}.mp4", start=0.0, end=1.0)


def corpus() -> Corpus:
    made = [utterance("007"), utterance("silent", words=False), utterance("no face", face=False)]
    return Corpus.from_utterances(made, Specification((VOICE, FACE)))


def test_a_row_is_a_word_with_the_mean_of_the_steps_that_share_time_with_it(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    trivium.write(corpus(), tmp_path / "words.parquet", format="words")
    frame = pandas.read_parquet(tmp_path / "words.parquet")
    assert frame.columns.tolist() == [
        *("id", "clip", "start", "end", "word", "confidence"),
        *("audio.f0", "audio.energy", "vision.smile"),
    ]
    assert frame["id"].tolist() == ["007"] * 3 + ["no face"] * 3
    assert frame["clip"].tolist() == ["007.mp4"] * 3 + ["no face.mp4"] * 3
    assert frame["word"].tolist() == ["ça", 'say "so"', "x,y"] * 2
    assert frame["start"].tolist() == [0.05, 0.3, 0.6] * 2 and frame["end"].tolist() == [0.3, 0.6, 0.95] * 2
    voice = utterance("007").streams["audio"].values
    expected = np.stack([voice[0:3].mean(axis=0), voice[3:6].mean(axis=0), voice[6:10].mean(axis=0)])
    np.testing.assert_allclose(frame.loc[:2, ["audio.f0", "audio.energy"]].to_numpy(), expected, rtol=1e-6)


def test_where_no_face_was_seen_the_cell_is_empty_and_not_zero() -> None:
    (found,) = word_tables(corpus())
    smile = found.column("vision.smile").to_pylist()
    assert [cell is None for cell in smile] == [False, False, True, True, True, True]


def test_csv_and_parquet_hold_the_same_rows(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    for name in ("words.parquet", "words.CSV"):
        trivium.write(corpus(), tmp_path / name, format="words")
    parquet = pandas.read_parquet(tmp_path / "words.parquet")
    text = pandas.read_csv(tmp_path / "words.CSV", dtype={"id": str})
    for name in ("id", "clip", "word", "start", "end"):
        assert text[name].tolist() == parquet[name].tolist()
    np.testing.assert_allclose(text.iloc[:, 5:], parquet.iloc[:, 5:], rtol=1e-6)


def test_parts_join_to_the_same_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trivium.write(corpus(), tmp_path / "one.parquet", format="words")
    monkeypatch.setattr(table, "_ROWS_AT_ONCE", 1)
    trivium.write(corpus(), tmp_path / "three.parquet", format="words")
    first, second = (pyarrow.parquet.read_table(tmp_path / f"{n}.parquet") for n in ("one", "three"))
    assert first.equals(second)


def test_token_ids_are_left_out() -> None:
    one = utterance("a")
    tokens = Stream(np.zeros((4, 1), np.int32), TOKENS)
    both = Utterance("a", {**one.streams, "text_tokens": tokens}, one.words)
    (found,) = word_tables(Corpus.from_utterances([both], Specification((VOICE, FACE, TOKENS))))
    assert found.num_columns == 9 and found.num_rows == 3


def test_words_without_times_have_rows_where_the_streams_are_words() -> None:
    spec = StreamSpecification("audio", ("f0",), clock="words")
    one = Utterance("a", {"audio": Stream(np.array([[1.0], [2.0]], np.float32), spec)}, Words(("so", "what")))
    (found,) = word_tables(Corpus.from_utterances([one], Specification((spec,))))
    assert found.to_pylist() == [
        {"id": "a", "clip": "", "start": None, "end": None, "word": word, "confidence": None, "audio.f0": value}
        for word, value in (("so", 1.0), ("what", 2.0))
    ]


def test_a_corpus_without_words_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    silent = corpus()[[1]]
    with pytest.raises(AlignmentError, match="no utterance has words with times"):
        trivium.write(silent, tmp_path / "words.parquet", format="words")
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_it_and_pandas_long_reads_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    corpus().save(tmp_path / "corpus")
    command = ["write", str(tmp_path / "corpus"), "--format", "words", "--out", str(tmp_path / "words.csv")]
    ran = CliRunner().invoke(app, command)
    assert ran.exit_code == 0, ran.output
    for back in (trivium.read(tmp_path / "words.csv"), trivium.read(tmp_path / "words.csv", format="words")):
        assert back.ids.tolist() == ["007", "no face"]
        assert back[0].words is not None and back[0].words.text == ("ça", 'say "so"', "x,y")
        assert "vision" not in back[1].streams


def test_the_confidence_of_words_is_kept_and_comes_back(tmp_path: Path) -> None:
    sure = np.array([0.25, 0.5, 1.0], np.float32)
    one, two = utterance("a"), utterance("b")
    told = Utterance("a", one.streams, Words(one.words.text, one.words.times, sure))  # type: ignore[union-attr]
    trivium.write(Corpus.from_utterances([told, two], Specification((VOICE, FACE))), tmp_path / "w.csv", format="words")
    first, second = trivium.read(tmp_path / "w.csv")
    assert first.words is not None and first.words.confidence is not None
    assert first.words.confidence.tolist() == [0.25, 0.5, 1.0]
    assert second.words is not None and second.words.confidence is None
