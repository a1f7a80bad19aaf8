"""Numbers in sentences."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, noun: str) -> str:
    """A number and its noun, in the singular where it is one.

    Parameters
    ----------
    number : int
        How many.
    noun : str
        In the singular; its plural adds an s.

    Examples
    --------
    >>> counted(1, "utterance"), counted(1440, "utterance")
    ('1 utterance', '1,440 utterances')
    """
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
