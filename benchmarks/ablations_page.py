"""The page of ``ablations.py``: tables of differences to the whole, scores by amount of data, and their figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from results import PAGES

from trivium.files import atomic_file
from trivium.report.plots import picture

__all__ = ["write_page"]

_BESIDE = " `ravdess-units` is RAVDESS with action units, so it stands here and in no other table."
WORSE, BETTER, OPEN = "#b2182b", "#2166ac", "0.55"
FLOORS = ("0.75", "0.5", "0.25", "#1b7837", "#2166ac")


def write_page(found: Mapping[str, Any], made: str) -> None:
    """Page and figures of everything that was found."""
    draw_ideas(found)
    draw_learned(found)
    draw_labels(found)
    with atomic_file(PAGES / "ablations.md") as draft:
        draft.write_text(page(found, made), encoding="utf-8")


def page(found: Mapping[str, Any], made: str) -> str:
    """Tables, figures and what they are."""
    told = [
        "# What each idea is worth",
        "The declared rows of [the bench](suite.md), taken apart. The whole row stands first; every other line is the "
        "row after something was done to it, and the difference is that line **minus the whole row** on the same "
        "folds of all declared seeds (ICT-MMMO and the real-life clips are divided three times; where folds are fixed, "
        "what is drawn is drawn three times), with "
        "a 95 % interval over resampled clusters: below zero, what was taken away had earned its place. Nothing is "
        "corrected for the number of lines and nothing was chosen by them. `@late`: one regression a block, joined; "
        "`numbers` is the length of the vector. `an untrained mixture`: the Gaussians of the Fisher vectors stand at "
        "training frames drawn at random, nothing is fitted. Of two modalities, one alone is the other left out."
        + _BESIDE
        * any("ravdess-units" in tasks for tasks in found["tracks"].values()),
        "Test folds are those of the bench. Every line reads them once for each fold and seed unless the bench or an "
        f"earlier call kept its answers: {found['test_reads']:,} reads are on record for this page, over all calls of "
        "its command.",
        "![Differences to the whole row](ablations-ideas.svg)",
    ]
    for track, tasks in _tracks(found):
        told += [f"## Track {track}", *(_ideas_table(name, one["ideas"]) for name, one in tasks.items())]
    told += [
        "## What learns without labels, beside statistics",
        "One regression over statistics (mean, spread and slope of every column) and one more part: its score, and in "
        "brackets the 95 % interval of the difference **to statistics alone**; then the part by itself. The folds of "
        "the bench; the first seed where they are fixed. `untrained` is the encoder of the masked steps before "
        "training, `minirocket` has random "
        "thresholds, `untrained-fisher` is a mixture that was drawn and not fitted; the other parts learn.",
        "![Differences to statistics alone](ablations-learned.svg)",
        *(_learned_table(f"{name} ({track})", one) for track, name, one in _each(found, "learned")),
        "## Few labels, less unlabelled data",
        "Representations learn from all training rows, the readout from so many of them, drawn anew "
        f"{found['draws']} times (classes in turns); mean over folds and draws and, in brackets, the range of 95 % of "
        "the draws. `unlabelled`: the representation learns from that share of the training clusters, the readout from "
        "all. First seed only, also where the tables above have three. A dash, or no column: folds have no more "
        "training rows than that, so it would be all of them. The declared parts stand there joined late and, without "
        "`@late`, in one regression.",
        "![Scores by number of labels](ablations-labels.svg)",
    ]
    told += [_amounts_table(f"{name} ({track})", one) for track, name, one in _each(found, "amounts")]
    told += [*_corpora_table(found["corpora"]), made]
    return "\n\n".join(told) + "\n"


def _ideas_table(name: str, found: Mapping[str, Any]) -> str:
    whole, times = found["whole"], f" ({found['seeds']} seeds)" if found["seeds"] > 1 else ""
    lines = [f"### {name}{times}", "", f"| what was done | numbers | {found['measure']} | minus the whole row |",
             "|---|---|---|---|",
             f"| **{whole['row']}** | {whole['numbers']} | {whole['score']:.3f} | |"]  # fmt: skip
    lines += [f"| {v['name']} | {v['numbers']} | {v['score']:.3f} | {_signed(v)} |" for v in found["variants"]]
    return "\n".join(lines)


def _tracks(found: Mapping[str, Any]) -> Sequence[tuple[str, Mapping[str, Any]]]:
    """Hand-made columns first."""
    return sorted(found["tracks"].items(), reverse=True)


def _each(found: Mapping[str, Any], what: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Track, name and one kind of findings of every task that has them."""
    for track, tasks in _tracks(found):
        for name, one in tasks.items():
            if what in one:
                yield track, name, one[what]


