"""Are the measures those of MMSA? A thousand random cases of each kind, to the last bit and to the last printed digit.

MMSA is no dependency. Its one file of measures needs NumPy and scikit-learn only, so the package alone is enough:

    pip install --no-deps --target somewhere MMSA==2.2.1
    PYTHONPATH=somewhere python benchmarks/mmsa_metrics.py --out docs/results

The cases are synthetic: sizes from 1 to 4,659, labels on the grids of MOSI (fifths), MOSEI (thirds) and SIMS (fifths of
1), predictions that are continuous, on half classes, on the edges of bins, beyond the range, constant, or next to 0.
"""

from __future__ import annotations

import argparse
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray

from trivium.files import atomic_file, sha256_file, write_json
from trivium.metrics import metric

NAMES = {
    "MOSI": {
        "Has0_acc_2": "acc2_has0",
        "Has0_F1_score": "f1_has0",
        "Non0_acc_2": "acc2_non0",
        "Non0_F1_score": "f1_non0",
        "Mult_acc_5": "acc5",
        "Mult_acc_7": "acc7",
        "MAE": "mae",
        "Corr": "r",
    },
    "SIMS": {
        "Mult_acc_2": "sims_acc2",
        "Mult_acc_3": "sims_acc3",
        "Mult_acc_5": "sims_acc5",
        "F1_score": "sims_f1",
        "MAE": "sims_mae",
        "Corr": "sims_r",
    },
}
SIZES = (1, 2, 3, 5, 8, 16, 20, 32, 40, 64, 80, 125, 160, 229, 320, 457, 640, 686, 1034, 4659)
SHAPES = ("continuous", "half classes", "edges", "beyond", "constant", "near zero")
EDGES = (0.0, -0.0, 0.1, -0.1, 0.7, -0.7, 1.0, -1.0, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3.0, -3.0)
RECORDED = 24

Pair = tuple[NDArray[np.float32], NDArray[np.float32]]


class Tensor:
    """As much of a tensor as MMSA asks of one."""

    def __init__(self, values: NDArray[np.float32]) -> None:
        self._values = values

    def view(self, _: int) -> Tensor:
        """Itself: there is one axis."""
        return self

    cpu = detach = lambda self: self

    def numpy(self) -> NDArray[np.float32]:
        """Give the values."""
        return self._values


def load_mmsa(*, rounded: bool) -> tuple[Any, Path]:
    """MMSA's measures, as printed or before they are rounded to four digits."""
    found = importlib.util.find_spec("MMSA")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("MMSA is not importable: see the head of this file")
    file = Path(found.submodule_search_locations[0]) / "utils" / "metricsTop.py"
    spec = importlib.util.spec_from_file_location("mmsa_metrics_top", file)
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    if not rounded:
        module.__dict__["round"] = lambda value, _digits: value
    spec.loader.exec_module(module)
    return module.MetricsTop("regression"), file


def case(kind: str, number: int) -> Pair:
    """Labels and predictions of one case; at least one label is not 0, for which MMSA has no answer."""
    rng = np.random.default_rng([number, len(kind), ord(kind[0])])
    n = int(rng.choice(SIZES))
    bound, step = (3, 5) if kind == "MOSI" else (1, 5)
    step = 3 if kind == "MOSI" and number % 2 else step
    y = rng.integers(-bound * step, bound * step + 1, n) / step
    y[0] = y[0] or bound
    shape = SHAPES[number % len(SHAPES)]
    p = y + rng.normal(0, bound / 3, n)
    if shape == "half classes":
        p = np.round(p * 2) / 2
    elif shape == "edges":
        p = rng.choice(EDGES, n)
    elif shape == "beyond":
        p = p * 5
    elif shape == "constant":
        p = np.full(n, rng.choice(EDGES))
    elif shape == "near zero":
        p = rng.choice([0.0, -0.0, 1e-8, -1e-8, 1e-30, -1e-30], n)
    return y.astype(np.float32), p.astype(np.float32)


def same(ours: float, theirs: float) -> bool:
    return bool(ours == theirs or (np.isnan(ours) and np.isnan(theirs)))


