"""What is seen in a clip: the faces of its spans, found in one pass over the frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from trivium.corpus import Stream
from trivium.errors import MediaError
from trivium.extract.choice import StreamMaker
from trivium.extract.clip_sound import damage_findings
from trivium.extract.notes import facts_of_faces, several_faces
from trivium.extract.opened import OpenedClip
from trivium.extract.products import Product
from trivium.extract.source.recording import Recording
from trivium.extract.vision.faces import see_faces
from trivium.extract.vision.landmarks import FaceTracker
from trivium.extract.vision.recorder import NO_FURTHER_FACE, FacesFound
from trivium.extract.vision.speaker import FURTHER_FACES_VERSION
from trivium.formats.findings import Finding

__all__ = ["ClipPicture", "Seen"]

Seen: TypeAlias = Product | MediaError | None


class ClipPicture:
    """Looks at clips; its networks are loaded at the first frame and used for all.

    Parameters
    ----------
    makers : sequence of StreamMaker
        Of vision; none: nobody looks.
    frames_per_second : float
        How many frames are looked at.
    faces : int
        How many faces are kept.

    Examples
    --------
    >>> ClipPicture([], 12.5, 1).key_facts()
    {'frames_per_second': 12.5, 'faces': 1}
    """

    def __init__(self, makers: Sequence[StreamMaker], frames_per_second: float, faces: int) -> None:
        self._makers, self._frames_per_second, self._number = makers, frames_per_second, faces
        self._tracker: FaceTracker | None = None

    def key_facts(self) -> dict[str, Any]:
        """Options that what is seen depends on; every one that changes it has to be here."""
        further = {"further": FURTHER_FACES_VERSION} if self._number > 1 else {}
        return {"frames_per_second": self._frames_per_second, "faces": self._number} | further

    def seen(self, source: OpenedClip, recordings: Sequence[Recording], keys: Sequence[str]) -> list[Seen]:
        """What is seen in several spans; what no earlier run saw is found in one pass over the frames.

        Parameters
        ----------
        source : OpenedClip
            The clip.
        recordings : sequence of Recording
            It or spans of it.
        keys : sequence of str
            Of what is seen in each.

        Returns
        -------
        list of Product, MediaError or None
            An error is that of its span alone; None where nobody looks.
        """
        if not self._makers:
            return [None] * len(recordings)
        kept = [source.earlier.find(key, recording.id) for key, recording in zip(keys, recordings, strict=True)]
        left = [recording for recording, one in zip(recordings, kept, strict=True) if one is None]
        anew = iter(self._faces(source, left))
        return [
            one or self._product(source, recording, key, next(anew))
            for recording, key, one in zip(recordings, keys, kept, strict=True)
        ]

    def _product(self, source: OpenedClip, recording: Recording, key: str, found: FacesFound) -> Product | MediaError:
        """Streams of the faces that are kept, for every extractor, or why there are none; an error is the span's."""
        try:
            damage = damage_findings(source, recording, "video")
        except MediaError as error:
            return error
        none = "no face" if source.clip.facts.has_picture else "no picture"
        streams: dict[str, Stream] = {}
        findings: list[Finding] = []
        for place, maker in enumerate(self._makers):
            for number, specification in enumerate(maker.specifications(self._number)):
                stream, name = found.streams[number][place], specification.modality
                if stream is not None:
                    streams[name] = maker.named(stream, name)
                else:
                    why = NO_FURTHER_FACE if number else none
                    findings.append(Finding("missing", recording.id, name, action=why))
        if found.confidence is not None:
            findings.append(Finding("faces", recording.id, "vision", action=several_faces(found.confidence)))
        findings += damage
        return Product("vision", key, streams, tuple(findings), facts_of_faces(found))

    def _faces(self, source: OpenedClip, recordings: Sequence[Recording]) -> list[FacesFound]:
        extractors = [maker.extractor for maker in self._makers]
        if not recordings or not source.clip.facts.has_picture:
            return [FacesFound.none(self._number, len(extractors))] * len(recordings)
        if self._tracker is None:
            self._tracker = extractors[0].tracker()
        rate = self._frames_per_second
        return see_faces(source, recordings, self._tracker, extractors, frames_per_second=rate, faces=self._number)
