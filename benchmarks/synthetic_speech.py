"""Synthetic speech whose word times are known exactly: flite and espeak-ng, called through their C libraries.

A synthesiser decides how long every phone lasts before it makes the sound, so the times are the truth and not a
measurement. flite keeps them in the utterance it returns: a word lasts from the end of the segment before its first to
the end of its last. espeak-ng hands out events with the sample they belong to: a word lasts from its own event to the
next word's, or to the pause between them. espeak-ng runs some short words together ("for a", "of the"): the boundary
between two such words is unknown, and NaN here.

Install both with ``apt-get install flite espeak-ng`` (or your system's packages of the same names).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from trivium.errors import DataError, DependencyError
from trivium.extract.source.media import SOUND_RATE

__all__ = ["SYNTHESISERS", "Spoken", "speak_espeak", "speak_flite", "versions"]

_REMEDY = "apt-get install flite espeak-ng (or your system's packages of these names)"
_FLITE_VOICE = "cmu_us_slt"
_FLITE_FIRST = b"R:SylStructure.daughter1.daughter1.R:Segment.p.end"
_FLITE_LAST = b"R:SylStructure.daughtern.daughtern.R:Segment.end"
_ESPEAK_VOICE = b"en-us"
_ESPEAK_RATE = 175  # words per minute: its default
_RETRIEVAL, _PHONEME_EVENTS, _BUFFER_MS = 1, 1, 0
_WORD_EVENT, _PHONEME_EVENT, _LAST_EVENT = 1, 7, 0
_SPEED, _UTF8, _BY_CHARACTER = 1, 1, 1


@dataclass(frozen=True, eq=False)
class Spoken:
    """Synthetic speech and when each word was said.

    Parameters
    ----------
    samples : array of shape (n,), float32
        Mono sound at 16 kHz, between -1 and 1.
    times : array of shape (W, 2), float64
        Start and end of every word in seconds; NaN where the synthesiser does not say.
    """

    samples: NDArray[np.float32]
    times: NDArray[np.float64]


def _library(name: str) -> Any:
    try:
        return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
    except OSError as cause:
        raise DependencyError(f"the library {name} is not on this machine", remedy=_REMEDY) from cause


def _as_heard(samples: NDArray[np.int16], rate: int) -> NDArray[np.float32]:
    """Bring to 16 kHz with a filter of no delay."""
    common = int(np.gcd(rate, SOUND_RATE))
    sound = resample_poly(samples / 32768.0, SOUND_RATE // common, rate // common)
    result: NDArray[np.float32] = np.clip(sound, -1, 1).astype(np.float32)
    return result


# flite


class _FliteWave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("rate", ctypes.c_int),
        ("count", ctypes.c_int),
        ("channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


class _FliteVoice(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))


@cache
def _flite() -> tuple[Any, Any]:
    """Load the library and its voice, with the types of what is called."""
    library = _library("libflite.so.1")
    for name in ("libflite_usenglish.so.1", "libflite_cmulex.so.1"):
        _library(name)
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_float
    for name, gives, *takes in (
        ("flite_synth_text", pointer, text, pointer),
        ("utt_relation", pointer, pointer, text),
        ("utt_wave", ctypes.POINTER(_FliteWave), pointer),
        ("relation_head", pointer, pointer),
        ("item_next", pointer, pointer),
        ("ffeature_float", number, pointer, text),
        ("ffeature_string", text, pointer, text),
        ("feat_set_float", None, pointer, text, number),
        ("delete_utterance", None, pointer),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = gives, takes
    library.flite_init()
    register = getattr(_library(f"libflite_{_FLITE_VOICE}.so.1"), f"register_{_FLITE_VOICE}")
    register.restype = ctypes.POINTER(_FliteVoice)
    return library, register(None)


def speak_flite(text: str, words: Sequence[str], rate: float = 1.0) -> Spoken:
    """One sentence by flite, voice ``cmu_us_slt`` (a woman; statistical parametric).

    Parameters
    ----------
    text : str
        The sentence with its punctuation, numbers written out.
    words : sequence of W str
        Its words.
    rate : float
        Speed relative to the voice's own.
    """
    library, voice = _flite()
    ctypes.CDLL(None).srand(0)  # its excitation is noise of the C library, which others in the process draw from too
    library.feat_set_float(voice.contents.features, b"duration_stretch", 1.0 / rate)
    utterance = library.flite_synth_text(text.encode(), voice)
    wave = library.utt_wave(utterance).contents
    samples = np.ctypeslib.as_array(wave.samples, (wave.count,)).copy()
    times: list[list[float]] = []
    item = library.relation_head(library.utt_relation(utterance, b"Word"))
    while item:
        start, end = (library.ffeature_float(item, feature) for feature in (_FLITE_FIRST, _FLITE_LAST))
        if library.ffeature_string(item, b"name").startswith(b"'") and times:
            times[-1][1] = end  # the second half of a contraction
        else:
            times.append([start, end])
        item = library.item_next(item)
    spoken = Spoken(_as_heard(samples, wave.rate), np.array(times))
    library.delete_utterance(utterance)
    if len(times) != len(words):
        raise DataError(f"flite says {len(times)} words for {len(words)}", place=text, remedy="change the sentence")
    return spoken


# espeak-ng


class _EspeakName(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("phoneme", ctypes.c_char * 8))


class _EspeakEvent(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("message", ctypes.c_uint),
        ("position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user", ctypes.c_void_p),
        ("id", _EspeakName),
    )


_EspeakCallback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_EspeakEvent)
)


@cache
def _espeak() -> tuple[Any, int]:
    library = _library("libespeak-ng.so.1")
    library.espeak_Info.restype = ctypes.c_char_p
    rate = library.espeak_Initialize(_RETRIEVAL, _BUFFER_MS, None, _PHONEME_EVENTS)
    if rate <= 0 or library.espeak_SetVoiceByName(_ESPEAK_VOICE) != 0:
        raise DependencyError("espeak-ng finds no English voice", remedy=_REMEDY)
    return library, rate


def speak_espeak(text: str, words: Sequence[str], rate: float = 1.0) -> Spoken:
    """One sentence by espeak-ng, voice ``en-us`` (a man; formants).

    Parameters
    ----------
    text : str
        The sentence with its punctuation, numbers written out.
    words : sequence of W str
        Its words, as they stand in `text`.
    rate : float
        Speed relative to 175 words a minute.
    """
    library, sound_rate = _espeak()
    parts: list[NDArray[np.int16]] = []
    starts: dict[int, int] = {}  # sample of every word's event, by the word's place in the text
    phones: list[tuple[int, bool]] = []  # its sample, and whether it is a pause

    def receive(wave: Any, count: int, events: Any) -> int:
        if wave and count:
            parts.append(np.ctypeslib.as_array(wave, (count,)).copy())
        number = 0
        while events[number].type != _LAST_EVENT:
            event = events[number]
            if event.type == _WORD_EVENT:
                starts.setdefault(event.position - 1, event.sample)
            elif event.type == _PHONEME_EVENT:
                phones.append((event.sample, event.id.phoneme.startswith(b"_")))
            number += 1
        return 0

    callback = _EspeakCallback(receive)
    library.espeak_SetSynthCallback(callback)
    library.espeak_SetParameter(_SPEED, round(_ESPEAK_RATE * rate), 0)
    told = text.encode()
    library.espeak_Synth(told, len(told) + 1, 0, _BY_CHARACTER, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    samples = np.concatenate(parts)
    times = _espeak_times(text, words, starts, phones)
    return Spoken(_as_heard(samples, sound_rate), times / sound_rate)


def _espeak_times(
    text: str, words: Sequence[str], starts: dict[int, int], phones: list[tuple[int, bool]]
) -> NDArray[np.float64]:
    """Samples from event to event; a word before a pause ends where the pause begins."""
    begin = np.full(len(words), np.nan)
    place = 0
    for number, word in enumerate(words):
        place = text.index(word, place)
        begin[number] = starts.get(place, np.nan)
        place += len(word)
    end = []
    for after in np.append(begin[1:], np.inf):
        before = [phone for phone in phones if phone[0] < after]
        while before and before[-1][1]:
            after, _ = before.pop()
        end.append(after)
    return np.stack([begin, end], axis=1)


SYNTHESISERS: dict[str, Callable[[str, Sequence[str], float], Spoken]] = {
    "flite": speak_flite,
    "espeak-ng": speak_espeak,
}


def versions() -> dict[str, str]:
    """Version of espeak-ng and the voices; flite's library does not tell its own."""
    library, _ = _espeak()
    return {
        "flite": f"voice {_FLITE_VOICE}",
        "espeak-ng": f"{library.espeak_Info(None).decode()}, voice {_ESPEAK_VOICE.decode()}",
    }
