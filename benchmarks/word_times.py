"""Word times against exact truth: the aligner and the recogniser on synthetic speech, as JSON.

Usage: ``python benchmarks/word_times.py [--out FILE.json] [--only flite,espeak-ng] [--half tuning|reported]
[--without-recogniser]``. Needs the extra ``extract``, the models (``trivium upstream fetch``), and the synthesisers'
libraries (``apt-get install flite espeak-ng``). About eleven minutes of sound for a half: two to
three minutes of one core.

The sentences of ``word_times.txt`` (written for this, four to a clip) are spoken by two synthesisers that know when
each word begins and ends (``synthetic_speech.py``). Conditions: ``clean`` as it comes; ``noisy`` with pink noise 10 dB
below the words' mean power; ``fast`` at 1.5 times the voice's speed. Numbers are written out by trivium's own rules
before they are spoken, so what is measured is times and not readings.

The error of a boundary is the found time minus the true one. The recogniser is measured on the words that it heard as
they were said, and the aligner once more on the same words. Whatever in the aligner was chosen by looking at errors was
chosen on the clips with odd numbers (``tuning``); the scores are those of the even ones (``reported``).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import SequenceMatcher
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from synthetic_speech import SYNTHESISERS, Spoken, versions

from trivium.errors import TriviumError
from trivium.extract.source.media import SOUND_RATE
from trivium.extract.words.speech import align_words, recognise
from trivium.extract.words.transcript import read_transcript

SENTENCES = Path(__file__).with_suffix(".txt")
SENTENCES_PER_CLIP = 4
SEED = 0
NOISE_DB = -10.0
CONDITIONS = {"clean": 1.0, "noisy": 1.0, "fast": 1.5}  # and the speed of each
HALVES = ("tuning", "reported")
WANTED = {"median_ms": 30, "p95_ms": 100, "of": "clean speech"}
WORST = 5

Times = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Clip:
    """Some sentences in a row: their words, the sound, and the true times."""

    words: tuple[str, ...]
    spoken: Spoken


@dataclass(frozen=True, eq=False)
class Found:
    """What was found for the words of one clip.

    Parameters
    ----------
    words : tuple of str
        The words.
    truth, aligned, recognised : array of shape (W, 2), float64
        Seconds; NaN where unknown: not told by the synthesiser, not aligned, not heard as it was said.
    confidence : array of shape (W,), float32
        The aligner's; 0 where it found nothing.
    """

    words: tuple[str, ...]
    truth: Times
    aligned: Times
    recognised: Times
    confidence: NDArray[np.float32]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default=",".join(SYNTHESISERS), help="synthesisers, with commas")
    parser.add_argument("--half", choices=HALVES, default="reported")
    parser.add_argument("--without-recogniser", action="store_true")
    options = parser.parse_args()
    report = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": {name: version(name) for name in ("trivium", "pocketsphinx", "faster-whisper", "numpy", "scipy")},
        "synthesisers": versions(),
        "data": "synthetic speech, self-written sentences (benchmarks/word_times.txt)",
        "half": options.half,
        "seed": SEED,
        "wanted": WANTED,
        "results": [
            {"synthesiser": name, "condition": condition}
            | summary(list(measure(name, condition, options.half, recogniser=not options.without_recogniser)))
            for name in options.only.split(",")
            for condition in CONDITIONS
        ],
    }
    text = json.dumps(report, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


# Sound


def said(sentence: str) -> tuple[str, tuple[str, ...]]:
    """Write a sentence out as it is said, with the punctuation that makes pauses; and its words."""
    transcript = read_transcript(sentence)
    text = ""
    for number, token in enumerate(transcript.tokens):
        spoken = (word for word, source in zip(transcript.words, transcript.source, strict=True) if source == number)
        text += " " + " ".join(spoken) + (token[-1] if token[-1] in ",?" else "")
    return text.strip() + ("" if text.endswith("?") else "."), transcript.words


def clips(synthesiser: str, condition: str, half: str) -> Iterator[Clip]:
    """Speak the clips of one half, in the order of the file."""
    lines = SENTENCES.read_text(encoding="utf-8").splitlines()
    for number, first in enumerate(range(0, len(lines), SENTENCES_PER_CLIP), start=1):
        if HALVES[number % 2 == 0] == half:
            rng = np.random.default_rng([SEED, number])
            clip = speak(synthesiser, lines[first : first + SENTENCES_PER_CLIP], CONDITIONS[condition], rng)
            yield with_noise(clip, rng) if condition == "noisy" else clip


def speak(synthesiser: str, sentences: Sequence[str], rate: float, rng: np.random.Generator) -> Clip:
    """Join sentences, with 0.2 to 0.8 seconds of silence before, between and after."""
    words: list[str] = []
    sounds, times, length = [], [], 0
    for sentence in sentences:
        text, spelled = said(sentence)
        one = SYNTHESISERS[synthesiser](text, spelled, rate)
        silence = np.zeros(round(rng.uniform(0.2, 0.8) * SOUND_RATE), np.float32)
        times.append(one.times + (length + len(silence)) / SOUND_RATE)
        sounds += [silence, one.samples]
        length += len(silence) + len(one.samples)
        words += spelled
    sounds.append(np.zeros(round(rng.uniform(0.2, 0.8) * SOUND_RATE), np.float32))
    return Clip(tuple(words), Spoken(np.concatenate(sounds), np.concatenate(times)))


def with_noise(clip: Clip, rng: np.random.Generator) -> Clip:
    """Add pink noise, 10 dB below the mean power of the spoken words."""
    samples = clip.spoken.samples.astype(np.float64)
    spectrum = np.fft.rfft(rng.standard_normal(len(samples)))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    spectrum[0] = 0.0
    noise = np.fft.irfft(spectrum, len(samples))
    seconds = np.arange(len(samples)) / SOUND_RATE
    begin, end = clip.spoken.times[:, 0], clip.spoken.times[:, 1]
    inside = np.zeros(len(samples), dtype=bool)
    for start, stop in zip(begin, end, strict=True):
        inside |= (seconds >= start) & (seconds < stop)
    wanted = np.mean(samples[inside] ** 2) * 10 ** (NOISE_DB / 10)
    noisy = samples + noise * np.sqrt(wanted / np.mean(noise**2))
    return Clip(clip.words, Spoken(np.clip(noisy, -1, 1).astype(np.float32), clip.spoken.times))


# Times


def measure(synthesiser: str, condition: str, half: str, *, recogniser: bool) -> Iterator[Found]:
    """Align and recognise every clip."""
    for clip in clips(synthesiser, condition, half):
        nothing = np.full((len(clip.words), 2), np.nan)
        timed = align_words(clip.spoken.samples, clip.words)
        confidence = np.zeros(len(clip.words), np.float32) if timed is None else timed.confidence
        aligned = nothing if timed is None else np.where(confidence[:, None] > 0, timed.times, np.nan)
        heard = recognised(clip) if recogniser else nothing
        yield Found(clip.words, clip.spoken.times, aligned, heard, confidence)


def recognised(clip: Clip) -> Times:
    """Give the recogniser's own times of the words it heard as they were said."""
    heard = recognise(clip.spoken.samples)
    times = np.full((len(clip.words), 2), np.nan)
    matcher = SequenceMatcher(None, clip.words, heard.transcript.words, autojunk=False)
    for first, other, size in matcher.get_matching_blocks():
        times[first : first + size] = heard.times[other : other + size]
    return times


