"""One clip is extracted and staged: what is done already is kept, what fails costs only itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trivium import errors
from trivium.corpus.staging import Staging
from trivium.errors import DiskError, TriviumError
from trivium.extract.clip import ClipExtractor
from trivium.extract.earlier import Earlier
from trivium.extract.extracted import Extracted
from trivium.extract.part_notes import are_notes
from trivium.extract.products import WORDS, finding_to_json, key_of
from trivium.extract.source.recording import Recording
from trivium.extract.words.cutting import pieces_to_json
from trivium.files import sha256_file

__all__ = ["Outcome", "Stager", "error_from_json", "error_to_json", "part_key"]


@dataclass
class Outcome:
    """What became of the recordings of one clip, by their place in the run.

    Parameters
    ----------
    done : dict of int to str
        Keys of the parts that are staged.
    failed : dict of int to Exception
        Why the others are not.
    counts : Counter
        How many products were taken over or made anew, by ``(name, "taken" or "made")``.
    settled : set of int
        Those that took no work: an earlier run staged them, or their fault was known before.
    """

    done: dict[int, str] = field(default_factory=dict)
    failed: dict[int, Exception] = field(default_factory=dict)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    settled: set[int] = field(default_factory=set)

    def to_json(self) -> dict[str, Any]:
        """Plain builtins, for another process."""
        return {
            "done": list(self.done.items()),
            "failed": [(place, error_to_json(error)) for place, error in self.failed.items()],
            "counts": [(*what, count) for what, count in self.counts.items()],
            "settled": sorted(self.settled),
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Outcome:
        """What :meth:`to_json` gave.

        Parameters
        ----------
        told : mapping
            Plain builtins.

        Examples
        --------
        >>> Outcome.from_json(Outcome({3: "1f"}).to_json()).done
        {3: '1f'}
        """
        failed: dict[int, Exception] = {place: error_from_json(error) for place, error in told["failed"]}
        counts = Counter({(name, how): n for name, how, n in told["counts"]})
        return cls(dict(told["done"]), failed, counts, set(told["settled"]))


class Stager:
    """Extracts clips and stages what they give.

    Parameters
    ----------
    extractor : ClipExtractor
        With its models.
    staging : Staging
        Where parts wait.
    """

    def __init__(self, extractor: ClipExtractor, staging: Staging) -> None:
        self._extractor, self._staging = extractor, staging
        self._earlier = Earlier(staging.parts())

    def clip(self, path: Path, recordings: Mapping[int, Recording]) -> Outcome:
        """Stage the recordings of one clip, unless that is done already.

        Parameters
        ----------
        path : Path
            The clip.
        recordings : mapping of int to Recording
            By their place in the run.

        Raises
        ------
        DiskError
            Nothing can be staged: the disk is full, for example.
        """
        outcome = Outcome()
        waiting = dict(recordings)
        try:
            content = sha256_file(path) if waiting else ""
            keys = {place: part_key(recording, self._extractor, content) for place, recording in waiting.items()}
            for place in [place for place in waiting if self._staged(keys[place])]:
                self._count(outcome, keys[place])
                outcome.done[place] = keys[place]
                outcome.settled.add(place)
                waiting.pop(place)
            made = self._extractor.extract_spans(list(waiting.values()), content, self._earlier)
            for place, (recording, result) in zip(list(waiting), made, strict=True):
                try:
                    if isinstance(result, Exception):
                        raise result
                    self._stage(outcome, keys[place], result, self._extractor.cut_key(recording, content))
                    outcome.done[place] = keys[place]
                except DiskError:
                    raise
                except Exception as error:  # whatever one span does, the others go on
                    outcome.failed[place] = error
                waiting.pop(place)
        except DiskError:
            raise
        except Exception as error:  # whatever one clip does, the others go on
            outcome.failed |= dict.fromkeys(waiting, error)
        return outcome

    def _staged(self, key: str) -> bool:
        return self._staging.staged(key) and are_notes(self._staging.part(key).notes)

    def _count(self, outcome: Outcome, key: str) -> None:
        for products in self._staging.part(key).notes["products"].values():
            outcome.counts.update((product["name"], "taken") for product in products if _holds_something(product))

    def _stage(self, outcome: Outcome, key: str, made: tuple[Extracted, ...], cut_key: str) -> None:
        notes: dict[str, Any] = {
            "products": {one.utterance.id: [product.to_json() for product in one.products] for one in made},
            "findings": [finding_to_json(finding) for one in made for finding in one.own_findings],
        }
        if cut_key:
            notes["cut"] = {"key": cut_key, "pieces": pieces_to_json(made[0].pieces)}
        self._staging.stage(key, [one.utterance for one in made], notes)
        for product in (product for one in made for product in one.products):
            if not product.is_empty:
                outcome.counts[product.name, "taken" if product.taken else "made"] += 1


def _holds_something(product: Mapping[str, Any]) -> bool:
    """Whether there are streams or words, and not only the reason why there are none."""
    return bool(product.get("streams") or (product["name"] == WORDS and product.get("facts")))


def part_key(recording: Recording, extractor: ClipExtractor, content: str) -> str:
    """Hash of everything a recording's part depends on, so that parts of another run are never taken for ours.

    Parameters
    ----------
    recording : Recording
        The clip or a span of it.
    extractor : ClipExtractor
        With its options.
    content : str
        Hash of the file.
    """
    return key_of(
        {
            "id": recording.id,
            "clip": recording.path.name,
            "labels": dict(recording.labels),
            "groups": dict(recording.groups),
            "splits": dict(recording.splits),
            "keys": extractor.keys(recording, content).to_json(),
            "cut": extractor.cut_key(recording, content),
            "modalities": extractor.specification.modalities,
            "notes": 2,  # raised when other facts are noted, so that parts without them are made again
        }
    )


def error_to_json(error: Exception) -> dict[str, Any]:
    """An error as plain builtins; one that nobody thought of keeps its kind as text."""
    if isinstance(error, TriviumError):
        told = {"problem": error.problem, "file": error.file, "place": error.place, "remedy": error.remedy}
        return {"kind": type(error).__name__, **told}
    return {"kind": "TriviumError", "problem": f"{type(error).__name__}: {error}"}


def error_from_json(told: Mapping[str, Any]) -> TriviumError:
    """What :func:`error_to_json` gave.

    Parameters
    ----------
    told : mapping
        Plain builtins.

    Examples
    --------
    >>> error_from_json(error_to_json(errors.MediaError("is cut off", file="a.mp4")))
    MediaError('a.mp4: is cut off.')
    """
    kind = getattr(errors, told["kind"]) if told["kind"] in errors.__all__ else TriviumError
    made: TriviumError = kind(**{name: value for name, value in told.items() if name != "kind"})
    return made
