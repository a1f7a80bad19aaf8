"""Pickles without their danger: NumPy arrays, numbers, text and builtin containers, and nothing else.

A pickle is a program. Before it runs, its opcodes are walked through once: classes, persistent ids, extension codes
and out-of-band buffers are refused, lengths must lie within the file, and memo numbers, nesting and the number of
operations are bounded. While it runs, the few names that NumPy's own pickles need are answered by our own functions,
which check every argument; any other name is refused by its full name. Nothing in the file can name a function of ours
other than these.
"""

from __future__ import annotations

import mmap
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from trivium.errors import FormatError, LimitError, UnsafeFileError
from trivium.files import check_size

__all__ = ["Scan", "load_pickle", "scan_pickle"]

_MAX_BYTES = 64 << 30
_MAX_OPERATIONS = 20_000_000
_MAX_DEPTH = 200
_MAX_NUMBER_BYTES = 8  # longer integers are no measurement, and many of them can be made to collide in a dict
_MAX_LINE = 4096
_MAX_SHARED_TUPLES = 16  # a hash visits a shared tuple at every place, so each of these may double the work
_FREE_PARTS = 20_000_000
_MAX_SHARING = 10
_ENDLESS = 1 << 62
_OWN = -1  # no identity
_LONGEST_KEY = 32
_MOST_KEYS = 4096

_PLAIN = frozenset(b"(.012NRbaed}l]sut)\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94")
_FIXED = {**dict.fromkeys(b"Kqh\x80", 1), ord("M"): 2, **dict.fromkeys(b"Jrj", 4), **dict.fromkeys(b"G\x95", 8)}
_COUNTED = {ord("U"): 1, ord("T"): 4, ord("C"): 1, ord("B"): 4, ord("X"): 4}
_COUNTED |= {0x8A: 1, 0x8B: 4, 0x8C: 1, 0x8D: 8, 0x8E: 8, 0x96: 8}
_LINES = dict.fromkeys(b"FILSVgp", 1) | {ord("c"): 2}
_TEXT = frozenset(b"UTX\x8c\x8d")
_NO_TUPLE = _TEXT | frozenset(b"BC\x8e\x96]}ldaesub\x8f\x90\x91Rc\x93SV")  # what lies on top after these is no tuple
_MEMO = frozenset(b"\x94qrphjg2")
_NUMBERS = frozenset(b"\x8a\x8b")
_REFUSED = {
    ord("P"): "a persistent id",
    ord("Q"): "a persistent id",
    ord("i"): "an instance of a class",
    ord("o"): "an instance of a class",
    0x81: "an instance of a class",
    0x92: "an instance of a class",
    0x82: "an extension code",
    0x83: "an extension code",
    0x84: "an extension code",
    0x97: "a buffer outside the file",
    0x98: "a buffer outside the file",
}


@dataclass(frozen=True)
class Scan:
    """What a walk through the opcodes found.

    Parameters
    ----------
    texts : frozenset of str
        Short strings, among them the keys of dicts.
    whole : bool
        Whether the walk reached the end of the pickle.
    """

    texts: frozenset[str]
    whole: bool


def scan_pickle(path: Path) -> Scan | None:
    """Short strings of a pickle without running it; None where the file is no pickle.

    Parameters
    ----------
    path : Path
        The file; it may be cut off or hostile.
    """
    try:
        with path.open("rb") as file:
            first = file.read(1)
            if not first or first[0] not in b"\x80(]}cl":
                return None
            walk = _walk(file.fileno(), path)
    except (OSError, ValueError):
        return None
    return Scan(frozenset(walk.texts), walk.error is None) if walk.steps > 1 else None


def load_pickle(path: Path, *, max_bytes: int = _MAX_BYTES) -> Any:
    """Load a pickle of NumPy arrays and builtin containers; no code of the file runs.

    Parameters
    ----------
    path : Path
        The file.
    max_bytes : int
        Largest file to read.

    Returns
    -------
    object
        Dicts, lists, tuples, sets, str, bytes, numbers, None and ``numpy.ndarray``.

    Raises
    ------
    UnsafeFileError
        It asks for anything else; the message names it.
    LimitError
        It is too large, too deep or has too many operations.
    FormatError
        It is no pickle or is cut off.
    """
    check_size(path, max_bytes)
    try:
        with path.open("rb") as file:
            walk = _walk(file.fileno(), path)
            if walk.error is not None:
                raise walk.error
            value = _plain(_Restricted(file, path).load(), path, {}, 0)
            _check_sharing(value, path)
            return value
    except FormatError as error:
        if error.file is None:  # the functions that a pickle calls do not know its file
            raise type(error)(error.problem, file=path, place=error.place, remedy=error.remedy) from error
        raise
    except MemoryError as cause:
        raise LimitError("needs more memory than there is", file=path) from cause
    except Exception as cause:
        # a damaged pickle raises whatever its half-built values raise
        raise FormatError(f"is no readable pickle: {cause}", file=path, remedy="it may be cut off") from cause


