"""Which of several faces speaks: mouths that move when and while there is voice.

Every face of a shot gets a score, and the scores become probabilities as in the model of Bradley and Terry (1952): the
odds of two faces are the exponential of the difference of their scores. A score is the sum of

- how well the movement of the mouth follows the voice: the correlation of the two, as Fisher's z, times a third of the
  seconds that the face is seen (at most 30). Movement is the logarithm of the change of the mouth's opening, voice the
  loudness in dB between the 10th and the 95th percentile of the span; both are averaged over .4 s;
- how much the mouth moves while there is voice: the mean of that logarithm, weighted with the voice;
- which share of the shot's voice falls on frames that show the face (logarithm);
- half the logarithm of the face's height, as a weak prior.

The weight of the first part is the logistic regression on pairs of faces that both talk, of which one belongs to the
sound, over windows of 2 to 15 seconds; the other weights are our choice. Without sound the first part is missing, all
frames count alike, and the score is halved: mouths that move for another reason cannot be told from those that speak.

That somebody unseen speaks competes as a face that is seen all the time and whose mouth moves as little as those of
listeners do: of two faces that both listen, none is chosen surely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.extract.scratch import let_go

__all__ = ["FURTHER_FACES_VERSION", "FaceChoice", "Mouth", "choose_faces", "frame_loudness"]

Float: TypeAlias = NDArray[np.floating[Any]]
Int: TypeAlias = NDArray[np.int64]

FURTHER_FACES_VERSION = 2  # raised when other faces than the speaker's are kept, so that those of earlier runs are not
_WINDOW_SECONDS = 0.4
_SECONDS_PER_UNIT, _MOST_SECONDS = 3.0, 30.0
_SIZE_WEIGHT, _SOUNDLESS = 0.5, 0.5
_STILL = -4.8  # logarithm of the movement of mouths that listen
_MOVEMENT_FLOOR = 0.003  # of the opening, per 80 ms: what landmarks tremble by
_MOVEMENT_SECONDS = 0.08
_LEAST_RANGE_DB, _QUIET, _LOUD = 6.0, 10, 95
_FLOOR_DB = -80.0
_SHORTEST_SECONDS = 0.4  # faces seen for less are not counted, and never kept beside the one that speaks
_FRAMES_AT_ONCE = 1000


@dataclass(frozen=True, eq=False)
class Mouth:
    """What the choice needs of one face in one shot.

    Parameters
    ----------
    shot : int
        Number of the shot.
    frames : array of shape (n,), int64
        Numbers of the frames that show the face, rising, n >= 1.
    opening : array of shape (n,)
        Height over width of the mouth's opening.
    size : float
        Height of the face in picture heights.
    """

    shot: int
    frames: Int
    opening: Float
    size: float


@dataclass(frozen=True, eq=False)
class FaceChoice:
    """Which face is taken in which frame.

    Parameters
    ----------
    chosen : array of shape (K, F), int64
        Number of the mouth in each of the F frames: the one that speaks, then the next best; -1 where there is none.
    sure : array of shape (F,)
        Probability that the first face is the one that speaks, and neither one that is seen beside it in its shot nor
        somebody unseen; NaN where no other is seen beside it. Faces that are too small to be found are unseen.
    faces : int
        Most faces seen at a time, each for .4 s at least.
    shots : int
        Stretches between cuts.
    """

    chosen: Int
    sure: Float
    faces: int
    shots: int

    @property
    def confidence(self) -> float | None:
        """Mean of `sure` over the frames with a choice, four decimals; None where there was nothing to choose."""
        known = self.sure[np.isfinite(self.sure)]
        return round(float(known.mean()), 4) if known.size else None


def frame_loudness(sound: Float, begin: float, times: Float, step: float) -> Float | None:
    """Loudness during each frame, between quiet and loud.

    Parameters
    ----------
    sound : array of shape (n,)
        Mono at 16 kHz.
    begin : float
        Second of its first sample.
    times : array of shape (F,)
        Seconds at which the frames begin.
    step : float
        Seconds that a frame lasts.

    Returns
    -------
    array of shape (F,) or None
        0 at the 10th percentile of the frames' levels and below, 1 at the 95th and above, or at 6 dB over the 10th if
        that is more; None for silence.

    Examples
    --------
    >>> frame_loudness(np.repeat([0.0, 0.5], 8000), 0.0, np.array([0.0, 0.5]), 0.5).tolist()
    [0.0, 1.0]
    """
    first = np.clip(np.round((times - begin) * _RATE), 0, len(sound)).astype(np.int64)
    last = np.clip(first + round(step * _RATE), 0, len(sound))
    power = np.zeros(len(first))
    for frame, (a, b) in enumerate(zip(first, last, strict=True)):
        power[frame] = np.square(sound[a:b], dtype=np.float64).mean() if b > a else 0.0
        if frame % _FRAMES_AT_ONCE == 0:
            let_go(sound)
    level = 10 * np.log10(np.maximum(power, 10 ** (_FLOOR_DB / 10)))
    if not len(level) or level.max() <= _FLOOR_DB:
        return None
    quiet, loud = np.percentile(level, [_QUIET, _LOUD])
    loudness: Float = np.clip((level - quiet) / max(loud - quiet, _LEAST_RANGE_DB), 0, 1)
    return loudness if loudness.any() else None


_RATE = 16_000


def choose_faces(mouths: Sequence[Mouth], times: Float, loudness: Float | None, count: int = 1) -> FaceChoice:
    """Choose the face that speaks in every shot, and the next best ones.

    The best face of a shot leads. Where it is not seen, the best of those takes its place that was never seen beside
    it: it may be the same person, who was lost for a while. A face that was seen beside it is somebody else and never
    does. What remains is ordered in the same way, without what is followed for less than .4 s: what flickers for a
    frame or two is seldom a face.

    Parameters
    ----------
    mouths : sequence of Mouth
        Every face of every shot.
    times : array of shape (F,)
        Seconds at which the frames begin.
    loudness : array of shape (F,) or None
        See :func:`frame_loudness`; None without sound.
    count : int
        How many faces are wanted.

    Examples
    --------
    >>> still, moving = (Mouth(0, np.arange(4), np.array(o), 0.5) for o in ([0.1, 0.1, 0.1, 0.1], [0, 0.4, 0, 0.4]))
    >>> choose_faces([still, moving], np.arange(4) / 10, None).chosen.tolist()
    [[1, 1, 1, 1]]
    """
    frames = len(times)
    step = float(np.median(np.diff(times))) if frames > 1 else _MOVEMENT_SECONDS
    chosen, sure = np.full((count, frames), -1, np.int64), np.full(frames, np.nan)
    shots: dict[int, list[int]] = {}
    for number, mouth in enumerate(mouths):
        shots.setdefault(mouth.shot, []).append(number)
    for numbers in shots.values():
        scores = _scores([mouths[n] for n in numbers], loudness, step)
        ranked = [numbers[place] for place in np.argsort(-scores, kind="stable")]
        by_number = dict(zip(numbers, scores, strict=True))
        left = ranked
        for place in range(count):
            taken, left = _one_person(left, mouths)
            left = [n for n in left if _lasts(mouths[n], step)]
            for n in taken:
                chosen[place, mouths[n].frames] = n
        lead = ranked[0]
        rivals = [n for n in ranked[1:] if _lasts(mouths[n], step) and _beside(mouths[n], mouths[lead])]
        if rivals:
            nobody = _nobody(mouths[lead], soundless=loudness is None)
            odds = np.exp(np.array([*(by_number[n] for n in rivals), nobody]) - by_number[lead])
            taken_frames = np.concatenate([mouths[n].frames for n in numbers])
            sure[np.unique(taken_frames)] = 1 / (1 + odds.sum())
    sure[chosen[0] < 0] = np.nan
    return FaceChoice(chosen, sure, _most_at_a_time(mouths, frames, step), max(len(shots), 1))


def _scores(mouths: Sequence[Mouth], loudness: Float | None, step: float) -> Float:
    frames = np.unique(np.concatenate([mouth.frames for mouth in mouths]))
    voiced = np.ones(frames[-1] + 1) if loudness is None else loudness
    whole = max(float(voiced[frames].sum()), 1e-9)
    scores = []
    for mouth in mouths:
        movement, voice = _movement(mouth.opening, step), _smooth(voiced[mouth.frames], step)
        covered = max(float(voiced[mouth.frames].sum()) / whole, 1e-3)
        score = _amount(movement, voice) + np.log(covered) + _SIZE_WEIGHT * np.log(max(mouth.size, 1e-3))
        if loudness is None:
            scores.append(_SOUNDLESS * score)
        else:
            seconds = min(len(movement) * step, _MOST_SECONDS)
            scores.append(score + seconds / _SECONDS_PER_UNIT * _agreement(movement, voice))
    return np.array(scores)


def _nobody(lead: Mouth, *, soundless: bool) -> float:
    """Score of a mouth that is still, in a face like the leading one: it stands for somebody who is not seen."""
    score = _STILL + _SIZE_WEIGHT * np.log(max(lead.size, 1e-3))
    return float(_SOUNDLESS * score if soundless else score)


def _movement(opening: Float, step: float) -> Float:
    """Logarithm of the change of an opening (n,) per 80 ms, smoothed."""
    change = np.abs(np.gradient(opening)) if len(opening) > 1 else np.zeros(len(opening))
    return _smooth(np.log(change * (_MOVEMENT_SECONDS / step) + _MOVEMENT_FLOOR), step)


def _smooth(values: Float, step: float) -> Float:
    """Running mean over .4 s of values (n,), over fewer at the ends."""
    half = max(round(_WINDOW_SECONDS / step) // 2, 0)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    first, last = np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))
    smoothed: Float = (sums[last] - sums[first]) / (last - first)
    return smoothed


def _amount(movement: Float, voice: Float) -> float:
    return float((movement * voice).sum() / voice.sum()) if voice.sum() > 0 else float(movement.mean())


def _agreement(movement: Float, voice: Float) -> float:
    """Fisher's z of the correlation; 0 where one of the two never changes."""
    if len(movement) < 3 or min(movement.std(), voice.std()) < 1e-6:
        return 0.0
    return float(np.arctanh(np.clip(np.corrcoef(movement, voice)[0, 1], -0.95, 0.95)))


def _lasts(mouth: Mouth, step: float) -> bool:
    return len(mouth.frames) * step >= _SHORTEST_SECONDS


def _beside(mouth: Mouth, other: Mouth) -> bool:
    return bool(np.isin(mouth.frames, other.frames).any())


def _one_person(ranked: Sequence[int], mouths: Sequence[Mouth]) -> tuple[list[int], list[int]]:
    """The first of the ranked mouths with those that were never seen beside it or each other, and the rest."""
    taken: list[int] = []
    left: list[int] = []
    for n in ranked:
        (left if any(_beside(mouths[n], mouths[other]) for other in taken) else taken).append(n)
    return taken, left


def _most_at_a_time(mouths: Sequence[Mouth], frames: int, step: float) -> int:
    seen = np.zeros(max(frames, 1), np.int64)
    for mouth in mouths:
        if _lasts(mouth, step):
            seen[mouth.frames] += 1
    return max(int(seen.max()), int(bool(mouths)))
