"""Steps of one modality within a batch, and what networks do with them without ever counting padding.

Every function here gives the same for the same seen steps, wherever they lie and however many unseen steps surround
them. Torch's packed sequences are not used: they cannot be exported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from trivium.errors import SpecificationError

__all__ = [
    "Steps",
    "compact",
    "is_eager",
    "is_mixed",
    "join_steps",
    "last_step",
    "mean_of_steps",
    "prepare_steps",
    "reverse",
    "spread_of_steps",
]


def is_eager(x: Tensor) -> bool:
    """Whether the shapes of a batch may depend on what was seen: on a CPU, and not while a graph is exported.

    Parameters
    ----------
    x : tensor
        Anything of the batch.
    """
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def is_mixed() -> bool:
    """Whether torch chooses the precision of every operation on a CPU; those with a backward pass of ours have one.

    Examples
    --------
    >>> with torch.autocast("cpu", dtype=torch.bfloat16):
    ...     is_mixed()
    True
    """
    return torch.is_autocast_enabled("cpu")


class Steps(NamedTuple):
    """One modality of a batch.

    Parameters
    ----------
    values : float tensor (B, T, D)
        Zero where not seen.
    mask : bool tensor (B, T)
        True where a step was seen.
    """

    values: Tensor
    mask: Tensor

    @property
    def length(self) -> Tensor:
        """Seen steps by sample, int64 (B,)."""
        return self.mask.sum(dim=1)

    @property
    def seen(self) -> Tensor:
        """Whether a sample has any step, as a factor 0 or 1 of shape (B, 1) and the type of the values."""
        return self.mask.any(dim=1, keepdim=True).to(self.values.dtype)


def prepare_steps(values: Tensor, mask: Tensor) -> Steps:
    """Steps of whatever a batch holds: what was not seen becomes zero, be it padding, NaN or infinite.

    Parameters
    ----------
    values : tensor (B, T, D)
        Numbers of any type.
    mask : bool tensor (B, T) or (B, T, D)
        Seen steps, or seen cells; a step of which any cell was seen is a seen step.

    Examples
    --------
    >>> steps = prepare_steps(torch.tensor([[[1.0], [float("nan")]]]), torch.tensor([[True, False]]))
    >>> steps.values.flatten().tolist(), steps.length.tolist()
    ([1.0, 0.0], [1])
    """
    if not values.is_floating_point():
        values = values.float()
    if not _all_seen(mask):
        cells = mask if mask.dim() == 3 else mask.unsqueeze(2)
        values = torch.where(cells, values, values.new_zeros(()))
    steps = mask.any(dim=2) if mask.dim() == 3 else mask
    if values.shape[1] == 0:  # nobody in the batch has this modality
        values, steps = values.new_zeros(values.shape[0], 1, values.shape[2]), steps.new_zeros(values.shape[0], 1)
    return Steps(values, steps)


def compact(steps: Steps) -> Steps:
    """Same steps in the same order, the seen ones first.

    A recurrent network then meets no gap, and its state after the last seen step is that of the sequence without any
    padding.

    Parameters
    ----------
    steps : Steps
        With gaps and padding anywhere.

    Examples
    --------
    >>> x = prepare_steps(torch.tensor([[[0.0], [5.0], [0.0], [7.0]]]), torch.tensor([[False, True, False, True]]))
    >>> compact(x).values.flatten().tolist(), compact(x).mask.flatten().tolist()
    ([5.0, 7.0, 0.0, 0.0], [True, True, False, False])
    """
    if _all_seen(steps.mask):
        return steps
    order = _seen_first(steps.mask)
    return Steps(_taken(steps.values, order), _taken(steps.mask.unsqueeze(2), order).squeeze(2))


def _all_seen(mask: Tensor) -> bool:
    """Whether nothing needs to be moved or made zero, where that may be asked."""
    return is_eager(mask) and bool(mask.all())


def _seen_first(mask: Tensor) -> Tensor:
    """Order (B, T) that brings seen steps to the front and keeps them in order."""
    length = mask.shape[1]
    return torch.argsort((~mask).long() * length + torch.arange(length, device=mask.device), dim=1)


def _taken(values: Tensor, order: Tensor) -> Tensor:
    """Steps in another order; whole steps are copied, which is quicker than one cell after the other."""
    rows, length, width = values.shape
    place = order + length * torch.arange(rows, device=order.device).unsqueeze(1)
    return values.reshape(rows * length, width).index_select(0, place.flatten()).view(rows, -1, width)


def last_step(hidden: Tensor, length: Tensor) -> Tensor:
    """State after the last of the first `length` steps, zero where there is none.

    Parameters
    ----------
    hidden : tensor (B, T, H)
        States of compact steps.
    length : int64 tensor (B,)
        Seen steps.

    Examples
    --------
    >>> last_step(torch.tensor([[[1.0], [2.0]], [[3.0], [4.0]]]), torch.tensor([1, 0])).tolist()
    [[1.0], [0.0]]
    """
    place = (length - 1).clamp(min=0).reshape(-1, 1, 1).expand(-1, 1, hidden.shape[2])
    found = torch.gather(hidden, 1, place).squeeze(1)
    return torch.where(length.unsqueeze(1) > 0, found, found.new_zeros(()))


def reverse(values: Tensor, length: Tensor) -> Tensor:
    """First `length` steps of every sample in reverse order; what follows them has no meaning.

    Parameters
    ----------
    values : tensor (B, T, D)
        Compact steps.
    length : int64 tensor (B,)
        Seen steps.

    Examples
    --------
    >>> reverse(torch.tensor([[[1.0], [2.0], [0.0]]]), torch.tensor([2]))[0, :2].flatten().tolist()
    [2.0, 1.0]
    """
    place = torch.arange(values.shape[1], device=values.device)
    order = (length.unsqueeze(1) - 1 - place).clamp(min=0)
    return _taken(values, order)


def mean_of_steps(steps: Steps) -> Tensor:
    """Mean over seen steps, (B, D); zero where there is none.

    Parameters
    ----------
    steps : Steps
        With gaps and padding anywhere.
    """
    return steps.values.sum(dim=1) / steps.length.clamp(min=1).unsqueeze(1)


def spread_of_steps(steps: Steps) -> Tensor:
    """Standard deviation over seen steps, (B, D), divided by their number; zero where there are fewer than two.

    Parameters
    ----------
    steps : Steps
        With gaps and padding anywhere.

    Examples
    --------
    >>> x = prepare_steps(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]]))
    >>> mean_of_steps(x).item(), round(spread_of_steps(x).item(), 4)
    (2.0, 1.0)
    """
    centred = (steps.values - mean_of_steps(steps).unsqueeze(1)) * steps.mask.unsqueeze(2)
    variance = centred.square().sum(dim=1) / steps.length.clamp(min=1).unsqueeze(1)
    return (variance + 1e-12).sqrt() * (variance > 0)  # the root has no finite gradient at zero


def join_steps(inputs: Mapping[str, Steps]) -> tuple[dict[str, Steps], Tensor]:
    """Modalities on one timeline, for networks that read them step by step together.

    A step counts when any modality was seen at it; what another modality lacks there stays zero. A modality of one step
    among longer ones is an utterance-level vector: it stands at every step.

    Parameters
    ----------
    inputs : mapping of str to Steps
        By modality, of the same length T or of length 1.

    Returns
    -------
    inputs : mapping of str to Steps
        All of length T, the steps that count first.
    mask : bool tensor (B, T)
        The steps that count.

    Raises
    ------
    SpecificationError
        Lengths differ.

    Examples
    --------
    >>> words = prepare_steps(torch.ones(1, 3, 2), torch.tensor([[True, False, True]]))
    >>> face = prepare_steps(torch.ones(1, 1, 4), torch.tensor([[True]]))
    >>> joined, mask = join_steps({"text": words, "vision": face})
    >>> joined["vision"].values.shape, mask.tolist()
    (torch.Size([1, 3, 4]), [[True, True, False]])
    """
    length = max(steps.mask.shape[1] for steps in inputs.values())
    if all(steps.mask.shape[1] == length and _all_seen(steps.mask) for steps in inputs.values()):
        return dict(inputs), next(iter(inputs.values())).mask
    lengths = {name: steps.mask.shape[1] for name, steps in inputs.items()}
    if set(lengths.values()) - {1, length}:
        shown = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise SpecificationError(
            f"the modalities have different numbers of steps: {shown}",
            remedy="align them to words first, or choose a network that takes unaligned modalities",
        )
    timed = [steps.mask for name, steps in inputs.items() if lengths[name] == length]
    counts = torch.stack(timed).any(dim=0)
    vectors = [steps.mask for name, steps in inputs.items() if lengths[name] < length]
    if vectors:  # a sample with nothing but utterance-level vectors has one step
        alone = torch.stack(vectors).any(dim=0) & ~counts.any(dim=1, keepdim=True)
        counts = torch.cat([counts[:, :1] | alone, counts[:, 1:]], dim=1)
    order = _seen_first(counts)
    return {name: _on_timeline(steps, order, counts) for name, steps in inputs.items()}, torch.gather(counts, 1, order)


def _on_timeline(steps: Steps, order: Tensor, counts: Tensor) -> Steps:
    """Steps of one modality, those that count first; what lies beyond them is unseen."""
    length = counts.shape[1]
    mask = torch.gather(steps.mask.expand(-1, length) & counts, 1, order)
    return Steps(_taken(steps.values.expand(-1, length, -1), order) * mask.unsqueeze(2), mask)
