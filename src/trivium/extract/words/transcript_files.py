"""Transcripts in files: plain text, SubRip, WebVTT, Whisper's JSON, Praat's TextGrid, ELAN.

The files are untrusted. Sizes are limited before a parser sees them, also that of single parts, because the parsers'
patterns take quadratic time on some input; an ELAN file that defines a document type of its own is refused, so no
entity is ever expanded. Any failure of a parser becomes one error with the file.
"""

from __future__ import annotations

import codecs
import html
import json
import re
import xml.etree.ElementTree as ET
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from trivium.errors import DataError, DependencyError, FormatError, LimitError, TriviumError, UnsafeFileError
from trivium.extract.words.timed_transcript import Segment, TimedTranscript, TimedWord, tidy
from trivium.files import check_size

__all__ = ["TRANSCRIPT_ENDINGS", "read_transcript_file"]

# in the order of preference where a clip has several: the more a file knows about times, the earlier
TRANSCRIPT_ENDINGS = (".textgrid", ".eaf", ".json", ".vtt", ".srt", ".txt")
_MOST_BYTES = 4 << 20
_MOST_JSON_BYTES = 64 << 20  # every word has its tokens and probability there
_MOST_PART = 5_000  # characters of one cue or interval
_PAUSE_SECONDS = 0.5  # words of a tier without sentences form segments between pauses of this length

_NEGATIVE_STAMP = re.compile(r"(?m)(^|-->)([ \t]*)-\d+(?::\d+){1,2}[.,]\d+")
_INLINE_STAMP = re.compile(r"<[\d:.]{1,20}>")
_NEGATIVE_EDGE = re.compile(r"(xmin ?= ?)-[\d.]+")
_WORD_TIER = re.compile(r"(?i)(?<![a-z])(words?|wrd|wort|mots?)(?![a-z])")
_SENTENCE_TIER = re.compile(
    r"(?i)(?<![a-z])(sentences?|utterances?|phrases?|segments?|transcript\w*|text|ort\w*)(?![a-z])"
)
_SOUND_TIER = re.compile(r"(?i)phon|syll|segmental|tone|pitch|gesture")
_SILENCE = frozenset(("", "sp", "sil", "spn", "<sil>", "<eps>", "<p:>", "#", "pause", "<unk>"))


class _Tier(NamedTuple):
    name: str
    spans: list[tuple[float, float, str]]


