"""Freed memory is used again while a training lasts, and only then."""

from __future__ import annotations

import platform
import resource

import pytest
import torch

from trivium.train.memory import kept_memory

CELLS = 12_000_000  # 48 MB: more than what glibc ever keeps by itself


def pages_asked_for() -> int:
    """Pages that the system had to hand out for three large tensors, one after the other."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        torch.ones(CELLS)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="nothing happens without glibc")
def test_freed_memory_is_used_again_until_the_end_of_the_block() -> None:
    pages = pages_asked_for()
    with kept_memory():
        pages_asked_for()
        # what lies between large blocks may cost one of the three its place
        assert pages_asked_for() < 0.75 * pages
    assert pages_asked_for() > pages / 2


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="nothing happens without glibc")
def test_memory_is_handed_back_after_an_error() -> None:
    pages = pages_asked_for()
    with pytest.raises(ZeroDivisionError), kept_memory():
        torch.ones(CELLS)
        _ = 1 / 0
    assert pages_asked_for() > pages / 2
