"""Utterances whose text is the pieces of their words, as a text encoder that is trained along takes them.

A step stays a word: its row holds the numbers of the word's pieces. So whatever drops, cuts or pads steps of words
does so with words here too. Words are taken as the corpus keeps them. Where an utterance has a transcript and no words
(the feature files of the field), its steps are the words that the tokenizer finds in it.

A pause (``sp`` in the CMU files) is a step without pieces. An utterance that has no text at all lacks the modality; one
whose corpus has columns of its text, but neither words nor a transcript, is an error: its words were lost on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned, Batch, Corpus, Specification, StreamSpecification
from trivium.corpus.batch import row_numbers
from trivium.errors import DataError, UpstreamError
from trivium.scale.sequences import AlignedSequences, Sequences

__all__ = ["TEXT", "SpelledSequences", "WordPieces", "spoken_rows"]

TEXT = "text"
"""The modality that words become."""
NO_PIECE = -1
_PAUSES = ("", "sp")
_SHOWN = 6
Given: TypeAlias = "Corpus | Aligned"
Spelling: TypeAlias = list[list[int]]


@dataclass(frozen=True)
class WordPieces:
    """A tokenizer that says which pieces a word is made of.

    Parameters
    ----------
    tokenizer : str
        As ``tokenizer.json`` of the tokenizers library holds it; it is data, nothing of it is run.
    begin, end : tuple of int
        Numbers of the marks that stand before and after a text.
    pad : int
        Number that fills up shorter texts.

    Examples
    --------
    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> made = Tokenizer(models.WordPiece({"[UNK]": 0, "talk": 1, "##ing": 2, "kids": 3}, unk_token="[UNK]"))
    >>> made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    >>> pieces = WordPieces(made.to_str(), (), (), 0)
    >>> pieces.of_words(["kids", "sp", "talking"]), pieces.of_text("kids talking")
    ([[3], [], [1, 2]], [[3], [1, 2]])
    """

    tokenizer: str
    begin: tuple[int, ...]
    end: tuple[int, ...]
    pad: int

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        try:
            made = Tokenizer.from_str(self.tokenizer)
        except Exception as cause:  # the library raises nothing more specific
            raise UpstreamError(f"the tokenizer cannot be read: {cause}", remedy="fetch or save it again") from cause
        made.no_padding()
        made.no_truncation()
        return made

    def of_words(self, words: Sequence[str]) -> Spelling:
        """Numbers of the pieces of every word, each in the context of all; none for a pause.

        Parameters
        ----------
        words : sequence of str
            W words.
        """
        spoken = [place for place, word in enumerate(words) if word.strip() not in _PAUSES]
        found: Spelling = [[] for _ in words]
        encoded = self._tokenizer.encode([words[p] for p in spoken], is_pretokenized=True, add_special_tokens=False)
        for number, word in zip(encoded.ids, encoded.word_ids, strict=True):
            found[spoken[word]].append(number)
        return found

    def of_text(self, text: str) -> Spelling:
        """Numbers of the pieces of every word that the tokenizer finds in a transcript.

        Parameters
        ----------
        text : str
            As written.
        """
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        found: Spelling = []
        last: int | None = None
        for number, word in zip(encoded.ids, encoded.word_ids, strict=True):
            if word != last or not found:
                found.append([])
            found[-1].append(number)
            last = word
        return found


class SpelledSequences:
    """Sequences whose ``text`` is the pieces of the words, whatever columns of text there are beside.

    A batch's text has shape (n, W, K), int32: K numbers of pieces by word, -1 where a word has fewer; its mask (n, W)
    is True where a word has any. All else is as it was given. Pieces are found once, when this is made.

    Parameters
    ----------
    x : Corpus or Aligned
        N utterances that keep their words.
    pieces : WordPieces
        Of the encoder.
    states : StreamSpecification
        What the encoder makes of them: modality ``text``, and its columns.

    Raises
    ------
    DataError
        Utterances have columns of text but neither words nor a transcript; they are named.

    Examples
    --------
    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> from trivium.corpus import Utterance, Words
    >>> made = Tokenizer(models.WordPiece({"[UNK]": 0, "talk": 1, "##ing": 2, "kids": 3}, unk_token="[UNK]"))
    >>> made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    >>> spoken = [Utterance("a", words=Words(("kids", "talking"))), Utterance("b")]
    >>> states = StreamSpecification("text", ("tiny-0", "tiny-1"), clock="words")
    >>> corpus = Corpus.from_utterances(spoken, Specification(()))
    >>> x = SpelledSequences(corpus, WordPieces(made.to_str(), (), (), 0), states)
    >>> x.batch(np.array([0, 1])).values["text"].tolist(), x.lengths.tolist()
    ([[[3, -1], [1, 2]], [[-1, -1], [-1, -1]]], [2, 0])
    """

    def __init__(self, x: Given, pieces: WordPieces, states: StreamSpecification) -> None:
        others = [name for name in x.specification.modalities if name != TEXT]
        chosen = x.select(others)
        self.columns: Sequences = AlignedSequences(chosen) if isinstance(chosen, Aligned) else chosen
        self.specification = Specification((*self.columns.specification.streams, states), x.specification.labels)
        self.ids = x.ids
        spoken = list(_spoken(x))
        _require_words(x, np.array([_says(one) for one in spoken], bool))
        spelled = [pieces.of_text(one) if isinstance(one, str) else pieces.of_words(one) for one in spoken]
        self.lengths: NDArray[np.int64] = np.array([len(words) for words in spelled], np.int64)
        self._steps = x.shape[1] if isinstance(x, Aligned) else 0
        sizes = np.array([len(word) for words in spelled for word in words], np.int64)
        self._first = np.concatenate([[0], np.cumsum(self.lengths)])  # word that an utterance begins with
        self._start = np.concatenate([[0], np.cumsum(sizes)])  # piece that a word begins with
        self._numbers = np.array([n for words in spelled for word in words for n in word], np.int32)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def spoken(self) -> NDArray[np.bool_]:
        """Which of the N utterances have a word with pieces, (N,)."""
        return np.asarray(self._start[self._first[1:]] > self._start[self._first[:-1]])

    def batch(self, key: Any) -> Batch:
        """Padded values and masks of some rows."""
        rows = row_numbers(key, len(self))
        found = self.columns.batch(rows)
        words = [self._start[self._first[row] : self._first[row + 1] + 1] for row in rows.tolist()]
        longest = self._steps or max((len(edges) - 1 for edges in words), default=0)
        most = max((int(np.diff(edges).max(initial=0)) for edges in words), default=0)
        values = np.full((len(rows), longest, most), NO_PIECE, np.int32)
        for row, edges in zip(values, words, strict=True):
            sizes = np.diff(edges)
            row[: len(sizes)][np.arange(most) < sizes[:, None]] = self._numbers[edges[0] : edges[-1]]
        mask = (values != NO_PIECE).any(axis=2)
        return Batch(found.ids, {**found.values, TEXT: values}, {**found.mask, TEXT: mask}, self.specification)


def spoken_rows(x: Given) -> NDArray[np.bool_]:
    """Which utterances have words or a transcript, (N,).

    Parameters
    ----------
    x : Corpus or Aligned
        N utterances.

    Examples
    --------
    >>> from trivium.corpus import Utterance
    >>> spoken_rows(Corpus.from_utterances([Utterance("a", text="Hi."), Utterance("b")], Specification(()))).tolist()
    [True, False]
    """
    return np.array([_says(one) for one in _spoken(x)], bool)


def _says(one: str | Sequence[str]) -> bool:
    return bool(one.strip()) if isinstance(one, str) else any(word.strip() not in _PAUSES for word in one)


def _spoken(x: Given) -> Iterator[str | Sequence[str]]:
    """Words of every utterance, its transcript where it has no words, or nothing."""
    if isinstance(x, Aligned):
        yield from np.where(x.mask, x.words, "").tolist()
        return
    for utterance in x.select([]):
        words = () if utterance.words is None else utterance.words.text
        yield words if _says(words) else utterance.text


def _require_words(x: Given, spoken: NDArray[np.bool_]) -> None:
    if TEXT not in x.specification.modalities:
        return
    if isinstance(x, Aligned):
        there = x.cell_mask[:, :, x.specification.modalities.index(TEXT)].any(axis=1)
    else:
        there = x.lengths(TEXT) > 0
    lost = x.ids[there & ~spoken].tolist()
    if lost:
        more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
        raise DataError(
            f"a text encoder reads words, and {len(lost)} of {len(x)} utterances have columns of text but no words: "
            f"{', '.join(lost[:_SHOWN])}{more}",
            remedy="give a corpus that keeps its words (extract the clips, or read the words beside the columns), or "
            "train on the columns, without a text encoder",
        )
