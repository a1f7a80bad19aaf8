"""The field's tables again, on the user's own copy of the field's files. What is run needs torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Names load when they are first used: the table of settings and the published rows need no torch.
_HOME = {
    "DATASETS": "trivium.evaluate.reproduction.settings",
    "NETWORKS": "trivium.evaluate.reproduction.settings",
    "CheckedFile": "trivium.evaluate.reproduction.files",
    "FieldDataset": "trivium.evaluate.reproduction.settings",
    "PublishedRow": "trivium.evaluate.reproduction.published",
    "Reproduced": "trivium.evaluate.reproduction.runs",
    "Reproduction": "trivium.evaluate.reproduction.runs",
    "RunSettings": "trivium.evaluate.reproduction.settings",
    "field_dataset": "trivium.evaluate.reproduction.settings",
    "markdown_page": "trivium.evaluate.reproduction.page",
    "network_table": "trivium.evaluate.reproduction.page",
    "open_field_file": "trivium.evaluate.reproduction.files",
    "published_rows": "trivium.evaluate.reproduction.published",
    "references": "trivium.evaluate.reproduction.page",
    "reproduce": "trivium.evaluate.reproduction.runs",
    "run_settings": "trivium.evaluate.reproduction.settings",
}

__all__ = list(_HOME)

if TYPE_CHECKING:
    from trivium.evaluate.reproduction.files import CheckedFile as CheckedFile
    from trivium.evaluate.reproduction.files import open_field_file as open_field_file
    from trivium.evaluate.reproduction.page import markdown_page as markdown_page
    from trivium.evaluate.reproduction.page import network_table as network_table
    from trivium.evaluate.reproduction.page import references as references
    from trivium.evaluate.reproduction.published import PublishedRow as PublishedRow
    from trivium.evaluate.reproduction.published import published_rows as published_rows
    from trivium.evaluate.reproduction.runs import Reproduced as Reproduced
    from trivium.evaluate.reproduction.runs import Reproduction as Reproduction
    from trivium.evaluate.reproduction.runs import reproduce as reproduce
    from trivium.evaluate.reproduction.settings import DATASETS as DATASETS
    from trivium.evaluate.reproduction.settings import NETWORKS as NETWORKS
    from trivium.evaluate.reproduction.settings import FieldDataset as FieldDataset
    from trivium.evaluate.reproduction.settings import RunSettings as RunSettings
    from trivium.evaluate.reproduction.settings import field_dataset as field_dataset
    from trivium.evaluate.reproduction.settings import run_settings as run_settings


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
