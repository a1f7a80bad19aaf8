"""CMU-MOSI, words alone: 2,199 opinions in 93 videos, transcripts and labels of the release.

Source: Zadeh et al. (2016). The release's columns of voice and face were trained with labels, so they are left out.
Track H describes a word by its letters alone: hashed pieces of one to four letters, by formula. Track F: states of
MiniLM-L6 (Wang et al. 2020), trained on text pairs without any label of this task.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trivium.corpus import LabelSpecification
from trivium.errors import DataError
from trivium.evaluate.suite.material import Material, Track
from trivium.evaluate.suite.places import table_of
from trivium.evaluate.suite.sequences import Steps, kept_sequences, layers_apart, padded, side_by_side
from trivium.evaluate.suite.source import source_digest

__all__ = ["LETTER_COLUMNS", "letter_columns", "mosi_words"]

LETTER_COLUMNS = 256
"""Columns of a word in track H."""
_LONGEST_PIECE = 4
_STEPS = 40
_LAYERS = (1, 2, 3, 4, 5)  # of MiniLM; what the sixth gives are the words' columns
_NEEDED = ("id", "video", "text", "label", "split_std")


def mosi_words(folder: Path, work: Path, track: Track, *, show: bool = True) -> Material:
    """Transcripts as one step per word; ``steps`` are the first 40 words, ``frames`` all.

    In track F, mean and spread over the words of the states after each of MiniLM's layers but the last are functionals
    by the names ``layer1`` to ``layer5``.

    Parameters
    ----------
    folder : path
        Of all real sets.
    work : path
        Where word vectors are kept.
    track : {"H", "F"}
        Letters, or MiniLM.
    show : bool
        Show progress.

    Raises
    ------
    DataError
        The table is not that of the release.
    UpstreamError
        MiniLM is not on this machine.
    """
    file = folder / "mosi" / "mosi_meta.csv"
    rows = table_of(file, _NEEDED)
    texts = [row["text"].lower().split() or [""] for row in rows]
    layers: dict[str, Steps] = {}
    if track == "H":
        words = [letter_columns(text) for text in texts]
    else:
        words, layers = _minilm(texts, work, show)
    try:
        sentiment = np.array([float(row["label"]) for row in rows])
    except ValueError as cause:
        raise DataError(f"a label is no number: {cause}", file=file) from cause
    table = {
        "label.sentiment": sentiment,
        "group.video": np.array([row["video"] for row in rows]),
        "split.standard": np.array([row["split_std"] for row in rows]),
    }
    label = LabelSpecification("sentiment", "regression", range=(-3.0, 3.0))
    ids = [row["id"] for row in rows]
    parts = [padded(words, length) for length in (_STEPS, None)]
    steps, frames = (side_by_side({"text": part}, "mosi", ids, (label,), table) for part in parts)
    functionals = np.array([[len(text), np.mean([len(word) for word in text])] for text in texts])
    means = np.array([[*word.mean(axis=0), *word.max(axis=0), *word.min(axis=0)] for word in words])
    return Material(steps, frames, {"functionals": {"text": np.concatenate([means, functionals], axis=1), **layers}})


def _minilm(texts: Sequence[Sequence[str]], work: Path, show: bool) -> tuple[list[Steps], dict[str, Steps]]:
    """Last states of the words of every text; mean and spread of those after each layer before."""
    from trivium.extract.text.minilm import load_word_encoder

    encoder = load_word_encoder()

    def of(number: int) -> dict[str, Steps]:
        *before, last = encoder.encode_layers(texts[number])
        side = np.concatenate(before, axis=1)
        return {"text": last, "layers": np.stack([side.mean(axis=0), side.std(axis=0)])}

    names = [" ".join(text) for text in texts]
    found = kept_sequences(
        names, f"minilm-l6 {source_digest(__name__)}", of, work / "words", title="word vectors", show=show
    )
    return found["text"], layers_apart(found["layers"], _LAYERS)


def letter_columns(words: Sequence[str]) -> Steps:
    """Hashed pieces of one to four letters, beginnings and ends marked: what a word looks like, nothing it means.

    Parameters
    ----------
    words : sequence of T str
        In lower case.

    Returns
    -------
    array of shape (T, 256)
        Signed counts over the square root of the number of pieces.

    Notes
    -----
    Source: feature hashing, Weinberger et al. (2009); pieces, width and scale are our choice.

    Examples
    --------
    >>> columns = letter_columns(["good", "goods", "bad"])
    >>> bool(columns[0] @ columns[1] > columns[0] @ columns[2])
    True
    """
    found = np.zeros((len(words), LETTER_COLUMNS), np.float32)
    for row, word in enumerate(words):
        marked = f"<{word}>"
        sizes = range(1, _LONGEST_PIECE + 1)
        pieces = [marked[i : i + size] for size in sizes for i in range(len(marked) - size + 1)] + [marked]
        for piece in pieces:
            code = zlib.crc32(piece.encode())
            found[row, code % LETTER_COLUMNS] += 1.0 if code & (1 << 31) else -1.0
        found[row] /= np.sqrt(len(pieces))
    return found
