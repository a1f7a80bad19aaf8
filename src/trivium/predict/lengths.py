"""How long the sequences of a training set are: what an exported graph must take, and where clips are cut."""

from __future__ import annotations

import math

import numpy as np

from trivium.corpus import Aligned, Corpus

__all__ = ["longest_steps", "most_words", "shared_steps", "with_margin"]

_MARGIN = 1.25  # our choice: utterances of a test fold or of a clip are somewhat longer than any in training


def longest_steps(data: Corpus | Aligned) -> dict[str, int]:
    """Steps by modality that an exported graph should take: those of the longest utterance and a quarter more.

    Parameters
    ----------
    data : Corpus or Aligned
        Training data; all utterances of an aligned set have the same steps, and nothing is added.
    """
    if isinstance(data, Aligned):
        return dict.fromkeys(data.specification.modalities, data.shape[1])
    longest = {name: int(data.lengths(name).max(initial=1)) for name in data.specification.modalities}
    of_words = most_words(data)
    clocks = {stream.modality: stream.clock for stream in data.specification.streams}
    # modalities whose steps are words share them, and networks may ask for that
    even = {n: of_words if clocks[n] == "words" and count > 1 else count for n, count in longest.items()}
    return {name: with_margin(count) for name, count in even.items()}


def with_margin(longest: int) -> int:
    """Steps that an exported graph should take, where the longest utterance has so many; one stays one.

    Examples
    --------
    >>> with_margin(1), with_margin(10)
    (1, 13)
    """
    return 1 if longest <= 1 else math.ceil(longest * _MARGIN)


def shared_steps(data: Corpus | Aligned) -> int:
    """Steps of an aligned set; 0 where every modality keeps its own clock.

    Parameters
    ----------
    data : Corpus or Aligned
        Training data.
    """
    return data.shape[1] if isinstance(data, Aligned) else 0


def most_words(data: Corpus | Aligned) -> int:
    """Words of the longest utterance, where a modality has one step per word; 0 where none tells.

    Parameters
    ----------
    data : Corpus or Aligned
        Training data.
    """
    if isinstance(data, Aligned):
        return data.shape[1]
    of_words = [stream.modality for stream in data.specification.streams if stream.clock == "words"]
    return max((int(np.max(data.lengths(name), initial=0)) for name in of_words), default=0)