def summary(found: Sequence[Found]) -> dict[str, Any]:
    """Scores over all clips of one condition."""
    truth, aligned, heard = (
        np.concatenate([getattr(one, name) for one in found]) for name in ("truth", "aligned", "recognised")
    )
    words = [word for one in found for word in one.words]
    confidence = np.concatenate([one.confidence for one in found])
    known = ~np.isnan(heard).any(axis=1)
    result: dict[str, Any] = {
        "words": len(words),
        "boundaries": int(np.sum(~np.isnan(truth))),
        "share_aligned": round(float(np.mean(confidence > 0)), 3),
        "mean_confidence": round(float(confidence.mean()), 3),
        "aligner": scores(aligned - truth),
        "worst": worst(words, truth, aligned),
    }
    if known.any():
        result["share_heard_as_said"] = round(float(known.mean()), 3)
        result["recogniser"] = scores(heard - truth)
        result["aligner_on_the_same_words"] = scores((aligned - truth)[known])
    return result


def scores(errors: Times) -> dict[str, Any]:
    """Median and 95th percentile of the absolute error, and the median error, in ms; NaN is left out."""
    parts = {"all": errors.ravel(), "starts": errors[:, 0], "ends": errors[:, 1]}
    result: dict[str, Any] = {}
    for name, part in parts.items():
        part = 1000 * part[~np.isnan(part)]
        if len(part):
            median, p95 = np.percentile(np.abs(part), [50, 95])
            numbers = {"median_ms": median, "p95_ms": p95, "median_error_ms": np.median(part)}
            result[name] = {key: round(float(number), 1) for key, number in numbers.items()}
    return result


def worst(words: Sequence[str], truth: Times, aligned: Times) -> list[str]:
    """Name the words that are furthest off."""
    errors = np.nan_to_num(aligned - truth)
    order = np.argsort(-np.abs(errors).max(axis=1), kind="stable")[:WORST]
    return [f"{words[n]}: start {1000 * errors[n, 0]:+.0f} ms, end {1000 * errors[n, 1]:+.0f} ms" for n in order]


if __name__ == "__main__":
    try:
        main()
    except TriviumError as error:
        raise SystemExit(str(error)) from error
