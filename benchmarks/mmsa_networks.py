"""Our networks against those of MMSA 2.2.1: same sizes, copied weights; outputs, gradients and parameters compared.

Usage: ``python benchmarks/mmsa_networks.py [--out docs/results]``, where MMSA can be imported. It is no dependency of
trivium: ``pip install --no-deps MMSA==2.2.1``, and transformers, beside trivium's training extra.

Sizes are those of MMSA's own configuration for MOSI, read from its package; ours are our defaults. Every weight and
running statistic of MMSA's network is copied by name, ours are then compared on eight random samples of up to 50 steps
(synthetic numbers; what is measured does not depend on data): in evaluation mode the outputs, in training mode without
dropout the gradients of their sum of squares. The language model of MISA and Self-MM is replaced by its output, random
columns, on both sides.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from trivium import registry
from trivium.fuse import Network

WIDTHS = {"text": 768, "audio": 5, "vision": 20}
STEPS, ROWS, CLOSE = 50, 8, 1e-5
Rules = list[tuple[str, str]]
SHORT = {"text": "l", "audio": "a", "vision": "v"}
LETTER = {"text": "t", "audio": "a", "vision": "v"}
LONG = {"text": "text", "audio": "audio", "vision": "video"}


@dataclass(frozen=True)
class Pair:
    """How one of our networks corresponds to one of MMSA's."""

    module: str
    rules: Rules
    order: tuple[str, ...] = ("text", "audio", "vision")
    ours: Mapping[str, Any] = field(default_factory=dict)
    averaged: bool = False  # MMSA's loader averages voice and face before the network sees them
    padded: bool = False  # its network reads lengths, so that padding can be compared too
    copied: bool = True  # every one of our parameters has a counterpart
    note: str = ""
    differs: str = ""  # in few words, where outputs or counts are not equal


def _head(ours: str, theirs: str) -> Rules:
    return [
        (rf"^{ours}\.first", f"{theirs}_1"),
        (rf"^{ours}\.(rest\.)?before\.0", f"{theirs}_2"),
        (rf"^{ours}\.(rest\.)?last", f"{theirs}_3"),
    ]


_SUBNETWORKS: Rules = [
    (r"^subnetworks\.by_modality\.(\w+)", r"\1_subnet"),
    (r"^vision_subnet", "video_subnet"),
    (r"_subnet\.lstm", "_subnet.rnn"),
    (r"_subnet\.linear\.", "_subnet.linear_1."),
    (r"_subnet\.layers\.before\.0", "_subnet.linear_1"),
    (r"_subnet\.layers\.before\.1", "_subnet.linear_2"),
    (r"_subnet\.layers\.last", "_subnet.linear_3"),
]
_FUSION: Rules = [
    (r"^fusion\.before\.0", "post_fusion_layer_1"),
    (r"^fusion\.before\.1", "post_fusion_layer_2"),
    (r"^fusion\.last", "post_fusion_layer_3"),
]
_LATE = ("audio", "vision", "text")
_WORDS = "MMSA's dropout of words never acts, ours does."