def read_transcript_file(path: Path) -> str | TimedTranscript:
    r"""What a file says was said; its ending tells the format.

    ``.txt`` is text without times. ``.srt`` and ``.vtt`` are read with pysubs2, ``.TextGrid`` (long and short) with
    praatio, ``.eaf`` with pympi-ling. ``.json`` is Whisper's: ``segments`` with ``start``, ``end``, ``text`` and, where
    asked for, ``words``. In TextGrid and ELAN, tiers named after words or sentences are taken, or the only tier there
    is; words are put into the sentence that holds their middle.

    Parameters
    ----------
    path : Path
        The file; text in UTF-8, or UTF-16 with its mark.

    Returns
    -------
    str or TimedTranscript
        Text, for ``.txt``; otherwise segments in seconds.

    Raises
    ------
    TriviumError
        It cannot be read, is no such file, is above the limits, or holds nothing that has text and times.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "a.srt"
    ...     _ = file.write_text("1\n00:00:01,000 --> 00:00:02,500\nKids are talking.\n")
    ...     read_transcript_file(file).segments
    (Segment(start=1.0, end=2.5, text='Kids are talking.', words=()),)
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise FormatError("is no known kind of transcript", file=path, remedy=f"use {' '.join(_READERS)}")
    try:
        return read(path)
    except TriviumError as error:
        raise error.located(path) from error
    except OSError as cause:
        raise DataError(f"cannot be read: {cause.strerror}", file=path, remedy="check its permissions") from cause
    except ImportError as cause:
        raise DependencyError(f"needs the package {cause.name}", remedy="pip install 'trivium[extract]'") from cause
    except Exception as cause:  # the parsers fail in many ways on a file that is none of theirs
        kind = _KINDS[path.suffix.lower()]
        raise FormatError(
            f"is no readable {kind} ({type(cause).__name__}: {cause})"[:300],
            file=path,
            remedy="export it anew, or give it as plain .txt",
        ) from cause


def _text(path: Path, most: int = _MOST_BYTES) -> str:
    check_size(path, most)
    data = path.read_bytes()
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as cause:
        raise DataError("is no text in UTF-8", file=path, remedy="convert it") from cause


def _check_parts(parts: Iterable[str], what: str) -> None:
    for number, part in enumerate(parts, start=1):
        if len(part) > _MOST_PART:
            raise LimitError(
                f"has {len(part)} characters in one {what}, above the limit of {_MOST_PART}",
                place=f"{what} {number}",
                remedy="check that it is a transcript",
            )


def _subtitles(path: Path) -> TimedTranscript:
    from pysubs2 import SSAFile

    form = path.suffix.lower().removeprefix(".")
    # rows of spaces and empty lines mean nothing, and cost the parser quadratic time
    text = re.sub(r"[ \t]+", " ", _text(path))
    text = re.sub(r"\n(?: ?\n)+", "\n\n", text)
    _check_parts(text.split("-->"), "cue")
    if form == "vtt":
        text = _cues(_INLINE_STAMP.sub("", text))
    text, negative = _NEGATIVE_STAMP.subn(r"\g<1>\g<2>00:00:00.000", text)
    events = list(SSAFile.from_string(text, format_=form))
    lines = text.count("-->")
    found = tidy(
        Segment(event.start / 1000, event.end / 1000, html.unescape(event.plaintext).replace("\n", " "))
        for event in events
    )
    return _with_findings(
        found, {"time before 0, set to 0": negative, "times unreadable, left out": lines - len(events)}
    )


def _cues(text: str) -> str:
    """Cues of WebVTT alone, without names, notes and styles."""
    blocks = [block.split("\n") for block in text.split("\n\n")]
    cues = []
    for lines in blocks:
        timing = next((number for number, line in enumerate(lines) if "-->" in line), None)
        if timing is not None:
            cues.append("\n".join(lines[timing:]))
    return "\n\n".join(cues)


def _with_findings(found: TimedTranscript, more: Mapping[str, int]) -> TimedTranscript:
    told = dict(found.findings) | {action: count for action, count in more.items() if count > 0}
    return TimedTranscript(found.segments, found.word_times, tuple(sorted(told.items())))


def _whisper(path: Path) -> TimedTranscript:
    content = json.loads(_text(path, _MOST_JSON_BYTES))
    rows = content.get("segments") if isinstance(content, dict) else content
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "text" in row for row in rows):
        raise FormatError(
            "is no transcript of Whisper: it has no list `segments` with `start`, `end` and `text`",
            remedy="export it from Whisper as JSON, or give .srt",
        )
    segments = [
        Segment(float(row["start"]), float(row["end"]), str(row["text"]), _whisper_words(row.get("words") or ()))
        for row in rows
    ]
    return tidy(segments, "recognised" if any(segment.words for segment in segments) else "none")


def _whisper_words(rows: Sequence[Mapping[str, Any]]) -> tuple[TimedWord, ...]:
    words: list[TimedWord] = []
    for row in rows:
        if "start" not in row or "end" not in row:
            continue  # WhisperX gives no times to what it could not align
        text = str(row["word"])
        sure = row.get("probability", row.get("score"))
        known = None if sure is None else float(sure)
        word = TimedWord(text.strip(), float(row["start"]), float(row["end"]), known)
        # openai's words begin with a space; one that does not belongs to the one before it ("5", "%")
        if words and not text.startswith(" ") and str(rows[0]["word"]).startswith(" "):
            before = words.pop()
            word = TimedWord(before.text + word.text, before.start, word.end, before.confidence)
        words.append(word)
    return tuple(words)


def _textgrid(path: Path) -> TimedTranscript:
    from praatio.utilities.textgrid_io import parseTextgridStr

    text = _text(path)
    if not text.lstrip().startswith("File type"):
        raise FormatError("is no TextGrid in text form", remedy="save it in Praat as a text file or a short text file")
    _check_parts(re.split(r"(?:intervals|points|item) ?\[", text) if "item [" in text else (), "interval")
    text, negative = _NEGATIVE_EDGE.subn(r"\g<1>0", text)
    tiers = [
        _Tier(tier["name"], [(float(start), float(end), label) for start, end, label in tier["entries"]])
        for tier in parseTextgridStr(text)["tiers"]
        if tier["class"] == "IntervalTier"
    ]
    return _with_findings(_of_tiers(tiers), {"time before 0, set to 0": negative})


class _NoDocumentType(ET.TreeBuilder):
    """Refuses what entities would need; the rest is for the library that reads the file."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise UnsafeFileError("defines a document type of its own, which no ELAN file needs", remedy="remove it")


