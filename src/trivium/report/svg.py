"""Markup written by hand: escaped elements, paths and small PNG pictures for a page that needs nothing else."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterable
from html import escape

import numpy as np
from numpy.typing import NDArray

__all__ = ["Markup", "element", "number", "path", "png", "script_json", "text"]

_DIGITS = 1
_VOID = ("img", "meta")


class Markup(str):
    """Text that is markup already; everything else is escaped before it enters the page."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Escape anything that is not :class:`Markup`.

    Parameters
    ----------
    value : object
        Shown as ``str(value)``.

    Examples
    --------
    >>> text("<b>")
    '&lt;b&gt;'
    """
    return value if isinstance(value, Markup) else Markup(escape(str(value), quote=True))


def element(name: str, *children: object, **attributes: object) -> Markup:
    """One element with escaped attributes and children.

    Parameters
    ----------
    name : str
        Name of the element.
    *children : object
        Text is escaped; :class:`Markup` is kept; None is skipped.
    **attributes : object
        ``class_`` gives ``class``, other underscores become hyphens; None leaves the attribute out.

    Examples
    --------
    >>> element("p", "a < b", class_="lead")
    '<p class="lead">a &lt; b</p>'
    """
    pairs = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    opened = " ".join([name, *(f'{key}="{text(value)}"' for key, value in pairs)])
    if name in _VOID:
        return Markup(f"<{opened}>")
    return Markup(f"<{opened}>{''.join(text(child) for child in children if child is not None)}</{name}>")


def number(value: float) -> str:
    """Coordinate with one decimal, without a superfluous zero.

    Parameters
    ----------
    value : float
        A length in pixels.

    Examples
    --------
    >>> number(3.0), number(2.46)
    ('3', '2.5')
    """
    return f"{value:.{_DIGITS}f}".rstrip("0").rstrip(".")


def path(runs: Iterable[NDArray[np.float64]]) -> str:
    """Path data through runs of points, with a gap between two runs.

    Parameters
    ----------
    runs : iterable of arrays (K, 2)
        Points in pixels.

    Examples
    --------
    >>> path([np.array([[0, 0], [1, 2.5]])])
    'M0 0L1 2.5'
    """
    return "".join("M" + "L".join(f"{number(x)} {number(y)}" for x, y in run) for run in runs)


def png(pixels: NDArray[np.uint8]) -> str:
    """Data address of a PNG picture.

    Parameters
    ----------
    pixels : uint8 array of shape (H, W, 4)
        Red, green, blue, opacity.

    Examples
    --------
    >>> png(np.zeros((1, 1, 4), np.uint8))[:22]
    'data:image/png;base64,'
    """
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, width * 4)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    data = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in parts)
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def script_json(value: object) -> str:
    r"""JSON that may stand inside a script element: no ``<`` can end it.

    Parameters
    ----------
    value : object
        Plain builtins.

    Examples
    --------
    >>> script_json("</script>")
    '"\\u003c/script>"'
    """
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True).replace("<", "\\u003c")
