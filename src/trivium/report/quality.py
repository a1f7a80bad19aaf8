"""How far a corpus can be trusted, utterance by utterance: words and their times, voice, face, loudness, clipping.

Everything is told from the columns of the corpus and from what extraction noted beside them
(:mod:`trivium.corpus.notes`). What neither holds cannot be told, and is listed as such instead of being guessed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.align import overlapping_rows
from trivium.corpus import Corpus, Specification, Stream, Utterance
from trivium.corpus.manifest import Manifest, read_manifest, shard_batches
from trivium.corpus.notes import ExtractionNote, read_notes
from trivium.corpus.table import decode, valid
from trivium.progress import progress_bar
from trivium.report.lanes import step_times

__all__ = ["NO_PICTURE", "CorpusQuality", "Source", "UtteranceQuality", "assess", "corpus_quality", "read_utterances"]

Source: TypeAlias = str | os.PathLike[str] | Corpus
Parts: TypeAlias = tuple[Utterance, Iterable[str]]
_MEASURED = ("audio", "vision")
_MANY_ROWS = 500
_NO_LOSS = "no further face"  # most clips show one person: a second face's stream is absent from them, not missing
NO_PICTURE = "no picture"  # a face is not missed where there is only sound
_SCALARS = ("id", "clip", "text", "start", "end", "words.text", "words.times", "words.confidence")


@dataclass(frozen=True, slots=True)
class UtteranceQuality:
    """What can be told about one utterance; None where it cannot be told.

    Parameters
    ----------
    id, clip : str
        Of the utterance.
    seconds : float, optional
        Length of its span.
    words, timed : int
        Its words, and how many of them have a time.
    origin, timing : str, optional
        As in :class:`trivium.corpus.notes.ExtractionNote`.
    guessed : int, optional
        Words whose time is a guess: spread between their neighbours, or over the whole sound.
    confidence : float, optional
        Mean over the words. For given words that were aligned: how well the sound fits (.1 to .4 is usual); for
        recognised words: the recogniser's probability.
    unknown : list of str, optional
        Words whose pronunciation was guessed.
    doubts : list of str, optional
        Why its transcript may be the wrong one.
    voice_steps : int
        Steps of the voice.
    voiced : float, optional
        Share of them that are voiced. Where the steps are words: mean over the words.
    level_db : float, optional
        Mean power of the sound in dB re full scale, over the voiced steps where voicing is known. Where the steps are
        words: from the level of each word.
    peak_db, clipped : float, optional
        As in :class:`trivium.corpus.notes.ExtractionNote`.
    faced : int, optional
        Words during which a face was seen, of `timed` words; 0 where the modality is missing, None where there is no
        picture.
    face_steps, frames : int, optional
        Steps with a face, and frames that were looked at.
    face_confidence : float, optional
        Mean of the column ``face_confidence``.
    faces : int, optional
        Most faces that were seen at a time.
    speaker_confidence : float, optional
        How sure the choice of the speaking face is; None where there was nothing to choose.
    missing : mapping of str to str
        Modalities of the corpus that it lacks, and why; ``""`` where the reason was not recorded.
    """

    id: str
    clip: str
    seconds: float | None
    words: int
    timed: int
    origin: str | None
    timing: str | None
    guessed: int | None
    confidence: float | None
    unknown: list[str] | None
    doubts: list[str] | None
    voice_steps: int
    voiced: float | None
    level_db: float | None
    peak_db: float | None
    clipped: float | None
    faced: int | None
    face_steps: int | None
    frames: int | None
    face_confidence: float | None
    faces: int | None
    speaker_confidence: float | None
    missing: Mapping[str, str]

    @property
    def confidence_kind(self) -> str | None:
        """What `confidence` is: the ``fit`` of the sound, or the recogniser's ``probability``; None where unknown."""
        if self.confidence is None or self.origin is None or self.timing in ("spread", "set"):
            return None
        return "probability" if "recognised" in (self.origin, self.timing) else "fit"

    def to_json(self) -> dict[str, Any]:
        """Plain builtins; numbers are rounded to six digits."""
        told = asdict(self) | {"confidence_kind": self.confidence_kind}
        return {name: round(v, 6) if isinstance(v, float) else v for name, v in told.items()}