PAIRS = {
    "ef-lstm": Pair(
        "singleTask.EF_LSTM:EF_LSTM",
        [(r"^last", "out")],
        copied=False,
        note="MMSA normalises each of its 50 step numbers over columns, samples and padding, so it takes one length "
        "only; ours normalises columns over seen cells (compared with both normalisations untouched, in evaluation "
        "mode). The parameters that differ are those of the normalisation.",
        differs="by the normalisation of its input; equal outputs where that does nothing",
    ),
    "lf-dnn": Pair("singleTask.LF_DNN:LF_DNN", _SUBNETWORKS + _FUSION, _LATE, averaged=True, note=_WORDS),
    "tfn": Pair(
        "singleTask.TFN:TFN",
        _SUBNETWORKS + _FUSION,
        _LATE,
        {"output_range": (-3.0, 3.0)},
        averaged=True,
        note=f"With the range of the answer that MMSA fixes (off by default here). {_WORDS}",
    ),
    "lmf": Pair(
        "singleTask.LMF:LMF",
        [
            *_SUBNETWORKS,
            (r"^factors\.vision", "video_factor"),
            (r"^factors\.(\w+)", r"\1_factor"),
            (r"^rank_weights", "fusion_weights"),
            (r"^bias", "fusion_bias"),
        ],
        _LATE,
        averaged=True,
        note=_WORDS,
    ),
    "mfn": Pair(
        "singleTask.MFN:MFN",
        [
            *[(rf"^cells\.{m}", f"lstm_{short}") for m, short in SHORT.items()],
            (r"^attention\.first", "att1_fc1"),
            (r"^attention\.second", "att1_fc2"),
            (r"^candidate\.first", "att2_fc1"),
            (r"^candidate\.second", "att2_fc2"),
            (r"^retain\.first", "gamma1_fc1"),
            (r"^retain\.second", "gamma1_fc2"),
            (r"^update\.first", "gamma2_fc1"),
            (r"^update\.second", "gamma2_fc2"),
            (r"^answer\.first", "out_fc1"),
            (r"^answer\.second", "out_fc2"),
        ],
        note="On sequences without padding; MMSA reads on into the padding.",
    ),
    "mult": Pair(
        "singleTask.MULT:MULT",
        [
            *[(rf"^projections\.{m}\.conv", f"proj_{s}") for m, s in SHORT.items()],
            *[(rf"^memories\.{m}", f"trans_{s}_mem") for m, s in SHORT.items()],
            *[
                (rf"^crossmodal\.{m}\.{n}", f"trans_{s}_with_{t}")
                for m, s in SHORT.items()
                for n, t in SHORT.items()
                if m != n
            ],
            (r"attention\.into\.", "self_attn.in_proj_"),
            (r"attention\.out\.", "self_attn.out_proj."),
            (r"\.first\.", ".fc1."),
            (r"\.second\.", ".fc2."),
            (r"norm_attention", "layer_norms.0"),
            (r"norm_layers", "layer_norms.1"),
            (r"^(trans_\w+)\.norm\.", r"\1.layer_norm."),
            (r"^block\.before\.0", "proj1"),
            (r"^block\.last", "proj2"),
            (r"^last", "out_layer"),
        ],
        ours={"positions": False},
        note="Without positions, which MMSA lacks though the paper has them (on by default here), and on sequences "
        "without padding; MMSA attends to padding and reads its last step.",
    ),
    "misa": Pair(
        "singleTask.MISA:MISA",
        [
            *[
                (rf"^encoders\.{m}\.{ours}\.{way}\.(\w+)", rf"{s}{theirs}.\1{end}")
                for m, s in (("audio", "a"), ("vision", "v"))
                for ours, theirs in (("lower", "rnn1"), ("upper", "rnn2"))
                for way, end in (("forwards", ""), ("backwards", "_reverse"))
            ],
            *[(rf"^encoders\.{m}\.norm", f"{s}layer_norm") for m, s in LETTER.items()],
            *[(rf"^projections\.{m}\.linear", f"project_{s}.project_{s}") for m, s in LETTER.items()],
            *[(rf"^projections\.{m}\.norm", f"project_{s}.project_{s}_layer_norm") for m, s in LETTER.items()],
            (r"^private\.audio", "private_a.private_a_3"),
            *[(rf"^private\.{m}", f"private_{s}.private_{s}_1") for m, s in LETTER.items()],
            *[(rf"^decoders\.{m}", f"recon_{s}.recon_{s}_1") for m, s in LETTER.items()],
            (r"^shared\.", "shared.shared_1."),
            (r"^transformer\.attention\.into\.", "transformer_encoder.layers.0.self_attn.in_proj_"),
            (r"^transformer\.attention\.out\.", "transformer_encoder.layers.0.self_attn.out_proj."),
            (r"^transformer\.first", "transformer_encoder.layers.0.linear1"),
            (r"^transformer\.second", "transformer_encoder.layers.0.linear2"),
            (r"^transformer\.norm_attention", "transformer_encoder.layers.0.norm1"),
            (r"^transformer\.norm_layers", "transformer_encoder.layers.0.norm2"),
            (r"^first", "fusion.fusion_layer_1"),
            (r"^last", "fusion.fusion_layer_3"),
        ],
        ("text", "vision", "audio"),
        padded=True,
        note="Padding included. MMSA builds two parts that no output depends on; they are not built here.",
        differs="equal outputs; MMSA has parameters that are never used",
    ),
    "self-mm": Pair(
        "multiTask.SELF_MM:SELF_MM",
        [
            *[(rf"^encoders\.{m}\.lstm", f"{LONG[m]}_model.rnn") for m in ("audio", "vision")],
            *[(rf"^encoders\.{m}\.linear", f"{LONG[m]}_model.linear_1") for m in ("audio", "vision")],
            *[rule for m, long in LONG.items() for rule in _head(rf"heads\.{m}", f"post_{long}_layer")],
            *_head("fusion", "post_fusion_layer"),
        ],
        ours={"text_pooling": "first"},
        padded=True,
        note="Padding included. With the first step of words, as the paper has it (their mean by default here).",
    ),
}


