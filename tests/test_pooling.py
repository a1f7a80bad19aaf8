"""The floors against plain loops over what was seen, and their scikit-learn contract."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trivium.corpus import Aligned, Specification, StreamSpecification
from trivium.errors import SpecificationError
from trivium.represent.pooling import Flatten, FlattenPCA, MeanPooling, MeanStdPooling, Missingness

EVERY: list[Any] = [MeanPooling(), MeanStdPooling(), Flatten(), FlattenPCA(n_components=3), Missingness()]
SPEC = Specification(
    (
        StreamSpecification("audio", ("a0", "a1"), clock="words"),
        StreamSpecification("vision", ("v0",), clock="words"),
    )
)


def holey(seed: int = 0, n: int = 24) -> Aligned:
    rng = np.random.default_rng(seed)
    cells = rng.random((n, 5, 2)) < 0.7
    cells[0, :, 1] = False  # an utterance without a face
    values = np.where(np.repeat(cells, (2, 1), axis=2), rng.standard_normal((n, 5, 3)), 0).astype(np.float32)
    values[1, 2, 0] = np.nan
    return Aligned.from_arrays(values, SPEC, mask=np.asarray(cells.any(axis=2)), cell_mask=cells)


def seen_by_column(x: Aligned) -> list[list[NDArray[np.float32]]]:
    found = []
    for i in range(len(x)):
        row = []
        for column in range(3):
            kept = [
                x.values[i, w, column]
                for w in range(5)
                if x.cell_mask[i, w, 0 if column < 2 else 1] and np.isfinite(x.values[i, w, column])
            ]
            row.append(np.array(kept))
        found.append(row)
    return found


def test_mean_and_spread_are_those_of_the_seen_steps() -> None:
    x = holey()
    mean, both = MeanPooling().fit(x).transform(x), MeanStdPooling().fit(x).transform(x)
    for i, row in enumerate(seen_by_column(x)):
        for column, kept in enumerate(row):
            centre, spread = (kept.mean(), kept.std()) if len(kept) else (0.0, 0.0)
            assert mean[i, column] == pytest.approx(centre, abs=1e-6)
            assert both[i, column] == pytest.approx(centre, abs=1e-6)
            assert both[i, 3 + column] == pytest.approx(spread, abs=1e-6)


def test_what_lies_in_unseen_cells_changes_nothing() -> None:
    x = holey()
    noise = np.where(x.column_mask(), x.values, 99.0).astype(np.float32)
    other = Aligned.from_arrays(noise, SPEC, mask=x.mask, cell_mask=x.cell_mask)
    for floor in EVERY:
        np.testing.assert_array_equal(clone(floor).fit(x).transform(x), clone(floor).fit(other).transform(other))


def test_flattened_cells_stand_word_after_word() -> None:
    x = np.arange(24, dtype=np.float32).reshape(2, 4, 3)
    np.testing.assert_array_equal(Flatten().fit_transform(x), x.reshape(2, 12))


def test_principal_components_are_those_of_the_standardised_matrix() -> None:
    x = holey()
    flat = np.clip(StandardScaler().fit_transform(Flatten().fit(x).transform(x)), -5, 5)
    expected = PCA(3, random_state=0).fit_transform(flat)
    np.testing.assert_allclose(np.abs(FlattenPCA(n_components=3).fit(x).transform(x)), np.abs(expected), atol=1e-4)


def test_missingness_looks_at_masks_only() -> None:
    x = holey()
    np.testing.assert_array_equal(Missingness().fit(x).transform(x), x.cell_mask.reshape(len(x), -1))


@pytest.mark.parametrize("floor", EVERY, ids=lambda f: type(f).__name__)
def test_the_contract_holds_in_a_pipeline_under_a_grouped_search(floor: Any) -> None:
    x = holey()
    y, groups = np.arange(24) % 2, np.arange(24) // 4
    search = GridSearchCV(
        make_pipeline(clone(floor), StandardScaler(), LogisticRegression()),
        {"logisticregression__C": [0.1, 1.0]},
        cv=GroupKFold(3),
    )
    assert search.fit(x, y, groups=groups).predict(x).shape == (24,)
    fitted = clone(floor).fit(x)
    assert fitted.transform(x).shape == (24, len(fitted.get_feature_names_out()))
    assert fitted.transform(x).dtype == np.float32


@pytest.mark.parametrize("floor", EVERY, ids=lambda f: type(f).__name__)
def test_rows_do_not_depend_on_each_other(floor: Any) -> None:
    x = holey()
    fitted = clone(floor).fit(x)
    np.testing.assert_allclose(fitted.transform(x[np.array([3, 1])]), fitted.transform(x)[[3, 1]], atol=1e-6)


def test_other_columns_and_other_lengths_are_refused() -> None:
    x = holey()
    with pytest.raises(SpecificationError, match="columns"):
        MeanPooling().fit(x).transform(x.select(["audio"]))
    with pytest.raises(SpecificationError, match="10 features"):
        Flatten().fit(np.zeros((3, 4, 2))).transform(np.zeros((3, 5, 2)))
