"""What people look at: one self-contained page for a clip, a corpus or both, and PNG curves of a training run."""

from trivium.report.factors import BlockFactors
from trivium.report.lanes import Lane, lanes_of
from trivium.report.maps import EmbeddingMap, principal_plane
from trivium.report.matrix import MatrixPair, VectorStrip
from trivium.report.page import Section, Step, render_report, write_report
from trivium.report.plots import plot_loss_curves
from trivium.report.quality import CorpusQuality, UtteranceQuality, corpus_quality
from trivium.report.quality_page import write_quality_page
from trivium.report.quality_tables import quality_json, quality_tables
from trivium.report.tables import Answer, Note, Notes, Score, ScoreTable
from trivium.report.timeline import Timeline

__all__ = [
    "Answer",
    "BlockFactors",
    "CorpusQuality",
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
    "UtteranceQuality",
    "VectorStrip",
    "corpus_quality",
    "lanes_of",
    "plot_loss_curves",
    "principal_plane",
    "quality_json",
    "quality_tables",
    "render_report",
    "write_quality_page",
    "write_report",
]
