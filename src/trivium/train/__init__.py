"""Training: the one loop, what plugs into it, and what it trains on. Needs torch."""

from trivium.train.hold_out import hold_out
from trivium.train.hooks import Objective, Outputs, TrainingClock, WithHeads, require_weight
from trivium.train.loop import Trainer, TrainingRun
from trivium.train.losses import write_losses
from trivium.train.parts import rates_by_part
from trivium.train.processes import Precision
from trivium.train.run_checkpoint import CHECKPOINT
from trivium.train.samples import ALIGNED, ArraySamples, CorpusSamples, Samples, TensorBatch
from trivium.train.schedules import SCHEDULES, Schedule, schedule
from trivium.train.selection import Selection

__all__ = [
    "ALIGNED",
    "CHECKPOINT",
    "SCHEDULES",
    "ArraySamples",
    "CorpusSamples",
    "Objective",
    "Outputs",
    "Precision",
    "Samples",
    "Schedule",
    "Selection",
    "TensorBatch",
    "Trainer",
    "TrainingClock",
    "TrainingRun",
    "WithHeads",
    "hold_out",
    "rates_by_part",
    "require_weight",
    "schedule",
    "write_losses",
]
