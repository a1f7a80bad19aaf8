"""Search spaces: which settings a tuner may choose, in words that a file and the command line share.

A name is a parameter of the estimator (``learning_rate``), an option of its network (``network.dropout``, or
``network.dropout.text`` for one modality), or an option of one of its objectives (``modal_alignment.weight``). What it
may be is ``uniform(0, 0.5)``, ``log(1e-4, 1e-2)`` (uniform in the logarithm), ``int(16, 128)``, or
``choice(16, 32, 64)``.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from trivium.errors import FormatError, SpecificationError
from trivium.files import check_size
from trivium.registry import load

__all__ = ["Dimension", "Kind", "SearchSpace", "with_settings"]

Kind = Literal["uniform", "log", "int", "choice"]
_MAX_BYTES = 1 << 20
_GRAMMAR = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)
_REMEDY = "write uniform(0, 0.5), log(1e-4, 1e-2), int(16, 128) or choice(16, 32, 64)"
# What a run is about or where it happens, and what would change the very number that trials are compared by.
_FIXED = (
    *("network", "objectives", "network_options", "label", "selection", "random_state", "device", "folder", "resume"),
    *("tensorboard", "progress", "precision", "validation_fraction", "validation_groups", "class_weight", "parts"),
)


@dataclass(frozen=True)
class Dimension:
    """One setting and what it may be.

    Parameters
    ----------
    name : str
        Such as ``learning_rate`` or ``network.dropout.text``.
    kind : {"uniform", "log", "int", "choice"}
        How values are drawn.
    values : tuple
        Lowest and highest, or all choices.

    Examples
    --------
    >>> Dimension.parsed("learning_rate=log(1e-4, 1e-2)").values
    (0.0001, 0.01)
    """

    name: str
    kind: Kind
    values: tuple[Any, ...]

    @classmethod
    def parsed(cls, text: str) -> Dimension:
        """A dimension from ``NAME=KIND(VALUE, VALUE ...)``.

        Raises
        ------
        SpecificationError
            It is written otherwise, or the values make no range.
        """
        name, sign, rest = text.partition("=")
        found = _GRAMMAR.fullmatch(rest)
        if not sign or not name.strip() or found is None or found[1] not in get_args(Kind):
            raise SpecificationError(f"{text!r} declares nothing to try", remedy=f"{_REMEDY} after NAME=")
        values = tuple(_value(part) for part in found[2].split(","))
        made = cls(name.strip(), found[1], values)  # type: ignore[arg-type]
        made._require_range()
        return made

    def _require_range(self) -> None:
        if self.kind == "choice":
            fits = len(self.values) > 1 and len({json.dumps(v) for v in self.values}) == len(self.values)
            problem = "needs two or more choices, each once"
        else:
            types = (int,) if self.kind == "int" else (int, float)
            numbers = all(isinstance(v, types) and not isinstance(v, bool) for v in self.values)
            fits = numbers and len(self.values) == 2 and self.values[0] < self.values[1]
            fits = fits and (self.kind != "log" or self.values[0] > 0)
            problem = "needs a lower and a higher " + {"int": "whole number", "log": "number above 0"}.get(
                self.kind, "number"
            )
        if not fits:
            raise SpecificationError(f"{self.name}: {self} {problem}", remedy=_REMEDY)

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(json.dumps(v) if isinstance(v, bool) else str(v) for v in self.values)})"

    @property
    def example(self) -> Any:
        """One value of the dimension."""
        return float(self.values[0]) if self.kind in ("uniform", "log") else self.values[0]


def _value(text: str) -> Any:
    """A number or truth value where the text is one, else the text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text.strip().strip("'\"")


