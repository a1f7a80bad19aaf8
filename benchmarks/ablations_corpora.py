"""The table of ``ablations.py`` on other corpora to learn from: Fisher vectors of the voice, at one frame rate for all.

The bench reads RAVDESS in frames of 30 ms and the real-life clips in frames of 100 ms. Here both are means over 100 ms,
and every mixture is fitted to frames that were drawn at random, equally many from each corpus that it learns from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned
from trivium.errors import SpecificationError
from trivium.evaluate.late_readout import LateReadout
from trivium.evaluate.protocols import Fold, Protocol
from trivium.evaluate.report import Predictions, TestReads
from trivium.evaluate.scores import rows_of
from trivium.evaluate.suite.declared import SuiteDeclaration, TaskDeclaration
from trivium.evaluate.suite.folds import protocol_of
from trivium.evaluate.suite.material import Material
from trivium.evaluate.suite.places import data_folder
from trivium.evaluate.suite.sequences import Steps, padded, side_by_side, thinned
from trivium.evaluate.suite.sound_columns import sound_columns
from trivium.evaluate.target import Target, target_of
from trivium.files import sha256_bytes, user_folder
from trivium.represent import FisherVectors

__all__ = ["PAIR", "Voices", "corpora", "drawn_frames", "voices_of"]

PAIR = ("ravdess", "real-life")
"""Tasks whose voice has the same columns."""
OWN, OTHER, BOTH = "its own training rows", "the other corpus", "both"
_FRAMES = 20_000  # what Fisher vectors draw by themselves
_STEPS_A_FRAME = 10  # of 10 ms


@dataclass(frozen=True, eq=False)
class Voices:
    """A task whose voice has the columns of another one's.

    Parameters
    ----------
    task : TaskDeclaration
        Which.
    material : Material
        Its N utterances.
    frames : tuple of N arrays of shape (T_i, 61)
        Voice, means over 100 ms.
    target : Target
        Labels.
    """

    task: TaskDeclaration
    material: Material
    frames: tuple[Steps, ...]
    target: Target

    @property
    def digest(self) -> str:
        """Hash of the utterances and of these frames."""
        told = [self.material.digest, *(sha256_bytes(np.ascontiguousarray(one).tobytes()) for one in self.frames)]
        return sha256_bytes("".join(told).encode())


def voices_of(suite: SuiteDeclaration, name: str) -> Voices:
    """Voice of a task in track H, in frames of 100 ms."""
    task, folder, work = suite.task(name), data_folder(None), user_folder("suite")
    material = task.read(folder, work, "H", show=True)
    made = {"ravdess": _of_ravdess, "real-life": _of_real_life}
    if name not in made:
        raise SpecificationError(f"{name} has no voice in frames of 100 ms", remedy=f"choose from {', '.join(made)}")
    target = target_of(material.steps, task.labels[0])
    return Voices(task, material, made[name](material, folder, work), target.measured_by(task.measures))


def _of_ravdess(material: Material, folder: Path, work: Path) -> tuple[Steps, ...]:
    """Means over 100 ms of the columns that the bench itself averages over 30 ms."""
    files = [folder / "ravdess" / "clips" / f"{name}.flac" for name in material.steps.ids.tolist()]
    return tuple(thinned(one, _STEPS_A_FRAME) for one in sound_columns(files, "voice", work))


def _of_real_life(material: Material, folder: Path, work: Path) -> tuple[Steps, ...]:
    """The frames of the bench, which are means over 100 ms."""
    voice = material.frames.select(["audio"])
    return tuple(values[seen[:, 0]] for values, seen in zip(voice.values, voice.cell_mask, strict=True))


def corpora(suite: SuiteDeclaration, names: tuple[str, str], resamples: int, out: Path) -> list[dict[str, Any]]:
    """Fisher vectors of the voice that learned from a task's own training rows, from another corpus, from both.

    Reads of test folds are recorded in `out`.
    """
    both = [voices_of(suite, name) for name in names]
    reads = TestReads(out)
    pairs = (both, both[::-1])
    return [row for mine, other in pairs for row in _by_source(suite, mine, other, resamples, reads)]


def _by_source(
    suite: SuiteDeclaration, mine: Voices, other: Voices, resamples: int, reads: TestReads
) -> Iterator[dict[str, Any]]:
    protocol = protocol_of(mine.task.divisions[0], mine.material.steps, mine.task.cluster, (0,))
    predictions, counts = _predictions(suite, mine, other, protocol, reads)
    measure = mine.target.metrics[0]
    lines = rows_of(predictions, dict.fromkeys(predictions, 0), mine.target, protocol.clusters, (OWN,), resamples)
    for line in lines:
        told: dict[str, Any] = {
            "task": mine.task.name, "other": other.task.name, "learned_from": line.name, "measure": measure,
            "score": line.mean(measure), "data_sha256": mine.digest,
            "frames": [min(counts[line.name]), max(counts[line.name])],
        }  # fmt: skip
        for value, interval in line.differences.values() if line.name != OWN else ():
            told |= {"difference": value, "low": interval.low, "high": interval.high}
        yield told


def _predictions(
    suite: SuiteDeclaration, mine: Voices, other: Voices, protocol: Protocol, reads: TestReads
) -> tuple[dict[str, Predictions], dict[str, list[int]]]:
    """Answers by what the mixture learned from, and how many frames each fold's mixture was fitted to."""
    steps = _aligned(mine.frames)
    answers = {name: np.full((1, len(steps), mine.target.width), np.nan) for name in (OWN, OTHER, BOTH)}
    counts: dict[str, list[int]] = {name: [] for name in answers}
    folds = np.full((1, len(steps)), "", dtype="<U40")
    for fold in protocol.of_seed(0):
        folds[0, fold.test] = fold.name
        own = [mine.frames[row] for row in fold.train]
        sources: dict[str, list[Sequence[Steps]]] = {OWN: [own], OTHER: [other.frames], BOTH: [own, other.frames]}
        for name, learned in sources.items():
            frames = drawn_frames(learned, _FRAMES)
            counts[name].append(len(frames))
            fisher = FisherVectors(n_frames=_FRAMES, random_state=0).fit(_aligned(frames[:, None]))
            vectors = np.asarray(fisher.transform(steps), np.float32)
            answers[name][0, fold.test] = _answered(suite, mine, vectors, fold, protocol.clusters)
            config = sha256_bytes(f"{mine.digest} {other.digest} {name}".encode())[:24]
            reads.record(config, f"{mine.task.name}: mixture from {name}", fold.name, 0)
    return {name: Predictions((0,), said, folds) for name, said in answers.items()}, counts


