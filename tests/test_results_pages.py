"""The page on representations says what the bench's own numbers say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from trivium.files import read_json

DOCS = Path(__file__).parents[1] / "docs"
SUITE = read_json(DOCS / "results" / "suite.json")
TITLES = {
    "pom": "POM, 17 attributes, mean r, three seeds",
    "mosi H": "MOSI, letters of words, r, three seeds",
    "mosi F": "MOSI, words, r, three seeds",
    "ict-mmmo": "ICT-MMMO, r",
    "ravdess": "RAVDESS, voice, recall",
    "real-life": "real-life clips, recall",
}


def short(value: float, *, signed: bool) -> str:
    """Three digits without the zero before the point."""
    said = f"{value:+.3f}" if signed else f"{value:.3f}"
    return said.replace("0.", ".", 1)


def difference(found: dict[str, Any], *, counts: bool) -> str:
    low, high = (short(value, signed=True) for value in found["interval"])
    said = f"{short(found['difference'], signed=True)} [{low}, {high}]"
    return f"**{said}**" if counts and found["outcome"] == "better" else said


def expected(track: str, name: str, task: dict[str, Any]) -> str:
    title = TITLES[f"{name} {track}"] if name == "mosi" else TITLES[name]
    scores = {row["name"]: row["scores"] for row in task["divisions"][0]["rows"]}
    contrast, measure = task["contrast"], task["contrast"]["measure"]
    cells = [
        title,
        *(
            short(scores[row][measure]["mean"], signed=False)
            for row in ("floor picked on validation", contrast["ours"])
        ),
        difference(contrast, counts=True),
        difference(task["harder"], counts=True),
        difference(task["learned"]["untrained"], counts=False),
    ]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("track", ["H", "F"])
def test_the_tables_on_representations_are_those_of_the_bench(track: str) -> None:
    page = (DOCS / "representations.md").read_text(encoding="utf-8")
    table = re.search(rf"\| task, track {track} \|.*?\n\n", page, re.DOTALL)
    assert table is not None
    counted = {name: task for name, task in SUITE["tracks"][track]["tasks"].items() if not task["beside"]}
    assert set(table[0].strip().splitlines()[2:]) == {expected(track, name, task) for name, task in counted.items()}
