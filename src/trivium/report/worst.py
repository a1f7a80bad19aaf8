"""Which utterances of a corpus to look at first, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trivium.report.quality import NO_PICTURE, CorpusQuality, UtteranceQuality

__all__ = ["Problem", "Usual", "problems_of", "worst_first"]

_LEAST = 0.05
_SAID = {"fit": "fit of words and sound", "probability": "the recogniser is sure by"}
_CLIPPED = 0.01  # this share of clipped samples counts fully
_QUIET_DB, _QUIET_RANGE_DB = 10.0, 20.0  # so far below the median begins to count; so much further counts fully


@dataclass(frozen=True)
class Problem:
    """One reason not to trust an utterance.

    Parameters
    ----------
    weight : float
        Between 0 and 1.
    text : str
        For people.

    Examples
    --------
    >>> Problem(1.0, "no audio: no sound").text
    'no audio: no sound'
    """

    weight: float
    text: str


@dataclass(frozen=True)
class Usual:
    """Medians over a corpus, which an utterance is compared with; None where nothing is known.

    Parameters
    ----------
    confidence : dict of str to float
        By origin of the words, because the confidence of given and recognised words is not the same thing.
    voiced, level_db : float, optional
        Voiced share, and level in dB re full scale.

    Examples
    --------
    >>> Usual({"given": 0.3}, 0.5, -20.0).level_db
    -20.0
    """

    confidence: dict[str, float]
    voiced: float | None
    level_db: float | None

    @classmethod
    def of(cls, quality: CorpusQuality) -> Usual:
        """Medians of a corpus."""
        ones = quality.utterances
        origins = sorted({one.origin or "" for one in ones})
        by_origin = {name: _median(o.confidence for o in ones if (o.origin or "") == name) for name in origins}
        known = {name: value for name, value in by_origin.items() if value is not None}
        return cls(known, _median(o.voiced for o in ones), _median(o.level_db for o in ones))


def _median(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def problems_of(one: UtteranceQuality, usual: Usual) -> list[Problem]:
    """Reasons not to trust one utterance, the heaviest first; the weights are our choice.

    A missing modality (but not the face of a clip without a picture), words that were spread evenly, words without a
    time, without a face or of unknown pronunciation and clipped samples count by their share, an unsure choice between
    faces by the probability that it is wrong; confidence, voiced share and level count where they are far below the
    median of the corpus.

    Parameters
    ----------
    one : UtteranceQuality
        The utterance.
    usual : Usual
        Medians of its corpus.
    """
    found = [*_of_words(one, usual), *_of_sound(one, usual), *_of_face(one), *_of_choice(one)]
    found += [
        Problem(1.0, f"no {name}" + (f": {why}" if why else ""))
        for name, why in one.missing.items()
        if why != NO_PICTURE
    ]
    return sorted((p for p in found if p.weight >= _LEAST), key=lambda p: -p.weight)


def _of_words(one: UtteranceQuality, usual: Usual) -> Iterator[Problem]:
    count = one.words
    if count and one.timed < count:
        yield Problem(1 - one.timed / count, f"{count - one.timed} of {count} words without a time")
    if count and one.guessed:
        yield Problem(one.guessed / count, f"{one.guessed} of {count} words spread evenly, not aligned")
    if one.timing == "recognised":
        yield Problem(0.5, "could not be aligned: the recogniser's own word times")
    if count and one.unknown:
        some = ", ".join(dict.fromkeys(one.unknown[:3])) + (" ..." if len(one.unknown) > 3 else "")
        yield Problem(len(one.unknown) / count, f"{len(one.unknown)} of {count} words unknown ({some})")
    yield from (Problem(1.0, doubt) for doubt in one.doubts or ())
    median = usual.confidence.get(one.origin or "")
    if one.confidence is not None and median and one.timing != "spread":
        told = _SAID.get(one.confidence_kind or "", "confidence")
        yield Problem(_below_half(one.confidence, median), f"{told} {one.confidence:.2f}, median {median:.2f}")


def _of_sound(one: UtteranceQuality, usual: Usual) -> Iterator[Problem]:
    if one.clipped:
        yield Problem(min(1.0, one.clipped / _CLIPPED), f"{100 * one.clipped:.2g} % of the samples clipped")
    if one.level_db is not None and usual.level_db is not None:
        deep = (usual.level_db - one.level_db - _QUIET_DB) / _QUIET_RANGE_DB
        yield Problem(min(1.0, deep), f"quiet: {one.level_db:.0f} dB, median {usual.level_db:.0f} dB")
    if one.voiced is not None and usual.voiced:
        told = f"{100 * one.voiced:.0f} % voiced, median {100 * usual.voiced:.0f} %"
        yield Problem(_below_half(one.voiced, usual.voiced), told)


def _of_face(one: UtteranceQuality) -> Iterator[Problem]:
    if one.faced is not None and "vision" not in one.missing and one.face_steps is not None:
        yield Problem(1 - one.faced / one.timed, f"a face at {one.faced} of {one.timed} words")


def _of_choice(one: UtteranceQuality) -> Iterator[Problem]:
    if one.speaker_confidence is not None:
        told = f"several faces; which one speaks is sure by {one.speaker_confidence:.2f}"
        yield Problem(1 - one.speaker_confidence, told)


def _below_half(value: float, median: float) -> float:
    """0 at half of the median and above, 1 at 0."""
    return max(0.0, 1 - 2 * value / median)


def worst_first(quality: CorpusQuality) -> list[tuple[UtteranceQuality, list[Problem]]]:
    """All utterances with their problems, those with the heaviest sum of problems first.

    Parameters
    ----------
    quality : CorpusQuality
        What :func:`trivium.report.quality.corpus_quality` gave.

    Examples
    --------
    >>> from trivium.corpus import Specification
    >>> worst_first(CorpusQuality("none", Specification(()), ()))
    []
    """
    usual = Usual.of(quality)
    pairs = [(one, problems_of(one, usual)) for one in quality.utterances]
    return sorted(pairs, key=lambda pair: (-sum(p.weight for p in pair[1]), pair[0].id))
