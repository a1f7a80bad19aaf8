"""Evaluation: protocols by name, scores with intervals that respect speakers and videos, probes beside their floors."""

from trivium.evaluate.answers import Answers, answers_of
from trivium.evaluate.bootstrap import Interval, cluster_bootstrap
from trivium.evaluate.clusters import clusters_of
from trivium.evaluate.comparison import Comparison, Difference, compare
from trivium.evaluate.missing import MissingCurve, drop_modalities, drop_steps, keep_modalities, missing_curve
from trivium.evaluate.named_protocols import NAMED_PROTOCOLS, Measure, NamedProtocol, named_protocol
from trivium.evaluate.plan import EvaluationPlan, plan_evaluation
from trivium.evaluate.predictions import PredictionTable, read_predictions, write_predictions
from trivium.evaluate.probe import probe
from trivium.evaluate.protocols import Fold, Protocol, across, given_split, grouped_folds, repeated_folds
from trivium.evaluate.readout import LinearReadout
from trivium.evaluate.report import ProbeResult, Row, TestReads
from trivium.evaluate.runners import leave_one_corpus_out, modality_combinations, pretraining_combinations
from trivium.evaluate.scorecard import Line, Scorecard, score_answers
from trivium.evaluate.study import FLOORS
from trivium.evaluate.test_fold import LearningFold, ReadCount, ReadLedger, TestFold

__all__ = [
    "FLOORS",
    "NAMED_PROTOCOLS",
    "Answers",
    "Comparison",
    "Difference",
    "EvaluationPlan",
    "Fold",
    "Interval",
    "LearningFold",
    "Line",
    "LinearReadout",
    "Measure",
    "MissingCurve",
    "NamedProtocol",
    "PredictionTable",
    "ProbeResult",
    "Protocol",
    "ReadCount",
    "ReadLedger",
    "Row",
    "Scorecard",
    "TestFold",
    "TestReads",
    "across",
    "answers_of",
    "cluster_bootstrap",
    "clusters_of",
    "compare",
    "drop_modalities",
    "drop_steps",
    "given_split",
    "grouped_folds",
    "keep_modalities",
    "leave_one_corpus_out",
    "missing_curve",
    "modality_combinations",
    "named_protocol",
    "plan_evaluation",
    "pretraining_combinations",
    "probe",
    "read_predictions",
    "repeated_folds",
    "score_answers",
    "write_predictions",
]