def _learned_table(title: str, found: Mapping[str, Any]) -> str:
    lines = [f"### {title}: statistics alone {found['measure']} {found['statistics']:.3f}", "",
             "| part | beside statistics | minus statistics alone | by itself |", "|---|---|---|---|"]  # fmt: skip
    for part in found["parts"]:
        both, alone = part["beside"], part["alone"]
        lines.append(f"| {part['name']} | {both['score']:.3f} | {_signed(both)} | {alone['score']:.3f} |")
    return "\n".join(lines)


def _signed(found: Mapping[str, Any]) -> str:
    return f"{found['difference']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}]" if "difference" in found else ""


def _amounts_table(title: str, found: Mapping[str, Any]) -> str:
    cuts = list(dict.fromkeys(point["cut"] for point in found["points"]))
    known = {(point["row"], point["cut"]): point for point in found["points"]}
    lines = [f"### {title}: {found['measure']}", "", f"| row | {' | '.join(cuts)} |", "|---" * (len(cuts) + 1) + "|"]
    for row in dict.fromkeys(point["row"] for point in found["points"]):
        lines.append(f"| {row} | {' | '.join(_mean_and_range(known.get((row, cut))) for cut in cuts)} |")
    return "\n".join(lines)


def _mean_and_range(point: Mapping[str, Any] | None) -> str:
    if point is None:
        return "–"
    spread = f" [{point['low']:.2f}, {point['high']:.2f}]" if point["high"] > point["low"] else ""
    return f"{point['mean']:.3f}{spread}"


def _corpora_table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if rows:
        yield "## Other corpora to learn from"
        yield (
            "Two tasks have the same 61 columns of voice, one every 10 ms. The bench averages them over 30 ms in "
            "RAVDESS and over 100 ms in the real-life clips; **here both are averaged over 100 ms**, so scores differ "
            "from the bench's. The mixture learns from training rows of the task, from all of the other corpus, or "
            "from both. It is fitted to at most 20,000 frames drawn at random; of both corpora equally many are drawn, "
            "10,000 or as many as the smaller one has. The vectors stand beside functionals of the voice, joined late. "
            "First seed only. Difference: minus what learned from its own rows."
        )
        lines = ["| task | the mixture learned from | frames | score | minus its own |", "|---|---|---|---|---|"]
        for row in rows:
            source = (
                row["learned_from"]
                .replace("the other corpus", row["other"])
                .replace("both", f"both (with {row['other']})")
            )
            least, most = row["frames"]
            frames = f"{least:,}" if least == most else f"{least:,} to {most:,}"
            lines.append(
                f"| {row['task']} | {source} | {frames} | {row['measure']} {row['score']:.3f} | {_signed(row)} |"
            )
        yield "\n".join(lines)


def draw_ideas(found: Mapping[str, Any]) -> None:
    """Differences to the whole row with their intervals, a panel for each task and track."""
    panels = [
        (f"{name} ({track}): {one['measure']}, minus {one['whole']['score']:.3f} of the whole row",
         [(v["name"], v) for v in one["variants"]])
        for track, name, one in _each(found, "ideas")
    ]  # fmt: skip
    _draw_differences("ablations-ideas.svg", panels)


