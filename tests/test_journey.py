"""A modality that the code has never heard of goes all the way: file, corpus, words, vector, weights, table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import trivium
from trivium.align import align
from trivium.corpus import Corpus
from trivium.embed import embed_to_file

WIDTHS = {"text": 6, "audio": 5, "vision": 4, "physiology": 3}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    arrays = {}
    for fold, n in (("train", 20), ("valid", 6), ("test", 6)):
        for modality, width in WIDTHS.items():
            arrays[f"{modality}_{fold}"] = rng.normal(size=(n, 20, width)).astype(np.float32)
        arrays[f"label_{fold}"] = rng.normal(size=(n, 1)).astype(np.float32)
    arrays["physiology_test"][2] = 0.0  # this utterance lacks it
    np.savez(tmp_path / "four.npz", allow_pickle=False, **arrays)
    return tmp_path / "four.npz"


def test_a_fourth_modality_goes_from_file_to_vector(archive: Path, tmp_path: Path) -> None:
    trivium.read(archive).save(tmp_path / "corpus")
    corpus = Corpus.open(tmp_path / "corpus")
    assert corpus.specification.modalities == tuple(WIDTHS)

    x = align(corpus.fold("train"), words=20)
    assert x.shape == (20, 20, sum(WIDTHS.values()))
    fitted = trivium.ConvAutoencoder(max_epochs=1, progress=False).fit(x)
    fitted.save(tmp_path / "weights")

    done = embed_to_file(corpus, tmp_path / "weights", tmp_path / "vectors.parquet", show=False)
    table = pq.read_table(tmp_path / "vectors.parquet")
    assert done.rows == len(corpus) == 32
    assert table["modality_physiology"].to_pylist().count(False) == 1
    everything = align(corpus, words=20)
    vectors = np.array(table["vector"].to_pylist(), np.float32)
    np.testing.assert_allclose(vectors, fitted.transform(everything), atol=1e-4, rtol=1e-4)

    changed = everything.only(("text", "audio", "vision"))
    assert not np.allclose(fitted.transform(changed), fitted.transform(everything))
