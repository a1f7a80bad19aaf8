"""A late readout stored as one linear head: the same answers, and what each block says of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from trivium.errors import DataError, WeightsError
from trivium.evaluate import LateReadout, late_head
from trivium.weights import LinearHead

PLACES = {"voice": (1, 4), "face": (4, 8), "wide": (8, 98)}
WIDTHS = {name: b - a for name, (a, b) in PLACES.items()}
Numbers = NDArray[np.float64]


def vectors(n: int, classes: int) -> tuple[Numbers, NDArray[np.str_]]:
    """Whole vectors of 100 numbers, synthetic: two columns in no block, one column with a cell far out."""
    rng = np.random.default_rng(n)
    mood = rng.integers(classes, size=n)
    x = rng.standard_normal((n, 100)) * 3 + 1
    x[np.arange(n), 1 + mood % 3] += 4
    x[np.arange(n), 4 + mood] += 3
    x[:, 99] = 2.0
    x[5, 6] = 400.0
    return x, np.array(["calm", "happy", "sad"])[mood]


def blocks_of(x: Numbers) -> Numbers:
    return x[:, 1:98]


@pytest.mark.parametrize("regression", ["logistic", "ridge"])
@pytest.mark.parametrize("classes", [2, 3])
def test_one_head_gives_the_probabilities_of_the_readout(regression: str, classes: int) -> None:
    x, y = vectors(60, classes)  # fewer rows than the widest block has columns, so it is rotated
    readout = LateReadout(WIDTHS, regression=regression, strengths=(0.01, 0.1)).fit(
        blocks_of(x), y, groups=np.arange(60) // 3
    )
    assert readout.readouts_["wide"].rotation_ is not None and (readout.weights_ > 0).any()
    head = late_head(readout, x, PLACES, label="mood", modalities=("audio",))
    turned = late_head(readout, x, dict(reversed(PLACES.items())), label="mood", modalities=("audio",))
    np.testing.assert_array_equal(turned.coefficients, head.coefficients)  # blocks are known by name
    new = vectors(40, classes)[0]
    np.testing.assert_allclose(head.predict_proba(new), readout.predict_proba(blocks_of(new)), atol=1e-6)
    assert head.predict(new).tolist() == readout.predict(blocks_of(new)).tolist()
    assert np.sqrt(np.mean(head.distance(x) ** 2)) == pytest.approx(1), "what is not read counts for nothing"
    changed = new.copy()
    changed[:, [0, 98]] = 50
    np.testing.assert_array_equal(head.predict_proba(changed), head.predict_proba(new))


@pytest.mark.parametrize("weighting", ["fitted", "equal"])
def test_a_number_is_the_weighted_sum_of_the_blocks_numbers(weighting: str) -> None:
    x, _ = vectors(60, 3)
    y = x[:, 1] - 2 * x[:, 5]
    readout = LateReadout(WIDTHS, "numbers", weighting=weighting).fit(blocks_of(x), y, groups=np.arange(60) // 3)
    head = late_head(readout, x, PLACES, label="sentiment")
    np.testing.assert_allclose(head.predict(x), readout.predict(blocks_of(x))[:, 0], atol=1e-8)


def test_what_the_blocks_say_is_the_whole_score() -> None:
    x, y = vectors(60, 3)
    readout = LateReadout(WIDTHS, strengths=(0.1,)).fit(blocks_of(x), y, groups=np.arange(60) // 3)
    head = late_head(readout, x, PLACES, label="mood").calibrated(x[:30], y[:30])
    said = head.by_block(x)
    scores = np.sum(list(said.values()), axis=0) + head.intercept / head.temperature
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares, head.predict_proba(x), atol=1e-12)
    assert list(said) == list(PLACES) and all(np.allclose(part.sum(axis=1), 0) for part in said.values())


def test_the_limit_and_the_blocks_are_stored_and_earlier_heads_have_neither() -> None:
    head = LinearHead(
        "mood", ("a", "b"), np.eye(2), np.zeros(2), np.zeros(2), np.ones(2), limit=3.0, blocks={"voice": (0, 1)}
    )
    again = LinearHead.from_stored(head.to_json(), head.to_arrays())
    assert (again.limit, again.blocks) == (3.0, {"voice": (0, 1)})
    assert again.decision(np.array([[9.0, -9.0]])).tolist() == [[3.0, -3.0]]
    assert again.distance(np.array([[9.0, -9.0]])).tolist() == [9.0], "what lies far out is told by its whole distance"
    plain = LinearHead("mood", ("a", "b"), np.eye(2), np.zeros(2), np.zeros(2), np.ones(2))
    assert set(plain.to_json()) == {"label", "classes", "calibration", "modalities"}
    assert math.isinf(LinearHead.from_stored(plain.to_json(), plain.to_arrays()).limit)


@pytest.mark.parametrize("bad", [{"blocks": {"voice": [0, 3]}}, {"blocks": [1]}, {"limit": 0}, {"limit": "far"}])
def test_a_stored_head_with_impossible_blocks_or_limit_is_refused(bad: dict[str, object]) -> None:
    head = LinearHead("mood", ("a", "b"), np.eye(2), np.zeros(2), np.zeros(2), np.ones(2))
    with pytest.raises(WeightsError, match="head"):
        LinearHead.from_stored({**head.to_json(), **bad}, head.to_arrays())


def test_places_of_other_widths_and_several_numbers_are_refused() -> None:
    x, y = vectors(60, 3)
    readout = LateReadout({"voice": 3}, strengths=(0.1,)).fit(x[:, 1:4], y, groups=np.arange(60) // 3)
    with pytest.raises(DataError, match="not those of the blocks"):
        late_head(readout, x, {"voice": (1, 5)}, label="mood")
    two = LateReadout({"voice": 2, "face": 2}, strengths=(0.1,)).fit(x[:, 1:5], y, groups=np.arange(60) // 3)
    with pytest.raises(DataError, match="overlap"):
        late_head(two, x, {"voice": (1, 3), "face": (2, 4)}, label="mood")
    several = LateReadout({"voice": 3}, "numbers").fit(x[:, 1:4], x[:, 5:7], groups=np.arange(60) // 3)
    with pytest.raises(DataError, match="gives 2"):
        late_head(several, x, {"voice": (1, 4)}, label="mood")
