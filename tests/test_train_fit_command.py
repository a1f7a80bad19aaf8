"""``trivium fit``: several corpora to a weights folder, its checks before training, and going on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from trivium.cli import app
from trivium.corpus import Corpus, LabelSpecification, Specification, Stream, StreamSpecification, Utterance, Words
from trivium.errors import DataError, SpecificationError
from trivium.represent import Beside, ConvAutoencoder
from trivium.weights import load_weights

torch.set_num_threads(1)


@pytest.fixture
def corpora(tmp_path: Path) -> list[str]:
    stream = StreamSpecification("audio", ("f0", "energy"), clock="seconds")
    mood = LabelSpecification("mood", "regression")
    times = np.stack([np.arange(4.0), np.arange(4.0) + 1], axis=1)
    paths = []
    for number, name in enumerate(("near", "far")):
        rng = np.random.default_rng(number)
        clips = [
            Utterance(
                f"{name}{i}",
                {"audio": Stream(rng.normal(9 * number, 1, (4, 2)).astype(np.float32), stream, times)},
                words=Words(("we", "do", "say", "so"), times),
                labels={"mood": float(i)},
                splits={"standard": "valid" if i % 4 == 0 else "train"},
            )
            for i in range(8)
        ]
        Corpus.from_utterances(clips, Specification((stream,), (mood,))).save(tmp_path / name)
        paths.append(str(tmp_path / name))
    return paths


def fit(*arguments: str, epochs: int = 2) -> Result:
    options = ["--words", "5", "--set", f"max_epochs={epochs}", "--set", "progress=false"]
    asked = ["fit", "-r", "conv-autoencoder", *arguments, *options]
    return CliRunner().invoke(app, asked, catch_exceptions=False)


def test_several_corpora_become_one_weights_folder(corpora: list[str], tmp_path: Path) -> None:
    out = tmp_path / "weights"
    result = fit(f"close={corpora[0]}", corpora[1], "--out", str(out), "--label-free", "--seed", "7")
    assert result.exit_code == 0, result.output
    assert "close 8" in result.output and "far 8" in result.output
    encoder = ConvAutoencoder.from_pretrained(out)
    assert encoder.scalers_.names == ("pooled", "close", "far")
    assert (encoder.words_, encoder.random_state, encoder.max_epochs) == (5, 7, 2)
    assert encoder.transform(Corpus.open(corpora[0])).shape == (8, 15)


def test_without_a_name_it_fits_what_the_shipped_weights_are(corpora: list[str], tmp_path: Path) -> None:
    out = tmp_path / "weights"
    result = CliRunner().invoke(app, ["fit", *corpora, "--words", "5", "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0 and "untrained" not in result.output, result.output
    parts = Beside.from_pretrained(out).parts
    assert [name for name, _ in parts] == ["statistics", "fisher-vectors"]
    assert (parts[0][1].which, parts[1][1].n_components) == ("mean,spread", 2)
    assert load_weights(out).n_features == 2 * 2 + 1 + 2 * 2 * 2
    asked = ["fit", *corpora, "-s", "n_components=0", "--out", str(tmp_path / "other")]
    with pytest.raises(SpecificationError, match="0 Gaussians"):
        CliRunner().invoke(app, asked, catch_exceptions=False)


def test_a_split_names_the_folds(corpora: list[str], tmp_path: Path) -> None:
    result = fit(corpora[0], "--out", str(tmp_path / "w"), "--split", "standard", "--json")
    facts = json.loads(result.output)
    assert facts["corpora"] == {"near": 6}
    assert len(facts["losses"]) == 2 and "valid_loss" in facts["losses"][0]


def test_a_run_goes_on_and_ends_like_one_that_never_stopped(corpora: list[str], tmp_path: Path) -> None:
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    fit(*corpora, "--out", str(straight), epochs=4)
    fit(*corpora, "--out", str(stopped), epochs=2)
    result = fit(*corpora, "--out", str(stopped), "--resume", "--overwrite", epochs=4)
    assert result.exit_code == 0, result.output
    for file in ("model.safetensors", "encoder.onnx", "scalers.safetensors", "proof.safetensors"):
        assert (straight / file).read_bytes() == (stopped / file).read_bytes(), file


def test_what_would_be_overwritten_is_said_before_the_training(corpora: list[str], tmp_path: Path) -> None:
    out = tmp_path / "w"
    fit(corpora[0], "--out", str(out), epochs=0)
    with pytest.raises(DataError, match="exists already"):
        fit(corpora[0], "--out", str(out))
    out.rename(tmp_path / "elsewhere")
    (tmp_path / "w.run").mkdir()
    with pytest.raises(DataError, match="--resume"):
        fit(corpora[0], "--out", str(out))


def test_options_that_do_not_exist_or_have_no_value_are_named(corpora: list[str], tmp_path: Path) -> None:
    out = str(tmp_path / "w")
    with pytest.raises(SpecificationError, match=r"no option depth.*unpooling"):
        fit(corpora[0], "--out", out, "--set", "depth=3")
    with pytest.raises(SpecificationError, match="OPTION=VALUE"):
        fit(corpora[0], "--out", out, "--set", "depth")


def test_the_help_teaches() -> None:
    text = CliRunner().invoke(app, ["fit", "--help"]).output
    assert "Examples" in text and text.count("trivium fit ") == 3  # usage and two examples
