"""Words through a language model that is trained along, in front of any network.

The text towers of Self-MM (arXiv 2102.04830) and MISA (arXiv 2005.03545), and of MMSA's ``use_finetune``: an encoder
of Hugging Face's transformers whose last hidden states are the columns of the text. Faithful: trained end to end,
with a learning rate of its own and without weight decay on biases and normalisations. Different: any encoder and any
network; the states of a word's pieces are averaged, so that a step stays a word and modalities aligned to words stay
aligned (``steps="utterance"`` gives the one vector that Self-MM uses, the state of the mark before the text; MISA's
mean over all pieces is here the mean over words); a text longer than the encoder takes is read in windows that
overlap by half, where each piece belongs to the window in which it lies most centrally; marks are set here, so that
whatever drops words drops no mark. A word that is not seen is not read: the encoder's text closes up behind it.
transformers is an optional dependency; predicting with such a network needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trivium.corpus import StreamSpecification
from trivium.errors import DependencyError, SpecificationError, WeightsError
from trivium.extract.encoder_folder import find_encoder, longest_text
from trivium.extract.text.minilm import central_windows
from trivium.fuse.network import Network
from trivium.fuse.steps import Steps
from trivium.scale import TEXT, WordPieces
from trivium.train import TensorBatch

__all__ = ["MinilmTextEncoder", "TextEncoder", "TextSteps", "WithTextEncoder", "open_text_encoder", "parameter_groups"]

TextSteps = Literal["words", "utterance"]
_NO_DECAY = ("bias", "norm.weight")
# What a stored configuration must not decide: where code or kernels are from, and how numbers are packed.
_NOT_STORED = ("auto_map", "attn_implementation", "experts_implementation", "quantization_config", "use_kernels")


class TextEncoder(nn.Module):
    """Pieces of words to one vector for every word, or one for the utterance.

    Parameters
    ----------
    model : module
        Takes ``input_ids`` and ``attention_mask``, gives ``last_hidden_state``; has ``config.hidden_size`` and
        ``config.vocab_size``.
    pieces : WordPieces
        The tokenizer, and the marks that stand around a text.
    name : str
        How its columns are called.
    steps : {"words", "utterance"}
        What the network is given: the mean state of every word's pieces, or one vector: the state of the mark before
        the text, the mean over all pieces where the tokenizer sets none.
    version : str
        Of the weights it began with.
    config : mapping
        From which transformers can build the model again.

    Attributes
    ----------
    size : int
        Columns D of a state.

    Raises
    ------
    SpecificationError
        `steps` is none of these.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> class Model(nn.Embedding):
    ...     config = SimpleNamespace(hidden_size=4, vocab_size=9)
    ...     def forward(self, input_ids, attention_mask):
    ...         return SimpleNamespace(last_hidden_state=super().forward(input_ids))
    >>> encoder = TextEncoder(Model(9, 4), WordPieces("{}", (1,), (2,), 0), "tiny")
    >>> words = torch.tensor([[[3, 4], [8, -1], [-1, -1]]], dtype=torch.int32)
    >>> states = encoder(words, torch.tensor([[True, True, False]]))
    >>> states.values.shape, states.mask.tolist()
    (torch.Size([1, 3, 4]), [[True, True, False]])
    """

    name: ClassVar[str] = "hf"
    """How the registry calls it."""

    def __init__(
        self,
        model: nn.Module,
        pieces: WordPieces,
        name: str,
        *,
        steps: TextSteps = "words",
        version: str = "",
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if steps not in get_args(TextSteps):
            raise SpecificationError(f"text_steps cannot be {steps!r}", remedy="choose from words, utterance")
        if getattr(model, "pooler", None) is not None:
            setattr(model, "pooler", None)  # noqa: B010  (nothing here reads it, so it would never be trained)
        told: Any = model.config
        self.model, self.pieces, self.steps = model, pieces, steps
        self.called, self.version, self.config = name, version, _harmless(config or {})
        self.size, self.vocabulary = int(told.hidden_size), int(told.vocab_size)
        self.window = longest_text(told) - len(pieces.begin) - len(pieces.end)

    @classmethod
    def opened(cls, argument: str, steps: TextSteps = "words") -> Self:
        """Encoder of a local folder, or of a model in the hub's cache; nothing is downloaded.

        Parameters
        ----------
        argument : str
            See :func:`trivium.extract.encoder_folder.find_encoder`.
        steps : {"words", "utterance"}
            See the class.

        Raises
        ------
        DependencyError
            transformers is not installed.
        UpstreamError
            There is no such encoder on this machine, or it cannot be read without code of its own.
        """
        folder = find_encoder(argument)
        tokenizer = folder.tokenizer()
        begin, end = folder.marks(tokenizer)
        pad = tokenizer.pad_token_id
        pieces = WordPieces(tokenizer.backend_tokenizer.to_str(), tuple(begin), tuple(end), 0 if pad is None else pad)
        config = folder.load("AutoConfig").to_dict()
        return cls(folder.model().float(), pieces, folder.name, steps=steps, version=folder.version, config=config)

    @classmethod
    def restored(
        cls,
        config: Mapping[str, Any],
        state: Mapping[str, NDArray[Any]],
        pieces: WordPieces,
        name: str,
        steps: TextSteps = "words",
    ) -> Self:
        """Encoder from a weights folder.

        Parameters
        ----------
        config : mapping
            Of transformers; what names code or kernels in it is not read.
        state : mapping of str to array of any shape
            All parameters.
        pieces, name, steps
            See the class.

        Raises
        ------
        WeightsError
            The parts do not fit together.
        """
        try:
            with torch.random.fork_rng(devices=[]):
                model = _built(config)
            made = cls(model, pieces, name, steps=steps, config=config)
            made.model.load_state_dict({key: torch.from_numpy(array) for key, array in state.items()})
        except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as cause:
            raise WeightsError(f"the stored text encoder does not fit together: {cause}") from cause
        return made

    def in_front_of(self, network: Network) -> WithTextEncoder:
        """The network with this encoder in front of it."""
        return WithTextEncoder(network, self)

    @property
    def stream(self) -> StreamSpecification:
        """What the network is given as its text: the encoder's columns, a step by word."""
        width = max(4, len(str(self.size - 1)))
        columns = tuple(f"{self.called}-{i:0{width}d}" for i in range(self.size))
        clock: Literal["words", "none"] = "words" if self.steps == "words" else "none"
        return StreamSpecification(TEXT, columns, clock=clock, extractor=self.name, version=self.version)

    def extra_repr(self) -> str:
        """What the layers do not show; a training run goes on only with the same."""
        return f"{self.called}, version={self.version!r}, steps={self.steps!r}, window={self.window}"

    def freeze(self, layers: int) -> None:
        """Keep the embeddings and the first layers as they are.

        Parameters
        ----------
        layers : int
            How many; 0 freezes nothing.

        Raises
        ------
        SpecificationError
            The encoder does not have so many, or its layers cannot be told.
        """
        if not layers:
            return
        stacks = [part for part in self.model.modules() if isinstance(part, nn.ModuleList)]
        stack = max(stacks, key=len, default=nn.ModuleList())
        if not 0 < layers <= len(stack):
            raise SpecificationError(
                f"{layers} layers of {self.called} cannot be frozen, it has {len(stack)}",
                remedy=f"give 0 to {len(stack)}",
            )
        frozen = [p for name, p in self.model.named_parameters() if "embed" in name]
        frozen += [p for layer in stack[:layers] for p in layer.parameters()]
        for parameter in frozen:
            parameter.requires_grad_(False)

    def forward(self, words: Tensor, mask: Tensor) -> Steps:
        """States (B, W, D) of words, or (B, 1, D) of utterances, and which there are.

        Parameters
        ----------
        words : int tensor (B, W, K)
            Numbers of the pieces of every word, below 0 where it has fewer than K.
        mask : bool tensor (B, W)
            Words that are seen.

        Raises
        ------
        SpecificationError
            The shape is another, or a number lies outside the vocabulary.
        """
        if words.dim() != 3 or mask.shape != words.shape[:2] or words.is_floating_point():
            raise SpecificationError(
                f"text has shape {tuple(words.shape)} and type {words.dtype}, its mask {tuple(mask.shape)}",
                remedy="give whole numbers of pieces (samples, words, pieces) and a mask (samples, words)",
            )
        count = max(words.shape[1], 1)
        there = (words >= 0) & mask.unsqueeze(2)
        sample, word, _ = torch.nonzero(there, as_tuple=True)
        numbers = words[there].long()
        if bool((numbers >= self.vocabulary).any()):
            raise SpecificationError(
                f"a piece of a word lies outside the encoder's vocabulary of {self.vocabulary}",
                remedy="use the tokenizer that belongs to the encoder",
            )
        spans = list(self._spans(torch.bincount(sample, minlength=len(words)).tolist()))
        states = self._read(numbers, [(first, last) for first, last, _, _ in spans])
        if self.steps == "words":
            found = states.flatten(0, 1)[self._places(spans, states.shape[1], numbers)]
            return _means(found, sample * count + word, len(words), count)
        if self.pieces.begin:
            rows = torch.tensor([row for *_, row in spans], device=words.device, dtype=torch.long)
            return _means(states[: len(rows), 0], rows, len(words), 1)
        return _means(states.flatten(0, 1)[self._places(spans, states.shape[1], numbers)], sample, len(words), 1)

    def _spans(self, counts: list[int]) -> Iterator[tuple[int, int, NDArray[np.intp], int]]:
        """Windows over the pieces of all samples: first, last, the pieces it answers for, and its sample."""
        start = 0
        for row, count in enumerate(counts):
            for first, last, own in central_windows(count, self.window):
                yield start + first, start + last, own + start, row
            start += count

    def _read(self, numbers: Tensor, spans: list[tuple[int, int]]) -> Tensor:
        """States (R, L, D) of windows, marks included; without any window those of one empty text."""
        begin, end = list(self.pieces.begin), list(self.pieces.end)
        whole = numbers.tolist()
        texts = [[*begin, *whole[first:last], *end] for first, last in spans]
        texts = texts or [[*begin, *end] or [self.pieces.pad]]
        longest = max(map(len, texts))
        given = torch.tensor([text + [self.pieces.pad] * (longest - len(text)) for text in texts])
        seen = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
        device = numbers.device
        states: Tensor = self.model(input_ids=given.to(device), attention_mask=seen.to(device)).last_hidden_state
        return states.float()

    def _places(self, spans: list[tuple[int, int, NDArray[np.intp], int]], length: int, numbers: Tensor) -> Tensor:
        """Where the state of every piece stands among those of all windows, flattened."""
        places = np.zeros(len(numbers), np.int64)
        for row, (first, _, own, _) in enumerate(spans):
            places[own] = row * length + len(self.pieces.begin) + own - first
        return torch.from_numpy(places).to(numbers.device)


