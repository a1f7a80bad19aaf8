"""The page docs/results/ablations.md: what each idea, modality, corpus and amount of data is worth in the bench's rows.

usage: TRIVIUM_DATA=FOLDER python benchmarks/ablations.py [--task NAME ...] [--draws 50]

For every task and track of ``trivium probe --suite real`` the declared representation is taken apart: without each of
its parts, each part by itself, one regression in place of one a block, each modality alone and left out, a part of the
unlabelled data, few labels. A last table lets the Fisher vectors of the voice learn from other corpora too, or only.
Cells that an earlier call has kept are not computed again, so the same command goes on after a kill.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from results import PAGES, circumstances

from trivium.corpus import Aligned
from trivium.errors import TriviumError
from trivium.evaluate.late_readout import LateReadout
from trivium.evaluate.report import Predictions
from trivium.evaluate.scores import rows_of
from trivium.evaluate.suite.declared import SuiteDeclaration, TaskDeclaration, read_suite
from trivium.evaluate.suite.folds import protocol_of
from trivium.evaluate.suite.material import Material, Track
from trivium.evaluate.suite.places import data_folder
from trivium.evaluate.suite.requests import PartRequest, RowRequest, parsed_row
from trivium.evaluate.suite.results import DivisionResult, Point, TaskResult
from trivium.evaluate.suite.runs import SuiteRun
from trivium.evaluate.suite.sequences import padded, side_by_side
from trivium.evaluate.target import Target, target_of
from trivium.files import atomic_file, sha256_bytes, user_folder, write_json
from trivium.report.plots import picture
from trivium.represent import FisherVectors

LABELS = (10, 30, 100)
SHARES = (0.1, 0.3)
MODALITIES: dict[str, dict[str, tuple[str, ...]]] = {
    "ict-mmmo": {"H": ("audio", "vision")},
    "pom": {"H": ("audio", "vision")},
    "ravdess": {},
    "ravdess-units": {"H": ("audio", "vision")},
    "mosi": {},
    "real-life": {"H": ("text", "audio", "vision"), "F": ("text", "audio", "vision", "speech")},
}
"""Tasks with more than one modality, by track; layers of an encoder are no modality."""
COMPARED = ("mean", "mean-std", "functionals")
"""Floors beside which curves are drawn."""


@dataclass(frozen=True)
class Taken:
    """The declared row of a task, and what is left of it when something is taken away.

    Parameters
    ----------
    whole : RowRequest
        As declared.
    variants : mapping of str to RowRequest
        By what was done.
    """

    whole: RowRequest
    variants: Mapping[str, RowRequest]


def taken_apart(task: TaskDeclaration, track: str) -> Taken:
    """Every variant of the declared row of a task."""
    whole = parsed_row(task.primary[track])
    found: dict[str, RowRequest] = {}
    if len(whole.parts) > 1:
        for part in whole.parts:
            found[f"without {part.text}"] = replace(whole, parts=tuple(p for p in whole.parts if p != part))
        for part in whole.parts:
            found[f"{part.text} alone"] = replace(whole, parts=(part,))
    found["one regression for all blocks"] = replace(whole, readout="linear")
    for one in MODALITIES.get(task.name, {}).get(track, ()):
        others = tuple(name for name in MODALITIES[task.name][track] if name != one)
        found[f"only {one}"] = _of_modalities(whole, (one,))
        if len(others) > 1:
            found[f"without {one}"] = _of_modalities(whole, others)
    return Taken(whole, {name: row for name, row in dict(_different(found)).items() if row.parts})


def _of_modalities(row: RowRequest, kept: Sequence[str]) -> RowRequest:
    limited = []
    for part in row.parts:
        names = tuple(kept) if part.modalities is None else tuple(m for m in part.modalities if m in kept)
        if names:
            limited.append(PartRequest(part.name, names))
    return replace(row, parts=tuple(limited))


def _different(rows: Mapping[str, RowRequest]) -> Iterator[tuple[str, RowRequest]]:
    """Of two names for one row the first."""
    seen: set[RowRequest] = set()
    for name, row in rows.items():
        if row not in seen:
            seen.add(row)
            yield name, row


def ideas(suite: SuiteDeclaration, task: TaskDeclaration, track: Track, resamples: int) -> dict[str, Any]:
    """Difference of every variant to the whole, over all folds of the division that counts, first seed."""
    taken = taken_apart(task, track)
    # the whole row as the only floor: every difference is one to it
    only = replace(suite, floors=(taken.whole.text,))
    rows = tuple(row.text for row in taken.variants.values())
    run = SuiteRun(
        only, tasks=(task.name,), tracks=(track,), rows=rows, seeds=1, resamples=resamples, first_division=True
    )
    division = _only(run).divisions[0]
    lines = {row.text: _line(division, row.text) for row in (taken.whole, *taken.variants.values())}
    return {
        "measure": division.metrics[0],
        "whole": {"row": taken.whole.text, **lines[taken.whole.text]},
        "variants": [{"name": name, "row": row.text, **lines[row.text]} for name, row in taken.variants.items()],
    }


def _only(run: SuiteRun) -> TaskResult:
    result = run.run()
    if not result.tasks:
        raise TriviumError("; ".join(f"{one.task}: {one.why}" for one in result.skipped))
    return result.tasks[0]


def _line(division: DivisionResult, name: str) -> dict[str, Any]:
    row = division.row(name)
    if row is None:
        raise TriviumError(f"{name} was not measured")
    difference = next(iter(row.differences.values()), None)
    told: dict[str, Any] = {"score": row.mean(division.metrics[0]), "numbers": row.features}
    if difference is not None:
        value, interval = difference
        told |= {"difference": value, "low": interval.low, "high": interval.high}
    return told


def amounts(suite: SuiteDeclaration, task: TaskDeclaration, track: Track, draws: int) -> dict[str, Any]:
    """Scores with few labels (drawn anew) and with a part of the unlabelled rows; seed 0 only."""
    second = task.unlearned.get(track)
    floors = tuple(dict.fromkeys((*COMPARED, *([second] if second else []))))
    run = SuiteRun(
        replace(suite, floors=floors), tasks=(task.name,), tracks=(track,), rows=(task.primary[track],),
        labels=LABELS, draws=draws, unlabelled=SHARES, seeds=1, resamples=2, first_division=True,
    )  # fmt: skip
    found = _only(run)
    return {"measure": found.divisions[0].metrics[0], "points": [_point(point) for point in found.ablations]}


def _point(point: Point) -> dict[str, Any]:
    return {"row": point.row, "cut": point.cut, "mean": point.mean, "low": point.low, "high": point.high}


# --- other corpora to learn from ---


@dataclass(frozen=True, eq=False)
class Voices:
    """A task whose voice has the columns of another one's.

    Parameters
    ----------
    task : TaskDeclaration
        Which.
    material : Material
        Its utterances.
    frames : Aligned
        Voice in finer frames.
    target : Target
        Labels.
    """

    task: TaskDeclaration
    material: Material
    frames: Aligned
    target: Target


def voices_of(suite: SuiteDeclaration, name: str) -> Voices:
    """Voice of a task in track H."""
    task = suite.task(name)
    material = task.read(data_folder(None), user_folder("suite"), "H", show=True)
    target = target_of(material.steps, task.labels[0])
    return Voices(task, material, material.frames.select(["audio"]), target.measured_by(task.measures))


def corpora(suite: SuiteDeclaration, names: tuple[str, str], resamples: int) -> list[dict[str, Any]]:
    """Fisher vectors of the voice that learned from a task's own training rows, from another corpus, from both."""
    both = [voices_of(suite, name) for name in names]
    return [
        row for mine, other in (both, both[::-1]) for row in _by_source(suite, mine, other, resamples)
    ]  # fmt: skip


