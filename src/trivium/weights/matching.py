"""Whether data fit weights: shared modalities, columns by name, extractors and clocks."""

from __future__ import annotations

import numpy as np

from trivium.corpus import Aligned, Specification
from trivium.errors import SpecificationError

__all__ = ["fit_columns", "require_clock", "require_columns", "shared_modalities"]


def shared_modalities(own: Specification, spec: Specification) -> list[str]:
    """Modalities that both have, in the order of the weights; that there is none is a :class:`SpecificationError`.

    Parameters
    ----------
    own, spec : Specification
        Of the data, of the weights.

    Examples
    --------
    >>> from trivium.corpus import StreamSpecification
    >>> voice, face = (Specification((StreamSpecification(m, ("c",)),)) for m in ("audio", "vision"))
    >>> shared_modalities(voice, voice)
    ['audio']
    >>> shared_modalities(face, voice)
    Traceback (most recent call last):
    trivium.errors.SpecificationError: the data have vision, the weights take audio. Remedy: ...
    """
    shared = [m for m in spec.modalities if m in own.modalities]
    if not shared:
        raise SpecificationError(
            f"the data have {', '.join(own.modalities) or 'no modality'}, "
            f"the weights take {', '.join(spec.modalities)}",
            remedy="extract or read what the weights take, or use other weights",
        )
    return shared


def fit_columns(aligned: Aligned, spec: Specification) -> Aligned:
    """Utterances with exactly the columns of `spec`; see :meth:`trivium.weights.Weights.fit_columns`.

    Parameters
    ----------
    aligned : Aligned
        N utterances of any number of steps.
    spec : Specification
        Modalities and columns in the order that is wanted.

    Examples
    --------
    >>> from trivium.corpus import StreamSpecification
    >>> voice, face = (StreamSpecification(m, ("c",), clock="words") for m in ("audio", "vision"))
    >>> x = Aligned.from_arrays(np.ones((1, 2, 1), np.float32), Specification((face,)))
    >>> fit_columns(x, Specification((voice, face))).cell_mask[0].tolist()
    [[False, True], [False, True]]
    """
    own = aligned.specification
    shared = shared_modalities(own, spec)
    for modality in shared:
        require_columns(own, spec, modality)
    if own.columns == spec.columns:
        return aligned
    place = {name: i for i, name in enumerate(own.columns)}
    n, w, _ = aligned.shape
    values = np.zeros((n, w, len(spec.columns)), np.float32)
    kept = [i for i, name in enumerate(spec.columns) if name in place]
    values[:, :, kept] = aligned.values[:, :, [place[spec.columns[i]] for i in kept]]
    cells = np.zeros((n, w, len(spec.modalities)), bool)
    for number, modality in enumerate(spec.modalities):
        if modality in shared:
            cells[:, :, number] = aligned.cell_mask[:, :, own.modalities.index(modality)]
    return Aligned.from_arrays(
        values, spec, mask=aligned.mask, cell_mask=cells, ids=aligned.ids, table=dict(aligned.table)
    )


def require_columns(own: Specification, spec: Specification, modality: str) -> None:
    """Raise unless the data's modality holds every column of the weights' modality, made by the same extractor.

    Parameters
    ----------
    own, spec : Specification
        Of the data, of the weights.
    modality : str
        That both have.
    """
    ours, theirs = spec.stream(modality), own.stream(modality)
    missing = [c for c in ours.columns if c not in set(theirs.columns)]
    if missing:
        shown = ", ".join(missing[:6]) + (f" and {len(missing) - 6} more" if len(missing) > 6 else "")
        raise SpecificationError(
            f"{modality} of the data lacks columns that the weights take: {shown}",
            remedy="extract or read the same columns (they are matched by name), or leave the modality out",
        )
    makers = [(s.extractor, s.version) for s in (ours, theirs)]
    if all(name for name, _ in makers) and makers[0] != makers[1]:
        names = [" ".join(maker).strip() for maker in makers]
        raise SpecificationError(
            f"{modality} of the weights is by {names[0]}, of the data by {names[1]}",
            remedy="extract the data again, or use weights of that version",
        )


def require_clock(own: Specification, spec: Specification, modality: str) -> None:
    """Raise unless a step of the modality is the same thing in the data and in what the weights learned from.

    Parameters
    ----------
    own, spec : Specification
        Of the data, of the weights.
    modality : str
        That both have.
    """
    ours, theirs = spec.stream(modality), own.stream(modality)
    if ours.clock != theirs.clock:
        raise SpecificationError(
            f"a step of {modality} is {theirs.clock} in the data, {ours.clock} in what the weights learned from",
            remedy="give the data as in training, aligned or not; for clips train on an extracted corpus, or on words",
        )
