"""Evaluation: protocols by name, scores with intervals that respect speakers and videos, probes beside their floors.

What needs scikit-learn and ONNX Runtime (the probe and its runners) loads when it is first used: scoring needs neither.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from trivium.evaluate.answers import Answers, answers_of
from trivium.evaluate.bootstrap import Interval, cluster_bootstrap
from trivium.evaluate.clusters import clusters_of
from trivium.evaluate.comparison import Comparison, Difference, compare
from trivium.evaluate.missing import MissingCurve, drop_modalities, drop_steps, keep_modalities, missing_curve
from trivium.evaluate.named_protocols import NAMED_PROTOCOLS, Measure, NamedProtocol, named_protocol
from trivium.evaluate.plan import EvaluationPlan, plan_evaluation
from trivium.evaluate.predictions import PredictionTable, read_predictions, write_predictions
from trivium.evaluate.protocols import Fold, Protocol, across, given_split, grouped_folds, repeated_folds
from trivium.evaluate.report import ProbeResult, Row, TestReads
from trivium.evaluate.scorecard import Line, Scorecard, score_answers
from trivium.evaluate.test_fold import LearningFold, ReadCount, ReadLedger, TestFold

if TYPE_CHECKING:
    from trivium.evaluate.experiment import Experiment as Experiment
    from trivium.evaluate.experiment import train_and_score as train_and_score
    from trivium.evaluate.experiment import validate as validate
    from trivium.evaluate.late_head import late_head as late_head
    from trivium.evaluate.late_readout import LateReadout as LateReadout
    from trivium.evaluate.probe import probe as probe
    from trivium.evaluate.readout import LinearReadout as LinearReadout
    from trivium.evaluate.runners import leave_one_corpus_out as leave_one_corpus_out
    from trivium.evaluate.runners import modality_combinations as modality_combinations
    from trivium.evaluate.runners import pretraining_combinations as pretraining_combinations
    from trivium.evaluate.study import FLOORS as FLOORS

# Heavy public name -> module that defines it.
_HOME: dict[str, str] = {
    "Experiment": "trivium.evaluate.experiment",
    "FLOORS": "trivium.evaluate.study",
    "LateReadout": "trivium.evaluate.late_readout",
    "LinearReadout": "trivium.evaluate.readout",
    "late_head": "trivium.evaluate.late_head",
    "leave_one_corpus_out": "trivium.evaluate.runners",
    "modality_combinations": "trivium.evaluate.runners",
    "pretraining_combinations": "trivium.evaluate.runners",
    "probe": "trivium.evaluate.probe",
    "train_and_score": "trivium.evaluate.experiment",
    "validate": "trivium.evaluate.experiment",
}

__all__ = [
    "FLOORS",
    "NAMED_PROTOCOLS",
    "Answers",
    "Comparison",
    "Difference",
    "EvaluationPlan",
    "Experiment",
    "Fold",
    "Interval",
    "LateReadout",
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
    "late_head",
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
    "train_and_score",
    "validate",
    "write_predictions",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'trivium.evaluate' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


class _Evaluate(ModuleType):
    """Keeps ``probe`` the function once the module of the same name is imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Evaluate
