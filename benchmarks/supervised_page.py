"""Pages of ``supervised.py``: one table a partition, differences paired, and what was declared beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from results import circumstances
from supervised_declared import DECLARED

from trivium.evaluate import Answers, PredictionTable, answers_of, compare, score_answers
from trivium.evaluate.experiment import Experiment
from trivium.evaluate.named_protocols import NamedProtocol
from trivium.files import atomic_file, read_json, write_json

__all__ = ["Part", "averaged_over_seeds", "picked", "write_page"]

TITLES = {
    "ravdess": "RAVDESS: eight acted emotions from voice and face",
    "ravdess-transductive": "RAVDESS, transductive: every actor's own mean taken out",
    "ict-mmmo": "ICT-MMMO: sentiment of film reviews from voice and face",
    "mosi-words": "CMU-MOSI: sentiment from words alone",
    "real-life": "Real-life clips: verdicts, beside what the recording alone tells",
    "mosi-contaminated": "CMU-MOSI, contaminated features",
    "foundation": "Frozen columns of models that others trained, read by linear models joined late",
    "shared-private": "Shared and private: what the parts of arXiv 2305.08473 are worth on real data",
}
COMMANDS = {name: f"TRIVIUM_DATA=FOLDER python benchmarks/supervised.py {name}" for name in TITLES}
COMMANDS["real-life"] += " --real-life CORPUS"
COMMANDS["shared-private"] = "TRIVIUM_DATA=FOLDER python benchmarks/shared_private.py"
COMMANDS["foundation"] = "TRIVIUM_DATA=FOLDER python benchmarks/foundation.py --tables acted published"
LEVEL = 0.05
ABOVE, BELOW = "Above it by both", "Below it by both"
UNDECIDED, OPEN = "Undecided, for one of the two alone says so", "Told apart by neither"
P_TOLD = (
    "p: two-sided permutation test that swaps the answers of the two systems for whole clusters, in all seeds at once, "
    "1000 times (a floor fitted once says the same beside every seed). It asks how large a difference would be if the "
    "two could be exchanged, the interval where this one lies with other clusters, so they may disagree; only what "
    "both say counts as shown. Neither is corrected for the number of rows."
)
FILES = {name: f"supervised-{name}" for name in TITLES} | {"foundation": "foundation"}


@dataclass(frozen=True)
class Part:
    """One table of a page.

    Parameters
    ----------
    title, text : str
        Over the table.
    protocol : NamedProtocol
        Its first number gets intervals and differences.
    folds : str
        What was tested on what, in words.
    found : mapping of str to Experiment
        By system, floors first.
    floors : sequence of str
        Which of them are floors.
    same : str
        The system from which differences are taken beside the picked floor and the best one.
    beside : mapping of str to str
        By system, one more from which its own difference is taken, such as the same network without what it adds.
    """

    title: str
    text: str
    protocol: NamedProtocol
    folds: str
    found: Mapping[str, Experiment]
    floors: Sequence[str]
    same: str
    beside: Mapping[str, str] = field(default_factory=dict)


def averaged_over_seeds(one: Experiment, protocol: NamedProtocol) -> Experiment:
    """One answer from the mean probabilities of all seeds; what is read is what was read before.

    Parameters
    ----------
    one : Experiment
        Of classes, on the same folds for all seeds.
    protocol : NamedProtocol
        To score by.
    """
    columns = one.table.columns
    ids, seeds = np.array(columns["id"]), np.array(columns["seed"])
    rows = {name: np.flatnonzero(ids == name) for name in np.unique(ids[seeds == seeds[0]])}
    first = np.array([places[0] for places in rows.values()])
    made: dict[str, Any] = {name: [values[k] for k in first] for name, values in columns.items() if name != "seed"}
    for name in [name for name in columns if name.startswith("prediction_")]:
        shares = np.array(columns[name], np.float64)
        made[name] = [float(shares[places].mean()) for places in rows.values()]
    table = PredictionTable({**made, "seed": [0] * len(first)}, one.table.provenance)
    card = score_answers(answers_of(table, protocol), protocol, provenance=table.provenance)
    return replace(one, table=table, card=card)


def picked(part: Part) -> str:
    """The floor that did best on validation rows; a constant says nothing there, and products were not validated."""
    scores = {name: part.found[name].valid for name in part.floors if "late" not in _kind(part.found[name])}
    known = {name: score for name, score in scores.items() if np.isfinite(score)}
    return max(known, key=lambda name: known[name]) if known else part.same


def best(part: Part) -> str:
    """The floor that did best on the test folds: chosen afterwards, and so in its favour."""
    scores = {name: part.found[name].card.lines[0].mean for name in part.floors}
    known = {name: score for name, score in scores.items() if np.isfinite(score)}
    return max(known, key=lambda name: known[name]) if known else part.same


def _kind(one: Experiment) -> str:
    return str(one.table.provenance["configuration"]["parameters"].get("kind", ""))


def against(part: Part) -> list[str]:
    """Floors that differences are taken from: of the same columns, picked by validation, best on test."""
    return list(dict.fromkeys([part.same, picked(part), best(part)]))


def differences(part: Part) -> dict[str, dict[str, dict[str, Any]]]:
    """Paired differences, by system that is no floor and by what they are taken from."""
    said = {name: answers_of(one.table, part.protocol) for name, one in part.found.items()}
    return {
        name: {
            other: difference(said[name], said[other], part.protocol)
            for other in dict.fromkeys([*against(part), *_own(part, name)])
            if other != name
        }
        for name in part.found
        if name not in part.floors
    }


def _own(part: Part, name: str) -> list[str]:
    return [part.beside[name]] if name in part.beside else []


def difference(ours: Answers, theirs: Answers, protocol: NamedProtocol) -> dict[str, Any]:
    """Difference, its interval and p of a permutation test of the first number; those of the rest as ``others``."""
    if len(theirs.seeds) == 1:  # nothing is drawn at random in it: it says the same beside every seed
        count = len(ours.seeds)
        said, folds = np.repeat(theirs.said, count, axis=0), np.repeat(theirs.folds, count, axis=0)
        theirs = replace(theirs, seeds=ours.seeds, said=said, folds=folds)
    found: dict[str, Any] = compare(ours, theirs, protocol).to_json()["differences"]
    first = protocol.metrics[0]
    return {**found[first], "others": {name: one for name, one in found.items() if name != first}}


def verdict(found: Mapping[str, Any]) -> str:
    """What interval and permutation test say together of one difference."""
    low, high = found["interval"]
    excludes, rejects = low > 0 or high < 0, found["p"] < LEVEL
    if excludes and rejects:
        return ABOVE if low > 0 else BELOW
    return UNDECIDED if excludes or rejects else OPEN


def write_page(name: str, parts: Sequence[Part], out: Path, *, seeds: int, again: bool = False) -> None:
    """Write the JSON file and the page.

    Parameters
    ----------
    name : str
        Of the table.
    parts : sequence of Part
        In order.
    out : Path
        Folder.
    seeds : int
        How many.
    again : bool
        Networks were read back, not trained: date, machine, versions and source of the page that is there stay those of
        the training.
    """
    data = [next(iter(part.found.values())).table.provenance["configuration"]["data"] for part in parts]
    now = circumstances(data[0])
    kept = read_json(out / f"{FILES[name]}.json") if again else now
    facts = {key: kept[key] for key in now} | {"command": COMMANDS[name], "seeds": seeds}  # folders tell others nothing
    if again:
        facts["laid_out_again"] = {"date": now["date"], "source_sha256": now["source_sha256"]}
    tables = {part.title: report(part) | {"data_sha256": hashed} for part, hashed in zip(parts, data, strict=True)}
    write_json(out / f"{FILES[name]}.json", {**facts, "tables": tables})
    drawn = f"{seeds} seeds from 1111" if seeds > 1 else "nothing is drawn at random"
    told = ", ".join(f"{library} {facts['versions'][library]}" for library in now["versions"])
    page = [f"## {TITLES[name]}", *DECLARED[name]]
    page += [shown(part, tables[part.title]) for part in parts]
    page.append(
        f"Made on {facts['date']} with `{facts['command']}` ({facts['machine']}; {told}; {drawn}; data "
        f"SHA-256 {', '.join(hashed[:16] for hashed in data)}; source SHA-256 {facts['source_sha256'][:16]})."
    )
    if again:
        page.append(
            f"Laid out again on {now['date']} from stored predictions (source SHA-256 {now['source_sha256'][:16]}): "
            "no network was trained again, and a floor that was not stored was fitted then."
        )
    with atomic_file(out / f"{FILES[name]}.md") as draft:
        draft.write_text("\n\n".join(page) + "\n", encoding="utf-8")


def report(part: Part) -> dict[str, Any]:
    """A part as plain builtins."""
    found = differences(part)
    return {
        "folds": part.folds,
        "picked_floor": picked(part),
        "best_floor_on_test": best(part),
        "systems": {
            name: {
                "floor": name in part.floors,
                "validation": None if np.isnan(one.valid) else round(one.valid, 4),
                "epochs": sorted({run.epochs for run in one.runs}),
                "scores": one.card.to_json()["scores"],
                "minus": found.get(name, {}),
                "configuration": one.table.provenance["configuration"],
                "test_reads": str(one.table.provenance["test_reads"]),
            }
            for name, one in part.found.items()
        },
    }


def shown(part: Part, told: Mapping[str, Any]) -> str:
    """A part as Markdown."""
    shown_numbers = part.protocol.metrics[:2] if len(part.protocol.metrics) < 8 else ("r", "mae", "acc2_non0", "acc7")
    first, floors = part.protocol.metrics[0], against(part)
    heads = ["system", *shown_numbers, f"95 % interval of {first}"]
    heads += [head for name in floors for head in (f"{first} minus {name}", "p")]
    heads += [f"{first} minus the same network alone", "p"] if part.beside else []
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for name, one in told["systems"].items():
        cells = [_value(one["scores"][number]) for number in shown_numbers]
        minus = [one["minus"].get(floor) for floor in floors]
        minus += [one["minus"].get(part.beside.get(name, ""))] if part.beside else []
        ends = [cell for found in minus for cell in (_difference(found), _p(found))]
        lines.append(f"| {' | '.join([name, *cells, _interval(one['scores'][first]['interval']), *ends])} |")
    card = list(part.found.values())[-1].card
    definitions = [f"{number}: {card.definitions()[number]}" for number in shown_numbers]
    read = [*(verdicts(told, part.floors, floor) for floor in floors), *_errors(told, picked(part))]
    notes = [f"Folds: {part.folds}.", *_floors_told(part), *read, *definitions, *card.notes()[-2:], P_TOLD]
    return f"### {part.title}\n\n{part.text}\n\n" + "\n".join(lines) + "\n\n" + "  \n".join(notes)


def verdicts(told: Mapping[str, Any], floors: Sequence[str], other: str) -> str:
    """Which rows are above and below another by interval and permutation test, in a sentence."""
    rows: dict[str, list[str]] = {ABOVE: [], BELOW: [], UNDECIDED: [], OPEN: []}
    for name, one in told["systems"].items():
        found = one["minus"].get(other)
        if found is not None and None not in (found["p"], *found["interval"]):
            rows[verdict(found)].append(name)
    said = ". ".join(f"{what}: {'; '.join(names) or 'none'}" for what, names in rows.items())
    kind = "floor" if other in floors else "row"
    return f"**Beside the {kind} `{other}`**, interval and p together (.05). {said}."


def _errors(told: Mapping[str, Any], floor: str) -> list[str]:
    """Differences of the absolute error, which correlations do not see."""
    found = {name: one["minus"].get(floor, {}).get("others", {}).get("mae") for name, one in told["systems"].items()}
    said = [f"{name} {_difference(one)}, p {_p(one)}" for name, one in found.items() if one is not None]
    return [f"mae minus `{floor}` (less is better): {'; '.join(said)}."] if said else []


def _floors_told(part: Part) -> list[str]:
    if not part.floors:
        return []
    return [f"The floor that validation rows pick: {picked(part)}; the best on the test folds: {best(part)}."]


def _value(score: Mapping[str, Any]) -> str:
    if score["mean"] is None:
        return "not defined"
    return f"{score['mean']:.3f}" + (f" ± {score['std']:.3f}" if score["std"] is not None else "")


def _interval(ends: Sequence[float | None]) -> str:
    return "" if None in ends else f"[{ends[0]:.3f}, {ends[1]:.3f}]"


def _p(found: Mapping[str, Any] | None) -> str:
    return "" if found is None or found["p"] is None else f"{found['p']:.3f}"


def _difference(found: Mapping[str, Any] | None) -> str:
    if found is None or found["difference"] is None:
        return ""
    low, high = found["interval"]
    return f"{found['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"
