"""The restricted unpickler: what NumPy writes comes back, everything else is refused by name."""

from __future__ import annotations

import collections
import contextlib
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trivium.errors import FormatError, LimitError, UnsafeFileError
from trivium.formats.pickles import load_pickle, scan_pickle


def dumped(folder: Path, value: Any, protocol: int = 4) -> Path:
    path = folder / "file.pkl"
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def raw(folder: Path, data: bytes) -> Path:
    path = folder / "file.pkl"
    path.write_bytes(data)
    return path


ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.float64).reshape(2, 3)),
    np.array([b"ab", b"c"]),
    np.array(["ä", "long text"]),
    np.array([b"x", "y", 3.0, None], dtype=object),
    np.array([True, False]),
    np.arange(3, dtype=">i4"),
    np.empty((0, 5), np.float32),
    np.array(4.5),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_arrays_of_every_protocol_come_back(tmp_path: Path, array: np.ndarray, protocol: int) -> None:
    found = load_pickle(dumped(tmp_path, {"a": array}, protocol))["a"]
    assert type(found) is np.ndarray
    assert found.dtype == pickle.loads(pickle.dumps(array, protocol)).dtype
    assert found.shape == array.shape
    assert found.tolist() == array.tolist()


@pytest.mark.parametrize("protocol", range(6))
def test_containers_and_numbers_come_back(tmp_path: Path, protocol: int) -> None:
    value = {
        "list": [1, -2, 2**40, 1.5, None, True],
        "tuple": (b"bytes", "text", "ä\n"),
        "set": {1, 2},
        "frozen": frozenset({"a"}),
        "scalar": np.float32(1.5),
        "text": np.str_("numpy text"),
        "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
    }
    assert load_pickle(dumped(tmp_path, value, protocol)) == value


@settings(max_examples=60)
@given(
    array=hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.bool_]),
        hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4),
    ),
    protocol=st.integers(0, 5),
)
def test_any_numeric_array_comes_back_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, protocol: int
) -> None:
    found = load_pickle(dumped(tmp_path_factory.mktemp("p"), array, protocol))
    assert found.dtype == array.dtype
    assert found.tobytes() == array.tobytes()


class Reduced:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


class Plain:
    pass


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Reduced(os.system, "touch hacked"), "system"),
        (Reduced(getattr, {}, "keys"), "getattr"),
        (Reduced(eval, "1"), "eval"),
        (Reduced(np.load, "x.npy"), "load"),
        (Path("x"), "pathlib"),
        (np.random.default_rng, "default_rng"),
        (collections.defaultdict(list), "defaultdict"),
        (np.dtype([("a", "O")]), "V8"),
        (np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]), "type"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "M8"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_everything_else_is_refused_by_name(
    tmp_path: Path, value: Any, named: str, protocol: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsafeFileError, match=named) as caught:
        load_pickle(dumped(tmp_path, {"train": [value]}, protocol))
    assert "Remedy" in str(caught.value)
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_call_hidden_in_an_object_array_is_refused(tmp_path: Path, protocol: int) -> None:
    hidden = np.array([{"a": [Reduced(os.system, "true")]}], dtype=object)
    with pytest.raises(UnsafeFileError, match="system"):
        load_pickle(dumped(tmp_path, {"train": {"id": hidden}}, protocol))


@pytest.mark.parametrize("protocol", range(6))
def test_an_instance_of_a_class_is_refused(tmp_path: Path, protocol: int) -> None:
    with pytest.raises(UnsafeFileError):
        load_pickle(dumped(tmp_path, [Plain()], protocol))


def test_dotted_names_do_not_reach_into_allowed_ones(tmp_path: Path) -> None:
    data = b"\x80\x04\x8c\x05numpy\x8c\x15ndarray.__reduce_ex__\x93."
    with pytest.raises(UnsafeFileError, match="ndarray"):
        load_pickle(raw(tmp_path, data))


