"""What late-fusion networks read one modality with: a small network over the mean of its steps, or an LSTM.

Both follow the sub-networks of Zadeh et al. (2017), Tensor fusion network for multimodal sentiment analysis, arXiv
1707.07250: normalised and averaged voice and face, words through an LSTM.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trivium.errors import SpecificationError
from trivium.fuse.dropout import Dropout
from trivium.fuse.recurrence import last_state
from trivium.fuse.steps import Steps, last_step, mean_of_steps, reverse
from trivium.fuse.tensor_product import linear_of_product

__all__ = [
    "BidirectionalLSTM",
    "MaskedBatchNorm",
    "MultiLayer",
    "PooledSubnetwork",
    "RecurrentSubnetwork",
    "Subnetworks",
    "TaskHead",
    "check_modalities",
    "named_vectors",
]


def check_modalities(named: Collection[str], widths: Mapping[str, int], parameter: str) -> frozenset[str]:
    """Modalities that a parameter chooses; ``text``, ``audio`` and ``vision`` may be named though they are not there.

    Parameters
    ----------
    named : collection of str
        What the parameter holds.
    widths : mapping of str to int
        The network's modalities.
    parameter : str
        How the error calls it.

    Raises
    ------
    SpecificationError
        It names something else.
    """
    unknown = sorted(set(named) - set(widths) - {"text", "audio", "vision"})
    if isinstance(named, str) or unknown:
        raise SpecificationError(
            f"{parameter} names {named if isinstance(named, str) else unknown[0]!r}, which is no list of modalities",
            remedy=f"choose from {', '.join(widths)}",
        )
    return frozenset(named)


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation over the rows that count; the others come out as zero and leave no trace in the statistics.

    Fewer than two rows have no variance: they are normalised with the running statistics, in training too.

    Parameters
    ----------
    num_features : int
        Columns.

    Examples
    --------
    >>> norm = MaskedBatchNorm(1)
    >>> norm(torch.tensor([[1.0], [3.0], [99.0]]), torch.tensor([True, True, False])).round().flatten().tolist()
    [-1.0, 1.0, 0.0]
    """

    def forward(self, input: Tensor, counts: Tensor | None = None) -> Tensor:
        """Normalise rows (N, D); `counts` is bool (N,), and without it all rows count."""
        if counts is None:
            counts = torch.ones(len(input), dtype=torch.bool, device=input.device)
        if not self.training or int(counts.sum()) < 2:
            normed = F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, False, 0, self.eps
            )
            return normed * counts.unsqueeze(1)
        rows = counts.nonzero().squeeze(1)
        if len(rows) == len(input):
            return super().forward(input)
        return torch.zeros_like(input).index_copy(0, rows, super().forward(input[rows]))


