"""Fisher vectors as a graph: the same numbers as in NumPy, whatever is missing, in torch, in ONNX Runtime and saved."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from typer.testing import CliRunner

from trivium.cli import app
from trivium.corpus import Aligned, Corpus, Specification, Stream, StreamSpecification, Utterance, Words
from trivium.errors import SpecificationError
from trivium.represent import Beside, FisherVectors, Statistics
from trivium.weights import check_weights, load_weights

torch.set_num_threads(1)

WIDTHS = {"text": 4, "audio": 3, "vision": 2}
SPEC = Specification(
    tuple(StreamSpecification(m, tuple(f"{m}{i}" for i in range(d)), clock="words") for m, d in WIDTHS.items())
)
Values = NDArray[np.float32]


def matrices(seed: int, n: int = 24, steps: int = 7) -> Values:
    """Synthetic matrices (N, W, D), NaN where unseen: single cells, steps, padding, one modality, all of them."""
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, steps, 9)) * rng.uniform(0.2, 30, 9) + rng.normal(0, 20, 9)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[np.arange(steps) < rng.integers(0, steps - 1, n)[:, None]] = np.nan
    x[1, :, 4:7] = np.nan
    x[2, :, 7:] = np.nan
    x[3] = np.nan
    return x


def aligned(x: Values, specification: Specification = SPEC) -> Aligned:
    edges = np.cumsum([0, *(s.dim for s in specification.streams)])
    cells = np.stack([np.isfinite(x[:, :, a:b]).any(axis=2) for a, b in pairwise(edges)], axis=2)
    return Aligned.from_arrays(
        x, specification, mask=np.asarray(cells.any(axis=2)), cell_mask=cells, ids=np.arange(len(x)).astype(str)
    )


def by_module(fitted: FisherVectors, x: Values) -> Any:
    with torch.no_grad():
        return fitted.as_module(SPEC)(torch.from_numpy(x[:, None])).numpy()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_the_module_gives_what_numpy_gives_whatever_is_missing(seed: int, gaussians: int) -> None:
    x = matrices(seed)
    fitted = FisherVectors(n_components=gaussians).fit(aligned(x[4:]))
    found = by_module(fitted, x)
    np.testing.assert_allclose(found, fitted.transform(aligned(x)), atol=1e-5)
    assert not found[3].any() and found.dtype == np.float32
    assert not found[1, 2 * gaussians * 4 : 2 * gaussians * 7].any()


def test_padding_on_either_side_changes_nothing() -> None:
    x = matrices(1)
    fitted = FisherVectors(n_components=2).fit(aligned(x))
    longer = np.pad(x, ((0, 0), (3, 2), (0, 0)), constant_values=np.nan)
    np.testing.assert_allclose(by_module(fitted, longer), by_module(fitted, x), atol=1e-6)


def test_chosen_modalities_are_mixed_and_the_others_have_no_part() -> None:
    x = matrices(2)
    every, some = (FisherVectors(n_components=2, modalities=m).fit(aligned(x)) for m in ("", "vision, audio"))
    assert some.transform(aligned(x)).shape == (24, 2 * 2 * 5) == (24, len(some.get_feature_names_out()))
    assert list(some.mixtures_) == ["audio", "vision"]
    changed = x.copy()
    changed[:, :, :4] = 7
    np.testing.assert_array_equal(some.transform(aligned(changed)), some.transform(aligned(x)))
    np.testing.assert_allclose(by_module(some, x), some.transform(aligned(x)), atol=1e-5)
    assert every.transform(aligned(x)).shape == (24, 36)
    with pytest.raises(SpecificationError, match="there is no smell to mix"):
        FisherVectors(modalities="audio,smell").fit(aligned(x))


def test_fewer_frames_than_gaussians_leave_zeros_and_the_length_as_it_is() -> None:
    x = matrices(3)[:1, -3:]
    fitted = FisherVectors(n_components=6).fit(aligned(x))
    found = fitted.transform(aligned(x))
    assert found.shape == (1, 2 * 6 * 9) and (found == 0).sum() >= 2 * 3 * 9
    np.testing.assert_allclose(by_module(fitted, x), found, atol=1e-5)


def test_saved_beside_statistics_it_gives_the_same_vectors_in_onnx_runtime_and_opens_again(tmp_path: Path) -> None:
    x = aligned(matrices(5))
    fisher = FisherVectors(n_components=3, modalities="audio,vision")
    fitted = Beside((("statistics", Statistics("mean,spread")), ("fisher-vectors", fisher))).fit(x)
    expected = fitted.transform(x)
    fitted.save(tmp_path / "weights")
    assert check_weights(tmp_path / "weights").ok
    np.testing.assert_allclose(load_weights(tmp_path / "weights").transform(x), expected, atol=1e-4)
    again = Beside.from_pretrained(tmp_path / "weights")
    np.testing.assert_allclose(again.transform(x), expected, atol=1e-4)
    missing = x.select(["audio"])
    np.testing.assert_allclose(again.transform(missing), fitted.transform(x.only(["audio"])), atol=1e-4)


def test_the_command_fits_them_alone_and_what_it_saves_opens_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clips = []
    for i in range(8):
        streams = {s.modality: Stream(rng.normal(size=(4, s.dim)).astype(np.float32), s) for s in SPEC.streams}
        times = np.arange(8.0).reshape(4, 2)
        clips.append(Utterance(f"u{i}", streams, Words(("so", "it", "is", "so"), times)))
    corpus = Corpus.from_utterances(clips, SPEC)
    corpus.save(tmp_path / "corpus")
    asked = ["fit", str(tmp_path / "corpus"), "-r", "fisher-vectors", "-w", "4", "--out", str(tmp_path / "w")]
    done = CliRunner().invoke(app, [*asked, "--set", "n_components=2", "--set", "modalities=audio,vision"])
    assert done.exit_code == 0, done.output
    weights = load_weights(tmp_path / "w")
    found = weights.transform(weights.align(corpus, show=False))
    assert found.shape == (8, 2 * 2 * 5)
    np.testing.assert_allclose(Beside.from_pretrained(tmp_path / "w").transform(corpus), found, atol=1e-4)
