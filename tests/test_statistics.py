"""Statistics of columns against plain loops over what was seen, at the native rate of every stream and on steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.utils.estimator_checks import parametrize_with_checks

from trivium.column_statistics import STATISTICS, column_statistics, relative_places
from trivium.corpus import Aligned, Corpus, Specification, Stream, StreamSpecification, Utterance, Words
from trivium.errors import SpecificationError
from trivium.represent import MeanStdPooling, Statistics
from trivium.represent.modules import StatisticsModule

torch.set_num_threads(1)

EVERY = ",".join(STATISTICS)
VOICE = StreamSpecification("audio", ("f0", "energy"), clock="seconds")
FACE = StreamSpecification("vision", ("smile",), clock="seconds")
Numbers = NDArray[np.float64]


def by_hand(name: str, places: Numbers, values: Numbers) -> float:
    """One statistic of one column of one utterance, from its seen values and their relative places."""
    if not len(values):
        return 0.0
    if name == "slope":
        return float(np.polyfit(places, values, 1)[0]) if len(np.unique(places)) > 1 else 0.0
    makers: dict[str, Any] = {
        "mean": lambda: values.mean(),
        "spread": lambda: values.std(),
        "minimum": lambda: values.min(),
        "maximum": lambda: values.max(),
        "p10": lambda: np.percentile(values, 10),
        "p90": lambda: np.percentile(values, 90),
        "first-half": lambda: values[places <= 0.5].mean() if (places <= 0.5).any() else 0.0,
        "second-half": lambda: values[places >= 0.5].mean() if (places >= 0.5).any() else 0.0,
    }
    return float(makers[name]())


def relative(times: Numbers) -> Numbers:
    return (times - times[0]) / (times[-1] - times[0]) if len(times) > 1 else np.full(len(times), 0.5)


def holey(seed: int, n: int = 7, steps: int = 6, width: int = 3) -> tuple[Numbers, NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    seen = rng.random((n, steps, width)) < 0.6
    seen[0] = False
    seen[1, 1:] = False
    return rng.normal(3, 2, (n, steps, width)), seen


@pytest.mark.parametrize("name", STATISTICS)
def test_each_statistic_is_that_of_the_seen_cells(name: str) -> None:
    values, seen = holey(0)
    found = column_statistics(values, seen, [name])
    for row in range(len(values)):
        steps = np.flatnonzero(seen[row].any(axis=1))
        places = np.full(seen.shape[1], np.nan)
        places[steps] = relative(np.arange(seen.shape[1], dtype=float))[steps]  # any line will do, then rescaled
        if len(steps):
            places = (places - places[steps[0]]) / (places[steps[-1]] - places[steps[0]] or 1)
            places = np.full_like(places, 0.5) if len(steps) == 1 else places
        for column in range(values.shape[2]):
            there = seen[row, :, column]
            expected = by_hand(name, places[there], values[row, there, column])
            assert found[row, column] == pytest.approx(expected, abs=1e-9), (row, column)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(0, 4), st.integers(0, 4))
def test_padding_on_either_side_changes_nothing(seed: int, before: int, behind: int) -> None:
    values, seen = holey(seed, n=3)
    around = ((0, 0), (before, behind), (0, 0))
    padded = np.pad(values, around, constant_values=np.nan), np.pad(seen, around)
    np.testing.assert_allclose(
        column_statistics(*padded, STATISTICS), column_statistics(values, seen, STATISTICS), atol=1e-9
    )


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_a_step_of_weight_three_counts_as_three_steps_at_its_place(seed: int) -> None:
    values, seen = holey(seed, n=3)
    names = ("mean", "spread", "slope", "minimum", "maximum", "first-half", "second-half")
    places = relative_places(np.any(seen, axis=2))
    counts = np.random.default_rng(seed).integers(1, 4, values.shape[1])
    weights = np.broadcast_to(counts.astype(float), places.shape)
    found = column_statistics(values, seen, names, places, weights)
    longer = column_statistics(
        np.repeat(values, counts, axis=1), np.repeat(seen, counts, axis=1), names, np.repeat(places, counts, axis=1)
    )
    np.testing.assert_allclose(found, longer, atol=1e-9)


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_a_shift_and_a_factor_go_through(seed: int) -> None:
    values, seen = holey(seed, n=3)
    names = ("mean", "spread", "slope", "maximum")
    there = np.tile(seen.any(axis=1), len(names))
    found = column_statistics(3 * values + 2, seen, names)
    shifts = np.repeat([2.0, 0.0, 0.0, 2.0], values.shape[2])
    np.testing.assert_allclose(
        found, np.where(there, 3 * column_statistics(values, seen, names) + shifts, 0), atol=1e-9
    )


def test_the_graph_gives_the_same_numbers_and_refuses_percentiles() -> None:
    values, seen = holey(3)
    names = [name for name in STATISTICS if name not in ("p10", "p90")]
    holes = torch.from_numpy(np.where(seen, values, np.nan)[:, None])
    found = StatisticsModule([2, 1], names, indicators=True)(holes).numpy()
    parts = [column_statistics(values[..., p], seen[..., p], names) for p in (slice(0, 2), slice(2, 3))]
    there = [np.any(seen[..., p], axis=(1, 2), keepdims=True)[:, 0] for p in (slice(0, 2), slice(2, 3))]
    np.testing.assert_allclose(found, np.concatenate([*parts, *there], axis=1), atol=1e-9)
    with pytest.raises(SpecificationError, match="p90 cannot be exported"):
        StatisticsModule([1], ["mean", "p90"], indicators=False)


def corpus(n: int = 5) -> Corpus:
    """Voice every 10 ms at uneven lengths, a face now and then at uneven times."""
    rng = np.random.default_rng(4)
    clips = []
    for i in range(n):
        steps = 20 + 7 * i
        starts = np.arange(steps) * 0.01
        streams = {"audio": Stream(rng.normal(5, 2, (steps, 2)).astype(np.float32), VOICE, _spans(starts, 0.01))}
        if i != 2:
            seen = np.sort(rng.choice(30, 4 + i, replace=False)).astype(np.float64) / 30
            streams["vision"] = Stream(rng.normal(0, 1, (4 + i, 1)).astype(np.float32), FACE, _spans(seen, 1 / 30))
        words = Words(("so", "it", "is"), _spans(np.array([0.0, 0.05, 0.1]), 0.05))
        clips.append(Utterance(f"u{i}", streams, words=words))
    return Corpus.from_utterances(clips, Specification((VOICE, FACE)))


def _spans(starts: NDArray[np.floating], length: float) -> Numbers:
    return np.stack([starts, starts + length], axis=1).astype(np.float64)


def test_a_corpus_is_read_at_the_rate_of_each_stream() -> None:
    x = corpus()
    fitted = Statistics(EVERY).fit(x)
    found = fitted.transform(x)
    names = fitted.get_feature_names_out().tolist()
    assert found.shape == (5, 3 * len(STATISTICS) + 2) and found.dtype == np.float32
    for row, utterance in enumerate(x):
        for spec in (VOICE, FACE):
            stream = utterance.streams.get(spec.modality)
            assert found[row, names.index(f"{spec.modality}.seen")] == (stream is not None)
            for number, column in enumerate(spec.columns):
                for name in STATISTICS:
                    values = np.zeros(0) if stream is None else stream.values[:, number].astype(float)
                    places = np.zeros(0) if stream is None else relative(stream.times.mean(axis=1))  # type: ignore[union-attr]
                    expected = by_hand(name, places, values)
                    assert found[row, names.index(f"{spec.modality}.{column}.{name}")] == pytest.approx(
                        expected, abs=1e-4
                    ), (row, column, name)


def test_many_short_blocks_give_what_one_long_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    x = corpus(9)
    whole = Statistics().fit(x).transform(x)
    monkeypatch.setattr("trivium.represent.inputs.native_blocks.__defaults__", (2,))
    np.testing.assert_allclose(Statistics().fit(x).transform(x), whole, atol=1e-6)


def test_by_word_it_is_the_pooling_with_slopes_and_indicators() -> None:
    x = corpus()
    steps = Statistics("mean,spread", words=4, native=False, indicators=False).fit(x)
    pooled = MeanStdPooling(words=4).fit(x).transform(x)
    # by modality here, by statistic there
    np.testing.assert_allclose(steps.transform(x)[:, [0, 1, 4, 2, 3, 5]], pooled, atol=1e-6)
    assert steps.get_feature_names_out().tolist()[:2] == ["audio.f0.mean", "audio.energy.mean"]
    assert not np.allclose(steps.transform(x), Statistics("mean,spread", indicators=False).fit(x).transform(x))


def test_vectors_do_not_depend_on_order_or_company() -> None:
    x = corpus()
    fitted = Statistics().fit(x)
    whole = fitted.transform(x)
    np.testing.assert_allclose(fitted.transform(x[np.array([3, 1])]), whole[[3, 1]], atol=1e-6)
    assert fitted.transform(x[np.zeros(0, int)]).shape == (0, whole.shape[1])


def test_rows_of_zeros_in_streams_of_words_were_not_seen() -> None:
    spec = StreamSpecification("text", ("a", "b"), clock="words")
    values = np.array([[1, 2], [0, 0], [3, 6]], np.float32)
    clip = Utterance("u", {"text": Stream(values, spec)}, words=Words(("a", "b", "c")))
    one = Corpus.from_utterances([clip], Specification((spec,)))
    assert Statistics("mean", indicators=False).fit(one).transform(one).tolist() == [[2.0, 4.0]]


def test_token_ids_other_columns_and_unknown_names_are_refused() -> None:
    x = corpus()
    with pytest.raises(SpecificationError, match="columns"):
        Statistics().fit(x).transform(x.select(["audio"]))
    with pytest.raises(SpecificationError, match="choose from mean"):
        Statistics("mean,median").fit(x)
    tokens = StreamSpecification("text", ("id",), clock="words", dtype="int32")
    clip = Utterance("u", {"text": Stream(np.ones((2, 1), np.int32), tokens)})
    with pytest.raises(SpecificationError, match="token ids"):
        Statistics().fit(Corpus.from_utterances([clip], Specification((tokens,))))


def test_places_run_from_the_first_seen_step_to_the_last() -> None:
    steps = np.array([[False, True, True, False, True]])
    assert relative_places(steps)[0, [1, 2, 4]].tolist() == pytest.approx([0, 1 / 3, 1])
    assert relative_places(steps, np.array([[9.0, 1, 2, 9, 5]]))[0, [1, 2, 4]].tolist() == [0, 0.25, 1]


def test_aligned_sets_of_any_length_give_vectors_of_one_width() -> None:
    rng = np.random.default_rng(0)
    spec = Specification((StreamSpecification("audio", ("a", "b"), clock="words"),))
    long, short = (Aligned.from_arrays(rng.normal(size=(3, w, 2)).astype(np.float32), spec) for w in (9, 2))
    assert Statistics().fit(long).transform(short).shape == (3, 7)


@parametrize_with_checks([Statistics()])  # type: ignore[untyped-decorator]
def test_scikit_learn_s_own_checks_without_a_single_expected_failure(estimator: Statistics, check: Any) -> None:
    check(estimator)
