"""A folder of clips becomes a corpus: clip by clip, in the order of their names, able to go on after a kill.

A clip that cannot be read costs only itself. What failed, and what the others lack, is kept in the corpus' provenance
(``failures`` and ``findings``), and what no stream keeps in its ``notes`` (see :mod:`trivium.corpus.notes`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trivium.corpus import Corpus, Specification
from trivium.corpus.notes import ExtractionNote, pack_notes
from trivium.corpus.specification import LabelSpecification
from trivium.corpus.writer import CorpusWriter
from trivium.errors import TriviumError
from trivium.extract.clip import FRAMES_PER_SECOND, MODALITIES, ClipExtractor, Recording
from trivium.extract.listing import labelled_recordings
from trivium.files import read_json, sha256_file, write_json
from trivium.formats.findings import Finding, Findings
from trivium.progress import progress_bar
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
    overwrite: bool = False,
    show: bool = True,
) -> Corpus:
    """Words, voice and face of all clips of a folder.

    A run that was killed goes on where it stopped when it is called again with the same arguments, and ends with the
    same bytes.

    Parameters
    ----------
    src : path or sequence of Recording
        A clip, a folder of clips (with labels, folds and transcripts where it has a ``label.csv``), or recordings with
        labels and groups of their own.
    out : path, optional
        Corpus folder to write; without it the corpus stays in memory.
    transcripts : path or mapping of str to str, optional
        Text by id, or a folder with a text file ``ID.txt`` per clip. Clips without one are recognised.
    modalities : iterable of str
        Which of ``text``, ``audio`` and ``vision`` to extract.
    frames_per_second : float
        How many frames of the picture are looked at.
    labels : sequence of LabelSpecification
        What the labels of the recordings are, where `src` are recordings.
    upstream : path, optional
        Folder with models of the catalogue; see :func:`trivium.upstream.model_folder`.
    overwrite : bool
        Whether an existing corpus may be replaced.
    show : bool
        Whether to show progress.

    Returns
    -------
    Corpus
        One utterance per readable clip, ordered by id; its provenance holds ``failures`` (clip and reason),
        ``findings`` and ``notes``.

    Raises
    ------
    MediaError
        No clip at all could be read; the message is that of the first.
    UpstreamError
        A model is not on this machine; the message says how to fetch it.

    Examples
    --------
    >>> extract_clips("clips", "corpus", transcripts="texts").provenance["failures"]  # doctest: +SKIP
    []
    """
    if isinstance(src, str | os.PathLike):
        recordings, found = labelled_recordings(src, transcripts)
        labels = labels or found
    else:
        recordings = list(src)
    extractor = ClipExtractor(modalities, frames_per_second=frames_per_second, upstream=upstream)
    extractor.require_models(recordings)
    specification = Specification(extractor.specification.streams, tuple(labels))
    provenance = _provenance(extractor, recordings)
    if out is None:
        with tempfile.TemporaryDirectory(prefix="trivium-") as name:
            stored = _run(recordings, extractor, CorpusWriter(Path(name) / "corpus", specification, provenance), show)
            return Corpus.from_utterances(stored, specification, stored.provenance)
    return _run(recordings, extractor, CorpusWriter(out, specification, provenance, overwrite=overwrite), show)


def _provenance(extractor: ClipExtractor, recordings: Sequence[Recording]) -> dict[str, Any]:
    from trivium import __version__

    return {
        "made_by": f"trivium {__version__}",
        "frames_per_second": extractor.frames_per_second,
        "models": {name: model(name).version for name in extractor.models(recordings)},
    }


def _run(recordings: Sequence[Recording], extractor: ClipExtractor, writer: CorpusWriter, show: bool) -> Corpus:
    notes = writer.path.with_name(f".{writer.path.name}.notes")
    done, failures, first = [], [], None
    findings, told = Findings(), dict[str, ExtractionNote]()
    with progress_bar("extracting", len(recordings), show=show) as bar:
        for recording in recordings:
            bar.note(recording.id)
            key = ""
            try:
                key = _key(recording, extractor)
                found, told[recording.id] = _one(recording, key, extractor, writer, notes)
                findings.extend(found)
                done.append(key)
            except Exception as error:  # whatever one clip does, the others go on
                first = first or error
                failures.append({"id": recording.id, "clip": recording.path.name, "reason": _reason(error)})
            bar.advance()
    if first is not None and not done:
        writer.discard()
        raise first
    writer.provenance |= {"failures": failures, "findings": findings.to_json(), "notes": pack_notes(told)}
    corpus = writer.finish(done)
    shutil.rmtree(notes, ignore_errors=True)
    return corpus


def _one(
    recording: Recording, key: str, extractor: ClipExtractor, writer: CorpusWriter, notes: Path
) -> tuple[Sequence[Finding], ExtractionNote]:
    """Stage one clip, unless a killed run already did; give what was found and noted."""
    file = notes / f"{key}.json"
    if writer.staged(key) and file.exists():
        kept = read_json(file)
        return [Finding(**row) for row in kept["findings"]], ExtractionNote(**kept["note"])
    extracted = extractor.extract(recording)
    # the note comes first: a clip counts as done when its part is there
    write_json(file, {"findings": [asdict(f) for f in extracted.findings], "note": extracted.note.to_json()})
    writer.stage(key, [extracted.utterance])
    return extracted.findings, extracted.note


def _key(recording: Recording, extractor: ClipExtractor) -> str:
    """Hash of everything the result depends on, so that parts of another run are never taken for ours."""
    facts = {
        "id": recording.id,
        "clip": sha256_file(recording.path),
        "transcript": recording.transcript if recording.fault is None else str(recording.fault),
        "labels": {key: value for key, value in recording.labels.items()},
        "groups": dict(recording.groups),
        "splits": dict(recording.splits),
        "frames_per_second": extractor.frames_per_second,
        "specification": extractor.specification.to_json(),
        "notes": 1,  # raised when other facts are noted, so that parts without them are made again
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _reason(error: Exception) -> str:
    return error.problem if isinstance(error, TriviumError) else f"{type(error).__name__}: {error}"
