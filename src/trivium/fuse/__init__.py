"""Networks: modalities with their masks in, named tensors out. They know no loss. Needs torch.

Names load when they are first used; ``trivium.registry.load("network", "tfn")`` finds a network by its name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "LFDNN": "trivium.fuse.lf_dnn",
    "Network": "trivium.fuse.network",
    "TFN": "trivium.fuse.tfn",
    "export_network": "trivium.fuse.export",
}

__all__ = list(_HOME)

if TYPE_CHECKING:
    from trivium.fuse.export import export_network as export_network
    from trivium.fuse.lf_dnn import LFDNN as LFDNN
    from trivium.fuse.network import Network as Network
    from trivium.fuse.tfn import TFN as TFN


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
