"""The matrix of one utterance beside what the representation rebuilds from its vector, and that vector as a strip."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned
from trivium.errors import DataError
from trivium.report.svg import Markup, element, png, script_json

__all__ = ["MatrixPair", "VectorStrip", "shades"]

# Dark to light through blue-green, so that both pages, light and dark, show both ends.
_STOPS = np.array(
    [[37, 24, 66], [52, 66, 128], [33, 116, 143], [52, 163, 133], [142, 204, 98], [250, 232, 120]], dtype=np.float64
)
_LOW_QUANTILE, _HIGH_QUANTILE = 0.02, 0.98
_NAMES = {"audio": "voice", "vision": "face", "text": "text"}


def shades(values: NDArray[np.floating], seen: NDArray[np.bool_], low: float, high: float) -> NDArray[np.uint8]:
    """Colours of a matrix; cells that were not seen stay transparent.

    Parameters
    ----------
    values : array of shape (H, W)
        Any unit.
    seen : bool array of shape (H, W)
        False leaves the cell empty.
    low, high : float
        Values of the darkest and the lightest colour.

    Returns
    -------
    uint8 array of shape (H, W, 4)

    Examples
    --------
    >>> shades(np.array([[1.0, 2.0]]), np.array([[True, False]]), 0, 1)[0, :, 3].tolist()
    [255, 0]
    """
    place = np.clip((np.nan_to_num(values) - low) / max(high - low, 1e-12), 0, 1) * (len(_STOPS) - 1)
    grid = np.arange(len(_STOPS))
    colours = np.stack([np.interp(place, grid, _STOPS[:, c]) for c in range(3)], axis=-1)
    opacity = np.where(seen, 255, 0)[..., None]
    return np.concatenate([np.rint(colours), opacity], axis=-1).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class MatrixPair:
    """Section of a report: an aligned utterance and its reconstruction, words down, columns across.

    Parameters
    ----------
    aligned : Aligned
        One utterance (N = 1), in the units that the network sees (scaled).
    reconstruction : array of shape (W, D)
        In the same units.
    heading, lead : str
        What stands above.

    Raises
    ------
    DataError
        Not one utterance, or the shapes differ.

    Examples
    --------
    >>> from trivium.corpus import Specification, StreamSpecification
    >>> spec = Specification((StreamSpecification("audio", ("f0", "energy"), clock="words"),))
    >>> x = Aligned.from_arrays(np.ones((1, 3, 2), np.float32), spec)
    >>> MatrixPair(x, np.ones((3, 2), np.float32)).errors()
    {'audio': 0.0}
    """

    aligned: Aligned
    reconstruction: NDArray[np.float32]
    heading: str = "The matrix, and what the vector remembers of it"
    lead: str = ""

    def __post_init__(self) -> None:
        if len(self.aligned) != 1 or self.reconstruction.shape != self.aligned.values.shape[1:]:
            raise DataError(
                f"a reconstruction of shape {self.reconstruction.shape} cannot stand beside {self.aligned.shape}",
                remedy="give one utterance and its own reconstruction",
            )

    def errors(self) -> dict[str, float]:
        """Mean squared error by modality over the cells that were seen; NaN where none was."""
        squared = (self.aligned.values[0].astype(np.float64) - self.reconstruction) ** 2
        found = {}
        for place, (modality, columns) in enumerate(self._blocks()):
            seen = squared[self.aligned.cell_mask[0, :, place]][:, columns]
            found[modality] = float(seen.mean()) if seen.size else float("nan")
        return found

    def html(self) -> Markup:
        """Markup of the section."""
        given = self._panel("input", self.aligned.values[0], seen_only=True)
        rebuilt = self._panel("reconstruction", self.reconstruction, seen_only=False)
        errors = ", ".join(f"{_name(m)} {v:.4f}" for m, v in self.errors().items() if np.isfinite(v))
        caption = element(
            "figcaption",
            "Rows are words, columns are features; both pictures share one scale per modality, dark is low and light "
            "is high. Hatched cells were never seen; the reconstruction guesses them. Mean squared error over the "
            f"cells that were seen: {errors}.",
        )
        data = element("script", Markup(self._data()), type="application/json", class_="matrix-data")
        pair = element("div", given, rebuilt, class_="pair")
        return element(
            "figure", pair, element("p", class_="readout", aria_live="polite"), caption, data,
            class_="wide", data_kind="matrix",
        )  # fmt: skip

    def _blocks(self) -> list[tuple[str, slice]]:
        blocks, start = [], 0
        for stream in self.aligned.specification.streams:
            blocks.append((stream.modality, slice(start, start + stream.dim)))
            start += stream.dim
        return blocks

    def _rows(self) -> NDArray[np.int64]:
        """Steps that are words; padding is not drawn."""
        return np.flatnonzero(self.aligned.mask[0])

    def _limits(self, columns: slice) -> tuple[float, float]:
        block = self.aligned.values[0][self._rows(), columns]
        return float(np.quantile(block, _LOW_QUANTILE)), float(np.quantile(block, _HIGH_QUANTILE))

    def _panel(self, title: str, values: NDArray[np.float32], *, seen_only: bool) -> Markup:
        rows = self._rows()
        words = [str(w) or "·" for w in self.aligned.words[0][rows]]
        labels = element("div", *(element("span", w) for w in words), class_="rows")
        blocks = []
        for place, (modality, columns) in enumerate(self._blocks()):
            block = values[rows, columns]
            seen = np.repeat(self.aligned.cell_mask[0, rows, place][:, None], block.shape[1], axis=1)
            picture = png(shades(block, seen if seen_only else np.ones_like(seen), *self._limits(columns)))
            shape = f"{block.shape[0]} words by {block.shape[1]} columns"
            image = element("img", src=picture, alt=f"{title}, {_name(modality)}: {shape}", data_block=str(place))
            grow = f"flex:{block.shape[1] ** 0.5:.2f} 1 0;height:{20 * len(rows)}px"
            name = element("span", f"{_name(modality)} ", element("i", str(block.shape[1])), class_=f"is-{modality}")
            blocks.append(element("div", name, element("div", image, class_="cells", style=grow), class_="block",
                                  style=f"flex:{block.shape[1] ** 0.5:.2f} 1 0"))  # fmt: skip
        return element(
            "div", element("h3", title.capitalize()), element("div", labels, *blocks, class_="matrix"), class_="panel"
        )

    def _data(self) -> str:
        rows = self._rows()
        blocks = []
        for place, (modality, columns) in enumerate(self._blocks()):
            both = np.stack([self.aligned.values[0][rows, columns], self.reconstruction[rows, columns]])
            low, high = float(both.min(initial=0)), float(both.max(initial=1))
            steps = np.rint((both - low) / max(high - low, 1e-12) * 255).astype(np.uint8)
            blocks.append(
                {
                    "modality": _name(modality),
                    "columns": list(self.aligned.specification.streams[place].columns),
                    "seen": [int(s) for s in self.aligned.cell_mask[0, rows, place]],
                    "low": low,
                    "high": high,
                    "values": base64.b64encode(steps.tobytes()).decode("ascii"),
                }
            )
        return script_json({"words": [str(w) for w in self.aligned.words[0][rows]], "blocks": blocks})


@dataclass(frozen=True, eq=False)
class VectorStrip:
    """Section of a report: one vector as a strip of colours.

    Parameters
    ----------
    vector : array of shape (K,)
        The embedding.
    heading, lead : str
        What stands above.

    Examples
    --------
    >>> "2 numbers" in VectorStrip(np.array([0.1, -0.3])).html()
    True
    """

    vector: NDArray[np.floating]
    heading: str = "One vector"
    lead: str = ""

    def html(self) -> Markup:
        """Markup of the section."""
        row = np.asarray(self.vector, np.float64)[None, :]
        picture = png(shades(row, np.ones(row.shape, bool), float(row.min()), float(row.max())))
        said = f"{row.shape[1]} numbers from {row.min():.2f} to {row.max():.2f}"
        image = element("img", src=picture, alt=f"The vector: {said}", class_="strip")
        return element("figure", image, element("figcaption", f"{said}: what a classifier sees instead of the clip."))


def _name(modality: str) -> str:
    return _NAMES.get(modality, modality)
