"""Columns on one scale, by statistics of training cells only: of aligned matrices, and of sequences by modality.

Text that a language model reads is not scaled but spelled: see :class:`SpelledSequences`.
"""

from trivium.scale.columns import POOLED, REFIT, ColumnScaler, ScalerSet, match_columns
from trivium.scale.sequences import AlignedSequences, Sequences, StreamScaler, numbers_only, sequences
from trivium.scale.word_pieces import TEXT, SpelledSequences, WordPieces, spoken_rows

__all__ = [
    "POOLED",
    "REFIT",
    "TEXT",
    "AlignedSequences",
    "ColumnScaler",
    "ScalerSet",
    "Sequences",
    "SpelledSequences",
    "StreamScaler",
    "WordPieces",
    "match_columns",
    "numbers_only",
    "sequences",
    "spoken_rows",
]
