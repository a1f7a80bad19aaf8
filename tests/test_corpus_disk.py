"""The corpus on disk: all fields come back, equal corpora are equal bytes, others read it, hostile files fail."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trivium.corpus import (
    Corpus,
    LabelSpecification,
    Specification,
    Stream,
    StreamSpecification,
    Utterance,
    Words,
    concat,
    shards,
)
from trivium.corpus.cache import cache_path
from trivium.corpus.manifest import read_manifest
from trivium.corpus.store import Stored, check_corpus
from trivium.corpus.writer import CorpusWriter
from trivium.errors import DataError, FormatError, LimitError, TriviumError
from trivium.files import sha256_file

TOKENS = StreamSpecification("text", ("token",), clock="words", dtype="int32", extractor="tokenizer", version="1")
VOICE = StreamSpecification("audio", ("f0", "energy"), clock="seconds")
HANDS = StreamSpecification("hands", ("left", "right", "both"))
LABELS = (
    LabelSpecification("score", "regression", range=(-3.0, 3.0)),
    LabelSpecification("score", "regression", range=(-3.0, 3.0), modality="audio"),
    LabelSpecification("mood", "multiclass", ("calm", "angry", "glücklich")),
    LabelSpecification("level", "ordinal", range=(1, 5)),
    LabelSpecification("both", "multilabel", ("joy", "fear")),
)
SPECIFICATION = Specification((VOICE, HANDS, TOKENS), LABELS)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path_factory.mktemp("home")))


def stream(specification: StreamSpecification, steps: int, seed: int) -> Stream:
    random = np.random.default_rng(seed)
    values = random.integers(-9, 9, (steps, specification.dim)).astype(specification.dtype)
    if specification.clock != "seconds":
        return Stream(values, specification)
    edges = np.linspace(0, 1, steps + 1)
    return Stream(values + np.float32(0.1), specification, np.stack([edges[:-1], edges[1:]], axis=1))


FULL = Utterance(
    "ключ/€ 1",
    {"audio": stream(VOICE, 5, 0), "hands": stream(HANDS, 2, 1), "text": stream(TOKENS, 3, 2)},
    Words(("so", "ähm", ""), np.array([[0, 0.5], [0.5, 0.7], [0.7, 1]]), np.array([1, 0.5, 0], np.float32)),
    "so ähm\n",
    {"score": -1.5, "score@audio": 2.0, "mood": "glücklich", "level": 4.0, "both": (0.0, 2.5)},
    {"speaker": "07", "video": ""},
    {"standard": "train", "official": "test"},
    "clips/a b.mp4",
    1.25,
    2.5,
)
BARE = Utterance("bare")
ZERO = Utterance("zero", {"audio": stream(VOICE, 0, 0), "hands": stream(HANDS, 0, 0)}, Words(()), groups={"room": "1"})
TIMELESS = Utterance("timeless", {"text": stream(TOKENS, 1, 3)}, Words(("w",)), start=0.0, labels={"mood": "calm"})
FOUR = [FULL, BARE, ZERO, TIMELESS]


def four() -> Corpus:
    return Corpus.from_utterances(FOUR, SPECIFICATION, {"source": "a test", "findings": []})


def many(count: int) -> Corpus:
    made = [
        Utterance(f"u{n}", {"hands": stream(HANDS, n % 7, n)}, splits={"standard": "test" if n % 3 else "train"})
        for n in range(count)
    ]
    return Corpus.from_utterances(made, SPECIFICATION, {"source": "a test"})


def same_array(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return bool(a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def assert_same(a: Utterance, b: Utterance) -> None:
    """Field by field, independent of any hash."""
    assert (a.id, a.text, a.clip) == (b.id, b.text, b.clip)
    assert (dict(a.labels), dict(a.groups), dict(a.splits)) == (dict(b.labels), dict(b.groups), dict(b.splits))
    np.testing.assert_array_equal([a.start, a.end], [b.start, b.end])
    assert set(a.streams) == set(b.streams)
    for modality, own in a.streams.items():
        other = b.streams[modality]
        assert own.specification == other.specification
        assert same_array(own.values, other.values) and same_array(own.times, other.times)
    assert (a.words is None) == (b.words is None)
    if a.words is not None and b.words is not None:
        assert a.words.text == b.words.text
        assert same_array(a.words.times, b.words.times) and same_array(a.words.confidence, b.words.confidence)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_every_field_comes_back(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    corpus = Corpus.open(tmp_path / "c")
    assert corpus.specification == SPECIFICATION and corpus.provenance == {"source": "a test", "findings": []}
    for written, read in zip(FOUR, corpus, strict=True):
        assert_same(written, read)


def test_columns_lengths_and_batches_are_those_of_memory(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    disk, memory = Corpus.open(tmp_path / "c"), four()
    assert disk.column_names() == memory.column_names()
    for name in memory.column_names():
        a, b = disk.column(name), memory.column(name)
        assert a.dtype.kind == b.dtype.kind and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), name
    for modality in SPECIFICATION.modalities:
        assert disk.lengths(modality).tolist() == memory.lengths(modality).tolist()
        for key in ([3, 0, 0], slice(1, 3), []):
            x, y = disk.batch(key), memory.batch(key)
            assert x.ids == y.ids
            assert same_array(x.values[modality], y.values[modality]) and same_array(x.mask[modality], y.mask[modality])


texts = st.text(st.characters(codec="utf-8"), max_size=8)
numbers = st.floats(-1e6, 1e6, width=32)


@st.composite
def utterances(draw: st.DrawFn) -> list[Utterance]:
    ids = draw(st.lists(texts.filter(bool), unique=True, max_size=5))
    made = []
    for number, name in enumerate(ids):
        streams = {
            s.modality: stream(s, draw(st.integers(0, 4)), number) for s in SPECIFICATION.streams if draw(st.booleans())
        }
        words = draw(st.none() | st.lists(texts, max_size=4).map(tuple))
        times = None if words is None or draw(st.booleans()) else np.random.default_rng(0).random((len(words), 2))
        labels = {
            "score": draw(st.none() | numbers),
            "mood": draw(st.none() | st.sampled_from(LABELS[2].classes)),
            "both": draw(st.none() | st.tuples(numbers, numbers)),
        }
        made.append(
            Utterance(
                name, streams, None if words is None else Words(words, times), draw(texts),
                {key: value for key, value in labels.items() if value is not None},
                draw(st.dictionaries(texts, texts, max_size=2)), draw(st.dictionaries(texts, texts, max_size=2)),
                draw(texts), draw(st.just(float("nan")) | numbers), draw(st.just(float("nan")) | numbers),
            )
        )  # fmt: skip
    return made


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(utterances())
def test_any_utterances_come_back(tmp_path: Path, made: list[Utterance]) -> None:
    corpus = Corpus.from_utterances(made, SPECIFICATION)
    corpus.save(tmp_path / "c", overwrite=True)
    read = Corpus.open(tmp_path / "c")
    assert len(read) == len(made)
    for a, b in zip(made, read, strict=True):
        assert_same(a, b)
    assert read.content_hash() == corpus.content_hash() == read[:].content_hash()
    check_corpus(tmp_path / "c")


def test_equal_corpora_are_equal_bytes_however_they_are_held(tmp_path: Path) -> None:
    four().save(tmp_path / "a")
    Corpus.open(tmp_path / "a").save(tmp_path / "b")
    Corpus.open(tmp_path / "a")[[3, 2, 1, 0]][::-1].save(tmp_path / "c")
    assert contents(tmp_path / "a") == contents(tmp_path / "b") == contents(tmp_path / "c")


def test_the_content_hash_hears_every_value_and_no_provenance() -> None:
    first = four().content_hash()
    assert Corpus.from_utterances(FOUR, SPECIFICATION, {"other": 1}).content_hash() == first
    changed = [stream(HANDS, 2, 1).values.copy() for _ in range(2)]
    changed[0][1, 2] += 1
    hashes = {
        Corpus.from_utterances([Utterance("a", {"hands": Stream(v, HANDS)})], SPECIFICATION).content_hash()
        for v in changed
    }
    assert len(hashes) == 2
    assert len({first, four()[::-1].content_hash(), four().select(["text"]).content_hash()}) == 3


@pytest.mark.parametrize("row_group", [100, 1_000, 8_000_000])
def test_where_shards_are_cut_changes_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row_group: int) -> None:
    monkeypatch.setattr(shards, "ROW_GROUP_BYTES", row_group)
    monkeypatch.setattr(shards, "SHARD_BYTES", 20 * row_group)
    many(150).save(tmp_path / "c")
    corpus = Corpus.open(tmp_path / "c")
    files = sorted(tmp_path.glob("c/*.parquet"))
    assert len(files) == (1 if row_group > 10_000 else len(files)) and (row_group > 100 or len(files) > 5)
    assert sum(pq.ParquetFile(f).metadata.num_row_groups for f in files) >= len(files)
    order = np.random.default_rng(0).permutation(np.tile(np.arange(150), 3))
    assert corpus.batch(order).ids == tuple(f"u{n}" for n in order)
    memory = many(150)
    assert same_array(corpus.batch(order).values["hands"], memory.batch(order).values["hands"])
    assert [u.id for u in corpus[order]] == [f"u{n}" for n in order]
    assert corpus.content_hash() == memory.content_hash()


def test_row_groups_stay_below_their_limit_unless_one_row_is_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "ROW_GROUP_BYTES", 400)
    many(50).save(tmp_path / "c")
    file = pq.ParquetFile(tmp_path / "c" / "shard-00000.parquet")
    assert file.metadata.num_row_groups > 5
    for number in range(file.metadata.num_row_groups):
        table = file.read_row_group(number)
        held = sum(12 * (s or 0) for s in table["steps.hands"].to_pylist())
        assert held <= 400 or table.num_rows == 1


def test_shards_hold_no_dictionary_and_no_statistics_of_streams(tmp_path: Path) -> None:
    many(50).save(tmp_path / "c")
    group = pq.ParquetFile(tmp_path / "c" / "shard-00000.parquet").metadata.row_group(0)
    for number in range(group.num_columns):
        column = group.column(number)
        assert not column.has_dictionary_page
        assert column.statistics is None or not column.path_in_schema.startswith(("stream.", "times."))


def test_pandas_reads_real_arrays(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    frame = pandas.read_parquet(tmp_path / "c" / "shard-00000.parquet")
    row = frame.iloc[0]
    assert row["id"] == FULL.id and row["group.speaker"] == "07" and row["label.mood"] == "glücklich"
    assert isinstance(row["stream.audio"], np.ndarray) and row["stream.audio"].dtype == np.float32
    values = row["stream.audio"].reshape(int(row["steps.audio"]), -1)
    np.testing.assert_array_equal(values, FULL.streams["audio"].values)
    assert row["stream.text"].dtype == np.int32 and row["times.audio"].dtype == np.float64
    assert list(row["words.text"]) == ["so", "ähm", ""]
    assert frame["stream.hands"].iloc[1] is None and len(frame["stream.hands"].iloc[2]) == 0


def test_a_plain_arrow_dataset_reads_and_filters_the_folder(tmp_path: Path) -> None:
    many(50).save(tmp_path / "c")
    data = pyarrow.dataset.dataset(sorted(str(f) for f in tmp_path.glob("c/*.parquet")))
    tests = data.to_table(columns=["id", "stream.hands"], filter=pyarrow.dataset.field("split.standard") == "test")
    assert tests["id"].to_pylist() == [f"u{n}" for n in range(50) if n % 3]
    assert tests.schema.field("stream.hands").type == pa.large_list(pa.float32())
    first = tests["stream.hands"].combine_chunks()[0].values.to_numpy()
    np.testing.assert_array_equal(first.reshape(-1, 3), many(50)[1].streams["hands"].values)


def test_disk_and_memory_join_and_keep_their_folds(tmp_path: Path) -> None:
    many(10).save(tmp_path / "c")
    joined = concat([Corpus.open(tmp_path / "c")[::2], four()], ["disk", "memory"])
    assert joined.ids[[0, 4, 5]].tolist() == ["u0", "u8", FULL.id]
    assert_same(Utterance(**{**vars(FULL), "groups": {**FULL.groups, "corpus": "memory"}}), joined[5])
    assert joined.fold("train", "standard").ids.tolist() == ["u0", "u6", FULL.id]
    assert joined.batch([6, 1, 5]).ids == ("bare", "u2", FULL.id)
    joined.save(tmp_path / "joined")
    assert Corpus.open(tmp_path / "joined").content_hash() == joined.content_hash()


def test_a_corpus_without_utterances_can_be_kept(tmp_path: Path) -> None:
    four()[[]].save(tmp_path / "c")
    corpus = Corpus.open(tmp_path / "c")
    assert len(corpus) == 0 and corpus.ids.tolist() == [] and corpus.label("both").shape == (0, 2)
    assert corpus.batch().values["audio"].shape == (0, 0, 2) and corpus.lengths("audio").tolist() == []


def test_an_open_corpus_travels_to_another_process(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    corpus = Corpus.open(tmp_path / "c")[[2, 0]]
    corpus.batch()
    sent = pickle.dumps(corpus)
    assert len(sent) < 10_000 and pickle.loads(sent).batch().ids == corpus.batch().ids


def test_an_existing_folder_is_only_replaced_when_told(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    with pytest.raises(DataError, match="exists already"):
        many(3).save(tmp_path / "c")
    many(3).save(tmp_path / "c", overwrite=True)
    assert len(Corpus.open(tmp_path / "c")) == 3 and [p.name for p in tmp_path.iterdir()] == ["c"]


def test_a_provenance_that_is_no_json_leaves_nothing_behind(tmp_path: Path) -> None:
    for bad in ({"at": object()}, {"at": float("nan")}):
        with pytest.raises(DataError, match="provenance"):
            Corpus.from_utterances(FOUR, SPECIFICATION, bad).save(tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


# The cache


def test_opening_and_reading_columns_builds_no_cache_and_the_first_row_does(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    path = cache_path(read_manifest(tmp_path / "c"))
    corpus = Corpus.open(tmp_path / "c")
    assert corpus.ids.size and corpus.lengths("audio").size and not path.exists()
    assert corpus[0].id == FULL.id and path.exists()


@pytest.mark.parametrize("damage", [b"", b"ARROW1 and then nothing", None])
def test_a_damaged_cache_is_built_again(tmp_path: Path, damage: bytes | None) -> None:
    four().save(tmp_path / "c")
    path = cache_path(read_manifest(tmp_path / "c"))
    Corpus.open(tmp_path / "c").batch()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    assert_same(Corpus.open(tmp_path / "c")[0], FULL)
    assert path.read_bytes() == whole


def test_the_cache_of_another_corpus_under_this_name_is_not_believed(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    many(4).save(tmp_path / "d")
    mine, theirs = (cache_path(read_manifest(tmp_path / name)) for name in "cd")
    Corpus.open(tmp_path / "d").batch()
    shutil.copy(theirs, mine)
    assert Corpus.open(tmp_path / "c")[0].id == FULL.id


def test_a_folder_that_cannot_be_written_is_named_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    four().save(tmp_path / "c")
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match="TRIVIUM_HOME"):
        Corpus.open(tmp_path / "c").batch()


def test_a_read_only_corpus_works(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    before = contents(tmp_path / "c")
    for path in [*(tmp_path / "c").iterdir(), tmp_path / "c"]:
        path.chmod(0o555)
    assert len(Corpus.open(tmp_path / "c").batch()) == 4 and contents(tmp_path / "c") == before
    (tmp_path / "c").chmod(0o755)


# Files of strangers


def test_a_folder_that_is_no_corpus_points_to_the_reader(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="trivium read"):
        Corpus.open(tmp_path)
    with pytest.raises(FormatError, match="trivium read"):
        Corpus.open(tmp_path / "nowhere")


def set_in(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(manifest: dict[str, Any]) -> None:
        for key in keys[:-1]:
            manifest = manifest[key]
        manifest[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        set_in("schema_version", value=99),
        set_in("shards", value=None),
        set_in("shards", 0, "file", value="../../etc/passwd"),
        set_in("shards", 0, "file", value="/etc/passwd"),
        set_in("shards", 0, "rows", value=-1),
        set_in("shards", 0, "rows", value="4"),
        set_in("shards", 0, "sha256", value="../x"),
        set_in("shards", 0, "more", value=1),
        set_in("content_hash", value="0"),
        set_in("utterances", value=5),
        set_in("provenance", value=[]),
        set_in("groups", value=[1]),
        set_in("specification", value=[]),
        set_in("specification", "streams", 0, "columns", value=[]),
        set_in("specification", "streams", 0, "clock", value="sundial"),
        set_in("specification", "labels", 2, "classes", value=[1, 2]),
    ],
)
def test_a_malformed_corpus_json_is_one_error_that_names_the_file(
    tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    four().save(tmp_path / "c")
    path = tmp_path / "c" / "corpus.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(FormatError, match=r"corpus\.json"):
        Corpus.open(tmp_path / "c")


@pytest.mark.parametrize("text", ["", "[]", "null", '"x"', "{", "[" * 100_000, "\udcff"])
def test_a_corpus_json_that_is_none_is_one_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "corpus.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(FormatError, match=r"corpus\.json"):
        Corpus.open(tmp_path)


def test_a_missing_cut_or_lengthened_shard_is_found_when_opening(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    shard = tmp_path / "c" / "shard-00000.parquet"
    whole = shard.read_bytes()
    for content in (whole[:-100], whole + b"x", b""):
        shard.write_bytes(content)
        with pytest.raises(FormatError, match=r"shard-00000\.parquet.*bytes, corpus\.json says"):
            Corpus.open(tmp_path / "c")
    shard.unlink()
    with pytest.raises(FormatError, match=r"shard-00000\.parquet.*cannot be opened"):
        Corpus.open(tmp_path / "c")


def resign(folder: Path) -> None:
    """Make corpus.json agree with a changed shard, as a hostile author would."""
    path, shard = folder / "corpus.json", folder / "shard-00000.parquet"
    manifest = json.loads(path.read_text())
    manifest["shards"][0] |= {"bytes": shard.stat().st_size, "sha256": sha256_file(shard)}
    path.write_text(json.dumps(manifest))


def test_a_changed_byte_is_found_when_rows_are_read_and_when_checking(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    shard = tmp_path / "c" / "shard-00000.parquet"
    content = bytearray(shard.read_bytes())
    content[40] ^= 1
    shard.write_bytes(content)
    with pytest.raises(FormatError, match="SHA-256"):
        Corpus.open(tmp_path / "c").batch()
    with pytest.raises(FormatError, match="SHA-256"):
        check_corpus(tmp_path / "c")


@pytest.mark.parametrize("place", range(4, 3000, 97))
def test_any_damage_behind_a_valid_hash_is_one_named_error_or_harmless(tmp_path: Path, place: int) -> None:
    four().save(tmp_path / "c")
    shard = tmp_path / "c" / "shard-00000.parquet"
    content = bytearray(shard.read_bytes())
    content[place % len(content)] ^= 0xFF
    shard.write_bytes(content)
    resign(tmp_path / "c")
    try:
        corpus = Corpus.open(tmp_path / "c")
        for name in corpus.column_names():
            corpus.column(name)
        list(corpus)
        check_corpus(tmp_path / "c")
    except TriviumError as error:
        assert "c" in str(error.file)


def rewrite(folder: Path, change: Callable[[pa.Table], pa.Table], **options: Any) -> None:
    shard = folder / "shard-00000.parquet"
    table = change(pq.read_table(shard, partitioning=None))
    pq.write_table(table, shard, **{"use_dictionary": False, **options})
    resign(folder)


def put(name: str, values: list[Any], kind: pa.DataType | None = None) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        number = table.schema.get_field_index(name)
        field = pa.field(name, kind or table.schema.field(number).type)
        return table.set_column(number, field, pa.array(values, field.type))

    return change


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (put("steps.hands", [2, None, -1, None]), "row 2, steps.hands"),
        (put("steps.hands", [3, None, 0, None]), "row 0, stream.hands"),
        (put("steps.hands", [2, 0, 0, None]), "row 1, stream.hands"),
        (put("stream.hands", [[0.0] * 6, None, [], [1.0]]), "row 3, stream.hands"),
        (put("stream.hands", [[0.0] * 5, None, [], None]), "row 0, stream.hands"),
        (put("stream.hands", [[0.0] * 5 + [None], None, [], None]), "row 0, stream.hands"),
        (put("times.audio", [[0.0] * 9, None, [], None]), "row 0, times.audio"),
        (put("words.times", [[0.0] * 6, [], [], None]), "row 1, words.times"),
        (put("words.confidence", [[1.0] * 2, None, None, None]), "row 0, words.confidence"),
        (put("words.text", [["a", None, "b"], None, [], ["w"]]), "row 0, words.text"),
        (put("id", ["a", "b", "a", "c"]), "row 2, id"),
        (put("id", ["a", "", "d", "c"]), "row 1, id"),
        (put("id", ["a", None, "d", "c"]), "row 1, id"),
        (put("label.mood", ["calm", None, None, "sad"]), "row 3, label.mood"),
        (put("label.score", [float("inf"), None, None, 0.0]), "row 0, label.score"),
        (put("label.both", [[0.0, 1.0], [1.0], None, None]), "row 1, label.both"),
    ],
)
def test_a_row_that_breaks_the_promise_is_named(
    tmp_path: Path, change: Callable[[pa.Table], pa.Table], place: str
) -> None:
    four().save(tmp_path / "c")
    rewrite(tmp_path / "c", change)
    for use in (lambda: Corpus.open(tmp_path / "c")[0], lambda: check_corpus(tmp_path / "c")):
        with pytest.raises(FormatError) as caught:
            use()
        assert caught.value.place == place and str(caught.value.file).endswith("shard-00000.parquet")


def test_a_ragged_label_is_one_error_when_only_the_column_is_read(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    rewrite(tmp_path / "c", put("label.both", [[0.0, 1.0], [1.0], None, None]))
    with pytest.raises(FormatError, match=r"label\.both"):
        Corpus.open(tmp_path / "c").label("both")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (put("stream.hands", [None] * 4, pa.large_list(pa.float64())), "column stream.hands"),
        (put("label.score", [None] * 4, pa.string()), "column label.score"),
        (lambda table: table.drop_columns(["times.audio"]), "column times.audio"),
    ],
)
def test_a_column_of_another_type_is_found_when_opening(
    tmp_path: Path, change: Callable[[pa.Table], pa.Table], place: str
) -> None:
    four().save(tmp_path / "c")
    rewrite(tmp_path / "c", change)
    with pytest.raises(FormatError) as caught:
        Corpus.open(tmp_path / "c")
    assert caught.value.place == place


def test_columns_and_rows_beyond_the_promise_are_refused(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    rewrite(tmp_path / "c", lambda table: table.append_column("extra", pa.array([1, 2, 3, 4])))
    with pytest.raises(FormatError, match="extra"):
        Corpus.open(tmp_path / "c")
    four().save(tmp_path / "d")
    rewrite(tmp_path / "d", lambda table: table.slice(1))
    with pytest.raises(FormatError, match="has 3 rows"):
        Corpus.open(tmp_path / "d")


def test_a_dictionary_that_could_unfold_to_any_size_is_refused(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    rewrite(tmp_path / "c", lambda table: table, use_dictionary=True)
    with pytest.raises(LimitError, match="dictionary"):
        Corpus.open(tmp_path / "c")


def test_text_that_is_no_utf8_is_one_error(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    broken = pa.array([b"a", b"\xff\xfe", b"c", b"d"], pa.binary()).view(pa.string())
    number = pq.read_schema(tmp_path / "c" / "shard-00000.parquet").get_field_index("clip")
    rewrite(tmp_path / "c", lambda table: table.set_column(number, "clip", broken))
    with pytest.raises(FormatError, match="row group 0"):
        Corpus.open(tmp_path / "c").column("clip")


def test_rows_that_differ_from_the_content_hash_are_found_by_checking(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    rewrite(tmp_path / "c", put("text", ["another", "", "", ""]))
    assert len(list(Corpus.open(tmp_path / "c"))) == 4
    with pytest.raises(FormatError, match="content hash"):
        check_corpus(tmp_path / "c")


def test_a_folder_cannot_pose_as_another_in_the_cache(tmp_path: Path) -> None:
    four().save(tmp_path / "honest")
    shutil.copytree(tmp_path / "honest", tmp_path / "liar")
    rewrite(tmp_path / "liar", put("text", ["another", "", "", ""]))  # its corpus.json keeps the honest content hash
    assert Corpus.open(tmp_path / "liar")[0].text == "another"
    assert Corpus.open(tmp_path / "honest")[0].text == FULL.text


def test_the_source_of_an_open_corpus_is_the_folder(tmp_path: Path) -> None:
    four().save(tmp_path / "c")
    source = Corpus.open(tmp_path / "c").source
    assert isinstance(source, Stored) and source.folder == tmp_path / "c"


def test_an_extraction_that_was_stopped_is_not_taken_for_another_format(tmp_path: Path) -> None:
    CorpusWriter(tmp_path / "corpus", Specification(())).stage("one", [Utterance("a")])
    with pytest.raises(FormatError, match=r"stopped before its end.*same `trivium extract` command again: it goes on"):
        Corpus.open(tmp_path / "corpus")