@dataclass(frozen=True)
class SearchSpace:
    """Settings that may be tried, in order.

    Parameters
    ----------
    dimensions : tuple of Dimension
        One per name.

    Examples
    --------
    >>> space = SearchSpace.parsed(["learning_rate=log(1e-4, 1e-2)", "network.dropout=uniform(0, 0.5)"])
    >>> [str(one) for one in space.dimensions]
    ['log(0.0001, 0.01)', 'uniform(0, 0.5)']
    """

    dimensions: tuple[Dimension, ...]

    @classmethod
    def parsed(cls, texts: Sequence[str]) -> SearchSpace:
        """A space from several ``NAME=KIND(VALUE, VALUE ...)``.

        Raises
        ------
        SpecificationError
            One of them declares nothing, a name is there twice, or there is none.
        """
        made = tuple(Dimension.parsed(text) for text in texts)
        names = [one.name for one in made]
        twice = [name for name in names if names.count(name) > 1]
        if twice or not made:
            problem = f"{twice[0]} is declared twice" if twice else "the space is empty"
            raise SpecificationError(
                problem, remedy="declare every setting once, such as learning_rate=log(1e-4, 1e-2)"
            )
        return cls(made)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> SearchSpace:
        r"""A space from a TOML file of ``NAME = "KIND(VALUE, VALUE ...)"``; tables make names with dots.

        Raises
        ------
        FormatError
            It is no TOML.
        SpecificationError
            As for :meth:`parsed`.

        Examples
        --------
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "space.toml"
        ...     _ = file.write_text('learning_rate = "log(1e-4, 1e-2)"\n[network]\ndropout = "uniform(0, 0.5)"')
        ...     [one.name for one in SearchSpace.read(file).dimensions]
        ['learning_rate', 'network.dropout']
        """
        check_size(path, _MAX_BYTES)
        try:
            found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
            raise FormatError(f"is no TOML: {cause}", file=path) from cause
        return cls.parsed([f"{name}={text}" for name, text in _flat(found)])

    def to_json(self) -> dict[str, str]:
        """What every setting may be, by name."""
        return {one.name: str(one) for one in self.dimensions}

    def require_known(self, predictor: Any) -> None:
        """Refuse what the predictor, its network or its objectives do not have, before anything is trained.

        Parameters
        ----------
        predictor : estimator
            With its network and objectives.

        Raises
        ------
        SpecificationError
            Names the setting and lists what there is.
        """
        for one in self.dimensions:
            _require(one, predictor)


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _require(one: Dimension, predictor: Any) -> None:
    owner, _, rest = one.name.partition(".")
    if not rest:
        known = {name: value for name, value in predictor.get_params(deep=False).items() if name not in _FIXED}
        _require_option(one, one.name, known, "the predictor")
        if any(not isinstance(value, str | bool) and value < 0 for value in one.values if value is not None):
            raise SpecificationError(f"{one.name} cannot be {one}", remedy="no setting of the training is below 0")
        if one.name == "loss":
            raise SpecificationError(
                "loss cannot be tuned: losses of two kinds are not comparable", remedy="tune once for each loss"
            )
        return
    if owner == "network":
        option, _, modality = rest.partition(".")
        name = predictor.network.partition(":")[0]
        _require_option(one, option, _options(load("network", name)), f"the network {name}", modality=modality)
        return
    requests = {request.partition(":")[0] for request in predictor.objectives}
    if owner not in requests:
        known_names = ", ".join(["network", *sorted(requests)])
        raise SpecificationError(f"{one.name}: there is no {owner!r} here", remedy=f"choose from {known_names}")
    options = {name: value for name, value in _options(load("objective", owner)).items() if name != "label"}
    _require_option(one, rest, options, f"the objective {owner}")


def _options(kind: Any) -> dict[str, Any]:
    """Options of a constructor with their defaults."""
    found = inspect.signature(kind).parameters.values()
    return {p.name: p.default for p in found if p.default is not inspect.Parameter.empty and p.name != "outputs"}


def _require_option(one: Dimension, option: str, known: Mapping[str, Any], owner: str, *, modality: str = "") -> None:
    if option not in known:
        names = ", ".join(name for name in known if name != "loss") or "none"
        raise SpecificationError(f"{owner} has no setting {option!r} to tune", remedy=f"choose from {names}")
    default = known[option]
    if isinstance(default, Mapping):
        default = next(iter(default.values()))
    elif modality and not isinstance(default, int | float):
        raise SpecificationError(f"{one.name}: {option} is not set by modality", remedy=f"declare network.{option}")
    values = one.values if one.kind == "choice" else (one.example,)
    if not all(_is_like(value, default) for value in values):
        raise SpecificationError(
            f"{one.name} cannot be {one}", remedy=f"its default is {default!r}: give values of that type"
        )


def _is_like(value: Any, default: Any) -> bool:
    """Whether a value has the type of the default; None tells nothing."""
    if default is None:
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return isinstance(value, type(default))


def with_settings(predictor: Any, settings: Mapping[str, Any]) -> Any:
    """The predictor with other settings; it is not changed itself.

    Parameters
    ----------
    predictor : estimator
        Not fitted.
    settings : mapping
        Values by name, as in a :class:`SearchSpace`.

    Examples
    --------
    >>> from trivium.predict import SentimentRegressor
    >>> base = SentimentRegressor("lf-dnn", ["modal_alignment:pairs=text+audio"])
    >>> found = with_settings(base, {"batch_size": 8, "network.dropout.text": 0.4, "modal_alignment.weight": 3.0})
    >>> found.batch_size, found.network_options, found.objectives
    (8, {'dropout': {'text': 0.4}}, ['modal_alignment:pairs=text+audio:weight=3.0'])
    """
    from sklearn.base import clone

    from trivium.predict.request import network_request

    own: dict[str, Any] = {}
    name, options = network_request(predictor.network)
    options |= predictor.network_options or {}
    objectives = list(predictor.objectives)
    for setting, value in settings.items():
        owner, _, rest = setting.partition(".")
        if not rest:
            own[setting] = value
        elif owner == "network":
            option, _, modality = rest.partition(".")
            options[option] = {**_by_modality(options.get(option)), modality: value} if modality else value
        else:
            objectives = [_with_option(request, owner, rest, value) for request in objectives]
    return clone(predictor).set_params(**own, network=name, network_options=options or None, objectives=objectives)


def _by_modality(value: Any) -> dict[str, Any]:
    if value is None or isinstance(value, Mapping):
        return dict(value or {})
    raise SpecificationError(
        f"an option of the network is {value!r} for all modalities and to be tuned for one",
        remedy="leave it out of --network, or give it by modality",
    )


def _with_option(request: str, owner: str, option: str, value: Any) -> str:
    """A request of an objective, ``name:option=value``, with one option replaced."""
    name, *pieces = request.split(":")
    if name != owner:
        return request
    kept = [piece for piece in pieces if piece.partition("=")[0] != option]
    text = value if isinstance(value, str) else json.dumps(value)
    return ":".join([name, *kept, f"{option}={text}"])
