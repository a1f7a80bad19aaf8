"""Columns of the words."""

__all__: list[str] = []
