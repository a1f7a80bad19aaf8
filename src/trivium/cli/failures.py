"""Clips that failed, said at the end of a command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import typer

__all__ = ["tell_failures"]


def tell_failures(failures: Sequence[Mapping[str, str]]) -> None:
    """One line a clip, beside the results: which, why, and what to do.

    Parameters
    ----------
    failures : sequence of mapping
        With ``clip``, ``reason`` and, where one is known, ``remedy``.

    Examples
    --------
    >>> tell_failures([])
    """
    for failure in failures:
        remedy = f". Remedy: {failure['remedy']}" if failure.get("remedy") else ""
        typer.echo(f"failed: {failure['clip']}: {failure['reason']}{remedy}", err=True)
