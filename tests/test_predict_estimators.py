"""Estimators: they learn, keep scikit-learn's contract, see no test fold, go on after a stop, and say what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.utils.estimator_checks import check_estimator

from trivium import registry
from trivium.corpus import Aligned, Corpus, Specification, Stream, StreamSpecification, Utterance
from trivium.corpus.specification import LabelSpecification
from trivium.corpus.utterance import LabelValue
from trivium.errors import DataError, SpecificationError, TriviumError
from trivium.predict import EmotionClassifier, SentimentRegressor
from trivium.scale import AlignedSequences, StreamScaler, sequences

TEXT = StreamSpecification("text", ("x", "y", "z"), clock="words")
AUDIO = StreamSpecification("audio", ("f0", "energy"))
VISION = StreamSpecification("vision", ("smile", "brow"))
SENTIMENT = LabelSpecification("sentiment", "regression", range=(-3.0, 3.0))
MOOD = LabelSpecification("mood", "multiclass", ("down", "level", "up"))
THOROUGH: dict[str, Any] = {
    "max_epochs": 30,
    "learning_rate": 1e-2,
    "progress": False,
    "validation_fraction": 0,
    "batch_size": 16,
}
# One step an epoch on the few hundred rows of scikit-learn's checks, of which two ask that something is learned.
FEW_STEPS: dict[str, Any] = {
    "max_epochs": 10,
    "learning_rate": 0.05,
    "batch_size": 256,
    "validation_fraction": 0,
    "progress": False,
}
QUICK: dict[str, Any] = {"max_epochs": 3, "progress": False, "batch_size": 8}


def spoken(n: int = 48, seed: int = 0) -> Corpus:
    """Synthetic utterances of 3 to 8 words with lengths of their own; sentiment is what text and audio say together."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        means = rng.uniform(-1.5, 1.5, 2)
        value = float(np.clip(means.sum(), -3, 3))
        streams = {
            s.modality: Stream(
                (rng.standard_normal((int(rng.integers(3, 9)), s.dim)) * 0.1 + mean).astype(np.float32), s
            )
            for s, mean in ((TEXT, means[0]), (AUDIO, means[1]), (VISION, 0.0))
        }
        if i % 7 == 3:
            del streams["vision"]
        mood = MOOD.classes[int(np.digitize(value, (-0.7, 0.7)))]
        labels: dict[str, LabelValue] = {"sentiment": value, "mood": mood} if i % 11 else {}
        made.append(Utterance(f"u{i}", streams, labels=labels, groups={"speaker": f"s{i % 8}"}))
    return Corpus.from_utterances(made, Specification((TEXT, AUDIO, VISION), (SENTIMENT, MOOD)))


def aligned(n: int = 48) -> tuple[Aligned, NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 4, 7)).astype(np.float32)
    return Aligned.from_arrays(x, Specification((TEXT, AUDIO, VISION))), x[:, :, :4].mean(axis=(1, 2)).astype(float)


@pytest.mark.parametrize("network", ["lf-dnn", "self-mm"])
def test_a_number_is_learned_from_a_corpus_with_clocks_of_its_own(network: str) -> None:
    corpus = spoken()
    regressor = SentimentRegressor(network, label="sentiment", **THOROUGH).fit(corpus)
    known = corpus.labelled("sentiment")
    assert regressor.score(corpus[known], corpus.label("sentiment")[known]) > 0.8


def test_classes_are_learned_and_probabilities_sum_to_one() -> None:
    corpus = spoken()
    classifier = EmotionClassifier("lf-dnn", label="mood", class_weight="balanced", **THOROUGH).fit(corpus)
    known = corpus.labelled("mood")
    assert classifier.classes_.tolist() == ["down", "level", "up"]
    assert classifier.score(corpus[known], corpus.label("mood")[known]) > 0.8
    np.testing.assert_allclose(classifier.predict_proba(corpus).sum(axis=1), 1, rtol=1e-5)


