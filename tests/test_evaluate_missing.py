"""Missing modalities: the laws of dropping, and the areas against sums by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.corpus import Aligned, Batch, Corpus, Specification, Stream, StreamSpecification, Utterance
from trivium.errors import DataError
from trivium.evaluate import missing

SPEC = Specification(
    (
        StreamSpecification("text", ("x", "y"), clock="words"),
        StreamSpecification("audio", ("f0",), clock="words"),
        StreamSpecification("vision", ("smile",), clock="words"),
    )
)
RATE = st.floats(0, 1)
# recorded: draws must stay what they are, on every machine
PINNED_MODALITIES = [[1, 0, 0], [0, 0, 1], [1, 1, 1], [0, 1, 0], [1, 1, 1], [1, 1, 0]]
PINNED_STEPS = [[1, 0, 0], [1, 1, 1], [1, 0, 0], [1, 0, 0]]
DROPS = [missing.drop_modalities, missing.drop_steps]


def batch_of(count: int = 12, longest: int = 7) -> Batch:
    rng = np.random.default_rng(0)
    clips = []
    for k in range(count):
        streams = {
            s.modality: Stream(rng.uniform(1, 2, (int(rng.integers(1, longest)), s.dim)).astype(np.float32), s)
            for s in SPEC.streams
            if rng.random() > 0.1
        }
        clips.append(Utterance(f"clip-{k}", streams))
    return Corpus.from_utterances(clips, SPEC).batch()


def aligned_of(count: int = 12, words: int = 5) -> Aligned:
    rng = np.random.default_rng(1)
    mask = np.arange(words) >= rng.integers(0, words, count)[:, None]
    cells = mask[:, :, None] & (rng.random((count, words, 3)) > 0.2)
    values = rng.uniform(1, 2, (count, words, 4)) * np.repeat(cells, [2, 1, 1], axis=2)
    ids = np.array([f"clip-{k}" for k in range(count)])
    return Aligned.from_arrays(values.astype(np.float32), SPEC, mask=mask, cell_mask=cells, ids=ids)


def cells_of(data: Any) -> dict[str, Any]:
    if isinstance(data, Aligned):
        return {name: data.cell_mask[:, :, k] for k, name in enumerate(SPEC.modalities)}
    return dict(data.mask)


def values_of(data: Any) -> dict[str, Any]:
    if isinstance(data, Aligned):
        return {name: data.select([name]).values for name in SPEC.modalities}
    return dict(data.values)


@pytest.mark.parametrize("drop", DROPS)
@pytest.mark.parametrize("data", [batch_of(), aligned_of()], ids=["batch", "aligned"])
def test_rate_0_changes_nothing_and_rate_1_drops_all(drop: Any, data: Any) -> None:
    same, none = drop(data, 0.0, seed=3), drop(data, 1.0, seed=3)
    for name in SPEC.modalities:
        assert np.array_equal(cells_of(same)[name], cells_of(data)[name])
        assert np.array_equal(values_of(same)[name], values_of(data)[name])
        assert not cells_of(none)[name].any()
        assert not values_of(none)[name].any()
    if isinstance(data, Aligned):
        assert np.array_equal(none.mask, data.mask)


@pytest.mark.parametrize("drop", DROPS)
@pytest.mark.parametrize("data", [batch_of(), aligned_of()], ids=["batch", "aligned"])
@settings(max_examples=20)
@given(rates=st.tuples(RATE, RATE), seed=st.integers(0, 99))
def test_what_is_missing_at_a_rate_is_missing_at_every_higher_one(
    drop: Any, data: Any, rates: tuple[float, float], seed: int
) -> None:
    low, high = (drop(data, rate, seed=seed) for rate in sorted(rates))
    for name in SPEC.modalities:
        assert not (cells_of(high)[name] & ~cells_of(low)[name]).any()
        assert np.array_equal((values_of(low)[name] != 0).any(axis=2), cells_of(low)[name])
        kept = cells_of(low)[name]
        assert np.array_equal(values_of(low)[name][kept], values_of(data)[name][kept])


@pytest.mark.parametrize("drop", DROPS)
@settings(max_examples=20)
@given(order=st.permutations(range(12)), rate=RATE)
def test_order_and_size_of_the_batch_decide_nothing(drop: Any, order: list[int], rate: float) -> None:
    data = aligned_of()
    rows = np.array(order[:7])
    whole, part = drop(data, rate, seed=5), drop(data[rows], rate, seed=5)
    assert np.array_equal(whole[rows].cell_mask, part.cell_mask)
    assert np.array_equal(whole[rows].values, part.values)


def test_padding_decides_nothing() -> None:
    data = batch_of()
    pad = {m: np.pad(v, ((0, 0), (3, 2), (0, 0))) for m, v in data.values.items()}
    wide = Batch(data.ids, pad, {m: np.pad(v, ((0, 0), (3, 2))) for m, v in data.mask.items()}, SPEC)
    narrow, padded = missing.drop_steps(data, 0.4, seed=2), missing.drop_steps(wide, 0.4, seed=2)
    for name in SPEC.modalities:
        assert np.array_equal(padded.mask[name][:, 3:-2], narrow.mask[name])


@pytest.mark.parametrize("drop", DROPS)
def test_the_share_that_is_dropped_is_the_rate_and_seeds_differ(drop: Any) -> None:
    data = Aligned.from_arrays(np.ones((2000, 3, 4), np.float32), SPEC)
    first, second = (drop(data, 0.3, seed=seed).cell_mask for seed in (0, 1))
    assert first.mean() == pytest.approx(0.7, abs=0.02)
    assert (first != second).mean() == pytest.approx(2 * 0.3 * 0.7, abs=0.03)
    correlation = np.corrcoef(first[:, 0, 0], first[:, 0, 1])[0, 1]
    assert abs(correlation) < 0.08  # modalities are dropped independently


def test_draws_are_pinned() -> None:
    data = Aligned.from_arrays(np.ones((6, 4, 4), np.float32), SPEC, ids=np.array([f"u{k}" for k in range(6)]))
    whole = missing.drop_modalities(data, 0.5, seed=0).cell_mask[:, 0].astype(int).tolist()
    steps = missing.drop_steps(data[:1], 0.5, seed=0).cell_mask[0].astype(int).tolist()
    assert whole == PINNED_MODALITIES
    assert steps == PINNED_STEPS


def test_only_the_named_modalities_are_touched() -> None:
    data = batch_of()
    dropped = missing.drop_modalities(data, 1.0, modalities=["audio"])
    assert not dropped.mask["audio"].any()
    assert dropped.mask["text"] is data.mask["text"] and dropped.values["vision"] is data.values["vision"]
    kept = missing.keep_modalities(data, ["audio"])
    assert np.array_equal(kept.mask["audio"], data.mask["audio"])
    assert not kept.mask["text"].any() and not kept.values["vision"].any()
    aligned = aligned_of()
    assert np.array_equal(missing.keep_modalities(aligned, ["text"]).values, aligned.only(["text"]).values)


def test_subsets_are_all_of_them() -> None:
    assert len(missing.modality_subsets(["t", "a", "v"])) == 7
    assert missing.modality_subsets(["t", "a", "v"])[-1] == ("t", "a", "v")


@pytest.mark.parametrize(("rate", "names"), [(-0.1, None), (1.1, None), (float("nan"), None), (0.5, ["smell"])])
def test_what_is_no_rate_or_modality_is_refused(rate: float, names: list[str] | None) -> None:
    with pytest.raises(DataError):
        missing.drop_steps(batch_of(), rate, modalities=names)


def test_areas_equal_sums_by_hand() -> None:
    rng = np.random.default_rng(0)
    s, late = rng.uniform(0.4, 0.9, (2, 10))
    assert missing.relative_robustness(s) == pytest.approx(sum((s[i] + s[i + 1]) * 0.05 for i in range(9)))
    expected = sum(s[i] - (late[i] + (s[0] - late[0])) for i in range(10))
    assert missing.effective_robustness(s, late) == pytest.approx(expected)
    assert missing.effective_robustness(s, s) == pytest.approx(0.0, abs=1e-15)
    eleven = rng.uniform(0.4, 0.9, 11)
    assert missing.area_under_curve(missing.RATES, eleven) == pytest.approx(np.trapezoid(eleven, missing.RATES))


@pytest.mark.parametrize(("rates", "scores"), [([0], [1]), ([0, 1], [1]), ([0, 0], [1, 1]), ([1, 0], [1, 1])])
def test_what_is_no_curve_is_refused(rates: list[float], scores: list[float]) -> None:
    with pytest.raises(DataError, match="no curve"):
        missing.area_under_curve(rates, scores)
    with pytest.raises(DataError, match="same rates"):
        missing.effective_robustness([1.0, 2.0], [1.0])


def test_a_curve_holds_every_seed_and_its_means() -> None:
    curve = missing.missing_curve(
        lambda rate, seed: {"acc": rate + seed, "mae": 1.0}, rates=(0.0, 0.5, 1.0), seeds=(0, 2)
    )
    assert curve.scores["acc"] == ((0.0, 2.0), (0.5, 2.5), (1.0, 3.0))
    assert curve.means("acc") == (1.0, 1.5, 2.0)
    assert curve.to_json()["scores"]["mae"]["area"] == 1.0
    with pytest.raises(DataError, match="seed"):
        missing.missing_curve(lambda rate, seed: {}, seeds=())