@dataclass(frozen=True)
class CorpusQuality:
    """What can be told about a corpus.

    Parameters
    ----------
    name : str
        Folder of the corpus, or what else it is called.
    specification : Specification
        Of the corpus.
    utterances : tuple of UtteranceQuality
        In the order of the corpus.
    failures : tuple of mapping
        Clips that could not be extracted: ``id``, ``clip`` and ``reason``.

    Examples
    --------
    >>> from trivium.corpus import Words
    >>> spoken = Words(("hi", "there"), np.array([[0.0, 0.2], [0.2, 0.3]]))
    >>> corpus = Corpus.from_utterances([Utterance("a", words=spoken)], Specification(()))
    >>> corpus_quality(corpus).utterances[0].timed
    2
    """

    name: str
    specification: Specification
    utterances: tuple[UtteranceQuality, ...]
    failures: tuple[Mapping[str, str], ...] = ()

    def has(self, fact: str) -> bool:
        """Whether anything is known about a fact, a field of :class:`UtteranceQuality`."""
        return any(getattr(one, fact) is not None for one in self.utterances)


def corpus_quality(source: Source, *, show: bool = True) -> CorpusQuality:
    """Look at every utterance of a corpus.

    A folder is read row group by row group; memory does not grow with the length of the clips, and the cache is neither
    needed nor built.

    Parameters
    ----------
    source : path or Corpus
        A corpus folder, or a corpus.
    show : bool
        Whether to show progress where there are many utterances.

    Raises
    ------
    FormatError
        The folder is no corpus, or damaged.

    Examples
    --------
    >>> corpus_quality(Corpus.from_utterances([], Specification(()))).utterances
    ()
    """
    if isinstance(source, Corpus):
        name, specification, provenance, rows = "corpus", source.specification, source.provenance, len(source)
    else:
        manifest = read_manifest(Path(source))
        name, specification, provenance = str(source), manifest.specification, dict(manifest.provenance)
        rows = manifest.rows
    notes = read_notes(provenance)
    reasons = _reasons(provenance)
    found = []
    with progress_bar("measuring", rows, show=show and rows > _MANY_ROWS) as bar:
        for utterance, absent in read_utterances(source):
            note = notes.get(utterance.id, ExtractionNote())
            missing = {m: note.missing.get(m) or reasons.get((utterance.id, m), "") for m in absent}
            found.append(assess(utterance, note, missing))
            bar.advance()
    return CorpusQuality(name, specification, tuple(found), tuple(_failures(provenance)))


def read_utterances(source: Source) -> Iterator[Parts]:
    """Utterances with their words, voice and face only, and the names of the modalities that each lacks.

    Parameters
    ----------
    source : path or Corpus
        A corpus folder, or a corpus.
    """
    if isinstance(source, Corpus):
        names = source.specification.modalities
        yield from ((u, [m for m in names if m not in u.streams]) for u in source)
        return
    manifest = read_manifest(Path(source))
    names = manifest.specification.modalities
    measured = manifest.specification.select(m for m in names if m in _MEASURED)
    for _, _, batch in shard_batches(Path(source), manifest, _columns(manifest, measured)):
        present = {m: valid(batch.column(f"steps.{m}")) for m in names}
        for row, utterance in enumerate(decode(batch, measured)):
            yield utterance, [m for m in names if not present[m][row]]


def _columns(manifest: Manifest, measured: Specification) -> list[str]:
    columns = [*_SCALARS, *(f"steps.{m}" for m in manifest.specification.modalities)]
    columns += [f"stream.{s.modality}" for s in measured.streams]
    return columns + [f"times.{s.modality}" for s in measured.streams if s.clock == "seconds"]


