"""What each block of a vector says: factors, ordered and shaded, and a matrix or a vector without its usual company."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from trivium.corpus import Aligned, Specification, StreamSpecification
from trivium.errors import DataError
from trivium.report import BlockFactors, MatrixPair, VectorStrip

CLASSES = ("calm", "angry", "sad")
BLOCKS = {"voice": (0.0, math.log(3), -math.log(3)), "<face>": (math.log(2), -0.5, 0.1)}


def test_columns_stand_by_what_all_blocks_say_together_and_factors_are_their_exponentials() -> None:
    page = str(BlockFactors(CLASSES, BLOCKS, lead="so").html())
    assert re.findall(r'scope="col">(\w+)<', page) == ["calm", "angry", "sad"]
    assert re.findall(r"(\d\.\d\d)</td>", page) == ["1.00", "3.00", "0.33", "2.00", "0.61", "1.11"]
    assert page.count('class="up"') == 3 and "--much:45" in page and "<face>" not in page


def test_a_block_that_tells_of_other_classes_is_refused() -> None:
    with pytest.raises(DataError, match="face does not tell of 3"):
        BlockFactors(CLASSES, {"face": (0.0, 1.0)})


def test_blocks_of_a_vector_are_strips_of_their_own_and_must_make_it_up() -> None:
    vector = np.arange(5.0)
    page = str(VectorStrip(vector, blocks=[("mean & spread", 3), ("fisher", 2)]).html())
    assert page.count("<img") == 2 and "mean &amp; spread" in page and "5 numbers" in page
    with pytest.raises(DataError, match="not the 5"):
        VectorStrip(vector, blocks=[("some", 3)])


def test_a_matrix_without_a_reconstruction_stands_alone() -> None:
    spec = Specification((StreamSpecification("audio", ("f0",), clock="words"),))
    pair = MatrixPair(Aligned.from_arrays(np.ones((1, 2, 1), np.float32), spec), heading="The matrix")
    page = str(pair.html())
    assert pair.errors() == {} and page.count("<img") == 1 and "reconstruction" not in page.lower()
