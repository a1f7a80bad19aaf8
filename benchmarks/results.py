"""The tables of docs/results.md, one command each, from real data that TRIVIUM_DATA names.

usage: TRIVIUM_DATA=FOLDER python benchmarks/results.py ict-mmmo|pom|ravdess [--seeds 2] [--variants faithful ...]

Every table shows the floors, the untrained encoder, the autoencoder as published and with its slips repaired one by
one, all on the same folds with the same readout; representations are fitted inside every fold. It writes
docs/results/NAME.json and NAME.md; predictions and the record of test reads go to the run's folder, and so does every
fit: the same command again goes on where it was stopped, and more seeds cost only their own fits. RAVDESS is read from
the corpus of spoken words that the demo ships and needs no TRIVIUM_DATA.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import trivium
from trivium.align import align
from trivium.corpus import Aligned, Corpus
from trivium.errors import TriviumError
from trivium.evaluate import FLOORS, ProbeResult, Protocol, across, grouped_folds, probe, repeated_folds
from trivium.evaluate.study import data_hash
from trivium.evaluate.suite.word_level import without_sentinels
from trivium.files import atomic_file, canonical_json, sha256_bytes, sha256_file, write_json
from trivium.formats import read
from trivium.represent import ConvAutoencoder

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "docs" / "results"
LIBRARIES = ("numpy", "scikit-learn", "torch")
VARIANTS: dict[str, dict[str, Any]] = {
    "faithful": {},
    "no padding": {"padding": "ignore"},
    "no switches": {"unpooling": "none"},
    "right schedule": {"schedule": "plateau"},
    "all repaired": {"padding": "ignore", "unpooling": "none", "schedule": "plateau"},
    "repaired, slower": {
        "padding": "ignore",
        "unpooling": "none",
        "schedule": "plateau",
        "learning_rate": 2e-3,
        "weight_decay": 0.0,
    },
    "padding ignored, untrained": {"padding": "ignore", "max_epochs": 0},
}


class KeptAutoencoder(ConvAutoencoder):
    """An autoencoder whose every fit has a folder of its own and goes on from what it finds there."""

    @wraps(ConvAutoencoder.fit)  # the signature too: a probe looks whether rows that stop the training can be given
    def fit(self, X: Any, y: object = None, **how: Any) -> Self:  # type: ignore[override]
        """Fit in a folder that is named by data and parameters."""
        base = Path(str(self.folder))
        parts = [X, *(value for value in how.values() if value is not None)]
        facts = {k: v for k, v in self.get_params().items() if k != "folder"}
        facts |= {"data": [data_hash(x) for x in parts], "source": source_sha256()}
        self.folder = base / sha256_bytes(canonical_json(facts).encode())[:16]
        try:
            return super().fit(X, y, **how)
        finally:
            self.folder = base


@dataclass(frozen=True)
class Study:
    """One table, or several with the same representations.

    Parameters
    ----------
    title : str
        Of the table.
    text : str
        What the reader must know about the data.
    data : callable
        Makes the aligned set.
    label : callable
        Label or labels to predict, from the set.
    group : str or None
        What folds and intervals keep together.
    parts : mapping of str to callable
        Protocol by title, from the set and the seeds.
    """

    title: str
    text: str
    data: Callable[[], Aligned]
    label: Callable[[Aligned], str | list[str]]
    group: str | None
    parts: Mapping[str, Callable[[Aligned, range], Protocol | str]]


def word_level(name: str) -> Aligned:
    """Voice and face of a word-level release, 20 steps."""
    folder = os.environ.get("TRIVIUM_DATA")
    if not folder:
        raise TriviumError("TRIVIUM_DATA is not set", remedy="set it to the folder of the real data")
    return align(read(Path(folder) / "word-level" / f"{name}.npz").select(["audio", "vision"]), words=20, show=False)


def ict_mmmo() -> Aligned:
    """ICT-MMMO with its sentinels taken for what they are: not seen."""
    return without_sentinels(word_level("mmmo"))


def ravdess() -> Aligned:
    """Voice of the spoken words that the demo ships; the two sentences say nothing about emotion."""
    return align(Corpus.open(ROOT / "demo" / "ravdess-words" / "corpus"), words=6, show=False).select(["audio"])


def only_label(data: Aligned) -> str:
    """Key of the label of a set that has one."""
    return data.specification.labels[0].key


def every_label(data: Aligned) -> list[str]:
    """Keys of all labels."""
    return [label.key for label in data.specification.labels]


def at_random(data: Aligned, seeds: range) -> Protocol:
    """Five folds over all utterances, anew for every seed; an utterance is a video of its own in these sets."""
    return repeated_folds(data.ids, 5, seeds)


def by_actor(data: Aligned, seeds: range) -> Protocol:
    """Six folds of four actors in their order."""
    return grouped_folds(data.group("actor"), 6, name="actor")


def other_sentence(data: Aligned, seeds: range) -> Protocol:
    """Tested on new actors who say the sentence that was not trained on."""
    return across(by_actor(data, seeds), data.group("sentence"), name="sentence")


def same_sentence(data: Aligned, seeds: range) -> Protocol:
    """Tested on new actors who say the sentence that was trained on."""
    return across(by_actor(data, seeds), data.group("sentence"), same=True, name="sentence")


STUDIES = {
    "ict-mmmo": Study(
        "ICT-MMMO: sentiment of film reviews from voice and face",
        "340 clips, sentiment 1 to 5. Text is absent for training clips in this release, so voice and face only. In "
        "voice columns 0 and 7 cells at +-255 are sentinels: the floors count them as not seen, the autoencoders take "
        "the column's minimum for them. The official 80 test clips are too few to decide anything (see their "
        "intervals) and are shown beside the five folds only.",
        ict_mmmo,
        only_label,
        None,
        {"Five folds over all 340 clips": at_random, "The official test fold of 80 clips": lambda d, s: "standard"},
    ),
    "pom": Study(
        "POM: seventeen attributes of film reviewers from voice and face",
        "903 clips, 17 attributes 1 to 7, no text in this release; the face is absent for more than half of the clips.",
        lambda: word_level("pom"),
        every_label,
        None,
        {"Five folds over all 903 clips": at_random},
    ),
    "ravdess": Study(
        "RAVDESS: eight acted emotions from the voice, word by word",
        "1,440 utterances of 24 actors, two sentences; 48 voice columns averaged over each of six words. Chance is "
        ".125. Word times are a machine's, unchecked. A matrix of words can memorise the sentence: the second table "
        "trains on one sentence and tests on the other, the third on the same number of utterances of the same one.",
        ravdess,
        lambda data: "emotion",
        "actor",
        {
            "Six folds of four actors": by_actor,
            "New actors, the other sentence": other_sentence,
            "New actors, the same sentence": same_sentence,
        },
    ),
}


def encoders(
    names: list[str], max_epochs: int, words: int, group: str | None, folder: Path
) -> dict[str, ConvAutoencoder]:
    """Autoencoders by the name of their variant."""
    unknown = sorted(set(names) - set(VARIANTS))
    if unknown:
        raise TriviumError(f"there is no variant {unknown[0]!r}", remedy=f"choose from {', '.join(VARIANTS)}")
    shared: dict[str, Any] = {"words": words, "max_epochs": max_epochs, "validation_groups": group}
    shared |= {"folder": folder, "resume": True, "progress": False}
    return {f"autoencoder, {name}": KeptAutoencoder(**(shared | VARIANTS[name])) for name in names}


def run(name: str, asked: argparse.Namespace) -> None:
    """Make one study's tables and write its pages."""
    study, seeds = STUDIES[name], range(asked.seeds)
    data, began = study.data(), time.monotonic()
    representations = encoders(asked.variants, asked.max_epochs, data.shape[1], study.group, asked.runs / "fits")
    parts: dict[str, ProbeResult] = {}
    for title, make in study.parts.items():
        protocol = make(data, seeds)
        how: dict[str, Any] = {"split": protocol} if isinstance(protocol, str) else {"protocol": protocol}
        folder = asked.runs / name / title.lower().replace(" ", "-").replace(",", "")
        floors = [floor for floor in FLOORS if representations or floor != "untrained"]
        parts[title] = probe(
            representations, data, study.label(data), group=study.group, seeds=seeds, floors=floors, out=folder, **how
        )
        print(parts[title].markdown())
    write(name, study, parts, time.monotonic() - began, asked)


