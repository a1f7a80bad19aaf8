"""Windows of the recogniser: what they cost and save, and what its states tell.

``TRIVIUM_DATA=FOLDER python benchmarks/whisper_states.py > docs/results/whisper-states.json``. Needs the extra
``extract`` and the model (``trivium upstream fetch whisper-tiny-en``). On one thread it takes about 15 minutes.

Words: word error rate and processor seconds of recognition in windows of their own length with five seconds of silence,
beside the usual windows padded to 30 seconds. States: correlation of the columns' means with those of the padded
window, and unweighted recall of eight acted emotions by logistic regression on the plain mean, in six folds of actors,
beside its floors: the commonest emotion of the other actors, the clip's length, and the voice columns (mean, mean and
spread) with the same classifier.
"""

from __future__ import annotations

import hashlib
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
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from trivium.extract.audio.voice import voice_stream
from trivium.extract.source.media import open_clip
from trivium.extract.words.listening import STATE_SAMPLES
from trivium.extract.words.speech import encoder_states, recognise
from trivium.extract.words.transcript import read_transcript
from trivium.upstream import model_folder

Sound = NDArray[np.float32]
_SENTENCES = {"01": "kids are talking by the door", "02": "dogs are sitting by the door"}
_ACTORS_PER_FOLD = 4


