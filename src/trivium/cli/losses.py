"""Loss curves as lines of text, for the commands that train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

__all__ = ["loss_lines"]

_LEVELS = "▁▂▃▄▅▆▇█"


def loss_lines(curves: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """One line for the training losses and one for those of validation, where there was any.

    Parameters
    ----------
    curves : sequence of mapping
        One by epoch, with ``train_loss`` and perhaps ``valid_loss``.

    Examples
    --------
    >>> list(loss_lines([{"train_loss": 2.0}, {"train_loss": 0.5}, {"train_loss": 1.0}]))
    ['train loss  █▁▅  first 2, last 1, lowest 0.5 in epoch 2']
    """
    for fold in ("train", "valid"):
        losses = {number: row[f"{fold}_loss"] for number, row in enumerate(curves, 1) if f"{fold}_loss" in row}
        if losses:
            shown, lowest = list(losses.values()), min(losses, key=lambda number: losses[number])
            ends = f"first {shown[0]:.6g}, last {shown[-1]:.6g}, lowest {losses[lowest]:.6g} in epoch {lowest}"
            yield f"{fold} loss  {_curve(shown)}  {ends}"


def _curve(losses: Sequence[float], width: int = 40) -> str:
    """Losses as a line of blocks, one of `width` at most per stretch of epochs, on a logarithmic scale."""
    from math import log

    shown = [losses[i * len(losses) // min(width, len(losses))] for i in range(min(width, len(losses)))]
    heights = [log(max(loss, 1e-12)) for loss in shown]
    low, high = min(heights), max(heights)
    top = len(_LEVELS) - 1
    return "".join(_LEVELS[round((h - low) / (high - low) * top) if high > low else 0] for h in heights)
