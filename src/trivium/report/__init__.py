"""What people look at: one self-contained page for a clip, a corpus or both, and PNG curves of a training run."""

from trivium.report.lanes import Lane, lanes_of
from trivium.report.maps import EmbeddingMap, principal_plane
from trivium.report.matrix import MatrixPair, VectorStrip
from trivium.report.page import Section, Step, render_report, write_report
from trivium.report.plots import plot_loss_curves
from trivium.report.tables import Answer, Note, Notes, Score, ScoreTable
from trivium.report.timeline import Timeline

__all__ = [
    "Answer",
    "EmbeddingMap",
    "Lane",
    "MatrixPair",
    "Note",
    "Notes",
    "Score",
    "ScoreTable",
    "Section",
    "Step",
    "Timeline",
    "VectorStrip",
    "lanes_of",
    "plot_loss_curves",
    "principal_plane",
    "render_report",
    "write_report",
]
