"""Whisper over a sound in windows: one encoding per window gives the words and the encoder's states.

Whisper is trained on windows of 30 seconds and is usually given every sound padded to that length, which for a clip of
four seconds is mostly wasted. Here a window has its own length and five seconds of silence after it: without that
silence the decoder does not find the end and repeats itself. The windows depend on the sound alone, not on what is
recognised in it, so the states are the same whether the words are recognised or given. What each choice costs was
measured: ``docs/results/whisper-states.md``. All of it is our choice.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.extract.source.media import SOUND_RATE

__all__ = ["DECODING", "STATE_SAMPLES", "Listener", "Window", "joined_tokens", "windows", "windows_in_order"]

STATE_SAMPLES = 320  # one state every 20 ms
_WINDOW = 25 * SOUND_RATE
_LOOK = 8 * SOUND_RATE  # a window that has to end within speech ends at the quietest place of its last 8 seconds
_AROUND = 10  # steps that are looked at for it: 0.2 seconds
_FRAMES_AFTER = 500  # frames of 10 ms of silence after a window
_MOST_FRAMES = 3000
_REPETITIVE = 2.4  # compression ratio of a text that goes round in circles, as Whisper's authors chose it

Sound: TypeAlias = NDArray[np.float32]
Span: TypeAlias = tuple[int, int]
DECODING = {
    "beam_size": 5,
    "temperature": 0.0,
    "condition_on_previous_text": False,
    "word_timestamps": True,
}


class Window(NamedTuple):
    """What is encoded at once.

    Parameters
    ----------
    spans : tuple of (int, int)
        First sample and the one after the last; first ones are multiples of 320, and so are last ones but at the end of
        the sound.
    speech : bool
        Whether somebody speaks in it.
    """

    spans: tuple[Span, ...]
    speech: bool

    @property
    def steps(self) -> NDArray[np.intp]:
        """Steps of 20 ms of the sound that it holds, in order."""
        return np.concatenate([np.arange(a // STATE_SAMPLES, -(-b // STATE_SAMPLES)) for a, b in self.spans])

    def of(self, samples: Sound) -> Sound:
        """Its samples, one span after the other."""
        return np.concatenate([samples[first:last] for first, last in self.spans])

    def moved(self, start: float, end: float) -> tuple[float, float]:
        """Seconds of the window as seconds of the sound, both by the span in which their middle lies.

        Examples
        --------
        >>> Window(((16000, 32000), (64000, 80000)), True).moved(1.2, 1.4)
        (4.2, 4.4)
        """
        edges = np.cumsum([0] + [last - first for first, last in self.spans])
        middle = (start + end) / 2 * SOUND_RATE
        place = int(np.clip(np.searchsorted(edges, middle, side="right") - 1, 0, len(self.spans) - 1))
        later = float(self.spans[place][0] - edges[place]) / SOUND_RATE
        return round(start + later, 3), round(end + later, 3)


def windows(samples: Sound) -> list[Window]:
    """Windows of at most 25 seconds that share the sound among them: those with speech, then those without.

    Speech is where Silero's detector finds it, with 0.4 seconds around; pauses below 2 seconds belong to it. Longer
    pauses are left out between the parts of a window.

    Parameters
    ----------
    samples : array of shape (n,), float32
        Mono sound at 16 kHz.
    """
    from faster_whisper.vad import get_speech_timestamps

    if not len(samples):
        return []
    speech: list[Span] = []
    for part in get_speech_timestamps(samples):
        first, last = _on_grid(part["start"], part["end"], len(samples))
        speech.append((max(first, speech[-1][1]) if speech else first, last))  # two parts may share a step
    edges = [0, *(edge for span in speech for edge in span), len(samples)]
    pauses = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]
    return [
        Window(tuple(spans), said)
        for said, parts in ((True, speech), (False, pauses))
        for spans in _filled(samples, parts)
    ]


def windows_in_order(samples: Sound) -> list[Window]:
    """Windows of at most 25 seconds, one after the other through all of the sound, whoever speaks in it.

    Parameters
    ----------
    samples : array of shape (n,), float32
        Mono sound at 16 kHz.

    Examples
    --------
    >>> [window.spans for window in windows_in_order(np.zeros(16000, np.float32))]
    [((0, 16000),)]
    """
    return [Window(tuple(spans), True) for spans in _filled(samples, [(0, len(samples))])]


def _on_grid(first: int, last: int, end: int) -> Span:
    return first // STATE_SAMPLES * STATE_SAMPLES, min(-(-last // STATE_SAMPLES) * STATE_SAMPLES, end)


def _filled(samples: Sound, parts: Iterable[Span]) -> list[list[Span]]:
    """Spans of each window: a new one begins with a part that fits no more, if the last is half full, or inside it."""
    filled: list[list[Span]] = []
    room = 0
    for part in parts:
        first, last = part
        while first < last:
            if not room or (last - first > room and room <= _WINDOW // 2):
                filled.append([])
                room = _WINDOW
            cut = last if last - first <= room else _quietest(samples, first, first + room)
            filled[-1].append((first, cut))
            room = room - (cut - first) if cut == last else 0
            first = cut
    return filled


def _quietest(samples: Sound, first: int, last: int) -> int:
    """Place between two steps with the least energy in 0.2 seconds around it, in the second half of the span."""
    begin = max(last - _LOOK, (first + last) // 2) // STATE_SAMPLES * STATE_SAMPLES
    energy = np.square(samples[begin:last]).reshape(-1, STATE_SAMPLES).sum(axis=1)
    # only places with all of their 0.2 seconds inside: at an edge, half of them would always be the quietest
    around = np.convolve(energy, np.ones(_AROUND), mode="valid")
    return begin + (int(np.argmin(around)) + _AROUND // 2) * STATE_SAMPLES


class Listener:
    """Recogniser and encoder in one.

    Parameters
    ----------
    model : faster_whisper.WhisperModel
        Its method ``encode`` is replaced.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._encode_padded = model.encode
        self._padded = False
        self._states: NDArray[np.float32] | None = None
        model.encode = self._encode

    @cached_property
    def width(self) -> int:
        """Columns of a state."""
        return int(self._encode_features(np.zeros((80, 2), np.float32)).shape[1])

    def tokens(self, samples: Sound, states: NDArray[np.float32] | None = None, **options: Any) -> list[list[Any]]:
        """Text, start, end (seconds) and probability of every token that is said.

        Parameters
        ----------
        samples : array of shape (n,), float32
            Mono sound at 16 kHz.
        states : array of shape (ceil(n / 320), D), float32, optional
            Is filled with the states of the same encoding.
        **options
            For ``WhisperModel.transcribe``, such as ``language``.
        """
        tokens: list[list[Any]] = []
        for window in windows(samples):
            part = window.of(samples)
            self._states = None
            if window.speech:
                tokens += self._words(part, window, options)
            if states is not None:
                states[window.steps] = self._kept(part)[: len(window.steps)]
        return tokens

    def states(self, samples: Sound, states: NDArray[np.float32]) -> None:
        """Last states of the encoder of sound whose words nobody asks for.

        Parameters
        ----------
        samples : array of shape (n,), float32
            Mono sound at 16 kHz.
        states : array of shape (ceil(n / 320), D), float32
            Is filled.
        """
        for window in windows(samples):
            states[window.steps] = self._of_sound(window.of(samples))[: len(window.steps)]

    def _words(self, part: Sound, window: Window, options: dict[str, Any]) -> list[list[Any]]:
        segments = self._heard(part, options)
        if any(segment.compression_ratio > _REPETITIVE for segment in segments):
            self._padded = True
            try:
                segments = self._heard(part, options)
            finally:
                self._padded = False
        words = (word for segment in segments for word in segment.words or ())
        return joined_tokens((word.word, *window.moved(word.start, word.end), word.probability) for word in words)

    def _heard(self, part: Sound, options: dict[str, Any]) -> list[Any]:
        segments, _ = self._model.transcribe(part, **DECODING, **options)
        return list(segments)

    def _kept(self, part: Sound) -> NDArray[np.float32]:
        return self._of_sound(part) if self._states is None else self._states

    def _of_sound(self, part: Sound) -> NDArray[np.float32]:
        features = self._model.feature_extractor(part)
        return self._encode_features(features[:, : max(features.shape[1] - 1, 1)])

    def _encode_features(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        states: NDArray[np.float32] = np.array(self._encode_padded(_with_silence(features)))[0]
        return states

    def _encode(self, features: NDArray[np.float32]) -> Any:
        """What the recogniser calls, with features that it padded with zeros to 30 seconds."""
        if self._padded:
            return self._encode_padded(features)
        heard = np.flatnonzero(np.any(features != 0, axis=0))
        encoded = self._encode_padded(_with_silence(features[:, : heard[-1] + 1 if len(heard) else 1]))
        if self._states is None:
            self._states = np.array(encoded)[0]
        return encoded


def joined_tokens(words: Iterable[tuple[str, float, float, float]], *, apart: bool = False) -> list[list[Any]]:
    """Tokens as they are written: a part that begins without a space belongs to the one before it (``5``, ``%``).

    Parameters
    ----------
    words : iterable of (str, float, float, float)
        Text, start, end and probability of each part.
    apart : bool
        Whether the language puts no spaces between words, so that every part is a token.

    Examples
    --------
    >>> joined_tokens([(" 5", 0.0, 0.5, 0.9), ("%", 0.5, 0.75, 0.8)])
    [['5%', 0.0, 0.75, 0.9]]
    """
    tokens: list[list[Any]] = []
    for text, start, end, sure in words:
        if apart or text.startswith(" ") or not tokens:
            tokens.append([text.strip(), start, end, sure])
        else:
            tokens[-1][0] += text.strip()
            tokens[-1][2] = end
    return tokens


def _with_silence(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-mel frames (80, T) and silence after them: an even number of frames, at most 30 seconds."""
    frames = features.shape[1]
    wanted = min(frames + _FRAMES_AFTER + frames % 2, _MOST_FRAMES)
    padded = np.full((features.shape[0], wanted), features.min(), np.float32)
    padded[:, :frames] = features
    return padded
