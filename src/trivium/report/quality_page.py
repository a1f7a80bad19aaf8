"""The quality of a corpus as one self-contained page, with a small picture of the timeline of every clip it shows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trivium.progress import progress_bar
from trivium.report.clip_tables import FIRST_OF_CLIPS, QualityTable
from trivium.report.page import Step, write_report
from trivium.report.quality import CorpusQuality, Source, read_utterances
from trivium.report.quality_tables import WORST, quality_tables, totals
from trivium.report.sketch import draw_key, draw_sketch
from trivium.report.svg import Markup, element
from trivium.report.worst import Problem, worst_first

__all__ = ["write_quality_page"]

_MOST_CLIPS = 200
_SHORT = 10  # cells with fewer characters are not broken
_KEY = (
    ("sketch-word", "words"),
    ("sketch-guess", "words whose time is a guess"),
    ("sketch-voice", "loudness of the voice"),
    ("sketch-face", "a face is seen"),
)


@dataclass(frozen=True)
class _Table:
    """Section with one table; `pictures` stand behind the first cell of their row."""

    table: QualityTable
    lead: str = ""
    pictures: Mapping[str, Markup] | None = None

    @property
    def heading(self) -> str:
        return self.table.title

    def html(self) -> Markup:
        heads = list(self.table.heads)
        cells = [element("th", name, scope="col") for name in heads]
        cells[1:1] = [] if self.pictures is None else [element("th", "timeline", scope="col", class_="sketched")]
        head = element("tr", *cells)
        body = element("tbody", *map(self._row, self.table.rows))
        table = element("table", element("thead", head), body, class_="quality")
        key = None if self.pictures is None else draw_key(_KEY)
        return element("figure", key, element("div", table, class_="scroll", tabindex="0"), class_="wide")

    def _row(self, row: Sequence[str]) -> Markup:
        first, *rest = row
        cells = [element("td", cell, class_="short" if len(cell) < _SHORT else None) for cell in rest]
        cells[:0] = [] if self.pictures is None else [element("td", self.pictures.get(first), class_="sketched")]
        return element("tr", element("th", first, scope="row"), *cells)


@dataclass(frozen=True)
class _Worst:
    """Section with the worst clips, each with its picture and the reasons."""

    clips: Sequence[tuple[str, Sequence[Problem]]]
    pictures: Mapping[str, Markup]
    heading: str = "Look at these first"
    lead: str = (
        "Problems count by the share of words, samples or modalities they concern; confidence, voiced share and level "
        "count where they are far below the median of this corpus."
    )

    def html(self) -> Markup:
        cards = element("div", *(self._card(name, why) for name, why in self.clips), class_="worst")
        return element("div", draw_key(_KEY), cards)

    def _card(self, name: str, why: Sequence[Problem]) -> Markup:
        reasons = element("ul", *(element("li", problem.text) for problem in why))
        return element("figure", element("h3", name), self.pictures.get(name), reasons)


def write_quality_page(
    path: str | os.PathLike[str], quality: CorpusQuality, source: Source, *, show: bool = True
) -> None:
    """Write one self-contained HTML file, atomically.

    Parameters
    ----------
    path : path
        The HTML file.
    quality : CorpusQuality
        What :func:`trivium.report.quality.corpus_quality` gave for `source`.
    source : path or Corpus
        Read again for the pictures of the clips that the page shows: the 200 worst.
    show : bool
        Whether to show progress.
    """
    ranked = worst_first(quality)
    pictures = _pictures(source, {one.id for one, _ in ranked[:_MOST_CLIPS]}, len(ranked), show)
    worst = [(one.id, why) for one, why in ranked[:WORST] if why]
    sections: list[_Table | _Worst] = [_Worst(worst, pictures)] if worst else []
    for table in quality_tables(quality, clips=_MOST_CLIPS):
        if table.title != _Worst.heading:
            drawn = pictures if table.title.startswith(FIRST_OF_CLIPS) else None
            sections.append(_Table(table, table.lead, drawn))
    sections.sort(key=lambda section: section.heading != "In total")
    write_report(path, sections, title="What this corpus is worth", lead=quality.name, journey=_journey(quality))


def _pictures(source: Source, wanted: Iterable[str], rows: int, show: bool) -> dict[str, Markup]:
    chosen, found = set(wanted), {}
    with progress_bar("drawing", rows, show=show and rows > _MOST_CLIPS) as bar:
        for utterance, _ in read_utterances(source):
            if utterance.id in chosen:
                found[utterance.id] = draw_sketch(utterance)
            bar.advance()
    return found


def _journey(quality: CorpusQuality) -> list[Step]:
    total = totals(quality)
    words, voice, face = total["words"], total["voice"], total["face"]
    failed = f"{total['failed']} more failed" if total["failed"] else ""
    steps = [Step("utterances", str(total["utterances"]), failed)]
    steps += [Step("minutes", f"{total['seconds'] / 60:.1f}")]
    if words["count"]:
        aligned = words["timing"].get("aligned")
        told = "" if aligned is None else f"{aligned} aligned"
        steps.append(Step("words", str(words["count"]), told or f"{words['with_times']} with times"))
    if voice["voiced"] is not None:
        level = voice["level_db"]
        steps.append(Step("voiced", f"{100 * voice['voiced']:.0f} %", f"{level['median']:.0f} dB" if level else ""))
    if face["share"] is not None:
        steps.append(Step("words with a face", f"{100 * face['share']:.0f} %", f"of {face['words']}"))
    return steps