def drawn_frames(sources: Sequence[Sequence[Steps]], count: int) -> Steps:
    """Frames (n, D) of all sources, at most `count`, equally many from each: as many as the smallest one can give."""
    every = [np.concatenate(list(source)) for source in sources]
    share = min(count // len(every), *(len(frames) for frames in every))
    random = np.random.default_rng(0)
    return np.concatenate([frames[np.sort(random.choice(len(frames), share, replace=False))] for frames in every])


def _aligned(sequences: Sequence[Steps] | Steps) -> Aligned:
    """Voice as an aligned set; its columns have the same names whichever corpus they come from."""
    ids = [f"{number:05d}" for number in range(len(sequences))]
    return side_by_side({"audio": padded(list(sequences))}, "voices", ids, (), {})


def _answered(
    suite: SuiteDeclaration, mine: Voices, vectors: NDArray[np.float32], fold: Fold, clusters: NDArray[Any]
) -> NDArray[np.float64]:
    functionals = mine.material.vectors("functionals", ("audio",))
    widths = {"functionals": functionals.shape[1], "fisher": vectors.shape[1]}
    x = np.concatenate([functionals, vectors], axis=1)
    readout = LateReadout(widths, regression=suite.regression)
    readout.fit(x[fold.train], mine.target.values[fold.train], groups=clusters[fold.train])
    return np.asarray(readout.predict_proba(x[fold.test]), np.float64)