def _by_source(suite: SuiteDeclaration, mine: Voices, other: Voices, resamples: int) -> Iterator[dict[str, Any]]:
    protocol = protocol_of(mine.task.divisions[0], mine.material.steps, mine.task.cluster, (0,))
    sources = {"its own training rows": (True, False), "the other corpus": (False, True), "both": (True, True)}
    shape = (1, len(mine.frames), mine.target.width)
    answers = {name: np.full(shape, np.nan) for name in sources}
    folds = np.full((1, len(mine.frames)), "", dtype="<U40")
    for fold in protocol.of_seed(0):
        folds[0, fold.test] = fold.name
        for name, (own, others) in sources.items():
            parts = [mine.frames[fold.train]] if own else []
            vectors = _learned(mine.frames, [*parts, *([other.frames] if others else [])])
            answers[name][0, fold.test] = _answered(suite, mine, vectors, fold.train, fold.test, protocol.clusters)
    predictions = {name: Predictions((0,), said, folds) for name, said in answers.items()}
    first, measure = next(iter(sources)), mine.target.metrics[0]
    lines = rows_of(
        predictions, dict.fromkeys(sources, 0), mine.target, protocol.clusters, (first,), resamples
    )  # fmt: skip
    for line in lines:
        told: dict[str, Any] = {
            "task": mine.task.name,
            "other": other.task.name,
            "learned_from": line.name,
            "measure": measure,
        }
        told["score"] = line.mean(measure)
        for value, interval in line.differences.values() if line.name != first else ():
            told |= {"difference": value, "low": interval.low, "high": interval.high}
        yield told


