"""From a transcript as people write it to the words that were spoken: numbers, currencies, abbreviations, brackets.

Each spoken word remembers which written token it comes from, so that a text encoder sees the sentence with its
punctuation while the aligner sees words.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from trivium.errors import DependencyError

__all__ = ["Transcript", "read_transcript", "spoken_words"]

_QUOTES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'", "`": "'", "\u2026": " ", "\u00a0": " "})
_REMARK = re.compile(r"\[[^\]]{0,200}\]|<[^>]{0,200}>|\{[^}]{0,200}\}")
_LONE_REMARK = re.compile(r"(?<!\S)\((?:inaudible|unintelligible|laugh\w*|pause\w*|sigh\w*|cough\w*|\?+)\)\S*", re.I)
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)", re.I)
_TIME = re.compile(r"(\d{1,2}):(\d{2})")
_INITIALS = re.compile(r"(?:[a-z]\.){2,}[a-z]?", re.I)
_PIECE = re.compile(r"\d[\d,]*(?:\.\d+)?(?:st|nd|rd|th)?(?![a-z\d])|[a-z]+(?:'[a-z]+)*'?|\d+|[^\W\d_]+", re.I)
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_CURRENCY = {"$": "dollar", "£": "pound", "€": "euro"}
_SIGNS = {"&": "and", "@": "at", "%": "percent", "+": "plus", "=": "equals"}
_ABBREVIATIONS = {"mr": "mister", "mrs": "missus", "dr": "doctor", "vs": "versus", "etc": "et cetera"}
_FIRST_YEAR, _LAST_YEAR = 1100, 2099
_MOST_DIGITS = 15


@dataclass(frozen=True)
class Transcript:
    """Written tokens and the words spoken for them.

    Parameters
    ----------
    tokens : tuple of str
        As written, split at spaces.
    words : tuple of str
        W spoken words: lower case, no punctuation, numbers spelled out.
    source : tuple of int
        For each word the number of its token; never decreases.
    """

    tokens: tuple[str, ...]
    words: tuple[str, ...]
    source: tuple[int, ...]

    @property
    def text(self) -> str:
        """The transcript as people read it."""
        return " ".join(self.tokens)


def read_transcript(text: str, language: str = "en") -> Transcript:
    """Split a transcript into written tokens and spoken words.

    Remarks in square, curly or angle brackets are left out, and so are the customary ones in round brackets.

    Parameters
    ----------
    text : str
        Free text of any length.
    language : str
        Numbers, currencies and abbreviations are written out in English only; in other languages they stay, and words
        keep their accents.

    Examples
    --------
    >>> read_transcript("Schön, um 10 geht's!", "de").words
    ('schön', 'um', '10', "geht's")
    >>> heard = read_transcript("She paid $5 in 1999 — didn't she? [laughs]")
    >>> heard.words
    ('she', 'paid', 'five', 'dollars', 'in', 'nineteen', 'ninety', 'nine', "didn't", 'she')
    >>> heard.source
    (0, 1, 2, 2, 3, 4, 4, 4, 6, 7)
    """
    plain = _LONE_REMARK.sub(" ", _REMARK.sub(" ", text.translate(_QUOTES)))
    tokens = tuple(plain.split())
    words: list[str] = []
    source: list[int] = []
    for place, token in enumerate(tokens):
        found = spoken_words(token) if language == "en" else _WORD.findall(token.lower())
        words += found
        source += [place] * len(found)
    return Transcript(tokens, tuple(words), tuple(source))


def spoken_words(token: str) -> list[str]:
    """Words spoken for one written token; none for punctuation.

    Parameters
    ----------
    token : str
        Text without spaces.

    Examples
    --------
    >>> spoken_words("Twenty-first,"), spoken_words("3.5%"), spoken_words("U.S."), spoken_words("10:30")
    (['twenty', 'first'], ['three', 'point', 'five', 'percent'], ['u', 's'], ['ten', 'thirty'])
    """
    token = token.translate(_QUOTES).strip()
    bare = token.strip(".,;:!?\"'()-\u2013\u2014\u201c\u201d").lower()
    if bare in _ABBREVIATIONS:
        return _ABBREVIATIONS[bare].split()
    if _INITIALS.fullmatch(token.strip(",;:!?\"'()")):
        return [letter for letter in token.lower() if letter.isalpha()]
    if clock := _TIME.fullmatch(bare):
        hour, minute = clock.groups()
        return _number(hour) + ([] if minute == "00" else _number(minute))
    return [word for piece in _pieces(token) for word in _speak(piece)]


def _pieces(token: str) -> list[str]:
    """Words, numbers and signs in the order they are spoken: a currency goes behind its number."""
    currency = next((name for sign, name in _CURRENCY.items() if sign in token), "")
    for sign, word in _SIGNS.items():
        token = token.replace(sign, f" {word} ")
    pieces = _PIECE.findall(_without_accents(token))
    if currency:
        place = next((i for i, piece in enumerate(pieces) if piece[0].isdigit()), None)
        if place is not None:
            pieces.insert(place + 1, currency if pieces[place] == "1" else f"{currency}s")
    return pieces


def _speak(piece: str) -> list[str]:
    if ordinal := _ORDINAL.fullmatch(piece):
        return _number(ordinal[1], "ordinal")
    if _NUMBER.fullmatch(piece):
        plain = piece.replace(",", "")
        is_year = plain == piece and len(piece) == 4 and _FIRST_YEAR <= int(float(piece)) <= _LAST_YEAR
        return _number(plain, "year" if is_year and "." not in piece else "cardinal")
    word = piece.lower().strip("'")
    return [word] if word else []


def _number(digits: str, kind: str = "cardinal") -> list[str]:
    if len(digits) > _MOST_DIGITS:
        return [word for digit in digits if digit.isdigit() for word in _number(digit)]
    try:
        from num2words import num2words
    except ImportError as cause:
        raise DependencyError("num2words is not installed", remedy="pip install 'trivium[extract]'") from cause
    value = float(digits) if "." in digits else int(digits)
    spelled = str(num2words(value, to=kind))
    return [word for word in re.split(r"[\s\-,]+", spelled) if word and word != "and"]


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
