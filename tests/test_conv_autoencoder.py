"""The autoencoder as an estimator: scikit-learn's contract, scaling by corpus, folds, and what it learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from trivium.corpus import Aligned, Corpus, Specification, Stream, StreamSpecification, Utterance, Words, concat
from trivium.errors import DataError, SpecificationError, WeightsError
from trivium.represent import ConvAutoencoder
from trivium.scale import ScalerSet
from trivium.train import CHECKPOINT

torch.set_num_threads(1)

VOICE = Specification((StreamSpecification("audio", tuple(f"c{i}" for i in range(20)), clock="words"),))


def quick(**options: Any) -> ConvAutoencoder:
    return ConvAutoencoder(**{"max_epochs": 1, "progress": False, **options})


def aligned(n: int = 24, *, seed: int = 0, steps: int = 6, **table: NDArray[Any]) -> Aligned:
    rng = np.random.default_rng(seed)
    mask = np.arange(steps) >= rng.integers(0, steps - 1, n)[:, None]
    values = np.where(mask[:, :, None], rng.normal(size=(n, steps, 20)), 0).astype(np.float32)
    return Aligned.from_arrays(values, VOICE, mask=mask, table={k.replace("_", "."): v for k, v in table.items()})


def corpus(prefix: str, n: int, *, shift: float = 0.0) -> Corpus:
    rng = np.random.default_rng(n)
    stream = StreamSpecification("audio", ("f0", "energy"), clock="seconds")
    clips = []
    for i in range(n):
        times = np.stack([np.arange(4.0), np.arange(4.0) + 1], axis=1)
        voice = Stream(rng.normal(shift, 1, (4, 2)).astype(np.float32), stream, times)
        words = Words(("we", "do", "say", "so"), times)
        clips.append(Utterance(f"{prefix}{i}", {"audio": voice}, words=words, groups={"speaker": f"{prefix}{i % 3}"}))
    return Corpus.from_utterances(clips, Specification((stream,)))


@parametrize_with_checks([ConvAutoencoder(max_epochs=1, progress=False)])  # type: ignore[untyped-decorator]
def test_scikit_learn_s_own_checks_without_a_single_expected_failure(estimator: ConvAutoencoder, check: Any) -> None:
    check(estimator)


def test_the_defaults_are_the_paper_s() -> None:
    found = ConvAutoencoder().get_params()
    expected = {"words": 20, "unpooling": "switches", "padding": "count", "schedule": "public-code", "patience": 10}
    expected |= {"learning_rate": 2e-2, "weight_decay": 1e-3, "batch_size": 32, "max_epochs": 100, "clip": False}
    assert {name: found[name] for name in expected} == expected
    assert found["random_state"] == 42


class Spy(ConvAutoencoder):
    """Notes what kind of thing reaches fit and transform."""

    kinds: list[type] = []  # noqa: RUF012  (shared by clones on purpose)

    def __init__(self, *, padding: Any = "count", learning_rate: float = 0.02, max_epochs: int = 1) -> None:
        super().__init__(padding=padding, learning_rate=learning_rate, max_epochs=max_epochs, progress=False)

    def fit(self, X: Any, y: object = None, **rest: Any) -> Spy:
        Spy.kinds.append(type(X))
        return super().fit(X, y, **rest)

    def transform(self, X: Any) -> NDArray[np.float32]:
        Spy.kinds.append(type(X))
        return super().transform(X)


def pipeline() -> Pipeline:
    return make_pipeline(Spy(), StandardScaler(), LogisticRegression())


def test_aligned_sets_reach_fit_whole_in_pipeline_grid_search_and_grouped_folds() -> None:
    x = aligned(24, group_speaker=np.repeat(list("abcdef"), 4))
    y = np.tile([0, 1], 12)
    Spy.kinds.clear()
    grid = GridSearchCV(pipeline(), {"spy__padding": ["count", "ignore"]}, cv=GroupKFold(2), error_score="raise")
    grid.fit(x, y, groups=x.group("speaker"))
    scores = cross_val_score(pipeline(), x, y, groups=x.group("speaker"), cv=GroupKFold(3), error_score="raise")
    assert set(Spy.kinds) == {Aligned}
    assert len(scores) == 3
    assert grid.predict(x).shape == (24,)
    assert grid.best_estimator_[0].get_params()["padding"] == grid.best_params_["spy__padding"]


def test_groups_reach_fit_through_a_pipeline() -> None:
    x, y = aligned(12), np.tile([0, 1], 6)
    model = make_pipeline(quick(validation_fraction=0.3), LogisticRegression())
    assert model.fit(x, y, convautoencoder__groups=np.repeat(["a", "b", "c"], 4)).predict(x).shape == (12,)


def test_a_clone_is_unfitted_and_equal_in_its_options() -> None:
    fitted = quick(unpooling="none", random_state=7).fit(aligned())
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "network_")


def test_names_of_the_vector_s_columns() -> None:
    encoder = quick().fit(aligned())
    assert encoder.n_features_out_ == encoder.transform(aligned()).shape[1] == 15
    assert encoder.get_feature_names_out().tolist()[:2] == ["convautoencoder0", "convautoencoder1"]


def test_vectors_do_not_depend_on_order_or_company() -> None:
    x = aligned(70)
    encoder = quick().fit(x)
    whole = encoder.transform(x)
    order = np.random.default_rng(0).permutation(70)
    np.testing.assert_allclose(encoder.transform(x[order]), whole[order], atol=1e-5)
    np.testing.assert_allclose(encoder.transform(x[3:4]), whole[3:4], atol=1e-5)
    assert encoder.transform(x[:0]).shape == (0, 15)


def test_with_padding_ignored_what_stands_in_unseen_cells_does_not_matter() -> None:
    x = aligned(20)
    noise = np.where(x.column_mask(), x.values, 99).astype(np.float32)
    other = Aligned.from_arrays(noise, VOICE, mask=x.mask)
    first, second = (quick(padding="ignore", max_epochs=2).fit(data) for data in (x, other))
    np.testing.assert_array_equal(first.transform(x), second.transform(other))
    counting = [quick(max_epochs=2).fit(data).transform(data) for data in (x, other)]
    assert not np.allclose(counting[0], counting[1]), "the paper's way does see padding"


def test_same_seed_same_bytes_and_another_seed_another_network() -> None:
    x = aligned()
    first, second, third = (quick(max_epochs=2, random_state=s).fit(x).transform(x).tobytes() for s in (1, 1, 2))
    assert first == second != third


def test_nothing_trained_gives_the_untrained_encoder_with_scalers() -> None:
    x = aligned()
    encoder = quick(max_epochs=0).fit(x)
    assert (encoder.n_iter_, encoder.loss_curves_, encoder.best_epoch_) == (0, [], -1)
    assert encoder.transform(x).std() > 0
    trained = quick(max_epochs=1).fit(x)
    assert not np.allclose(trained.transform(x), encoder.transform(x))


def by_heart(x: NDArray[np.float32], **options: Any) -> tuple[float, float]:
    """Training loss and evaluation error after learning `x` by heart."""
    encoder = quick(validation_fraction=0, schedule="constant", weight_decay=0.0, **options).fit(x)
    scaled = encoder.scalers_.transform(encoder._aligned(x, reset=False))
    return encoder.loss_curves_[-1]["train_loss"], float(((encoder.reconstruct(x) - scaled) ** 2).mean())


def test_a_tiny_corpus_can_be_learned_by_heart() -> None:
    w, d = np.mgrid[0:20, 0:20] / 20
    x = np.stack([np.sin(2 * w + n) * np.cos(3 * d - 2 * n) for n in range(4)]).astype(np.float32)
    loss, error = by_heart(x, unpooling="none", max_epochs=100, learning_rate=2e-3)
    assert max(loss, error) < 0.01, "the best constant reaches 0.08"


def test_pooling_switches_carry_noise_past_the_vector() -> None:
    """Coin flips in 400 cells do not go into 15 numbers that fast; with the input's switches they come out at once."""
    x = np.random.default_rng(0).random((4, 20, 20), np.float32).round()
    with_switches, _ = by_heart(x, max_epochs=30, learning_rate=5e-3)
    without, _ = by_heart(x, unpooling="none", max_epochs=30, learning_rate=5e-3)
    assert with_switches < 0.05 and without > 0.2