def _parts(provenance: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    """Rows under a key of the provenance, also those of corpora that were joined."""
    own, joined = provenance.get(key, []), provenance.get("joined", [])
    yield from (row for row in (own if isinstance(own, list) else []) if isinstance(row, dict))
    for part in joined if isinstance(joined, list) else []:
        yield from _parts(part, key) if isinstance(part, dict) else ()


def _failures(provenance: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    for row in _parts(provenance, "failures"):
        yield {key: str(row.get(key, "")) for key in ("id", "clip", "reason", "remedy")}


def _reasons(provenance: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    """Why an utterance lacks a modality, from the examples of the findings (the first twenty of each sort)."""
    return {
        (str(example.get("utterance", "")), str(finding.get("modality", ""))): str(finding.get("action", ""))
        for finding in _parts(provenance, "findings")
        if finding.get("kind") == "missing" and isinstance(finding.get("examples"), list)
        for example in finding["examples"]
        if isinstance(example, dict)
    }


def assess(utterance: Utterance, note: ExtractionNote, missing: Mapping[str, str]) -> UtteranceQuality:
    """Look at one utterance.

    Parameters
    ----------
    utterance : Utterance
        With its words, voice and face where it has them.
    note : ExtractionNote
        What extraction noted; may be empty.
    missing : mapping of str to str
        Modalities that it lacks, and why.

    Examples
    --------
    >>> assess(Utterance("a"), ExtractionNote(timing="spread"), {"vision": "no face"}).missing
    {'vision': 'no face'}
    """
    words = utterance.words
    times = np.empty((0, 2)) if words is None or words.times is None else words.times
    timed = times[np.isfinite(times).all(axis=1)]
    certain = None if words is None or words.confidence is None else _mean(words.confidence)
    voice, face = utterance.streams.get("audio"), utterance.streams.get("vision")
    seen = None if face is None else np.asarray((face.values != 0).any(axis=1))
    length = utterance.end - utterance.start
    return UtteranceQuality(
        id=utterance.id,
        clip=utterance.clip,
        seconds=float(length) if np.isfinite(length) else None,
        words=0 if words is None else len(words),
        timed=len(timed),
        origin=note.origin,
        timing=note.timing,
        guessed=len(timed) if note.timing == "spread" else note.guessed,
        confidence=certain,
        unknown=note.unknown,
        doubts=note.doubts,
        voice_steps=0 if voice is None else voice.steps,
        voiced=_voiced(voice),
        level_db=_level(voice),
        peak_db=note.peak_db,
        clipped=note.clipped,
        faced=_faced(utterance, seen, timed) if missing.get("vision", NO_PICTURE) != NO_PICTURE or face else None,
        face_steps=None if seen is None else int(seen.sum()),
        frames=note.frames,
        face_confidence=None if face is None or seen is None else _mean(_column(face, "face_confidence")[seen]),
        faces=note.faces,
        speaker_confidence=note.speaker_confidence,
        missing={m: why for m, why in missing.items() if why != _NO_LOSS},
    )


def _column(stream: Stream | None, name: str) -> NDArray[np.float64]:
    """One column of a stream with NaN for what is not finite; NaN throughout where there is no such column."""
    if stream is None or name not in stream.specification.columns:
        return np.full(0 if stream is None else stream.steps, np.nan)
    column = stream.values[:, stream.specification.columns.index(name)].astype(np.float64)
    return np.where(np.isfinite(column), column, np.nan)


def _mean(values: NDArray[Any]) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean(dtype=np.float64)) if len(known) else None


def _voiced(voice: Stream | None) -> float | None:
    # where a step is a word, the column is already the voiced share of that word
    return _mean(_column(voice, "voicing"))


def _level(voice: Stream | None) -> float | None:
    level, voicing = _column(voice, "energy_db"), _column(voice, "voicing")
    spoken = level[voicing > 0.5] if (voicing > 0.5).any() else level
    power = _mean(10 ** (spoken / 10))
    return 10 * float(np.log10(power)) if power else None


def _faced(utterance: Utterance, seen: NDArray[np.bool_] | None, words: NDArray[np.float64]) -> int | None:
    """Words that share time with a step that shows a face."""
    if not len(words):
        return None
    if seen is None:
        return 0
    times = step_times(utterance, utterance.streams["vision"])
    if times is None or not np.isfinite(times).all():
        return None
    overlap = overlapping_rows(words, times[seen])
    return int((overlap.last > overlap.first).sum())
