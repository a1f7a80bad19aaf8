"""Static word vectors: the same numbers as the reference, files as people have them, files that are broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.errors import DataError, FormatError
from trivium.extract.choice import choose
from trivium.extract.text.vector_file import VectorFileExtractor, open_vector_file
from trivium.extract.text.word_vectors import GloveExtractor, WordllamaExtractor, vectors_of, word_parts
from trivium.extract.words.transcript import read_transcript
from trivium.upstream import model_folder, models

NeedModels = Callable[..., None]

# wordllama 0.4.0.post1 itself: WordLlamaInference(its 256 columns, its tokenizer).embed(words); four numbers and norm
_WORDLLAMA = {
    "kids": [0.384766, 0.546646, 0.525028, -0.421875, 7.55916],
    "don't": [0.019155, -0.029714, -0.333547, -0.164088, 2.60514],
    "unfathomable": [0.407967, -0.432167, 0.133636, -0.333801, 5.1708],
    "nineteen": [0.600505, 0.476074, 0.644775, -0.480143, 5.62339],
}
# the published glove.6B.50d.txt, first three numbers
_GLOVE = {"the": [0.418, 0.24968, -0.41242], "to": [0.68047, -0.039263, 0.30186]}


def _times(count: int) -> np.ndarray:
    edges = np.arange(count + 1) / 2
    return np.stack([edges[:-1], edges[1:]], axis=1)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    return tmp_path


def test_wordllama_equals_its_own_package(need_models: NeedModels) -> None:
    need_models("wordllama")
    stream = WordllamaExtractor().stream(read_transcript(" ".join(_WORDLLAMA)), _times(len(_WORDLLAMA)))
    for vector, expected in zip(stream.values, _WORDLLAMA.values(), strict=True):
        np.testing.assert_allclose(vector[:4], expected[:4], atol=1e-5)
        assert np.linalg.norm(vector) == pytest.approx(expected[4], abs=1e-4)


def test_glove_equals_the_published_file_and_the_carriers_table(need_models: NeedModels) -> None:
    import pyarrow.parquet as pq

    need_models("glove-50")
    stream = GloveExtractor().stream(read_transcript("Kids, the door to 1999 qwxzy."), _times(8))
    assert stream.specification.dim == 50
    folder = model_folder("glove-50")
    words = pq.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
    table = np.load(folder / "glove_6B_50d_emb.npy")
    for place, word in enumerate(["kids", "the", "door", "to"]):
        np.testing.assert_array_equal(stream.values[place], table[words.index(word)])
        if word in _GLOVE:
            np.testing.assert_allclose(stream.values[place, :3], _GLOVE[word], atol=1e-6)
    np.testing.assert_array_equal(stream.values[4], table[words.index("nineteen")])
    np.testing.assert_array_equal(stream.values[7], 0)


def test_a_contraction_is_the_mean_of_its_parts_and_other_words_are_not_split() -> None:
    table = {"do": np.full(2, 1.0, np.float32), "n't": np.full(2, 3.0, np.float32), "it's": np.ones(2, np.float32)}
    assert vectors_of(["don't", "it's", "nobody's"], table.get, 2).tolist() == [[2, 2], [1, 1], [0, 0]]
    assert word_parts("they've") == ("they", "'ve") and word_parts("can't") == ("ca", "n't")
    assert word_parts("the") == word_parts("'") == word_parts("-") == ()


@given(st.text("abc'-n", max_size=8))
def test_parts_of_any_word_are_shorter_than_it(word: str) -> None:
    assert all(part and len(part) < len(word) for part in word_parts(word))


@pytest.mark.parametrize("head", ["", "4 3\n"], ids=["glove", "word2vec"])
def test_a_users_file_gives_its_rows(home: Path, head: str) -> None:
    rows = {"the": "1 2 3", "kids": "-0.5 1e-3 4", ". . .": "7 7 7", "zurich": "0 0 1"}
    path = home / "My vectors.300d.txt"
    path.write_text(head + "".join(f"{word} {row}\n" for word, row in rows.items()), encoding="utf-8")
    extractor = VectorFileExtractor(str(path))
    assert extractor.specification.columns == tuple(f"my-vectors-300d-00{i}" for i in range(3))
    stream = extractor.stream(read_transcript("The kids of Zürich"), _times(4))
    expected = np.array([[1, 2, 3], [-0.5, 1e-3, 4], [0, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(np.asarray(stream.values, np.float64), expected, rtol=1e-6)
    np.testing.assert_array_equal(open_vector_file(path).vector(". . ."), [7, 7, 7])


def test_a_word_that_is_there_twice_is_read_as_gensim_reads_it(home: Path) -> None:
    path = home / "g.txt"
    path.write_text("4 3\nthe 1 2 3\nkids -0.5 1e-3 4\nof 0.25 7 8\nthe 9 9 9\n")
    read = open_vector_file(path)
    # KeyedVectors.load_word2vec_format of gensim 4.4.0 on these very lines
    expected = {"the": [1.0, 2.0, 3.0], "kids": [-0.5, 0.0010000000474974513, 4.0], "of": [0.25, 7.0, 8.0]}
    for word, row in expected.items():
        np.testing.assert_array_equal(read.vector(word), np.array(row, np.float32))


def test_the_first_line_of_a_word_counts_and_the_file_is_read_through_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "twice.txt"
    path.write_text("a 1 1\nb 2 2\na 3 3\n")
    first = open_vector_file(path)
    assert first.vector("a").tolist() == [1, 1]  # type: ignore[union-attr]
    monkeypatch.setattr("trivium.extract.text.vector_file._write_index", None)
    assert open_vector_file(path).digest == first.digest
    path.write_text("a 1 1\nb 2 2\na 3 3\nc 4 4\n")
    with pytest.raises(TypeError):  # another file is read again
        open_vector_file(path)


@pytest.mark.parametrize(
    ("content", "place", "problem"),
    [
        (b"a 1 2 3\nb 1 2\n", "line 2", "2 numbers instead of 3"),
        (b"a 1 2\n\nb 1 2\n", "line 2", "empty"),
        (b"2 2\na 1 2\nb 1\n", "line 3", "1 numbers instead of 2"),
        (b"3 2\n\x00\x01\x02\x03", "line 2", "0 numbers"),
        (b"a\n", "line 1", "no word"),
        (b"", "line 1", "no word"),
        (b"PK\x03\x04", None, "zip"),
        (b"\x1f\x8b\x08", None, "gzip"),
    ],
)
def test_a_broken_file_is_one_error_with_its_line(home: Path, content: bytes, place: str | None, problem: str) -> None:
    path = home / "broken.txt"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=problem) as error:
        open_vector_file(path)
    assert error.value.place == place and not list((home / "home").rglob("*.npz"))


@pytest.mark.parametrize("number", ["x", "nan", "inf"])
def test_a_row_without_numbers_is_found_when_its_word_is_spoken(home: Path, number: str) -> None:
    path = home / "words.txt"
    path.write_text(f"a 1 2\nb 1 {number}\n")
    extractor = VectorFileExtractor(str(path))
    assert extractor.stream(read_transcript("a"), _times(1)).values.tolist() == [[1, 2]]
    with pytest.raises(FormatError, match="finite") as error:
        extractor.stream(read_transcript("b"), _times(1))
    assert error.value.place == "line 2"


def test_a_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(DataError, match="no such file"):
        choose("text", "glove:nowhere.txt")[0].load()


def test_models_on_request_are_not_among_the_usual_ones() -> None:
    usual = {row.name: row.usual for row in models()}
    assert not usual["glove-50"] and not usual["wordllama"] and usual["minilm-l6"]
