"""Data that cannot be used, or only with care: a clear error, or the handling that the documentation names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from trivium.corpus import Aligned, Corpus, Specification, Stream, StreamSpecification, Utterance
from trivium.errors import DataError, SpecificationError, WeightsError
from trivium.evaluate import ReadLedger, named_protocol, plan_evaluation
from trivium.fuse import ModalityDropout
from trivium.predict import EmotionClassifier, SentimentRegressor, network_request
from trivium.scale import StreamScaler, sequences
from trivium.train import TensorBatch

QUICK: dict[str, Any] = {"max_epochs": 3, "batch_size": 8, "progress": False, "random_state": 1, "learning_rate": 0.01}
Change = Callable[[Utterance, int], Utterance]


def changed(corpus: Corpus, change: Change) -> Corpus:
    return Corpus.from_utterances([change(u, i) for i, u in enumerate(corpus)], corpus.specification)


def with_values(u: Utterance, name: str, values: NDArray[Any]) -> Utterance:
    stream = u.streams[name]
    return replace(
        u, streams={**u.streams, name: Stream(values.astype(np.float32), stream.specification, stream.times)}
    )


def fitted(corpus: Corpus) -> SentimentRegressor:
    return SentimentRegressor("lf-dnn", label="sentiment", **QUICK).fit(corpus)


def test_utterances_without_a_label_are_answered_and_their_loss_is_not_counted(
    make_spoken: Callable[..., Corpus],
) -> None:
    some = changed(make_spoken(), lambda u, i: replace(u, labels={}) if i % 3 == 0 else u)
    made = SentimentRegressor("unimodal:dropout=0", label="sentiment", **{**QUICK, "batch_size": 60, "max_epochs": 1})
    made.set_params(validation_fraction=0, learning_rate=0.0).fit(some)
    known = some.labelled("sentiment")
    error = np.abs(made.predict(some) - some.label("sentiment"))[known].mean()
    assert made.loss_curves_[0]["train_loss"] == pytest.approx(error, rel=1e-5)
    assert np.isfinite(made.predict(some)).all()


def test_token_ids_of_a_release_are_not_read_as_numbers(make_spoken: Callable[..., Corpus]) -> None:
    plain, tokens = make_spoken(), StreamSpecification("text_tokens", ("id", "seen"), dtype="int32")
    rng = np.random.default_rng(0)
    specification = replace(plain.specification, streams=(*plain.specification.streams, tokens))
    both = Corpus.from_utterances(
        [
            replace(u, streams={**u.streams, "text_tokens": Stream(rng.integers(0, 30_000, (4, 2), np.int32), tokens)})
            for u in plain
        ],
        specification,
    )
    regressor = fitted(both)
    assert regressor.specification_.modalities == ("text", "audio")
    np.testing.assert_array_equal(regressor.predict(both), fitted(plain).predict(plain))


def test_a_label_that_nobody_has_is_one_error(make_spoken: Callable[..., Corpus]) -> None:
    none = changed(make_spoken(), lambda u, i: replace(u, labels={}))
    with pytest.raises(DataError, match="no utterance has a label"):
        fitted(none)


@pytest.mark.parametrize("label", ["mood", "emotions"])
def test_one_class_only_is_one_error(make_spoken: Callable[..., Corpus], label: str) -> None:
    only = changed(make_spoken(), lambda u, i: replace(u, labels={"mood": "up", "emotions": (0.0, 1.0, 0.0, 0.0)}))
    with pytest.raises(DataError, match=r"only one class|have the same classes"):
        EmotionClassifier("concat", label=label, **QUICK).fit(only)


def test_a_class_that_only_validation_has_is_named(make_spoken: Callable[..., Corpus]) -> None:
    corpus = make_spoken()
    down = corpus.label("mood") == "down"
    with pytest.raises(DataError, match=r"the class 'down' of .* does not occur in the training fold"):
        EmotionClassifier("concat", label="mood", **QUICK).fit(
            corpus[~down], validation=(corpus[down], corpus.label("mood")[down])
        )


def test_a_modality_that_is_zero_throughout_says_nothing_and_breaks_nothing(make_spoken: Callable[..., Corpus]) -> None:
    silent = changed(make_spoken(), lambda u, i: with_values(u, "audio", u.streams["audio"].values * 0))
    scaler = StreamScaler.fit(sequences(silent))
    assert scaler.std["audio"].tolist() == [1.0] and scaler.mean["audio"].tolist() == [0.0]
    assert np.isfinite(fitted(silent).predict(silent)).all()


def test_nan_in_one_column_counts_as_the_mean(make_spoken: Callable[..., Corpus]) -> None:
    def holed(u: Utterance, i: int) -> Utterance:
        values = u.streams["text"].values.copy()
        values[:, 1] = np.nan
        return with_values(u, "text", values)

    corpus = changed(make_spoken(), holed)
    made = fitted(corpus)
    assert np.isfinite(made.predict(corpus)).all() and all(
        np.isfinite(list(row.values())).all() for row in made.loss_curves_
    )
    batch = sequences(corpus).batch(np.array([0]))
    scaled = made.scaler_.transform("text", batch.values["text"], batch.mask["text"])
    assert (scaled[:, :, 1] == 0).all() and (scaled[:, :, 0] != 0).any()


def test_a_sequence_without_steps_is_a_missing_modality(make_spoken: Callable[..., Corpus]) -> None:
    corpus = make_spoken()
    empty = changed(corpus, lambda u, i: with_values(u, "text", np.zeros((0, 2))) if i < 6 else u)
    without = changed(corpus, lambda u, i: replace(u, streams={"audio": u.streams["audio"]}) if i < 6 else u)
    ours, theirs = fitted(empty), fitted(without)
    np.testing.assert_array_equal(ours.predict(empty), theirs.predict(without))
    all_empty = changed(corpus, lambda u, i: with_values(u, "text", np.zeros((0, 2))))
    assert np.isfinite(fitted(all_empty).predict(all_empty)).all()


def test_ids_that_repeat_are_refused(make_spoken: Callable[..., Corpus], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'u0' appears twice"):
        changed(make_spoken(), lambda u, i: replace(u, id="u0") if i == 7 else u)
    spec = Specification((StreamSpecification("audio", ("f0",), clock="words"),), make_spoken().specification.labels)
    table = {"label.sentiment": np.zeros(3), "split.a": np.array(["train", "valid", "test"])}
    x = Aligned.from_arrays(np.ones((3, 2, 1), np.float32), spec, ids=np.array(["a", "b", "a"]), table=table)
    with pytest.raises(DataError, match="the id 'a' appears 2 times"):
        plan_evaluation(x, named_protocol("mosi"), "sentiment", ledger=ReadLedger(tmp_path / "r"))


def test_an_infinite_label_is_named() -> None:
    x = np.random.default_rng(0).standard_normal((8, 3, 2)).astype(np.float32)
    y = np.r_[np.zeros(7), np.inf]
    with pytest.raises(DataError, match="infinite"):
        SentimentRegressor("concat", **QUICK).fit(x, y)


def test_mixed_precision_learns_the_same_task_and_predicts_in_float32(make_spoken: Callable[..., Corpus]) -> None:
    corpus = make_spoken()
    settings = {**QUICK, "max_epochs": 15, "validation_fraction": 0}
    plain, mixed = (
        SentimentRegressor("concat", label="sentiment", precision=p, **settings).fit(corpus) for p in ("fp32", "bf16")
    )
    assert {tensor.dtype for tensor in mixed.network_.parameters()} == {torch.float32}
    assert mixed.loss_curves_[0]["train_loss"] != plain.loss_curves_[0]["train_loss"]
    assert mixed.score(corpus, corpus.label("sentiment")) > 0.7
    np.testing.assert_allclose(mixed.predict(corpus), plain.predict(corpus), atol=0.3)


def test_accumulated_batches_make_the_step_of_one_large_batch(make_spoken: Callable[..., Corpus]) -> None:
    corpus = make_spoken(21)  # 21 = 5 batches of 4 and one of 1
    settings = {**QUICK, "label": "sentiment", "validation_fraction": 0}
    whole, pieces = (
        SentimentRegressor("unimodal:dropout=0", **{**settings, "batch_size": size}, accumulate=count).fit(corpus)
        for size, count in ((21, 1), (4, 6))
    )
    np.testing.assert_allclose(pieces.predict(corpus), whole.predict(corpus), atol=1e-5)


class Seen(torch.nn.Module):
    """Gives what it was shown."""

    def forward(self, batch: TensorBatch) -> dict[str, torch.Tensor]:
        return {name: mask.float() for name, mask in batch.mask.items()} | {
            f"{name}_values": values for name, values in batch.values.items()
        }


def tensor_batch(n: int = 2000, steps: int = 4) -> TensorBatch:
    names = ("text", "audio")
    mask = {name: torch.ones(n, steps, dtype=torch.bool) for name in names}
    mask["audio"][: n // 4] = False
    return TensorBatch(torch.arange(n), {name: torch.ones(n, steps, 3) for name in names}, mask, {})


def test_dropout_of_modalities_drops_at_its_rate_and_leaves_everybody_something() -> None:
    torch.manual_seed(0)
    batch = tensor_batch()
    seen = ModalityDropout(Seen(), modalities=0.3)(batch)
    text, audio = seen["text"].any(dim=1), seen["audio"].any(dim=1)
    assert (text | audio).all() and text[:500].all()  # the last modality of a sample stays
    lost = (~text[500:] | ~audio[500:]).float().mean()
    assert lost == pytest.approx(1 - 0.7**2, abs=0.04)
    assert torch.equal(seen["text_values"][:, :, 0], seen["text"])


def test_dropout_of_steps_drops_single_steps_and_none_in_evaluation() -> None:
    torch.manual_seed(0)
    module = ModalityDropout(Seen(), steps=0.4)
    assert module(tensor_batch())["text"].mean().item() == pytest.approx(0.6, abs=0.02)
    assert module.eval()(tensor_batch())["text"].mean().item() == 1.0
    few = ModalityDropout(Seen(), modalities=0.5, steps=0.98)(tensor_batch(steps=2))
    left = torch.cat([few["text"], few["audio"]], dim=1).sum(dim=1)
    assert left.min() == 1 and left.float().mean() < 1.2  # nobody loses the last step
    for rate in (-0.1, 1.0):
        with pytest.raises(SpecificationError, match="cannot be dropped"):
            ModalityDropout(Seen(), modalities=rate)


def test_training_with_dropped_modalities_goes_on_with_the_same_bytes(
    make_spoken: Callable[..., Corpus], tmp_path: Path
) -> None:
    corpus = make_spoken()
    settings = {**QUICK, "label": "sentiment", "drop_modalities": 0.3, "drop_steps": 0.2}
    whole = SentimentRegressor("concat", **settings).fit(corpus).predict(corpus)
    SentimentRegressor("concat", **{**settings, "max_epochs": 1}, folder=tmp_path).fit(corpus)
    rest = SentimentRegressor("concat", **settings, folder=tmp_path, resume=True).fit(corpus)
    assert rest.predict(corpus).tobytes() == whole.tobytes()
    plain = SentimentRegressor("concat", **{**settings, "drop_modalities": 0.0, "drop_steps": 0.0}).fit(corpus)
    assert plain.predict(corpus).tobytes() != whole.tobytes()


@pytest.mark.parametrize(("request_text", "problem"), [("tfn:", "no request"), ("tfn:colour=1", "no option 'colour'")])
def test_a_request_for_a_network_says_what_it_does_not_know(request_text: str, problem: str) -> None:
    with pytest.raises(SpecificationError, match=problem):
        network_request(request_text)


def test_options_of_a_network_reach_it(make_spoken: Callable[..., Corpus]) -> None:
    made = SentimentRegressor('lf-dnn:fusion=7:hidden={"text": 5, "audio": 3}', label="sentiment", **QUICK)
    made.fit(make_spoken())
    assert made.outputs(make_spoken())["feature_text"].shape[1] != made.outputs(make_spoken())["feature_audio"].shape[1]
    with pytest.raises(SpecificationError, match="lf-dnn"):
        SentimentRegressor("lf-dnn:fusion=wide", label="sentiment", **QUICK).fit(make_spoken())


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"learning_rate": -1.0}, "learning rate cannot be -1.0"),
        ({"learning_rate": float("nan")}, "learning rate cannot be nan"),
        ({"weight_decay": -1.0}, "weight decay cannot be -1.0"),
        ({"clip_norm": -1.0}, "clip norm cannot be -1.0"),
        ({"clip_norm": 0.0}, "clip norm cannot be 0.0"),
        ({"random_state": -1}, "the seed cannot be -1"),
        ({"max_epochs": -1}, "max epochs cannot be -1"),
        ({"batch_size": 0}, "batch size cannot be 0"),
    ],
)
def test_settings_out_of_their_range_are_refused(
    make_spoken: Callable[..., Corpus], settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SpecificationError, match=problem):
        SentimentRegressor("concat", label="sentiment", **{**QUICK, **settings}).fit(make_spoken(20))


@pytest.mark.parametrize(
    ("network", "objectives", "problem"),
    [
        ("tfn:fusion=0", [], "tfn:fusion=0: "),
        ("self-mm", ["reconstruction"], "reconstruction is of representations"),
        ("self-mm", ["regression:label=nope"], "regression is the task"),
        ("self-mm", ["classes"], "classes is the task"),
        ("self-mm", ["ordinal"], "ordinal is the task"),
        ("self-mm", ["unimodal_labels:label=nope"], "asks for the label nope"),
        ("self-mm", ["central_moments:layer=raw"], "text has 2 features and audio 16. Remedy: give a width"),
        ("self-mm", ["pair_contrast:width=0:layer=raw"], "text has 2 features and audio 16. Remedy: give a width"),
        ("self-mm", ["modal_alignment:width=-3"], "width cannot be -3"),
        ("self-mm", ["modal_alignment:weight=1", "modal_alignment:weight=2"], "one of each name"),
    ],
)
def test_objectives_that_cannot_stand_beside_the_task_are_refused(
    make_spoken: Callable[..., Corpus], network: str, objectives: list[str], problem: str
) -> None:
    with pytest.raises(SpecificationError, match=problem):
        SentimentRegressor(network, objectives, label="sentiment", **QUICK).fit(make_spoken(20))


@pytest.mark.parametrize("label", ["mood", "emotions"])
def test_labels_of_modalities_need_one_number(make_spoken: Callable[..., Corpus], label: str) -> None:
    made = EmotionClassifier("self-mm", ["unimodal_labels:limit=3"], label=label, **QUICK)
    with pytest.raises(SpecificationError, match=r"give several numbers.*learn a number"):
        made.fit(make_spoken())


def test_weights_that_are_not_finite_are_not_saved(make_spoken: Callable[..., Corpus], tmp_path: Path) -> None:
    made = SentimentRegressor("concat", label="sentiment", **QUICK).fit(make_spoken(20))
    with torch.no_grad():
        next(made.network_.parameters()).fill_(float("inf"))
    with pytest.raises(WeightsError, match="not finite"):
        made.save(tmp_path / "w", export=False)
    assert not (tmp_path / "w").exists()