class _Walk:
    def __init__(self) -> None:
        self.texts: set[str] = set()
        self.steps = 0
        self.error: FormatError | None = None
        self.previous = 0
        self.memos = 0
        self.numbered = False
        self.tuples: set[int] = set()
        self.shared = 0

    def follow_tuples(self, code: int, argument: bytes, path: Path) -> None:
        """Count the places in which a tuple is used again."""
        if code in b"\x94qrp":
            self.numbered |= code != 0x94
            slot = _number(code, argument) if self.numbered else self.memos
            self.memos += code == 0x94
            if self.numbered and self.memos:
                raise LimitError("numbers its memo in two ways", file=path)
            (self.tuples.discard if self.previous in _NO_TUPLE else self.tuples.add)(slot)
        elif code == 0x32 or (code in b"hjg" and _number(code, argument) in self.tuples):
            self.shared += 1
        if code != 0x95:  # a frame may begin between a value and its memo
            self.previous = code
        if self.shared > _MAX_SHARED_TUPLES:
            raise LimitError(
                f"uses tuples again in more than {_MAX_SHARED_TUPLES} places",
                file=path,
                remedy="save it again as .npz if you trust it",
            )


def _number(code: int, argument: bytes) -> int:
    return int(argument) if code in b"pg" else int.from_bytes(argument, "little")


def _walk(handle: int, path: Path) -> _Walk:
    walk = _Walk()
    try:
        with mmap.mmap(handle, 0, access=mmap.ACCESS_READ) as data:
            _steps(data, path, walk)
    except FormatError as error:
        walk.error = error
    except (IndexError, ValueError):
        walk.error = FormatError(
            "is cut off", file=path, place=f"after {walk.steps} operations", remedy="fetch it again"
        )
    return walk


def _steps(data: mmap.mmap, path: Path, walk: _Walk) -> None:
    place = depth = 0
    while True:
        code = data[place]
        start = place = place + 1
        walk.steps += 1
        if code == 0x2E:
            return
        if code in _PLAIN:
            depth += (code == 0x28) - (code in b"1telud\x90\x91")
        elif code in _FIXED:
            _check_memo(code, data[place : place + _FIXED[code]], walk.steps, path)
            place += _FIXED[code]
        elif code in _COUNTED:
            place = _counted(data, code, place, path, walk)
        elif code in _LINES:
            for _ in range(_LINES[code]):
                place = _line(data, code, place, path, walk)
        else:
            what = _REFUSED.get(code)
            if what is None:
                raise FormatError("is no pickle", file=path, place=f"byte {place - 1}")
            _refuse(f"asks for {what}", path)
        walk.follow_tuples(code, data[start:place] if code in _MEMO else b"", path)
        if depth > _MAX_DEPTH or walk.steps > _MAX_OPERATIONS:
            raise LimitError(f"is deeper than {_MAX_DEPTH} or longer than {_MAX_OPERATIONS} operations", file=path)


def _check_memo(code: int, argument: bytes, steps: int, path: Path) -> None:
    if code == 0x72 and int.from_bytes(argument, "little") > steps:  # the memo is a table that grows to this number
        raise LimitError("numbers its memo beyond its operations", file=path)


def _counted(data: mmap.mmap, code: int, place: int, path: Path, walk: _Walk) -> int:
    start = place + _COUNTED[code]
    count = int.from_bytes(data[place:start], "little")
    if start + count > len(data):
        raise IndexError
    if code in _TEXT and count <= _LONGEST_KEY and len(walk.texts) < _MOST_KEYS:
        walk.texts.add(data[start : start + count].decode("utf-8", "replace"))
    if code in _NUMBERS and count > _MAX_NUMBER_BYTES:
        raise LimitError(f"holds an integer of {count} bytes", file=path)
    return start + count


