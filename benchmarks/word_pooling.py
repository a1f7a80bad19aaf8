"""What pooling the recogniser's states by word keeps of a clip, and whether spread, slope or pauses add to it.

``TRIVIUM_DATA=FOLDER python benchmarks/word_pooling.py --work FOLDER [--out docs/results/word-pooling.json]``. Needs
the extra ``extract`` and the model (``trivium upstream fetch whisper-tiny-en``). On one thread it takes about eight
minutes of processor time, half of it for states, which are kept in the work folder (400 MB).

RAVDESS: words and their times are those of the demo's corpus (forced alignment of the given sentence). Each way to
pool gives one vector a clip; unweighted recall of eight acted emotions by logistic regression on standardised columns,
in six folds of four actors, in actor order. The strength of the regression, and the way that is best, are chosen on the
actors of training: five folds of four of them. Paired intervals of recall resample the actors.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

from trivium.corpus import Corpus, Stream, Utterance
from trivium.extract.audio.whisper import WhisperExtractor
from trivium.extract.source.media import SOUND_RATE, open_clip
from trivium.extract.word_pooling import pooled_by_word, words_and_pauses
from trivium.files import atomic_file

ROOT = Path(__file__).parents[1]
STRENGTHS = (0.003, 0.03)
DRAWS = 2000
ALL = ("mean", "spread", "slope")
Numbers = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder of the states, outside the repository")
    parser.add_argument("--out", type=Path, help="file of the numbers; printed where left out")
    asked = parser.parse_args()
    corpus = Corpus.open(ROOT / "demo" / "ravdess-words" / "corpus")
    spoken = list(corpus)
    clips = Path(os.environ["TRIVIUM_DATA"]) / "ravdess" / "clips"
    vectors = kept_vectors(asked.work, clips, spoken)
    emotion, actor = corpus.label("emotion"), corpus.group("actor").astype(int)
    began = time.process_time()
    made = {name: scored(table, emotion, (actor - 1) // 4) for name, table in vectors.items()}
    result = {
        "made by": {
            "date": datetime.now(UTC).date().isoformat(),
            "versions": {name: version(name) for name in ("trivium", "faster-whisper", "scikit-learn", "numpy")},
            "corpus": corpus.content_hash(),
            "cpu seconds of scoring": round(time.process_time() - began, 1),
        },
        "clips": len(spoken),
        "strengths": STRENGTHS,
        "ways": {name: told(name, made, emotion, actor) for name in made},
        "chosen by validation": [max(made, key=lambda name: made[name]["valid"][fold]) for fold in range(6)],
    }
    text = json.dumps(result, indent=1)
    if asked.out is None:
        sys.stdout.write(text + "\n")
        return
    with atomic_file(asked.out) as draft:
        draft.write_text(text + "\n")


def kept_vectors(work: Path, clips: Path, spoken: Sequence[Utterance]) -> dict[str, Numbers]:
    """Vectors (N, D) of all clips by the way to pool; made once, so delete the file where a way changes."""
    file = work / "vectors.npz"
    if not file.is_file():
        rows = [vectors_of(states_of(clips / one.clip, work), one) for one in spoken]
        with atomic_file(file) as draft, draft.open("wb") as opened:
            np.savez(opened, allow_pickle=False, **{name: np.array([row[name] for row in rows]) for name in rows[0]})
    with np.load(file) as found:
        return {name: found[name] for name in found.files}


def states_of(clip: Path, work: Path) -> Stream:
    """States of the encoder of a clip at their times; made once."""
    sound = open_clip(clip).sound()
    if sound is None:
        raise SystemExit(f"{clip} has no sound")
    file = work / f"{clip.stem}.npy"
    extractor = WhisperExtractor()
    if not file.is_file():
        work.mkdir(parents=True, exist_ok=True)
        with atomic_file(file) as draft, draft.open("wb") as opened:
            np.save(opened, extractor.stream(sound, None).values)
    values = np.load(file)
    edges = np.minimum(np.arange(len(values) + 1) * 0.02, len(sound) / SOUND_RATE)
    return Stream(values, extractor.specification, np.stack([edges[:-1], edges[1:]], axis=1))


def vectors_of(states: Stream, spoken: Utterance) -> dict[str, Numbers]:
    """One vector of a clip for each way to pool it."""
    if spoken.words is None or spoken.words.times is None or states.times is None:
        raise SystemExit(f"{spoken.id} has no words")
    words, end = spoken.words.times, states.times[-1, 1]
    inner = (words[1:, 0] + words[:-1, 1]) / 2
    cells = np.stack([np.array([0.0, *inner]), np.array([*inner, end])], axis=1)
    steps = words_and_pauses(words, 0.0, end)
    pauses = np.array([step for step in steps.tolist() if step not in words.tolist()]).reshape(-1, 2)

    def pooled(spans: Numbers, statistics: Sequence[str] = ("mean",)) -> Numbers:
        found = pooled_by_word(states, spans, tuple(statistics))
        times = [] if found.times is None else found.times.tolist()
        asked = [row for row, step in enumerate(times) if step in spans.tolist()]
        return found.values[asked].astype(np.float64).mean(axis=0) if asked else np.zeros(len(statistics) * 384)

    whole = states.values.astype(np.float64)
    return {
        "whole clip: mean": whole.mean(axis=0),
        "whole clip: mean, spread": np.concatenate([whole.mean(axis=0), whole.std(axis=0)]),
        "first to last word: mean": pooled(np.array([[words[0, 0], words[-1, 1]]])),
        "words: mean": pooled(words),
        "words: mean, spread": pooled(words, ALL[:2]),
        "words: mean, spread, slope": pooled(words, ALL),
        "words and pauses as steps: mean": pooled(steps),
        "words with half of each pause: mean": pooled(cells),
        "words: mean | pauses: mean": np.concatenate([pooled(words), pooled(pauses)]),
        "pauses: mean": pooled(pauses),
    }


def scored(vectors: Numbers, emotion: NDArray[Any], fold: NDArray[Any]) -> dict[str, Any]:
    """Answers to the clips of every fold, and the best recall on the training actors' own folds."""
    answers, valid, chosen = np.empty_like(emotion), [], []
    for one in np.unique(fold):
        train, test = fold != one, fold == one
        inner = answered(vectors[train], emotion[train], fold[train])
        recalls = [balanced_accuracy_score(emotion[train], inner[strength]) for strength in STRENGTHS]
        best = STRENGTHS[int(np.argmax(recalls))]
        valid.append(float(max(recalls)))
        chosen.append(best)
        answers[test] = fitted(vectors[train], emotion[train], best)(vectors[test])
    print(f"{vectors.shape[1]} columns: recall {recall(emotion, answers):.4f}", file=sys.stderr, flush=True)
    return {"answers": answers, "valid": valid, "strengths": chosen, "columns": vectors.shape[1]}


