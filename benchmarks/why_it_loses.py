"""Why the autoencoder's vector reads worse than plain averages: what it rebuilds, and what it still tells.

usage: TRIVIUM_DATA=FOLDER python benchmarks/why_it_loses.py [--max-epochs 30] [--seed 0]

ICT-MMMO, voice and face, four fifths of the clips to learn from and one fifth held out; no label is looked at. Three
numbers by variant, all on held-out clips: the squared error of the reconstruction over seen cells, beside that of the
simplest prediction there is, every column's training mean; and how much of the variance of the columns' means per clip
(what mean pooling keeps) a ridge regression gets back out of the vector. Variants scale differently: compare an error
with that of the column means beside it, not with another variant's.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from results import VARIANTS, ict_mmmo
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trivium.corpus import Aligned
from trivium.represent import ConvAutoencoder

SHOWN = ("faithful", "all repaired", "repaired, slower")


def compare(
    data: Aligned, options: dict[str, Any], train: NDArray[np.int64], test: NDArray[np.int64]
) -> dict[str, float]:
    """The three numbers of one variant."""
    encoder = ConvAutoencoder(**options, progress=False).fit(data[train])
    learned, unseen = (encoder.scalers_.transform(data[rows]) for rows in (train, test))
    cells, cells_test = data[train].column_mask(), data[test].column_mask()
    means = (learned * cells).sum((0, 1)) / np.maximum(cells.sum((0, 1)), 1)
    rebuilt = encoder.reconstruct(data[test])
    reader = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 5, 15)))
    pooled = averages(learned, cells)
    varies = pooled.std(axis=0) > 0
    reader.fit(encoder.transform(data[train]), pooled[:, varies])
    found = reader.predict(encoder.transform(data[test]))
    truth = averages(unseen, cells_test)[:, varies]
    return {
        "error_of_reconstruction": float(((rebuilt - unseen) ** 2)[cells_test].mean()),
        "error_of_column_means": float(((means - unseen) ** 2)[cells_test].mean()),
        "variance_of_averages_kept": float(1 - ((truth - found) ** 2).sum() / ((truth - truth.mean(0)) ** 2).sum()),
        "epochs": float(len(encoder.loss_curves_)),
    }


def averages(values: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Mean of every column over the steps at which it was seen, (N, D)."""
    pooled: NDArray[np.float32] = (values * seen).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    return pooled


def main() -> None:
    """Compare the variants and the untrained encoder, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--max-epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    data = ict_mmmo()
    rows = np.random.default_rng(given.seed).permutation(len(data))
    train, test = np.sort(rows[len(rows) // 5 :]), np.sort(rows[: len(rows) // 5])
    found = {}
    for name in SHOWN:
        options = {**VARIANTS[name], "random_state": given.seed}
        found[name] = compare(data, {**options, "max_epochs": given.max_epochs}, train, test)
        found[f"{name}, untrained"] = compare(data, {**options, "max_epochs": 0}, train, test)
    print(
        json.dumps({"corpus": "ict-mmmo", "seed": given.seed, "held_out_clips": len(test), "variants": found}, indent=1)
    )


if __name__ == "__main__":
    main()
