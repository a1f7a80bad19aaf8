"""What a representation is given: an aligned set, a corpus, or a plain array.

All become aligned; representations that need no common timeline read the streams of a corpus as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned, Corpus, Specification, StreamSpecification, Utterance
from trivium.errors import SpecificationError

__all__ = [
    "ARRAY",
    "ModalitySteps",
    "array_to_aligned",
    "axes_of",
    "corpora_of",
    "native_blocks",
    "split_columns",
    "to_aligned",
]

ARRAY = "matrix"
"""What the columns of a plain array are called."""
_UTTERANCES_AT_ONCE = 32  # a minute of frames of 10 ms in 60 columns is 1.4 MB


class ModalitySteps(NamedTuple):
    """Steps of one modality of several utterances.

    Parameters
    ----------
    values : array of shape (N, T, D)
        Anything where not seen.
    seen : bool array of shape (N, T, D)
        True where a cell holds data.
    times : array of shape (N, T) or None
        Middle of every step in seconds, where the streams have times.
    """

    values: NDArray[np.float32]
    seen: NDArray[np.bool_]
    times: NDArray[np.float64] | None = None


def split_columns(
    values: NDArray[np.float32], seen: NDArray[np.bool_], widths: Mapping[str, int]
) -> dict[str, ModalitySteps]:
    """Columns of an aligned matrix by modality.

    Parameters
    ----------
    values : array of shape (N, W, D)
        The matrix.
    seen : bool array of shape (N, W, D)
        True where a cell holds data.
    widths : mapping of str to int
        Columns of each modality, in order.

    Examples
    --------
    >>> parts = split_columns(np.zeros((1, 2, 3)), np.ones((1, 2, 3), bool), {"audio": 2, "vision": 1})
    >>> parts["audio"].values.shape, parts["vision"].values.shape
    ((1, 2, 2), (1, 2, 1))
    """
    edges = np.cumsum([0, *widths.values()]).tolist()
    places = [slice(*pair) for pair in pairwise(edges)]
    return {
        name: ModalitySteps(values[:, :, place], seen[:, :, place]) for name, place in zip(widths, places, strict=True)
    }


def native_blocks(corpus: Corpus, size: int = _UTTERANCES_AT_ONCE) -> Iterator[dict[str, ModalitySteps]]:
    """Streams of a corpus as they are, each at its own rate, a few utterances at a time.

    As in :func:`trivium.align.align`, a row of zeros in a stream of words counts as not seen.

    Parameters
    ----------
    corpus : Corpus
        N utterances.
    size : int
        Utterances in a block.

    Raises
    ------
    SpecificationError
        A modality holds token ids.

    Examples
    --------
    >>> from trivium.corpus import Stream
    >>> voice = StreamSpecification("audio", ("f0",), clock="none")
    >>> clips = [Utterance(i, {"audio": Stream(np.ones((n, 1), np.float32), voice)}) for i, n in (("a", 2), ("b", 3))]
    >>> block = next(native_blocks(Corpus.from_utterances(clips, Specification((voice,)))))
    >>> block["audio"].seen.sum(axis=1).tolist()
    [[2], [3]]
    """
    tokens = [stream.modality for stream in corpus.specification.streams if stream.dtype != "float32"]
    if tokens:
        raise SpecificationError(f"{', '.join(tokens)} holds token ids", remedy="select the other modalities")
    for start in range(0, len(corpus), size):
        utterances = list(corpus[slice(start, start + size)])
        yield {stream.modality: _steps_of(utterances, stream) for stream in corpus.specification.streams}


def _steps_of(utterances: Sequence[Utterance], specification: StreamSpecification) -> ModalitySteps:
    streams = [utterance.streams.get(specification.modality) for utterance in utterances]
    longest = max((stream.steps for stream in streams if stream is not None), default=0)
    values = np.zeros((len(streams), longest, specification.dim), np.float32)
    there = np.zeros((len(streams), longest), bool)
    times = np.zeros((len(streams), longest)) if specification.clock == "seconds" else None
    for row, stream in enumerate(streams):
        if stream is None:
            continue
        values[row, : stream.steps] = stream.values
        there[row, : stream.steps] = True
        if times is not None and stream.times is not None:
            times[row, : stream.steps] = stream.times.mean(axis=1)
    if specification.clock == "words":
        there &= (values != 0).any(axis=2)
    return ModalitySteps(values, there[:, :, None] & np.isfinite(values), times)


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


def axes_of(x: Any) -> int:
    """Axes of whatever stands for an array, such as nested lists.

    Parameters
    ----------
    x : array-like
        Numbers.

    Examples
    --------
    >>> axes_of([[1, 2]])
    2
    """
    # not np.ndim: what only converts to an array need not take part in NumPy's functions
    return int(x.ndim if hasattr(x, "ndim") else np.asarray(x).ndim)


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
    stream = StreamSpecification.positional(ARRAY, "array", values.shape[2], clock="words")
    return Aligned.from_arrays(values, Specification((stream,)))


def corpora_of(aligned: Aligned) -> NDArray[np.str_] | None:
    """Group ``corpus`` of every utterance, None where the set was not joined from several."""
    return aligned.table.get("group.corpus")
