"""Columns of the voice."""

__all__: list[str] = []
