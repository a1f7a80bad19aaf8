"""Columns of the face: found, followed, chosen, measured."""

__all__: list[str] = []
