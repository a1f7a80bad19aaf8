"""The checkpoint of a training: everything that it needs to go on with the same bytes, and what must be the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from trivium.errors import WeightsError
from trivium.train.checkpoint import (
    load_checkpoint,
    pack_optimizer,
    random_state,
    save_checkpoint,
    set_random_state,
    unpack_optimizer,
)
from trivium.train.hooks import Objective
from trivium.train.run import TrainingRun
from trivium.train.settings import differences, objective_settings

__all__ = ["CHECKPOINT", "RunCheckpoint"]

CHECKPOINT = "checkpoint.safetensors"


class RunCheckpoint:
    """What a run keeps on the disk after every epoch.

    Parameters
    ----------
    path : Path, optional
        The file; None keeps the disk clean.
    network : nn.Module
        As it is trained.
    optimizer : Optimizer
        Of its parameters.
    objectives : sequence of Objective
        Whose state is kept too.
    settings : mapping of str to plain builtins
        What must be the same beside network, optimiser and objectives, such as the samples; the number of epochs and
        the patience may change.
    device : torch.device
        Whose random numbers are kept beside those of the CPU.
    writes : bool
        False in all but one of several processes.
    """

    def __init__(
        self,
        path: Path | None,
        network: nn.Module,
        optimizer: Optimizer,
        objectives: Sequence[Objective],
        settings: Mapping[str, Any],
        device: torch.device,
        *,
        writes: bool = True,
    ) -> None:
        self._path, self._writes, self._device = path, writes, device
        self._network, self._optimizer, self._objectives = network, optimizer, objectives
        groups = [{k: v for k, v in group.items() if k not in ("lr", "params")} for group in optimizer.param_groups]
        self._settings = {
            **settings,
            "network": repr(network),
            "objectives": objective_settings(objectives),
            "optimizer": json.loads(json.dumps(groups, default=str)),  # as the checkpoint gives it back
            "parameters": {name: list(tensor.shape) for name, tensor in network.state_dict().items()},
        }

    def opened(self, *, resume: bool) -> tuple[TrainingRun, dict[str, Tensor]]:
        """Where to begin, and the best weights so far: at zero and none, or where the checkpoint stands.

        Network, optimiser, objectives and torch's random numbers are brought there.

        Parameters
        ----------
        resume : bool
            Whether to go on from the checkpoint, if there is one.

        Raises
        ------
        WeightsError
            The checkpoint is damaged, or was made with other settings, which are named.
        """
        if self._path is None or not resume or not self._path.exists():
            return TrainingRun(), {}
        parts, state = load_checkpoint(self._path)
        differing = differences(state["settings"], self._settings)
        if differing:
            raise WeightsError(
                f"the checkpoint was made with other settings: {', '.join(differing)}",
                file=self._path,
                remedy="give the same settings, or start anew",
            )
        self._network.load_state_dict(parts["network"])
        unpack_optimizer(self._optimizer, parts.get("optimizer", {}), state["optimizer"])
        for i, objective in enumerate(self._objectives):
            objective.load_state_dict(parts.get(f"objective{i}", {}))
        set_random_state(parts["random"], self._device)
        return TrainingRun(**state["run"]), parts.get("best", {})

    def save(self, run: TrainingRun, best: Mapping[str, Tensor]) -> None:
        """Write where the run stands, whole or not at all.

        Parameters
        ----------
        run : TrainingRun
            Its epochs and losses.
        best : mapping of str to tensor
            Best weights so far; empty where none were chosen.
        """
        if self._path is None or not self._writes:
            return
        tensors, optimizer_state = pack_optimizer(self._optimizer)
        parts = {"network": self._network.state_dict(), "best": best, "optimizer": tensors}
        parts["random"] = random_state(self._device)
        parts |= {f"objective{i}": objective.state_dict() for i, objective in enumerate(self._objectives)}
        save_checkpoint(self._path, parts, {"run": vars(run), "optimizer": optimizer_state, "settings": self._settings})
