"""Columns on one scale, by statistics of training cells only: of aligned matrices, and of sequences by modality."""

from trivium.scale.columns import POOLED, REFIT, ColumnScaler, ScalerSet, match_columns
from trivium.scale.sequences import AlignedSequences, Sequences, StreamScaler, sequences

__all__ = [
    "POOLED",
    "REFIT",
    "AlignedSequences",
    "ColumnScaler",
    "ScalerSet",
    "Sequences",
    "StreamScaler",
    "match_columns",
    "sequences",
]