def test_the_statistics_of_scaling_leave_the_held_out_fold_alone() -> None:
    x = aligned(30, group_speaker=np.repeat([f"{i:02}" for i in range(10)], 3))
    encoder = quick(validation_fraction=0.2, validation_groups="speaker", max_epochs=0)
    seed = 42
    held = encoder._hold_out(x, None, seed)
    assert 0 < held.sum() < 30 and not set(x.group("speaker")[held]) & set(x.group("speaker")[~held])
    changed = np.where(held[:, None, None], 1e6, x.values).astype(np.float32)
    other = Aligned.from_arrays(changed, VOICE, mask=x.mask, table=dict(x.table))
    np.testing.assert_array_equal(encoder.fit(x).transform(x), clone(encoder).fit(other).transform(x))


def test_a_given_validation_fold_is_used_and_nothing_is_held_out() -> None:
    x, valid = aligned(16), aligned(8, seed=1)
    encoder = quick(max_epochs=2).fit(x, validation=valid)
    every = ScalerSet.fit(x)
    np.testing.assert_array_equal(encoder.scalers_.transform(valid), every.transform(valid))
    scaled = torch.from_numpy(every.transform(valid))
    rebuilt = torch.from_numpy(encoder.reconstruct(valid))
    best = encoder.loss_curves_[encoder.best_epoch_]["valid_loss"]
    assert (rebuilt - scaled).square().mean().item() == pytest.approx(best, rel=1e-5)


