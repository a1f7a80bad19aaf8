"""What commands that evaluate share: the data they are given, and the plan that options describe."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from trivium.corpus import Aligned, Corpus
    from trivium.evaluate import EvaluationPlan

__all__ = ["Folds", "Group", "Label", "Modalities", "Split", "Words", "open_data", "plan_of"]

Label = Annotated[str, typer.Option("--label", "-l", help="What to predict: a label of the corpus.")]
Split = Annotated[str | None, typer.Option("--split", "-s", help="Which named split, where there are several.")]
Group = Annotated[
    str | None,
    typer.Option("--group", "-g", help="Folds of whole groups (speaker, actor, session) in place of a split."),
]
Folds = Annotated[int, typer.Option("--folds", min=2, help="With --group: how many folds.")]
Words = Annotated[
    int | None,
    typer.Option("--words", "-w", min=1, help="Align to so many words first; else every modality keeps its clock."),
]
Modalities = Annotated[
    str | None, typer.Option("--modalities", "-m", help="Comma-separated; default: all.", metavar="A,B")
]


def open_data(source: Path, words: int | None = None, modalities: str | None = None) -> Corpus | Aligned:
    """A corpus or what `trivium read` knows, some modalities of it, aligned where that is wanted."""
    from trivium.align import align, load_aligned
    from trivium.corpus import Corpus
    from trivium.errors import FormatError
    from trivium.formats import read
    from trivium.scale import numbers_only

    kept = None if modalities is None else [name.strip() for name in modalities.split(",")]
    if source.suffix == ".npz":
        with suppress(FormatError):  # arrays of another layout, which the reader of formats knows
            aligned = load_aligned(source)
            return aligned if kept is None else aligned.select(kept)
    corpus = Corpus.open(source) if (source / "corpus.json").is_file() else read(source)
    if words is not None:
        return align(corpus, words=words, modalities=kept)
    return numbers_only(corpus) if kept is None else corpus.select(kept)


def plan_of(
    data: Any, protocol: str, label: str, split: str | None, group: str | None, folds: int
) -> EvaluationPlan[Any]:
    """The plan of a protocol by name, with the folds that options ask for."""
    from trivium.evaluate import plan_evaluation
    from trivium.evaluate.plan import protocol_of

    return plan_evaluation(data, protocol_of(protocol, split, group), label, split=split, folds=folds)
