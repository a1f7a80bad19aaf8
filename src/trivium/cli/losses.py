"""Loss curves as lines of text, for the commands that train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

__all__ = ["loss_lines"]

_LEVELS = "▁▂▃▄▅▆▇█"


def loss_lines(curves: Sequence[Mapping[str, float]]) -> Iterator[str]:
    """One line for the training losses and one for those of validation, where there was any."""
    for fold in ("train", "valid"):
        losses = [row[f"{fold}_loss"] for row in curves if f"{fold}_loss" in row]
        if losses:
            yield f"{fold} loss  {_curve(losses)}  {losses[0]:.6g} -> {min(losses):.6g} (best)"


def _curve(losses: Sequence[float], width: int = 40) -> str:
    """Losses as a line of blocks, one of `width` at most per stretch of epochs, on a logarithmic scale."""
    from math import log

    shown = [losses[i * len(losses) // min(width, len(losses))] for i in range(min(width, len(losses)))]
    heights = [log(max(loss, 1e-12)) for loss in shown]
    low, high = min(heights), max(heights)
    top = len(_LEVELS) - 1
    return "".join(_LEVELS[round((h - low) / (high - low) * top) if high > low else 0] for h in heights)
