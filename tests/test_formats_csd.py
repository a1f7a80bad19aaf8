"""Computational sequences: synthetic .csd files with the layout of the SDK, and the real MOSI files where present."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trivium
from trivium.errors import DataError, FormatError, LimitError, UnsafeFileError
from trivium.formats.csd import EPSILON, overlapping
from trivium.formats.sequences import Entry, entry_key, open_sequence

Rows = dict[str, tuple[Any, Any]]


def sequence(path: Path, root: str, rows: Rows, metadata: dict[str, Any] | None = None, **packed: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, (features, intervals) in rows.items():
            group = file.create_group(f"{root}/data/{name}")
            group.create_dataset("features", data=features, **packed)
            group.create_dataset("intervals", data=np.asarray(intervals, float).reshape(-1, 2), **packed)
        file.require_group(f"{root}/data")
        for key, value in (metadata or {"root name": json.dumps(root)}).items():
            file.create_dataset(f"{root}/metadata/{key}", data=[value], dtype=h5py.string_dtype())
    return path


def frames(seconds: float, hz: float, dim: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    n = round(seconds * hz)
    edges = np.arange(n + 1) / hz
    values = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    return values, np.stack([edges[:-1], edges[1:]], axis=1)


WORDS = ([[b"sp"], [b"hello"], [b"sp"], [b"caf\xc3\xa9"]], [[0, 0.5], [0.5, 1.0], [1.0, 1.4], [1.4, 2.0]])


def folder(path: Path) -> Path:
    sequence(path / "COVAREP.csd", "COVAREP", {v: frames(2, 100, 5, k) for k, v in enumerate("ab")})
    sequence(path / "FACET_4.2.csd", "FACET 4.2", {v: frames(2, 30, 3, k) for k, v in enumerate("ab")})
    sequence(path / "words.csd", "words", {"a": WORDS, "b": WORDS})
    return path


def label_file(path: Path, values: Any, dim_names: list[str] | None = None) -> Path:
    metadata = {"dimension names": json.dumps(dim_names)} if dim_names else None
    spans = [[0.0, 0.7], [0.7, 1.9]]
    return sequence(path, "Opinion Segment Labels", {"a": (np.asarray(values, np.float32), spans)}, metadata)


def test_without_labels_every_video_is_one_utterance(tmp_path: Path) -> None:
    corpus = trivium.read(folder(tmp_path / "f"))
    assert corpus.ids.tolist() == ["a", "b"]
    assert corpus.specification.modalities == ("audio", "vision")
    first = corpus[0]
    values, times = frames(2, 100, 5, 0)
    stream = first.streams["audio"]
    assert np.array_equal(stream.values, values)
    assert stream.times is not None and np.array_equal(stream.times, times)
    assert stream.specification.columns[0] == "covarep-audio-00"
    assert first.words is not None
    assert first.words.text == ("sp", "hello", "sp", "café")
    assert first.text == "hello café"
    assert (first.clip, first.groups) == ("a", {"video": "a"})


def test_with_labels_every_segment_is_one_utterance_and_border_words_are_whole(tmp_path: Path) -> None:
    path = folder(tmp_path / "f")
    label_file(path / "labels" / "labels.csd", [[1.5], [-3.0]])
    corpus = trivium.read(path)
    assert corpus.ids.tolist() == ["a[0]", "a[1]"]
    assert corpus.label("sentiment").tolist() == [1.5, -3.0]
    assert (corpus[0].start, corpus[0].end) == (0.0, 0.7)
    words = corpus[0].words
    assert words is not None
    assert words.text == ("sp", "hello")  # hello ends at 1.0, behind the segment
    times = corpus[0].streams["audio"].times
    assert times is not None
    assert (times[0, 0], times[-1, 1]) == (0.0, 1.0)  # so its voice is kept to 1.0


def test_aligning_segments_gives_what_the_sdk_gives_word_by_word(tmp_path: Path) -> None:
    path = folder(tmp_path / "f")
    label_file(path / "labels.csd", [[1.5], [-3.0]])
    aligned = trivium.align(trivium.read(path), pad="right")
    values, times = frames(2, 100, 5, 0)
    segments = [[0.0, 0.7], [0.7, 1.9]]
    for number, segment in enumerate(segments):
        spoken = [w for w in WORDS[1] if min(w[1], segment[1]) - max(w[0], segment[0]) > EPSILON]
        for step, (start, end) in enumerate(spoken):
            rows = np.minimum(times[:, 1], end) - np.maximum(times[:, 0], start) > EPSILON
            expected = values[rows].mean(axis=0)
            assert np.allclose(aligned.values[number, step, :5], expected, atol=1e-5)
        assert aligned.mask[number].sum() == len(spoken)


def test_seven_label_columns_are_sentiment_and_emotions(tmp_path: Path) -> None:
    path = folder(tmp_path / "f")
    label_file(path / "labels.csd", [[1, 2, 0, 0, 0, 0, 0.5], [np.nan, 0, 0, 0, 0, 0, 0]])
    corpus = trivium.read(path)
    assert corpus.specification.label("emotion").classes == ("happy", "sad", "anger", "surprise", "disgust", "fear")
    assert corpus.label("emotion")[0].tolist() == [2, 0, 0, 0, 0, 0.5]
    assert np.isnan(corpus.label("sentiment")[1])
    assert [f["kind"] for f in corpus.provenance["findings"]] == ["label"]


def test_entries_of_single_words_are_put_back_together(tmp_path: Path) -> None:
    values, times = frames(1.2, 10, 2)
    rows = {f"a[{k}]": (values[k : k + 1], times[k : k + 1]) for k in range(12)}
    corpus = trivium.read(sequence(tmp_path / "a.csd", "glove_vectors", rows))
    assert corpus.ids.tolist() == ["a"]
    assert np.array_equal(corpus[0].streams["text"].values, values)  # [10] comes behind [9], not behind [1]


def test_entries_of_segments_stay_utterances(tmp_path: Path) -> None:
    values, times = frames(1.2, 10, 2)
    sequence(tmp_path / "f" / "glove.csd", "glove", {"a[0]": (values[:5], times[:5]), "a[1]": (values[5:], times[5:])})
    sequence(tmp_path / "f" / "labels.csd", "labels", {"a[0]": ([[1.0]], [[0, 0.5]]), "a[1]": ([[2.0]], [[0.5, 1.2]])})
    corpus = trivium.read(tmp_path / "f")
    assert corpus.ids.tolist() == ["a[0]", "a[1]"]
    assert corpus.lengths("text").tolist() == [5, 7]
    assert corpus.label("labels").tolist() == [1.0, 2.0]


def test_names_of_dimensions_and_the_fused_key_of_the_sdk_name_columns(tmp_path: Path) -> None:
    metadata = {"dimension namescomputational sequence version": '["f0", "energy"]', "creator": "not json"}
    corpus = trivium.read(sequence(tmp_path / "a.csd", "COVAREP", {"a": frames(1, 10, 2)}, metadata))
    assert corpus.specification.stream("audio").columns == ("f0", "energy")


def test_two_files_for_one_modality_ask_which(tmp_path: Path) -> None:
    path = folder(tmp_path / "f")
    sequence(path / "OpenSMILE.csd", "OpenSMILE", {"a": frames(2, 10, 4)})
    with pytest.raises(FormatError, match=r"--modality audio=OpenSMILE\.csd"):
        trivium.read(path)
    corpus = trivium.read(path, modality={"audio": "OpenSMILE.csd"})
    assert corpus.specification.stream("audio").dim == 4
    assert corpus.provenance["findings"][0]["kind"] == "dropped"
    both = trivium.read(path, modality={"audio": "COVAREP.csd", "prosody": "OpenSMILE"})
    assert both.specification.modalities == ("audio", "vision", "prosody")


def test_a_missing_modality_and_empty_words_are_told(tmp_path: Path) -> None:
    path = folder(tmp_path / "f")
    sequence(path / "words.csd", "words", {"a": ([[b"x"], [b""]], [[0, 1], [1, 2]])})
    sequence(path / "COVAREP.csd", "COVAREP", {"b": frames(2, 100, 5)})
    found = {(f["kind"], f["modality"]) for f in trivium.read(path).provenance["findings"]}
    assert found == {("missing", "audio"), ("missing", "words"), ("empty", "words")}


def test_non_finite_cells_pass_unless_asked(tmp_path: Path) -> None:
    values, times = frames(1, 10, 2)
    values[3, 1] = -np.inf
    path = sequence(tmp_path / "a.csd", "COVAREP", {"a": (values, times)})
    corpus = trivium.read(path)
    assert corpus[0].streams["audio"].values[3, 1] == -np.inf
    assert corpus.provenance["findings"][0]["examples"][0]["row"] == 3
    assert trivium.read(path, nonfinite="zero")[0].streams["audio"].values[3, 1] == 0
    with pytest.raises(DataError, match="row 3, column covarep-audio-01"):
        trivium.read(path, nonfinite="error")


@pytest.mark.parametrize("packed", [{}, {"compression": "gzip", "chunks": True}], ids=["plain", "gzip"])
@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "i2"])
def test_every_storage_gives_the_same_values(tmp_path: Path, packed: dict[str, Any], dtype: str) -> None:
    values = np.arange(12).reshape(6, 2).astype(dtype)
    path = sequence(tmp_path / "a.csd", "COVAREP", {"a": (values, frames(0.6, 10, 1)[1])}, **packed)
    stream = trivium.read(path)[0].streams["audio"]
    assert stream.values.dtype == np.float32
    assert np.array_equal(stream.values, np.arange(12).reshape(6, 2))


def raw(path: Path) -> dict[str, Any]:
    with h5py.File(path) as file:
        root = next(iter(file))
        return {n: (g["features"][()], g["intervals"][()]) for n, g in file[root]["data"].items()}


def test_writing_keeps_every_row_and_the_sdk_keys(tmp_path: Path) -> None:
    path = folder(tmp_path / "f")
    trivium.write(trivium.read(path), tmp_path / "out", format="csd")
    for ours, theirs in (("audio", "COVAREP"), ("vision", "FACET_4.2"), ("words", "words")):
        before, after = raw(path / f"{theirs}.csd"), raw(tmp_path / "out" / f"{ours}.csd")
        assert list(before) == list(after)
        for name in before:
            assert np.array_equal(before[name][0], after[name][0])
            assert np.array_equal(before[name][1], after[name][1])
    with h5py.File(tmp_path / "out" / "audio.csd") as file:
        keys = {"root name", "dimension names", "computational sequence version", "featureset bib citation", "contact"}
        assert keys <= set(file["audio/metadata"])
        assert json.loads(file["audio/metadata/root name"][0]) == "audio"


def test_labelled_segments_come_back(tmp_path: Path) -> None:
    path = folder(tmp_path / "f")
    label_file(path / "labels.csd", [[1, 2, 0, 0, 0, 0, 0.5], [-1, 0, 0, 0, 0, 0, 0]])
    before = trivium.read(path)
    trivium.write(before, tmp_path / "out", format="csd")
    after = trivium.read(tmp_path / "out")
    assert after.ids.tolist() == before.ids.tolist()
    for a, b in zip(before, after, strict=True):
        assert (a.labels, a.text, a.start, a.end) == (b.labels, b.text, b.start, b.end)
        for modality, stream in a.streams.items():
            assert np.array_equal(stream.values, b.streams[modality].values)


def test_a_fourth_modality_comes_back_under_its_name(tmp_path: Path) -> None:
    path = folder(tmp_path / "f")
    sequence(path / "gaze.csd", "face gaze", {"a": frames(2, 10, 2)})
    trivium.write(trivium.read(path, modality={"gaze": "gaze.csd"}), tmp_path / "out", format="csd")
    assert trivium.read(tmp_path / "out").specification.modalities == ("audio", "vision", "gaze")


def test_streams_without_times_cannot_become_sequences(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", audio_train=np.ones((2, 3, 1)))
    with pytest.raises(DataError, match="audio has no times"):
        trivium.write(trivium.read(tmp_path / "a.npz"), tmp_path / "out", format="csd")
    assert not (tmp_path / "out").exists()


def test_links_and_outside_storage_are_refused(tmp_path: Path) -> None:
    secret = sequence(tmp_path / "other.csd", "COVAREP", {"a": frames(1, 10, 2)})
    for number, link in enumerate(
        (h5py.ExternalLink(str(secret), "/COVAREP/data/a"), h5py.SoftLink("/COVAREP/data/b"))
    ):
        path = sequence(tmp_path / f"l{number}.csd", "COVAREP", {"b": frames(1, 10, 2)})
        with h5py.File(path, "a") as file:
            file["COVAREP/data/a"] = link
        with pytest.raises(UnsafeFileError, match=r"\(a\).*link"):
            trivium.read(path)
    virtual = tmp_path / "v.csd"
    with h5py.File(virtual, "w") as file:
        group = file.create_group("COVAREP/data/a")
        layout = h5py.VirtualLayout((10, 2), "f4")
        layout[:] = h5py.VirtualSource(str(secret), "COVAREP/data/a/features", shape=(10, 2))
        group.create_virtual_dataset("features", layout)
        group.create_dataset("intervals", data=np.zeros((10, 2)))
    with pytest.raises(UnsafeFileError, match="another file"):
        trivium.read(virtual)
    with h5py.File(tmp_path / "e.csd", "w") as file:
        group = file.create_group("COVAREP/data/a")
        group.create_dataset("features", (10, 2), "f4", external=[("/etc/passwd", 0, 80)])
        group.create_dataset("intervals", data=np.zeros((10, 2)))
    with pytest.raises(UnsafeFileError, match="another file"):
        trivium.read(tmp_path / "e.csd")


def test_a_file_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "bomb.csd", "w") as file:
        group = file.create_group("COVAREP/data/a")
        group.create_dataset("features", (1 << 30, 64), "f4", chunks=(1024, 64), compression="gzip")  # nothing stored
        group.create_dataset("intervals", data=np.zeros((10, 2)))
    with pytest.raises(LimitError, match="far more than its size"):
        trivium.read(tmp_path / "bomb.csd")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_a_truncated_file_is_one_clear_error(tmp_path: Path, kept: float) -> None:
    path = folder(tmp_path / "f") / "COVAREP.csd"
    os.truncate(path, int(path.stat().st_size * kept))
    with pytest.raises(FormatError):
        trivium.read(path)
    with pytest.raises(FormatError, match="COVAREP"):
        trivium.read(path.parent, format="csd")


def test_lengths_that_disagree_are_named(tmp_path: Path) -> None:
    values, times = frames(1, 10, 2)
    with pytest.raises(FormatError, match=r"\(v\): features have 10 rows, intervals have shape \(9, 2\)"):
        trivium.read(sequence(tmp_path / "a.csd", "COVAREP", {"v": (values, times[:-1])}))
    times[4, 1] = np.nan
    with pytest.raises(DataError, match="v, row 4"):
        trivium.read(sequence(tmp_path / "a.csd", "COVAREP", {"v": (values, times)}))
    with pytest.raises(FormatError, match="differ in their number of columns"):
        trivium.read(sequence(tmp_path / "a.csd", "COVAREP", {"v": frames(1, 10, 2), "w": frames(1, 10, 3)}))


@settings(max_examples=80)
@given(
    rows=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 500)), max_size=30),
    spans=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 900)), min_size=1, max_size=5),
    ordered=st.booleans(),
)
def test_overlapping_rows_are_those_of_the_definition(
    rows: list[tuple[int, int]], spans: list[tuple[int, int]], ordered: bool
) -> None:
    intervals = np.array([[s, s + d] for s, d in (sorted(rows) if ordered else rows)], float).reshape(-1, 2) / 1000
    segments = np.array([[s, s + d] for s, d in spans], float) / 1000
    features = np.arange(len(intervals), dtype=np.float32)[:, None]
    for (start, end), found in zip(segments, overlapping(Entry(features, intervals), segments), strict=True):
        expected = [k for k, (s, e) in enumerate(intervals.tolist()) if round(min(e, end) - max(s, start), 6) > EPSILON]
        assert found.features[:, 0].tolist() == expected


def test_entry_ids_with_brackets_of_their_own() -> None:
    assert entry_key("a[b][3]") == ("a[b]", 3)
    assert entry_key("a[x]") == ("a[x]", None)
    assert entry_key("[]") == ("[]", None)


@pytest.mark.data
def test_the_real_mosi_files_read(data_folder: Path) -> None:
    corpus = trivium.read(data_folder / "mosi")
    assert len(corpus) == 2199
    assert len(set(corpus.group("video"))) == 93
    sentiment = corpus.label("sentiment")
    assert (sentiment.min(), sentiment.max()) == (-3, 3)
    first = corpus[0]
    assert first.id == "03bSnISJMiM[0]"
    assert first.start == pytest.approx(51.9045, abs=1e-3)
    assert first.text == "her anyhow it was really"
    raw_labels = open_sequence(data_folder / "mosi" / "CMU_MOSI_Opinion_Labels.csd")
    assert sum(len(e.features) for e in raw_labels.entries.values()) == 2199


def test_an_entry_without_rows_is_a_missing_modality(tmp_path: Path) -> None:
    entries = {"a": frames(2, 100, 5), "b": (np.zeros((0, 5), np.float32), np.zeros((0, 2)))}
    corpus = trivium.read(sequence(tmp_path / "COVAREP.csd", "COVAREP", entries))
    assert corpus.lengths("audio").tolist() == [200, 0]


def test_features_without_rows_are_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.csd", "w") as file:
        file["r/data/a/features"], file["r/data/a/intervals"] = np.float32(1), np.zeros((1, 2))
    with pytest.raises(FormatError, match=r"a\.csd \(a\): features are a single value"):
        trivium.read(tmp_path / "a.csd")


@pytest.mark.parametrize("broken", ["COVAREP.csd", "words.csd"])
@pytest.mark.parametrize(("damage", "why"), [("cut", "may be cut"), ("no data", "no root group with data")])
def test_one_broken_file_of_a_folder_is_named_with_the_reason(
    tmp_path: Path, broken: str, damage: str, why: str
) -> None:
    path = folder(tmp_path / "f") / broken
    if damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        with h5py.File(path, "a") as file:
            del file[next(iter(file))]["data"]
    with pytest.raises(FormatError, match=why) as caught:
        trivium.read(tmp_path / "f")
    assert caught.value.file == str(path)


def test_a_file_without_metadata_is_told(tmp_path: Path) -> None:
    path = folder(tmp_path / "f")
    with h5py.File(path / "COVAREP.csd", "a") as file:
        del file["COVAREP"]["metadata"]
    (found,) = trivium.read(path).provenance["findings"]
    assert (found["kind"], found["examples"][0]["utterance"]) == ("missing", "COVAREP.csd")
    assert found["action"].startswith("no metadata")