def circumstances(data_sha256: str) -> dict[str, Any]:
    """What a reader needs in order to run the same again."""
    script = Path(sys.argv[0])
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "command": f"python benchmarks/{script.name} {shlex.join(sys.argv[1:])}".rstrip(),
        "data_sha256": data_sha256,
        "source_sha256": source_sha256(),
        "versions": {"trivium": trivium.__version__, "python": platform.python_version()}
        | {library: version(library) for library in LIBRARIES},
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
    }


def source_sha256() -> str:
    """Hash of the package's source, so that a fit of other code is never taken for one of this."""
    files = sorted(Path(trivium.__file__).parent.rglob("*.py"))
    return sha256_bytes("".join(sha256_file(file) for file in files).encode())


def write(name: str, study: Study, parts: Mapping[str, ProbeResult], seconds: float, asked: argparse.Namespace) -> None:
    """One JSON file and one page for the study, and the page of all studies."""
    facts = {
        **circumstances(next(iter(parts.values())).settings["data"]),
        "seeds": list(range(asked.seeds)),
        "max_epochs": asked.max_epochs,
        "minutes": round(seconds / 60, 1),
    }
    write_json(asked.out / f"{name}.json", {**facts, "tables": {title: r.to_json() for title, r in parts.items()}})
    page = [f"## {study.title}", study.text]
    page += [f"### {title}\n\n{result.markdown()}" for title, result in parts.items()]
    told = ", ".join(f"{library} {number}" for library, number in facts["versions"].items())
    page.append(
        f"Made on {facts['date']} with `{facts['command']}` in {facts['minutes']} minutes ({facts['machine']}; {told}; "
        f"data SHA-256 {facts['data_sha256'][:16]}; source SHA-256 {facts['source_sha256'][:16]}). Every autoencoder "
        f"was trained for at most {asked.max_epochs} epochs, where the paper allows 100. The minutes are those of this "
        "call, without fits that an earlier one had kept."
    )
    with atomic_file(asked.out / f"{name}.md") as draft:
        draft.write_text("\n\n".join(page) + "\n", encoding="utf-8")


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--seeds", type=int, default=1, help="partitions (ict-mmmo, pom) or fits (ravdess)")
    parser.add_argument(
        "--variants", nargs="*", default=list(VARIANTS), choices=VARIANTS, help="autoencoders; none: floors"
    )
    parser.add_argument("--max-epochs", type=int, default=100)
    parser.add_argument("--out", type=Path, default=PAGES, help="folder of the pages")
    parser.add_argument(
        "--runs", type=Path, default=ROOT / "runs" / "results", help="folder of predictions and records"
    )
    asked = parser.parse_args()
    try:
        run(asked.study, asked)
    except TriviumError as error:
        print(f"results: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
