"""What every network is: a module that takes modalities with their masks and gives named tensors; it knows no loss.

The contract, which tests hold every registered network to:

- any number of modalities of any width; each is (B, T_m, D_m) with a mask, T_m = 1 is an utterance-level vector;
- unseen steps and cells never count: neither what stands in them nor how many there are changes any output;
- a modality that a sample lacks altogether gives it the zero vector (``raw_...``, ``feature_...``), never NaN, and it
  does not enter statistics of batch normalisation;
- the order of samples does not matter, and a batch of one works, in training too;
- the exported graph gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self, TypeVar

from torch import Tensor, nn

from trivium.corpus import Specification
from trivium.errors import SpecificationError
from trivium.fuse.steps import Steps, prepare_steps
from trivium.train import TensorBatch

__all__ = ["Network", "Rates", "Sizes", "by_modality"]

Number = TypeVar("Number", int, float)

Sizes = int | Mapping[str, int]
"""A number for all modalities, or numbers by modality."""

Rates = float | Mapping[str, float]
"""A share for all modalities, or shares by modality."""


class Network(nn.Module):
    """Base of all networks: checks its input, then hands the prepared steps to :meth:`fuse`.

    ========================  ==========  ==========================================================================
    output                    shape       meaning
    ========================  ==========  ==========================================================================
    ``prediction``            (B, K)      numbers or logits; always there
    ``prediction_MODALITY``   (B, K)      what one modality says alone; only where the network has such heads
    ``raw_MODALITY``          (B, R_m)    first vector of one modality alone; not where modalities are joined at once
    ``feature_MODALITY``      (B, F_m)    deepest vector of one modality alone; as above
    ``fused``                 (B, F)      vector of all modalities that `prediction` is made from
    ========================  ==========  ==========================================================================

    Parameters
    ----------
    widths : mapping of str to int
        Columns D_m by modality, in the order in which the network joins them.
    outputs : int
        K: 1 for a number, the number of classes for logits.

    Raises
    ------
    SpecificationError
        There is no modality, or a width or `outputs` is below 1.

    Examples
    --------
    >>> import torch
    >>> from trivium.fuse.steps import mean_of_steps
    >>> class Mean(Network):
    ...     name = "mean"
    ...     def fuse(self, inputs):
    ...         return {"prediction": sum(mean_of_steps(steps) for steps in inputs.values())}
    >>> seen = {"text": torch.tensor([[True, False]])}
    >>> Mean({"text": 1})({"text": torch.tensor([[[2.0], [8.0]]])}, seen)["prediction"].tolist()
    [[2.0]]
    """

    name: ClassVar[str]
    aligned: ClassVar[bool] = False
    """Whether modalities must share their steps (one of a single step stands at all of them)."""

    def __init__(self, widths: Mapping[str, int], outputs: int = 1) -> None:
        super().__init__()
        self.widths, self.outputs = dict(widths), outputs
        if not self.widths or min([*self.widths.values(), outputs]) < 1:
            raise SpecificationError(
                f"a network needs modalities, columns and outputs, not {self.widths} and {outputs}",
                remedy="give at least one of each",
            )

    @classmethod
    def from_specification(cls, specification: Specification, outputs: int = 1, **hyperparameters: object) -> Self:
        """Network for the modalities and columns of a corpus.

        Parameters
        ----------
        specification : Specification
            Labels are not looked at.
        outputs : int
            K.
        **hyperparameters
            What the constructor of the network takes besides.
        """
        return cls({s.modality: s.dim for s in specification.streams}, outputs, **hyperparameters)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in order."""
        return tuple(self.widths)

    def forward(
        self, values: TensorBatch | Mapping[str, Tensor], masks: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Named outputs of a batch; see the table of the class.

        Parameters
        ----------
        values : TensorBatch, or mapping of str to tensor (B, T_m, D_m)
            A batch as the training loop gives it, or its values.
        masks : mapping of str to bool tensor (B, T_m) or (B, T_m, D_m)
            Where there is data; part of a batch.

        Raises
        ------
        SpecificationError
            A modality or its mask is missing, or has another shape than the network was made for.
        """
        given, seen = (values.values, values.mask) if isinstance(values, TensorBatch) else (values, masks or {})
        return self.fuse({name: self._steps(name, given, seen) for name in self.widths})

    def fuse(self, inputs: Mapping[str, Steps]) -> dict[str, Tensor]:
        """Outputs of prepared steps, one entry per modality; what a network has to define."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """What the layers do not show; a training run goes on only with the same."""
        return f"{self.widths}, outputs={self.outputs}"

    def _steps(self, name: str, values: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> Steps:
        if name not in values or name not in masks:
            raise SpecificationError(
                f"the batch has no {'mask' if name in values else 'values'} of the modality {name!r}",
                remedy=f"give {', '.join(self.widths)}, each with its mask; a missing one is all False",
            )
        shape, mask = tuple(values[name].shape), tuple(masks[name].shape)
        if len(shape) != 3 or shape[2] != self.widths[name] or mask not in (shape, shape[:2]):
            raise SpecificationError(
                f"{name} has values of shape {shape} and a mask of shape {mask}",
                remedy=f"this network takes (samples, steps, {self.widths[name]}) and (samples, steps)",
            )
        return prepare_steps(values[name], masks[name])


def by_modality(
    given: Number | Mapping[str, Number], defaults: Mapping[str, Number], modalities: tuple[str, ...]
) -> dict[str, Number]:
    """A hyper-parameter for every modality.

    Parameters
    ----------
    given : number or mapping of str to number
        One for all, or some by name.
    defaults : mapping of str to number
        Used for those that are not named; a modality that it does not know is treated like ``audio``.
    modalities : tuple of str
        Names wanted.

    Raises
    ------
    SpecificationError
        A named modality does not exist.

    Examples
    --------
    >>> by_modality({"text": 8}, {"text": 128, "audio": 16}, ("text", "audio", "gaze"))
    {'text': 8, 'audio': 16, 'gaze': 16}
    """
    if not isinstance(given, Mapping):
        return dict.fromkeys(modalities, given)
    known = {*modalities, *defaults}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise SpecificationError(f"there is no modality {unknown[0]!r}", remedy=f"choose from {', '.join(modalities)}")
    other = defaults["audio"]
    return {name: given.get(name, defaults.get(name, other)) for name in modalities}
