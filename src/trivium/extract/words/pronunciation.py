"""Pronunciations of English words that the aligner's dictionary lacks.

A small recurrent network reads the letters and writes ARPAbet phones (Park and Kim 2019, g2pE). Its weights come from
the catalogue (``g2p-en``); the network is computed here in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DependencyError, UpstreamError
from trivium.upstream import model_file

__all__ = ["Pronouncer", "load_pronouncer", "unknown_words"]

# The order of both alphabets is that of the rows of the network's embeddings.
_LETTERS = ("<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz")
_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
_CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
# Vowels carry their stress: AA0 AA1 AA2; the network also knows a UW without one.
_STRESSED = [vowel + stress for vowel in _VOWELS.split() for stress in "012"]
_PHONES = ("<pad>", "<unk>", "<s>", "</s>", *sorted([*_STRESSED, *_CONSONANTS.split(), "UW"]))
_START, _STOP = _PHONES.index("<s>"), _PHONES.index("</s>")
_MOST_PHONES = 20
_SIZES = {"enc_emb": len(_LETTERS), "dec_emb": len(_PHONES), "fc_b": len(_PHONES)}
_NAMES = [f"{side}_{part}" for side in ("enc", "dec") for part in ("emb", "w_ih", "w_hh", "b_ih", "b_hh")]

Array = NDArray[np.float32]


class Pronouncer:
    """Letters to phones.

    Parameters
    ----------
    weights : mapping of str to float32 array
        The twelve arrays of the checkpoint.

    Examples
    --------
    >>> load_pronouncer().phones("trivium")  # doctest: +SKIP
    ('T', 'R', 'IH', 'V', 'IY', 'AH', 'M')
    """

    def __init__(self, weights: dict[str, Array]) -> None:
        self._weights = weights

    def phones(self, word: str) -> tuple[str, ...]:
        """ARPAbet phones without stress; empty for a word without letters.

        Parameters
        ----------
        word : str
            Lower-case letters; others are passed over.
        """
        letters = [letter for letter in word.lower() if letter in _LETTERS]
        if not letters:
            return ()
        state = np.zeros(self._weights["enc_w_hh"].shape[1], np.float32)
        for letter in [*letters, "</s>"]:
            state = self._step("enc", _LETTERS.index(letter), state)
        found, last = [], _START
        for _ in range(_MOST_PHONES):
            state = self._step("dec", last, state)
            last = int(np.argmax(self._weights["fc_w"] @ state + self._weights["fc_b"]))
            if last == _STOP:
                break
            found.append(_PHONES[last].rstrip("012"))
        return tuple(phone for phone in found if phone.isalpha())

    def _step(self, side: str, symbol: int, state: Array) -> Array:
        """One step of a gated recurrent unit; its gates are stacked as reset, update, new."""
        w = self._weights
        given = w[f"{side}_w_ih"] @ w[f"{side}_emb"][symbol] + w[f"{side}_b_ih"]
        kept = w[f"{side}_w_hh"] @ state + w[f"{side}_b_hh"]
        width = len(state)
        reset, update = _sigmoid(given[: 2 * width] + kept[: 2 * width]).reshape(2, width)
        new = np.tanh(given[2 * width :] + reset * kept[2 * width :])
        result: Array = (1 - update) * new + update * state
        return result


def _sigmoid(x: Array) -> Array:
    result: Array = np.reciprocal(1 + np.exp(-x))
    return result


@lru_cache(maxsize=2)
def load_pronouncer(local: str | Path | None = None) -> Pronouncer:
    """Read the network from the catalogue's file.

    Parameters
    ----------
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Raises
    ------
    UpstreamError
        The model is missing, altered, or has other shapes.
    """
    path = model_file("g2p-en", local)
    with np.load(path, allow_pickle=False) as archive:
        weights = {name: archive[name].astype(np.float32) for name in [*_NAMES, "fc_w", "fc_b"]}
    if any(len(weights[name]) != size for name, size in _SIZES.items()):
        raise UpstreamError(
            "the pronunciation network has another alphabet",
            file=path,
            remedy="fetch it again: trivium upstream fetch g2p-en",
        )
    return Pronouncer(weights)


def unknown_words(words: Sequence[str]) -> list[str]:
    """Those of the words that the aligner's dictionary lacks, in order.

    Parameters
    ----------
    words : sequence of str
        Spoken words, lower case.

    Examples
    --------
    >>> unknown_words(["hello", "trivium"])  # doctest: +SKIP
    ['trivium']
    """
    known = _dictionary()
    return [word for word in words if word not in known]


@lru_cache(maxsize=1)
def _dictionary() -> frozenset[str]:
    try:
        from pocketsphinx import get_model_path
    except ImportError as cause:
        raise DependencyError("pocketsphinx is not installed", remedy="pip install 'trivium[extract]'") from cause
    text = Path(get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8")
    return frozenset(line.partition(" ")[0] for line in text.splitlines())