def _learned(frames: Aligned, sources: Sequence[Aligned]) -> NDArray[np.float32]:
    """Vectors (N, K) of a mixture that was fitted to the frames of all sources."""
    # one set, so that the columns have the same names whichever corpus they come from
    every = [*sources, frames]
    steps = [v[seen[:, 0]] for source in every for v, seen in zip(source.values, source.cell_mask, strict=True)]
    joint = side_by_side({"audio": padded(steps)}, "voices", [f"{number:05d}" for number in range(len(steps))], (), {})
    learned = len(joint) - len(frames)
    return np.asarray(FisherVectors(random_state=0).fit(joint[:learned]).transform(joint[learned:]), np.float32)


def _answered(
    suite: SuiteDeclaration,
    mine: Voices,
    vectors: NDArray[np.float32],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    clusters: NDArray[Any],
) -> NDArray[np.float64]:
    functionals = mine.material.vectors("functionals", ("audio",))
    widths = {"functionals": functionals.shape[1], "fisher": vectors.shape[1]}
    x = np.concatenate([functionals, vectors], axis=1)
    readout = LateReadout(widths, regression=suite.regression)
    readout.fit(x[train], mine.target.values[train], groups=clusters[train])
    return np.asarray(readout.predict_proba(x[test]), np.float64)


# --- the page ---


def page(found: Mapping[str, Any], made: str) -> str:
    """Tables, figures and what they are."""
    told = [
        "# What each idea is worth",
        "The declared rows of [the bench](suite.md), taken apart. The whole row stands first; every other line is the "
        "row after something was done to it, and the difference is that line **minus the whole row** on the same "
        "folds (first seed), with a 95 % interval over resampled clusters: below zero, what was taken away had earned "
        "its place. Nothing is corrected for the number of lines and nothing was chosen by them. Test folds are "
        "those of the bench, read again by every line. `@late`: one regression a block, joined; `numbers` is the "
        "length of the vector.",
        "![Differences to the whole row](ablations-ideas.svg)",
    ]
    for track, tasks in found["tracks"].items():
        told += [f"## Track {track}", *(_ideas_table(name, one["ideas"]) for name, one in tasks.items())]
    told += [
        "## Few labels, less unlabelled data",
        "Representations learn from all training rows, the readout from so many of them, drawn anew "
        f"{found['draws']} times (classes in turns); mean over folds and draws and, in brackets, the range of 95 % of "
        "the draws. `unlabelled`: the representation learns from that share of the training clusters, the readout from "
        "all. First seed only.",
        "![Scores by number of labels](ablations-labels.svg)",
    ]
    told += [_amounts_table(f"{name} ({track})", one["amounts"])
             for track, tasks in found["tracks"].items() for name, one in tasks.items()]  # fmt: skip
    told += [*_corpora_table(found["corpora"]), made]
    return "\n\n".join(told) + "\n"


def _ideas_table(name: str, found: Mapping[str, Any]) -> str:
    whole = found["whole"]
    lines = [f"### {name}", "", f"| what was done | numbers | {found['measure']} | minus the whole row |",
             "|---|---|---|---|",
             f"| **{whole['row']}** | {whole['numbers']} | {whole['score']:.3f} | |"]  # fmt: skip
    lines += [f"| {v['name']} | {v['numbers']} | {v['score']:.3f} | {_signed(v)} |" for v in found["variants"]]
    return "\n".join(lines)


def _signed(found: Mapping[str, Any]) -> str:
    return f"{found['difference']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]" if "difference" in found else ""


def _amounts_table(title: str, found: Mapping[str, Any]) -> str:
    cuts = list(dict.fromkeys(point["cut"] for point in found["points"]))
    known = {(point["row"], point["cut"]): point for point in found["points"]}
    lines = [f"### {title}: {found['measure']}", "", f"| row | {' | '.join(cuts)} |", "|---" * (len(cuts) + 1) + "|"]
    for row in dict.fromkeys(point["row"] for point in found["points"]):
        lines.append(f"| {row} | {' | '.join(_mean_and_range(known[row, cut]) for cut in cuts)} |")
    return "\n".join(lines)


def _mean_and_range(point: Mapping[str, Any]) -> str:
    spread = f" [{point['low']:.2f}, {point['high']:.2f}]" if point["high"] > point["low"] else ""
    return f"{point['mean']:.3f}{spread}"


def _corpora_table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if rows:
        yield "## Other corpora to learn from"
        yield (
            "Two tasks have the same 61 columns of voice. The Fisher vectors of the voice learn their mixture from the "
            "training rows of the task, from all of the other corpus, or from both, and stand beside functionals of "
            "the voice, joined late. Difference: minus what learned from its own rows."
        )
        lines = ["| task | the mixture learned from | score | minus its own |", "|---|---|---|---|"]
        for row in rows:
            source = (
                row["learned_from"]
                .replace("the other corpus", row["other"])
                .replace("both", f"both (with {row['other']})")
            )
            lines.append(f"| {row['task']} | {source} | {row['measure']} {row['score']:.3f} | {_signed(row)} |")
        yield "\n".join(lines)