def _elan(path: Path) -> TimedTranscript:
    from pympi import Eaf

    check_size(path, _MOST_BYTES)
    ET.fromstring(path.read_bytes(), ET.XMLParser(target=_NoDocumentType()))  # noqa: S314
    eaf = Eaf(str(path), suppress_version_warning=True)
    slots, guessed = _slot_times(eaf.timeslots)
    tiers = [
        _Tier(name, [(slots[start], slots[end], text) for start, end, text, _ in aligned.values()])
        for name, (aligned, *_) in eaf.tiers.items()
        if aligned
    ]
    return _with_findings(_of_tiers(tiers), {"time slot without a time, set between its neighbours": guessed})


def _slot_times(slots: Mapping[str, int | None]) -> tuple[dict[str, float], int]:
    """Seconds of every slot; those without a time lie evenly between the known ones around them, as ELAN shows them."""
    import numpy as np

    known = [(place, value) for place, value in enumerate(slots.values()) if value is not None]
    if not known:
        raise FormatError("holds no times", remedy="align its tiers in ELAN first, or give plain text")
    places, values = np.array(known, dtype=np.float64).T
    seconds = np.interp(np.arange(len(slots)), places, values) / 1000
    return dict(zip(slots, seconds.tolist(), strict=True)), len(slots) - len(known)


def _of_tiers(tiers: Sequence[_Tier]) -> TimedTranscript:
    words = [tier for tier in tiers if _WORD_TIER.search(tier.name)]
    lines = [tier for tier in tiers if tier not in words and _SENTENCE_TIER.search(tier.name)]
    if not words and not lines:
        spoken = [tier for tier in tiers if not _SOUND_TIER.search(tier.name)]
        if len(spoken) != 1:
            names = ", ".join(repr(tier.name) for tier in tiers) or "none"
            remedy = "name a tier `words` or `sentences`"
            raise FormatError(f"does not say which tier holds what is said; its tiers are {names}", remedy=remedy)
        (words if _holds_words(spoken[0]) else lines).extend(spoken)
    said = sorted(span for tier in words for span in tier.spans if span[2].strip().lower() not in _SILENCE)
    timed = [TimedWord(text.strip(), start, end) for start, end, text in said]
    spans = sorted(span for tier in lines for span in tier.spans if span[2].strip().lower() not in _SILENCE)
    if not timed:
        return tidy(Segment(*span) for span in spans)
    segments = _filled(spans, timed) if spans else _between_pauses(timed)
    return tidy(segments, "set")


def _holds_words(tier: _Tier) -> bool:
    labels = [text.split() for _, _, text in tier.spans if text.strip()]
    return bool(labels) and sum(len(label) == 1 for label in labels) > 0.8 * len(labels) and len(labels) > 2


def _between_pauses(words: Sequence[TimedWord]) -> list[Segment]:
    groups: list[list[TimedWord]] = []
    for word in words:
        if groups and word.start - groups[-1][-1].end < _PAUSE_SECONDS:
            groups[-1].append(word)
        else:
            groups.append([word])
    return [_segment(group) for group in groups]


def _segment(words: Sequence[TimedWord]) -> Segment:
    return Segment(words[0].start, max(w.end for w in words), " ".join(w.text for w in words), tuple(words))


def _filled(spans: Sequence[tuple[float, float, str]], words: Sequence[TimedWord]) -> list[Segment]:
    """Sentences with their words; words outside all of them form segments of their own."""
    held: list[list[TimedWord]] = [[] for _ in spans]
    outside: list[TimedWord] = []
    starts = [start for start, _, _ in spans]
    for word in words:
        middle = (word.start + word.end) / 2
        place = bisect_right(starts, middle) - 1
        (held[place] if place >= 0 and middle < spans[place][1] else outside).append(word)
    segments = [Segment(start, end, text, tuple(own)) for (start, end, text), own in zip(spans, held, strict=True)]
    return [*segments, *_between_pauses(outside)]


_READERS: dict[str, Callable[[Path], str | TimedTranscript]] = {
    ".textgrid": _textgrid,
    ".eaf": _elan,
    ".json": _whisper,
    ".vtt": _subtitles,
    ".srt": _subtitles,
    ".txt": _text,
}
_KINDS = {
    ".textgrid": "TextGrid",
    ".eaf": "ELAN file",
    ".json": "JSON",
    ".vtt": "WebVTT file",
    ".srt": "SubRip file",
    ".txt": "text",
}
