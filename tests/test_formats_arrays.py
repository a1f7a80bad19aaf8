"""npz archives: folds, plain, aligned, hostile; the real word-level files where they are at hand."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trivium
from trivium.corpus import Corpus, Specification, Stream, StreamSpecification, Utterance
from trivium.errors import FormatError, LimitError, UnsafeFileError
from trivium.formats.padded import Block, side_of


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def assert_same(before: Path, after: Path) -> None:
    with np.load(before) as ours, np.load(after) as theirs:
        assert set(ours.files) == set(theirs.files)
        for key in ours.files:
            assert ours[key].dtype == theirs[key].dtype, key
            assert np.array_equal(ours[key], theirs[key], equal_nan=ours[key].dtype.kind == "f"), key


def steps(rng: np.random.Generator, lengths: list[int], length: int, dim: int, side: str) -> np.ndarray:
    values = np.zeros((len(lengths), length, dim), np.float32)
    for row, n in zip(values, lengths, strict=True):
        if n:
            row[slice(length - n, None) if side == "left" else slice(0, n)] = rng.random((n, dim)) + 0.5
    return values


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=6),
    side=st.sampled_from(["left", "right"]),
    together=st.booleans(),
)
def test_any_padding_comes_back(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], side: str, together: bool
) -> None:
    folder, rng = tmp_path_factory.mktemp("p"), np.random.default_rng(0)
    other = lengths if together else lengths[::-1]
    arrays = {
        "audio_train": steps(rng, lengths, 6, 2, side),
        "video_train": steps(rng, other, 6 if together else 7, 3, side),
        "label_train": rng.random(len(lengths)).astype(np.float32),
    }
    before = save(folder / "a.npz", **arrays)
    corpus = trivium.read(before)
    trivium.write(corpus, folder / "b.npz", format="npz")
    assert_same(before, folder / "b.npz")
    for row, n in enumerate(lengths):
        assert ("audio" in corpus[row].streams) == (n > 0)


def test_word_level_folds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    before = save(
        tmp_path / "mmmo.npz",
        audio_train=steps(rng, [3, 5], 5, 2, "left"),
        video_train=steps(rng, [3, 5], 5, 3, "left"),
        label_train=np.array([1.5, 4.0], np.float32),
        text_test=steps(rng, [2], 5, 4, "left"),
        audio_test=steps(rng, [2], 5, 2, "left"),
        video_test=steps(rng, [2], 5, 3, "left"),
        label_test=np.array([np.nan], np.float32),
    )
    corpus = trivium.read(before)
    assert corpus.ids.tolist() == ["train-00000", "train-00001", "test-00000"]
    assert corpus.specification.stream("vision").columns[0] == "mmmo-vision-00"
    assert corpus.specification.stream("vision").clock == "words"
    assert corpus.lengths("text").tolist() == [-1, -1, 2]
    assert np.isnan(corpus.label("label")[2])
    told = [f["action"] for f in corpus.provenance["findings"]]
    assert told == ["not finite, so missing", "not in the file for this fold"]
    trivium.write(corpus, tmp_path / "b.npz", format="npz")
    assert_same(before, tmp_path / "b.npz")


def test_plain_arrays_with_ids_splits_and_classes(tmp_path: Path) -> None:
    before = save(
        tmp_path / "a.npz",
        ids=np.array(["x", "007"]),
        text=np.array([[0.0, 2.0], [3.0, 4.0]], np.float32),
        emotion=np.array([2, 5]),
        split_std=np.array(["train", "test"]),
        split_other=np.array(["test", "train"]),
        speaker=np.array(["01", "02"]),
    )
    corpus = trivium.read(before)
    assert corpus.ids.tolist() == ["x", "007"]
    assert corpus.splits() == ["other", "std"]
    assert corpus.group("speaker").tolist() == ["01", "02"]
    assert corpus.label("emotion").tolist() == ["2", "5"]
    assert corpus[0].streams["text"].values.tolist() == [[0.0, 2.0]]
    trivium.write(corpus, tmp_path / "b.npz", format="npz")
    assert_same(before, tmp_path / "b.npz")


def test_folds_keep_their_ids_groups_and_spans(tmp_path: Path) -> None:
    before = save(
        tmp_path / "a.npz",
        audio_train=np.ones((2, 3, 1), np.float32),
        id_train=np.array(["a", "b"]),
        speaker_train=np.array(["01", "02"]),
        start_train=np.array([0.5, 1.5]),
        end_train=np.array([1.0, 2.0]),
        clip_train=np.array(["a.mp4", "b.mp4"]),
        raw_text_train=np.array(["hello", "you"]),
    )
    corpus = trivium.read(before)
    assert (corpus[1].id, corpus[1].groups, corpus[1].start) == ("b", {"speaker": "02"}, 1.5)
    trivium.write(corpus, tmp_path / "b.npz", format="npz")
    assert_same(before, tmp_path / "b.npz")


def test_one_hot_labels_are_classes_and_wide_ones_are_numbers(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.npz",
        audio_train=np.ones((3, 2, 1), np.float32),
        label_train=np.array([[0, 1, 0], [0, 0, 0], [1, 0, 0]], np.float32),
    )
    corpus = trivium.read(path, label="mood")
    assert corpus.label("mood").tolist() == ["1", "", "0"]
    trivium.write(corpus, tmp_path / "b.npz", format="npz")
    assert_same(path, tmp_path / "b.npz")
    wide = save(tmp_path / "w.npz", audio_train=np.ones((1, 2, 1)), label_train=np.array([[1.5, 2.0]], np.float32))
    assert [v.key for v in trivium.read(wide).specification.labels] == ["label-00", "label-01"]


def test_a_corpus_with_several_splits_and_names_comes_back_plain(tmp_path: Path) -> None:
    voice = StreamSpecification("audio", ("f0", "energy"))
    utterances = [
        Utterance(n, {"audio": Stream(np.full((k + 1, 2), k + 1, np.float32), voice)}, text=f"said {n}",
                  groups={"speaker": n}, splits={"a": "train", "b": "test"}, start=1.0, end=2.0)
        for k, n in enumerate("xyz")
    ]  # fmt: skip
    trivium.write(Corpus.from_utterances(utterances, Specification((voice,))), tmp_path / "a.npz", format="npz")
    after = trivium.read(tmp_path / "a.npz")
    assert after.specification == Specification((voice,))
    for a, b in zip(utterances, after, strict=True):
        assert (a.id, a.text, a.groups, a.splits, a.start) == (b.id, b.text, b.groups, b.splits, b.start)
        assert np.array_equal(a.streams["audio"].values, b.streams["audio"].values)


def test_an_aligned_corpus_reads_back_with_its_masks(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    source = save(
        tmp_path / "a.npz",
        audio_train=steps(rng, [3, 0], 4, 2, "right"),
        video_train=steps(rng, [3, 2], 4, 1, "right"),
        label_train=np.array([1.5, -1.0], np.float32),
    )
    corpus = trivium.read(source)
    aligned = trivium.align(corpus, words=4)
    from trivium.align import save_aligned

    save_aligned(aligned, tmp_path / "b.npz")
    after = trivium.read(tmp_path / "b.npz")
    assert after.specification.columns == aligned.specification.columns
    again = trivium.align(after, words=4)
    assert np.array_equal(again.values, aligned.values)
    assert np.array_equal(again.cell_mask, aligned.cell_mask)
    assert np.array_equal(after.label("label"), corpus.label("label"))
    assert after.splits() == ["standard"]


def test_pickled_members_are_refused_with_a_remedy(tmp_path: Path) -> None:
    labels = np.array({"clip": {"emo": 0, "val": 1.0}}, dtype=object)
    np.savez(tmp_path / "label.npz", train_corpus=labels, allow_pickle=True)
    with pytest.raises(UnsafeFileError, match=r"train_corpus\).*MERBench"):
        trivium.read(tmp_path / "label.npz")


def test_zip_bombs_and_damaged_archives_are_refused(tmp_path: Path) -> None:
    bomb = zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED)
    with bomb, bomb.open("audio_train.npy", "w") as member:
        header = {"descr": "<f4", "fortran_order": False, "shape": (1, 25 << 20, 1)}
        np.lib.format.write_array_header_1_0(member, header)
        for _ in range(100):
            member.write(bytes(1 << 20))
    with pytest.raises(LimitError, match="would unpack"):
        trivium.read(tmp_path / "bomb.npz")
    whole = save(tmp_path / "a.npz", audio_train=np.ones((3, 4, 2))).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError):
        trivium.read(tmp_path / "cut.npz")
    (tmp_path / "liar.npz").write_bytes(whole.replace(b"(3, 4, 2)", b"(9, 4, 2)"))
    with pytest.raises(FormatError):
        trivium.read(tmp_path / "liar.npz")


def test_arrays_that_do_not_fit_are_named(tmp_path: Path) -> None:
    ones = np.ones((3, 4, 2), np.float32)
    with pytest.raises(FormatError, match="audio 3, label 2"):
        trivium.read(save(tmp_path / "a.npz", audio_train=ones, label_train=np.ones(2)))
    with pytest.raises(FormatError, match=r"test/audio\): has 2 columns, another fold 3"):
        trivium.read(save(tmp_path / "a.npz", audio_train=np.ones((3, 4, 3)), audio_test=ones))
    with pytest.raises(FormatError, match="not \\(N, L, D\\)"):
        trivium.read(save(tmp_path / "a.npz", audio_train=np.ones((2, 2, 2, 2))))


def test_the_pad_side_is_that_of_the_majority() -> None:
    left = np.array([[False, True], [False, True], [True, False]])
    assert side_of([left]) == "left"
    assert side_of([~left]) == "right"
    assert side_of([np.ones((2, 2), bool)]) == "right"
    assert side_of([np.zeros((0, 2), bool), np.zeros((3, 2), bool)]) == "right"


def test_steps_are_seen_where_any_column_is_not_zero() -> None:
    values = np.zeros((300, 3, 2), np.float32)
    values[299, 1, 1] = np.nan
    values[0, 2, 0] = 1
    seen = Block("audio", "audio", "train", values).seen()
    assert np.argwhere(seen).tolist() == [[0, 2], [299, 1]]


@pytest.mark.data
@pytest.mark.parametrize("name", ["mmmo", "pom", "youtube"])
def test_the_real_word_level_files_come_back_bit_by_bit(tmp_path: Path, data_folder: Path, name: str) -> None:
    before = data_folder / "word-level" / f"{name}.npz"
    trivium.write(trivium.read(before), tmp_path / "b.npz", format="npz")
    assert_same(before, tmp_path / "b.npz")


def test_a_header_that_promises_terabytes_is_one_clear_error(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("audio_train.npy", "w") as member:
        header = {"descr": "<f4", "fortran_order": False, "shape": (1 << 30, 1 << 20)}
        np.lib.format.write_array_header_1_0(member, header)
    with pytest.raises(FormatError, match=r"a\.npz"):
        trivium.read(tmp_path / "a.npz")


def test_ids_texts_and_labels_that_one_fold_lacks_are_told(tmp_path: Path) -> None:
    rows = np.ones((2, 3, 2), np.float32)
    train = {"audio_train": rows, "ids_train": np.array(["a", "b"]), "label_train": np.array([0.5, 1.5])}
    path = save(tmp_path / "a.npz", **train, raw_text_train=np.array(["x", "y"]), audio_test=rows[:1])
    findings = trivium.read(path).provenance["findings"]
    assert {(f["kind"], f["utterances"], f["examples"][0]["column"]) for f in findings} == {
        ("missing", 1, "ids"),
        ("missing", 1, "raw_text"),
        ("missing", 1, "label"),
    }