class GivenColumns(nn.Module):
    """Stands for MMSA's language model and gives the columns that the comparison was made with."""

    columns: Tensor

    def __init__(self, **_: object) -> None:
        super().__init__()

    def forward(self, tokens: Tensor) -> Tensor:
        """Columns, whatever the tokens."""
        return self.columns


def theirs_of(name: str) -> nn.Module:
    """MMSA's network with its own sizes for MOSI, without dropout."""
    config = json.loads(files("MMSA").joinpath("config/config_regression.json").read_text())
    key = name.replace("-", "_")
    sizes = {**config[key]["commonParams"], **config[key]["datasetParams"]["mosi"]}
    sizes |= {option: 0.0 for option in sizes if "dropout" in option and isinstance(sizes[option], float)}
    lengths = STEPS if key == "ef_lstm" else [STEPS] * 3  # its loader replaces the list by one number
    fixed = {"feature_dims": list(WIDTHS.values()), "seq_lens": lengths, "train_mode": "regression"}
    path, _, cls = PAIRS[name].module.partition(":")
    module = import_module(f"MMSA.models.{path}")
    if hasattr(module, "BertTextEncoder"):
        module.BertTextEncoder = GivenColumns  # type: ignore[attr-defined]
    network: nn.Module = getattr(module, cls)(SimpleNamespace(**sizes, **fixed))
    return network


def silence(network: nn.Module) -> None:
    """Switch every dropout off."""
    for module in network.modules():
        for attribute in ("p", "dropout"):
            if isinstance(getattr(module, attribute, None), float):
                setattr(module, attribute, 0.0)


def their_name(name: str, rules: Rules) -> str:
    """MMSA's name of one of our parameters."""
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def copy_weights(ours: Network, theirs: nn.Module, pair: Pair) -> list[str]:
    """Give ours the weights of theirs; names of theirs that no weight of ours corresponds to."""
    given = theirs.state_dict()
    used: set[str] = set()
    state = ours.state_dict()
    for name, tensor in state.items():
        other = their_name(name, pair.rules)
        if other in given:
            state[name] = given[other].reshape(tensor.shape)
            used.add(other)
        elif pair.copied:
            raise SystemExit(f"{name} has no counterpart: {other} is not in MMSA's network")
    ours.load_state_dict(state)
    trained = {name for name, p in theirs.named_parameters() if p.requires_grad}
    return sorted(trained - used)


def random_batch(pair: Pair) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Values and masks; all steps seen, unless MMSA's network reads lengths."""
    generator = torch.Generator().manual_seed(2)
    values = {m: torch.randn(ROWS, STEPS, d, generator=generator) for m, d in WIDTHS.items()}
    lengths = torch.randint(2, STEPS + 1, (ROWS,), generator=generator) if pair.padded else torch.full((ROWS,), STEPS)
    lengths[0] = STEPS
    seen = torch.arange(STEPS) < lengths.unsqueeze(1)
    return {m: x * seen.unsqueeze(2) for m, x in values.items()}, dict.fromkeys(WIDTHS, seen)


def run_theirs(theirs: nn.Module, pair: Pair, values: Mapping[str, Tensor], seen: Tensor) -> dict[str, Tensor]:
    """MMSA's outputs under our names."""
    text, audio, vision = (values[m] for m in WIDTHS)
    if pair.averaged:
        audio, vision = audio.mean(dim=1, keepdim=True), vision.mean(dim=1, keepdim=True)
    if not pair.padded:
        found = theirs(text, audio, vision)
    else:
        for module in theirs.modules():
            if isinstance(module, GivenColumns):
                module.columns = text
        tokens = torch.stack([seen.float()] * 3, dim=1)
        lengths = seen.sum(dim=1)
        takes_lengths = pair.module.endswith("SELF_MM")
        found = theirs(tokens, (audio, lengths), (vision, lengths)) if takes_lengths else theirs(tokens, audio, vision)
    names = {"M": "prediction", "T": "prediction_text", "A": "prediction_audio", "V": "prediction_vision"}
    return {ours: found[name].reshape(ROWS, -1) for name, ours in names.items() if name in found}


