"""Frozen models that others trained: where they come from, their hashes and licences, and how they get here."""

from trivium.upstream.catalogue import Carrier, ModelFile, UpstreamModel, model, models
from trivium.upstream.fetch import State, check_models, fetch_models
from trivium.upstream.places import Place, find, hub_snapshots, model_file, model_folder

__all__ = [
    "Carrier",
    "ModelFile",
    "Place",
    "State",
    "UpstreamModel",
    "check_models",
    "fetch_models",
    "find",
    "hub_snapshots",
    "model",
    "model_file",
    "model_folder",
    "models",
]