def answered(vectors: Numbers, emotion: NDArray[Any], fold: NDArray[Any]) -> dict[float, NDArray[Any]]:
    """Answers to each fold by what learned from the others, by strength."""
    found = {strength: np.empty_like(emotion) for strength in STRENGTHS}
    for one in np.unique(fold):
        for strength in STRENGTHS:
            predict = fitted(vectors[fold != one], emotion[fold != one], strength)
            found[strength][fold == one] = predict(vectors[fold == one])
    return found


def fitted(vectors: Numbers, emotion: NDArray[Any], strength: float) -> Callable[[Numbers], NDArray[Any]]:
    """Logistic regression; where there are more columns than rows, in the space of the rows, which changes nothing."""
    scaler = StandardScaler().fit(vectors)
    rows = scaler.transform(vectors)
    axes = np.eye(rows.shape[1])
    if rows.shape[1] > len(rows):
        axes = np.linalg.qr(rows.T)[0]
    model = LogisticRegression(C=strength, max_iter=1000, tol=1e-3).fit(rows @ axes, emotion)
    return lambda given: model.predict(scaler.transform(given) @ axes)


def told(name: str, made: dict[str, Any], emotion: NDArray[Any], actor: NDArray[Any]) -> dict[str, Any]:
    """Recall of one way, and how far it lies from the mean of the whole clip; intervals resample the actors."""
    own, floor = (hits(emotion, made[way]["answers"], actor) for way in (name, "whole clip: mean"))
    rng, counts = np.random.default_rng(0), hits(emotion, emotion, actor)
    apart = []
    for _ in range(DRAWS):
        drawn = rng.choice(len(counts), len(counts))
        apart.append(float(((own - floor)[drawn].sum(axis=0) / counts[drawn].sum(axis=0)).mean()))
    own, floor = made[name]["answers"], made["whole clip: mean"]["answers"]
    folds = [recall(emotion[part], own[part]) for part in np.array_split(np.argsort(actor, kind="stable"), 6)]
    return {
        "columns": made[name]["columns"],
        "recall": round(recall(emotion, own), 4),
        "by fold": [round(value, 4) for value in folds],
        "beyond the whole clip's mean": round(recall(emotion, own) - recall(emotion, floor), 4),
        "interval": [round(float(edge), 4) for edge in np.quantile(apart, [0.025, 0.975])],
        "validation": round(float(np.mean(made[name]["valid"])), 4),
        "validation by fold": [round(value, 4) for value in made[name]["valid"]],
        "strengths": made[name]["strengths"],
    }


def hits(emotion: NDArray[Any], answers: NDArray[Any], actor: NDArray[Any]) -> Numbers:
    """Right answers of each actor (rows) to each emotion (columns)."""
    right = [[np.sum((answers == one) & (emotion == one) & (actor == who)) for one in np.unique(emotion)]
             for who in np.unique(actor)]  # fmt: skip
    return np.array(right, np.float64)


def recall(emotion: NDArray[Any], answers: NDArray[Any]) -> float:
    """Unweighted: the mean over the emotions that are there."""
    return float(np.mean([np.mean(answers[emotion == one] == one) for one in np.unique(emotion)]))


if __name__ == "__main__":
    main()