def test_several_corpora_each_with_its_scaler() -> None:
    both = concat([corpus("a", 12), corpus("b", 9, shift=40.0)], ["near", "far"])
    encoder = quick(words=5, max_epochs=2, validation_groups="speaker").fit(both)
    assert encoder.scalers_.names == ("pooled", "far", "near")
    assert encoder.corpora_ == {"near": 12, "far": 9}
    assert (encoder.words_, encoder.n_features_in_) == (5, 2)
    far = both[both.group("corpus") == "far"]
    vectors = {name: encoder.set_params(scaler=name).transform(far) for name in ("pooled", "far")}
    assert vectors["far"].shape == (9, 15)
    assert not np.allclose(vectors["far"], vectors["pooled"])


def test_corpora_named_in_fit_count_like_the_group() -> None:
    x = aligned(20)
    names = np.repeat(["a", "b"], 10)
    given = quick().fit(x, corpora=names)
    grouped = quick().fit(aligned(20, group_corpus=names))
    np.testing.assert_array_equal(given.transform(x), grouped.transform(x))
    with pytest.raises(DataError, match="1 names of corpora for 20"):
        quick().fit(x, corpora=np.array(["a"]))


def test_training_goes_on_where_it_stopped(tmp_path: Path) -> None:
    x = aligned()
    straight = quick(max_epochs=4).fit(x)
    quick(max_epochs=2, folder=tmp_path).fit(x)
    resumed = quick(max_epochs=4, folder=tmp_path, resume=True).fit(x)
    assert resumed.transform(x).tobytes() == straight.transform(x).tobytes()
    assert resumed.loss_curves_ == straight.loss_curves_
    assert sorted(p.name for p in tmp_path.iterdir()) == [CHECKPOINT, "losses.csv"]


def test_a_fold_does_not_go_on_from_the_checkpoint_of_another_fold_of_the_same_size(tmp_path: Path) -> None:
    x = aligned(30)
    quick(folder=tmp_path, resume=True).fit(x[np.arange(20)])
    with pytest.raises(WeightsError, match="other settings: data"):
        quick(folder=tmp_path, resume=True).fit(x[np.arange(10, 30)])