def _line(data: mmap.mmap, code: int, place: int, path: Path, walk: _Walk) -> int:
    end = data.find(b"\n", place, place + (len(data) if code in b"SV" else _MAX_LINE))
    if end < 0:
        raise IndexError
    text = data[place : min(end, place + _MAX_LINE)]
    if code in b"pg" and (not text.isdigit() or int(text) > walk.steps):
        raise LimitError("numbers its memo beyond its operations", file=path)
    if code in b"IL" and len(text) > 3 * _MAX_NUMBER_BYTES:
        raise LimitError("holds an integer of too many digits", file=path)
    if code in b"SV" and len(text) <= _LONGEST_KEY and len(walk.texts) < _MOST_KEYS:
        walk.texts.add(text.decode("utf-8", "replace").strip("'\""))
    return end + 1


def _refuse(problem: str, path: Path | None) -> NoReturn:
    raise UnsafeFileError(
        problem,
        file=path,
        remedy="only NumPy arrays, numbers, text and containers are read; save it again as .npz if you trust it",
    )


class _Array(np.ndarray[Any, Any]):
    """An array in the making, whose state is checked before NumPy sees it."""

    def __setstate__(self, state: Any) -> None:
        _, shape, draft, fortran, data = state
        if not isinstance(draft, _Type) or not isinstance(shape, tuple) or not all(type(n) is int for n in shape):
            _refuse("builds an array from something else than a shape and a type", None)
        data = data.encode("latin1") if isinstance(data, str) else data
        if not draft.holds(data, prod(shape)) or min(shape, default=0) < 0:
            raise FormatError(f"holds an array of shape {shape} whose data have another length")
        whole: Any = (1, shape, draft.dtype, bool(fortran), data)
        super().__setstate__(whole)


class _Type:
    """A dtype in the making: one letter, an optional size, a byte order."""

    __slots__ = ("dtype",)

    def __init__(self, code: str) -> None:
        if not re.fullmatch(r"[?biufcSUO]\d{0,9}", code):
            _refuse(f"asks for the array type {code!r}", None)
        self.dtype = np.dtype(code)

    def holds(self, data: Any, count: int) -> bool:
        """Whether the data are exactly `count` values of this type."""
        if self.dtype.hasobject:
            return isinstance(data, list) and len(data) == count
        return isinstance(data, bytes | bytearray) and len(data) == count * self.dtype.itemsize

    def __setstate__(self, state: Any) -> None:
        _, order, *inner = state
        if order not in ("<", ">", "|", "=") or any(part is not None for part in inner[:3]):
            _refuse("asks for an array type with fields", None)
        if not self.dtype.hasobject and order in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(order)


class _Allowed:
    """A callable that a pickle may name; it holds nothing that a pickle could change."""

    __slots__ = ()

    def __call__(self, *arguments: Any) -> Any:
        raise NotImplementedError


def _allowed(function: Callable[..., Any]) -> _Allowed:
    kind = type(function.__name__, (_Allowed,), {"__slots__": (), "__call__": staticmethod(function)})
    made: _Allowed = kind()
    return made


def _dtype(code: Any, *_: Any) -> _Type:
    if not isinstance(code, str):
        _refuse("asks for an array type that is no text", None)
    return _Type(code)


def _reconstruct(kind: Any, *_: Any) -> _Array:
    if kind is not _NDARRAY:
        _refuse("asks for a subclass of array", None)
    return np.ndarray.__new__(_Array, (0,), "b")


def _scalar(draft: Any, data: Any = b"") -> Any:
    data = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(draft, _Type) or draft.dtype.hasobject or not isinstance(data, bytes):
        _refuse("builds a number from something else than bytes", None)
    if len(data) != draft.dtype.itemsize:
        raise FormatError("holds a number of another size than its type")
    return np.ndarray((1,), draft.dtype, data)[0] if data else draft.dtype.type()


def _frombuffer(data: Any, draft: Any, shape: Any, order: Any) -> NDArray[Any]:
    if not isinstance(draft, _Type) or draft.dtype.hasobject or not isinstance(data, bytes | bytearray):
        _refuse("builds an array from something else than bytes", None)
    return np.frombuffer(data, draft.dtype).reshape(shape, order="F" if order == "F" else "C")


