"""MMSA feature pickles: synthetic files with the published layout, read and written back."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trivium
from trivium.errors import DataError, FormatError

FOLDS = {"train": 5, "valid": 3, "test": 4}


def padded(rng: np.random.Generator, lengths: list[int], length: int, dim: int) -> np.ndarray:
    values = np.zeros((len(lengths), length, dim), np.float32)
    for row, steps in zip(values, lengths, strict=True):
        row[:steps] = rng.standard_normal((steps, dim)) + 5
    return values


def fold(rng: np.random.Generator, name: str, n: int, *, aligned: bool, sims: bool = False) -> dict[str, Any]:
    steps = rng.integers(2, 7, n).tolist()
    audio = steps if aligned else rng.integers(2, 9, n).tolist()
    vision = steps if aligned else rng.integers(1, 12, n).tolist()
    tokens = np.zeros((n, 3, 6), np.float32)
    for row, length in zip(tokens, steps, strict=True):
        row[0, :length], row[1, :length] = rng.integers(100, 30000, length), 1
    numbers = np.round(rng.uniform(-1, 1, n) * (1 if sims else 3), 1).astype(np.float32)
    found: dict[str, Any] = {
        "raw_text": np.array([f"words of {name} {i}" for i in range(n)]),
        "id": [f"video_000{i}$_$000{i % 2}" if sims else f"{name}vid{i}$_${i}" for i in range(n)],
        "text": padded(rng, steps, 6, 8),
        "text_bert": tokens,
        "audio": padded(rng, audio, 6 if aligned else 9, 5),
        "vision": padded(rng, vision, 6 if aligned else 12, 4),
        "annotations": np.array(["Negative" if v < 0 else "Positive" if v > 0 else "Neutral" for v in numbers]),
        "classification_labels": np.sign(numbers).astype(np.int64) + 1,
        "regression_labels": numbers,
    }
    if sims:
        found["id"] = [f"{i}_{name}$_$0001" for i in found["id"]]
        found |= {f"regression_labels_{m}": np.round(rng.uniform(-1, 1, n), 1) for m in "TAV"}
    if not aligned:
        found |= {"audio_lengths": audio, "vision_lengths": vision}
    return found


def whole(*, aligned: bool = False, sims: bool = False, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {name: fold(rng, name, n, aligned=aligned, sims=sims) for name, n in FOLDS.items()}


def save(path: Path, value: Any) -> Path:
    path.write_bytes(pickle.dumps(value))
    return path


def load(path: Path) -> Any:
    return pickle.loads(path.read_bytes())


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert list(after) == list(before)
    for name, values in before.items():
        assert list(after[name]) == list(values), name
        for key, value in values.items():
            assert np.array_equal(after[name][key], value), (name, key)
            assert type(after[name][key]) is type(value), (name, key)
            if isinstance(value, np.ndarray) and value.dtype.kind != "U":
                assert after[name][key].dtype == value.dtype, (name, key)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sims", [True, False])
def test_every_key_comes_back_equal(tmp_path: Path, aligned: bool, sims: bool) -> None:
    before = whole(aligned=aligned, sims=sims)
    corpus = trivium.read(save(tmp_path / "a.pkl", before))
    assert corpus.provenance["format"] == "mmsa"
    assert corpus.provenance["findings"] == []
    trivium.write(corpus, tmp_path / "b.pkl", format="mmsa")
    assert_same(before, load(tmp_path / "b.pkl"))


def test_an_unaligned_file_is_cut_at_the_stated_lengths(tmp_path: Path) -> None:
    before = whole()
    before["train"]["audio"][1, before["train"]["audio_lengths"][1] - 1] = 0  # a real step of silence at the end
    corpus = trivium.read(save(tmp_path / "unaligned_50.pkl", before))
    assert corpus.lengths("audio").tolist()[:5] == before["train"]["audio_lengths"]
    assert corpus.lengths("vision").tolist()[:5] == before["train"]["vision_lengths"]
    assert corpus.specification.stream("audio").clock == "none"
    assert corpus.specification.stream("audio").columns[0] == "unaligned-50-audio-00"
    assert corpus[0].splits == {"standard": "train"}
    assert corpus[0].groups == {"video": "trainvid0"}
    assert np.array_equal(corpus[1].streams["audio"].values, before["train"]["audio"][1, : corpus.lengths("audio")[1]])


def test_aligned_modalities_keep_their_steps_together(tmp_path: Path) -> None:
    before = whole(aligned=True)
    before["train"]["vision"][0, 1:] = 0  # the face is lost after the first word
    before["train"]["audio"][1] = 0
    corpus = trivium.read(save(tmp_path / "a.pkl", before))
    assert corpus.specification.stream("vision").clock == "words"
    assert corpus[0].streams["vision"].steps == corpus[0].streams["text"].steps > 1
    assert "audio" not in corpus[1].streams
    missing = [f for f in corpus.provenance["findings"] if f["kind"] == "missing"]
    assert missing[0]["modality"] == "audio"
    assert missing[0]["examples"][0]["utterance"] == "trainvid1$_$1"
    trivium.write(corpus, tmp_path / "b.pkl", format="mmsa")
    assert_same(before, load(tmp_path / "b.pkl"))


def test_labels_of_one_modality_and_leading_zeros(tmp_path: Path) -> None:
    before = whole(sims=True)
    corpus = trivium.read(save(tmp_path / "a.pkl", before))
    assert {"sentiment", "sentiment@text", "sentiment@audio", "sentiment@vision"} <= {
        v.key for v in corpus.specification.labels
    }
    assert corpus.specification.label("sentiment").range == (-1.0, 1.0)
    assert np.array_equal(corpus.fold("test").label("sentiment@audio"), before["test"]["regression_labels_A"])
    assert corpus[0].id.startswith("video_0000$_$0000")


def test_token_ids_are_integers_without_padding(tmp_path: Path) -> None:
    before = whole()
    corpus = trivium.read(save(tmp_path / "a.pkl", before))
    stream = corpus[2].streams["text_tokens"]
    assert stream.values.dtype == np.int32
    assert stream.specification.columns == ("id", "attention", "segment")
    steps = int(before["train"]["text_bert"][2, 1].sum())
    assert np.array_equal(stream.values, before["train"]["text_bert"][2, :, :steps].T)


def test_infinite_audio_becomes_zero_and_nan_stays_as_the_loader_does(tmp_path: Path) -> None:
    before = whole()
    before["train"]["audio"][2, 0, 3] = -np.inf
    before["valid"]["vision"][1, 0, 2] = np.nan
    path = save(tmp_path / "a.pkl", before)
    corpus = trivium.read(path)
    assert corpus[2].streams["audio"].values[0, 3] == 0
    assert np.isnan(corpus[6].streams["vision"].values[0, 2])
    found = {f["modality"]: f for f in corpus.provenance["findings"]}
    assert found["audio"]["action"] == "infinite cells set to 0, NaN kept"
    example = {"utterance": "trainvid2$_$2", "row": 0, "column": "a-audio-03", "count": 1}
    assert found["audio"]["examples"] == [example]
    assert found["vision"]["action"] == "kept"
    assert trivium.read(path, nonfinite="zero")[6].streams["vision"].values[0, 2] == 0
    assert trivium.read(path, nonfinite="keep")[2].streams["audio"].values[0, 3] == -np.inf
    with pytest.raises(DataError, match=r"utterance trainvid2\$_\$2, row 0, column a-audio-03"):
        trivium.read(path, nonfinite="error")


def test_a_modality_can_come_from_another_file(tmp_path: Path) -> None:
    before, other = whole(), whole()
    for values in other.values():
        values["audio"] = values["audio"][:, :, :3] * 2
    corpus = trivium.read(save(tmp_path / "a.pkl", before), override={"audio": save(tmp_path / "other.pkl", other)})
    assert corpus.specification.stream("audio").dim == 3
    steps = other["train"]["audio_lengths"][0]
    assert np.array_equal(corpus[0].streams["audio"].values, other["train"]["audio"][0, :steps])
    other["train"]["id"] = other["train"]["id"][::-1]
    with pytest.raises(DataError, match="other ids"):
        trivium.read(tmp_path / "a.pkl", override={"audio": save(tmp_path / "other.pkl", other)})


def test_a_configuration_and_word_times_are_kept(tmp_path: Path) -> None:
    before = whole()
    words = [
        {"text": "hi", "start": 0.25, "end": 0.5, "conf": 0.5},
        {"text": "", "start": 0.5, "end": 1.0, "conf": 1.0},
    ]
    for values in before.values():
        values["align"] = [words] * len(values["id"])
    before["config"] = {"audio": {"tool": "librosa", "args": {"hop": 512}}}
    corpus = trivium.read(save(tmp_path / "a.pkl", before))
    spoken = corpus[0].words
    assert spoken is not None and spoken.times is not None
    assert spoken.text == ("hi", "")
    assert spoken.times.tolist() == [[0.25, 0.5], [0.5, 1.0]]
    assert [f["kind"] for f in corpus.provenance["findings"]] == ["empty"]
    trivium.write(corpus, tmp_path / "b.pkl", format="mmsa")
    assert load(tmp_path / "b.pkl")["config"] == before["config"]
    assert load(tmp_path / "b.pkl")["valid"]["align"] == before["valid"]["align"]


def test_a_single_sample_comes_back_without_its_batch_axis(tmp_path: Path) -> None:
    first = whole()["train"]
    sample = {k: first[k][0] for k in ("text", "text_bert", "audio", "vision")} | {"config": {"a": 1}}
    corpus = trivium.read(save(tmp_path / "clip.pkl", sample))
    assert corpus.ids.tolist() == ["clip"]
    assert corpus.splits() == []
    trivium.write(corpus, tmp_path / "b.pkl", format="mmsa")
    after = load(tmp_path / "b.pkl")
    for key in ("text", "text_bert", "audio", "vision"):
        assert np.array_equal(after[key], sample[key])


def test_duplicate_ids_are_refused_or_numbered(tmp_path: Path) -> None:
    before = whole()
    before["train"]["id"][3] = before["train"]["id"][0]
    path = save(tmp_path / "a.pkl", before)
    with pytest.raises(DataError, match=r"train, row 3.*is there already \(train, row 0\)"):
        trivium.read(path)
    corpus = trivium.read(path, duplicates="suffix")
    assert corpus[3].id == "trainvid0$_$0#2"
    assert corpus.provenance["findings"][0]["kind"] == "duplicate"
    trivium.write(corpus, tmp_path / "b.pkl", format="mmsa")
    assert_same(before, load(tmp_path / "b.pkl"))


@pytest.mark.parametrize(("length", "told"), [(99, "99"), (-1, "-1")])
def test_a_wrong_length_is_named_with_its_row(tmp_path: Path, length: int, told: str) -> None:
    before = whole()
    before["valid"]["vision_lengths"][2] = length
    with pytest.raises(DataError, match=rf"valid/vision_lengths, row 2\): length {told}"):
        trivium.read(save(tmp_path / "a.pkl", before))


def test_values_behind_the_stated_length_are_kept_and_told(tmp_path: Path) -> None:
    before = whole()
    before["train"]["audio"][0] = 1
    before["train"]["audio_lengths"][0] = 4
    corpus = trivium.read(save(tmp_path / "a.pkl", before))
    assert corpus.lengths("audio")[0] == 9
    finding = corpus.provenance["findings"][0]
    assert (finding["kind"], finding["count"]) == ("length", 5)


def test_keys_that_disagree_or_are_unknown_are_named(tmp_path: Path) -> None:
    before = whole()
    before["train"]["mystery"] = np.zeros(5)
    corpus = trivium.read(save(tmp_path / "a.pkl", before))
    assert corpus.provenance["findings"][0]["examples"][0]["utterance"] == "mystery"
    before["train"]["id"] = before["train"]["id"][:-1]
    with pytest.raises(FormatError, match=r"train\): keys differ in their number of rows: id 4, raw_text 5"):
        trivium.read(save(tmp_path / "a.pkl", before))
    with pytest.raises(FormatError, match="neither folds nor modalities"):
        trivium.read(save(tmp_path / "a.pkl", {"x": 1}), format="mmsa")


def test_a_corpus_of_another_source_can_be_written_for_mmsa(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    arrays = {f"{m}_{f}": np.ones((2, 3, 4), np.float32) for m in ("text", "audio", "vision") for f in FOLDS}
    np.savez(path, **arrays, **{f"label_{f}": np.array([-2.0, 0.0], np.float32) for f in FOLDS})  # type: ignore[arg-type]
    trivium.write(trivium.read(path, label="sentiment"), tmp_path / "b.pkl", format="mmsa")
    train = load(tmp_path / "b.pkl")["train"]
    assert train["audio"].shape == (2, 3, 4)
    assert train["annotations"].tolist() == ["Negative", "Neutral"]
    assert train["classification_labels"].tolist() == [0, 1]
    assert train["regression_labels"].tolist() == [-2.0, 0.0]
    assert trivium.read(tmp_path / "b.pkl").label("sentiment")[0] == -2


@pytest.mark.parametrize("bad", [np.nan, 1e12, -np.inf])
def test_token_ids_that_are_no_whole_numbers_are_named(tmp_path: Path, bad: float) -> None:
    before = whole()
    before["train"]["text_bert"] = before["train"]["text_bert"].astype(np.float64)
    before["train"]["text_bert"][1, 0, 2] = bad
    with pytest.raises(DataError, match=r"train/text_bert, row 1, step 2, column 0"):
        trivium.read(save(tmp_path / "a.pkl", before))


def test_labels_that_are_not_finite_are_told(tmp_path: Path) -> None:
    before = whole()
    before["valid"]["regression_labels"][1] = np.inf
    corpus = trivium.read(save(tmp_path / "a.pkl", before))
    (found,) = [f for f in corpus.provenance["findings"] if f["kind"] == "label"]
    assert found["examples"] == [
        {"utterance": before["valid"]["id"][1], "row": None, "column": "regression_labels", "count": 1}
    ]


def test_half_of_a_surrogate_pair_can_be_stored(tmp_path: Path) -> None:
    before = whole()
    before["train"]["id"] = ["\ud800" + name for name in before["train"]["id"]]
    trivium.read(save(tmp_path / "a.pkl", before)).save(tmp_path / "corpus")
    assert (tmp_path / "corpus" / "corpus.json").exists()


@pytest.mark.parametrize("bad", [None, ["b"], float("nan")])
@pytest.mark.parametrize("key", ["id", "raw_text", "annotations"])
def test_texts_that_are_no_text_are_named(tmp_path: Path, key: str, bad: object) -> None:
    broken = whole()
    texts = np.empty(FOLDS["train"], object)
    texts[:] = list(broken["train"][key])
    texts[2] = bad
    broken["train"][key] = texts
    with pytest.raises(DataError, match=rf"a\.pkl \(train/{key}, row 2\): .* is no text"):
        trivium.read(save(tmp_path / "a.pkl", broken))


def test_what_cannot_be_written_names_the_target(tmp_path: Path) -> None:
    corpus = trivium.read(save(tmp_path / "a.pkl", whole(sims=True))).select(["audio"])
    with pytest.raises(DataError, match=r"out\.pkl: has \d labels"):
        trivium.write(corpus, tmp_path / "out.pkl", format="mult")
    corpus = trivium.Corpus.from_utterances([trivium.Utterance("a")], trivium.Specification(()))
    with pytest.raises(DataError, match=r"out\.pkl: the corpus has 0 splits"):
        trivium.write(corpus, tmp_path / "out.pkl", format="mmsa")


@pytest.mark.parametrize(
    ("key", "action"),
    [
        ("id", "made from fold and row"),
        ("raw_text", "empty"),
        ("regression_labels", "missing"),
        ("classification_labels", "missing"),
        ("annotations", "missing"),
    ],
)
def test_a_key_that_one_fold_lacks_is_told_for_every_utterance_of_it(tmp_path: Path, key: str, action: str) -> None:
    before = whole()
    del before["train"][key]
    corpus = trivium.read(save(tmp_path / "a.pkl", before))
    (found,) = corpus.provenance["findings"]
    assert (found["kind"], found["utterances"]) == ("missing", FOLDS["train"])
    assert found["action"] == f"{key} is not in the file for this fold, so {action}"
    assert [e["utterance"] for e in found["examples"]] == corpus.ids.tolist()[: FOLDS["train"]]
    assert (found["examples"][1]["row"], found["examples"][1]["column"]) == (1, key)


def test_ids_that_no_fold_has_are_told_too(tmp_path: Path) -> None:
    before = whole()
    for values in before.values():
        del values["id"]
    (found,) = trivium.read(save(tmp_path / "a.pkl", before)).provenance["findings"]
    assert (found["utterances"], found["examples"][0]["utterance"]) == (12, "train-00000")


def test_another_label_can_be_named_for_a_corpus_that_came_from_a_pickle(tmp_path: Path) -> None:
    before = whole(sims=True)
    corpus = trivium.read(save(tmp_path / "a.pkl", before))
    trivium.write(corpus, tmp_path / "b.pkl", format="mmsa", label="sentiment@audio")
    after = load(tmp_path / "b.pkl")
    assert np.allclose(after["test"]["regression_labels"], before["test"]["regression_labels_A"])
