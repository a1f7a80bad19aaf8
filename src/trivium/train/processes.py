"""One process or several: what the environment (``torchrun``) says, through Lightning Fabric."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

from lightning_fabric import Fabric

from trivium.errors import SpecificationError
from trivium.train.hooks import Objective

__all__ = ["Precision", "open_fabric"]

Precision: TypeAlias = Literal["fp32", "bf16"]
_FABRIC_CALLS_IT: dict[str, Any] = {"fp32": "32-true", "bf16": "bf16-mixed"}


def open_fabric(device: str, objectives: Sequence[Objective], precision: Precision = "fp32") -> Fabric:
    """Lightning Fabric for this process, joined with the others where ``torchrun`` started several.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    objectives : sequence of Objective
        In several processes each must be safe under data parallelism.
    precision : {"fp32", "bf16"}
        ``bf16`` computes in bfloat16 where torch holds that to be safe; weights stay float32.

    Raises
    ------
    SpecificationError
        An objective does not allow several processes, the device does not exist, or there is no such precision.
    """
    if precision not in _FABRIC_CALLS_IT:
        raise SpecificationError(
            f"precision cannot be {precision!r}", remedy=f"choose from {', '.join(get_args(Precision))}"
        )
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    unsafe = [o.name for o in objectives if not o.data_parallel]
    if world > 1 and unsafe:
        raise SpecificationError(
            f"{', '.join(unsafe)} cannot be trained in several processes", remedy="start one process"
        )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            fabric = Fabric(
                accelerator=device,
                devices=here,
                num_nodes=max(world // here, 1),
                strategy="ddp" if world > 1 else "auto",
                precision=_FABRIC_CALLS_IT[precision],
            )
    except (RuntimeError, ValueError) as cause:
        raise SpecificationError(f"there is no device {device!r} here: {cause}", remedy="use device cpu") from cause
    fabric.launch()
    return fabric
