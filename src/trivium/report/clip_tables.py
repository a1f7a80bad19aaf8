"""Tables with a row per utterance, each narrow enough for a terminal of 80 columns: words, sound, faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from trivium.report.quality import UtteranceQuality

__all__ = ["FIRST_OF_CLIPS", "QualityTable", "clip_rows", "clip_tables", "how_timed", "percent", "share_of"]

_EVERY_CLIP = "Every clip"
FIRST_OF_CLIPS = f"{_EVERY_CLIP}: words"
_CLIP_HEADS = {
    "words": ("id", "s", "words", "how", "fit", "sure", "unknown"),
    "sound": ("id", "voiced", "level", "peak", "clipped"),
    "faces": ("id", "at words", "in frames", "faces", "sure"),
}
_CLIP_LEADS = {
    "words": (
        "how: given or recognised words, and how they got their times. fit: how well the sound fits given words, 0.1 "
        "to 0.4 is usual. sure: the recogniser's probability of its words. fit and sure are not comparable."
    ),
    "sound": "level: mean over voiced steps, peak: loudest sample, both in dB re full scale. clipped: of the samples.",
    "faces": (
        "Share of the words and of the frames with a face. faces: most at a time. sure: how sure it is which of "
        "several speaks."
    ),
}
_HOW = {
    ("recognised", "recognised"): "recognised, not aligned",
    ("given", "recognised"): "given, times as recognised",
    ("given", "set"): "given with times",
    ("given", "spread"): "given, spread evenly",
}


@dataclass(frozen=True)
class QualityTable:
    """One table: a title, heads, rows of text, and what its heads mean.

    Examples
    --------
    >>> QualityTable("Missing", ("modality", "reason"), [["vision", "no face"]]).title
    'Missing'
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    lead: str = ""


def share_of(part: float, whole: float) -> float | None:
    """Share with six decimals; None of nothing.

    Parameters
    ----------
    part, whole : float
        Counts.

    Examples
    --------
    >>> share_of(1, 3), share_of(0, 0)
    (0.333333, None)
    """
    return round(part / whole, 6) if whole else None


def clip_tables(order: str, ones: Sequence[UtteranceQuality]) -> Iterator[QualityTable]:
    """Tables of utterances; rows and columns in which nothing is known are left out.

    Parameters
    ----------
    order : str
        In which order they stand, for the titles.
    ones : sequence of UtteranceQuality
        In the order shown.
    """
    for name, listed in clip_rows(ones).items():
        heads = _CLIP_HEADS[name]
        rows = [row for row in listed if set(row[1:]) != {"-"}]
        kept = [k for k in range(len(heads)) if any(row[k] != "-" for row in rows)]
        if len(kept) > 1:
            cells = [[row[k] for k in kept] for row in rows]
            yield QualityTable(f"{_EVERY_CLIP}: {name} ({order})", [heads[k] for k in kept], cells, _CLIP_LEADS[name])


def clip_rows(ones: Sequence[UtteranceQuality]) -> dict[str, list[list[str]]]:
    """One row of text per utterance for its ``words``, its ``sound`` and its ``faces``; a dash: nothing can be told.

    Parameters
    ----------
    ones : sequence of UtteranceQuality
        In the order shown.
    """
    makers = {"words": _words_of, "sound": _sound_of, "faces": _faces_of}
    return {name: [[one.id, *told(one)] for one in ones] for name, told in makers.items()}


def _words_of(one: UtteranceQuality) -> list[str]:
    kind = one.confidence_kind
    return [
        _or_dash(one.seconds, "{:.1f}".format),
        "-" if not one.words else str(one.words) if one.timed == one.words else f"{one.words}, {one.timed} timed",
        how_timed(one) or "-",
        _or_dash(one.confidence if kind == "fit" else None, "{:.2f}".format),
        _or_dash(one.confidence if kind == "probability" else None, "{:.2f}".format),
        _or_dash(None if one.unknown is None else len(one.unknown), str),
    ]


def _sound_of(one: UtteranceQuality) -> list[str]:
    return [
        percent(one.voiced),
        _or_dash(one.level_db, "{:.0f} dB".format),
        _or_dash(one.peak_db, "{:.1f} dB".format),
        percent(one.clipped),
    ]


def _faces_of(one: UtteranceQuality) -> list[str]:
    return [
        percent(None if one.faced is None or "vision" in one.missing else share_of(one.faced, one.timed)),
        percent(None if not one.frames else share_of(one.face_steps or 0, one.frames)),
        _or_dash(one.faces, str),
        _or_dash(one.speaker_confidence, "{:.2f}".format),
    ]


def how_timed(one: UtteranceQuality) -> str:
    """Where the words of an utterance come from and how they were timed; empty where that is not known.

    Parameters
    ----------
    one : UtteranceQuality
        What is known of it.
    """
    told = ", ".join(part for part in (one.origin, one.timing) if part)
    return _HOW.get((one.origin or "", one.timing or ""), told)


def _or_dash(value: Any, told: Callable[[Any], str]) -> str:
    return "-" if value is None else told(value)


def percent(share: float | None) -> str:
    """A share for people; a dash where it is not known.

    Parameters
    ----------
    share : float, optional
        Between 0 and 1.

    Examples
    --------
    >>> percent(0.98148), percent(None)
    ('98.1 %', '-')
    """
    return _or_dash(share, lambda known: f"{100 * known:.3g} %")
