"""An aligned corpus as one ``.npz`` file of plain arrays, which NumPy alone can read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned, Specification
from trivium.errors import DataError, FormatError
from trivium.files import atomic_file
from trivium.formats.arrays import open_archive

__all__ = ["load_aligned", "save_aligned"]

_ARRAYS = ("values", "mask", "cell_mask", "ids", "spans", "words")


def save_aligned(aligned: Aligned, path: str | os.PathLike[str]) -> None:
    """Write an aligned corpus to one ``.npz`` file, whole or not at all.

    The file holds ``values`` (N, W, D) float32, ``mask`` (N, W) bool, ``cell_mask`` (N, W, M) bool, ``columns`` (D,),
    ``modalities`` (M,), ``ids`` (N,), ``spans`` (N, W, 2) float64 seconds, ``words`` (N, W), ``specification`` (JSON
    text) and one array ``table/NAME`` for every label, group, split and the like. Equal content gives equal bytes.

    Parameters
    ----------
    aligned : Aligned
        What to write.
    path : path
        The file.

    Raises
    ------
    DataError
        The disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> from trivium.corpus import StreamSpecification
    >>> x = Aligned.from_arrays(np.ones((1, 2, 1), np.float32), Specification((StreamSpecification("audio", ("f0",)),)))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_aligned(x, f"{folder}/x.npz")
    ...     load_aligned(f"{folder}/x.npz").shape
    (1, 2, 1)
    """
    arrays: dict[str, NDArray[Any]] = {name: getattr(aligned, name) for name in _ARRAYS}
    arrays["columns"] = np.array(aligned.specification.columns, dtype=np.str_)
    arrays["modalities"] = np.array(aligned.specification.modalities, dtype=np.str_)
    arrays["specification"] = np.array(json.dumps(aligned.specification.to_json(), ensure_ascii=False, sort_keys=True))
    for name, column in aligned.table.items():
        arrays[f"table/{name}"] = column
    with atomic_file(path) as draft, draft.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load_aligned(path: str | os.PathLike[str]) -> Aligned:
    """Read what :func:`save_aligned` wrote; nothing in the file is executed.

    Parameters
    ----------
    path : path
        The file.

    Raises
    ------
    FormatError
        The file is not an aligned corpus, or is cut off.
    LimitError
        It would unpack to far more than its size.
    """
    try:
        arrays = open_archive(Path(path))
        specification = Specification.from_json(json.loads(str(arrays["specification"])))
        table = {name.removeprefix("table/"): a for name, a in arrays.items() if name.startswith("table/")}
        return Aligned(**{name: arrays[name] for name in _ARRAYS}, specification=specification, table=table)
    except KeyError as cause:
        raise FormatError(
            f"has no array {cause.args[0]!r}", file=path, remedy="make the file with trivium align"
        ) from cause
    except (ValueError, DataError) as cause:
        raise FormatError(f"is no aligned corpus: {cause}", file=path) from cause
