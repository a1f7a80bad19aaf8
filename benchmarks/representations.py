"""Statistics, masked-step prediction, both together, and neither trained: the page docs/results/representations.md.

usage: TRIVIUM_DATA=FOLDER python benchmarks/representations.py ict-mmmo|learning|ravdess|frames [--seeds 3]

Every call makes one table and writes its numbers into docs/results/representations.json and the page from all that are
there. Representations are fitted inside every fold with their defaults, for at most 30 epochs, stopped by their own
objective on utterances of the training part that they hold out; nothing was chosen by a label but the strength of the
readout, and that on training rows. The contrast of each table was declared in this file before its first run.

    ict-mmmo   voice and face, five folds at random anew for every seed
    learning   the same, first seed: what the encoder learns by, beside statistics
    ravdess    voice by word (the corpus of the demo), six folds of four actors
    frames     voice by 30 ms of the same clips, extracted anew: statistics and Fisher vectors
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from results import PAGES, ROOT, at_random, by_actor, circumstances, ict_mmmo, only_label, ravdess

from trivium.corpus import Aligned, LabelSpecification, Specification, StreamSpecification
from trivium.errors import TriviumError
from trivium.evaluate import Protocol, probe
from trivium.evaluate.scores import rows_of
from trivium.evaluate.target import target_of
from trivium.files import atomic_file, read_json, write_json
from trivium.represent.request import representation

EPOCHS, PATIENCE = 30, 10
FRAME_MS = 30
EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


@dataclass(frozen=True)
class Table:
    """One table of the page.

    Parameters
    ----------
    title, text : str
        What it shows, and what the reader must know.
    data : callable
        Makes the aligned set.
    label : callable
        Label to predict, from the set.
    group : str or None
        What folds and intervals keep together.
    protocol : callable
        Folds, from the set and the seeds.
    rows : mapping of str to mapping
        Options of each representation by its request; ``NAME, WORDS`` gives one request twice.
    contrast : pair of str
        The rows whose difference was declared, the first minus the second.
    floors : tuple of str
        Floors beside them.
    """

    title: str
    text: str
    data: Callable[[], Aligned]
    label: Callable[[Aligned], str]
    group: str | None
    protocol: Callable[[Aligned, range], Protocol]
    rows: Mapping[str, Mapping[str, Any]]
    contrast: tuple[str, str]
    floors: tuple[str, ...] = ("mean", "mean-std", "flatten")


def frames() -> Aligned:
    """Voice of RAVDESS, a step for every 30 ms: means of three of the extractor's frames."""
    import av

    from trivium.extract.audio.voice import VOICE_COLUMNS, voice_stream

    folder = Path(os.environ.get("TRIVIUM_DATA", "")) / "ravdess"
    kept = Path(os.environ.get("TRIVIUM_RUNS", ROOT / "runs")) / "ravdess-frames.npz"
    with (folder / "meta.csv").open(encoding="utf-8", newline="") as file:
        told = list(csv.DictReader(file))
    if not kept.is_file():
        found = []
        for row in told:
            with av.open(str(folder / "clips" / f"{row['stem']}.flac")) as clip:
                sound = np.concatenate([frame.to_ndarray().ravel() for frame in clip.decode(audio=0)])
            voice = voice_stream(sound.astype(np.float32) / np.float32(32768)).values
            steps = len(voice) // (FRAME_MS // 10)
            found.append(voice[: steps * (FRAME_MS // 10)].reshape(steps, -1, voice.shape[1]).mean(axis=1))
        values = np.zeros((len(found), max(map(len, found)), found[0].shape[1]), np.float32)
        for matrix, voice in zip(values, found, strict=True):
            matrix[: len(voice)] = voice
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, values=values, lengths=np.array([len(voice) for voice in found]))
    with np.load(kept) as stored:
        values, lengths = stored["values"], stored["lengths"]
    columns = tuple(column.name for column in VOICE_COLUMNS)
    spec = Specification(
        (StreamSpecification("audio", columns, clock="words"),),
        (LabelSpecification("emotion", "multiclass", EMOTIONS),),
    )
    table = {"label.emotion": np.array([r["emotion_name"] for r in told])}
    table["group.actor"] = np.array([f"{int(r['actor']):02d}" for r in told])
    mask = np.arange(values.shape[1]) < lengths[:, None]
    return Aligned.from_arrays(values, spec, mask=mask, ids=np.array([r["stem"] for r in told]), table=table)


_LEARNED: dict[str, dict[str, Any]] = {"statistics": {}, "masked-steps": {}, "statistics+masked-steps": {}}
TABLES = {
    "ict-mmmo": Table(
        "ICT-MMMO: sentiment of film reviews from voice and face",
        "340 clips of 20 steps, which are averaged segments, not words; sentinels of the voice count as not seen.",
        ict_mmmo,
        only_label,
        None,
        at_random,
        {**_LEARNED, "statistics+masked-steps, untrained": {"max_epochs": 0}, "fisher-vectors": {}},
        ("statistics+masked-steps", "statistics"),
        ("mean", "mean-std", "flatten", "untrained"),
    ),
    "learning": Table(
        "ICT-MMMO: what the encoder learns by",
        "First seed only; each objective beside statistics. The row mean-std+masked-steps was added after the table above "
        "had been seen, where mean-std reads better than statistics with slopes.",
        ict_mmmo,
        only_label,
        None,
        at_random,
        {
            "statistics": {},
            "mean-std+masked-steps": {},
            "statistics+masked-steps, contrastive": {"objective": "contrastive"},
            "statistics+masked-steps, contrastive in time": {"objective": "contrastive", "views": "stretches"},
            "statistics+masked-steps, cross-modal": {"objective": "cross-modal"},
            "statistics+masked-steps, vicreg": {"objective": "vicreg"},
        },
        ("statistics+masked-steps, cross-modal", "statistics"),
        ("mean-std",),
    ),
    "ravdess": Table(
        "RAVDESS: eight acted emotions from the voice, word by word",
        "1,440 utterances, 48 voice columns averaged over each of six words; chance is .125.",
        ravdess,
        lambda data: "emotion",
        "actor",
        by_actor,
        {**_LEARNED, "statistics+masked-steps, untrained": {"max_epochs": 0}, "fisher-vectors": {}},
        ("statistics+masked-steps", "statistics"),
        ("mean", "mean-std", "flatten", "untrained"),
    ),
    "frames": Table(
        "RAVDESS: the same clips in steps of 30 ms",
        "1,440 clips, 61 voice columns, silence before and after the words included; chance is .125. No encoder was "
        "trained here: at this rate its six fits exceed the time that this page was given.",
        frames,
        lambda data: "emotion",
        "actor",
        by_actor,
        {
            "statistics": {},
            "statistics, with extremes and halves": {
                "statistics": "mean,spread,slope,minimum,maximum,p10,p90,first-half,second-half"
            },
            "fisher-vectors": {"n_components": 4},
            "statistics+fisher-vectors": {"n_components": 4},
        },
        ("statistics+fisher-vectors", "statistics"),
        ("mean", "mean-std"),
    ),
}


def made(request: str, options: Mapping[str, Any], group: str | None) -> Any:
    """Representation of a row, with what all rows share where it has such an option."""
    estimator = representation(request.partition(",")[0])
    shared = {"max_epochs": EPOCHS, "patience": PATIENCE, "progress": False, "validation_groups": group}
    known = estimator.get_params()
    return estimator.set_params(**{key: value for key, value in (shared | dict(options)).items() if key in known})


def run(name: str, asked: argparse.Namespace) -> None:
    """Make one table, keep its numbers, and write the page anew."""
    table, seeds = TABLES[name], range(1 if name == "learning" else asked.seeds)
    data, began = table.data(), time.process_time()
    protocol = table.protocol(data, seeds)
    # trained first, so that the floor of the untrained encoder is that of masked steps
    order = sorted(table.rows, key=lambda row: row != "masked-steps")
    rows = {row: made(row, table.rows[row], table.group) for row in order}
    result = probe(
        rows, data, table.label(data), group=table.group, seeds=seeds, floors=table.floors, protocol=protocol,
        out=asked.runs / name,
    )  # fmt: skip
    ours, theirs = table.contrast
    pair = {row: result.row(row) for row in table.contrast}
    contrast = rows_of(
        {row: found.predictions for row, found in pair.items()},
        {row: found.features for row, found in pair.items()},
        target_of(data, table.label(data)),
        protocol.clusters,
        (theirs,),
        1000,
    )[-1 if list(pair)[-1] == ours else 0]
    value, interval = contrast.differences[theirs]
    facts = circumstances(result.settings["data"]) | {
        "seeds": list(seeds),
        "max_epochs": EPOCHS,
        "cpu_minutes": round((time.process_time() - began) / 60, 1),
        "contrast": {"rows": [ours, theirs], "difference": value, "low": interval.low, "high": interval.high},
        "markdown": result.markdown(),
        "table": result.to_json(),
    }
    path = asked.out / "representations.json"
    kept = read_json(path) if path.is_file() else {}
    write_json(path, {**kept, name: facts})
    write_page(asked.out, {**kept, name: facts})


def write_page(folder: Path, found: Mapping[str, Any]) -> None:
    """All tables that were made, in the order of this file."""
    page = [
        "# Representations: statistics, masked steps, and both",
        "Made by `benchmarks/representations.py`; the readout, its grid and the folds are the same for all rows of a "
        f"table. What is trained is trained inside every fold, without labels, for at most {EPOCHS} epochs with its "
        "default options, and stopped by its own objective on held-out training utterances. Nothing was tuned on these "
        "corpora. The contrast under each table was declared before the first run; its interval resamples whole "
        "clusters, holds the trained models fixed and is not corrected for there being several tables.",
    ]
    for name, table in TABLES.items():
        if name not in found:
            continue
        facts = found[name]
        told = facts["contrast"]
        page += [
            f"## {table.title}",
            table.text,
            facts["markdown"],
            f"**Declared contrast**: {told['rows'][0]} minus {told['rows'][1]}: {told['difference']:+.3f} "
            f"[{told['low']:+.3f}, {told['high']:+.3f}].",
            f"Made on {facts['date']} with `{facts['command']}`, seeds {', '.join(map(str, facts['seeds']))}, in "
            f"{facts['cpu_minutes']} CPU minutes on one core (data SHA-256 {facts['data_sha256'][:16]}, source SHA-256 "
            f"{facts['source_sha256'][:16]}; {', '.join(f'{k} {v}' for k, v in facts['versions'].items())}).",
        ]
    with atomic_file(folder / "representations.md") as draft:
        draft.write_text("\n\n".join(page) + "\n", encoding="utf-8")


def main() -> int:
    """Make what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--seeds", type=int, default=1, help="partitions (ict-mmmo) or fits (ravdess)")
    parser.add_argument("--out", type=Path, default=PAGES, help="folder of the page")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "representations", help="folder of the records")
    asked = parser.parse_args()
    try:
        run(asked.table, asked)
    except TriviumError as error:
        print(f"representations: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
