"""Real-life clips: 102 talking people from court rooms and television, words, voice and face.

Source: Perez-Rosas et al. (2015). **Nothing here says whether a person tells the truth**: verdicts stand for it, and
the recording alone tells many of them (of all clips, whether there are 29 pictures a second or more: balanced accuracy
.70). So all clips are first written anew at one frame rate, size and sound
(:mod:`~trivium.evaluate.suite.same_recording`), what the original files tell are floors of their own (``metadata``,
``frame-rate``), and folds keep speakers together. What people hear and see in a clip still differs by station.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Corpus, LabelSpecification, Utterance
from trivium.errors import DataError
from trivium.evaluate.suite.material import Material, Track
from trivium.evaluate.suite.mosi import letter_columns
from trivium.evaluate.suite.places import table_of
from trivium.evaluate.suite.same_recording import PICTURES_PER_SECOND, same_recording
from trivium.evaluate.suite.sequences import Steps, padded, side_by_side
from trivium.evaluate.suite.sound_columns import sound_columns
from trivium.evaluate.suite.source import source_digest
from trivium.evaluate.suite.voice_functionals import voice_functionals
from trivium.files import sha256_bytes, sha256_file
from trivium.progress import track as tracked

__all__ = ["Timed", "extracted_folder", "real_life", "recording_facts"]

_PARTS = 20
_FRAMES_PER_SECOND = 10
# not the recogniser's states by word: track H is by formula, and F has all of the states
_MODALITIES = ("text", "audio", "vision")
_FACTS = ("dur", "fps", "w", "h", "sr")
_USUAL_RATE = 29.0  # most deceptive clips have 30 pictures a second, most truthful ones fewer


def real_life(folder: Path, work: Path, track: Track, *, show: bool = True) -> Material:
    """Words, voice and face; in track F words of MiniLM and the recogniser's states instead of letters and voice.

    Parameters
    ----------
    folder : path
        Of all real sets.
    work : path
        Where the clips are written anew, extracted and kept.
    track : {"H", "F"}
        Which columns.
    show : bool
        Show progress.

    Raises
    ------
    DataError
        The tables are not those of the release, or a clip has no speaker.
    """
    home = folder / "real-life-trial"
    made = extracted_folder(home, work)
    corpus = _extracted(home, made, show)
    names = corpus.ids.tolist()
    known = _rows_of(home, names)
    clips = [made / "clips" / f"{name}.mkv" for name in names]
    streams = _streams(corpus, clips, work, track, show)
    steps = {name: padded([one.spread_over(_PARTS) for one in of]) for name, of in streams.items()}
    frames = {
        name: padded([one.spread_over(max(1, round(one.seconds * _FRAMES_PER_SECOND))) for one in of])
        for name, of in streams.items()
    }
    label = LabelSpecification("verdict", "binary", ("deceptive", "truthful"))
    table = {
        "label.verdict": np.array([row["label"] for row in known]),
        "group.speaker": np.array([row["speaker"] for row in known]),
    }
    views = [side_by_side(parts, "real-life", names, (label,), table) for parts in (steps, frames)]
    fixed: dict[str, dict[str, NDArray[np.floating]]] = {
        "functionals": _functionals(streams),
        "metadata": {"": recording_facts(known)},
        "frame-rate": {"": recording_facts(known)[:, -1:]},
    }
    return Material(views[0], views[1], fixed)


def extracted_folder(home: Path, work: Path) -> Path:
    """Where the clips written anew (``clips``) and what was extracted from them (``corpus``) are kept.

    Another version of the code, of a library, a clip or a transcript has another folder: nothing stale is read.

    Parameters
    ----------
    home : path
        Folder of the set.
    work : path
        Of everything that the suite keeps.

    Examples
    --------
    >>> extracted_folder(Path("real-life-trial"), Path("work")).parent.as_posix()
    'work/real-life'
    """
    files = (*_clips(home), *_transcripts(home))
    told = [str(source_digest(__name__)), *(f"{path.name} {sha256_file(path)}" for path in files)]
    return work / "real-life" / sha256_bytes("\n".join(told).encode())[:16]


def _clips(home: Path) -> list[Path]:
    return sorted((home / "clips").rglob("*.mp4"))


def _transcripts(home: Path) -> list[Path]:
    return sorted(home.glob("transcripts/*/*.txt"))


def _extracted(home: Path, target: Path, show: bool) -> Corpus:
    """Corpus of the clips written anew; both are made once."""
    from trivium.extract import Recording, extract_clips

    if not (target / "corpus" / "corpus.json").is_file():
        found = _clips(home)
        if not found:
            raise DataError("holds no clip", file=home / "clips", remedy="take the folder of the release as it is")
        for path in tracked(found, "clips at one rate and size", show=show):
            same_recording(path, target / "clips" / f"{path.stem}.mkv")
        texts = {path.stem: path.read_text("utf-8", "replace") for path in _transcripts(home)}
        recordings = [
            Recording(target / "clips" / f"{path.stem}.mkv", path.stem, transcript=texts.get(path.stem))
            for path in found
        ]
        extract_clips(recordings, target / "corpus", frames_per_second=PICTURES_PER_SECOND, show=show)
    return Corpus.open(target / "corpus")


def _rows_of(home: Path, names: Sequence[str]) -> list[dict[str, str]]:
    """What the tables say of each clip, in order."""
    facts = {row["id"]: row for row in table_of(home / "meta.csv", ("id", "label", *_FACTS))}
    speakers = {row["clip"]: row["speaker"] for row in table_of(home / "speakers.csv", ("clip", "speaker"))}
    lacking = [name for name in names if name not in facts or name not in speakers]
    if lacking:
        raise DataError(f"{len(lacking)} clips are in no table", file=home, place=lacking[0])
    return [{**facts[name], "speaker": speakers[name]} for name in names]


def _streams(corpus: Corpus, clips: Sequence[Path], work: Path, track: Track, show: bool) -> dict[str, list[Timed]]:
    """Timed columns by modality, one for each clip."""
    utterances = list(corpus)
    found = {
        modality: [_timed(utterance, modality, corpus.specification.stream(modality).dim) for utterance in utterances]
        for modality in _MODALITIES
    }
    if track == "H":
        found["text"] = [_letters(utterance) for utterance in utterances]
        return found
    states = sound_columns(clips, "states", work, show=show)
    found["speech"] = [_states(one, utterance) for one, utterance in zip(states, utterances, strict=True)]
    return found


def _timed(utterance: Utterance, modality: str, width: int) -> Timed:
    stream = utterance.streams.get(modality)
    if stream is None or stream.times is None:
        return Timed(np.zeros((0, width), np.float32), np.zeros(0), _seconds(utterance))
    return Timed(stream.values.astype(np.float32), stream.times.mean(axis=1), _seconds(utterance))


def _letters(utterance: Utterance) -> Timed:
    words = utterance.words
    if words is None or words.times is None:
        return Timed(letter_columns([]), np.zeros(0), _seconds(utterance))
    return Timed(letter_columns([word.lower() for word in words.text]), words.times.mean(axis=1), _seconds(utterance))


def _states(states: Steps, utterance: Utterance) -> Timed:
    seconds = _seconds(utterance)
    return Timed(states, (np.arange(len(states)) + 0.5) * seconds / len(states), seconds)


def _seconds(utterance: Utterance) -> float:
    """End of the voice, which every clip has."""
    times = utterance.streams["audio"].times
    return 0.0 if times is None else float(times[-1, 1])


class Timed(NamedTuple):
    """Columns of one modality of one clip.

    Parameters
    ----------
    values : array of shape (T, D)
        Any unit.
    times : array of shape (T,)
        Middles of the steps in seconds.
    seconds : float
        Length of the clip.
    """

    values: Steps
    times: NDArray[np.float64]
    seconds: float

    def spread_over(self, bins: int) -> Steps:
        """Means of the steps that lie in each of equal stretches of the clip (bins, D); NaN where there is none."""
        place = np.clip((self.times / max(self.seconds, 1e-6) * bins).astype(int), 0, bins - 1)
        found = np.full((bins, self.values.shape[1]), np.nan, np.float32)
        for one in np.unique(place):
            found[one] = self.values[place == one].mean(axis=0)
        return found


def _functionals(streams: Mapping[str, Sequence[Timed]]) -> dict[str, NDArray[np.floating]]:
    """Functionals of the voice; mean and spread of the other modalities."""
    found = {name: np.array([_moments(one.values) for one in clips]) for name, clips in streams.items()}
    return found | {"audio": np.array([voice_functionals(one.values.astype(np.float64)) for one in streams["audio"]])}


def _moments(values: Steps) -> NDArray[np.float64]:
    if not len(values):
        return np.zeros(2 * values.shape[1])
    finite = np.ma.masked_invalid(values.astype(np.float64))
    return np.concatenate([finite.mean(axis=0).filled(0), finite.std(axis=0).filled(0)])


def recording_facts(rows: Sequence[Mapping[str, str]]) -> NDArray[np.float64]:
    """What the original files tell: length, pictures a second, width, height, rate of the sound, 29 pictures or more.

    Parameters
    ----------
    rows : sequence of N mappings
        With ``dur``, ``fps``, ``w``, ``h``, ``sr``; an empty one counts as 0.

    Returns
    -------
    array of shape (N, 6)

    Examples
    --------
    >>> recording_facts([{"dur": "4.5", "fps": "30", "w": "480", "h": "270", "sr": ""}]).tolist()
    [[4.5, 30.0, 480.0, 270.0, 0.0, 1.0]]
    """
    facts = np.array([[float(row[key] or 0) for key in _FACTS] for row in rows])
    return np.concatenate([facts, facts[:, 1:2] >= _USUAL_RATE], axis=1)
