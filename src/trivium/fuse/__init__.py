"""Networks: modalities with their masks in, named tensors out. They know no loss. Needs torch.

Names load when they are first used; ``trivium.registry.load("network", "tfn")`` finds a network by its name.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "Concat": "trivium.fuse.concat",
    "EFLSTM": "trivium.fuse.ef_lstm",
    "LFDNN": "trivium.fuse.lf_dnn",
    "LMF": "trivium.fuse.lmf",
    "MFN": "trivium.fuse.mfn",
    "MISA": "trivium.fuse.misa",
    "ModalityDropout": "trivium.fuse.modality_dropout",
    "MinilmTextEncoder": "trivium.fuse.text_encoder",
    "MulT": "trivium.fuse.mult",
    "Network": "trivium.fuse.network",
    "SelfMM": "trivium.fuse.self_mm",
    "TFN": "trivium.fuse.tfn",
    "TextEncoder": "trivium.fuse.text_encoder",
    "Unimodal": "trivium.fuse.unimodal",
    "WithTextEncoder": "trivium.fuse.text_encoder",
    "export_network": "trivium.fuse.export",
    "open_text_encoder": "trivium.fuse.text_encoder",
    "parameter_groups": "trivium.fuse.text_encoder",
}

__all__ = list(_HOME)

if TYPE_CHECKING:
    from trivium.fuse.concat import Concat as Concat
    from trivium.fuse.ef_lstm import EFLSTM as EFLSTM
    from trivium.fuse.export import export_network as export_network
    from trivium.fuse.lf_dnn import LFDNN as LFDNN
    from trivium.fuse.lmf import LMF as LMF
    from trivium.fuse.mfn import MFN as MFN
    from trivium.fuse.misa import MISA as MISA
    from trivium.fuse.modality_dropout import ModalityDropout as ModalityDropout
    from trivium.fuse.mult import MulT as MulT
    from trivium.fuse.network import Network as Network
    from trivium.fuse.self_mm import SelfMM as SelfMM
    from trivium.fuse.text_encoder import MinilmTextEncoder as MinilmTextEncoder
    from trivium.fuse.text_encoder import TextEncoder as TextEncoder
    from trivium.fuse.text_encoder import WithTextEncoder as WithTextEncoder
    from trivium.fuse.text_encoder import open_text_encoder as open_text_encoder
    from trivium.fuse.text_encoder import parameter_groups as parameter_groups
    from trivium.fuse.tfn import TFN as TFN
    from trivium.fuse.unimodal import Unimodal as Unimodal


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
