"""The default weights: mean and spread beside Fisher vectors, fitted without labels; a head for RAVDESS, joined late.

``build_weights.py talking-clips`` calls this. Scores are of six folds of four actors, in each of which representation
and readout are fitted anew: the tested actors take part in neither. Nothing is chosen here by a tested actor: the
options below are those that ``--choose`` found on the validation folds of actors 1 to 20.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score

from trivium.align import align, cut_into_windows
from trivium.corpus import Aligned, Corpus, Specification, concat
from trivium.evaluate import LateReadout, LinearReadout, late_head
from trivium.files import read_json
from trivium.progress import track
from trivium.represent import Beside, FisherVectors, Statistics
from trivium.represent.pooling import Flatten, FlattenPCA, MeanPooling, MeanStdPooling, Missingness
from trivium.weights import Card, LinearHead, Score, TrainingCorpus, load_weights, save_weights

__all__ = ["build", "choose", "qualified", "renew_card"]

Vectors = NDArray[np.floating]
Places = dict[str, tuple[int, int]]
SUITE = Path(__file__).resolve().parent.parent / "docs" / "results" / "suite.json"
WORDS, FOLDS, DRAWS = 20, 6, 2000
GAUSSIANS = 2  # 0, 2, 4 and 8 read .676, .699, .688 and .686 on validation folds of actors 1 to 20
REGRESSION = "ridge"  # as in the suite: on validation as good as logistic regression, in a part of the time
WHICH, MIXED = "mean,spread", "audio,vision"
VOICE = ("audio", "audio_whisper")
ACTOR_FOLDS = [tuple(f"{actor:02d}" for actor in range(4 * k + 1, 4 * k + 5)) for k in range(FOLDS)]
LIMITATIONS = (
    "The head reads the voice alone: RAVDESS has two sentences, and no face was extracted from it.",
    "The head learned from emotions that 20 North American actors acted (4 more set its temperature); what people feel "
    "is another matter.",
    "The scores are of representations that had not seen the tested actors; the one in this folder has seen all 24, "
    "without labels.",
    "Whisper, whose states are among the columns, was itself trained with transcripts: supervised recognition.",
    "Everything is by word: of what a voice does within a word only the average is left.",
    "The number of Gaussians and the statistics were chosen on validation folds of actors 1 to 20, whose clips are "
    "test rows of other folds; an early look at some twenty variants also printed the recall of actors 21 to 24, by "
    "which nothing was chosen.",
    "English only. Nothing here says whether a person tells the truth.",
)


FLOORS: dict[str, Any] = {
    "missingness": Missingness(),
    "mean pooling": MeanPooling(),
    "mean and standard deviation": MeanStdPooling(),
    "flattened": Flatten(),
    "its components": FlattenPCA(),
}


class Fold(NamedTuple):
    """Answers for the utterances of some actors, by what gave them; the name of these weights is empty."""

    tested: NDArray[np.bool_]
    answers: dict[str, NDArray[Any]]


def build(ravdess: Path, real: Path, out: Path) -> None:
    """Fit, measure and write ``talking-clips``."""
    speech, joined = material(ravdess, real)
    score, verdict = measured(speech, joined)
    fitted = representation().fit(joined, corpora=np.full(len(joined), "all"))
    card = Card(
        "Words, voice and face of talking clips",
        "CC BY-NC-SA 4.0 (RAVDESS), research use only (real-life clips); no commercial use",
        (
            TrainingCorpus("ravdess", fitted.corpora_["ravdess"], "CC BY-NC-SA 4.0", "Livingstone & Russo (2018)"),
            TrainingCorpus(
                "real-life", fitted.corpora_["real-life"], "research release", "Perez-Rosas et al. (2015), unlabelled"
            ),
        ),
        paper="Perronnin, Sanchez & Mensink (2010) for the Fisher vectors; that they stand beside mean and spread, and "
        "how the head joins blocks, is trivium's",
        scores=(score,),
        pooled="One scaler for both corpora, so that what was fitted is what is used.",
        limitations=(verdict, *LIMITATIONS),
        evidence=evidence(),
    )
    fitted.save(out / "talking-clips", card=card, head=emotion_head(fitted, speech), overwrite=True)


def renew_card(folder: Path) -> None:
    """Write what the bench says today, and the limitations above, into the card; everything else stays as it was."""
    weights = load_weights(folder)
    verdict = weights.card.limitations[0]
    save_weights(
        folder,
        weights.config,
        state=weights.state(),
        encoder=weights.read("encoder.onnx"),
        scalers=weights.scalers,
        card=replace(weights.card, evidence=evidence(), limitations=(verdict, *LIMITATIONS)),
        head=weights.head,
        overwrite=True,
    )


def material(ravdess: Path, real: Path) -> tuple[Aligned, Aligned]:
    """Labelled speech, and unlabelled utterances of both corpora, by word."""
    clips = cut_into_windows(Corpus.open(real), WORDS)
    given = Corpus.open(ravdess)
    # RAVDESS gets a face that no utterance has, so that it joins with clips that have one
    acted = Corpus.from_utterances(
        list(given), Specification(clips.specification.streams, given.specification.labels), given.provenance
    )
    both = concat([qualified(acted, "ravdess"), qualified(clips, "real-life")], ["ravdess", "real-life"])
    return align(acted, words=WORDS), align(both, words=WORDS)


def qualified(corpus: Corpus, name: str) -> Corpus:
    """Ids that are unique across corpora, no labels and no splits: nothing but columns is used."""
    specification = replace(corpus.specification, labels=())
    kept = [replace(u, id=f"{name}/{u.id}", labels={}, splits={}) for u in corpus]
    return Corpus.from_utterances(kept, specification, corpus.provenance)


def representation(gaussians: int = GAUSSIANS, which: str = WHICH) -> Beside:
    """What is fitted, before it is."""
    statistics = ("statistics", Statistics(which, words=WORDS))
    if not gaussians:
        return Beside((statistics,), words=WORDS)
    fisher = FisherVectors(n_components=gaussians, words=WORDS, modalities=MIXED)
    return Beside((statistics, ("fisher-vectors", fisher)), words=WORDS)


def places(fitted: Beside) -> Places:
    """Blocks of the voice in a vector, each read by a regression of its own."""
    names = [str(name) for name in fitted.get_feature_names_out()]
    whisper, voice, fisher = (f"{part}." for part in (
        "statistics.audio_whisper", "statistics.audio", "fisher-vectors.fisher.audio"
    ))  # fmt: skip
    chosen = {"statistics of the voice": [n.startswith(voice) and not n.endswith(".seen") for n in names]}
    for statistic in ("mean", "spread", "slope"):
        chosen[f"{statistic} of Whisper's states"] = [
            n.startswith(whisper) and n.endswith(f".{statistic}") for n in names
        ]
    chosen["Fisher vector of the voice"] = [n.startswith(fisher) for n in names]
    found = {name: np.flatnonzero(there) for name, there in chosen.items() if any(there)}
    return {name: (int(rows[0]), int(rows[-1]) + 1) for name, rows in found.items()}


def voice_vectors(fitted: Beside, speech: Aligned) -> Vectors:
    """Vectors of the utterances with text and face masked, as the head will get them."""
    return fitted.transform(speech.only(VOICE))


def evidence() -> tuple[str, ...]:
    """What the contrasts of the bench say of the method, read from its page's numbers."""
    tracks = read_json(SUITE)["tracks"]
    return tuple(
        f"Statistics or functionals beside Fisher vectors in the bench (docs/results/suite.md), track {name}, "
        f"{track['columns']}. Declared row minus the floor that validation picked, 95 %; columns, steps and blocks are "
        "others than in these weights:\n\n"
        + "\n".join(f"- {contrast_in_words(title, task)}" for title, task in track["tasks"].items())
        for name, track in sorted(tracks.items(), reverse=True)
    )


