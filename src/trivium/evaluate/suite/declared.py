"""What a suite measures, read from its own file: tasks, tracks, floors, rows, and the contrast that counts."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

from trivium.errors import SpecificationError
from trivium.evaluate.suite.material import Material, Track, View

__all__ = ["TWINS", "Division", "PartDeclaration", "SuiteDeclaration", "TaskDeclaration", "read_suite"]

TWINS = ("unlearned", "untrained")
"""The declared representation without what is learned, and with nothing trained."""
_Folds = Literal["repeated", "grouped", "given"]


@dataclass(frozen=True)
class PartDeclaration:
    """One part of rows by a name of its own.

    Parameters
    ----------
    of : str
        Registered representation.
    view : {"steps", "frames"}
        What it reads.
    options : mapping
        Of the representation.
    least_modalities : int
        Tasks with fewer do without it.

    Examples
    --------
    >>> PartDeclaration("masked-steps", options={"max_epochs": 0}).view
    'steps'
    """

    of: str
    view: View = "steps"
    options: Mapping[str, Any] = field(default_factory=dict)
    least_modalities: int = 1


@dataclass(frozen=True)
class Division:
    """How the utterances of a task are divided into folds.

    Parameters
    ----------
    name : str
        What tables call it.
    folds : {"repeated", "grouped", "given"}
        Partitions of clusters at random, anew for every seed; whole groups in order; a split of the release.
    count : int
        How many.
    group, split : str
        Which group, or which split.
    across : str
        Group whose other value is tested: another sentence.
    inner : bool
        Choose on inner folds of training and validation rows together, not on the validation rows of a split.
    measures : tuple of str
        The first decides; empty: those of the task.
    rows : tuple of str
        Only these and the declared representation; empty: all.

    Raises
    ------
    SpecificationError
        There is no such kind of folds.

    Examples
    --------
    >>> Division("split of the release", "given", split="standard").count
    5
    """

    name: str
    folds: _Folds
    count: int = 5
    group: str = ""
    split: str = ""
    across: str = ""
    inner: bool = False
    measures: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.folds not in get_args(_Folds):
            raise SpecificationError(f"{self.name}: there are no folds of the kind {self.folds!r}")


@dataclass(frozen=True)
class TaskDeclaration:
    """One task: where its data come from, what is predicted, how it is measured.

    Parameters
    ----------
    name, title, about : str
        For people.
    reader : str
        ``module:function`` that gives the :class:`~trivium.evaluate.suite.material.Material`.
    labels : tuple of str
        What is predicted; ``*`` is every label.
    divisions : tuple of Division
        The first one counts.
    primary : mapping of str to str
        By track, the representation whose contrast counts.
    twins : mapping of str to mapping of str to str
        By track and name, the same without what is learned (``unlearned``) or with nothing trained (``untrained``):
        differences to them tell what learning adds.
    needs : tuple of str
        Files and folders below that of the data.
    comes_from : str
        Whose release they are.
    models : mapping of str to tuple of str
        Upstream models by track.
    without : mapping of str to str
        Tracks that cannot be, and why.
    cluster : str
        Group that the bootstrap resamples; empty: utterances.
    measures : tuple of str
        The first decides; empty: those that suit the label.
    seeds : int
        How many.
    beside : str
        Another task whose contrast stands for both; empty where its own counts.
    """

    name: str
    title: str
    about: str
    reader: str
    labels: tuple[str, ...]
    divisions: tuple[Division, ...]
    primary: Mapping[str, str]
    twins: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    comes_from: str = "the release of the set"
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)
    cluster: str = ""
    measures: tuple[str, ...] = ()
    seeds: int = 1
    beside: str = ""

    def read(self, folder: Path, work: Path, track: Track, *, show: bool) -> Material:
        """Material of the task.

        Parameters
        ----------
        folder : path
            Of all real sets.
        work : path
            Where what is extracted is kept.
        track : {"H", "F"}
            Which columns.
        show : bool
            Show progress.
        """
        module, _, function = self.reader.partition(":")
        found: Material = getattr(import_module(module), function)(folder, work, track, show=show)
        return found


@dataclass(frozen=True)
class SuiteDeclaration:
    """A whole suite.

    Parameters
    ----------
    title : str
        For people.
    tracks : mapping of str to str
        What each track's columns are.
    tasks : tuple of TaskDeclaration
        In the order of the page.
    floors, rows : tuple of str
        Requests of all tasks; validation picks among the floors.
    parts : mapping of str to PartDeclaration
        Parts with options of their own.
    resamples : int
        Of the bootstrap.
    regression : {"logistic", "ridge"}
        What reads classes.
    choice : str
        How the contrasts were chosen, for people.
    quick : mapping of str to tuple of str
        Tasks, floors and rows of a quick look.
    harder : tuple of str
        Floors of a second contrast, beside those and the twins of the declared representation.
    """

    title: str
    tracks: Mapping[str, str]
    tasks: tuple[TaskDeclaration, ...]
    floors: tuple[str, ...]
    rows: tuple[str, ...]
    parts: Mapping[str, PartDeclaration]
    resamples: int = 1000
    regression: str = "logistic"
    choice: str = ""
    quick: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    harder: tuple[str, ...] = ()

    def task(self, name: str) -> TaskDeclaration:
        """Task by its name; the error lists those that exist.

        Parameters
        ----------
        name : str
            Such as ``mosi``.
        """
        for task in self.tasks:
            if task.name == name:
                return task
        raise SpecificationError(
            f"there is no task {name!r}", remedy=f"choose from {', '.join(task.name for task in self.tasks)}"
        )


def read_suite(name: str | os.PathLike[str]) -> SuiteDeclaration:
    """Read the declaration of a suite.

    Parameters
    ----------
    name : str or path
        ``real``, or a TOML file of the same form.

    Raises
    ------
    SpecificationError
        There is no such suite, or its file is malformed.

    Examples
    --------
    >>> [task.name for task in read_suite("real").tasks]
    ['ict-mmmo', 'pom', 'ravdess', 'ravdess-units', 'mosi', 'real-life']
    """
    given = Path(name)
    try:
        if given.suffix == ".toml":
            text = given.read_text(encoding="utf-8")
        else:
            text = files("trivium.evaluate.suite").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    except OSError as cause:
        raise SpecificationError(f"there is no suite {str(name)!r}", remedy="take real, or a .toml file") from cause
    try:
        return _suite(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as cause:
        raise SpecificationError(f"is no declaration of a suite: {cause!r}", file=given) from cause


def _suite(given: Mapping[str, Any]) -> SuiteDeclaration:
    seeds = int(given.get("seeds", 1))
    return SuiteDeclaration(
        given["title"],
        given["tracks"],
        tuple(_task(name, task, seeds) for name, task in given["tasks"].items()),
        tuple(given["floors"]),
        tuple(given["rows"]),
        {name: _part(name, part) for name, part in given.get("parts", {}).items()},
        int(given.get("resamples", 1000)),
        str(given.get("regression", "logistic")),
        str(given.get("choice", "")),
        {key: tuple(names) for key, names in given.get("quick", {}).items()},
        tuple(given.get("harder", ())),
    )


def _part(name: str, given: Mapping[str, Any]) -> PartDeclaration:
    options = {key: value for key, value in given.items() if key not in ("of", "view", "least_modalities")}
    return PartDeclaration(given.get("of", name), given.get("view", "steps"), options, given.get("least_modalities", 1))


def _task(name: str, given: Mapping[str, Any], seeds: int) -> TaskDeclaration:
    plain = {key: given[key] for key in ("title", "about", "reader")}
    plain |= {key: given[key] for key in ("cluster", "beside", "comes_from") if key in given}
    plain |= {key: _words(given[key]) for key in ("labels", "needs", "measures") if key in given}
    return TaskDeclaration(
        name=name,
        divisions=tuple(_division(one) for one in given["divisions"]),
        primary={track: told["primary"] for track, told in given["tracks"].items()},
        twins={track: {name: told[name] for name in TWINS if name in told} for track, told in given["tracks"].items()},
        models={track: _words(models) for track, models in given.get("models", {}).items()},
        without=dict(given.get("without", {})),
        seeds=int(given.get("seeds", seeds)),
        **plain,
    )


def _division(given: Mapping[str, Any]) -> Division:
    told: dict[str, Any] = {key: _words(value) if isinstance(value, list) else value for key, value in given.items()}
    return Division(**told)


def _words(values: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