ALIGNED_ONLY = [e.name for e in registry.entries("network") if registry.load("network", e.name).aligned]


@pytest.mark.parametrize("network", [entry.name for entry in registry.entries("network")])
def test_every_network_takes_an_aligned_set(network: str) -> None:
    x, y = aligned()
    made = SentimentRegressor(network, **{**QUICK, "max_epochs": 1}).fit(x, y)
    assert made.predict(x).shape == (48,)
    assert np.isfinite(made.predict(x)).all()


def test_objectives_join_the_task_and_their_heads_are_trained_and_left_behind() -> None:
    corpus = spoken()
    requests = ("modal_alignment:weight=5", "unimodal_labels:limit=3", "pair_contrast:pairs=text+audio:weight=0.1")
    made = SentimentRegressor("self-mm", requests, label="sentiment", **QUICK).fit(corpus)
    names = set(made.loss_curves_[-1])
    assert {"train_regression", "train_modal_alignment", "train_unimodal_labels", "train_pair_contrast"} <= names
    assert {"modal_alignment_trace_text", "unimodal_labels_largest_shift"} <= names
    assert not [name for name, _ in made.network_.named_parameters() if "maps" in name]
    assert set(made.unimodal(corpus)) == {"text", "audio", "vision"}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    x, y = aligned()
    first, again = (SentimentRegressor("lf-dnn", random_state=3, **QUICK).fit(x, y).predict(x) for _ in range(2))
    other = SentimentRegressor("lf-dnn", random_state=4, **QUICK).fit(x, y).predict(x)
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_a_run_that_stopped_goes_on_with_the_same_bytes(tmp_path: Path) -> None:
    corpus = spoken()
    options: dict[str, Any] = {**QUICK, "label": "sentiment", "max_epochs": 4}
    requests = ("unimodal_labels:limit=3", "modal_alignment:memory=0.5")
    whole = SentimentRegressor("self-mm", requests, **options).fit(corpus).predict(corpus)
    SentimentRegressor("self-mm", requests, **{**options, "max_epochs": 2}, folder=tmp_path).fit(corpus)
    rest = SentimentRegressor("self-mm", requests, **options, folder=tmp_path, resume=True).fit(corpus)
    assert rest.predict(corpus).tobytes() == whole.tobytes()


def test_padding_and_company_change_no_prediction() -> None:
    corpus = spoken()
    made = SentimentRegressor("lf-dnn", label="sentiment", **QUICK).fit(corpus)
    together, alone = made.predict(corpus), [made.predict(corpus[[i]])[0] for i in range(len(corpus))]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_statistics_are_of_the_training_part_only() -> None:
    x, y = aligned()
    far = Aligned.from_arrays(x.values + 100, x.specification)
    made = SentimentRegressor("concat", **QUICK).fit(x, y, validation=(far, y))
    assert abs(made.scaler_.mean["text"]).max() < 1
    held = SentimentRegressor("concat", validation_fraction=0.5, **QUICK).fit(x, y)
    assert held.scaler_.mean["text"].tolist() != StreamScaler.fit(sequences(x)).mean["text"].tolist()


def test_statistics_are_those_of_numpy_over_seen_finite_cells() -> None:
    corpus = spoken(10)
    values = np.concatenate([u.streams["vision"].values for u in corpus if "vision" in u.streams]).astype(np.float64)
    scaler = StreamScaler.fit(sequences(corpus))
    np.testing.assert_allclose(scaler.mean["vision"], values.mean(axis=0))
    np.testing.assert_allclose(scaler.std["vision"], values.std(axis=0))
    x = np.array([[[1.0, 5.0]], [[3.0, 5.0]], [[np.inf, 5.0]]], np.float32)
    flat = StreamScaler.fit(AlignedSequences(Aligned.from_arrays(x, Specification((AUDIO,)))))
    assert (flat.mean["audio"].tolist(), flat.std["audio"].tolist()) == ([2.0, 5.0], [1.0, 1.0])
    assert flat.transform("audio", x, np.ones((3, 1), bool))[2].tolist() == [[0.0, 0.0]]


