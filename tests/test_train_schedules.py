"""Learning rates against torch's own scheduler and steps by hand, and the held-out fold against its laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.errors import DataError, SpecificationError
from trivium.train import hold_out
from trivium.train.schedules import plateau, public_code, schedule


def rates_of_torch(fed: list[float], first: float = 0.02, **options: Any) -> list[float]:
    """Learning rate of every epoch when torch's plateau rule is fed these numbers at the ends of epochs."""
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=first)
    rule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
    rates = []
    for value in fed:
        rates.append(optimizer.param_groups[0]["lr"])
        rule.step(value)
    return rates


@pytest.mark.parametrize("start", [0, 1])
def test_the_public_code_s_slip_is_torch_s_rule_fed_with_the_epoch(start: int) -> None:
    fed = [float(epoch) for epoch in range(start, start + 100)]
    rates = [public_code(0.02, [0.5] * epoch) for epoch in range(100)]
    assert rates == rates_of_torch(fed)
    drops = [epoch for epoch in range(1, 100) if rates[epoch] != rates[epoch - 1]]
    assert drops[:4] == [12, 23, 34, 45], "a tenth after 12 epochs, then after every 11"


@settings(max_examples=50)
@given(st.lists(st.sampled_from([1.0, 0.9, 0.89995, 0.5, 0.3, 2.0]), min_size=1, max_size=60))
def test_plateau_is_torch_s_rule(losses: list[float]) -> None:
    assert [plateau(0.02, losses[:epoch]) for epoch in range(len(losses))] == rates_of_torch(losses)


def test_an_unknown_schedule_lists_those_that_exist() -> None:
    with pytest.raises(SpecificationError, match="public-code, plateau, constant"):
        schedule("cosine")


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), min_size=1, max_size=60),
    st.floats(0.01, 0.6),
    st.integers(0, 3),
)
def test_no_group_is_on_both_sides_and_every_corpus_keeps_something(
    members: list[tuple[str, int]], fraction: float, seed: int
) -> None:
    strata = np.array([corpus for corpus, _ in members])
    groups = np.array([f"{corpus}{speaker}" for corpus, speaker in members])
    held = hold_out(len(members), fraction, seed=seed, groups=groups, strata=strata)
    assert not set(groups[held]) & set(groups[~held])
    assert set(strata[~held]) == set(strata)
    for corpus in set(strata):
        if len(set(groups[strata == corpus])) > 1:
            assert held[strata == corpus].any()
    np.testing.assert_array_equal(held, hold_out(len(members), fraction, seed=seed, groups=groups, strata=strata))


def test_equal_names_in_two_corpora_are_two_groups() -> None:
    groups, strata = np.array(["1", "2", "3", "1", "1"]), np.array(["a", "a", "a", "b", "b"])
    for seed in range(8):
        held = hold_out(5, 0.3, seed=seed, groups=groups, strata=strata)
        assert held[:3].sum() == 1 and not held[3:].any()


def test_single_samples_are_held_out_to_the_number() -> None:
    assert [hold_out(200, 0.1, seed=s).sum() for s in range(3)] == [20, 20, 20]
    assert not hold_out(200, 0.0, seed=0).any()


def test_a_share_outside_its_range_is_one_clear_error() -> None:
    with pytest.raises(DataError, match=r"\[0, 1\)"):
        hold_out(10, 1.0, seed=0)
    with pytest.raises(DataError, match="3 groups for 10 samples"):
        hold_out(10, 0.1, seed=0, groups=np.array(["a", "b", "c"]))


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from([1.0, 0.9, 0.89995, 0.5, 0.3, 2.0]), min_size=1, max_size=40),
    st.integers(0, 6),
    st.sampled_from([0.1, 0.5, 0.9]),
)
def test_patience_and_factor_are_those_of_torch(losses: list[float], patience: int, factor: float) -> None:
    found = schedule(f"plateau:patience={patience}:factor={factor}")
    expected = rates_of_torch(losses, patience=patience, factor=factor)
    assert [found(0.02, losses[:epoch]) for epoch in range(len(losses))] == expected


@pytest.mark.parametrize(
    "request_",
    ["plateau:patience=-1", "plateau:patience=x", "plateau:factor=1", "plateau:cooldown=1", "constant:patience=1"],
)
def test_a_schedule_that_cannot_be_is_one_clear_error(request_: str) -> None:
    with pytest.raises(SpecificationError):
        schedule(request_)