def contrast_in_words(title: str, task: Mapping[str, Any]) -> str:
    """Differences to the declared floors, to harder ones, and to the same with a mixture that was not trained."""
    told = [
        f"{name} {in_words(found['difference'], *found['interval'])}"
        for name, found in (
            (f"**{task['contrast']['outcome']}**", task["contrast"]),
            ("beside harder floors", task["harder"]),
            ("by training the mixture", task["learned"]["untrained"]),
        )
    ]
    beside = " (stands beside, not counted)" if task["beside"] else ""
    return f"{title}{beside}, {task['contrast']['measure']}: {'; '.join(told)}"


def in_words(value: float, low: float, high: float) -> str:
    """A difference with its interval."""
    return f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def blocks_of(vectors: Vectors, where: Mapping[str, tuple[int, int]]) -> dict[str, Vectors]:
    """Columns of each block."""
    return {name: vectors[:, start:stop] for name, (start, stop) in where.items()}


def regressions(blocks: Mapping[str, Vectors], speech: Aligned, train: NDArray[np.bool_]) -> dict[str, LinearReadout]:
    """A regression for every block, its strength chosen on inner folds of actors."""
    y, groups = speech.label("emotion")[train], speech.group("actor")[train]
    fitted = LinearReadout("classes", regression=REGRESSION)
    return {name: clone(fitted).fit(block[train], y, groups=groups) for name, block in blocks.items()}