HOSTILE = {
    "bytearray of a number": b"\x80\x04cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "array type from flags": pickle.dumps(np.zeros(1))[:2] + b"cnumpy\ndtype\n\x8c\x02V8\x85R.",
    "ndarray called": b"\x80\x04cnumpy\nndarray\n(J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86\x85tR.",
    "state set on an allowed name": b"\x80\x04cnumpy\ndtype\n}\x8c\x01a\x8c\x01bsb.",
    "persistent id": b"\x80\x04Pabc\n.",
    "extension code": b"\x80\x04\x82\x01.",
    "out-of-band buffer": b"\x80\x05\x97.",
    "object type read from bytes": b"\x80\x04cnumpy._core.numeric\n_frombuffer\n(C\x08AAAAAAAA"
    b"cnumpy\ndtype\n\x8c\x02O8\x85RK\x01\x85\x8c\x01CtR.",
    "memo far beyond": b"\x80\x04]r\xff\xff\xff\x7f.",
    "memo far beyond in text": b"]p999999999\n.",
    "deep": b"\x80\x04" + b"(" * 5000 + b".",
    "long integer": b"\x80\x04\x8b" + struct.pack("<i", 4000) + b"\x01" * 4000 + b".",
    "nested tuples": b"\x80\x04)" + b"\x85" * 100_000 + b".",
    "array with too little data": b"\x80\x04cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
    b"K\x00\x85C\x01b\x87R(K\x01J\xff\xff\xff\x7f\x85cnumpy\ndtype\n\x8c\x02f8\x85R\x89C\x00tb.",
    "negative shape": b"\x80\x04cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
    b"K\x00\x85C\x01b\x87R(K\x01J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86cnumpy\ndtype\n\x8c\x02u1\x85R\x89C\x01atb.",
    "length beyond the file": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"abc.",
    "empty stack": b"\x80\x04R.",
    "unknown opcode": b"\x80\x04\xfe.",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bytes_give_one_clear_error(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        load_pickle(raw(tmp_path, data))
    assert len(str(caught.value)) < 400


def test_shared_parts_stay_shared(tmp_path: Path) -> None:
    array = np.zeros(3)
    first, second = load_pickle(dumped(tmp_path, [[array], [array]]))
    assert first[0] is second[0]


def test_deep_sharing_is_refused_at_once(tmp_path: Path) -> None:
    value: list[Any] = [np.zeros(1)]
    for _ in range(60):
        value = [value, value]
    array = np.array([None, None], dtype=object)
    for _ in range(60):
        outer = np.empty(2, dtype=object)
        outer[:] = [array, array]
        array = outer
    for shared in (value, array):
        with pytest.raises(LimitError, match="again and again"):
            load_pickle(dumped(tmp_path, shared))


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_truncated_file_is_named_as_such(tmp_path: Path, kept: float, protocol: int) -> None:
    whole = pickle.dumps({"train": {"audio": np.ones((20, 5, 3)), "id": ["a"] * 20}}, protocol)
    with pytest.raises(FormatError, match=r"cut off|no readable pickle") as caught:
        load_pickle(raw(tmp_path, whole[: int(len(whole) * kept) + 2]))
    assert not isinstance(caught.value, UnsafeFileError)


@settings(max_examples=150)
@given(place=st.integers(2, 600), byte=st.integers(0, 255))
def test_one_changed_byte_never_raises_anything_but_a_format_error(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int
) -> None:
    whole = bytearray(pickle.dumps({"train": {"audio": np.ones((2, 5, 3)), "id": ["a", "b"], "x": np.str_("y")}}))
    whole[place % len(whole)] = byte
    with contextlib.suppress(FormatError):
        load_pickle(raw(tmp_path_factory.mktemp("p"), bytes(whole)))


def test_too_large_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LimitError):
        load_pickle(dumped(tmp_path, np.zeros(1000)), max_bytes=100)


def test_the_scan_gives_keys_without_loading(tmp_path: Path) -> None:
    scan = scan_pickle(dumped(tmp_path, {"train": {"regression_labels": np.zeros(3), "evil": os.getpid}}))
    assert scan is not None
    assert {"train", "regression_labels"} <= scan.texts
    assert scan_pickle(raw(tmp_path, b"hello world")) is None


@pytest.mark.parametrize("again", [b"2", b"\x94h\x00"], ids=["copied on the stack", "from the memo"])
def test_tuples_that_share_tuples_do_not_hang_a_hash(tmp_path: Path, again: bytes) -> None:
    levels = b"".join(again.replace(b"\x00", bytes([k])) + b"\x86" for k in range(60))
    for hashed in (b"\x80\x04}K\x00\x85" + levels + b"K\x01s.", b"\x80\x04\x8f(K\x00\x85" + levels + b"\x90."):
        with pytest.raises(LimitError, match="tuples"):
            load_pickle(raw(tmp_path, hashed))


@pytest.mark.parametrize("protocol", range(6))
def test_many_plain_tuples_are_read(tmp_path: Path, protocol: int) -> None:
    value = [(f"v{k}", (k, k + 1)) for k in range(200)]
    assert load_pickle(dumped(tmp_path, {"id": value, value[0]: (1,)}, protocol)) == {"id": value, value[0]: (1,)}


def test_what_written_out_would_be_huge_is_refused(tmp_path: Path) -> None:
    value: list[Any] = [0.0] * 10
    for _ in range(11):
        value = [value] * 10
    with pytest.raises(LimitError, match="again and again"):
        load_pickle(dumped(tmp_path, value[:3]))
    endless: list[Any] = []
    endless.append([endless] * 3)
    with pytest.raises(LimitError, match="or itself"):
        load_pickle(dumped(tmp_path, endless))


def test_a_refusal_inside_a_call_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(UnsafeFileError, match=r"file\.pkl: builds a bytes"):
        load_pickle(raw(tmp_path, HOSTILE["bytearray of a number"]))
