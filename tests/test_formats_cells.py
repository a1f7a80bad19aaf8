"""Finite numbers that float32 cannot hold: refused by every reader with row and column, without a warning."""

from __future__ import annotations

import json
import pickle
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas
import pytest

import trivium
from trivium.corpus import Corpus, Specification, Stream, StreamSpecification, Utterance
from trivium.errors import DataError
from trivium.formats.tables import from_pandas, to_pandas

LARGE = 1e300


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def values() -> np.ndarray:
    made = np.ones((2, 4, 3))
    made[1, 2, 1] = LARGE
    return made


def mmsa(path: Path) -> str:
    fold = {"id": ["a", "b"], "audio": values(), "text": np.ones((2, 4, 3)), "regression_labels": np.ones(2)}
    path.write_bytes(pickle.dumps({"train": fold}))
    return "train/audio, row 1, step 2, column 1"


def mult(path: Path) -> str:
    fold = {"audio": np.ones((2, 4, 3)), "vision": values(), "text": np.ones((2, 4, 3)), "labels": np.ones((2, 1, 1))}
    path.write_bytes(pickle.dumps({"train": fold}))
    return "train/vision, row 1, step 2, column 1"


def npz(path: Path) -> str:
    with path.open("wb") as file:
        np.savez(file, audio=values())
    return "audio, row 1, step 2, column 1"


def aligned(path: Path) -> str:
    stream = StreamSpecification("audio", ("x", "y", "z"), "words")
    one = Specification((stream,)).to_json()
    with path.open("wb") as file:
        np.savez(
            file, values=values(), mask=np.ones((2, 4), bool), cell_mask=np.ones((2, 4, 1), bool),
            ids=np.array(["a", "b"]), spans=np.zeros((2, 4, 2)), words=np.full((2, 4), "w"),
            specification=np.array(json.dumps(one)),
        )  # fmt: skip
    return "values, row 1, word 2, column 1"


def csd(path: Path) -> str:
    spans = np.array([[0.0, 1], [1, 2], [2, 3], [3, 4]])
    with h5py.File(path, "w") as file:
        for name, features in zip("ab", values(), strict=True):
            file.create_dataset(f"COVAREP/data/{name}/features", data=features)
            file.create_dataset(f"COVAREP/data/{name}/intervals", data=spans)
    return "b, row 2, column 1"


def table(path: Path) -> str:
    path.write_text("id,audio.f0,audio.f1\na,1.5,1\na,2.5,1e300\n")
    return "column audio.f1, row 1"


def lists(path: Path) -> str:
    pandas.DataFrame({"id": ["a", "b"], "audio": [made.tolist() for made in values()]}).to_parquet(path)
    return "audio, row 1, step 2, column 1"


@pytest.mark.parametrize("make", [mmsa, mult, npz, aligned, csd, table, lists])
@pytest.mark.parametrize("nonfinite", ["reference", "zero"])
def test_a_finite_value_too_large_for_float32_is_named(
    tmp_path: Path, make: Callable[[Path], str], nonfinite: str
) -> None:
    place = make(tmp_path / "file")
    options: dict[str, Any] = {} if make is aligned and nonfinite == "reference" else {"nonfinite": nonfinite}
    with pytest.raises(DataError) as caught:
        trivium.read(tmp_path / "file", **options)
    assert f"({place}): 1e+300 is finite, but too large for float32 (1 such cells)" in str(caught.value)


def test_a_frame_of_trivium_with_such_a_value_is_refused_too() -> None:
    voice = StreamSpecification("audio", ("f0",))
    one = Utterance("a", {"audio": Stream(np.ones((2, 1), np.float32), voice)})
    frame = to_pandas(Corpus.from_utterances([one], Specification((voice,))))
    frame["stream.audio"] = [np.array([1.0, LARGE])]
    with pytest.raises(DataError, match=r"stream.audio, cell 1\): 1e\+300 is finite, but too large"):
        from_pandas(frame)


def test_infinite_cells_of_a_double_file_are_still_infinite(tmp_path: Path) -> None:
    made = np.ones((2, 4, 3))
    made[1, 2, 1] = -np.inf
    np.savez(tmp_path / "a.npz", audio=made)
    (found,) = trivium.read(tmp_path / "a.npz").provenance["findings"]
    assert (found["kind"], found["action"]) == ("nonfinite", "kept")