def main() -> None:
    data = Path(os.environ["TRIVIUM_DATA"])
    acted = sorted((data / "ravdess" / "clips").glob("*.flac"))
    sample = acted[4 :: len(acted) // 150][:150]
    result = {
        "made by": made_by(acted),
        "ravdess": words([(sound_of(path), _SENTENCES[path.stem.split("-")[4]]) for path in sample]),
        "real talking videos": words(real_clips(data / "real-life-trial")),
        "columns": padded_and_own(sample),
        "recall": recall(acted),
    }
    json.dump(result, sys.stdout, indent=1)


def made_by(paths: Sequence[Path]) -> dict[str, Any]:
    """Date, versions, and one hash over the names and bytes of the acted clips."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    libraries = ("trivium", "faster-whisper", "ctranslate2", "scikit-learn", "numpy")
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {name: version(name) for name in libraries},
        "hash of the acted clips": digest.hexdigest()[:16],
    }


def sound_of(path: Path) -> Sound:
    """Mono sound at 16 kHz."""
    sound = open_clip(path).sound()
    if sound is None:
        raise SystemExit(f"{path} has no sound")
    return sound


def real_clips(folder: Path) -> list[tuple[Sound, str]]:
    """Every fifth clip that has a transcript."""
    texts = {path.stem: path for path in (folder / "transcripts").rglob("*.txt")}
    clips = sorted(path for path in (folder / "clips").rglob("*.mp4") if path.stem in texts)[::5]
    return [(sound_of(path), texts[path.stem].read_text(errors="replace")) for path in clips]


def words(clips: Sequence[tuple[Sound, str]]) -> dict[str, Any]:
    """Errors and processor seconds both ways."""
    plain = plain_recogniser()
    return {
        "clips": len(clips),
        "seconds": round(sum(len(sound) for sound, _ in clips) / 16000, 1),
        "words": sum(len(read_transcript(text).words) for _, text in clips),
        "own length": recognised(clips, lambda sound: recognise(sound).transcript.words),
        "padded to 30 s": recognised(clips, plain),
    }


def plain_recogniser() -> Callable[[Sound], Sequence[str]]:
    """faster-whisper as it comes, with the same settings of decoding."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(model_folder("whisper-tiny-en")), device="cpu", compute_type="int8", cpu_threads=1)

    def hear(sound: Sound) -> Sequence[str]:
        segments, _ = model.transcribe(
            sound,
            language="en",
            beam_size=5,
            temperature=0.0,
            condition_on_previous_text=False,
            word_timestamps=True,
            vad_filter=True,
        )
        return read_transcript(" ".join(segment.text.strip() for segment in segments)).words

    return hear


def recognised(clips: Sequence[tuple[Sound, str]], hear: Callable[[Sound], Sequence[str]]) -> dict[str, float]:
    """Word error rate, clips without an error, processor seconds."""
    hear(clips[0][0])  # loading is not counted
    begin, errors, count, right = time.process_time(), 0, 0, 0
    for sound, text in clips:
        said = read_transcript(text).words
        wrong = edits(said, hear(sound))
        errors, count, right = errors + wrong, count + len(said), right + (wrong == 0)
    seconds = time.process_time() - begin
    return {"word error rate": round(errors / count, 4), "without error": right, "cpu seconds": round(seconds, 1)}


def edits(said: Sequence[str], heard: Sequence[str]) -> int:
    """Insertions, deletions and substitutions."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        above, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (word != other)))
    return row[-1]


def padded_and_own(paths: Sequence[Path]) -> dict[str, float]:
    """Correlation over clips of each column's mean, own window against one window of 30 seconds."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(model_folder("whisper-tiny-en")), device="cpu", compute_type="int8", cpu_threads=1)
    own, padded = [], []
    for path in paths:
        sound = sound_of(path)
        steps = -(-len(sound) // STATE_SAMPLES)
        own.append(encoder_states(sound).mean(axis=0))
        features = np.zeros((80, 3000), np.float32)
        made = model.feature_extractor(sound)
        features[:, : made.shape[1] - 1] = made[:, :-1]
        padded.append(np.array(model.encode(features))[0, :steps].mean(axis=0))
    together = [np.corrcoef(a, b)[0, 1] for a, b in zip(np.transpose(own), np.transpose(padded), strict=True)]
    return {
        "median": round(float(np.median(together)), 4),
        "lowest tenth": round(float(np.quantile(together, 0.1)), 4),
        "lowest": round(float(np.min(together)), 4),
    }


def recall(paths: Sequence[Path]) -> dict[str, Any]:
    """Unweighted recall of the emotion in six folds of four actors, in actor order, of states and floors."""
    sounds = [sound_of(path) for path in paths]
    begin = time.process_time()
    states = [encoder_states(sound).mean(axis=0) for sound in sounds]
    seconds = time.process_time() - begin
    voice = [voice_stream(sound).values for sound in sounds]
    mean = [values.mean(axis=0) for values in voice]
    tables: dict[str, Sequence[Any]] = {
        "states, mean": states,
        "length of the clip": [[len(sound)] for sound in sounds],
        "voice columns, mean": mean,
        "voice columns, mean and spread": [
            np.concatenate([middle, values.std(axis=0)]) for middle, values in zip(mean, voice, strict=True)
        ],
    }
    emotion = np.array([path.stem.split("-")[2] for path in paths])
    fold = np.array([(int(path.stem.split("-")[6]) - 1) // _ACTORS_PER_FOLD for path in paths])
    return {
        "clips": len(paths),
        "commonest emotion": recall_of(np.zeros((len(paths), 1)), emotion, fold, DummyClassifier()),
        **{name: recall_of(np.array(table), emotion, fold, logistic()) for name, table in tables.items()},
        "cpu seconds of encoding": round(seconds, 1),
    }


def logistic() -> Any:
    """Standardised columns and logistic regression with its default strength; nothing is tuned."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))


def recall_of(vectors: NDArray[Any], emotion: NDArray[Any], fold: NDArray[Any], classifier: Any) -> dict[str, Any]:
    """Over all clips, and by fold of actors that the classifier has not seen."""
    answers = np.empty_like(emotion)
    for one in np.unique(fold):
        fitted = clone(classifier).fit(vectors[fold != one], emotion[fold != one])
        answers[fold == one] = fitted.predict(vectors[fold == one])
    by_fold = [balanced_accuracy_score(emotion[fold == one], answers[fold == one]) for one in np.unique(fold)]
    return {
        "unweighted recall": round(float(balanced_accuracy_score(emotion, answers)), 4),
        "folds": [round(float(value), 4) for value in by_fold],
    }


if __name__ == "__main__":
    main()
