"""The README keeps its promises: its quick start runs, its commands exist, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from trivium.cli import app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_quick_start_runs_and_has_at_most_ten_lines() -> None:
    (code,) = blocks("python")
    assert len(code.strip().splitlines()) <= 10
    short = code.replace("GroupKFold(3)", "GroupKFold(2)")  # two folds show that it runs
    assert short != code
    ran = subprocess.run([sys.executable, "-c", short], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    scores = [float(number) for number in re.findall(r"\d\.\d+", ran.stdout)]
    assert len(scores) == 2 and all(0.125 < score < 1 for score in scores)


def test_every_command_of_the_readme_exists_with_its_options() -> None:
    root = typer.main.get_command(app)
    lines = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("trivium ")]
    assert len(lines) >= 9
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        command = root
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]  # type: ignore[attr-defined]  # only groups get here
        known = {option for parameter in command.params for option in parameter.opts}
        assert not [word for word in words if word.startswith("--") and word not in known], line


def test_make_targets_of_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"make ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), target


def test_generated_pages_are_current() -> None:
    ran = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout
