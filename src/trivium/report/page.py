"""One self-contained HTML page: sections, style and a little script, no network, no pixels of any person.

Pictures are drawn by hand as inline SVG and small PNG strips: the page of a clip stays below one megabyte, where a
bundled plotting library alone would bring four.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Protocol

from trivium.files import atomic_file
from trivium.report.svg import Markup, element, text

__all__ = ["Section", "Step", "render_report", "write_report"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"


class Section(Protocol):
    """Anything with a heading, a lead sentence and markup of its own."""

    @property
    def heading(self) -> str:
        """Title of the section."""

    @property
    def lead(self) -> str:
        """A sentence under the title; may be empty."""

    def html(self) -> Markup:
        """Markup below the lead."""


@dataclass(frozen=True)
class Step:
    """One station of the journey that the top of the page shows.

    Parameters
    ----------
    name : str
        Such as ``words``.
    value : str
        Such as ``14``.
    detail : str
        A few words more.

    Examples
    --------
    >>> Step("clip", "5.3 s").value
    '5.3 s'
    """

    name: str
    value: str
    detail: str = ""


def render_report(
    title: str, sections: Sequence[Section], *, lead: str = "", notice: str = "", journey: Sequence[Step] = ()
) -> str:
    """Whole page as text; the same input gives the same bytes.

    Parameters
    ----------
    title : str
        Headline.
    sections : sequence of Section
        From top to bottom.
    lead : str
        A sentence under the headline.
    notice : str
        What a reader must see before anything else, such as that something is synthetic.
    journey : sequence of Step
        Stations of the clip's way to its answer.

    Examples
    --------
    >>> from trivium.report import Note, Notes
    >>> "&lt;script&gt;" in render_report("<script>", [Notes((Note("a", "b"),))])
    True
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name_="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(_asset("page.css"))),
    )
    top = element(
        "header",
        element("p", "trivium", class_="brand"),
        element("h1", title),
        element("p", lead, class_="lead") if lead else None,
        element("p", notice, class_="notice", role="note") if notice else None,
        _journey(journey) if journey else None,
    )
    main = element("main", *(_section(s, i) for i, s in enumerate(sections)))
    foot = element(
        "footer", "Made by trivium. This page loads nothing from the network and shows no picture of anyone."
    )
    body = element("body", top, main, foot, element("script", Markup(_asset("page.js"))))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def write_report(
    path: str | os.PathLike[str],
    sections: Sequence[Section],
    *,
    title: str,
    lead: str = "",
    notice: str = "",
    journey: Sequence[Step] = (),
) -> None:
    """Write one self-contained page, atomically.

    Parameters
    ----------
    path : path
        The HTML file.
    sections : sequence of Section
        Such as :class:`Timeline`, :class:`MatrixPair`, :class:`EmbeddingMap`, :class:`ScoreTable`, :class:`Answer`,
        :class:`Notes`.
    title, lead, notice, journey
        See :func:`render_report`.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from trivium.report import Note, Notes
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = pathlib.Path(folder) / "report.html"
    ...     write_report(page, [Notes((Note("Licence", "public domain"),))], title="A clip")
    ...     page.read_text(encoding="utf-8")[:15]
    '<!doctype html>'
    """
    page = render_report(title, sections, lead=lead, notice=notice, journey=journey)
    with atomic_file(path) as draft:
        draft.write_text(page, encoding="utf-8", newline="\n")


def _asset(name: str) -> str:
    return files("trivium.report").joinpath(name).read_text(encoding="utf-8")


def _journey(steps: Sequence[Step]) -> Markup:
    items = [
        element("li", element("span", s.name), element("b", s.value), element("small", s.detail) if s.detail else None)
        for s in steps
    ]
    return element("ol", *items, class_="journey", aria_label="The way of the clip")


def _section(section: Section, index: int) -> Markup:
    name = f"section-{index}"
    lead = element("p", section.lead, class_="section-lead") if section.lead else None
    return element("section", element("h2", text(section.heading), id=name), lead, section.html(), aria_labelledby=name)
