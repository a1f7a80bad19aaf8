"""How trivium's voice columns go with openSMILE's descriptors and Praat's formants, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from voice_signals import HARMONICS_DB, JITTERS, PITCHES, SHIMMERS, VOWELS

from trivium.extract.audio.voice import VOICE_COLUMNS

Values = NDArray[Any]
PLACE = {column.name: i for i, column in enumerate(VOICE_COLUMNS)}
STEP = 0.01
# Seconds from the start of openSMILE's step to the middle of what it looks at there: windows of 20 and of 60 ms begin
# with the step; its jitter and shimmer go best with ours around the start itself (chosen on 100 other clips).
SHORT, LONG, CYCLES = 0.010, 0.030, 0.0
MISSING_DB = -150.0  # openSMILE writes -201 for a level it has none of
FEWEST_FRAMES = 20
STEADY = slice(20, 80)  # rows of a synthetic sound of a second or more that no end disturbs


@dataclass(frozen=True)
class Pair:
    """One of openSMILE's descriptors and what stands beside it.

    Parameters
    ----------
    theirs : str
        Name in eGeMAPS v02.
    ours : str
        Column, or two with `` - `` between.
    middle : float
        Seconds from the start of its step to the middle of what it looks at.
    voice : bool
        Whether it is about the voice: then over frames that both call voiced.
    """

    theirs: str
    ours: str
    middle: float
    voice: bool


PAIRS = (
    Pair("Loudness", "loudness_auditory", SHORT, False),
    Pair("alphaRatio", "alpha_ratio", SHORT, False),
    Pair("hammarbergIndex", "hammarberg_index", SHORT, False),
    Pair("slope0-500", "spectral_slope_0_500", SHORT, False),
    Pair("slope500-1500", "spectral_slope_500_1500", SHORT, False),
    Pair("spectralFlux", "magnitude_flux", SHORT, False),
    *(Pair(f"mfcc{n}", f"mfcc_0{n}", SHORT, False) for n in range(1, 5)),
    Pair("F0semitoneFrom27.5Hz", "pitch_semitones", LONG, True),
    Pair("jitterLocal", "jitter", CYCLES, True),
    Pair("shimmerLocaldB", "shimmer", CYCLES, True),
    Pair("HNRdBACF", "harmonics_to_noise", LONG, True),
    Pair("logRelF0-H1-H2", "h1_h2", LONG, True),
    Pair("logRelF0-H1-A3", "h1_a3", LONG, True),
    *(
        Pair(f"F{n}{theirs}", f"formant_{n}_{ours}", middle, True)
        for n in range(1, 4)
        for theirs, ours, middle in (
            ("frequency", "frequency", SHORT),
            ("bandwidth", "bandwidth", SHORT),
            ("amplitudeLogRelF0", "level", LONG),
        )
    ),
)
DESCRIPTOR = {pair.theirs: i for i, pair in enumerate(PAIRS)}
# What two of its descriptors follow instead: they count the harmonics from the second on.
FOLLOWED = {"logRelF0-H1-H2": "h2_h3", "logRelF0-H1-A3": "h1_a3 - h1_h2"}


def column(values: Values, name: str) -> Values:
    """One column, or the difference of two."""
    first, *rest = (values[:, PLACE[part]].astype(np.float64) for part in name.split(" - "))
    return first - rest[0] if rest else first


def agreement(place: int, ours: Mapping[str, Values], theirs: Mapping[str, Values], name: str) -> dict[str, Any]:
    """Correlation of a descriptor with a column: median over clips, of ranks too, and over all frames together."""
    pair, per_clip, ranks, together = PAIRS[place], [], [], []
    for clip, values in ours.items():
        x, y = _frames(place, values, theirs[clip].astype(np.float64), name)
        if len(x) >= FEWEST_FRAMES:
            together.append((x, y))
            per_clip.append(correlation(x, y))
            ranks.append(correlation(rankdata(x), rankdata(y)))
    x, y = (np.concatenate(part) for part in zip(*together, strict=True))
    return {
        "descriptor": pair.theirs,
        "column": name,
        "median": round(float(np.nanmedian(per_clip)), 3),
        "quarter": round(float(np.nanpercentile(np.abs(per_clip), 25)), 3),
        "median_of_ranks": round(float(np.nanmedian(ranks)), 3),
        "pooled": round(correlation(x, y), 3),
        "clips": len(per_clip),
        "frames": len(x),
    }


def _frames(place: int, ours: Values, theirs: Values, name: str) -> tuple[Values, Values]:
    """Our column at the middles of their steps, smoothed as theirs, and theirs; frames that count."""
    pair = PAIRS[place]
    seconds = np.arange(len(theirs)) * STEP + pair.middle
    voiced = ours[:, PLACE["voicing"]] > 0
    smooth = _smoothed(column(ours, name), voiced if pair.voice else np.ones(len(ours), bool))
    counts = np.ones(len(theirs), bool)
    if pair.voice:
        counts = _their_voicing(theirs, pair.middle) & (_between(voiced.astype(np.float64), seconds) > 1 - 1e-9)
        if pair.middle == CYCLES:
            counts &= theirs[:, place] != 0  # no two periods were found
        if pair.theirs.endswith("F0"):
            counts &= theirs[:, place] > MISSING_DB
    return _between(smooth, seconds)[counts], theirs[counts, place]


def _their_voicing(theirs: Values, middle: float) -> NDArray[np.bool_]:
    """Whether openSMILE calls the moment voiced; its pitch looks at 60 ms, other things at another moment."""
    voiced = theirs[:, DESCRIPTOR["F0semitoneFrom27.5Hz"]] > 0
    late = round((LONG - middle) / STEP) if middle == SHORT else 0
    return np.concatenate([np.zeros(late, bool), voiced[: len(voiced) - late]])


def _smoothed(values: Values, counts: NDArray[np.bool_]) -> Values:
    """Moving average of three steps over those that count, as openSMILE's ``sma3`` and ``sma3nz``; 0 elsewhere."""
    three = np.ones(3)
    total = np.convolve(np.where(counts, values, 0), three, mode="same")
    return np.where(counts, total / np.maximum(np.convolve(counts.astype(float), three, mode="same"), 1), 0)


