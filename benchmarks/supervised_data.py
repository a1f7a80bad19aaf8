"""Columns of the real sets for ``supervised.py``: one vector a modality and utterance, as the floors see them.

Everything is computed from what TRIVIUM_DATA names and kept in a work folder outside the repository. Nothing here looks
at a label: statistics of the voice were fixed for ``voice.py``, words are the mean of their vectors, the recogniser's
states mean and spread; standardising is left to what learns, inside every fold.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from results import ict_mmmo as steps_of_ict_mmmo
from voice import decoded

from trivium.corpus import Aligned, Corpus, LabelSpecification, Specification, StreamSpecification
from trivium.errors import TriviumError
from trivium.evaluate.suite.ravdess import LUNA_JIMENEZ
from trivium.evaluate.suite.voice_functionals import flattened, voice_functionals
from trivium.extract.audio.voice import voice_specification, voice_stream
from trivium.extract.text.minilm import load_word_encoder
from trivium.extract.words.speech import encoder_states
from trivium.files import sha256_bytes, sha256_file
from trivium.represent import MeanStdPooling

__all__ = ["ict_mmmo", "mosi_contaminated", "mosi_words", "ravdess", "real_life", "speaker_centred"]

Values = NDArray[Any]
EMOTIONS = ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")


def folder_of(name: str) -> Path:
    """Folder of a set among the real data."""
    folder = Path(os.environ.get("TRIVIUM_DATA", "")) / name
    if not os.environ.get("TRIVIUM_DATA") or not folder.is_dir():
        raise TriviumError(f"there is no folder {name} of real data", remedy="set TRIVIUM_DATA to the folder of all")
    return folder


def rows_of(file: Path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def kept(work: Path, key: str, make: Callable[[], Mapping[str, Values]]) -> dict[str, Values]:
    """Arrays that are made once and then read back; `key` names everything they depend on."""
    file = work / "columns" / f"{sha256_bytes(key.encode())[:16]}.npz"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".draft.npz")
        np.savez(draft, allow_pickle=False, **make())
        draft.replace(file)
    with np.load(file) as found:
        return {name: found[name] for name in found.files}


def joined(
    parts: Mapping[str, Values], source: str, ids: Sequence[str], label: LabelSpecification, table: Mapping[str, Values]
) -> Aligned:
    """Utterances of one step: every modality is one vector (N, D_m); columns are positional within `source`."""
    streams = tuple(StreamSpecification.positional(name, source, part.shape[1]) for name, part in parts.items())
    specification = Specification(streams, (label,))
    in_order = [np.asarray(parts[name], np.float32) for name in specification.modalities]
    return Aligned.from_arrays(
        np.concatenate(in_order, axis=1)[:, None, :], specification, ids=np.array(ids), table=dict(table)
    )


def ravdess(work: Path, *, whisper: bool) -> Aligned:
    """1,440 acted clips: statistics of the voice, 35 action units, and twenty parts of the voice or Whisper's states.

    Action units are averages over time that came with the set; they have an order and a first letter of the id of their
    own, so they are joined by the rest of the name.
    """
    folder = folder_of("ravdess")
    rows = sorted(rows_of(folder / "meta.csv"), key=lambda row: row["stem"])
    files = [folder / "clips" / f"{row['stem']}.flac" for row in rows]
    heard = kept(work, f"ravdess voice {voice_specification()} {_hash_of_files(files)}", lambda: _voices(files))
    parts = {"audio": heard["statistics"], "vision": _faces(folder, rows), "speech": heard["states"]}
    if not whisper:
        parts["audio"] = np.concatenate([heard["statistics"], heard["flattened"]], axis=1)
        del parts["speech"]
    label = LabelSpecification("emotion", "multiclass", EMOTIONS)
    actors = np.array([row["actor"] for row in rows])
    table = {
        "label.emotion": np.array([row["emotion_name"] for row in rows]),
        "group.speaker": actors,
        "group.published": np.array([_published_fold(int(actor)) for actor in actors]),
    }
    return joined(parts, "ravdess", [row["stem"] for row in rows], label, table)


def _published_fold(actor: int) -> str:
    return next(str(number) for number, actors in enumerate(LUNA_JIMENEZ, 1) if actor in actors)


def _hash_of_files(files: Sequence[Path]) -> str:
    return sha256_bytes("".join(sha256_file(file) for file in files).encode())


def _voices(files: Sequence[Path]) -> dict[str, Values]:
    """Statistics and parts of the voice columns, mean and spread of the recogniser's states, a row a clip."""
    found: dict[str, list[Values]] = {"statistics": [], "flattened": [], "states": []}
    for file in files:
        sound = decoded(file)
        voice, states = voice_stream(sound).values.astype(np.float64), encoder_states(sound)
        found["statistics"].append(voice_functionals(voice))
        found["flattened"].append(flattened(voice))
        found["states"].append(np.concatenate([states.mean(axis=0), states.std(axis=0)]))
    return {name: np.array(rows, np.float32) for name, rows in found.items()}


def _faces(folder: Path, rows: Sequence[Mapping[str, str]]) -> Values:
    with np.load(folder / "ravdess_av_features.npz") as given:
        place = {str(name).split("-", 1)[1]: number for number, name in enumerate(given["ids"])}
        units: Values = given["visual"][[place[row["stem"].split("-", 1)[1]] for row in rows]]
    return units


