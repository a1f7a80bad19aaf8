"""What a clip gives: an utterance, put together from the products that were made or taken over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from trivium.corpus import Utterance, Words
from trivium.corpus.notes import ExtractionNote
from trivium.extract.notes import note_of
from trivium.extract.products import WORDS, Product
from trivium.extract.source.recording import Recording
from trivium.formats.findings import Finding

__all__ = ["Extracted", "put_together"]


@dataclass(frozen=True, eq=False)
class Extracted:
    """An utterance and what was found while making it.

    Parameters
    ----------
    utterance : Utterance
        With the streams that the clip has.
    findings : tuple of Finding
        Modalities it lacks and why, how its words were found and timed, damage in the file.
    note : ExtractionNote
        What no stream keeps: how its words were timed, which were unknown, how many frames were seen, how loud it is.
    products : tuple of Product
        What it was put together from.
    pieces : tuple of Recording
        Beside the first utterance of a clip that was cut: all its pieces, also those that gave no utterance.
    """

    utterance: Utterance
    findings: tuple[Finding, ...]
    note: ExtractionNote = field(default_factory=ExtractionNote)
    products: tuple[Product, ...] = ()
    pieces: tuple[Recording, ...] = ()

    @property
    def own_findings(self) -> list[Finding]:
        """Findings that belong to none of the products."""
        told = {id(finding) for product in self.products for finding in product.findings}
        return [finding for finding in self.findings if id(finding) not in told]


def put_together(
    recording: Recording,
    modalities: Iterable[str],
    products: Sequence[Product],
    findings: Sequence[Finding],
    span: tuple[float, float],
) -> Extracted:
    """Utterance of a recording.

    Parameters
    ----------
    recording : Recording
        What it was made of.
    modalities : iterable of str
        Its streams, in their order.
    products : sequence of Product
        They hold the streams and, where somebody speaks, the words.
    findings : sequence of Finding
        Those of the products and others.
    span : (float, float)
        Seconds of the clip.
    """
    streams = {name: stream for product in products for name, stream in product.streams.items()}
    spoken = next((product.spoken for product in products if product.name == WORDS), None)
    utterance = Utterance(
        recording.id,
        {name: streams[name] for name in modalities},
        None if spoken is None else Words(spoken.transcript.words, spoken.timed.times, spoken.timed.confidence),
        text="" if spoken is None else spoken.transcript.text,
        labels=recording.labels,
        groups=recording.groups,
        splits=recording.splits,
        clip=recording.path.name,
        start=span[0],
        end=span[1],
    )
    note = note_of((product.facts for product in products), findings)
    return Extracted(utterance, tuple(findings), note, tuple(products))
