"""Alignment of whole corpora: steps, spans, missing parts, cropping and padding, and the file it writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from trivium.align import align, load_aligned, save_aligned
from trivium.corpus import (
    Aligned,
    Corpus,
    LabelSpecification,
    Specification,
    Stream,
    StreamSpecification,
    Utterance,
    Words,
)
from trivium.errors import AlignmentError, FormatError, SpecificationError

TEXT = StreamSpecification("text", ("t0",), clock="words")
AUDIO = StreamSpecification("audio", ("a0", "a1"), clock="seconds")
VISION = StreamSpecification("vision", ("v0",), clock="seconds")
WHOLE = StreamSpecification("whole", ("w0",), clock="none")


def frames(seconds: float, hz: float, spec: StreamSpecification, rng: np.random.Generator) -> Stream:
    edges = np.arange(int(seconds * hz) + 1) / hz
    values = rng.standard_normal((len(edges) - 1, spec.dim)).astype(np.float32)
    return Stream(values, spec, np.stack([edges[:-1], edges[1:]], axis=1))


def spoken(*times: tuple[float, float]) -> Words:
    return Words(tuple(f"w{i}" for i in range(len(times))), np.array(times, dtype=np.float64).reshape(-1, 2))


def corpus_of(*utterances: Utterance, labels: tuple[LabelSpecification, ...] = ()) -> Corpus:
    found = {s.specification.modality: s.specification for u in utterances for s in u.streams.values()}
    return Corpus.from_utterances(utterances, Specification(tuple(found.values()), labels))


def random_utterance(name: str, seed: int) -> Utterance:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 9))
    edges = np.cumsum(rng.uniform(0.05, 0.6, 2 * count))
    words = Words(tuple("abcdefgh"[:count]), edges.reshape(-1, 2))
    streams = {
        "text": Stream(rng.standard_normal((count, 1)).astype(np.float32) + 10, TEXT),
        "audio": frames(4.0, 100, AUDIO, rng),
        "vision": frames(3.0, 30, VISION, rng),
    }
    del streams[str(rng.choice(["text", "audio", "vision"]))]
    return Utterance(name, streams, words)


def test_the_function_keeps_its_name_beside_the_part_of_the_same_name() -> None:
    import trivium.align.words

    assert trivium.align is align


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_every_cell_equals_a_loop_over_words_and_rows(seed: int) -> None:
    utterance = random_utterance("a", seed)
    aligned = align(corpus_of(utterance))
    assert utterance.words is not None and utterance.words.times is not None
    column = 0
    for place, spec in enumerate(aligned.specification.streams):
        stream = utterance.streams[spec.modality]
        for step, (begin, end) in enumerate(utterance.words.times):
            if stream.times is None:
                rows = [step]
            else:
                rows = [r for r, (s, e) in enumerate(stream.times) if min(e, end) - max(s, begin) > 1e-5]
            expected = stream.values[rows].astype(np.float64).mean(axis=0) if rows else np.zeros(spec.dim)
            got = aligned.values[0, step, column : column + spec.dim]
            np.testing.assert_allclose(got, expected, rtol=2e-6, atol=2e-6)
            assert aligned.cell_mask[0, step, place] == bool(rows)
        column += spec.dim
    np.testing.assert_array_equal(aligned.spans[0], utterance.words.times)
    assert tuple(aligned.words[0]) == utterance.words.text


@settings(max_examples=20)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=4, unique=True), st.integers(1, 12), st.booleans())
def test_other_utterances_their_order_and_padding_change_nothing(seeds: list[int], words: int, left: bool) -> None:
    pad: Literal["left", "right"] = "left" if left else "right"
    everyone = tuple(Utterance(str(s), random_utterance("", s).streams, random_utterance("", s).words) for s in seeds)
    spec = Specification((TEXT, AUDIO, VISION))
    together = align(Corpus.from_utterances(everyone, spec), words=words, pad=pad)
    backwards = align(Corpus.from_utterances(everyone[::-1], spec), words=words, pad=pad)
    for row, utterance in enumerate(everyone):
        alone = align(Corpus.from_utterances([utterance], spec))
        count = min(words, alone.shape[1])
        steps = slice(words - count, words) if left else slice(0, count)
        kept = slice(alone.shape[1] - count, None) if left else slice(0, count)
        np.testing.assert_array_equal(together.values[row, steps], alone.values[0, kept])
        np.testing.assert_array_equal(together.values[row], backwards.values[len(everyone) - 1 - row])
        assert together.mask[row].sum() == count and together.mask[row, steps].all()
        assert not together.values[row][~together.mask[row]].any()
        assert np.isnan(together.spans[row][~together.mask[row]]).all()


def test_left_padding_keeps_the_last_words_and_right_padding_the_first() -> None:
    rng = np.random.default_rng(0)
    corpus = corpus_of(Utterance("a", {"audio": frames(3, 10, AUDIO, rng)}, spoken((0, 1), (1, 2), (2, 3))))
    assert align(corpus, words=2).words.tolist() == [["w1", "w2"]]
    assert align(corpus, words=2, pad="right").words.tolist() == [["w0", "w1"]]
    assert align(corpus, words=4).words.tolist() == [["", "w0", "w1", "w2"]]
    assert align(corpus, words=4, pad="right").words.tolist() == [["w0", "w1", "w2", ""]]


def test_time_is_conserved_under_a_sum_over_words_that_tile_the_clip() -> None:
    rng = np.random.default_rng(1)
    stream = frames(3, 10, AUDIO, rng)
    aligned = align(corpus_of(Utterance("a", {"audio": stream}, spoken((0, 1), (1, 2.5), (2.5, 3)))), collapse="sum")
    np.testing.assert_allclose(aligned.values[0].sum(axis=0), stream.values.sum(axis=0), rtol=1e-5)


def test_a_pause_without_a_vector_is_masked_and_not_an_error() -> None:
    glove = StreamSpecification("text", ("g0",), clock="seconds")
    text = Stream(np.array([[1.0], [2.0]], np.float32), glove, np.array([[0, 1], [2, 3.0]]))
    words = Words(("kids", "sp", "talk"), np.array([[0, 1], [1, 2], [2, 3.0]]))
    aligned = align(corpus_of(Utterance("a", {"text": text}, words)))
    assert aligned.values[0, :, 0].tolist() == [1, 0, 2]
    assert aligned.cell_mask[0, :, 0].tolist() == [True, False, True]
    assert aligned.mask.all()


def test_timed_text_stands_in_for_words_that_are_not_known() -> None:
    glove = StreamSpecification("text", ("g0",), clock="seconds")
    text = Stream(np.array([[1.0], [2.0]], np.float32), glove, np.array([[0, 1], [2, 3.0]]))
    aligned = align(corpus_of(Utterance("a", {"text": text, "audio": frames(3, 10, AUDIO, np.random.default_rng(0))})))
    assert aligned.shape == (1, 2, 3) and aligned.spans[0].tolist() == [[0, 1], [2, 3]]


def test_a_modality_that_an_utterance_lacks_is_masked() -> None:
    rng = np.random.default_rng(0)
    both = Utterance("a", {"audio": frames(2, 10, AUDIO, rng), "vision": frames(2, 10, VISION, rng)}, spoken((0, 1)))
    voice = Utterance("b", {"audio": frames(2, 10, AUDIO, rng)}, spoken((0, 1)))
    aligned = align(corpus_of(both, voice))
    assert aligned.cell_mask[:, 0].tolist() == [[True, True], [True, False]]
    assert aligned.values[1, 0, 2] == 0


def test_steps_too_short_to_overlap_anything_are_skipped() -> None:
    rng = np.random.default_rng(0)
    words = spoken((0, 0.5), (0.5, 0.5 + 5e-6), (0.6, 1.0))
    assert align(corpus_of(Utterance("a", {"audio": frames(2, 10, AUDIO, rng)}, words))).words.tolist() == [
        ["w0", "w2"]
    ]


def test_rows_of_words_follow_the_words_that_are_kept() -> None:
    text = Stream(np.array([[1.0], [2.0], [3.0]], np.float32), TEXT)
    words = spoken((0, 1), (1, 2), (2, 3))
    segment = Utterance("a", {"text": text}, words, start=0.9999, end=2.0)
    aligned = align(corpus_of(segment))
    assert aligned.values[0, :, 0].tolist() == [1, 2]
    assert aligned.words.tolist() == [["w0", "w1"]]


def test_words_outside_the_span_of_the_utterance_are_left_out() -> None:
    rng = np.random.default_rng(0)
    streams = {"audio": frames(9, 10, AUDIO, rng)}
    words = spoken((0, 1), (1, 2), (2, 3), (3, 4))
    first, second = Utterance("a", streams, words, start=1, end=3), Utterance("b", streams, words, start=2.5, end=9)
    assert align(corpus_of(first, second), pad="right").words.tolist() == [["w1", "w2"], ["w2", "w3"]]


def test_any_stream_can_be_the_reference_even_one_that_is_not_kept() -> None:
    rng = np.random.default_rng(0)
    utterance = Utterance("a", {"audio": frames(1, 100, AUDIO, rng), "vision": frames(1, 10, VISION, rng)})
    aligned = align(corpus_of(utterance), reference="vision", modalities=["audio"])
    expected = utterance.streams["audio"].values.reshape(10, 10, 2).mean(axis=1)
    np.testing.assert_allclose(aligned.values[0], expected, rtol=1e-5, atol=1e-6)
    assert aligned.specification.modalities == ("audio",)


def word_level(values: Sequence[float], name: str) -> Utterance:
    return Utterance(name, {"text": Stream(np.array(values, np.float32)[:, None], TEXT)})


def test_streams_of_words_without_times_are_cropped_and_padded() -> None:
    aligned = align(corpus_of(word_level([1, 2, 3], "a"), word_level([4], "b")), words=2)
    assert aligned.values[:, :, 0].tolist() == [[2, 3], [0, 4]]
    assert aligned.mask.tolist() == [[True, True], [False, True]]


def test_a_row_of_zeros_in_a_stream_of_words_was_not_seen() -> None:
    aligned = align(corpus_of(word_level([1, 0, 3], "a")))
    assert aligned.cell_mask[0, :, 0].tolist() == [True, False, True]
    assert aligned.mask.all()


def test_one_row_without_a_clock_speaks_of_every_word() -> None:
    whole = Stream(np.array([[7.0]], np.float32), WHOLE)
    aligned = align(corpus_of(Utterance("a", {"whole": whole, **word_level([1, 2], "").streams})))
    assert aligned.values[0].tolist() == [[1, 7], [2, 7]]


def test_a_corpus_of_whole_utterance_vectors_has_one_step() -> None:
    assert align(corpus_of(Utterance("a", {"whole": Stream(np.array([[7.0]], np.float32), WHOLE)}))).shape == (1, 1, 1)


def test_several_rows_without_a_clock_are_named_with_a_remedy() -> None:
    whole = Stream(np.ones((3, 1), np.float32), WHOLE)
    with pytest.raises(AlignmentError, match=r"utterance a, whole.*give the stream times"):
        align(corpus_of(Utterance("a", {"whole": whole, **word_level([1, 2], "").streams})))


def test_a_corpus_without_any_words_is_refused_but_one_utterance_without_is_not() -> None:
    rng = np.random.default_rng(0)
    silent = Utterance("a", {"audio": frames(1, 10, AUDIO, rng)})
    with pytest.raises(AlignmentError, match="no utterance has words"):
        align(corpus_of(silent))
    aligned = align(corpus_of(silent, Utterance("b", {"audio": frames(1, 10, AUDIO, rng)}, spoken((0, 1)))))
    assert aligned.mask.tolist() == [[False], [True]]


def test_streams_of_words_that_differ_in_length_are_named() -> None:
    other = StreamSpecification("audio", ("a",), clock="words")
    streams = {**word_level([1, 2], "").streams, "audio": Stream(np.ones((3, 1), np.float32), other)}
    with pytest.raises(AlignmentError, match="text 2, audio 3"):
        align(corpus_of(Utterance("a", streams)))


def test_token_ids_beside_numbers_are_left_out() -> None:
    tokens = StreamSpecification("text_tokens", ("id",), dtype="int32")
    one = word_level([1, 2], "a")
    both = {**one.streams, "text_tokens": Stream(np.ones((4, 1), np.int32), tokens)}
    found, alone = align(corpus_of(Utterance("a", both, one.words))), align(corpus_of(one))
    assert found.specification.modalities == alone.specification.modalities
    np.testing.assert_array_equal(found.values, alone.values)


def test_token_ids_have_no_mean() -> None:
    tokens = StreamSpecification("text", ("id",), clock="words", dtype="int32")
    with pytest.raises(AlignmentError, match="token ids"):
        align(corpus_of(Utterance("a", {"text": Stream(np.ones((2, 1), np.int32), tokens)})))


@pytest.mark.parametrize("wrong", [{"pad": "middle"}, {"words": 0}])
def test_wrong_requests_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(AlignmentError):
        align(corpus_of(word_level([1], "a")), **wrong)


def test_an_unknown_reference_lists_the_modalities() -> None:
    with pytest.raises(SpecificationError, match="text"):
        align(corpus_of(word_level([1], "a")), reference="face")


def labelled() -> Corpus:
    mood = LabelSpecification("mood", "binary", ("calm", "angry"))
    rng = np.random.default_rng(0)
    return corpus_of(
        Utterance(
            "a", {"audio": frames(2, 10, AUDIO, rng)}, spoken((0, 1), (1, 2)), "", {"mood": "calm"}, {"speaker": "1"}
        ),
        Utterance("b", {"audio": frames(2, 10, AUDIO, rng)}, spoken((0, 1)), "", {}, {"speaker": "2"}, {"std": "test"}),
        labels=(mood,),
    )


def assert_same(a: Aligned, b: Aligned) -> None:
    for name in ("values", "mask", "cell_mask", "ids", "spans", "words"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.specification == b.specification and set(a.table) == set(b.table)
    for key in a.table:
        np.testing.assert_array_equal(a.table[key], b.table[key])


def test_labels_groups_and_splits_travel_in_the_table() -> None:
    aligned = align(labelled())
    assert aligned.label("mood").tolist() == ["calm", ""]
    assert aligned.group("speaker").tolist() == ["1", "2"]
    assert aligned.split("std").tolist() == ["", "test"]


def test_the_file_comes_back_as_it_was_and_numpy_alone_reads_it(tmp_path: Path) -> None:
    aligned = align(labelled(), words=3)
    save_aligned(aligned, tmp_path / "a.npz")
    assert_same(load_aligned(tmp_path / "a.npz"), aligned)
    with np.load(tmp_path / "a.npz") as stored:
        assert stored["values"].dtype == np.float32 and stored["columns"].tolist() == ["audio.a0", "audio.a1"]
        assert stored["modalities"].tolist() == ["audio"] and "table/label.mood" in stored.files
    save_aligned(aligned, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("damage", ["cut", "text", "key", "object", "absent", "plain"])
def test_a_file_that_is_no_aligned_corpus_is_one_clear_error(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "a.npz"
    save_aligned(align(labelled()), file)
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-200])
    elif damage == "text":
        file.write_text("hello")
    elif damage == "plain":
        with file.open("wb") as handle:
            np.save(handle, np.ones(3))
    elif damage == "absent":
        file.unlink()
    else:
        np.savez(file, values=np.array([{}], dtype=object) if damage == "object" else np.ones(1))
    with pytest.raises(FormatError, match=r"a\.npz"):
        load_aligned(file)


def test_the_command_writes_the_file_and_says_what_is_in_it(tmp_path: Path) -> None:
    from trivium.cli import app

    labelled().save(tmp_path / "corpus")
    asked = ["align", str(tmp_path / "corpus"), "--words", "3", "--pad", "right", "--out", str(tmp_path / "a.npz")]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    assert "2 utterances, 3 steps, 2 columns" in result.output.replace("\n", " ")
    assert_same(load_aligned(tmp_path / "a.npz"), align(labelled(), words=3, pad="right"))
