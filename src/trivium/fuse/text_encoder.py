"""Words as token ids through a language model that is trained along, in front of any network.

The text towers of Self-MM (arXiv 2102.04830) and MISA (arXiv 2005.03545): an encoder of Hugging Face's transformers
whose last hidden states are the columns of the text. Faithful: trained end to end, with a learning rate of its own and
without weight decay on biases and normalisations. Different: any encoder and any network; the state of every seen token
is handed on, and the network says how it pools them. Tokens are brought to the front first, so that padding does not
move positions. transformers is an optional dependency; predicting with such a network needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, Self

import torch
from torch import Tensor, nn

from trivium.errors import DependencyError, SpecificationError, UpstreamError
from trivium.fuse.network import Network
from trivium.fuse.steps import Steps, compact
from trivium.train import TensorBatch

__all__ = ["TextEncoder", "WithTextEncoder"]

_NO_DECAY = ("bias", "norm.weight")


class TextEncoder(nn.Module):
    """Token ids to the last hidden states of a language model.

    Parameters
    ----------
    model : module
        Takes ``input_ids`` and ``attention_mask``, gives ``last_hidden_state``; has ``config.hidden_size``.

    Attributes
    ----------
    size : int
        Columns D of a state.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> class Model(nn.Embedding):
    ...     config = SimpleNamespace(hidden_size=4, vocab_size=9)
    ...     def forward(self, input_ids, attention_mask):
    ...         return SimpleNamespace(last_hidden_state=super().forward(input_ids))
    >>> tokens = torch.tensor([[[3], [8], [0]]], dtype=torch.int32)
    >>> states = TextEncoder(Model(9, 4))(tokens, torch.tensor([[True, True, False]]))
    >>> states.values.shape, states.mask.tolist()
    (torch.Size([1, 3, 4]), [[True, True, False]])
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        config: Any = model.config
        self.size, self.vocabulary = int(config.hidden_size), int(config.vocab_size)

    @classmethod
    def from_pretrained(cls, name: str | PathLike[str], *, offline: bool = False) -> Self:
        """Encoder of a local folder, or of a model on the hub.

        Parameters
        ----------
        name : str or path
            A folder with ``config.json`` and safetensors, or a name on the hub.
        offline : bool
            Take only what is on this machine.

        Raises
        ------
        DependencyError
            transformers is not installed.
        UpstreamError
            There is no such model, or it cannot be had.
        """
        try:
            from transformers import AutoModel
        except ImportError as cause:
            raise DependencyError("a text encoder needs transformers", remedy="pip install 'trivium[train]'") from cause
        try:
            model = AutoModel.from_pretrained(
                name, local_files_only=offline, use_safetensors=True, trust_remote_code=False
            )
        except (OSError, ValueError) as cause:
            raise UpstreamError(
                f"the text encoder {str(name)!r} cannot be opened: {str(cause).splitlines()[0]}",
                remedy="give a folder with config.json and model.safetensors, or a name on the hub",
            ) from cause
        return cls(model)

    def forward(self, tokens: Tensor, mask: Tensor) -> Steps:
        """States (B, T, D) of token ids (B, T, 1), the seen ones first, and which are seen.

        Raises
        ------
        SpecificationError
            There is not one id per step, or an id lies outside the vocabulary.
        """
        if tokens.dim() != 3 or tokens.shape[2] != 1:
            raise SpecificationError(f"token ids have shape {tuple(tokens.shape)}", remedy="give one id per step")
        if tokens.shape[1] == 0:
            tokens, mask = tokens.new_zeros(tokens.shape[0], 1, 1), mask.new_zeros(mask.shape[0], 1)
        ids, seen = compact(Steps(torch.where(mask.unsqueeze(2), tokens, 0), mask))
        if bool((ids < 0).any()) or bool((ids >= self.vocabulary).any()):
            raise SpecificationError(
                f"a token id lies outside the encoder's vocabulary of {self.vocabulary}",
                remedy="use the tokenizer that belongs to the encoder",
            )
        # a sample without words attends to its first position, whose state is then dropped
        attended = torch.cat([torch.ones_like(seen[:, :1]), seen[:, 1:]], dim=1)
        states = self.model(input_ids=ids.squeeze(2).long(), attention_mask=attended.long()).last_hidden_state
        return Steps(states * seen.unsqueeze(2), seen)


class WithTextEncoder(nn.Module):
    """A network whose text is token ids; the language model in front of it learns too.

    Parameters
    ----------
    network : Network
        Takes the encoder's states as its text: its width of text is the encoder's size.
    encoder : TextEncoder
        In front of it.

    Raises
    ------
    SpecificationError
        The width differs.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> from trivium.fuse import Concat
    >>> class Model(nn.Embedding):
    ...     config = SimpleNamespace(hidden_size=4, vocab_size=9)
    ...     def forward(self, input_ids, attention_mask):
    ...         return SimpleNamespace(last_hidden_state=super().forward(input_ids))
    >>> both = WithTextEncoder(Concat({"text": 4}), TextEncoder(Model(9, 4)))
    >>> tokens, seen = torch.tensor([[[3], [8]]], dtype=torch.int32), torch.tensor([[True, True]])
    >>> both({"text": tokens}, {"text": seen})["prediction"].shape
    torch.Size([1, 1])
    >>> [group["lr"] for group in both.parameter_groups(1e-3, encoder_learning_rate=5e-5)]
    [0.001, 5e-05, 5e-05]
    """

    def __init__(self, network: Network, encoder: TextEncoder) -> None:
        super().__init__()
        if network.widths.get("text") != encoder.size:
            raise SpecificationError(
                f"the network takes text of width {network.widths.get('text')}, the encoder gives {encoder.size}",
                remedy=f"make the network with text: {encoder.size}",
            )
        self.network, self.encoder = network, encoder

    def forward(
        self, values: TensorBatch | Mapping[str, Tensor], masks: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Outputs of the network; text is (B, T, 1) token ids with a mask (B, T)."""
        given, seen = (values.values, values.mask) if isinstance(values, TensorBatch) else (values, masks or {})
        if "text" not in given or "text" not in seen:
            raise SpecificationError("the batch has no text, or no mask of it", remedy="a missing one is all False")
        states, mask = self.encoder(given["text"], seen["text"])
        outputs: dict[str, Tensor] = self.network({**given, "text": states}, {**seen, "text": mask})
        return outputs

    def parameter_groups(
        self, learning_rate: float, *, encoder_learning_rate: float, weight_decay: float = 0.0
    ) -> list[dict[str, Any]]:
        """Groups for an optimizer: the network, the encoder, and what of the encoder is not decayed.

        Parameters
        ----------
        learning_rate, encoder_learning_rate : float
            Of the network, of the language model.
        weight_decay : float
            Of both, but for the encoder's biases and normalisations.
        """
        decayed: list[nn.Parameter] = []
        free: list[nn.Parameter] = []
        for name, parameter in self.encoder.named_parameters():
            (free if name.lower().endswith(_NO_DECAY) else decayed).append(parameter)
        return [
            {"params": list(self.network.parameters()), "lr": learning_rate, "weight_decay": weight_decay},
            {"params": decayed, "lr": encoder_learning_rate, "weight_decay": weight_decay},
            {"params": free, "lr": encoder_learning_rate, "weight_decay": 0.0},
        ]
