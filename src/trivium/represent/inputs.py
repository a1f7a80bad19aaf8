"""What a representation is given: an aligned set, a corpus, or a plain array; all become aligned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned, Corpus, Specification, StreamSpecification
from trivium.errors import SpecificationError

__all__ = ["array_to_aligned", "corpora_of", "to_aligned"]


def to_aligned(x: Aligned | Corpus, words: int) -> Aligned:
    """Aligned form of `x`.

    Parameters
    ----------
    x : Aligned or Corpus
        A corpus is aligned to its words; an aligned set brings its own number of steps.
    words : int
        Words per utterance that a corpus is cropped or padded to.
    """
    if isinstance(x, Aligned):
        return x
    from trivium.align import align

    return align(x, words=words)


def array_to_aligned(x: NDArray[np.float32]) -> Aligned:
    """Wrap a plain array: every cell was seen, columns have positional names.

    Parameters
    ----------
    x : array of shape (N, W, D) or (N, D)
        Two axes are utterances of one step.

    Examples
    --------
    >>> array_to_aligned(np.zeros((3, 4), np.float32)).shape
    (3, 1, 4)
    """
    if x.ndim not in (2, 3):
        raise SpecificationError(f"an array of shape {x.shape} is no set of matrices", remedy="give (N, W, D)")
    values = x[:, None, :] if x.ndim == 2 else x
    stream = StreamSpecification.positional("matrix", "array", values.shape[2], clock="words")
    return Aligned.from_arrays(values, Specification((stream,)))


def corpora_of(aligned: Aligned) -> NDArray[np.str_] | None:
    """Group ``corpus`` of every utterance, None where the set was not joined from several."""
    return aligned.table.get("group.corpus")