def _between(values: Values, seconds: Values) -> Values:
    """Values at moments, on straight lines between the middles of our steps."""
    return np.interp(seconds, (np.arange(len(values)) + 0.5) * STEP, values)


def correlation(x: Values, y: Values) -> float:
    """Pearson's, NaN where one does not vary."""
    x, y = x - x.mean(), y - y.mean()
    size = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / size) if size > 0 else float("nan")


def formants_beside_praat(
    ours: Mapping[str, Values], theirs: Mapping[str, Values], praat: Mapping[str, Values]
) -> list[dict[str, Any]]:
    """Both formant trackers against Praat's, over frames that trivium calls voiced."""
    rows = []
    for n in range(3):
        found: dict[str, list[tuple[float, float]]] = {"trivium": [], "openSMILE": []}
        for clip, values in ours.items():
            seconds = (np.arange(len(values)) + 0.5) * STEP
            truth = praat[clip][:, n]
            known = (values[:, PLACE["voicing"]] > 0) & np.isfinite(truth)
            at = np.arange(len(theirs[clip])) * STEP + SHORT
            other = np.interp(seconds, at, theirs[clip][:, DESCRIPTOR[f"F{n + 1}frequency"]].astype(np.float64))
            for name, guess in (("trivium", column(values, f"formant_{n + 1}_frequency")), ("openSMILE", other)):
                if known.sum() >= FEWEST_FRAMES:
                    off = float(np.median(np.abs(guess - truth)[known]))
                    found[name].append((correlation(guess[known], truth[known]), off))
        for name, scores in found.items():
            r, off = np.median(scores, axis=0)
            rows.append(
                {"formant": n + 1, "of": name, "median_r": round(float(r), 3), "median_off_hz": round(float(off))}
            )
    return rows


def known_answers(
    ours: Mapping[str, Values], theirs: Mapping[str, Values], praat: Mapping[str, Values]
) -> list[dict[str, Any]]:
    """What each says of sounds whose answer is known; medians over the steady part."""

    def us(sound: str, name: str) -> float:
        return _steady(column(ours[sound], name))

    def them(sound: str, name: str) -> float:
        return _steady(theirs[sound][:, DESCRIPTOR[name]])

    rows = []
    for n in range(3):
        off = [
            (us(sound, f"formant_{n + 1}_frequency"), them(sound, f"F{n + 1}frequency"), _steady(praat[sound][:, n]))
            - np.array(VOWELS[vowel][n])
            for vowel in VOWELS
            for sound in (f"vowel {vowel} {pitch}" for pitch in PITCHES)
        ]
        rows.append(_row(f"F{n + 1} of 20 vowels: mean error, Hz", 0.0, *np.abs(off).mean(axis=0)))
    for truth in JITTERS:
        sound = f"jitter {truth:g}"
        rows.append(_row("jitter, %", truth, us(sound, "jitter"), 100 * them(sound, "jitterLocal")))
    for truth in SHIMMERS:
        sound = f"shimmer {truth:g}"
        rows.append(_row("shimmer, dB", truth, us(sound, "shimmer"), them(sound, "shimmerLocaldB")))
    first, second, third = HARMONICS_DB
    rows.append(_row("H1-H2, dB", first - second, us("harmonics", "h1_h2"), them("harmonics", "logRelF0-H1-H2")))
    rows.append(_row("H2-H3, dB", second - third, us("harmonics", "h2_h3"), None))
    for name, other in (("spectral_slope_0_500", "slope0-500"), ("spectral_slope_500_1500", "slope500-1500")):
        change = us("quiet vowel", name) - us("vowel ae 140", name)
        theirs_change = 1000 * (them("quiet vowel", other) - them("vowel ae 140", other))
        rows.append(_row(f"{other}, dB/kHz: change with 20 dB less gain", 0.0, change, theirs_change))
    return rows


def _steady(values: Values) -> float:
    return float(np.nanmedian(values[STEADY]))


def _row(what: str, truth: float, ours: float, theirs: float | None, praat: float | None = None) -> dict[str, Any]:
    numbers = {"truth": truth, "trivium": ours, "openSMILE": theirs, "Praat": praat}
    return {"what": what} | {name: None if n is None else round(float(n), 2) for name, n in numbers.items()}


def reached(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many descriptors a column follows how well, whatever the sign."""
    return {f"{least:g}": sum(abs(row["median"]) >= least for row in rows) for least in (0.9, 0.7, 0.5)}