class MultiLayer(nn.Module):
    """Linear layers, a ReLU after each but the last.

    Parameters
    ----------
    *sizes : int
        Input, hidden layers, output.

    Examples
    --------
    >>> layers = MultiLayer(3, 8, 1)
    >>> layers(torch.zeros(2, 3)).shape, layers.hidden(torch.zeros(2, 3)).shape
    (torch.Size([2, 1]), torch.Size([2, 8]))
    """

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        *before, last = itertools.pairwise(sizes)
        self.before = nn.ModuleList([nn.Linear(incoming, outgoing) for incoming, outgoing in before])
        self.last = nn.Linear(*last)

    def hidden(self, x: Tensor) -> Tensor:
        """What the last layer is given."""
        for layer in self.before:
            x = F.relu(layer(x))
        return x

    def hidden_of_product(self, first: Tensor, rest: Tensor, rate: float) -> Tensor:
        """As :meth:`hidden`, of the outer product of two vectors per sample, whose cells are dropped at a rate."""
        layer, *others = self.before
        assert isinstance(layer, nn.Linear)
        x = F.relu(linear_of_product(first, rest, layer.weight, layer.bias, rate))
        for other in others:
            x = F.relu(other(x))
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Columns (B, last size) of columns (B, first size)."""
        return F.linear(self.hidden(x), self.last.weight, self.last.bias)


class TaskHead(nn.Module):
    """From a vector to a feature, and from the feature to a prediction.

    Parameters
    ----------
    width, size, outputs : int
        Columns of the vector, of the feature, of the prediction.
    dropout : float
        On the vector.

    Examples
    --------
    >>> head = TaskHead(768, 32, 1, 0.1)
    >>> head(head.feature(torch.zeros(2, 768))).shape
    torch.Size([2, 1])
    """

    def __init__(self, width: int, size: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.dropout = Dropout(dropout)
        self.first = nn.Linear(width, size)
        self.rest = MultiLayer(size, size, outputs)

    def feature(self, vector: Tensor) -> Tensor:
        """Feature (B, size) of vectors (B, width)."""
        return F.relu(self.first(self.dropout(vector)))

    def forward(self, feature: Tensor) -> Tensor:
        """Prediction (B, outputs) of features (B, size)."""
        return F.linear(self.rest.hidden(feature), self.rest.last.weight, self.rest.last.bias)


class PooledSubnetwork(nn.Module):
    """Mean over seen steps, batch normalisation, dropout, three linear layers with ReLU.

    Parameters
    ----------
    width, hidden : int
        Columns in and out.
    dropout : float
        On the normalised mean.

    Examples
    --------
    >>> steps = Steps(torch.ones(2, 5, 74), torch.ones(2, 5, dtype=torch.bool))
    >>> PooledSubnetwork(74, 16, 0.2)(steps).shape
    torch.Size([2, 16])
    """

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = MaskedBatchNorm(width)
        self.dropout = Dropout(dropout)
        self.layers = MultiLayer(width, hidden, hidden, hidden)

    def forward(self, steps: Steps) -> Tensor:
        """Vectors (B, hidden); zero for a sample without any step."""
        mean = self.norm(mean_of_steps(steps), steps.mask.any(dim=1))
        return F.relu(self.layers(self.dropout(mean))) * steps.seen


class RecurrentSubnetwork(nn.Module):
    """LSTM over seen steps; its state after the last, dropout, a linear layer.

    Parameters
    ----------
    width, hidden, size : int
        Columns in, size of the state, columns out.
    dropout : float
        On the state.

    Examples
    --------
    >>> steps = Steps(torch.ones(2, 5, 300), torch.ones(2, 5, dtype=torch.bool))
    >>> RecurrentSubnetwork(300, 128, 32, 0.2)(steps).shape
    torch.Size([2, 32])
    """

    def __init__(self, width: int, hidden: int, size: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, hidden, batch_first=True)
        self.dropout = Dropout(dropout)
        self.linear = nn.Linear(hidden, size)

    def forward(self, steps: Steps) -> Tensor:
        """Vectors (B, size); zero for a sample without any step."""
        state = self.dropout(last_state(self.lstm, steps))
        return F.linear(state, self.linear.weight, self.linear.bias) * steps.seen


class BidirectionalLSTM(nn.Module):
    """Two LSTMs over compact steps: one reads them forwards, one backwards from the last seen step.

    Parameters
    ----------
    width, hidden : int
        Columns in, size of one state.

    Examples
    --------
    >>> lstm = BidirectionalLSTM(35, 8)
    >>> states, last = lstm(torch.ones(2, 5, 35), torch.tensor([5, 3]))
    >>> states.shape, last.shape
    (torch.Size([2, 5, 16]), torch.Size([2, 2, 8]))
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.forwards = nn.LSTM(width, hidden, batch_first=True)
        self.backwards = nn.LSTM(width, hidden, batch_first=True)

    def forward(self, values: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """States (B, T, 2 hidden) and the last of either direction (B, 2, hidden), zero without any step."""
        ahead, _ = self.forwards(values)
        back, _ = self.backwards(reverse(values, length))
        last = torch.stack([last_step(ahead, length), last_step(back, length)], dim=1)
        return torch.cat([ahead, reverse(back, length)], dim=2), last


class Subnetworks(nn.Module):
    """One sub-network per modality.

    Parameters
    ----------
    widths, hidden : mapping of str to int
        Columns in; size of the state of an LSTM, or of every layer of a pooled sub-network.
    dropout : mapping of str to float
        By modality.
    recurrent : collection of str
        Modalities that an LSTM reads; the others are averaged.
    recurrent_out : mapping of str to int
        Columns that the state of an LSTM is mapped to.

    Attributes
    ----------
    sizes : mapping of str to int
        Columns out.

    Examples
    --------
    >>> Subnetworks({"text": 4}, {"text": 3}, {"text": 0.0}, recurrent=["text"], recurrent_out={"text": 2}).sizes
    {'text': 2}
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        hidden: Mapping[str, int],
        dropout: Mapping[str, float],
        *,
        recurrent: Collection[str],
        recurrent_out: Mapping[str, int],
    ) -> None:
        super().__init__()
        chosen = check_modalities(recurrent, widths, "recurrent")
        self.sizes = {name: recurrent_out[name] if name in chosen else hidden[name] for name in widths}
        self.by_modality = nn.ModuleDict(
            {
                name: RecurrentSubnetwork(width, hidden[name], recurrent_out[name], dropout[name])
                if name in chosen
                else PooledSubnetwork(width, hidden[name], dropout[name])
                for name, width in widths.items()
            }
        )

    def forward(self, inputs: Mapping[str, Steps]) -> dict[str, Tensor]:
        """One vector (B, size) per modality; zero for a sample without any step of it."""
        return {name: part(inputs[name]) for name, part in self.by_modality.items()}


def named_vectors(vectors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``raw_...`` and ``feature_...`` of a network that gives each modality one vector only.

    Parameters
    ----------
    vectors : mapping of str to tensor (B, F_m)
        By modality.

    Examples
    --------
    >>> list(named_vectors({"text": torch.zeros(1, 2)}))
    ['raw_text', 'feature_text']
    """
    return {f"{level}_{name}": vector for level in ("raw", "feature") for name, vector in vectors.items()}