def _encode(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        _refuse("asks for an encoding", None)
    return text.encode("latin1")


def _container(kind: Callable[..., Any]) -> Callable[..., Any]:
    def build(*items: Any) -> Any:
        # a number would ask for that much memory
        if any(not isinstance(item, list | tuple | dict | str | bytes) for item in items):
            _refuse(f"builds a {kind.__name__} from something else than a container", None)
        return kind(*items)

    return build


def _ndarray(*_: Any) -> NoReturn:
    _refuse("calls numpy.ndarray", None)


_NDARRAY = _allowed(_ndarray)
_NAMES: dict[str, _Allowed] = {
    "numpy.ndarray": _NDARRAY,
    "numpy.dtype": _allowed(_dtype),
    "_codecs.encode": _allowed(_encode),
    "collections.OrderedDict": _allowed(_container(dict)),
}
for _home in ("builtins", "__builtin__"):
    _NAMES |= {f"{_home}.{kind.__name__}": _allowed(_container(kind)) for kind in (set, frozenset, bytes)}
    _NAMES[f"{_home}.bytearray"] = _allowed(_container(bytes))
for _home in ("numpy.core", "numpy._core"):
    _NAMES[f"{_home}.multiarray._reconstruct"] = _allowed(_reconstruct)
    _NAMES[f"{_home}.multiarray.scalar"] = _allowed(_scalar)
    _NAMES[f"{_home}.numeric._frombuffer"] = _allowed(_frombuffer)


class _Restricted(pickle.Unpickler):
    def __init__(self, file: Any, path: Path) -> None:
        # Python 2 wrote array data as text of one byte a character
        super().__init__(file, encoding="latin1")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        found = _NAMES.get(f"{module}.{name}")
        if found is None:
            _refuse(f"asks for {module}.{name}", self._path)
        return found

    def persistent_load(self, pid: Any) -> NoReturn:
        _refuse("asks for a persistent id", self._path)


def _plain_fixed(value: NDArray[Any] | tuple[Any, ...], plain: Callable[[Any], Any]) -> Any:
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    array = value.view(np.ndarray)
    if array.dtype == object:
        for place in np.ndindex(array.shape):
            array[place] = plain(array[place])
    return array


def _plain(value: Any, path: Path, known: dict[int, Any], depth: int) -> Any:
    """The value without arrays in the making; shared parts are visited once, so a small file stays small."""
    if depth > _MAX_DEPTH:
        raise LimitError(f"is deeper than {_MAX_DEPTH}", file=path)
    if isinstance(value, _Type | _Allowed):
        return None
    if not isinstance(value, dict | list | tuple | np.ndarray):
        return value
    if id(value) in known:
        return known[id(value)]
    if isinstance(value, np.ndarray | tuple):
        known[id(value)] = made = _plain_fixed(value, lambda item: _plain(item, path, known, depth + 1))
        return made
    known[id(value)] = value
    places = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(places):
        value[key] = _plain(item, path, known, depth + 1)
    return value


def _check_sharing(value: Any, path: Path) -> None:
    """Refuse what written out is far larger than in memory: a few lists that hold each other many times."""
    sizes: dict[int, int] = {}
    written = _written_out(value, sizes)
    # what is shared nowhere is as large written out as the sum of its parts, each of which `sizes` counts with its own
    if written > _FREE_PARTS + _MAX_SHARING * sizes.get(_OWN, 0):
        raise LimitError(
            "holds the same parts again and again, or itself",
            file=path,
            remedy="save it again as .npz if you trust it",
        )


def _written_out(value: Any, sizes: dict[int, int]) -> int:
    """Number of parts, every shared one counted wherever it stands; `sizes` keeps those of containers by identity."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        items: list[Any] = []
    elif isinstance(value, dict | list | tuple | np.ndarray):
        items = list(
            value.values() if isinstance(value, dict) else value.flat if isinstance(value, np.ndarray) else value
        )
    else:
        return 1
    if id(value) not in sizes:
        sizes[id(value)] = _ENDLESS  # met again before its parts are counted, it holds itself
        own = value.size if isinstance(value, np.ndarray) else len(value)
        sizes[_OWN] = sizes.get(_OWN, 0) + own
        sizes[id(value)] = own + sum(_written_out(item, sizes) for item in items)
    return sizes[id(value)]
