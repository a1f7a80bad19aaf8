"""The page docs/results/suite.md and its figure: what ``trivium probe --suite real`` finds, and how it was run.

usage: TRIVIUM_DATA=FOLDER python benchmarks/suite.py [OPTION OF THE COMMAND ...]

Options go to the command as they are, such as ``--task mosi --leave-out conv-autoencoder``. Cells that an earlier call
has kept are not computed again, so the page can be made in pieces: the last call reads them all. Every read of a test
fold is recorded in ``suite/page`` of the user's folder.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from results import PAGES, circumstances

from trivium.files import atomic_file, read_json, sha256_bytes, user_folder, write_json
from trivium.report.plots import picture

COLOURS = {"better": "#2166ac", "worse": "#b2182b", "undecided": "0.55"}


def main() -> int:
    """Run the command, then write the page and its numbers."""
    words = ["probe", "--suite", "real", *sys.argv[1:]]
    out = user_folder("suite") / "page"
    ended = subprocess.run([sys.executable, "-m", "trivium", *words, "--out", str(out)]).returncode
    if ended:
        return ended
    found = read_json(out / "suite.json")
    page = (out / "suite.md").read_text(encoding="utf-8")
    digests = [task["facts"]["data_sha256"] for track in found["tracks"].values() for task in track["tasks"].values()]
    facts = circumstances(sha256_bytes("".join(digests).encode()))
    facts["command"] = f"trivium {shlex.join(words)}"
    told = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    made = (
        f"Made on {facts['date']} with `{facts['command']}` ({facts['machine']}; {told}; data SHA-256 "
        f"{facts['data_sha256'][:16]}; source SHA-256 {facts['source_sha256'][:16]}). Processor seconds of every row "
        "stand in the JSON file beside this page."
    )
    write_json(PAGES / "suite.json", {**facts, **found})
    draw_contrasts(found["tracks"])
    with atomic_file(PAGES / "suite.md") as draft:
        draft.write_text(f"{page}\n{made}\n", encoding="utf-8")
    return 0


def draw_contrasts(tracks: Mapping[str, Any]) -> None:
    """The declared contrasts with their intervals, a panel for each track: right of zero, ours is better."""
    shown = sorted(tracks.items(), reverse=True)  # H before F
    sizes = [len(track["tasks"]) for _, track in shown]
    with picture(PAGES / "suite-contrasts.svg", (7.2, 0.42 * sum(sizes) + 0.7 * len(sizes))) as figure:
        panels = figure.subplots(len(sizes), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": sizes})[:, 0]
        for axes, (name, track) in zip(panels, shown, strict=True):
            tasks = list(track["tasks"].items())[::-1]
            for place, (_, task) in enumerate(tasks):
                for shift, contrast, shape in ((0.15, "contrast", "o"), (-0.15, "harder", "D")):
                    draw_one(axes, task[contrast], place + shift, shape, counted=not task["beside"])
            told = [
                f"{task}, {one['contrast']['measure']}{' (not counted)' * bool(one['beside'])}" for task, one in tasks
            ]
            axes.set_yticks(range(len(tasks)), told, fontsize=8)
            axes.set_ylim(-0.6, len(tasks) - 0.4)
            axes.axvline(0, color="0.2", linewidth=0.8)
            axes.set_title(f"Track {name}: {track['columns'].partition(':')[0]}", fontsize=9, loc="left")
        panels[-1].set_xlabel(
            "declared representation minus the floor that validation picked (95 %):\n"
            "● floors read linearly, as declared   ◆ floors read late and untrained mixtures too\n"
            "blue: better   red: worse   grey: undecided   pale: stands beside the others, not counted",
            fontsize=8,
        )


def draw_one(axes: Any, found: Mapping[str, Any] | None, place: float, shape: str, *, counted: bool) -> None:
    """One difference with its interval."""
    if found is not None:
        look = {"color": COLOURS[found["outcome"]], "alpha": 1.0 if counted else 0.4}
        axes.plot(found["interval"], [place, place], linewidth=2, **look)
        axes.plot(found["difference"], place, shape, markersize=4.5, **look)


if __name__ == "__main__":
    sys.exit(main())
