"""A corpus onto its words: the function :func:`align`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trivium.align.collapse import Collapse, collapse_into
from trivium.align.overlap import SHORTEST_OVERLAP, overlapping_rows
from trivium.corpus import Aligned, Corpus, Specification, Stream, Utterance, Words
from trivium.errors import AlignmentError
from trivium.progress import track

__all__ = ["align"]

Pad = Literal["left", "right"]


def align(
    corpus: Corpus,
    *,
    words: int | None = None,
    reference: str | None = None,
    collapse: str | Collapse = "mean",
    pad: Pad = "left",
    modalities: Iterable[str] | None = None,
    need_words: bool = True,
    show: bool = True,
) -> Aligned:
    """Put all modalities on one timeline: one step per word.

    A row of a stream belongs to a step when the two share more than 1e-5 s; its step gets the unweighted mean of all
    such rows (or what `collapse` says). Steps shorter than 1e-5 s or without a time (NaN) are skipped. Where a modality
    has nothing at a step, the cell is zero and its mask False: a missing face is no ``KeyError``. Words outside the
    span of the utterance are left out; a word that overlaps its border by more than 1e-5 s stays.

    Streams whose steps are words already keep their rows. In these a row of zeros counts as not seen, because every
    distribution of aligned features (and the SDK's ``impute``) writes zeros for "nothing there". A modality that has
    one row and no clock speaks of the whole utterance and is repeated at every step (our choice).

    Parameters
    ----------
    corpus : Corpus
        Utterances; times are seconds of the clip.
    words : int, optional
        Number of steps W to crop or pad to; default is the longest utterance (which reads a stored corpus twice).
    reference : str, optional
        A modality whose rows are the steps; default, or ``"words"``: the words. Where words are not known but ``text``
        has times, its rows are the words (CMU files hold one vector per word, and none for the pause ``sp``).
    collapse : str or callable
        ``mean``, ``sum``, ``max``, ``min``, ``median``, ``first``, ``last``, or a function of (intervals (k, 2) cut to
        the step, features (k, D)) that gives (D,).
    pad : {"left", "right"}
        ``left`` pads zeros in front and keeps the last `words` steps, as the SDK's ``get_tensors`` does by default;
        ``right`` pads behind and keeps the first.
    modalities : iterable of str, optional
        Which modalities to align; default all but token ids, which have no mean.
    need_words : bool
        Whether a corpus in which no utterance has words is an error. A part of a corpus may have none: its utterances
        have no step, and all their cells are masked.
    show : bool
        Whether to show progress.

    Returns
    -------
    Aligned
        Values (N, W, D) float32, masks, ids, the span (clip seconds) and word of every step, and in its table the
        labels, groups, splits, clip, start and end of the utterances.

    Raises
    ------
    AlignmentError
        No utterance has words with times (where they are needed); a stream has neither a clock nor a single row; a
        stream of words has another length than the words; token ids were to be averaged.
    SpecificationError
        A modality does not exist.

    Notes
    -----
    Semantics: CMU Multimodal SDK, ``mmdataset.align``, ``impute`` and ``get_tensors``.

    Examples
    --------
    >>> from trivium.corpus import StreamSpecification
    >>> voice = StreamSpecification("audio", ("energy",), clock="seconds")
    >>> frames = np.array([[0.0, 0.1], [0.1, 0.2], [0.2, 0.3], [0.3, 0.4]])
    >>> stream = Stream(np.array([[1.0], [3.0], [5.0], [7.0]], np.float32), voice, frames)
    >>> spoken = Words(("hi", "there"), np.array([[0.0, 0.2], [0.2, 0.3]]))
    >>> corpus = Corpus.from_utterances([Utterance("a", {"audio": stream}, spoken)], Specification((voice,)))
    >>> x = align(corpus, words=3)
    >>> x.values[0, :, 0].tolist(), x.words[0].tolist()
    ([0.0, 2.0, 5.0], ['', 'hi', 'there'])
    """
    known = corpus.specification
    chosen = corpus.select((known.numeric or known.modalities) if modalities is None else modalities)
    timeline = _timeline(corpus, reference)
    _check(chosen.specification, words, pad)
    # the reference may be a modality that is not kept, so utterances are read with all of theirs
    timelines: list[_Steps] | None = None
    longest = words
    if longest is None:
        timelines = [timeline(u) for u in corpus]
        longest = max(map(len, timelines), default=0)
    aligned = _empty(chosen, longest)
    spoken: list[list[str]] = []
    told = False
    for row, utterance in enumerate(track(corpus, "aligning", show=show)):
        steps = timeline(utterance) if timelines is None else timelines[row]
        told = told or steps.known
        steps = steps.crop(longest, pad)
        place = slice(longest - len(steps), longest) if pad == "left" else slice(0, len(steps))
        _fill(aligned, row, place, utterance, steps, collapse)
        spoken.append([""] * place.start + steps.text + [""] * (longest - place.stop))
    if need_words and len(corpus) and not told:
        raise _no_words(corpus.specification)
    return replace(aligned, words=np.array(spoken, dtype=np.str_).reshape(len(corpus), longest))


def _no_words(specification: Specification) -> AlignmentError:
    """What is missing, and what can be done with the streams that there are."""
    problem = "no utterance has words with times, and words are the steps"
    timed = [stream.modality for stream in specification.streams if stream.clock == "seconds"]
    untimed = [stream.modality for stream in specification.streams if stream.clock == "none"]
    if timed:
        return AlignmentError(
            problem,
            remedy="extract the clips, or read files that time their words; or let the steps of a stream be the steps: "
            f"`trivium align CORPUS --reference {timed[0]} --out FILE.npz`, reference={timed[0]!r} in Python",
        )
    if untimed:
        return AlignmentError(
            f"{problem}; nor do the steps of {', '.join(untimed)} have any",
            remedy="extract the clips, or read files that time their words; `trivium train` takes such streams as they "
            "are",
        )
    return AlignmentError(problem, remedy="extract the clips, or read files that time their words")


@dataclass(frozen=True, eq=False)
class _Steps:
    """Timeline of one utterance: spans (W, 2) in seconds (NaN where unknown), words, and rows of the reference."""

    spans: NDArray[np.float64]
    text: list[str]
    rows: NDArray[np.int64]
    total: int  # steps before cropping, which streams of words must have
    known: bool = True

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def timed(self) -> bool:
        return bool(len(self) == 0 or not np.isnan(self.spans).any())

    def crop(self, words: int, pad: Pad) -> _Steps:
        kept = slice(max(0, len(self) - words), None) if pad == "left" else slice(0, words)
        return replace(self, spans=self.spans[kept], text=self.text[kept], rows=self.rows[kept])


def _check(specification: Specification, words: int | None, pad: str) -> None:
    if words is not None and words < 1:
        raise AlignmentError(f"{words} is no number of steps", remedy="ask for at least one")
    if pad not in ("left", "right"):
        raise AlignmentError(f"padding on the side {pad!r}", remedy="choose left or right")
    tokens = [s.modality for s in specification.streams if s.dtype != "float32"]
    if tokens:
        raise AlignmentError(
            f"{', '.join(tokens)} holds token ids, which have no mean", remedy="name the other modalities"
        )


def _empty(corpus: Corpus, words: int) -> Aligned:
    spec = Specification(
        tuple(replace(s, clock="words") for s in corpus.specification.streams), corpus.specification.labels
    )
    n = len(corpus)
    return Aligned(
        np.zeros((n, words, len(spec.columns)), np.float32),
        np.zeros((n, words), bool),
        np.zeros((n, words, len(spec.modalities)), bool),
        spec,
        corpus.ids,
        np.full((n, words, 2), np.nan),
        np.full((n, words), "", dtype="<U1"),
        {name: corpus.column(name) for name in corpus.column_names() if name not in ("id", "text")},
    )


def _timeline(corpus: Corpus, reference: str | None) -> Callable[[Utterance], _Steps]:
    if reference in (None, "words"):
        return _word_steps
    clock = corpus.specification.stream(str(reference)).clock
    if clock == "none":
        raise AlignmentError(f"{reference} has no clock and cannot be the reference", remedy="choose another stream")
    return lambda utterance: _stream_steps(utterance, str(reference))


def _word_steps(utterance: Utterance) -> _Steps:
    words = utterance.words
    if words is not None and words.times is not None:
        return _within(utterance, words.times, list(words.text))
    text = utterance.streams.get("text")
    if text is not None and text.times is not None:
        return _within(utterance, text.times, [""] * text.steps)
    clocked = {m: s.steps for m, s in utterance.streams.items() if s.specification.clock == "words"}
    if clocked:
        if len(set(clocked.values())) > 1:
            counts = ", ".join(f"{m} {n}" for m, n in clocked.items())
            raise AlignmentError(f"streams of words differ in length: {counts}", place=f"utterance {utterance.id}")
        total = next(iter(clocked.values()))
        return _untimed(total, words)
    if utterance.streams and all(s.steps == 1 and s.times is None for s in utterance.streams.values()):
        return _untimed(1, None)
    return _Steps(np.empty((0, 2)), [], np.empty(0, np.int64), 0, known=False)


def _stream_steps(utterance: Utterance, reference: str) -> _Steps:
    stream = utterance.streams.get(reference)
    if stream is None:
        return _Steps(np.empty((0, 2)), [], np.empty(0, np.int64), 0, known=False)
    times = _times(stream, utterance.words)
    if times is None:
        return _untimed(stream.steps, None)
    return _within(utterance, times, [""] * stream.steps)


def _untimed(total: int, words: Words | None) -> _Steps:
    text = list(words.text) if words is not None and len(words) == total else [""] * total
    return _Steps(np.full((total, 2), np.nan), text, np.arange(total), total)


def _within(utterance: Utterance, times: NDArray[np.float64], text: list[str]) -> _Steps:
    """Steps of at least 1e-5 s that overlap the span of the utterance."""
    kept = (times[:, 1] - times[:, 0] >= SHORTEST_OVERLAP) & np.isfinite(times).all(axis=1)
    if np.isfinite(utterance.start):
        kept &= times[:, 1] - utterance.start > SHORTEST_OVERLAP
    if np.isfinite(utterance.end):
        kept &= utterance.end - times[:, 0] > SHORTEST_OVERLAP
    if kept.all():
        return _Steps(times, text, np.arange(len(times)), len(times))
    rows = np.flatnonzero(kept)
    return _Steps(times[rows], [text[row] for row in rows.tolist()], rows, len(times))


def _times(stream: Stream, words: Words | None) -> NDArray[np.float64] | None:
    if stream.times is not None or stream.specification.clock == "none":
        return stream.times
    return words.times if words is not None and len(words) == stream.steps else None


def _fill(
    aligned: Aligned, row: int, place: slice, utterance: Utterance, steps: _Steps, collapse: str | Collapse
) -> None:
    aligned.mask[row, place] = True
    aligned.spans[row, place] = steps.spans
    column = 0
    for number, spec in enumerate(aligned.specification.streams):
        stream = utterance.streams.get(spec.modality)
        cells = aligned.values[row, place, column : column + spec.dim]
        column += spec.dim
        if stream is None or not len(steps):
            continue
        try:
            aligned.cell_mask[row, place, number] = _fill_cells(cells, stream, utterance.words, steps, collapse)
        except AlignmentError as error:
            where = f"utterance {utterance.id}, {spec.modality}" + (f", {error.place}" if error.place else "")
            raise AlignmentError(error.problem, place=where, remedy=error.remedy) from error


def _fill_cells(
    cells: NDArray[np.float32], stream: Stream, words: Words | None, steps: _Steps, collapse: str | Collapse
) -> NDArray[np.bool_]:
    """Write one stream at the steps into `cells` (W, D), and say where it was seen (W,)."""
    values = np.asarray(stream.values, dtype=np.float32)
    if stream.specification.clock == "words" and stream.steps == steps.total:
        cells[:] = values[steps.rows]
        return np.asarray((cells != 0).any(axis=1))
    times = _times(stream, words)
    if times is not None and steps.timed:
        overlap = overlapping_rows(steps.spans, times)
        return collapse_into(cells, values, times, steps.spans, overlap, collapse)
    if stream.specification.clock == "none" and stream.steps == 1:
        cells[:] = values
        return np.ones(len(steps), bool)
    if stream.steps == 0:
        return np.zeros(len(steps), bool)
    raise AlignmentError(
        f"{stream.steps} steps without times cannot be put on {steps.total} steps",
        remedy="give the stream times in seconds, or leave it out by naming the other modalities",
    )