def draw_ideas(found: Mapping[str, Any]) -> None:
    """Differences to the whole row with their intervals, a panel for each task and track."""
    panels = [
        (f"{name} ({track})", one["ideas"]) for track, tasks in found["tracks"].items() for name, one in tasks.items()
    ]
    heights = [len(one["variants"]) + 1.6 for _, one in panels]
    with picture(PAGES / "ablations-ideas.svg", (7.2, 0.24 * sum(heights))) as figure:
        column = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        for axes, (title, one) in zip(column, panels, strict=True):
            for place, v in enumerate(reversed(one["variants"])):
                clear = v["high"] < 0 or v["low"] > 0
                colour = "#b2182b" if clear and v["difference"] < 0 else "#2166ac" if clear else "0.55"
                axes.plot([v["low"], v["high"]], [place, place], color=colour, linewidth=2)
                axes.plot(v["difference"], place, "o", color=colour, markersize=4)
            axes.axvline(0, color="0.2", linewidth=0.8)
            axes.set_yticks(range(len(one["variants"])), [v["name"] for v in reversed(one["variants"])], fontsize=7)
            axes.set_ylim(-0.7, len(one["variants"]) - 0.3)
            axes.set_title(f"{title}: {one['measure']} minus {one['whole']['score']:.3f}", fontsize=8, loc="left")
            axes.tick_params(axis="x", labelsize=7)


def draw_labels(found: Mapping[str, Any]) -> None:
    """Scores against the number of labels, a panel for each task and track."""
    panels = [
        (f"{name} ({track})", one["amounts"]) for track, tasks in found["tracks"].items() for name, one in tasks.items()
    ]
    rows = -(-len(panels) // 3)
    with picture(PAGES / "ablations-labels.svg", (9.0, 2.7 * rows)) as figure:
        grid = figure.subplots(rows, 3, squeeze=False).ravel()
        for axes, (title, one) in zip(grid, panels, strict=False):
            _curves(axes, title, one)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)


def _curves(axes: Any, title: str, found: Mapping[str, Any]) -> None:
    cuts = [*(f"{count} labels" for count in LABELS), "all"]
    known = {(point["row"], point["cut"]): point["mean"] for point in found["points"]}
    rows = list(dict.fromkeys(point["row"] for point in found["points"]))
    for row in rows:
        ours = row == rows[-1]
        axes.plot(range(len(cuts)), [known[row, cut] for cut in cuts], marker="o", markersize=3,
                  linewidth=2.2 if ours else 1.0, label=row, color="#b2182b" if ours else None)  # fmt: skip
    axes.set_xticks(range(len(cuts)), [*map(str, LABELS), "all"], fontsize=7)
    axes.set_title(f"{title}: {found['measure']}", fontsize=8, loc="left")
    axes.set_xlabel("labels", fontsize=7)
    axes.tick_params(axis="y", labelsize=7)
    axes.legend(fontsize=5, frameon=False)


def main() -> int:
    """Run what was asked for and write page, numbers and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", action="append", help="only these; default: all")
    parser.add_argument("--draws", type=int, default=50, help="how often labels are drawn")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    asked = parser.parse_args()
    suite, began = read_suite("real"), time.process_time()
    wanted = [task for task in suite.tasks if not asked.task or task.name in asked.task]
    tracks: dict[str, dict[str, Any]] = {}
    for track in ("H", "F"):
        for task in wanted:
            if track in task.primary and not task.beside:
                tracks.setdefault(track, {})[task.name] = {
                    "ideas": ideas(suite, task, track, asked.resamples),
                    "amounts": amounts(suite, task, track, asked.draws),
                }
    shared = {"ravdess", "real-life"} <= {task.name for task in wanted}
    found = {
        "draws": asked.draws,
        "tracks": tracks,
        "corpora": corpora(suite, ("ravdess", "real-life"), asked.resamples) if shared else [],
    }
    facts = circumstances(sha256_bytes("".join(sorted(task.name for task in wanted)).encode()))
    minutes = (time.process_time() - began) / 60
    write_json(PAGES / "ablations.json", {**facts, **found, "cpu_minutes": round(minutes, 1)})
    draw_ideas(found)
    draw_labels(found)
    made = f"Made on {facts['date']} with `{facts['command']}` ({minutes:.0f} processor minutes in the last call)."
    with atomic_file(PAGES / "ablations.md") as draft:
        draft.write_text(page(found, made), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
