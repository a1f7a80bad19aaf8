"""The corpus in memory: rows, labels, groups, folds, joining, padding, and what scikit-learn does with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, train_test_split
from sklearn.utils import _safe_indexing

from trivium.corpus import (
    Aligned,
    Corpus,
    LabelSpecification,
    Specification,
    Stream,
    StreamSpecification,
    Utterance,
    concat,
)
from trivium.corpus.batch import row_numbers
from trivium.errors import DataError, SpecificationError

VOICE = StreamSpecification("audio", ("f0", "energy"))
FACE = StreamSpecification("vision", ("smile",))
MOOD = LabelSpecification("mood", "binary", ("calm", "angry"))
SCORE = LabelSpecification("score", "regression", range=(-3, 3))
BOTH = LabelSpecification("both", "multilabel", ("joy", "fear"))
SPECIFICATION = Specification((FACE, VOICE), (MOOD, SCORE, BOTH))


def utterance(number: int, **rest: Any) -> Utterance:
    """The number of steps is the number of the utterance; the face is missing in every third."""
    streams = {"audio": Stream(np.full((number, 2), number, np.float32), VOICE)}
    if number % 3:
        streams["vision"] = Stream(np.full((1, 1), -number, np.float32), FACE)
    return Utterance(f"u{number}", streams, **rest)


def ten() -> Corpus:
    made = [
        utterance(
            n,
            labels={"mood": "calm" if n < 5 else "angry", "score": n / 2} if n else {},
            groups={"speaker": str(n // 2)},
            splits={"standard": "train" if n < 7 else "test"},
        )
        for n in range(10)
    ]
    return Corpus.from_utterances(made, SPECIFICATION, {"made": "for a test"})


indices = st.one_of(
    st.lists(st.integers(-10, 9), max_size=15),
    st.lists(st.booleans(), min_size=10, max_size=10),
    st.slices(10),
)


@given(indices)
def test_row_numbers_select_what_numpy_selects(key: Any) -> None:
    whole = np.arange(10)
    expected = whole[key if key != [] else slice(0)]
    assert row_numbers(key, 10).tolist() == expected.tolist()
    assert row_numbers((key, ...), 10).tolist() == expected.tolist()
    array = key if isinstance(key, slice) or not key else np.array(key)
    assert row_numbers(array, 10).tolist() == expected.tolist()


@pytest.mark.parametrize("key", [[10], [-11], np.ones(9, bool), np.zeros((2, 2), int), ([1], [2]), np.array([0.5])])
def test_rows_that_do_not_exist_are_an_index_error(key: Any) -> None:
    with pytest.raises(IndexError):
        row_numbers(key, 10)


@given(st.lists(st.integers(0, 9), max_size=6), st.lists(st.integers(-1, 0), max_size=3))
def test_selecting_twice_is_selecting_once_with_composed_rows(first: list[int], second: list[int]) -> None:
    if not first:
        second = []
    composed = np.array(first, dtype=int)[np.array(second, dtype=int)]
    assert ten()[first][second].ids.tolist() == [f"u{n}" for n in composed]


def test_one_row_is_an_utterance_and_many_are_a_corpus() -> None:
    corpus = ten()
    assert corpus[3].id == "u3" and corpus[-1].id == "u9" and corpus[np.int64(2)].id == "u2"
    assert isinstance(corpus[[3]], Corpus) and corpus.shape == (10,)
    assert [u.id for u in corpus[::4]] == ["u0", "u4", "u8"]


def test_labels_come_in_the_type_of_their_kind_and_say_where_they_are_missing() -> None:
    made = [
        Utterance("a", labels={"mood": "angry", "both": (1.0, 0.5)}),
        Utterance("b", labels={"score": -1.5}),
    ]
    corpus = Corpus.from_utterances(made, SPECIFICATION)
    assert corpus.label("mood").tolist() == ["angry", ""]
    np.testing.assert_array_equal(corpus.label("score"), [np.nan, -1.5])
    np.testing.assert_array_equal(corpus.label("both"), [[1, 0.5], [np.nan, np.nan]])
    found = {key: corpus.labelled(key).tolist() for key in ("mood", "score", "both")}
    assert found == {"mood": [True, False], "score": [False, True], "both": [True, False]}
    assert corpus[[]].labelled("both").tolist() == []
    with pytest.raises(SpecificationError, match=r"no label 'joy'.*mood, score, both"):
        corpus.label("joy")


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ({"mood": "sad"}, "label mood.*'sad' is none of calm, angry"),
        ({"score": "1"}, "label score.*not a finite number"),
        ({"score": float("nan")}, "label score.*not a finite number"),
        ({"both": (1.0,)}, "label both.*not one number for each of 2 classes"),
        ({"age": 3.0}, "no label 'age'"),
    ],
)
def test_a_label_that_does_not_fit_is_named(labels: dict[str, Any], problem: str) -> None:
    with pytest.raises((DataError, SpecificationError), match=problem):
        Corpus.from_utterances([Utterance("a", labels=labels)], SPECIFICATION)


def test_two_utterances_of_one_id_are_refused() -> None:
    with pytest.raises(DataError, match="'u1' appears twice"):
        Corpus.from_utterances([utterance(1), utterance(1)], SPECIFICATION)


def test_a_fold_is_the_part_of_a_named_split() -> None:
    corpus = ten()
    assert corpus.fold("test").ids.tolist() == ["u7", "u8", "u9"]
    assert corpus.fold("train", "standard").group("speaker").tolist() == list("0011223")
    with pytest.raises(SpecificationError, match="no utterance is 'valid'"):
        corpus.fold("valid")
    with pytest.raises(SpecificationError, match=r"no split 'official'.*standard"):
        corpus.fold("test", "official")


def test_a_batch_pads_each_modality_to_its_own_longest() -> None:
    batch = ten().batch([2, 0, 3])
    assert batch.ids == ("u2", "u0", "u3")
    assert batch.values["audio"].shape == (3, 3, 2) and batch.values["vision"].shape == (3, 1, 1)
    assert batch.mask["audio"].tolist() == [[True, True, False], [False] * 3, [True] * 3]
    assert batch.mask["vision"].tolist() == [[True], [False], [False]]
    np.testing.assert_array_equal(batch.values["audio"][:, :, 0], [[2, 2, 0], [0, 0, 0], [3, 3, 3]])
    assert batch.values["vision"][:, 0, 0].tolist() == [-2, 0, 0]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_the_order_of_rows_is_the_order_of_the_batch(rows: list[int]) -> None:
    corpus = ten()
    together = corpus.batch(rows)
    for place, row in enumerate(rows):
        alone = corpus.batch([row])
        steps = int(alone.mask["audio"].sum())
        np.testing.assert_array_equal(together.values["audio"][place, :steps], alone.values["audio"][0])
        assert together.mask["audio"][place].sum() == steps and not together.values["audio"][place, steps:].any()


def test_lengths_tell_missing_from_empty() -> None:
    corpus = ten()
    assert corpus.lengths("audio").tolist() == list(range(10))
    assert corpus[:4].lengths("vision").tolist() == [-1, 1, 1, -1]


def test_selecting_modalities_hides_the_others_everywhere() -> None:
    corpus = ten().select(["vision"])
    assert corpus.specification.modalities == ("vision",) and list(corpus[1].streams) == ["vision"]
    assert list(corpus.batch([1, 2]).values) == ["vision"]
    with pytest.raises(SpecificationError, match="no modality 'audio'"):
        corpus.lengths("audio")


def test_joined_corpora_know_where_an_utterance_is_from() -> None:
    other = Corpus.from_utterances([Utterance("x", labels={"score": 1.0})], Specification((VOICE, FACE), (SCORE,)))
    joined = concat([ten()[[9, 1]], other], ["ten", "one"])
    assert joined.ids.tolist() == ["u9", "u1", "x"]
    assert joined.group("corpus").tolist() == ["ten", "ten", "one"] == [u.groups["corpus"] for u in joined]
    assert joined.group("speaker").tolist() == ["4", "0", ""]
    assert joined.label("mood").tolist() == ["angry", "calm", ""]
    assert joined.label("score").tolist() == [4.5, 0.5, 1.0]
    assert joined.batch([2, 0, 1]).ids == ("x", "u9", "u1")
    assert joined.batch([2, 0, 1]).mask["audio"].sum(axis=1).tolist() == [0, 9, 1]
    assert joined.provenance["joined"][0] == {"name": "ten", "made": "for a test"}


def test_joining_names_the_columns_that_differ() -> None:
    other = StreamSpecification("audio", ("f0", "loudness", "jitter"))
    stranger = Corpus.from_utterances([Utterance("x")], Specification((other, FACE)))
    with pytest.raises(
        SpecificationError, match=r"columns of audio differ \(only in a: energy; only in b: loudness, jitter\)"
    ):
        concat([ten(), stranger], ["a", "b"])
    backwards = StreamSpecification("audio", VOICE.columns[::-1])
    turned = Corpus.from_utterances([Utterance("x")], Specification((backwards, FACE)))
    with pytest.raises(SpecificationError, match="same names in another order"):
        concat([ten(), turned], ["a", "b"])


def test_joining_refuses_shared_ids_and_labels_of_another_meaning() -> None:
    with pytest.raises(DataError, match="'u0' is in two corpora"):
        concat([ten(), ten()], ["a", "b"])
    mood = LabelSpecification("mood", "binary", ("sad", "glad"))
    with pytest.raises(SpecificationError, match="label 'mood' of b"):
        concat([ten(), Corpus.from_utterances([Utterance("x")], Specification((VOICE, FACE), (mood,)))], ["a", "b"])


def aligned() -> Aligned:
    values = np.arange(10 * 4 * 3, dtype=np.float32).reshape(10, 4, 3)
    return Aligned.from_arrays(values, SPECIFICATION, table={"label.score": np.arange(10.0)})


@pytest.mark.parametrize("key", [np.array([7, 1, 1]), [2], np.arange(10) % 2 == 0, slice(2, 5)])
def test_scikit_learn_indexes_a_corpus_and_gets_a_corpus(key: NDArray[Any]) -> None:
    expected = np.arange(10)[key]
    corpus, matrix = _safe_indexing(ten(), key), _safe_indexing(aligned(), key)
    assert type(corpus) is Corpus and corpus.ids.tolist() == [f"u{n}" for n in expected]
    assert type(matrix) is Aligned and matrix.label("score").tolist() == expected.tolist()
    np.testing.assert_array_equal(matrix.values[:, 0, 0], expected * 12)


@pytest.mark.parametrize("whole", [ten(), aligned()], ids=["Corpus", "Aligned"])
def test_train_test_split_keeps_the_type_and_loses_nobody(whole: Any) -> None:
    train, test = train_test_split(whole, test_size=3, random_state=0)
    assert type(train) is type(whole) and type(test) is type(whole)
    assert sorted([*train.ids, *test.ids]) == sorted(whole.ids) and len(test) == 3


def test_group_folds_keep_speakers_apart() -> None:
    corpus = ten()
    for train, test in GroupKFold(5).split(corpus, groups=corpus.group("speaker")):
        assert not set(corpus[train].group("speaker")) & set(corpus[test].group("speaker"))


def test_selecting_modalities_of_an_aligned_batch_selects_its_columns() -> None:
    kept = aligned().select(["vision"])
    assert kept.specification.columns == ("vision.smile",) and kept.shape == (10, 4, 1)
    np.testing.assert_array_equal(kept.values[..., 0], aligned().values[..., 2])
