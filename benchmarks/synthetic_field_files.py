"""Made-up feature files in the layout and sizes of the field's: MMSA's pickles, and MulT's for IEMOCAP.

usage: python benchmarks/synthetic_field_files.py mosi --out synthetic-mosi.pkl [--unaligned] [--share 0.1]

Every number is random; a few columns lean towards the label, so that training has something to find. Ids begin with
``synthetic``, by which `trivium reproduce` knows such a file and says so in everything it prints or writes.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LAYOUTS", "Layout", "made_file", "write_file"]

MODALITIES = ("text", "audio", "vision")
CLIPS_PER_VIDEO = 20
EMOTIONS = 4


@dataclass(frozen=True)
class Layout:
    """Arrays of a distributed file: steps and columns of text, audio and vision."""

    sizes: tuple[int, int, int]
    columns: tuple[int, int, int]
    aligned_steps: int | None
    steps: tuple[int, int, int]
    limit: float = 3.0
    own_labels: bool = False
    emotions: bool = False


LAYOUTS: Mapping[str, Layout] = {
    "mosi": Layout((1284, 229, 686), (768, 5, 20), 50, (50, 375, 500)),
    "mosei": Layout((16326, 1871, 4659), (768, 74, 35), 50, (50, 500, 500)),
    "sims": Layout((1368, 456, 457), (768, 33, 709), None, (39, 400, 55), 1.0, own_labels=True),
    "simsv2": Layout((2722, 647, 1034), (768, 25, 177), None, (50, 925, 232), 1.0, own_labels=True),
    "iemocap": Layout((2717, 798, 938), (300, 74, 35), 20, (20, 400, 500), emotions=True),
}


def made_file(
    dataset: str,
    *,
    aligned: bool = True,
    sizes: Sequence[int] | None = None,
    columns: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """The content of a file: a dict of folds, each a dict of arrays padded with zeros at the end."""
    layout = LAYOUTS[dataset]
    one_length = aligned and layout.aligned_steps is not None
    shared = layout.aligned_steps or 0
    lengths = tuple(steps or ((shared,) * 3 if one_length else layout.steps))
    rng = np.random.default_rng(seed)
    make = _iemocap_fold if layout.emotions else _mmsa_fold
    shape = (layout, tuple(columns or layout.columns), lengths, one_length)
    counts = zip(("train", "valid", "test"), sizes or layout.sizes, strict=True)
    return {fold: make(rng, fold, count, *shape) for fold, count in counts}


def _mmsa_fold(
    rng: np.random.Generator,
    fold: str,
    count: int,
    layout: Layout,
    columns: Sequence[int],
    lengths: Sequence[int],
    aligned: bool,
) -> dict[str, Any]:
    labels = np.round(rng.uniform(-layout.limit, layout.limit, count) * 5) / 5
    seen = _seen(rng, count, lengths, aligned)
    made: dict[str, Any] = {
        "id": np.array([f"synthetic_{fold}_{k // CLIPS_PER_VIDEO:04d}$_${k % CLIPS_PER_VIDEO}" for k in range(count)]),
        "raw_text": np.array(["random numbers"] * count),
        "annotations": np.array([("Negative", "Neutral", "Positive")[int(np.sign(y)) + 1] for y in labels]),
        "classification_labels": np.sign(labels).astype(np.int64) + 1,
        "regression_labels": labels.astype(np.float32),
        "text_bert": _tokens(rng, seen[0], lengths[0]),
    }
    for name, width, length, own in zip(MODALITIES, columns, lengths, seen, strict=True):
        made[name] = _values(rng, labels / layout.limit, width, length, own)
        if layout.own_labels:
            own_label = np.clip(labels + rng.normal(0, 0.3, count), -layout.limit, layout.limit)
            made[f"regression_labels_{name[0].upper()}"] = own_label.astype(np.float32)
        if name != "text" and not aligned:
            made[f"{name}_lengths"] = own
    return made


def _iemocap_fold(
    rng: np.random.Generator,
    fold: str,
    count: int,
    _: Layout,
    columns: Sequence[int],
    lengths: Sequence[int],
    aligned: bool,
) -> dict[str, Any]:
    present = rng.random((count, EMOTIONS)) < 0.25
    seen = _seen(rng, count, lengths, aligned)
    made: dict[str, Any] = {
        name: _values(rng, present[:, 0] * 2.0 - 1.0, width, length, own)
        for name, width, length, own in zip(MODALITIES, columns, lengths, seen, strict=True)
    }
    made["labels"] = np.stack([~present, present], axis=2).astype(np.float32)
    # MulT's own file has no ids; these say that it is made up
    made["id"] = np.array([[f"synthetic_{fold}_{k:05d}", "0", "1"] for k in range(count)])
    return made


def _seen(rng: np.random.Generator, count: int, lengths: Sequence[int], aligned: bool) -> list[NDArray[np.int64]]:
    """Real steps of every utterance, by modality."""
    if aligned:
        return [rng.integers(max(lengths[0] // 4, 1), lengths[0] + 1, count)] * 3
    return [rng.integers(max(length // 4, 1), length + 1, count) for length in lengths]


def _values(
    rng: np.random.Generator, leaning: NDArray[Any], width: int, length: int, seen: NDArray[np.int64]
) -> NDArray[np.float32]:
    values = rng.standard_normal((len(seen), length, width), dtype=np.float32)
    values[:, :, : max(width // 8, 1)] += (0.3 * leaning[:, None, None]).astype(np.float32)
    values[np.arange(length)[None, :] >= seen[:, None]] = 0.0
    return values


def _tokens(rng: np.random.Generator, seen: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    mask = np.arange(length)[None, :] < seen[:, None]
    return np.stack([rng.integers(1000, 20000, mask.shape) * mask, mask.astype(np.int64), np.zeros(mask.shape, int)], 1)


def write_file(path: Path, dataset: str, **options: Any) -> Path:
    """Write a made-up file as a pickle and give its path."""
    with path.open("wb") as file:
        pickle.dump(made_file(dataset, **options), file, protocol=4)
    return path


def main() -> None:
    """Write one file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=list(LAYOUTS))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--unaligned", action="store_true")
    parser.add_argument("--share", type=float, default=1.0, help="of the utterances of the distributed file")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    sizes = [max(2, round(size * chosen.share)) for size in LAYOUTS[chosen.dataset].sizes]
    write_file(chosen.out, chosen.dataset, aligned=not chosen.unaligned, sizes=sizes, seed=chosen.seed)
    print(f"synthetic numbers in the layout of {chosen.dataset}: {sizes} utterances -> {chosen.out}")


if __name__ == "__main__":
    main()
