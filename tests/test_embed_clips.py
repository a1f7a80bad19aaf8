"""Clips to vectors and answers: extraction, alignment, weights, in one call and without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from trivium.align import align
from trivium.cli import app
from trivium.corpus import Corpus
from trivium.embed import answer, embed, embed_to_file
from trivium.errors import MediaError
from trivium.extract import ClipExtractor, Recording
from trivium.weights import Weights
from trivium.weights.example import example_weights

SAID = "kids are talking by the door"


@pytest.fixture
def weights(tmp_path: Path, need_models: Callable[..., None]) -> Weights:
    need_models("minilm-l6", "g2p-en")
    return example_weights(tmp_path / "weights", ClipExtractor(["text", "audio"], audio="voice").specification, words=4)


def test_a_clip_becomes_stretches_of_words(weights: Weights, make_clip: Callable[..., Path]) -> None:
    clip = make_clip("talk.wav", seconds=3.0, fps=None)
    table = embed(clip, weights, transcripts={"talk": SAID}, show=False)
    assert table["id"].to_pylist() == ["talk[0]", "talk[1]"]  # six words, four at a time: three and three
    assert table["clip"].to_pylist() == ["talk.wav", "talk.wav"]
    starts, ends = table["start"].to_pylist(), table["end"].to_pylist()
    assert 0 <= starts[0] < ends[0] <= starts[1] < ends[1] <= 3.0
    assert table["modality_audio"].to_pylist() == [True, True]


def test_weights_without_the_encoders_columns_do_not_have_them_made(
    weights: Weights, make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trivium.extract.audio.whisper.encoder_states", lambda *_, **__: pytest.fail("encoded"))
    table = embed(make_clip("hi.wav", seconds=1.5, fps=None), weights, transcripts={"hi": "hello"}, show=False)
    assert len(table) == 1 and "modality_audio_whisper" not in table.column_names


def test_a_short_clip_is_one_vector(weights: Weights, make_clip: Callable[..., Path]) -> None:
    clip = make_clip("hi.wav", seconds=1.5, fps=None)
    table = embed(clip, weights, transcripts={"hi": "hello there"}, show=False)
    one = ClipExtractor(["text", "audio"], audio="voice").extract(Recording(clip, transcript="hello there"))
    alone = Corpus.from_utterances([one.utterance], weights.specification)
    expected = weights.transform(align(alone, words=4, show=False))
    np.testing.assert_array_equal(np.array(table["vector"].to_pylist(), np.float32), expected)


def test_a_broken_clip_costs_only_itself(weights: Weights, make_clip: Callable[..., Path], tmp_path: Path) -> None:
    make_clip("clips/good.wav", seconds=1.5, fps=None)
    (tmp_path / "clips" / "bad.wav").write_bytes(b"RIFF and nothing else")
    out = tmp_path / "v.parquet"
    done = embed_to_file(tmp_path / "clips", weights, out, transcripts={"good": "hello there"}, show=False)
    assert done.rows == 1
    assert [failure["id"] for failure in done.failures] == ["bad"]


@pytest.mark.parametrize("command", ["embed", "predict"])
def test_a_broken_clip_is_told_and_makes_the_exit_code_1(
    weights: Weights, make_clip: Callable[..., Path], tmp_path: Path, command: str
) -> None:
    make_clip("clips/good.wav", seconds=1.5, fps=None)
    (tmp_path / "clips" / "bad.wav").write_bytes(b"RIFF and nothing else")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "good.txt").write_text("hello there")
    asked = [command, str(tmp_path / "clips"), "--weights", str(weights.folder), "--json"]
    asked += ["--transcripts", str(tmp_path / "texts")]
    done = CliRunner().invoke(app, asked + (["--out", str(tmp_path / "v.parquet")] if command == "embed" else []))
    assert done.exit_code == 1
    assert "bad.wav" in done.output
    assert json.loads(done.stdout)


def test_only_broken_clips_are_an_error(weights: Weights, tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"nothing")
    with pytest.raises(MediaError, match=r"bad\.mp4"):
        embed(tmp_path / "bad.mp4", weights, show=False)


def test_a_clip_in_which_nobody_speaks_costs_only_itself(
    weights: Weights, make_clip: Callable[..., Path], tmp_path: Path
) -> None:
    make_clip("clips/silent.wav", seconds=1.5, fps=None)
    transcripts = tmp_path / "texts"
    transcripts.mkdir()
    (transcripts / "silent.txt").write_text("[laughs]")
    with pytest.raises(MediaError, match=r"clips: silent\.wav: no speech was found"):
        embed(tmp_path / "clips", weights, transcripts=transcripts, show=False)
    alone = ["predict", str(tmp_path / "clips" / "silent.wav"), "-w", str(weights.folder), "-t", "[laughs]"]
    with pytest.raises(MediaError, match=r"silent\.wav: no speech was found"):
        CliRunner().invoke(app, alone, catch_exceptions=False)
    make_clip("clips/talk.wav", seconds=1.5, fps=None)
    (transcripts / "talk.txt").write_text("hello there")
    done = embed_to_file(tmp_path / "clips", weights, tmp_path / "v.parquet", transcripts=transcripts, show=False)
    assert done.rows == 1
    assert done.failures == ({"id": "silent", "clip": "silent.wav", "reason": "no speech was found"},)


def test_the_command_answers_for_a_clip(weights: Weights, make_clip: Callable[..., Path]) -> None:
    clip = make_clip("talk.wav", seconds=2.0, fps=None)
    done = runner(clip, weights, "--transcript", "hello there", "--json")
    rows = json.loads(done)
    assert rows[0]["label"] == "mood"
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1.0)


def test_an_answer_from_far_outside_the_training_data_is_called_so(
    weights: Weights, make_clip: Callable[..., Path]
) -> None:
    clip = make_clip("talk.wav", seconds=2.0, fps=None)
    distance = json.loads(runner(clip, weights, "--transcript", "hello there", "--json"))[0]["distance"]
    told = " ".join(runner(clip, weights, "--transcript", "hello there").split())
    assert "│ voice" in told or "words, voice" in told, "what it was read from, in words"
    assert ("Far outside what the head learned from: 1 of 1 answer" in told) == (distance > 1.5)


def runner(clip: Path, weights: Weights, *more: str) -> str:
    done = CliRunner().invoke(app, ["predict", str(clip), "--weights", str(weights.folder), *more])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_clip_needs_no_torch(weights: Weights, make_clip: Callable[..., Path]) -> None:
    clip = make_clip("hi.wav", seconds=1.5, fps=None)
    code = (
        "import sys; from trivium.embed import embed;"
        f"t = embed({str(clip)!r}, {str(weights.folder)!r}, transcripts={{'hi': 'hello there'}}, show=False);"
        "print(len(t), sorted({'torch', 'sklearn', 'onnx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1 []"


@pytest.mark.data
def test_a_real_clip_with_a_face_is_answered(
    data_folder: Path, tmp_path: Path, need_models: Callable[..., None]
) -> None:
    need_models("minilm-l6", "g2p-en", "face-landmarker", "whisper-tiny-en")
    weights = example_weights(tmp_path / "weights", ClipExtractor().specification, words=20)
    clip = min((data_folder / "real-life-trial" / "clips").rglob("*.mp4"), key=lambda path: path.stat().st_size)
    rows = answer(clip, weights, transcripts={clip.stem: "I was never there that night"}, show=False)
    assert [(row["id"], row["clip"]) for row in rows] == [(clip.stem, clip.name)]
    assert (
        {"text", "audio", "audio_whisper"} <= set(rows[0]["modalities"]) <= {"text", "audio", "audio_whisper", "vision"}
    )
