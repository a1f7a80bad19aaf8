"""Data frames, Hugging Face datasets and clip folders, both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trivium
from trivium.corpus import (
    Corpus,
    LabelSpecification,
    Specification,
    Stream,
    StreamSpecification,
    Utterance,
    Words,
)
from trivium.errors import DataError, FormatError
from trivium.formats.huggingface import from_dataset, to_dataset
from trivium.formats.tables import from_pandas, to_pandas

pandas = pytest.importorskip("pandas")
datasets = pytest.importorskip("datasets")

VOICE = StreamSpecification("audio", ("f0", "energy"), "seconds", extractor="tool", version="1")
GAZE = StreamSpecification("gaze", ("x",))
MOOD = LabelSpecification("mood", "multiclass", ("angry", "calm", "sad"))
SCORE = LabelSpecification("score", "regression", range=(-3.0, 3.0), modality="audio")
FEELINGS = LabelSpecification("feelings", "multilabel", ("joy", "fear"))


def corpus() -> Corpus:
    rng = np.random.default_rng(0)
    utterances = []
    for k, name in enumerate(["007", "b", "c"]):
        times = np.stack([np.arange(k + 2), np.arange(k + 2) + 1.0], axis=1)
        streams = {"audio": Stream(rng.random((k + 2, 2)).astype(np.float32), VOICE, times)}
        if k != 1:
            streams["gaze"] = Stream(rng.random((3, 1)).astype(np.float32), GAZE)
        words = Words(("one", "two"), np.array([[0.0, 0.5], [0.5, 1.0]]), np.array([0.5, 0.25], np.float32))
        labels: dict[str, Any] = {"mood": ["calm", "angry", "sad"][k], "feelings": (0.0, 1.5)}
        if k:
            labels["score@audio"] = -1.25
        utterances.append(
            Utterance(name, streams, words if k else None, f"text {k}", labels, {"speaker": "01"},
                      {"a": "train", "b": "test"}, "clip.mp4", 0.5, 2.5)
        )  # fmt: skip
    return Corpus.from_utterances(utterances, Specification((VOICE, GAZE), (MOOD, SCORE, FEELINGS)))


def assert_equal(before: Corpus, after: Corpus) -> None:
    assert after.specification == before.specification
    assert len(after) == len(before)
    for a, b in zip(before, after, strict=True):
        assert (a.id, a.text, a.labels, a.groups, a.splits) == (b.id, b.text, b.labels, b.groups, b.splits)
        assert (a.clip, a.start, a.end) == (b.clip, b.start, b.end)
        assert (a.words is None) == (b.words is None)
        if a.words is not None and b.words is not None:
            assert a.words.text == b.words.text
            assert np.array_equal(a.words.times, b.words.times)  # type: ignore[arg-type]
            assert np.array_equal(a.words.confidence, b.words.confidence)  # type: ignore[arg-type]
        assert list(a.streams) == list(b.streams)
        for modality, stream in a.streams.items():
            assert np.array_equal(stream.values, b.streams[modality].values)
            assert (stream.times is None) == (b.streams[modality].times is None)
            if stream.times is not None:
                assert np.array_equal(stream.times, b.streams[modality].times)  # type: ignore[arg-type]


def test_parquet_data_frames_and_datasets_keep_everything(tmp_path: Path) -> None:
    before = corpus()
    trivium.write(before, tmp_path / "a.parquet", format="pandas")
    assert_equal(before, trivium.read(tmp_path / "a.parquet"))
    assert_equal(before, from_pandas(to_pandas(before)))
    assert_equal(before, from_dataset(to_dataset(before)))
    trivium.write(before, tmp_path / "hf", format="huggingface")
    assert_equal(before, trivium.read(tmp_path / "hf"))


def test_pandas_and_datasets_read_the_cells_without_trivium(tmp_path: Path) -> None:
    before = corpus()
    trivium.write(before, tmp_path / "a.parquet", format="pandas")
    frame = pandas.read_parquet(tmp_path / "a.parquet")
    values = frame["stream.audio"][2].reshape(frame["steps.audio"][2], -1)
    assert np.array_equal(values, before[2].streams["audio"].values)
    trivium.write(before, tmp_path / "hf", format="huggingface")
    row = datasets.load_from_disk(str(tmp_path / "hf"))[0]
    assert (row["id"], row["label.mood"], row["group.speaker"]) == ("007", "calm", "01")


def test_a_long_csv_keeps_streams_times_and_plain_labels(tmp_path: Path) -> None:
    before = corpus()
    trivium.write(before, tmp_path / "a.csv", format="pandas")
    after = trivium.read(tmp_path / "a.csv")
    assert after.ids.tolist() == ["007", "b", "c"]
    assert after.specification.stream("audio").columns == ("f0", "energy")
    for a, b in zip(before, after, strict=True):
        assert set(a.streams) == set(b.streams)
        assert np.array_equal(a.streams["audio"].values, b.streams["audio"].values)
        assert np.array_equal(a.streams["audio"].times, b.streams["audio"].times)  # type: ignore[arg-type]
        assert (a.text, a.splits, a.start, a.end) == (b.text, b.splits, b.start, b.end)
    assert after.label("mood").tolist() == ["calm", "angry", "sad"]
    assert np.isnan(after.label("score@audio")[0])


def test_a_long_table_of_words_shares_its_rows() -> None:
    frame = pandas.DataFrame(
        {
            "id": ["a", "a", "a", "b"],
            "word": ["kids", "are", "loud", "yes"],
            "audio.f0": [1.0, 2.0, 3.0, np.nan],
            "vision.smile": [0.5, np.nan, 0.25, 1.0],
            "label": ["sad", "sad", "sad", "calm"],
            "split": ["train", "train", "train", "test"],
            "extra": [1.5, 2, 3, 4],
        }
    )
    found = from_pandas(frame)
    assert found.specification.stream("audio").clock == "words"
    assert found[0].streams["vision"].values[:, 0].tolist() == [0.5, 0.0, 0.25]
    assert "audio" not in found[1].streams
    assert found[0].words is not None
    assert found[0].words.text == ("kids", "are", "loud")
    assert found.label("label").tolist() == ["sad", "calm"]
    assert found.split("standard").tolist() == ["train", "test"]
    assert {f["examples"][0]["utterance"] for f in found.provenance["findings"]} == {"b", "extra"}


def test_a_foreign_frame_with_arrays_in_cells() -> None:
    frame = pandas.DataFrame(
        {
            "id": ["a", "b"],
            "text": ["hello", "you"],
            "audio": [np.ones((3, 2)), np.zeros((1, 2))],
            "vector": [np.arange(3.0), np.arange(3.0)],
            "label": [0.5, -2.0],
            "speaker": ["01", "02"],
        }
    )
    found = from_pandas(frame, source="mine")
    assert found.lengths("audio").tolist() == [3, 1]
    assert found.specification.stream("vector").columns == ("mine-vector-00", "mine-vector-01", "mine-vector-02")
    assert found.label("label").tolist() == [0.5, -2.0]
    assert found.group("speaker").tolist() == ["01", "02"]
    frame["audio"] = [np.ones((3, 2)), np.ones((1, 5))]
    with pytest.raises(DataError, match=r"audio.*\[2, 5\]"):
        from_pandas(frame)


def test_a_dataset_dict_gives_the_split_and_the_names_of_classes() -> None:
    features = datasets.Features(
        {
            "id": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["calm", "angry", "sad"]),
            "audio": datasets.Sequence(datasets.Sequence(datasets.Value("float32"))),
        }
    )
    rows = {"id": ["a", "b"], "label": [2, -1], "audio": [[[1.0, 2.0]], []]}
    part = datasets.Dataset.from_dict(rows, features=features)
    other = datasets.Dataset.from_dict({"id": ["c"], "label": [0], "audio": [[[np.inf, 0.0]]]}, features=features)
    found = from_dataset(datasets.DatasetDict({"train": part, "validation": other}), nonfinite="zero")
    assert found.split("standard").tolist() == ["train", "train", "valid"]
    assert found.label("label").tolist() == ["sad", "", "calm"]
    assert found.specification.label("label").classes == ("calm", "angry", "sad")
    assert {f["kind"] for f in found.provenance["findings"]} == {"missing", "nonfinite"}


HEADER = "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode\n"


def clips(folder: Path, rows: str, header: str = HEADER) -> Path:
    (folder / "Raw" / "video_0001").mkdir(parents=True)
    (folder / "Raw" / "video_0001" / "0001.mp4").write_bytes(b"")
    (folder / "label.csv").write_text(header + rows, encoding="utf-8-sig")
    return folder


def test_a_clip_folder_keeps_leading_zeros_and_finds_its_clips(tmp_path: Path) -> None:
    rows = 'video_0001,0001,"well, yes",-0.6,0.2,-0.4,-0.6,Negative,train\nvideo_0001,0002,,1.0,,,,Positive,test\n'
    path = clips(tmp_path / "c", rows)
    found = trivium.read(path)
    assert found.provenance["format"] == "clips"
    assert found.ids.tolist() == ["video_0001$_$0001", "video_0001$_$0002"]
    assert found[0].clip == "Raw/video_0001/0001.mp4"
    assert found[0].labels == {
        "sentiment": -0.6, "sentiment@text": 0.2, "sentiment@audio": -0.4, "sentiment@vision": -0.6,
        "polarity": "Negative",
    }  # fmt: skip
    assert found.specification.label("sentiment").range == (-1.0, 1.0)
    assert found.split("standard").tolist() == ["train", "test"]
    assert found.provenance["findings"][0]["action"] == "no media file in Raw"
    trivium.write(found, tmp_path / "out", format="clips")
    assert (tmp_path / "out" / "label.csv").read_text() == HEADER + rows


def test_annotations_that_are_no_polarity_are_told(tmp_path: Path) -> None:
    rows = "v,1,hi,0.5,,,,Positive,train\nv,2,hi,0.5,,,,Joyful,train\n"
    found = trivium.read(clips(tmp_path / "c", rows))
    told = [f for f in found.provenance["findings"] if f["kind"] == "label"]
    assert len(told) == 1 and "'Joyful' is none of Negative, Neutral, Positive" in told[0]["action"]


def test_a_cell_beyond_the_limit_of_csv_names_its_row_and_the_limit(tmp_path: Path) -> None:
    rows = f"v,1,hi,0.5,,,,Positive,train\nv,2,{'a' * 200_000},0.5,,,,Positive,train\n"
    with pytest.raises(FormatError, match=r"label\.csv \(line 3\).*131072"):
        trivium.read(clips(tmp_path / "c", rows))


def test_bad_rows_of_a_clip_folder_are_named(tmp_path: Path) -> None:
    row = "v,1,t,0.5,,,,Neutral,train\n"
    for number, (rows, message) in enumerate(
        [
            (row + row, "is there already"),
            (row + "v,2,t,much,,,,Neutral,train\n", "line 3, column label"),
            (row + "v,2,t\n", "line 3"),
            ("", "no column"),
        ]
    ):
        with pytest.raises((DataError, FormatError), match=message):
            trivium.read(clips(tmp_path / str(number), rows))
    outside = trivium.read(clips(tmp_path / "up", "..,../label,t,0.5,,,,Neutral,train\n"))
    assert outside[0].clip == ""


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("id,audio.x\na,abc\n", "row 0, column audio.x"),
        ("id,audio.x\na,1.5\na,\nb,abc\n", "row 2, column audio.x"),
        ("id,audio.x,audio.y\na,1.5,1\na,2.5,abc\n", "row 1, column audio.y"),
    ],
)
def test_a_cell_of_a_stream_that_is_no_number_is_named(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        trivium.read(tmp_path / "a.csv")
    assert f"a.csv ({place}): 'abc' is no number" in str(caught.value)