def joined_late(readouts: Mapping[str, LinearReadout], widths: Mapping[str, int], y: NDArray[Any]) -> LateReadout:
    """The same regressions, joined by weights that the inner folds choose."""
    own = {name: readouts[name] for name in widths}
    return LateReadout(dict(widths), regression=REGRESSION).join(own, y)


def emotion_head(fitted: Beside, speech: Aligned) -> LinearHead:
    """One linear head of 20 actors; the last four set its temperature."""
    vectors, where = voice_vectors(fitted, speech), places(fitted)
    held_out = np.isin(speech.group("actor"), ACTOR_FOLDS[-1])
    blocks = blocks_of(vectors, where)
    widths = {name: block.shape[1] for name, block in blocks.items()}
    y = speech.label("emotion")[~held_out]
    readout = joined_late(regressions(blocks, speech, ~held_out), widths, y)
    head = late_head(readout, vectors[~held_out], where, label="emotion", modalities=VOICE)
    return head.calibrated(vectors[held_out], speech.label("emotion")[held_out])


def rows_without(joined: Aligned, speech: Aligned, tested: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Unlabelled utterances that are not of the tested actors."""
    return ~np.isin(joined.ids, [f"ravdess/{name}" for name in speech.ids[tested]])


def measured(speech: Aligned, joined: Aligned) -> tuple[Score, str]:
    """Recall by actor beside its floors, and in words how they compare."""
    folds = [fold_of(speech, joined, actors) for actors in track(ACTOR_FOLDS, "folds of actors")]
    y, actors = speech.label("emotion"), speech.group("actor")
    recalls = {
        name: [float(balanced_accuracy_score(y[f.tested], f.answers[name])) for f in folds] for name in folds[0].answers
    }
    for name, found in recalls.items():
        print(f"{name or 'these weights'}: {np.mean(found):.3f} ± {np.std(found):.3f}  {np.round(found, 3)}")
    floors = {"majority": 1 / len(np.unique(y)), **{n: float(np.mean(r)) for n, r in recalls.items() if n}}
    said = {name: np.concatenate([f.answers[name] for f in folds]) for name in recalls}
    order = np.concatenate([np.flatnonzero(f.tested) for f in folds])
    best = max((name for name in recalls if name), key=lambda name: floors[name])
    apart = {
        name: difference(y[order], said[""], said[name], actors[order])
        for name in dict.fromkeys((best, "without Fisher vectors"))
    }
    score = Score(
        "emotion of RAVDESS, voice alone, 6 folds of 4 actors, everything refitted in each (± over folds); floors are "
        "of the same columns by word, in one regression but for the last, which is joined late too",
        "unweighted recall",
        float(np.mean(recalls[""])),
        float(np.std(recalls[""])),
        floors,
    )
    return score, verdict_of(best, apart)


def verdict_of(best: str, apart: Mapping[str, tuple[float, float, float]]) -> str:
    """What the differences to the best floor and to the same without what is learned say, plainly."""
    _, low, high = apart[best]
    said = "is better than" if low > 0 else "is worse than" if high < 0 else "cannot be told apart from"
    told = "; ".join(f"{name} {in_words(*found)}" for name, found in apart.items())
    return (
        f"The head {said} its best floor ({best}). Differences of recall: {told} (95 %, actors resampled, trained "
        "models held fixed)."
    )


def fold_of(speech: Aligned, joined: Aligned, actors: tuple[str, ...]) -> Fold:
    """Answers for four actors of everything that is compared, all fitted without them."""
    tested = np.isin(speech.group("actor"), actors)
    rows = np.flatnonzero(rows_without(joined, speech, tested))
    fitted = representation().fit(joined[rows], corpora=np.full(len(rows), "all"))
    blocks = blocks_of(voice_vectors(fitted, speech), places(fitted))
    readouts = regressions(blocks, speech, ~tested)
    heard = speech.select(VOICE)
    train, rest = heard[np.flatnonzero(~tested)], heard[np.flatnonzero(tested)]
    y, groups = train.label("emotion"), train.group("actor")
    answers = {}
    for name, floor in FLOORS.items():
        readout = LinearReadout("classes", regression=REGRESSION)
        readout.fit(floor.fit(train).transform(train), y, groups=groups)
        answers[name] = readout.predict(floor.transform(rest))
    for name, left_out in (("without Fisher vectors", "Fisher"), ("", "nothing")):
        kept = {block: part for block, part in blocks.items() if not block.startswith(left_out)}
        late = joined_late(readouts, {block: part.shape[1] for block, part in kept.items()}, y)
        answers[name] = late.predict(np.concatenate(list(kept.values()), axis=1)[tested])
    return Fold(tested, answers)


def difference(
    y: NDArray[Any], ours: NDArray[Any], theirs: NDArray[Any], clusters: NDArray[Any]
) -> tuple[float, float, float]:
    """Difference of recall with its 95 % interval from resampled clusters."""
    classes, names = np.unique(y), np.unique(clusters)
    hits = np.stack([said == y for said in (ours, theirs)]).astype(float)
    cells = [[(clusters == name) & (y == c) for c in classes] for name in names]
    right = np.array([[hits[:, cell].sum(axis=1) for cell in row] for row in cells])  # clusters, classes, systems
    count = np.array([[cell.sum() for cell in row] for row in cells])
    draws = np.random.default_rng(0).integers(len(names), size=(DRAWS, len(names)))
    recalls = (right[draws].sum(axis=1) / count[draws].sum(axis=1)[:, :, None]).mean(axis=1)
    whole = (right.sum(axis=0) / count.sum(axis=0)[:, None]).mean(axis=0)
    low, high = np.quantile(recalls[:, 0] - recalls[:, 1], [0.025, 0.975])
    return float(whole[0] - whole[1]), float(low), float(high)


def choose(ravdess: Path, real: Path) -> None:
    """Print what options read on validation folds of the first 20 actors; the last four take no part."""
    speech, joined = material(ravdess, real)
    tested = np.isin(speech.group("actor"), ACTOR_FOLDS[-1])
    rows = np.flatnonzero(rows_without(joined, speech, tested))
    for which in (WHICH, "mean,spread,slope"):
        for gaussians in (0, 2, 4, 8):
            fitted = representation(gaussians, which).fit(joined[rows], corpora=np.full(len(rows), "all"))
            blocks = blocks_of(voice_vectors(fitted, speech), places(fitted))
            widths = {name: block.shape[1] for name, block in blocks.items()}
            y = speech.label("emotion")[~tested]
            found = joined_late(regressions(blocks, speech, ~tested), widths, y).validation_score_
            print(f"{which}, {gaussians} Gaussians: {found:.3f}, {fitted.n_features_out_} numbers", flush=True)
