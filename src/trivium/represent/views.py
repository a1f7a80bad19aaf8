"""What an encoder of steps is shown while it learns: steps hidden in spans, or two views of every utterance.

Sources: spans of hidden frames, as in HuBERT and wav2vec 2.0 (Hsu et al., 2021; Baevski et al., 2020), with a share and
a length of ours for sequences of tens of steps; stretches of time as views, as in TS2Vec (Yue et al., 2022), here
without cropping to their overlap; zeroed stretches of steps or columns, the feature augmentation of MMCL (Lin & Hu,
2022, arXiv 2210.14556), whose details are not published. Everything is a change of masks: nothing unseen is ever shown.

In training the numbers are drawn anew; in evaluation mode they are the same for the same batch, so that validation
losses of different epochs can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from trivium.errors import SpecificationError
from trivium.represent.step_network import Standardised, StepEncoder
from trivium.train import ALIGNED, TensorBatch

__all__ = ["Showing", "ShownSteps", "hide_spans", "stretch_of"]

Showing = Literal["hidden", "stretches", "cutoffs", "whole"]
_SHORTEST, _LONGEST = 0.4, 0.8  # share of the seen steps in a stretch
_CUT_LEAST, _CUT_MOST = 0.1, 0.2  # share of steps or columns that are cut off
_SEED = 0
_ROUNDING = 1e-4  # 0.2 of 10 is 2, whatever float32 makes of it

Cells = Mapping[str, Standardised]


def hide_spans(steps: Tensor, share: float, span: int, generator: torch.Generator | None = None) -> Tensor:
    """Choose steps to hide, in spans, at least one of every utterance that has more than one.

    Parameters
    ----------
    steps : bool tensor (B, T)
        Seen steps.
    share : float
        About how many of them are hidden.
    span : int
        Steps in a span.
    generator : torch.Generator, optional
        Source of the random numbers.

    Returns
    -------
    bool tensor (B, T)
        Seen steps that are hidden.

    Examples
    --------
    >>> steps = torch.tensor([[True] * 8, [True] + [False] * 7])
    >>> hidden = hide_spans(steps, 0.3, 2, torch.Generator().manual_seed(0))
    >>> bool(hidden[0].any()), bool(hidden[1].any()), bool((hidden & ~steps).any())
    (True, False, False)
    """
    n, length = steps.shape
    draws = torch.rand(n, length, generator=generator).to(steps.device)
    # a step starts a span with such a chance that `share` of all steps lie in one
    starts = draws < 1 - (1 - share) ** (1 / span)
    least = torch.where(steps, draws, torch.inf).argmin(dim=1, keepdim=True)
    starts = (starts & steps).scatter(1, least, True)
    hidden = starts
    for _ in range(span - 1):
        hidden = hidden | torch.cat([starts.new_zeros(n, 1), hidden[:, :-1]], dim=1)
    # something must be left to predict from
    kept = torch.where(steps, draws, -torch.inf).argmax(dim=1, keepdim=True)
    hidden = hidden.scatter(1, kept, False)
    found: Tensor = hidden & steps & (steps.sum(dim=1, keepdim=True) > 1)
    return found


def stretch_of(steps: Tensor, shares: Tensor, least: int = 0, generator: torch.Generator | None = None) -> Tensor:
    """One stretch of the seen steps of every row, at random.

    Parameters
    ----------
    steps : bool tensor (B, T)
        Seen steps; what lies between two of them does not count.
    shares : tensor (B,)
        Share of them that each stretch takes, rounded down.
    least : int
        Fewest steps of a stretch.
    generator : torch.Generator, optional
        Source of the random numbers.

    Returns
    -------
    bool tensor (B, T)
        Seen steps within the stretch.

    Examples
    --------
    >>> stretch_of(torch.ones(2, 10, dtype=torch.bool), torch.tensor([0.2, 0.5])).sum(dim=1).tolist()
    [2, 5]
    """
    count = steps.sum(dim=1)
    size = (shares.to(steps.device) * count + _ROUNDING).floor().clamp(min=least)
    first = (torch.rand(len(steps), generator=generator).to(steps.device) * (count - size + 1)).floor()
    place = steps.cumsum(dim=1) - 1
    inside: Tensor = steps & (place >= first[:, None]) & (place < (first + size)[:, None])
    return inside


class ShownSteps(nn.Module):
    """An encoder of steps as the training loop calls it: it shows what an objective needs.

    ==============  ===================================================================================================
    shown           outputs, by modality
    ==============  ===================================================================================================
    ``hidden``      ``states_M`` (B, T, H) where some steps were hidden; ``hidden_M`` bool (B, T, D), the cells to be
                    predicted; ``target_M`` (B, T, D), what they were
    ``stretches``   ``first_M`` and ``second_M`` (B, 2 H) of two stretches of time, the same for all modalities
    ``cutoffs``     the same of two views, each without a stretch of steps and a stretch of columns
    ``whole``       ``feature_M`` (B, 2 H)
    ==============  ===================================================================================================

    Parameters
    ----------
    encoder : StepEncoder
        What learns.
    shown : {"hidden", "stretches", "cutoffs", "whole"}
        See the table.
    share : float
        Of the steps that are hidden.
    span : int
        Steps hidden in a row; spans that touch make longer ones.

    Raises
    ------
    SpecificationError
        `shown` is none of these, or the share does not lie between 0 and 1.

    Examples
    --------
    >>> network = ShownSteps(StepEncoder({"audio": 2}, channels=4), "hidden")
    >>> x, seen = torch.zeros(3, 9, 2), torch.ones(3, 9, 2, dtype=torch.bool)
    >>> sorted(network(TensorBatch(torch.arange(3), {"aligned": x}, {"aligned": seen}, {})))
    ['hidden_audio', 'states_audio', 'target_audio']
    """

    def __init__(self, encoder: StepEncoder, shown: Showing = "hidden", share: float = 0.3, span: int = 2) -> None:
        super().__init__()
        if shown not in get_args(Showing) or not 0 < share < 1 or span < 1:
            raise SpecificationError(
                f"an encoder cannot be shown {shown!r} with a share of {share} in spans of {span}",
                remedy=f"choose from {', '.join(get_args(Showing))}, a share between 0 and 1, a span of at least 1",
            )
        self.encoder = encoder
        self.shown, self.share, self.span = shown, share, span

    def extra_repr(self) -> str:
        """What the layers do not show; a run goes on only with the same."""
        return f"shown={self.shown!r}, share={self.share}, span={self.span}"

    def forward(self, batch: TensorBatch) -> dict[str, Tensor]:
        """Outputs of the batch's scaled matrices (B, T, D) and their cell masks."""
        generator = None if self.training else torch.Generator().manual_seed(_SEED)
        given = self.encoder.standardised(batch.values[ALIGNED], batch.mask[ALIGNED])
        if self.shown == "hidden":
            return self._hidden(given, generator)
        if self.shown == "whole":
            return _named("feature", self.encoder.features(given))
        view = self._stretch if self.shown == "stretches" else self._cutoff
        first, second = (self.encoder.features(view(given, generator)) for _ in range(2))
        return _named("first", first) | _named("second", second)

    def _hidden(self, given: Cells, generator: torch.Generator | None) -> dict[str, Tensor]:
        hidden = {name: hide_spans(part.steps, self.share, self.span, generator) for name, part in given.items()}
        outputs = _named("states", self.encoder.states(given, hidden))
        outputs |= {f"hidden_{name}": hidden[name].unsqueeze(2) & part.cells for name, part in given.items()}
        return outputs | {f"target_{name}": part.values for name, part in given.items()}

    def _stretch(self, given: Cells, generator: torch.Generator | None) -> dict[str, Standardised]:
        """One stretch of every utterance's time, by the share of its seen steps."""
        steps = torch.stack([part.steps for part in given.values()]).any(dim=0)
        inside = stretch_of(steps, _between(_SHORTEST, _LONGEST, len(steps), generator), 1, generator)
        return {name: _only(part, inside.unsqueeze(2)) for name, part in given.items()}

    def _cutoff(self, given: Cells, generator: torch.Generator | None) -> dict[str, Standardised]:
        """Every modality without a stretch of its steps and one of its columns."""
        found = {}
        for name, part in given.items():
            columns = torch.ones_like(part.cells[:, 0])
            kept = [
                ~stretch_of(whole, _between(_CUT_LEAST, _CUT_MOST, len(whole), generator), 0, generator)
                for whole in (part.steps, columns)
            ]
            found[name] = _only(part, kept[0].unsqueeze(2) & kept[1].unsqueeze(1))
        return found


def _between(low: float, high: float, n: int, generator: torch.Generator | None) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=generator)


def _only(part: Standardised, kept: Tensor) -> Standardised:
    cells = part.cells & kept
    return Standardised(part.values * cells, cells)


def _named(kind: str, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{kind}_{name}": tensor for name, tensor in parts.items()}