def draw_learned(found: Mapping[str, Any]) -> None:
    """Differences to statistics alone, a panel for each task and track."""
    panels = [
        (f"{name} ({track}): {one['measure']}, minus {one['statistics']:.3f} of statistics alone",
         [(f"+ {part['name']}", part["beside"]) for part in one["parts"]])
        for track, name, one in _each(found, "learned")
    ]  # fmt: skip
    _draw_differences("ablations-learned.svg", panels)


Panel = tuple[str, Sequence[tuple[str, Mapping[str, Any]]]]


def _draw_differences(file: str, panels: Sequence[Panel]) -> None:
    heights = [len(lines) + 1.6 for _, lines in panels]
    with picture(PAGES / file, (7.2, 0.24 * sum(heights))) as figure:
        column = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        for axes, (title, lines) in zip(column, panels, strict=True):
            for place, (_, line) in enumerate(reversed(lines)):
                colour = WORSE if line["high"] < 0 else BETTER if line["low"] > 0 else OPEN
                axes.plot([line["low"], line["high"]], [place, place], color=colour, linewidth=2)
                axes.plot(line["difference"], place, "o", color=colour, markersize=4)
            axes.axvline(0, color="0.2", linewidth=0.8)
            axes.set_yticks(range(len(lines)), [name for name, _ in reversed(lines)], fontsize=7)
            axes.set_ylim(-0.7, len(lines) - 0.3)
            axes.set_title(title, fontsize=8, loc="left")
            axes.tick_params(axis="x", labelsize=7)
        column[-1].set_xlabel(
            "difference with its 95 % interval; every panel has a scale of its own\n"
            "blue: above zero   red: below zero   grey: undecided",
            fontsize=7,
        )


def draw_labels(found: Mapping[str, Any]) -> None:
    """Scores against the number of labels, a panel for each task and track."""
    panels = [(f"{name} ({track})", one) for track, name, one in _each(found, "amounts")]
    rows = -(-len(panels) // 3)
    with picture(PAGES / "ablations-labels.svg", (9.0, 2.7 * rows)) as figure:
        grid = figure.subplots(rows, 3, squeeze=False).ravel()
        for axes, (title, one) in zip(grid, panels, strict=False):
            _curves(axes, title, one, found["draws"])
        for axes in grid[len(panels) :]:
            axes.set_visible(False)


def _short(row: str, *, ours: bool) -> str:
    """A name that fits a legend: floors have short ones, the declared row and what is like it have not."""
    if ours:
        return "declared row"
    return "without what is learned" if "@" in row else "its parts in one regression" if "+" in row else row


def _curves(axes: Any, title: str, found: Mapping[str, Any], draws: int) -> None:
    cuts = [cut for cut in dict.fromkeys(point["cut"] for point in found["points"]) if not cut.endswith("unlabelled")]
    known = {(point["row"], point["cut"]): point["mean"] for point in found["points"]}
    rows = list(dict.fromkeys(point["row"] for point in found["points"]))
    for row, colour in zip(rows, (*FLOORS[: len(rows) - 1], WORSE), strict=True):
        ours = row == rows[-1]
        there = [(place, known[row, cut]) for place, cut in enumerate(cuts) if (row, cut) in known]
        # the declared row lies below the others: where they are equal, both are seen
        look = {"linewidth": 4.0, "alpha": 0.35, "zorder": 1} if ours else {"linewidth": 1.0, "marker": "o"}
        label = _short(row, ours=ours)
        axes.plot([p for p, _ in there], [mean for _, mean in there], markersize=3, label=label, color=colour, **look)
    axes.set_xticks(range(len(cuts)), [cut.removesuffix(" labels") for cut in cuts], fontsize=7)
    axes.set_title(f"{title}: {found['measure']}", fontsize=8, loc="left")
    axes.set_xlabel(f"labels, not to scale; mean of {draws} draws", fontsize=7)
    axes.tick_params(axis="y", labelsize=7)
    axes.legend(fontsize=5, frameon=False)
