"""A checkpoint: one safetensors file with all tensors of a run and, as JSON in its header, everything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from trivium.errors import DiskError, WeightsError
from trivium.files import atomic_file

__all__ = [
    "load_checkpoint",
    "pack_optimizer",
    "random_state",
    "save_checkpoint",
    "set_random_state",
    "unpack_optimizer",
]

_STATE = "state"


def save_checkpoint(path: Path, parts: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
    """Write groups of tensors and a JSON state as one file, whole or not at all.

    Parameters
    ----------
    path : Path
        The file.
    parts : mapping of str to mapping of str to tensor
        Groups of named tensors; any shapes.
    state : mapping
        Plain builtins; infinities are allowed.

    Raises
    ------
    DiskError
        The disk is full, or may not be written to; what was there stays.
    """
    # cloned, because the format refuses tensors that share memory
    tensors = {
        f"{part}/{name}": tensor.detach().cpu().contiguous().clone()
        for part, group in parts.items()
        for name, tensor in group.items()
    }
    with atomic_file(path) as draft:
        try:
            save_file(tensors, draft, metadata={_STATE: json.dumps(state, sort_keys=True)})
        except SafetensorError as cause:
            raise DiskError(
                f"cannot be written: {cause}",
                file=path,
                remedy="check the folder, its permissions and the space left; `--resume` goes on from the last epoch",
            ) from cause


def load_checkpoint(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Inverse of :func:`save_checkpoint`.

    Raises
    ------
    WeightsError
        The file is cut off or no checkpoint.
    """
    parts: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118  (the object is no mapping)
                part, _, name = key.partition("/")
                parts.setdefault(part, {})[name] = file.get_tensor(key)
            return parts, json.loads(file.metadata()[_STATE])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as cause:
        raise WeightsError(
            f"is not a readable checkpoint: {cause}", file=path, remedy="start anew without resuming"
        ) from cause


def pack_optimizer(optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split an optimiser's state into tensors, named ``PARAMETER.KEY``, and plain builtins."""
    whole = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for number, values in whole["state"].items():
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{number}.{key}"] = value
            else:
                plain.setdefault(str(number), {})[key] = value
    return tensors, {"groups": whole["param_groups"], "plain": plain}


def unpack_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Inverse of :func:`pack_optimizer`, into an optimiser of the same parameters."""
    values: dict[int, dict[str, Any]] = {int(number): dict(kept) for number, kept in state["plain"].items()}
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        values.setdefault(int(number), {})[key] = tensor
    groups = [{k: tuple(v) if k == "betas" else v for k, v in group.items()} for group in state["groups"]]
    optimizer.load_state_dict({"state": values, "param_groups": groups})


def random_state(device: torch.device) -> dict[str, Tensor]:
    """State of torch's random numbers on the CPU and on `device`."""
    found = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        found["cuda"] = torch.cuda.get_rng_state(device)
    return found


def set_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Inverse of :func:`random_state`."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"], device)
