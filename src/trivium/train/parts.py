"""Rates by part of the network: some layers learn faster than others, or are decayed more.

A part is named as in the network's own parameters: ``encoders.audio`` is every parameter whose name begins so. A longer
name wins over a shorter one that holds it. What no part names keeps the rates of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from trivium.errors import SpecificationError

__all__ = ["rates_by_part"]

_OPTIONS = {"learning_rate": "lr", "weight_decay": "weight_decay"}


def rates_by_part(
    groups: Sequence[Mapping[str, Any]], network: nn.Module, parts: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """Parameter groups in which the named parts of a network have rates of their own.

    Parameters
    ----------
    groups : sequence of mapping
        As torch's optimisers take them: ``params`` (a list), ``lr``, ``weight_decay`` ...; what a part does not set
        stays that of the group its parameters were in.
    network : nn.Module
        Its parameters give the names; parameters of others, such as heads of objectives, stay where they are.
    parts : mapping of str to mapping
        By name of a part ``learning_rate``, ``weight_decay`` or both, numbers of at least 0.

    Returns
    -------
    list of dict
        Groups without empty ones, those of parts after the others, with the part's name under ``part``, so that a
        checkpoint knows which parameters a group holds.

    Raises
    ------
    SpecificationError
        There is no such part or option, or a rate is no number of at least 0.

    Examples
    --------
    >>> network = nn.ModuleDict({"audio": nn.Linear(2, 3), "fusion": nn.Linear(3, 1)})
    >>> whole = {"params": list(network.parameters()), "lr": 1e-3, "weight_decay": 0.0}
    >>> groups = rates_by_part([whole], network, {"audio": {"learning_rate": 0.1}})
    >>> [(group.get("part"), group["lr"]) for group in groups]
    [(None, 0.001), ('audio', 0.1)]
    """
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    for name, rates in parts.items():
        _require_part(name, names.values())
        _require_rates(name, rates)
    found: list[dict[str, Any]] = []
    for part in (None, *parts):
        for group in groups:
            own = [p for p in group["params"] if _part_of(names.get(id(p), ""), parts) == part]
            if own:
                changed = {} if part is None else {"part": part, **_of_torch(parts[part])}
                found.append({**group, "params": own, **changed})
    return found


def _part_of(name: str, parts: Iterable[str]) -> str | None:
    """The longest part that a parameter's name begins with."""
    holding = [part for part in parts if _holds(part, name)]
    return max(holding, key=len) if holding else None


def _holds(part: str, name: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _of_torch(rates: Mapping[str, float]) -> dict[str, float]:
    return {_OPTIONS[option]: float(rate) for option, rate in rates.items()}


def _require_part(part: str, names: Iterable[str]) -> None:
    names = list(names)
    if not any(_holds(part, name) for name in names):
        there = dict.fromkeys(".".join(name.split(".")[:depth]) for name in names for depth in (1, 2))
        raise SpecificationError(f"the network has no part {part!r}", remedy=f"choose from {', '.join(there)}")


def _require_rates(part: str, rates: Mapping[str, float]) -> None:
    unknown = [option for option in rates if option not in _OPTIONS]
    if unknown or not rates:
        what = f"no rate {unknown[0]!r}" if unknown else "no rates"
        raise SpecificationError(f"the part {part} has {what}", remedy=f"choose from {', '.join(_OPTIONS)}")
    for option, rate in rates.items():
        is_number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if not is_number or not math.isfinite(rate) or rate < 0:
            raise SpecificationError(f"{option} of {part} cannot be {rate!r}", remedy="give a number of at least 0")
