"""RAVDESS: 1,440 acted sentences of 24 actors, voice alone, or voice and action units of the face.

Source: Livingstone and Russo (2018). Sound is read from the clips. Action units are averages over time that came with
the set, in an order of their own and with another first part of the id (``01-...`` there, ``03-...`` here): they are
joined by the rest of it. The two sentences carry no label, so there are no words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Aligned, LabelSpecification
from trivium.errors import DataError
from trivium.evaluate.suite.material import Material, Track
from trivium.evaluate.suite.places import arrays_of, table_of
from trivium.evaluate.suite.sequences import Steps, equal_parts, layers_apart, padded, side_by_side, thinned
from trivium.evaluate.suite.sound_columns import LAYERS, sound_columns
from trivium.evaluate.suite.voice_functionals import voice_functionals

__all__ = ["LUNA_JIMENEZ", "ravdess", "ravdess_units"]

LUNA_JIMENEZ = ((2, 5, 14, 15, 16), (3, 6, 7, 13, 18), (10, 11, 12, 19, 20), (8, 17, 21, 23, 24), (1, 4, 9, 22))
"""Actors of the five folds of Luna-Jimenez et al. (2021)."""
_PARTS = 20
_VOICE_STEPS = {"H": 3, "F": 6}  # of 10 ms: frames of 30 ms, and of 60 ms beside states of 20 ms
_STATE_STEPS = 3
_NEEDED = ("stem", "emotion_name", "statement", "actor")


def ravdess(folder: Path, work: Path, track: Track, *, show: bool = True) -> Material:
    """Voice alone: 61 columns; in track F also what the recogniser's encoder hears.

    Its last states are the modality ``speech``. Mean and spread over the clip of the states after each of its layers
    are functionals by the names ``layer1`` to ``layer4``.

    Parameters
    ----------
    folder : path
        Of all real sets.
    work : path
        Where columns of the sound are kept.
    track : {"H", "F"}
        Which columns.
    show : bool
        Show progress.

    Raises
    ------
    DataError
        The table is not that of the release, or a clip is not there.
    """
    return _material(folder / "ravdess", work, track, show, units=False)


def ravdess_units(folder: Path, work: Path, track: Track, *, show: bool = True) -> Material:
    """Voice as :func:`ravdess`, and 35 action units of the face, which have one step.

    Parameters
    ----------
    folder : path
        Of all real sets.
    work : path
        Where columns of the sound are kept.
    track : {"H", "F"}
        Which columns.
    show : bool
        Show progress.

    Raises
    ------
    DataError
        A clip has no action units.
    """
    return _material(folder / "ravdess", work, track, show, units=True)


def _material(home: Path, work: Path, track: Track, show: bool, *, units: bool) -> Material:
    rows = sorted(table_of(home / "meta.csv", _NEEDED), key=lambda row: row["stem"])
    files = [home / "clips" / f"{row['stem']}.flac" for row in rows]
    absent = [file for file in files if not file.is_file()]
    if absent:
        raise DataError(f"{len(absent)} of {len(files)} clips are not there", file=absent[0])
    voice = sound_columns(files, "voice", work, show=show)
    steps = {"audio": padded([equal_parts(one, _PARTS) for one in voice])}
    frames = {"audio": padded([thinned(one, _VOICE_STEPS[track]) for one in voice])}
    functionals = {"audio": np.array([voice_functionals(one.astype(np.float64)) for one in voice])}
    if track == "F":
        states = sound_columns(files, "states", work, show=show)
        steps["speech"] = padded([equal_parts(one, _PARTS) for one in states])
        frames["speech"] = padded([thinned(one, _STATE_STEPS) for one in states])
        functionals["speech"] = np.array([[*one.mean(axis=0), *one.std(axis=0)] for one in states])
        functionals |= _layers(files, work, show)
    if units:
        functionals["vision"] = _units(home, [row["stem"] for row in rows])
        steps["vision"] = frames["vision"] = functionals["vision"][:, None, :].astype(np.float32)
    return Material(_joined(steps, rows), _joined(frames, rows), {"functionals": functionals})


def _layers(files: Sequence[Path], work: Path, show: bool) -> dict[str, Steps]:
    """Mean and spread (N, 768) of the states after each layer of the recogniser's encoder."""
    return layers_apart(sound_columns(files, "layers", work, show=show), LAYERS)


def _joined(parts: Mapping[str, Steps], rows: Sequence[Mapping[str, str]]) -> Aligned:
    actors = np.array([row["actor"] for row in rows])
    emotions = np.array([row["emotion_name"] for row in rows])
    label = LabelSpecification("emotion", "multiclass", tuple(np.unique(emotions).tolist()))
    table = {
        "label.emotion": emotions,
        "group.actor": actors,
        "group.sentence": np.array([row["statement"] for row in rows]),
        "group.published": np.array([_published_fold(int(actor)) for actor in actors]),
    }
    return side_by_side(parts, "ravdess", [row["stem"] for row in rows], (label,), table)


def _published_fold(actor: int) -> str:
    return next((str(number) for number, actors in enumerate(LUNA_JIMENEZ, 1) if actor in actors), "")


def _units(home: Path, stems: Sequence[str]) -> NDArray[np.float64]:
    """Action units (N, 35) in the order of the clips."""
    given = arrays_of(home / "ravdess_av_features.npz", ("ids", "visual"))
    place = {str(name).split("-", 1)[1]: number for number, name in enumerate(given["ids"].tolist())}
    lacking = [stem for stem in stems if stem.split("-", 1)[1] not in place]
    if lacking:
        raise DataError(f"has no action units of {len(lacking)} clips", file=home / "ravdess_av_features.npz",
                        place=lacking[0])  # fmt: skip
    return np.asarray(given["visual"], np.float64)[[place[stem.split("-", 1)[1]] for stem in stems]]
