"""Why the autoencoder's vector reads worse than plain averages: what it rebuilds, and what it still tells.

usage: TRIVIUM_DATA=FOLDER python benchmarks/why_it_loses.py [--max-epochs 30] [--seed 0]

ICT-MMMO, voice and face, four fifths of the clips to learn from and one fifth held out; no label is looked at. Three
numbers by variant, all on held-out clips: the squared error of the reconstruction over seen cells, beside that of the
simplest prediction there is, every column's training mean; and how much of the variance of the columns' means per clip
(what mean pooling keeps) a ridge regression gets back out of the vector. Variants scale differently: compare an error
with that of the column means beside it, not with another variant's. The last number has controls: the same ridge on as
many principal components of the flattened matrix, and of the means themselves.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from results import VARIANTS, circumstances, ict_mmmo
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trivium.corpus import Aligned
from trivium.evaluate.study import data_hash
from trivium.represent import ConvAutoencoder

SHOWN = ("faithful", "all repaired", "repaired, slower")


def compare(
    data: Aligned, options: dict[str, Any], train: NDArray[np.int64], test: NDArray[np.int64]
) -> dict[str, float]:
    """The numbers of one variant and their controls."""
    encoder = ConvAutoencoder(**options, progress=False).fit(data[train])
    learned, unseen = (encoder.scalers_.transform(data[rows]) for rows in (train, test))
    cells, cells_test = data[train].column_mask(), data[test].column_mask()
    means = (learned * cells).sum((0, 1)) / np.maximum(cells.sum((0, 1)), 1)
    rebuilt = encoder.reconstruct(data[test])
    pooled, truth = averages(learned, cells), averages(unseen, cells_test)
    few = encoder.n_features_out_
    flat = PCA(few, random_state=0).fit(learned.reshape(len(train), -1))
    components = PCA(few, random_state=0).fit(pooled)
    return {
        "error_of_reconstruction": float(((rebuilt - unseen) ** 2)[cells_test].mean()),
        "error_of_column_means": float(((means - unseen) ** 2)[cells_test].mean()),
        "variance_of_averages_kept": kept(encoder.transform(data[train]), encoder.transform(data[test]), pooled, truth),
        "kept_by_components_of_the_matrix": kept(
            flat.transform(learned.reshape(len(train), -1)),
            flat.transform(unseen.reshape(len(test), -1)),
            pooled,
            truth,
        ),
        "kept_by_components_of_the_averages": kept(
            components.transform(pooled), components.transform(truth), pooled, truth
        ),
        "epochs": float(len(encoder.loss_curves_)),
    }


def kept(
    x: NDArray[np.float32], x_test: NDArray[np.float32], pooled: NDArray[np.float32], truth: NDArray[np.float32]
) -> float:
    """Share of the variance of held-out averages that a ridge regression on vectors explains."""
    varies = pooled.std(axis=0) > 0
    reader = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 5, 15))).fit(x, pooled[:, varies])
    missed, wanted = truth[:, varies] - reader.predict(x_test), truth[:, varies]
    return float(1 - (missed**2).sum() / ((wanted - wanted.mean(0)) ** 2).sum())


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
    facts = {**circumstances(data_hash(data)), "corpus": "ict-mmmo", "seed": given.seed}
    facts |= {"max_epochs": given.max_epochs, "clips": len(train), "held_out_clips": len(test)}
    print(json.dumps({**facts, "variants": found}, indent=1))


if __name__ == "__main__":
    main()