def test_saved_and_opened_it_gives_the_same_vectors(tmp_path: Path) -> None:
    both = concat([corpus("a", 12), corpus("b", 9, shift=40.0)], ["near", "far"])
    encoder = quick(words=5, padding="ignore", unpooling="none", random_state=None).fit(both)
    encoder.save(tmp_path / "weights")
    again = ConvAutoencoder.from_pretrained(tmp_path / "weights", scaler="far")
    np.testing.assert_array_equal(again.transform(both), encoder.set_params(scaler="far").transform(both))
    np.testing.assert_array_equal(again.reconstruct(both), encoder.reconstruct(both))
    with pytest.raises(DataError, match="exists already"):
        encoder.save(tmp_path / "weights")
    with pytest.raises(WeightsError, match="do not fit"):
        ConvAutoencoder.from_pretrained(tmp_path / "weights", depth=3)


def test_cells_that_are_not_finite_are_told_and_become_the_minimum() -> None:
    x = np.random.default_rng(0).random((8, 20, 20), np.float32)
    x[3, 2, 5] = -np.inf
    with pytest.warns(
        UserWarning, match=r"1 cells are not finite.*utterance 3, step 2, column matrix\.array-matrix-05"
    ):
        encoder = quick(validation_fraction=0).fit(x)
    assert np.isfinite(encoder.transform(x)).all()


def test_with_padding_ignored_cells_that_are_not_finite_are_left_out_of_the_loss() -> None:
    data = aligned(8)
    row, step = np.argwhere(data.mask)[0]
    data.values[row, step, 3] = np.nan
    with pytest.warns(UserWarning, match="1 cells are not finite"):
        fitted = quick(padding="ignore", validation_fraction=0.0).fit(data)
    seen = fitted._samples(data).batch(np.arange(8)).mask["aligned"].numpy()
    assert not seen[row, step, 3]
    assert seen.sum() == data.column_mask().sum() - 1


def test_data_that_do_not_fit_are_one_clear_error() -> None:
    encoder = quick().fit(aligned())
    with pytest.raises(SpecificationError, match="align with words=6"):
        encoder.transform(aligned(steps=8))
    with pytest.raises(SpecificationError, match=r"audio\.c0"):
        encoder.transform(np.zeros((3, 6, 20), np.float32))
    with pytest.raises(SpecificationError, match="switches, none"):
        quick(unpooling="nearest").fit(aligned())
    with pytest.raises(SpecificationError, match="count, ignore"):
        quick(padding="none").fit(aligned())
    with pytest.raises(SpecificationError, match="public-code"):
        quick(schedule="cosine").fit(aligned())
    with pytest.raises(ValueError, match="dim 4"):
        quick().fit(np.zeros((3, 2, 2, 2), np.float32))


def test_the_public_code_s_learning_rates_and_a_plateau_s() -> None:
    x = np.zeros((4, 2, 2), np.float32)  # nothing to learn: the validation loss soon stands still
    slip = quick(max_epochs=25, patience=99, validation_fraction=0.5).fit(x)
    rates = [round(row["learning_rate"], 9) for row in slip.loss_curves_]
    assert rates == [0.02] * 12 + [0.002] * 11 + [0.0002] * 2
    flat = quick(max_epochs=13, patience=99, validation_fraction=0.5, schedule="constant").fit(x)
    assert {row["learning_rate"] for row in flat.loss_curves_} == {0.02}


def test_a_run_does_not_go_on_with_another_decoder(tmp_path: Path) -> None:
    x = np.random.default_rng(3).random((12, 18, 20), dtype=np.float32)
    quick(folder=tmp_path).fit(x)
    with pytest.raises(WeightsError, match="other settings: network"):
        quick(folder=tmp_path, resume=True, unpooling="none").fit(x)