def test_a_whole_group_is_held_out() -> None:
    corpus = spoken()
    made = SentimentRegressor(
        "concat", label="sentiment", validation_groups="speaker", validation_fraction=0.2, **QUICK
    ).fit(corpus)
    speakers = np.unique(corpus.group("speaker"))
    without = [
        StreamScaler.fit(sequences(corpus[corpus.group("speaker") != a])).mean["text"].tolist() for a in speakers
    ]
    two = [
        StreamScaler.fit(sequences(corpus[~np.isin(corpus.group("speaker"), [a, b])])).mean["text"].tolist()
        for a in speakers
        for b in speakers
        if a < b
    ]
    assert made.scaler_.mean["text"].tolist() in without + two


def test_scikit_learn_hands_sets_and_groups_through() -> None:
    x, y = aligned()
    groups = np.arange(48) % 6
    scores = cross_val_score(SentimentRegressor("concat", **QUICK), x, y, groups=groups, cv=GroupKFold(3))
    assert np.isfinite(scores).all()


def test_a_clone_has_the_same_options() -> None:
    made = EmotionClassifier("tfn", ("modal_alignment",), class_weight="balanced", network_options={"hidden": 4})
    assert clone(made).get_params() == made.get_params()


@pytest.mark.parametrize(
    "made",
    [
        SentimentRegressor("concat", **FEW_STEPS),
        EmotionClassifier("concat", **FEW_STEPS),
    ],
    ids=lambda one: type(one).__name__,
)
def test_scikit_learns_own_checks(made: Any) -> None:
    results = check_estimator(made, on_skip=None)
    assert {one["status"] for one in results} <= {"passed", "skipped"}
    assert sum(one["status"] == "passed" for one in results) > 40


def test_what_does_not_fit_is_told() -> None:
    x, y = aligned()
    with pytest.raises(TriviumError, match="there is no network"):
        SentimentRegressor("transfusion", **QUICK).fit(x, y)
    with pytest.raises(SpecificationError, match="unexpected keyword"):
        SentimentRegressor("tfn", network_options={"colour": 3}, **QUICK).fit(x, y)
    with pytest.raises(SpecificationError, match="loss cannot be 'l7'"):
        SentimentRegressor("tfn", loss="l7", **QUICK).fit(x, y)
    with pytest.raises(SpecificationError, match="loss cannot be"):
        EmotionClassifier("tfn", loss="l7", **QUICK).fit(x, y > 0)
    with pytest.raises(SpecificationError, match="no unimodal heads"):
        SentimentRegressor("concat", ("unimodal_labels:limit=3",), **QUICK).fit(x, y)
    with pytest.raises(DataError, match="no utterance has a label"):
        SentimentRegressor("tfn", **QUICK).fit(x, np.full(48, np.nan))
    with pytest.raises(DataError, match="only one class"):
        EmotionClassifier("tfn", **QUICK).fit(x, np.full(48, "up"))
    with pytest.raises(DataError, match="y is missing"):
        SentimentRegressor("tfn", **QUICK).fit(x)
    with pytest.raises(DataError, match="47 labels for 48"):
        SentimentRegressor("tfn", **QUICK).fit(x, y[:-1])
    with pytest.raises(DataError, match="does not occur"):
        EmotionClassifier("tfn", **QUICK).fit(x, np.where(y > 0, "a", "b"), validation=(x[:2], ["a", "c"]))
    made = SentimentRegressor("concat", **QUICK).fit(x, y)
    other = Aligned.from_arrays(x.values[:, :, :5], Specification((TEXT, AUDIO)))
    with pytest.raises(SpecificationError, match="modalities"):
        made.predict(other)
