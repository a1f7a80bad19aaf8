"""Streams onto one timeline: one step per word, with the semantics of the CMU SDK and masks instead of missing keys."""

from trivium.align.arrays import load_aligned, save_aligned
from trivium.align.by_word import by_word
from trivium.align.collapse import COLLAPSE, Collapse, collapse_rows
from trivium.align.overlap import SHORTEST_OVERLAP, Overlap, overlapping_rows
from trivium.align.table import word_tables
from trivium.align.windows import cut_into_windows
from trivium.align.words import align

__all__ = [
    "COLLAPSE",
    "SHORTEST_OVERLAP",
    "Collapse",
    "Overlap",
    "align",
    "by_word",
    "collapse_rows",
    "cut_into_windows",
    "load_aligned",
    "overlapping_rows",
    "save_aligned",
    "word_tables",
]
