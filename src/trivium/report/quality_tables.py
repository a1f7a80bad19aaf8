"""The quality of a corpus in words and numbers: tables for the terminal and the page, and one JSON object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from trivium.report.clip_tables import QualityTable, clip_tables, percent, share_of
from trivium.report.quality import CorpusQuality, UtteranceQuality
from trivium.report.worst import worst_first
from trivium.wording import counted

__all__ = ["QualityTable", "nothing_known", "quality_json", "quality_tables", "totals", "untold"]

WORST = 10
_MOST_UNKNOWN = 10
_TIMINGS = ("aligned", "recognised", "spread", "set")


def _total(values: Iterable[float | None]) -> float:
    return sum(value for value in values if value is not None)


def _spread(values: Iterable[float | None]) -> dict[str, float] | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    ends = {"min": min(known), "median": float(np.median(known)), "max": max(known)}
    return {name: round(float(value), 6) for name, value in ends.items()}


def _mean(pairs: Iterable[tuple[float | None, float]]) -> float | None:
    known = [(value, weight) for value, weight in pairs if value is not None and weight]
    whole = sum(weight for _, weight in known)
    return round(sum(value * weight for value, weight in known) / whole, 6) if whole else None


def totals(quality: CorpusQuality) -> dict[str, Any]:
    """Sums and means over a corpus; None where nothing is known.

    Parameters
    ----------
    quality : CorpusQuality
        What :func:`trivium.report.quality.corpus_quality` gave.

    Returns
    -------
    dict
        Plain builtins: ``words`` (counts, how they were timed, confidence by origin), ``unknown``, ``voice``, ``face``,
        ``speaker`` (choice between several faces), ``missing`` (modality, reason, count).

    Examples
    --------
    >>> from trivium.corpus import Specification
    >>> totals(CorpusQuality("none", Specification(()), ()))["words"]["count"]
    0
    """
    ones = quality.utterances
    return {
        "utterances": len(ones),
        "failed": len(quality.failures),
        "seconds": round(_total(one.seconds for one in ones), 6),
        "words": _words(ones),
        "unknown": _unknown(ones),
        "voice": _voice(ones),
        "face": _face(ones),
        "speaker": _speaker(ones),
        "missing": _missing(ones),
    }


def _words(ones: Sequence[UtteranceQuality]) -> dict[str, Any]:
    timing: Counter[str] = Counter()
    for one in ones:
        guessed = one.guessed or 0
        timing[one.timing or "not recorded"] += one.timed - guessed
        timing["spread"] += guessed
    # words that were spread have no confidence to speak of
    sure = [one for one in ones if one.confidence is not None and one.timing != "spread"]
    origins = sorted({one.origin or "not recorded" for one in sure})
    by_origin = {name: [one for one in sure if (one.origin or "not recorded") == name] for name in origins}
    count, timed = sum(one.words for one in ones), sum(one.timed for one in ones)
    return {
        "count": count,
        "utterances": sum(one.words > 0 for one in ones),
        "with_times": timed,
        "share_with_times": share_of(timed, count),
        "timing": {name: timing[name] for name in (*_TIMINGS, "not recorded") if timing[name]},
        "confidence": {name: _mean((one.confidence, one.words) for one in own) for name, own in by_origin.items()},
    }


def _unknown(ones: Sequence[UtteranceQuality]) -> dict[str, Any] | None:
    told = [one for one in ones if one.unknown is not None]
    if not told:
        return None
    found = Counter(word for one in told for word in one.unknown or ())
    most = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_UNKNOWN]
    count, words = sum(found.values()), sum(one.words for one in told)
    return {"count": count, "words": words, "share": share_of(count, words), "most": dict(most)}


def _voice(ones: Sequence[UtteranceQuality]) -> dict[str, Any]:
    told = [one.clipped for one in ones if one.clipped is not None]
    return {
        "voiced": _mean((one.voiced, one.voice_steps) for one in ones),
        "level_db": _spread(one.level_db for one in ones),
        "peak_db": _spread(one.peak_db for one in ones),
        "clipped": _spread(told),
        "utterances_clipped": sum(share > 0 for share in told) if told else None,
    }


def _face(ones: Sequence[UtteranceQuality]) -> dict[str, Any]:
    asked = [one for one in ones if one.faced is not None]
    framed = [one for one in ones if one.frames is not None]
    words, faced = sum(one.timed for one in asked), sum(one.faced or 0 for one in asked)
    frames, steps = sum(one.frames or 0 for one in framed), sum(one.face_steps or 0 for one in framed)
    return {
        "words": words,
        "with_face": faced,
        "share": share_of(faced, words),
        "frames": frames if framed else None,
        "frames_with_face": steps if framed else None,
        "share_of_frames": share_of(steps, frames),
        "confidence": _mean((one.face_confidence, one.face_steps or 0) for one in ones),
    }


def _speaker(ones: Sequence[UtteranceQuality]) -> dict[str, Any] | None:
    """Choice between several faces; None where extraction did not note it."""
    told = [one for one in ones if one.faces is not None]
    if not told:
        return None
    asked = [one for one in told if one.speaker_confidence is not None]
    least = min(asked, key=lambda one: (one.speaker_confidence or 0.0, one.id), default=None)
    return {
        "utterances": len(told),
        "several_faces": len(asked),
        "share": share_of(len(asked), len(told)),
        "confidence": _spread(one.speaker_confidence for one in asked),
        "least_sure": None if least is None else least.id,
    }


def _missing(ones: Sequence[UtteranceQuality]) -> list[dict[str, Any]]:
    found = Counter((name, why) for one in ones for name, why in one.missing.items())
    return [{"modality": name, "reason": why, "utterances": n} for (name, why), n in sorted(found.items())]


def untold(quality: CorpusQuality) -> dict[str, str]:
    """What cannot be told from this corpus, and why not.

    Parameters
    ----------
    quality : CorpusQuality
        What :func:`trivium.report.quality.corpus_quality` gave.

    Examples
    --------
    >>> from trivium.corpus import Specification
    >>> untold(CorpusQuality("none", Specification(()), ()))["voiced share"]
    'there is no column voicing of a modality audio'
    """
    ones, names = quality.utterances, quality.specification.modalities
    unnoted = "only extraction knows it, and its notes are not in this corpus"
    known: dict[str, tuple[bool, str]] = {
        "words": (any(one.words for one in ones), "no utterance has words"),
        "word times": (any(one.timed for one in ones), "no word has a time"),
        "how words were timed": (quality.has("timing"), unnoted),
        "confidence of words": (quality.has("confidence"), "no word has a confidence"),
        "unknown words": (quality.has("unknown"), unnoted),
        "voiced share": (quality.has("voiced"), "there is no column voicing of a modality audio"),
        "loudness": (quality.has("level_db"), "there is no column energy_db of a modality audio"),
        "peak and clipping": (quality.has("clipped"), unnoted),
    }
    if "vision" in names:
        known["words with a face"] = (quality.has("faced"), "the face or the words have no times")
        known["share of frames with a face"] = (quality.has("frames"), unnoted)
        known["which of several faces speaks"] = (quality.has("faces"), unnoted)
    else:
        known["face"] = (False, "there is no modality vision")
    return {name: why for name, (told, why) in known.items() if not told}


def nothing_known(quality: CorpusQuality) -> bool:
    """Whether a corpus holds nothing that its quality could be told from: no words, no voice and no face columns.

    Parameters
    ----------
    quality : CorpusQuality
        What :func:`trivium.report.quality.corpus_quality` gave.
    """
    facts = ("voiced", "level_db", "clipped", "faced", "timing", "confidence")
    return not any(map(quality.has, facts)) and not any(one.words for one in quality.utterances)


def quality_json(quality: CorpusQuality) -> dict[str, Any]:
    """Everything as plain builtins: totals, every utterance, the ten worst, failures, what cannot be told.

    Parameters
    ----------
    quality : CorpusQuality
        What :func:`trivium.report.quality.corpus_quality` gave.
    """
    worst = [
        {
            "id": one.id,
            "clip": one.clip,
            "weight": round(sum(p.weight for p in why), 6),
            "reasons": [p.text for p in why],
        }
        for one, why in worst_first(quality)[:WORST]
        if why
    ]
    return {
        "corpus": quality.name,
        "total": totals(quality),
        "worst": worst,
        "failures": [dict(row) for row in quality.failures],
        "cannot_be_told": untold(quality),
        "utterances": [one.to_json() for one in quality.utterances],
    }


def quality_tables(quality: CorpusQuality, *, clips: int) -> list[QualityTable]:
    """Tables for people; those without rows are left out.

    Parameters
    ----------
    quality : CorpusQuality
        What :func:`trivium.report.quality.corpus_quality` gave.
    clips : int
        How many utterances the table of clips shows at most, the worst first.
    """
    ranked = worst_first(quality)
    worst = [[one.id, "; ".join(p.text for p in why)] for one, why in ranked[:WORST] if why]
    failures = [[row["clip"] or row["id"], row["reason"], row.get("remedy", "")] for row in quality.failures]
    missing = [
        [m["modality"], m["reason"] or "not recorded", str(m["utterances"])] for m in _missing(quality.utterances)
    ]
    shown = f", {clips} of {len(ranked)}" if len(ranked) > clips else ""
    tables = [
        QualityTable("In total", ("what", "found", "more"), list(_total_rows(totals(quality)))),
        QualityTable("Modalities that are missing", ("modality", "reason", "utterances"), missing),
        QualityTable("Clips that could not be extracted", ("clip", "reason", "remedy"), failures),
        QualityTable("Look at these first", ("id", "why"), worst),
        *clip_tables(f"the worst first{shown}", [one for one, _ in ranked[:clips]]),
        QualityTable(
            "What cannot be told from this corpus", ("what", "why"), [list(p) for p in untold(quality).items()]
        ),
    ]
    return [table for table in tables if table.rows]


def _total_rows(total: dict[str, Any]) -> Iterator[list[str]]:
    yield [
        "utterances",
        f"{total['utterances']}, {total['seconds'] / 60:.1f} minutes",
        f"{total['failed']} more failed" if total["failed"] else "",
    ]
    yield from _word_rows(total["words"], total["unknown"])
    yield from _voice_rows(total["voice"])
    yield from _face_rows(total["face"])
    yield from _speaker_rows(total["speaker"])


def _word_rows(words: dict[str, Any], unknown: dict[str, Any] | None) -> Iterator[list[str]]:
    if words["count"]:
        yield ["words", str(words["count"]), f"in {counted(words['utterances'], 'utterance')}"]
        how = ", ".join(f"{_TIMED.get(name, name)} {count}" for name, count in words["timing"].items())
        yield ["words with times", percent(words["share_with_times"]), how]
    for origin, confidence in words["confidence"].items():
        meaning = _CONFIDENCE.get(origin, "its kind is not recorded")
        yield [f"confidence of words ({origin})", f"{confidence:.2f}", meaning]
    if unknown is not None:
        some = ", ".join(f"{word} {count}" if count > 1 else word for word, count in unknown["most"].items())
        yield ["unknown words", f"{unknown['count']} ({percent(unknown['share'])})", some]


def _voice_rows(voice: dict[str, Any]) -> Iterator[list[str]]:
    if voice["voiced"] is not None:
        yield ["voiced share of the sound", percent(voice["voiced"]), ""]
    for name, key in (("loudness", "level_db"), ("peak", "peak_db")):
        if voice[key]:
            yield [name, f"{voice[key]['median']:.1f} dB", f"{voice[key]['min']:.1f} to {voice[key]['max']:.1f}"]
    if voice["clipped"]:
        most = f"at most {percent(voice['clipped']['max'])} of the samples"
        yield ["utterances with clipped samples", str(voice["utterances_clipped"]), most]


def _face_rows(face: dict[str, Any]) -> Iterator[list[str]]:
    if face["words"]:
        yield ["words with a face", percent(face["share"]), f"{face['with_face']} of {face['words']}"]
    if face["frames"]:
        found = f"{face['frames_with_face']} of {face['frames']}"
        yield ["frames with a face", percent(face["share_of_frames"]), found]
    if face["confidence"] is not None:
        yield [
            "confidence of faces",
            f"{face['confidence']:.2f}",
            "the landmark network's certainty; faces below 0.5 are left out",
        ]


def _speaker_rows(speaker: dict[str, Any] | None) -> Iterator[list[str]]:
    if speaker is None:
        return
    found = f"{speaker['several_faces']} of {speaker['utterances']}"
    yield ["utterances with several faces", percent(speaker["share"]), found]
    sure = speaker["confidence"]
    if sure:
        more = f"median; least sure {speaker['least_sure']}: {sure['min']:.2f}"
        yield ["speaker choice, how sure", f"{sure['median']:.2f}", more]


_CONFIDENCE = {
    "given": "how well the sound fits the words; 0.1 to 0.4 is usual",
    "recognised": "the recogniser's probability; not comparable with the fit",
}
_TIMED = {"recognised": "with the recogniser's times", "spread": "spread evenly", "set": "with given times"}
