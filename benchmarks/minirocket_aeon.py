"""Features of our MiniRocket beside those of aeon, which must be installed, with equal kernels on random series.

usage: python benchmarks/minirocket_aeon.py [--series 12] [--channels 5] [--steps 60]

aeon fits dilations, channels and thresholds to synthetic series; ours takes them over and reads the same series. It
prints how many features there are, how many are equal to the last bit of float32, and the largest difference.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

from trivium.represent.minirocket import RocketKernels, rocket_features


def kernels_of(fitted: Any) -> RocketKernels:
    """What aeon has fitted, in our form."""
    counts, channels, dilations, per_dilation, thresholds = fitted.parameters
    chosen = np.split(channels.astype(np.int64), np.cumsum(counts)[:-1])
    return RocketKernels(
        dilations.astype(np.int64), per_dilation.astype(np.int64), chosen, thresholds.astype(np.float64)
    )


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, count in (("series", 12), ("channels", 5), ("steps", 60)):
        parser.add_argument(f"--{name}", type=int, default=count)
    asked = parser.parse_args()
    shape = (asked.series, asked.channels, asked.steps)
    series = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    module = import_module("aeon.transformations.collection.convolution_based")
    theirs = module.MiniRocket(n_kernels=1000, random_state=0).fit(series)
    expected = np.asarray(theirs.transform(series), np.float32)
    found = rocket_features(series.astype(np.float64), kernels_of(theirs))
    equal = (found == expected).mean()
    print(f"aeon {version('aeon')}: {found.shape[1]} features of {shape[0]} synthetic series of shape {shape[1:]}")
    print(f"equal to the last bit: {equal:.2%}; largest difference: {np.abs(found - expected).max():.2g}")


if __name__ == "__main__":
    main()
