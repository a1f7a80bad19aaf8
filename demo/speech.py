"""First half of the demo: the built-in corpus of spoken words, a vector learned without labels, its score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from trivium.align import align
from trivium.corpus import Aligned, Corpus
from trivium.evaluate import ProbeResult, probe
from trivium.report import EmbeddingMap, Note, ScoreTable, principal_plane
from trivium.represent import Beside, FisherVectors, Statistics

CORPUS = Path(__file__).parent / "ravdess-words" / "corpus"
WORDS, FOLDS, SEED = 6, 6, 0
FLOORS = ("majority", "missingness", "mean", "mean-std", "flatten", "flatten-pca")
NAME = "mean and spread beside Fisher vectors"
CREDIT = Note(
    "The built-in corpus",
    "Features that trivium computed from RAVDESS (Livingstone and Russo 2018, doi.org/10.1371/journal.pone.0196391), "
    "licence CC BY-NC-SA 4.0: 24 actors, two sentences, eight acted emotions. What actors act is not what people feel.",
)


@dataclass(frozen=True, eq=False)
class Speech:
    """What the built-in corpus showed: its probe, and the vectors drawn as a map."""

    result: ProbeResult
    table: ScoreTable
    map: EmbeddingMap


def study_speech(folder: Path, *, seeds: int) -> Speech:
    """Fit without labels, embed, and probe by actor; the run's record goes to `folder`."""
    spoken = spoken_words()
    fisher = FisherVectors(n_components=8, random_state=SEED)
    joint = Beside((("statistics", Statistics("mean,spread")), ("fisher-vectors", fisher)), words=WORDS)
    # the classifier's matrices are small: threads of the linear algebra only wait for each other on a busy machine
    with threadpool_limits(1, user_api="blas"):
        result = probe(
            {NAME: joint},
            spoken,
            "emotion",
            group="actor",
            folds=FOLDS,
            seeds=seeds,
            floors=FLOORS,
            metrics=["uar"],
            out=folder,
        )
    table = ScoreTable.of(
        result,
        lead=f"{len(spoken):,} utterances of 24 actors. In each of {FOLDS} folds the mixture is learned, without "
        "labels, from 20 actors; a linear classifier then reads the vectors, and is tested on the 4 actors that "
        "neither has heard. A representation is worth what it adds to its floors, which get the same classifier.",
    )
    return Speech(result, table, _map(spoken, joint))


def spoken_words() -> Aligned:
    """The voice of the built-in corpus, one step per word; its two sentences say nothing about emotion."""
    return align(Corpus.open(CORPUS), words=WORDS, show=False).select(["audio"])


def _map(spoken: Aligned, joint: Beside) -> EmbeddingMap:
    points, shares = principal_plane(joint.fit(spoken).transform(spoken))
    first_words = spoken.words[:, 0].tolist()
    names = [f"actor {a}, “{w} …”" for a, w in zip(spoken.group("actor").tolist(), first_words, strict=True)]
    return EmbeddingMap(
        points,
        spoken.label("emotion"),
        np.array(names),
        spoken.specification.label("emotion").classes,
        f"The built-in corpus: every utterance a point, from a mixture that saw all {len(spoken):,} of them without "
        f"labels; the first two principal axes, with {100 * shares[0]:.0f} % and {100 * shares[1]:.0f} % of the "
        "variance. A picture to look at, no evidence: that is the table below.",
        heading="A map of spoken words, coloured by emotion",
    )
