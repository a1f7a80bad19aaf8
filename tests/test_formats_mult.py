"""MulT and MultiBench pickles: synthetic files with the published layout, read and written back."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trivium
from trivium.corpus import Corpus
from trivium.errors import DataError

FOLDS = {"train": 4, "valid": 2, "test": 3}


def fold(name: str, n: int, *, side: str, lengths: tuple[int, int, int] = (6, 6, 6)) -> dict[str, Any]:
    rng = np.random.default_rng(len(name))
    steps = rng.integers(2, 6, n)
    found: dict[str, Any] = {}
    for key, dim, length in zip(("vision", "audio", "text"), (4, 3, 5), lengths, strict=True):
        found[key] = np.zeros((n, length, dim), np.float32)
        for row, count in zip(found[key], steps, strict=True):
            row[slice(length - count, None) if side == "left" else slice(0, count)] = rng.random((count, dim)) + 1
    found["labels"] = rng.uniform(-3, 3, (n, 1, 1)).astype(np.float32)
    found["id"] = np.array([[f"{name}ü{i}".encode(), b"1.50", b"3.0"] for i in range(n)])
    return found


def whole(*, side: str = "right", lengths: tuple[int, int, int] = (6, 6, 6)) -> dict[str, Any]:
    return {name: fold(name, n, side=side, lengths=lengths) for name, n in FOLDS.items()}


def save(path: Path, value: Any) -> Path:
    path.write_bytes(pickle.dumps(value, 2))
    return path


def round_trip(folder: Path, before: dict[str, Any]) -> Corpus:
    corpus = trivium.read(save(folder / "before.pkl", before))
    trivium.write(corpus, folder / "after.pkl", format=corpus.provenance["format"])
    after = pickle.loads((folder / "after.pkl").read_bytes())
    assert list(after) == list(before)
    for name, values in before.items():
        assert set(after[name]) == set(values)
        for key, value in values.items():
            assert np.array_equal(after[name][key], value), (name, key)
            assert after[name][key].dtype.kind == value.dtype.kind
    return corpus


def test_a_sentiment_file_comes_back_with_its_ids_of_bytes(tmp_path: Path) -> None:
    corpus = round_trip(tmp_path, whole())
    assert corpus.provenance["format"] == "mult"
    first = corpus[0]
    assert first.id == "trainü0[1.50,3.0]"
    assert (first.clip, first.start, first.end, first.groups) == ("trainü0", 1.5, 3.0, {"video": "trainü0"})
    assert corpus.specification.label("sentiment").kind == "regression"
    assert corpus.specification.stream("audio").clock == "words"


def test_unaligned_files_keep_a_length_by_modality(tmp_path: Path) -> None:
    corpus = round_trip(tmp_path, whole(lengths=(9, 7, 6)))
    assert corpus.specification.stream("audio").clock == "none"
    assert np.array_equal(corpus.lengths("audio"), corpus.lengths("vision"))


def test_iemocap_pairs_become_four_emotions_and_missing_ids_are_numbered(tmp_path: Path) -> None:
    before = whole()
    rng = np.random.default_rng(0)
    for values in before.values():
        n = len(values.pop("id"))
        values["labels"] = np.eye(2, dtype=np.float32)[rng.integers(0, 2, (n, 4))]
    corpus = round_trip(tmp_path, before)
    assert corpus.specification.label("emotion").classes == ("neutral", "happy", "sad", "angry")
    assert np.array_equal(corpus.fold("train").label("emotion"), before["train"]["labels"][:, :, 1])
    assert corpus.ids.tolist()[0] == "train-00000"


def test_multibench_pads_in_front_and_may_be_binary(tmp_path: Path) -> None:
    before = whole(side="left")
    for values in before.values():
        n = len(values["labels"])
        values["labels"] = (np.arange(n) % 2).reshape(n, 1, 1).astype(np.int64)
        values["id"] = np.array([str(i) + values["id"][i][0].decode() for i in range(n)])
    corpus = round_trip(tmp_path, before)
    assert corpus.provenance["format"] == "multibench"
    assert corpus.label("label").tolist()[:4] == ["0", "1", "0", "1"]
    assert corpus.lengths("text").max() < 6


def test_infinite_audio_becomes_zero_in_both(tmp_path: Path) -> None:
    before = whole()
    before["train"]["audio"][0, 0, 0] = -np.inf
    corpus = trivium.read(save(tmp_path / "a.pkl", before))
    assert corpus[0].streams["audio"].values[0, 0] == 0
    assert corpus.provenance["findings"][0]["kind"] == "nonfinite"


def test_a_row_of_zero_text_lacks_text_and_comes_back(tmp_path: Path) -> None:
    before = whole()
    before["train"]["text"][1] = 0
    assert "text" not in round_trip(tmp_path, before)[1].streams


def test_words_are_not_cut_where_only_one_modality_is_zero(tmp_path: Path) -> None:
    before = whole()
    before["train"]["audio"][0, 1:] = 0
    corpus = round_trip(tmp_path, before)
    assert corpus[0].streams["audio"].steps == corpus[0].streams["text"].steps > 1


@pytest.mark.parametrize("format", ["mult", "mmsa"])
def test_a_fourth_modality_is_left_out_and_told(tmp_path: Path, format: str) -> None:
    ones = np.ones((2, 3, 1))
    np.savez(tmp_path / "a.npz", audio_train=ones, gaze_train=ones, label_train=np.array([0.5, -1.5]))
    corpus = trivium.read(tmp_path / "a.npz")
    lost = trivium.write(corpus, tmp_path / "b.pkl", format=format)
    told = [row for row in lost if row["modality"] == "gaze"]
    assert [row["action"] for row in told] == [f"values of the stream: the format {format} has no place for it"]
    assert told[0]["utterances"] == 2 and told[0]["count"] == 6
    assert trivium.read(tmp_path / "b.pkl", format=format).specification.modalities == ("audio",)
    with pytest.raises(DataError, match="no place for gaze"):
        trivium.write(corpus.select(["gaze"]), tmp_path / "c.pkl", format=format)