def ict_mmmo() -> Aligned:
    """340 film reviews: mean and spread of the seen cells of voice and face; sentinels count as not seen.

    Which steps were seen is a modality of its own, for a floor; networks are not given it.
    The label, 1 to 5 in the release, is moved to -2 to 2, so that a negative one is a negative review.
    """
    steps = steps_of_ict_mmmo()
    parts = {name: MeanStdPooling().fit_transform(steps.select([name])) for name in steps.specification.modalities}
    parts["seen"] = steps.cell_mask.reshape(len(steps), -1)
    stars = steps.label(steps.specification.labels[0].key)
    label = LabelSpecification("sentiment", "regression", range=(-2.0, 2.0))
    found = joined(parts, "mmmo", steps.ids.tolist(), label, {"label.sentiment": stars - 3.0})
    seen = np.ones((len(steps), 1, 3), bool)
    for number, name in enumerate(found.specification.modalities):
        if name in steps.specification.modalities:
            seen[:, :, number] = np.any(
                steps.cell_mask[:, :, steps.specification.modalities.index(name)], axis=1, keepdims=True
            )
    return replace(found, cell_mask=seen)


def speaker_centred(data: Aligned) -> Aligned:
    """Every column less its mean over all clips of the speaker, tested ones too: transductive, no label is used."""
    values, speakers = data.values.copy(), data.group("speaker")
    for speaker in np.unique(speakers):
        values[speakers == speaker] -= values[speakers == speaker].mean(axis=0)
    return replace(data, values=values)


def mosi_words(work: Path) -> Aligned:
    """2,199 opinions: the mean of the word vectors of MiniLM over the transcript, in the split of MMSA."""
    file = folder_of("mosi") / "mosi_meta.csv"
    rows = rows_of(file)
    texts = [row["text"] for row in rows]
    vectors = kept(work, f"mosi words minilm {sha256_file(file)}", lambda: {"text": _mean_words(texts)})
    label = LabelSpecification("sentiment", "regression", range=(-3.0, 3.0))
    table = {
        "label.sentiment": np.array([float(row["label"]) for row in rows]),
        "group.video": np.array([row["video"] for row in rows]),
        "split.standard": np.array([row["split_std"] for row in rows]),
    }
    return joined({"text": vectors["text"]}, "mosi", [row["id"] for row in rows], label, table)


def _mean_words(texts: Sequence[str]) -> Values:
    encoder = load_word_encoder()
    return np.array([encoder.encode(text.lower().split()).mean(axis=0) for text in texts], np.float32)


def mosi_contaminated() -> Aligned:
    """2,199 opinions with the columns of bc-LSTM, whose words and faces were trained with the labels of the train fold.

    Scores within the train fold therefore mean nothing, and there is no validation fold.
    """
    folder = folder_of("mosi")
    with np.load(folder / "mosi_utterance.npz") as given:
        parts = {name: given[key] for name, key in (("text", "text"), ("audio", "audio"), ("vision", "video"))}
        ids, positive = given["ids"].tolist(), given["label_bin"] > 0
        split = given["split_bclstm"].astype(np.str_)
    videos = {row["id"]: row["video"] for row in rows_of(folder / "mosi_meta.csv")}
    label = LabelSpecification("sentiment", "binary", ("negative", "positive"))
    table = {
        "label.sentiment": np.where(positive, "positive", "negative"),
        "group.video": np.array([videos[name] for name in ids]),
        "split.bclstm": split,
    }
    return joined(parts, "bclstm", ids, label, table)


def real_life(corpus: Path) -> Aligned:
    """102 clips from courts and television, as ``trivium extract`` leaves them: mean and spread of every stream.

    Parameters
    ----------
    corpus : path
        What ``real_clips.py real-life-trial --work CORPUS`` made: all clips at one rate of pictures and one of sound.
    """
    given = Corpus.open(corpus)
    rows = {row["id"]: row for row in rows_of(folder_of("real-life-trial") / "meta.csv")}
    speakers = {row["clip"]: row["speaker"] for row in rows_of(folder_of("real-life-trial") / "speakers.csv")}
    names = [Path(name).stem for name in given.ids.tolist()]
    parts = {name: _mean_and_spread(given, name) for name in given.specification.modalities}
    parts["recording"] = recording_facts(names)
    label = LabelSpecification("verdict", "binary", ("deceptive", "truthful"))
    table = {
        "label.verdict": np.array([rows[name]["label"] for name in names]),
        "group.speaker": np.array([speakers[name] for name in names]),
    }
    return joined(parts, "real-life", names, label, table)


def _mean_and_spread(corpus: Corpus, modality: str) -> Values:
    found = []
    for number in range(len(corpus)):
        batch = corpus.batch(np.array([number]))
        seen = batch.values[modality][0][batch.mask[modality][0]].astype(np.float64)
        finite = np.ma.masked_invalid(seen)
        found.append(np.concatenate([finite.mean(axis=0).filled(0), finite.std(axis=0).filled(0)]))
    return np.array(found, np.float32)


def recording_facts(names: Sequence[str]) -> Values:
    """Length, pictures a second, width, height, rate of the sound, and whether 29 pictures a second or more, (N, 6)."""
    rows = {row["id"]: row for row in rows_of(folder_of("real-life-trial") / "meta.csv")}
    facts = np.array([[float(rows[name][key]) for key in ("dur", "fps", "w", "h", "sr")] for name in names])
    return np.concatenate([facts, facts[:, 1:2] >= 29], axis=1)
