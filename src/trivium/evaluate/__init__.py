"""Evaluation: protocols, the linear probe with its floors, and intervals that respect speakers and videos."""

from trivium.evaluate.bootstrap import Interval, cluster_bootstrap
from trivium.evaluate.clusters import clusters_of
from trivium.evaluate.probe import probe
from trivium.evaluate.protocols import Fold, Protocol, across, given_split, grouped_folds, repeated_folds
from trivium.evaluate.readout import LinearReadout
from trivium.evaluate.report import ProbeResult, Row, TestReads
from trivium.evaluate.runners import leave_one_corpus_out, modality_combinations, pretraining_combinations
from trivium.evaluate.study import FLOORS

__all__ = [
    "FLOORS",
    "Fold",
    "Interval",
    "LinearReadout",
    "ProbeResult",
    "Protocol",
    "Row",
    "TestReads",
    "across",
    "cluster_bootstrap",
    "clusters_of",
    "given_split",
    "grouped_folds",
    "leave_one_corpus_out",
    "modality_combinations",
    "pretraining_combinations",
    "probe",
    "repeated_folds",
]
