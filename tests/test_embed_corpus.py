"""Embedding corpora: vectors of the weights, whole files, no torch, memory that does not grow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from trivium.align import align
from trivium.cli import app
from trivium.corpus import Aligned, Corpus, Specification, Stream, StreamSpecification, Utterance, Words
from trivium.embed import answer, embed, embed_to_file, open_source
from trivium.errors import (
    AlignmentError,
    DataError,
    FormatError,
    MediaError,
    SpecificationError,
    UnsafeFileError,
    WeightsError,
)
from trivium.scale import ScalerSet
from trivium.weights import Weights, load_weights, save_weights
from trivium.weights.example import EXAMPLE, example_weights

runner = CliRunner()


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    return example_weights(tmp_path / "example")


def utterance(number: int, rng: np.random.Generator) -> Utterance:
    steps = int(rng.integers(1, 10))
    chosen = EXAMPLE.modalities if number % 3 else ("audio",)
    streams = {m: Stream(rng.normal(size=(steps, 2)).astype(np.float32), EXAMPLE.stream(m)) for m in chosen}
    words = Words(tuple(f"w{k}" for k in range(steps)))
    return Utterance(f"u{number:03d}", streams, words, clip=f"c{number}", start=float(number), end=number + 1.5)


def corpus(rows: int) -> Corpus:
    rng = np.random.default_rng(5)
    return Corpus.from_utterances([utterance(n, rng) for n in range(rows)], EXAMPLE)


def stored_vectors(path: Path) -> NDArray[np.float32]:
    vectors = pq.read_table(path)["vector"].combine_chunks()
    return np.asarray(vectors.flatten()).reshape(len(vectors), -1)


def test_vectors_are_those_of_the_aligned_corpus(weights: Weights) -> None:
    given = corpus(300)  # more than one chunk
    table = embed(given, weights, show=False)
    expected = weights.transform(align(given, words=6, show=False))
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), np.float32), expected)
    assert table["id"].to_pylist() == given.ids.tolist()
    assert table["clip"].to_pylist()[7] == "c7"
    assert (table["start"].to_pylist()[7], table["end"].to_pylist()[7]) == (7.0, 8.5)
    assert table["modality_text"].to_pylist() == [n % 3 != 0 for n in range(300)]
    assert set(table["modality_audio"].to_pylist()) == {True}


def test_weights_take_a_corpus_as_it_is(weights: Weights) -> None:
    given = corpus(5)
    aligned = align(given, words=6, show=False)
    np.testing.assert_array_equal(weights.transform(given), weights.transform(aligned))
    np.testing.assert_array_equal(weights.predict_proba(given), weights.predict_proba(aligned))


@pytest.mark.parametrize("given", ["corpus", np.zeros((2, 6, 4), np.float32), None])
def test_what_holds_no_utterances_is_one_error_with_a_remedy(weights: Weights, given: Any) -> None:
    with pytest.raises(SpecificationError, match=f"not {type(given).__name__}.*Corpus.open"):
        weights.transform(given)


def test_another_ending_than_that_of_the_table_is_refused(weights: Weights, tmp_path: Path) -> None:
    corpus(2).save(tmp_path / "corpus")
    words = ["embed", str(tmp_path / "corpus"), "--weights", str(weights.folder), "--out", str(tmp_path / "v.csv")]
    done = runner.invoke(app, words)
    assert done.exit_code == 2 and "end the name in .parquet" in " ".join(done.output.split())
    assert not (tmp_path / "v.csv").exists()


def test_a_file_holds_the_same_as_the_table(weights: Weights, tmp_path: Path) -> None:
    given = corpus(300)
    done = embed_to_file(given, weights, tmp_path / "v.parquet", show=False)
    assert (done.rows, done.features, dict(done.present)) == (300, 3, {"text": 200, "audio": 300})
    table = pq.read_table(tmp_path / "v.parquet")
    assert table.equals(embed(given, weights, show=False))
    assert str(table.schema.field("vector").type) == "list<element: float>"


def test_the_same_corpus_gives_the_same_bytes(weights: Weights, tmp_path: Path) -> None:
    corpus(20).save(tmp_path / "corpus")
    for name in ("a.parquet", "b.parquet"):
        embed_to_file(tmp_path / "corpus", weights.folder, tmp_path / name, show=False)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_statistics_of_the_source_need_all_of_it(weights: Weights) -> None:
    given = corpus(200)
    table = embed(given, weights, scaler="refit", show=False)
    expected = weights.transform(align(given, words=6, show=False), "refit")
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), np.float32), expected)


def test_a_chunk_without_words_does_not_stop_the_others(weights: Weights, tmp_path: Path) -> None:
    seconds = StreamSpecification("audio", EXAMPLE.stream("audio").columns, clock="seconds")
    frames = Stream(np.ones((2, 2), np.float32), seconds, np.array([[0.0, 0.5], [0.5, 1.0]]))
    spoken = Words(("hi", "there"), frames.times)
    silent = [Utterance(f"silent{n:03d}", {"audio": frames}) for n in range(150)]
    given = Corpus.from_utterances([*silent, Utterance("u", {"audio": frames}, spoken)], Specification((seconds,)))
    table = embed(given, weights, show=False)
    assert table["modality_audio"].to_pylist() == [False] * 150 + [True]
    for count in (3, 150):
        given[:count].save(tmp_path / f"silent{count}")
        with pytest.raises(AlignmentError, match=rf"silent{count}: no utterance has words"):
            embed_to_file(tmp_path / f"silent{count}", weights, tmp_path / "v.parquet", show=False)
    assert not (tmp_path / "v.parquet").exists()


def test_an_empty_corpus_gives_an_empty_table(weights: Weights, tmp_path: Path) -> None:
    empty = Corpus.from_utterances([], EXAMPLE)
    assert embed(empty, weights, show=False).num_rows == 0
    assert answer(empty, weights, show=False) == []
    assert embed_to_file(empty, weights, tmp_path / "v.parquet", show=False).rows == 0


def test_nothing_is_written_when_the_columns_do_not_fit(weights: Weights, tmp_path: Path) -> None:
    voice = StreamSpecification("audio", ("loudness",), clock="words")
    one = Utterance("a", {"audio": Stream(np.ones((2, 1), np.float32), voice)}, Words(("x", "y")))
    other = Corpus.from_utterances([one], Specification((voice,)))
    with pytest.raises(SpecificationError, match="pitch, energy"):
        embed_to_file(other, weights, tmp_path / "v.parquet", show=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["example"]


def test_a_file_that_exists_is_kept_when_a_run_fails(weights: Weights, tmp_path: Path) -> None:
    out = tmp_path / "v.parquet"
    embed_to_file(corpus(3), weights, out, show=False)
    before = out.read_bytes()
    (weights.folder / "scalers.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"scalers\.safetensors"):
        embed_to_file(corpus(5), load_weights(weights.folder), out, show=False)
    assert out.read_bytes() == before


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_infinite_vectors_are_an_error_that_names_the_utterance(weights: Weights, tmp_path: Path) -> None:
    narrow = Aligned.from_arrays(np.random.default_rng(0).normal(0, 1e-3, (9, 6, 4)).astype(np.float32), EXAMPLE)
    steep = save_weights(
        tmp_path / "steep",
        weights.config,
        state={},
        encoder=weights.read("encoder.onnx"),
        scalers=ScalerSet.fit(narrow),
        card=weights.card,
    )
    huge = Stream(np.full((2, 2), 3e38, np.float32), EXAMPLE.stream("audio"))
    given = Corpus.from_utterances([Utterance("big", {"audio": huge}, Words(("x", "y")))], EXAMPLE)
    with pytest.raises(DataError, match="utterance big"):
        embed(given, steep, show=False)


def test_answers_are_those_of_the_head(weights: Weights) -> None:
    given = corpus(5)
    rows = answer(given, weights, show=False)
    shares = weights.predict_proba(align(given, words=6, show=False))
    for row, expected in zip(rows, shares, strict=True):
        np.testing.assert_allclose(list(row["probabilities"].values()), expected, atol=1e-9)
        assert row["answer"] == ("calm", "angry")[int(expected.argmax())]
    assert rows[0]["modalities"] == ["audio"]
    assert (rows[4]["start"], rows[4]["end"]) == (4.0, 5.5)


def test_a_head_that_reads_one_modality_gets_vectors_of_it_alone(weights: Weights) -> None:
    spoken = corpus(5)
    head = replace(weights.require_head(), modalities=("audio",))
    voice_only = replace(weights)
    vars(voice_only)["head"] = head  # as if it had been stored with these weights
    aligned = weights.align(spoken, show=False)
    alone = weights.transform(weights.fit_columns(aligned).only(("audio",)))
    assert not np.allclose(alone, weights.transform(aligned))
    rows = answer(spoken, voice_only, show=False)
    expected = head.predict_proba(alone)
    np.testing.assert_allclose([list(row["probabilities"].values()) for row in rows], expected, atol=1e-6)
    np.testing.assert_allclose(voice_only.predict_proba(aligned), expected, atol=1e-6)
    assert all(row["modalities"] == ["audio"] for row in rows)


def test_weights_without_a_head_cannot_answer(weights: Weights, tmp_path: Path) -> None:
    bare = save_weights(
        tmp_path / "bare",
        weights.config,
        state={},
        encoder=weights.read("encoder.onnx"),
        scalers=weights.scalers,
        card=weights.card,
    )
    with pytest.raises(WeightsError, match="has no head"):
        answer(corpus(2), bare, show=False)


def test_the_commands_write_and_answer(weights: Weights, tmp_path: Path) -> None:
    corpus(4).save(tmp_path / "corpus")
    where = [str(tmp_path / "corpus"), "--weights", str(weights.folder)]
    done = runner.invoke(app, ["embed", *where, "--out", str(tmp_path / "v.parquet"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"] == 4
    assert stored_vectors(tmp_path / "v.parquet").shape == (4, 3)
    said = json.loads(runner.invoke(app, ["predict", *where, "--json"]).stdout)
    assert [row["id"] for row in said] == ["u000", "u001", "u002", "u003"]
    assert "mood" in runner.invoke(app, ["predict", *where]).stdout


def test_embedding_a_corpus_imports_neither_torch_nor_sklearn(weights: Weights, tmp_path: Path) -> None:
    corpus(3).save(tmp_path / "corpus")
    paths = [os.fspath(p) for p in (tmp_path / "corpus", weights.folder, tmp_path / "v.parquet")]
    code = (
        "import sys; from trivium.embed import embed_to_file;"
        f"done = embed_to_file(*{paths!r}, show=False);"
        "print(done.rows, sorted({'torch', 'sklearn', 'onnx', 'av'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3 []"


def test_a_source_of_no_kind_is_one_error(weights: Weights, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("words")
    with pytest.raises(FormatError, match=r"text\.txt"):
        open_source(tmp_path / "text.txt", weights)
    with pytest.raises(FormatError, match="does not exist"):
        open_source(tmp_path / "nothing", weights)


def test_a_hostile_file_named_like_a_clip_stays_refused(weights: Weights, tmp_path: Path) -> None:
    (tmp_path / "clip.wav").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises((UnsafeFileError, MediaError)):
        open_source(tmp_path / "clip.wav", weights)