class MinilmTextEncoder(TextEncoder):
    """The catalogue's MiniLM-L6, six layers of 384 columns, trained along; it comes with `trivium upstream fetch`."""

    name: ClassVar[str] = "minilm-l6"

    @classmethod
    def opened(cls, argument: str = "", steps: TextSteps = "words") -> Self:
        """The encoder of the catalogue.

        Parameters
        ----------
        argument : str
            Takes none.
        steps : {"words", "utterance"}
            See :class:`TextEncoder`.

        Raises
        ------
        UpstreamError
            It is not on this machine; the remedy is the command that fetches it.
        """
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        from trivium.upstream import model, model_folder

        folder = model_folder("minilm-l6")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        vocabulary = tokenizer.get_vocab()
        begin, end, pad = (vocabulary[mark] for mark in ("[CLS]", "[SEP]", "[PAD]"))
        config = {"model_type": "bert", "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12}
        config |= {"intermediate_size": 1536, "vocab_size": 30522}
        made = cls(
            _built(config),
            WordPieces(tokenizer.to_str(), (begin,), (end,), pad),
            "minilm-l6",
            steps=steps,
            version=model("minilm-l6").version,
            config=config,
        )
        stored, own = load_file(folder / "model.safetensors"), made.model.state_dict()
        made.model.load_state_dict({name: stored[name] for name in own})
        return made


def open_text_encoder(request: str, steps: TextSteps = "words") -> TextEncoder:
    """Encoder as people name it: ``hf:FOLDER``, ``hf:OWNER/MODEL``, ``minilm-l6``.

    Parameters
    ----------
    request : str
        Name in the registry (``trivium list text-encoder``), and what it takes behind a colon.
    steps : {"words", "utterance"}
        See :class:`TextEncoder`.

    Raises
    ------
    TriviumError
        There is no such encoder; the message names those that exist.
    SpecificationError
        ``hf`` without a folder, or another one with an argument.
    """
    from trivium.registry import load

    name, _, argument = request.partition(":")
    kind = load("text-encoder", name)
    if bool(argument) != (kind.name == "hf"):
        usage = "hf:FOLDER" if kind.name == "hf" else name
        raise SpecificationError(f"the text encoder {request!r} is not used like this", remedy=f"write {usage}")
    made: TextEncoder = kind.opened(argument, steps)
    return made


def _built(config: Mapping[str, Any]) -> nn.Module:
    """Model of transformers with parameters of its own; no code but that of transformers takes part."""
    try:
        import transformers
    except ImportError as cause:
        raise DependencyError(
            "a text encoder needs transformers", remedy="pip install 'trivium[encoders]', after torch for your machine"
        ) from cause
    made = transformers.AutoConfig.for_model(**_harmless(config))
    whole: Any = transformers.AutoModel.from_config(made, trust_remote_code=False)  # type: ignore[no-untyped-call]
    model: nn.Module = whole.get_encoder() if whole.config.is_encoder_decoder else whole
    return model.float().eval()


def _harmless(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without what could name code, kernels, or a place on somebody's machine."""
    return {k: v for k, v in config.items() if not k.startswith("_") and k not in _NOT_STORED}


def _means(states: Tensor, place: Tensor, samples: int, steps: int) -> Steps:
    """Means (B, S, D) of states (P, D) that belong to a place each, and which places have any."""
    sums = states.new_zeros(samples * steps, states.shape[1]).index_add(0, place, states)
    counts = torch.bincount(place, minlength=samples * steps)
    means = sums / counts.clamp(min=1).unsqueeze(1)
    return Steps(means.view(samples, steps, -1), (counts > 0).view(samples, steps))


class WithTextEncoder(nn.Module):
    """A network whose text is words; the language model in front of it learns too.

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
    >>> encoder = TextEncoder(Model(9, 4), WordPieces("{}", (), (), 0), "tiny")
    >>> both = WithTextEncoder(Concat({"text": 4}), encoder)
    >>> words, seen = torch.tensor([[[3], [8]]], dtype=torch.int32), torch.tensor([[True, True]])
    >>> both({"text": words}, {"text": seen})["prediction"].shape
    torch.Size([1, 1])
    """

    def __init__(self, network: Network, encoder: TextEncoder) -> None:
        super().__init__()
        if network.widths.get(TEXT) != encoder.size:
            raise SpecificationError(
                f"the network takes text of width {network.widths.get(TEXT)}, the encoder gives {encoder.size}",
                remedy=f"make the network with text: {encoder.size}",
            )
        self.network, self.encoder = network, encoder

    @property
    def outputs(self) -> int:
        """Numbers that the network gives by utterance."""
        return self.network.outputs

    def forward(
        self, values: TensorBatch | Mapping[str, Tensor], masks: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Outputs of the network; text is (B, W, K) pieces of words with a mask (B, W)."""
        given, seen = (values.values, values.mask) if isinstance(values, TensorBatch) else (values, masks or {})
        if TEXT not in given or TEXT not in seen:
            raise SpecificationError("the batch has no text, or no mask of it", remedy="a missing one is all False")
        states, mask = self.encoder(given[TEXT], seen[TEXT])
        outputs: dict[str, Tensor] = self.network({**given, TEXT: states}, {**seen, TEXT: mask})
        return outputs


def parameter_groups(
    module: nn.Module,
    learning_rate: float,
    weight_decay: float,
    *,
    text_learning_rate: float,
    text_weight_decay: float,
) -> list[dict[str, Any]]:
    """Groups for an optimizer: everything else, the text encoders in it, and what of them is not decayed.

    Parameters
    ----------
    module : module
        A network, in whatever is wrapped around it.
    learning_rate, weight_decay : float
        Of all that is no text encoder.
    text_learning_rate, text_weight_decay : float
        Of text encoders; their biases and normalisations are not decayed, frozen layers take no part.

    Examples
    --------
    >>> [group["lr"] for group in parameter_groups(nn.Linear(2, 2), 1e-3, 0.0, text_learning_rate=2e-5,
    ...                                            text_weight_decay=0.0)]
    [0.001]
    """
    towers = [part for part in module.modules() if isinstance(part, TextEncoder)]
    named = [(name, p) for tower in towers for name, p in tower.named_parameters() if p.requires_grad]
    of_towers = {id(p) for tower in towers for p in tower.parameters()}
    free = [p for name, p in named if name.lower().endswith(_NO_DECAY)]
    decayed = [p for name, p in named if not name.lower().endswith(_NO_DECAY)]
    others = [p for p in module.parameters() if id(p) not in of_towers]
    groups = [
        {"params": others, "lr": learning_rate, "weight_decay": weight_decay},
        {"params": decayed, "lr": text_learning_rate, "weight_decay": text_weight_decay},
        {"params": free, "lr": text_learning_rate, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