def largest(differences: list[Tensor]) -> float:
    """Largest absolute number."""
    return max(float(difference.detach().abs().max()) for difference in differences)


def gradient_difference(ours: Network, theirs: nn.Module, pair: Pair, run: Callable[[nn.Module], Any]) -> float:
    """Largest difference of two gradients, relative to the largest gradient, in training mode without dropout."""
    for network in (ours, theirs):
        network.train()
        silence(network)
        network.zero_grad()
        sum(tensor.square().sum() for name, tensor in run(network).items() if "prediction" in name).backward()
    given = {name: p.grad for name, p in theirs.named_parameters() if p.grad is not None}
    pairs = [(p.grad, given.get(their_name(name, pair.rules))) for name, p in ours.named_parameters()]
    both = [(a, b.reshape(a.shape)) for a, b in pairs if a is not None and b is not None]
    return largest([a - b for a, b in both]) / largest([b for _, b in both])


def compare(name: str) -> dict[str, Any]:
    """One row of the result."""
    pair = PAIRS[name]
    torch.manual_seed(1)
    theirs = theirs_of(name)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm1d) and pair.copied:
            nn.init.normal_(module.running_mean, 0.0, 0.3)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2.0)  # type: ignore[arg-type]
    ours: Network = registry.load("network", name)({m: WIDTHS[m] for m in pair.order}, 1, **pair.ours)
    left = copy_weights(ours, theirs, pair)
    values, masks = random_batch(pair)

    def run(network: nn.Module) -> dict[str, Tensor]:
        return run_theirs(theirs, pair, values, masks["text"]) if network is theirs else ours.forward(values, masks)

    with torch.no_grad():
        mine, given = run(ours.eval()), run(theirs.eval())
    row: dict[str, Any] = {
        "network": name,
        "parameters": sum(p.numel() for p in ours.parameters()),
        "parameters_mmsa": sum(p.numel() for p in theirs.parameters() if p.requires_grad),
        "outputs": sorted(given),
        "output_difference": largest([mine[output] - given[output] for output in given]),
        "output_scale": largest(list(given.values())),
        "only_in_mmsa": left,
        "note": pair.note,
    }
    row["gradient_difference"] = gradient_difference(ours, theirs, pair, run) if pair.copied else None
    equal = row["output_difference"] <= CLOSE and row["parameters"] == row["parameters_mmsa"]
    row["verdict"] = "equal outputs, equal count" if equal else f"differs: {pair.differs or 'nobody knows why'}"
    return row


def page(rows: list[dict[str, Any]]) -> str:
    """Table for people."""
    lines = [
        "# Networks beside those of MMSA 2.2.1",
        "",
        "Made by `python benchmarks/mmsa_networks.py --out docs/results`, whose header says how. MMSA's sizes for",
        "MOSI, its weights copied by name, synthetic input. The language model of MISA and Self-MM is left out on",
        "both sides.",
        "",
        "| network | parameters | MMSA's | largest difference of outputs | of gradients, relative | verdict |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        gradients = "not compared" if row["gradient_difference"] is None else f"{row['gradient_difference']:.1e}"
        lines.append(
            f"| {row['network']} | {row['parameters']:,} | {row['parameters_mmsa']:,} | "
            f"{row['output_difference']:.1e} | {gradients} | {row['verdict']} |"
        )
    lines += ["", "What differs, and under which conditions they are equal:", ""]
    for row in rows:
        left = f" Only in MMSA: {', '.join(f'`{n}`' for n in row['only_in_mmsa'])}." if row["only_in_mmsa"] else ""
        lines.append(f"- **{row['network']}**: {row['note']}{left}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Compare all, print, and write the pages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for mmsa-networks.json and mmsa-networks.md")
    parser.add_argument("networks", nargs="*", default=list(PAIRS))
    options = parser.parse_args()
    rows = [compare(name) for name in options.networks]
    result = {"mmsa": "2.2.1", "torch": torch.__version__, "close": CLOSE, "samples": ROWS, "networks": rows}
    print(page(rows))
    if options.out is not None:
        (options.out / "mmsa-networks.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        (options.out / "mmsa-networks.md").write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
