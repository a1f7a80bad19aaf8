"""The matrix of one utterance, beside what a representation rebuilds from its vector if it can, and that vector."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

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
_NAMES = {"audio": "voice", "vision": "face", "text": "text", "audio_whisper": "Whisper's states"}


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
    """Section of a report: an aligned utterance, and its reconstruction if there is one; words down, columns across.

    Parameters
    ----------
    aligned : Aligned
        One utterance (N = 1), in the units that the network sees (scaled).
    reconstruction : array of shape (W, D), optional
        In the same units; a representation without a decoder has none.
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
    reconstruction: NDArray[np.float32] | None = None
    heading: str = "The matrix, and what the vector remembers of it"
    lead: str = ""

    def __post_init__(self) -> None:
        shape = self.aligned.values.shape[1:] if self.reconstruction is None else self.reconstruction.shape
        if len(self.aligned) != 1 or shape != self.aligned.values.shape[1:]:
            raise DataError(
                f"a reconstruction of shape {shape} cannot stand beside {self.aligned.shape}",
                remedy="give one utterance and its own reconstruction",
            )

    def errors(self) -> dict[str, float]:
        """Mean squared error by modality over cells that were seen, NaN where none was; {} if none was rebuilt."""
        if self.reconstruction is None:
            return {}
        squared = (self.aligned.values[0].astype(np.float64) - self.reconstruction) ** 2
        found = {}
        for place, (modality, columns) in enumerate(self._blocks()):
            seen = squared[self.aligned.cell_mask[0, :, place]][:, columns]
            found[modality] = float(seen.mean()) if seen.size else float("nan")
        return found

    def html(self) -> Markup:
        """Markup of the section."""
        panels = [self._panel("input", self.aligned.values[0], seen_only=True)]
        said = (
            "Rows are words, columns are features; each modality has a scale of its own, dark is low and light is "
            "high. Hatched cells were never seen"
        )
        if self.reconstruction is not None:
            panels.append(self._panel("reconstruction", self.reconstruction, seen_only=False))
            errors = ", ".join(f"{_name(m)} {v:.4f}" for m, v in self.errors().items() if np.isfinite(v))
            said += f"; the reconstruction guesses them. Mean squared error over the cells that were seen: {errors}"
        caption = element("figcaption", f"{said}.")
        data = element("script", Markup(self._data()), type="application/json", class_="matrix-data")
        pair = element("div", *panels, class_="pair" if len(panels) > 1 else None)
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
            shown = [self.aligned.values[0], *([] if self.reconstruction is None else [self.reconstruction])]
            both = np.stack([one[rows, columns] for one in shown])
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
    """Section of a report: one vector as strips of colours, one for each of its blocks.

    Parameters
    ----------
    vector : array of shape (K,)
        The embedding.
    heading, lead : str
        What stands above.
    blocks : sequence of (str, int)
        Names and lengths of its parts in order; empty: one strip.

    Raises
    ------
    DataError
        The lengths do not add up to K.

    Examples
    --------
    >>> "2 numbers" in VectorStrip(np.array([0.1, -0.3])).html()
    True
    >>> "mean of the voice" in VectorStrip(np.array([0.1, -0.3]), blocks=[("mean of the voice", 1), ("x", 1)]).html()
    True
    """

    vector: NDArray[np.floating]
    heading: str = "One vector"
    lead: str = ""
    blocks: Sequence[tuple[str, int]] = ()

    def __post_init__(self) -> None:
        if self.blocks and sum(width for _, width in self.blocks) != len(self.vector):
            raise DataError(
                f"blocks of {[w for _, w in self.blocks]} numbers are not the {len(self.vector)} there are",
                remedy="give the lengths of all blocks, in order",
            )

    def html(self) -> Markup:
        """Markup of the section."""
        row = np.asarray(self.vector, np.float64)
        low, high = float(np.quantile(row, _LOW_QUANTILE)), float(np.quantile(row, _HIGH_QUANTILE))
        blocks = self.blocks or [("", len(row))]
        edges = np.cumsum([0, *(width for _, width in blocks)]).tolist()
        parts = [row[None, a:b] for a, b in pairwise(edges)]
        strips = [
            element("div", _strip_name(name, part.shape[1]), _strip(name, part, low, high))
            for (name, _), part in zip(blocks, parts, strict=True)
        ]
        said = f"{len(row)} numbers from {row.min():.2f} to {row.max():.2f}"
        return element("figure", *strips, element("figcaption", f"{said}: what a classifier sees instead of the clip."))


def _strip(name: str, part: NDArray[np.float64], low: float, high: float) -> Markup:
    picture = png(shades(part, np.ones(part.shape, bool), low, high))
    return element("img", src=picture, alt=f"{name or 'the vector'}: {part.shape[1]} numbers", class_="strip")


def _strip_name(name: str, width: int) -> Markup:
    return element("p", name, " ", element("i", str(width)), class_="strip-name") if name else element("span")


def _name(modality: str) -> str:
    return _NAMES.get(modality, modality)