def compared(kind: str, cases: int) -> dict[str, dict[str, Any]]:
    """By measure: how many cases agree in every bit and in every printed digit, and the largest difference."""
    exact = load_mmsa(rounded=False)[0].getMetics(kind)
    printed = load_mmsa(rounded=True)[0].getMetics(kind)
    found = {name: {"bits": 0, "digits": 0, "largest": 0.0, "undefined": 0} for name in NAMES[kind]}
    for number in range(cases):
        y, p = case(kind, number)
        raw, shown = (_quiet(measure, y, p) for measure in (exact, printed))
        for name, ours in NAMES[kind].items():
            value = metric(ours).function(y, p)
            row = found[name]
            row["bits"] += same(value, float(raw[name]))
            # rounded as MMSA rounds it: NumPy's numbers and Python's do not round alike
            row["digits"] += same(float(round(type(raw[name])(value), 4)), float(shown[name]))
            row["undefined"] += bool(np.isnan(value))
            if not np.isnan(value):
                row["largest"] = max(row["largest"], abs(value - float(raw[name])))
    return {NAMES[kind][name]: {"mmsa": name, **row} for name, row in found.items()}


def _quiet(measure: Callable[..., dict[str, Any]], y: NDArray[np.float32], p: NDArray[np.float32]) -> dict[str, Any]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return measure(Tensor(p), Tensor(y))


def recorded(kind: str) -> list[dict[str, Any]]:
    """Small cases with what MMSA printed, for tests that run without it."""
    printed = load_mmsa(rounded=True)[0].getMetics(kind)
    rows: list[dict[str, Any]] = []
    for number in range(cases := 10_000):
        y, p = case(kind, number)
        if 4 < len(y) < 17 and len(rows) < RECORDED:
            shown = {name: float(value) for name, value in _quiet(printed, y, p).items()}
            known = {NAMES[kind][name]: None if np.isnan(value) else value for name, value in shown.items()}
            rows.append({"truth": " ".join(map(str, y)), "prediction": " ".join(map(str, p)), "printed": known})
        if len(rows) == RECORDED:
            return rows
    raise SystemExit(f"no {RECORDED} small ones among {cases} cases")


def page(told: dict[str, Any]) -> str:
    lines = [
        "# The measures beside MMSA's",
        "",
        f"{told['cases']:,} synthetic cases of each kind, made by `benchmarks/mmsa_metrics.py`: sizes 1 to 4,659, "
        "labels on the grids of the corpora, float32 predictions that are "
        f"{', '.join(SHAPES)}. *Printed digits*: after rounding to four digits as MMSA does. *Bits*: before.",
        "",
        "| kind | ours | MMSA's | equal printed digits | equal bits | largest difference | not defined in both |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, rows in told["measures"].items():
        for name, row in rows.items():
            counts = f"{row['digits']} | {row['bits']} | {row['largest']:.1e} | {row['undefined']}"
            lines.append(f"| {kind} | {name} | {row['mmsa']} | {counts} |")
    lines += [
        "",
        "Acc-3 of MOSI is computed there and never returned. A correlation is not defined where answers are constant, "
        "or for one utterance. On a tie in the fifth digit NumPy's numbers and Python's round differently: ours are "
        "rounded as MMSA's are. Labels that are all 0 stop MMSA with an error and are not among the cases.",
        "",
        f"MMSA {told['mmsa']} (`metricsTop.py`, SHA-256 {told['file'][:16]}...), NumPy {told['numpy']}, "
        f"scikit-learn {told['sklearn']}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000, help="of each kind")
    parser.add_argument("--out", type=Path, help="folder for mmsa-metrics.md and mmsa-metrics.json")
    asked = parser.parse_args()
    told = {
        "cases": asked.cases,
        "measures": {kind: compared(kind, asked.cases) for kind in NAMES},
        "recorded": {kind: recorded(kind) for kind in NAMES},
        "mmsa": "2.2.1",
        "file": sha256_file(load_mmsa(rounded=True)[1]),
        "numpy": np.__version__,
        "sklearn": sklearn.__version__,
    }
    print(page(told))
    if asked.out:
        write_json(asked.out / "mmsa-metrics.json", told)
        with atomic_file(asked.out / "mmsa-metrics.md") as draft:
            draft.write_text(page(told), encoding="utf-8")


if __name__ == "__main__":
    main()
