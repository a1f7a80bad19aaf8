"""Encoders of the user's own: a folder as Hugging Face's transformers writes it, or its place in the hub's cache.

Nothing is downloaded. Weights are read from safetensors only, and code that lies beside them is never run. A stream
carries the first digits of the SHA-256 of the configuration, the tokenizer and the weights as its version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trivium.errors import DependencyError, UpstreamError
from trivium.files import sha256_bytes, sha256_file
from trivium.upstream import hub_snapshots

__all__ = ["EncoderFolder", "find_encoder", "longest_text", "one_thread"]

_WIDTHS = ("hidden_size", "d_model", "dim", "n_embd")
_ANOTHER = "take an encoder with a fast tokenizer, such as those of BERT, RoBERTa or DistilBERT"
_LONGEST = 512
_OFFSET = 2  # RoBERTa begins to count positions at 2


@dataclass(frozen=True)
class EncoderFolder:
    """An encoder on this machine.

    Parameters
    ----------
    name : str
        How it is called in columns: the last part of the folder or of its name on the hub.
    path : Path
        The folder.
    version : str
        Twelve hexadecimal digits of its content.
    width : int
        Columns of its states.
    """

    name: str
    path: Path
    version: str
    width: int

    def load(self, kind: str, **options: Any) -> Any:
        """Load a part of it.

        Parameters
        ----------
        kind : str
            Class of transformers: ``AutoModel``, ``AutoTokenizer``, ``AutoFeatureExtractor``.
        **options
            For its ``from_pretrained``.

        Raises
        ------
        UpstreamError
            The folder holds no such part, or one that only its own code could read.
        """
        import transformers

        try:
            with _without_bars():
                return getattr(transformers, kind).from_pretrained(
                    str(self.path), local_files_only=True, trust_remote_code=False, **options
                )
        except Exception as cause:
            reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
            raise UpstreamError(
                f"transformers cannot read it as {kind}: {reason}",
                file=self.path,
                remedy="fetch the model again; its weights must be .safetensors",
            ) from cause

    def model(self) -> Any:
        """Its encoder, ready for use; of an encoder with a decoder only the first."""
        model = self.load("AutoModel", use_safetensors=True).eval()
        return model.get_encoder() if model.config.is_encoder_decoder else model

    def tokenizer(self) -> Any:
        """Its tokenizer of words, one that tells which piece belongs to which word.

        Raises
        ------
        UpstreamError
            It has none.
        """
        tokenizer = self.load("AutoTokenizer", use_fast=True, add_prefix_space=True)
        if not tokenizer.is_fast:
            raise UpstreamError(
                "has no fast tokenizer, so its pieces cannot be joined to words", file=self.path, remedy=_ANOTHER
            )
        return tokenizer

    def marks(self, tokenizer: Any) -> tuple[list[int], list[int]]:
        """Marks before and after a text, as the tokenizer sets them around one word.

        Parameters
        ----------
        tokenizer : object
            Of :meth:`tokenizer`.

        Raises
        ------
        UpstreamError
            It sets them otherwise.
        """
        bare = tokenizer("a", add_special_tokens=False)["input_ids"]
        full = tokenizer("a")["input_ids"]
        places = [n for n in range(len(full) - len(bare) + 1) if full[n : n + len(bare)] == bare]
        if not bare or not places:
            raise UpstreamError("its tokenizer sets marks in a way that is not known", file=self.path, remedy=_ANOTHER)
        return full[: places[0]], full[places[0] + len(bare) :]


def find_encoder(name: str) -> EncoderFolder:
    """Encoder by folder or by its name on the hub.

    Parameters
    ----------
    name : str
        A folder with ``config.json`` and ``.safetensors``, or ``OWNER/MODEL`` that is in the hub's cache.

    Raises
    ------
    DependencyError
        transformers or torch is not installed.
    UpstreamError
        There is no such encoder on this machine, or its weights are no safetensors.
    """
    missing = [package for package in ("transformers", "torch") if find_spec(package) is None]
    if missing:
        raise DependencyError(
            f"{' and '.join(missing)} not installed, which encoders of your own need",
            remedy="pip install 'trivium[encoders]', after torch for your machine",
        )
    folders = [folder for folder in (Path(name).expanduser(), *hub_snapshots(name)) if _config(folder).is_file()]
    if not folders:
        remedy = "name a folder that holds config.json, or download the model with `hf download` first"
        raise UpstreamError(f"there is no encoder {name!r} on this machine", remedy=remedy)
    folder = folders[0]
    if not list(folder.glob("*.safetensors")):
        remedy = "save it again with model.save_pretrained(FOLDER)"
        raise UpstreamError("holds no .safetensors, and other weights are not read", file=folder, remedy=remedy)
    return EncoderFolder(_slug(name), folder, _version(folder), _width(folder))


def _config(folder: Path) -> Path:
    return folder / "config.json"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", Path(name).expanduser().resolve().name.lower()).strip("-") or "encoder"


def _width(folder: Path) -> int:
    try:
        config = json.loads(_config(folder).read_text(encoding="utf-8"))
        return next(int(config[key]) for key in _WIDTHS if config.get(key))
    except (ValueError, TypeError, AttributeError, StopIteration) as cause:
        raise UpstreamError(
            "does not say how wide its states are",
            file=_config(folder),
            remedy="fetch the model again, with its config.json",
        ) from cause


def _version(folder: Path) -> str:
    files = sorted(file for file in folder.iterdir() if file.suffix in (".json", ".safetensors", ".txt", ".model"))
    states = [(file, file.stat()) for file in files]
    digests = [_digest(file, state.st_size, state.st_mtime_ns) for file, state in states]
    return sha256_bytes("".join(digests).encode())[:12]


@lru_cache(maxsize=256)
def _digest(file: Path, size: int, changed: int) -> str:
    return sha256_file(file)


def longest_text(config: Any) -> int:
    """Most pieces, marks included, that an encoder of words takes at once.

    Parameters
    ----------
    config : object
        Its configuration in transformers.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> longest_text(SimpleNamespace(max_position_embeddings=130)), longest_text(SimpleNamespace())
    (128, 512)
    """
    positions = getattr(config, "max_position_embeddings", None) or _LONGEST + _OFFSET
    return min(_LONGEST, int(positions) - _OFFSET)


@contextmanager
def _without_bars() -> Iterator[None]:
    """Keep transformers from drawing bars of its own, which last a blink and stay on the screen."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch without gradients and in one thread: its rounding depends on their number, and ours must not."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(threads)
