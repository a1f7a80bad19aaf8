"""What a task gives to the rows of its table: steps to learn from, frames to pool, vectors known beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned
from trivium.errors import SpecificationError
from trivium.files import canonical_json, sha256_bytes

__all__ = ["Material", "Track", "View"]

Track = Literal["H", "F"]
"""H: columns made by hand, by formula. F: columns of foundation models that saw no label of the task."""
View = Literal["steps", "frames"]
_EVERY = ""  # modality of what belongs to the recording as a whole


@dataclass(frozen=True, eq=False)
class Material:
    """Utterances of one task with the columns of one track.

    Parameters
    ----------
    steps : Aligned
        N utterances of few steps (words, or twenty equal parts), with labels, groups and splits.
    frames : Aligned
        The same at a finer rate; `steps` again where the release has none.
    fixed : mapping of str to mapping of str to array of shape (N, K)
        Vectors that nothing learned, by name (``functionals``, ``metadata``) and modality; the modality is empty where
        they tell of the recording and not of the person. Functionals may tell of more than steps and frames do, such
        as single layers of an encoder.

    Examples
    --------
    >>> from trivium.represent.inputs import array_to_aligned
    >>> data = array_to_aligned(np.ones((2, 3, 4), np.float32))
    >>> material = Material(data, data, {"functionals": {"matrix": np.ones((2, 5))}})
    >>> material.vectors("functionals", None).shape
    (2, 5)
    """

    steps: Aligned
    frames: Aligned
    fixed: Mapping[str, Mapping[str, NDArray[np.floating]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in order."""
        return self.steps.specification.modalities

    def view(self, name: View, modalities: Sequence[str] | None = None) -> Aligned:
        """Steps or frames, of some modalities or all.

        Parameters
        ----------
        name : {"steps", "frames"}
            Which.
        modalities : sequence of str, optional
            Which modalities.
        """
        whole = self.steps if name == "steps" else self.frames
        return whole if modalities is None else whole.select(list(modalities))

    def vectors(self, name: str, modalities: Sequence[str] | None) -> NDArray[np.float32]:
        """Vectors that are known beforehand (N, K).

        Parameters
        ----------
        name : str
            Such as ``functionals``.
        modalities : sequence of str, optional
            Which modalities; what tells of the recording is always there.

        Raises
        ------
        SpecificationError
            The task has none of this name, or not of these modalities.
        """
        known = self.fixed.get(name, {})
        kept = [v for m, v in known.items() if m == _EVERY or modalities is None or m in modalities]
        if not kept:
            raise SpecificationError(f"there are no {name} of {', '.join(modalities or self.modalities)}")
        return np.concatenate(kept, axis=1).astype(np.float32)

    def modalities_of(self, name: str) -> tuple[str, ...]:
        """Modalities that vectors of this name tell of.

        Parameters
        ----------
        name : str
            Such as ``functionals``.
        """
        return tuple(modality for modality in self.fixed.get(name, {}) if modality != _EVERY)

    def has(self, name: str) -> bool:
        """Whether there are vectors of this name."""
        return bool(self.fixed.get(name))

    def select(self, modalities: Sequence[str]) -> Material:
        """Only some modalities, everywhere.

        Parameters
        ----------
        modalities : sequence of str
            What is kept.

        Raises
        ------
        SpecificationError
            One does not exist.
        """
        kept = {
            name: {m: v for m, v in parts.items() if m == _EVERY or m in modalities}
            for name, parts in self.fixed.items()
        }
        return replace(
            self, steps=self.steps.select(list(modalities)), frames=self.frames.select(list(modalities)), fixed=kept
        )

    @cached_property
    def digest(self) -> str:
        """Hash over everything with names, kinds and shapes: no number of other data is taken for one of these."""
        fixed = {name: [[modality, _facts(v)] for modality, v in parts.items()] for name, parts in self.fixed.items()}
        told = {"steps": _aligned(self.steps), "frames": _aligned(self.frames), "fixed": fixed}
        return sha256_bytes(canonical_json(told).encode())


def _aligned(data: Aligned) -> dict[str, Any]:
    names = ("ids", "values", "mask", "cell_mask", "spans", "words")
    return {
        "specification": data.specification.to_json(),
        "arrays": {name: _facts(getattr(data, name)) for name in names},
        "table": {key: _facts(data.table[key]) for key in data.table},
    }


def _facts(values: NDArray[Any]) -> list[Any]:
    """Kind, shape and hash of an array; of objects what they look like, because their bytes are addresses."""
    array = np.ascontiguousarray(values)
    content = repr(array.tolist()).encode() if array.dtype.hasobject else array.tobytes()
    return [array.dtype.str, list(array.shape), sha256_bytes(content)]
