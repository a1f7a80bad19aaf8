"""A folder of clips becomes a corpus: clip by clip, in the order of their names, able to go on after a kill.

A clip that cannot be read costs only itself. What failed, and what the others lack, is kept in the corpus' provenance
(``failures`` and ``findings``), and what no stream keeps in its ``notes`` (see :mod:`trivium.corpus.notes`).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trivium.corpus import Corpus, Specification
from trivium.corpus.notes import ExtractionNote, pack_notes
from trivium.corpus.specification import LabelSpecification
from trivium.corpus.staging import Staging
from trivium.corpus.writer import CorpusWriter
from trivium.errors import DataError, TriviumError
from trivium.extract.choice import MODALITIES
from trivium.extract.clip import FRAMES_PER_SECOND, ClipExtractor
from trivium.extract.notes import note_of
from trivium.extract.run.processes import ClipJob, extract_in_processes
from trivium.extract.run.stage import Outcome, Stager
from trivium.extract.source.listing import labelled_recordings, warn_of_unread
from trivium.extract.source.recording import Recording
from trivium.extract.source.span_table import span_recordings
from trivium.extract.words.cutting import Cut
from trivium.extract.words.recogniser import ENGLISH
from trivium.formats.findings import Finding, Findings
from trivium.progress import Bar, progress_bar
from trivium.upstream import model

__all__ = ["extract_clips"]


def extract_clips(
    src: str | os.PathLike[str] | Sequence[Recording],
    out: str | os.PathLike[str] | None = None,
    *,
    transcripts: str | os.PathLike[str] | Mapping[str, str] | None = None,
    modalities: Iterable[str] = MODALITIES,
    frames_per_second: float = FRAMES_PER_SECOND,
    labels: Sequence[LabelSpecification] = (),
    upstream: str | Path | None = None,
    spans: str | os.PathLike[str] | None = None,
    cut: Cut = "whole",
    track: int = 1,
    text: str = "",
    audio: str = "",
    vision: str = "",
    faces: int = 1,
    language: str = ENGLISH,
    recogniser: str | os.PathLike[str] | None = None,
    workers: int = 1,
    overwrite: bool = False,
    show: bool = True,
) -> Corpus:
    """Words, voice and face of all clips of a folder.

    A run that was killed goes on where it stopped when it is called again, and ends with the same bytes, for any number
    of workers. Where options, transcripts or clips changed since, or a corpus is replaced, what does not depend on the
    change is taken over and not made again.

    Parameters
    ----------
    src : path or sequence of Recording
        A clip, a folder of clips (with labels, folds and transcripts where it has a ``label.csv``), a pattern such as
        ``clips/*.mp4``, or recordings with labels and groups of their own.
    out : path, optional
        Corpus folder to write; without it the corpus stays in memory.
    transcripts : path or mapping of str to str, optional
        Text by id; a folder with a transcript per clip, named by its id; or, for one clip, its transcript. Endings are
        ``.txt``, ``.srt``, ``.vtt``, ``.json`` (Whisper's), ``.TextGrid`` and ``.eaf``. Clips without one are
        recognised.
    modalities : iterable of str
        Which of ``text``, ``audio`` and ``vision`` to extract.
    frames_per_second : float
        How many frames of the picture are looked at.
    labels : sequence of LabelSpecification
        What the labels of the recordings are, where `src` are recordings.
    upstream : path, optional
        Folder with models of the catalogue; see :func:`trivium.upstream.model_folder`.
    spans : path, optional
        Table of the stretches of the clips that are the utterances (:mod:`~trivium.extract.source.span_table`).
    cut : {"whole", "sentences", "voice"}
        Whether a clip, or a span of it, is one utterance, or one for each sentence, or for each stretch in which
        somebody speaks; such utterances are named ``ID$_$0001`` and so on, and ``ID`` becomes their group ``video``.
    track : int
        Which sound track of the clips, counted from 1.
    text, audio, vision : str
        Extractors of each modality, such as ``voice,whisper`` (see :mod:`trivium.extract.choice`); empty: the usual.
    faces : int
        How many faces are kept: that of the speaker as ``vision``, the next best as ``vision_2`` and so on.
    language : str
        What is spoken, by Whisper's code; words of other languages than English have the recogniser's times.
    recogniser : path, optional
        Folder of a Whisper model in CTranslate2's format; the catalogue's where left out, which knows English only.
    workers : int
        Processes that work at the same time, each on a clip of its own and with one thread; 1: this process alone.
        One that dies costs no more than the clip it was at. A single clip is heard and seen at the same time.
    overwrite : bool
        Whether an existing corpus may be replaced. What still holds of it is taken over.
    show : bool
        Whether to show progress.

    Returns
    -------
    Corpus
        One utterance per readable clip, ordered by id, or per span, in the order of the table; its provenance holds
        ``failures`` (clip and reason), ``findings`` and ``notes``. All times are seconds of the clip.

    Raises
    ------
    MediaError
        No clip at all could be read; the message is that of the first.
    DataError
        The corpus would be written over the clips.
    UpstreamError
        A model is not on this machine; the message says how to fetch it.
    DiskError
        The disk is full or may not be written to; the same call goes on later.

    Examples
    --------
    >>> extract_clips("clips", "corpus", transcripts="texts").provenance["failures"]  # doctest: +SKIP
    []
    """
    if isinstance(src, str | os.PathLike):
        listed = labelled_recordings(src, transcripts) if spans is None else span_recordings(src, spans, transcripts)
        recordings, labels = listed[0], labels or listed[1]
        if transcripts is None and "text" in modalities:
            warn_of_unread(src, recordings)
    else:
        recordings = list(src)
    extractor = ClipExtractor(
        modalities,
        frames_per_second=frames_per_second,
        upstream=upstream,
        track=track,
        cut=cut,
        text=text,
        audio=audio,
        vision=vision,
        faces=faces,
        language=language,
        recogniser=None if recogniser is None else Path(recogniser),
    )
    extractor.require_models(recordings)
    specification = Specification(extractor.specification.streams, tuple(labels))
    provenance = _provenance(extractor, recordings)
    if out is not None and any(r.path.resolve().is_relative_to(Path(out).resolve()) for r in recordings):
        raise DataError("clips lie in the folder that is to be written", file=Path(out), remedy="choose another folder")
    if out is None:
        with tempfile.TemporaryDirectory(prefix="trivium-") as name:
            writer = CorpusWriter(Path(name) / "corpus", specification, provenance)
            stored = _run(recordings, extractor, writer, workers, show)
            return Corpus.from_utterances(stored, specification, stored.provenance)
    writer = CorpusWriter(out, specification, provenance, overwrite=overwrite)
    if overwrite:
        writer.take_apart()
    return _run(recordings, extractor, writer, workers, show)


def _provenance(extractor: ClipExtractor, recordings: Sequence[Recording]) -> dict[str, Any]:
    from trivium import __version__

    told: dict[str, Any] = extractor.recogniser_told()
    models = {name: model(name).version for name in extractor.models(recordings)}
    return {
        **told,
        "made_by": f"trivium {__version__}",
        "frames_per_second": extractor.frames_per_second,
        "models": models | told.get("models", {}),
        **_unusual(extractor),
    }


def _run(
    recordings: Sequence[Recording], extractor: ClipExtractor, writer: CorpusWriter, workers: int, show: bool
) -> Corpus:
    run = _Run(recordings, writer.staging)
    with progress_bar("extracting", len(recordings), show=show) as bar:
        run.bar = bar
        for place, recording in enumerate(recordings):
            if recording.fault is not None:
                run.take(Outcome(failed={place: recording.fault}, settled={place}))
        jobs = [
            ClipJob(path, {place: recordings[place] for place in places})
            for path, places in _by_clip(recordings).items()
        ]
        count = min(workers, len(jobs))
        if count > 1:
            extract_in_processes(jobs, extractor.options, writer.staging, count, run.begin, run.take)
        else:
            extractor.side_by_side = workers > count  # one clip alone takes two cores
            stager = Stager(extractor, writer.staging)
            for job in jobs:
                run.begin(job)
                run.take(stager.clip(job.path, job.recordings))
    if run.first is not None and not run.done:
        if not writer.staging.parts():  # else they are of a run with other options, which may be worth hours
            writer.discard()
        raise run.first
    if show:
        _tell_taken(run.counts)
    writer.provenance |= run.told()
    return writer.finish([key for _, key in sorted(run.done.items())])


def _tell_taken(counts: Counter[tuple[str, str]]) -> None:
    """Say what was taken over from earlier runs, where anything was."""
    lists = {
        how: ", ".join(f"{n} {name}" for (name, kind), n in sorted(counts.items()) if kind == how)
        for how in ("taken", "made")
    }
    if lists["taken"]:
        print(f"taken over: {lists['taken']}; made anew: {lists['made'] or 'nothing'}", file=sys.stderr)


def _by_clip(recordings: Sequence[Recording]) -> dict[Path, list[int]]:
    """Places of the usable recordings of every clip, in the order in which the clips appear."""
    found: dict[Path, list[int]] = {}
    for place, recording in enumerate(recordings):
        if recording.fault is None:
            found.setdefault(recording.path, []).append(place)
    return found


class _Run:
    """What the clips of a run gave, gathered in whatever order they come and told in their own order."""

    def __init__(self, recordings: Sequence[Recording], staging: Staging) -> None:
        self.done: dict[int, str] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        self.bar: Bar | None = None
        self._recordings, self._staging = recordings, staging
        self._failed: dict[int, Exception] = {}
        self._going: dict[Path, str] = {}

    @property
    def first(self) -> Exception | None:
        """The first error, in the order of the recordings."""
        return self._failed[min(self._failed)] if self._failed else None

    def begin(self, job: ClipJob) -> None:
        """Say that a clip is being worked on."""
        self._going[job.path] = next(iter(job.recordings.values())).id
        self._note()

    def take(self, outcome: Outcome) -> None:
        """Gather what became of the recordings of a clip."""
        self.done |= outcome.done
        self._failed |= outcome.failed
        self.counts += outcome.counts
        for place in (*outcome.done, *outcome.failed):
            self._going.pop(self._recordings[place].path, None)
            if self.bar is not None:
                self.bar.advance(worked=place not in outcome.settled)
        self._note()

    def _note(self) -> None:
        failed = [f"{len(self._failed)} failed"] if self._failed else []
        if self.bar is not None:
            going = [", ".join(self._going.values())] if self._going else []
            self.bar.note("; ".join([*failed, *going]))

    def told(self) -> dict[str, Any]:
        """Failures, findings and notes for the provenance."""
        findings, notes = Findings(), dict[str, ExtractionNote]()
        for _, key in sorted(self.done.items()):
            part = self._staging.part(key).notes
            for name, products in part["products"].items():
                own = [Finding(**row) for product in products for row in product.get("findings", ())]
                findings.extend(own)
                notes[name] = note_of((product.get("facts", {}) for product in products), own)
            findings.extend(Finding(**row) for row in part["findings"])
        failures = [
            {"id": one.id, "clip": one.path.name, "reason": _reason(error)} | _remedy(error)
            for one, error in ((self._recordings[place], error) for place, error in sorted(self._failed.items()))
        ]
        ordered = {name: notes[name] for name in sorted(notes)}
        return {"failures": failures, "findings": findings.to_json(), "notes": pack_notes(ordered)}


def _unusual(extractor: ClipExtractor) -> dict[str, Any]:
    """Options that are not as they are by default."""
    usual = {"track": 1, "cut": "whole", "language": ENGLISH, "faces": 1}
    return {name: getattr(extractor, name) for name, value in usual.items() if getattr(extractor, name) != value}


def _remedy(error: Exception) -> dict[str, str]:
    remedy = error.remedy if isinstance(error, TriviumError) else None
    return {"remedy": remedy} if remedy else {}


def _reason(error: Exception) -> str:
    return error.problem if isinstance(error, TriviumError) else f"{type(error).__name__}: {error}"
