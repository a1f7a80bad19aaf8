"""Speech to words, and words to times.

Recognition is Whisper tiny.en (Radford et al. 2023) behind Silero's voice activity detector, in windows of at most 25
seconds and with beam search at temperature 0: nothing is sampled, so the same sound gives the same words. A Whisper
model of the user's may stand in its place, also one of other languages; the aligner knows English only. The
recogniser's own word times begin at 0 even through silence, so words (recognised or given) are put in time by forced
alignment with PocketSphinx's English acoustic model, on a grid of 10 ms. Its model knows recorded rooms only, so the
sound gets a faint floor of noise first: in digital silence (gated, edited or synthetic sound) it would lose its way.
Both settings of ours were chosen on synthetic speech with known word times, ``docs/results/word-times.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.errors import DependencyError
from trivium.extract.scratch import ScratchRows, let_go
from trivium.extract.source.media import SOUND_RATE
from trivium.extract.words.listening import DECODING, STATE_SAMPLES, Listener, joined_tokens
from trivium.extract.words.pronunciation import load_pronouncer
from trivium.extract.words.recogniser import (
    ENGLISH,
    WITHOUT_SPACES,
    load_recogniser,
    open_recogniser,
    require_recogniser,
)
from trivium.extract.words.transcript import Transcript, read_transcript

__all__ = [
    "LONGEST_ALIGNED_SECONDS",
    "Heard",
    "Timed",
    "Timing",
    "align_words",
    "encoder_states",
    "load_listener",
    "recognise",
    "sound_blocks",
    "spread_words",
    "time_words",
    "times_as_heard",
]

Timing: TypeAlias = Literal["aligned", "recognised", "spread", "set"]

_STEPS_PER_SECOND = 100
LONGEST_ALIGNED_SECONDS = 900.0
_BLOCK_SECONDS = 600.0
_HALF_STEPS = 12 * STATE_SAMPLES  # about the middle of half a second
_MOST_PHONES = 40
_FLOOR_DB = -40.0  # noise added before aligning, relative to the mean power of the sound
# whether there is a pause between two known words is for the sound to say: no prior against it
_PAUSES = {"silprob": 1.0}
_NOT_WORDS = "<[+"  # how the dictionary marks silence and noise
_WIDE = {"beam": 1e-100, "pbeam": 1e-100, "wbeam": 1e-100}  # five times slower; finds a path where the usual fails

Sound: TypeAlias = NDArray[np.float32]
Times: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Heard:
    """What the recogniser heard.

    Parameters
    ----------
    transcript : Transcript
        Its tokens and spoken words.
    times : array of shape (W, 2), float64
        Start and end of each spoken word in seconds, as the recogniser sees them.
    confidence : array of shape (W,), float32
        Its probability for the token the word belongs to.
    states : array of shape (T, 384), float32, optional
        What its encoder made of every 20 ms of the sound, where that was asked for.
    """

    transcript: Transcript
    times: Times
    confidence: NDArray[np.float32]
    states: NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Timed:
    """Words in time.

    Parameters
    ----------
    times : array of shape (W, 2), float64
        Start and end in seconds, half-open; starts never decrease.
    confidence : array of shape (W,), float32
        Between 0 and 1. For aligned words: how well the sound fits the word's phones, as the geometric mean over its
        steps of the likelihood relative to the best phone at that step (no probability; 0.1 to 0.4 is usual for a
        word that was said). 0 where the time is a guess.
    timing : {"aligned", "recognised", "spread", "set"}
        Forced alignment, the recogniser's own times, an even spread over the sound, or times that the transcript gave.
    guessed : tuple of str
        Words that could not be aligned and were spread between their neighbours.
    """

    times: Times
    confidence: NDArray[np.float32]
    timing: Timing
    guessed: tuple[str, ...] = ()


def recognise(
    samples: Sound,
    *,
    model: str | Path | None = None,
    language: str = ENGLISH,
    local: str | Path | None = None,
    states: bool = False,
) -> Heard:
    """Words of speech.

    Parameters
    ----------
    samples : array of shape (n,), float32
        Mono sound at 16 kHz.
    model : path, optional
        Folder of a Whisper model in CTranslate2's format; the catalogue's English one where left out.
    language : str
        Whisper's code of the language that is spoken.
    local : path, optional
        See :func:`trivium.upstream.model_folder`.
    states : bool
        Whether to keep the states of the catalogue's encoder, 276 MB per hour of sound on disk. Others give none.

    Returns
    -------
    Heard
        Without words where nobody speaks.

    Raises
    ------
    UpstreamError
        The recogniser is not on this machine, or cannot be loaded.
    DataError
        It does not speak the language.

    Examples
    --------
    >>> recognise(np.zeros(16000, np.float32)).transcript.words  # doctest: +SKIP
    ()
    """
    if model is None and language == ENGLISH:
        return _listened(samples, local, states)
    recogniser = load_recogniser(model, language, local=local)
    tokens: list[list[Any]] = []
    for first, last in sound_blocks(samples):
        tokens += _tokens(samples[first:last], first / SOUND_RATE, recogniser, language)
        let_go(samples)
    return _heard(tokens, language)


def _listened(samples: Sound, local: str | Path | None, states: bool) -> Heard:
    """Words by the catalogue's recogniser, whose states can be kept."""
    listener = load_listener(local)
    kept = ScratchRows(np.float32)
    tokens: list[list[Any]] = []
    for first, last in sound_blocks(samples):
        part = _no_states(first, last, listener) if states else None
        begin = first / SOUND_RATE
        found = listener.tokens(samples[first:last], part, language=ENGLISH)
        tokens += [[text, start + begin, end + begin, sure] for text, start, end, sure in found]
        if part is not None:
            kept.add(part)
        let_go(samples)
    return replace(_heard(tokens), states=kept.finished() if states else None)


def encoder_states(samples: Sound, *, local: str | Path | None = None) -> NDArray[np.float32]:
    """States of the catalogue's encoder, the same as come with the words where these are recognised.

    Parameters
    ----------
    samples : array of shape (n,), float32
        Mono sound at 16 kHz.
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Returns
    -------
    array of shape (ceil(n / 320), 384), float32
        Read-only; that of long sound lies in a temporary file.
    """
    listener = load_listener(local)
    kept = ScratchRows(np.float32)
    for first, last in sound_blocks(samples):
        part = _no_states(first, last, listener)
        listener.states(samples[first:last], part)
        kept.add(part)
        let_go(samples)
    return kept.finished()


def _no_states(first: int, last: int, listener: Listener) -> NDArray[np.float32]:
    return np.zeros((-(-(last - first) // STATE_SAMPLES), listener.width), np.float32)


def sound_blocks(samples: Sound) -> list[tuple[int, int]]:
    """Edges of blocks of at most ten minutes, cut at the quietest place of their last minute.

    What listens to sound needs memory for what it is given at once, up to 40 MB a minute.

    Parameters
    ----------
    samples : array of shape (n,), float32
        Mono sound at 16 kHz.

    Examples
    --------
    >>> sound_blocks(np.zeros(16000, np.float32))
    [(0, 16000)]
    """
    edges = [0]
    while len(samples) - edges[-1] > _BLOCK_SECONDS * SOUND_RATE:
        last = edges[-1] + round(_BLOCK_SECONDS * SOUND_RATE)
        part = samples[last - round(_BLOCK_SECONDS * SOUND_RATE / 10) : last]
        width = SOUND_RATE // 2
        energy = np.square(part[: len(part) // width * width].reshape(-1, width)).sum(axis=1)
        edges.append(last - len(part) + int(np.argmin(energy)) * width + _HALF_STEPS)
    return list(pairwise([*edges, len(samples)]))


def _tokens(samples: Sound, begin: float, recogniser: Any, language: str) -> list[list[Any]]:
    """Text, start, end and probability of every token, in seconds from `begin`, by a recogniser of the user's."""
    segments, _ = recogniser.transcribe(samples, language=language, vad_filter=True, **DECODING)
    words = (word for segment in segments for word in segment.words or ())
    told = ((word.word, word.start + begin, word.end + begin, word.probability) for word in words)
    return joined_tokens(told, apart=language in WITHOUT_SPACES)


def _heard(tokens: list[list[Any]], language: str = ENGLISH) -> Heard:
    transcript = read_transcript(" ".join(token for token, *_ in tokens), language)
    # brackets and lone signs may have been left out: find every token of the transcript again, in order
    known, place = [], 0
    for token in transcript.tokens:
        while place < len(tokens) - 1 and read_transcript(tokens[place][0], language).tokens != (token,):
            place += 1
        known.append(tokens[place])
        place += 1
    source = np.asarray(transcript.source, dtype=np.intp)
    table = np.array([numbers for _, *numbers in known], dtype=np.float64).reshape(-1, 3)[source]
    times = _shared(table[:, :2], source)
    return Heard(transcript, times, table[:, 2].astype(np.float32))


def _shared(times: Times, source: NDArray[np.intp]) -> Times:
    """Divide the span of a token evenly among its words."""
    _, first, count = np.unique(source, return_index=True, return_counts=True)
    number = np.arange(len(source)) - np.repeat(first, count)
    width = (times[:, 1] - times[:, 0]) / np.repeat(count, count)
    start = times[:, 0] + number * width
    return np.stack([start, start + width], axis=1)


@lru_cache(maxsize=2)
def load_listener(local: str | Path | None) -> Listener:
    """Load the catalogue's recogniser, which is also the encoder of the extractor ``whisper``.

    Parameters
    ----------
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Raises
    ------
    UpstreamError
        It is not on this machine.
    DependencyError
        faster-whisper is not installed.
    """
    return Listener(open_recogniser(require_recogniser(local=local)))


def time_words(
    samples: Sound,
    words: Sequence[str],
    heard: Heard | None = None,
    *,
    model: str | Path | None = None,
    language: str = ENGLISH,
    local: str | Path | None = None,
) -> Timed:
    """Put words in time: by forced alignment, else by the recogniser's times, else spread evenly.

    Words of other languages than English cannot be aligned. Those that are given are recognised, and take the times of
    the words that were heard as they were given; the others are spread between these.

    Parameters
    ----------
    samples : array of shape (n,), float32
        Mono sound at 16 kHz.
    words : sequence of W str
        Spoken words, in order.
    heard : Heard, optional
        What the recogniser said, if `words` are its words: its times are the second choice, and its probabilities
        the confidence.
    model, language, local
        See :func:`recognise`, whose errors it raises too where it has to recognise.
    """
    if language != ENGLISH:
        if heard is not None:
            return Timed(heard.times, heard.confidence, "recognised")
        told = recognise(samples, model=model, language=language, local=local)
        return times_as_heard(words, told, len(samples) / SOUND_RATE)
    aligned = align_words(samples, words, local=local)
    if heard is None:
        return aligned or spread_words(words, len(samples) / SOUND_RATE)
    if aligned is None:
        return Timed(heard.times, heard.confidence, "recognised")
    return Timed(aligned.times, heard.confidence, "aligned", aligned.guessed)


def times_as_heard(words: Sequence[str], heard: Heard, seconds: float) -> Timed:
    """Times of the words that were heard as they were given, in order; the others lie between them.

    Parameters
    ----------
    words : sequence of W str
        Given words.
    heard : Heard
        What the recogniser heard.
    seconds : float
        Length of the sound.

    Returns
    -------
    Timed
        The timing is "recognised", or "spread" where no word was heard as it was given.

    Examples
    --------
    >>> heard = Heard(read_transcript("so good"), np.array([[1.0, 1.2], [1.4, 2.0]]), np.ones(2, np.float32))
    >>> times_as_heard(["so", "very", "good"], heard, 3.0).times.tolist()
    [[1.0, 1.2], [1.2, 1.4], [1.4, 2.0]]
    """
    times, confidence = np.full((len(words), 2), np.nan), np.zeros(len(words), np.float32)
    matcher = SequenceMatcher(None, list(words), list(heard.transcript.words), autojunk=False)
    for first, other, size in matcher.get_matching_blocks():
        times[first : first + size] = heard.times[other : other + size]
        confidence[first : first + size] = heard.confidence[other : other + size]
    missing = np.isnan(times[:, 0])
    if missing.all():
        return spread_words(words, seconds)
    guessed = tuple(word for word, lacks in zip(words, missing, strict=True) if lacks)
    return Timed(np.minimum(_filled(times, seconds), seconds), confidence, "recognised", guessed)


def spread_words(words: Sequence[str], seconds: float) -> Timed:
    """Give every word the same part of the time: the last resort, with confidence 0.

    Parameters
    ----------
    words : sequence of W str
        Spoken words.
    seconds : float
        Length of the clip.

    Examples
    --------
    >>> spread_words(["by", "the", "door"], 3.0).times.tolist()
    [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]
    """
    edges = np.linspace(0.0, seconds, len(words) + 1)
    times = np.stack([edges[:-1], edges[1:]], axis=1)
    return Timed(times, np.zeros(len(words), np.float32), "spread", tuple(words))


def align_words(samples: Sound, words: Sequence[str], *, local: str | Path | None = None) -> Timed | None:
    """Forced alignment of known words with the sound they were spoken in.

    Words the dictionary lacks are pronounced by the ``g2p-en`` network, those without vowels letter by letter. A word
    nobody can pronounce is spread between its neighbours.

    Parameters
    ----------
    samples : array of shape (n,), float32
        Mono sound at 16 kHz.
    words : sequence of W str
        Spoken words, lower case.
    local : path, optional
        See :func:`trivium.upstream.model_folder`.

    Returns
    -------
    Timed or None
        None if the words cannot be found in the sound in this order, or it is longer than 15 minutes.

    Examples
    --------
    >>> align_words(np.zeros(0, np.float32), ["word"]) is None
    True
    """
    if not len(words) or not len(samples) or len(samples) > LONGEST_ALIGNED_SECONDS * SOUND_RATE:
        return None
    pronounced = [_learn(_decoder(wide=False), word, local) for word in words]
    said = [word for word, known in zip(words, pronounced, strict=True) if known]
    pcm = (np.clip(_with_floor(samples), -1, 1) * 32767).astype("<i2").tobytes()
    spans = _spans(_decoder(wide=False), pcm, said)
    if spans is None and said:
        for word in said:
            _learn(_decoder(wide=True), word, local)
        spans = _spans(_decoder(wide=True), pcm, said)
    if spans is None:
        return None
    times = np.full((len(words), 2), np.nan)
    confidence = np.zeros(len(words), np.float32)
    found = np.flatnonzero(pronounced)
    times[found] = np.array([span[:2] for span in spans]) / _STEPS_PER_SECOND
    confidence[found] = [span[2] for span in spans]
    seconds = len(samples) / SOUND_RATE
    guessed = tuple(word for word, known in zip(words, pronounced, strict=True) if not known)
    return Timed(np.minimum(_filled(times, seconds), seconds), confidence, "aligned", guessed)


def _with_floor(samples: Sound) -> Sound:
    """Add faint white noise, always the same; digital silence does not count for the power."""
    power = np.sum(np.square(samples), dtype=np.float64) / max(int(np.count_nonzero(samples)), 1)
    noise = np.random.default_rng(0).standard_normal(len(samples), dtype=np.float32)
    return samples + noise * np.float32(np.sqrt(power) * 10 ** (_FLOOR_DB / 20))


def _filled(times: Times, seconds: float) -> Times:
    """Spread every run of words without times evenly between its neighbours."""
    missing = np.isnan(times[:, 0])
    place = 0
    while place < len(times):
        if not missing[place]:
            place += 1
            continue
        last = place
        while last < len(times) and missing[last]:
            last += 1
        begin = times[place - 1, 1] if place else 0.0
        end = times[last, 0] if last < len(times) else seconds
        edges = np.linspace(begin, max(begin, end), last - place + 1)
        times[place:last] = np.stack([edges[:-1], edges[1:]], axis=1)
        place = last
    return times


def _spans(decoder: Any, pcm: bytes, words: Sequence[str]) -> list[tuple[int, int, float]] | None:
    """Give (first step, step after the last, fit) of every word; None if there is no path."""
    if not words:
        return None
    decoder.reinit_feat()  # else what was heard before changes the noise estimate, and with it the result
    try:
        decoder.set_align_text(" ".join(words))
        decoder.start_utt()
        decoder.process_raw(pcm, full_utt=True)
        decoder.end_utt()
    except RuntimeError:
        return None
    if decoder.hyp() is None:
        return None
    spans = []
    for segment in decoder.seg():
        if segment.word[0] not in _NOT_WORDS:
            steps = segment.end_frame - segment.start_frame + 1
            fit = float(np.clip(segment.ascore, 0.0, 1.0)) ** (1 / steps)
            spans.append((segment.start_frame, segment.end_frame + 1, fit))
    return spans if len(spans) == len(words) else None


@lru_cache(maxsize=2)
def _decoder(*, wide: bool) -> Any:
    try:
        from pocketsphinx import Decoder
    except ImportError as cause:
        raise DependencyError("pocketsphinx is not installed", remedy="pip install 'trivium[extract]'") from cause
    return Decoder(lm=None, loglevel="FATAL", samprate=SOUND_RATE, **_PAUSES, **(_WIDE if wide else {}))


def _learn(decoder: Any, word: str, local: str | Path | None) -> bool:
    """Make sure that the decoder can pronounce the word; False if nobody can."""
    if word[0] in _NOT_WORDS:
        return False
    if decoder.lookup_word(word) is None:
        phones = _letters(word) or load_pronouncer(local).phones(word)
        if not phones:
            return False
        decoder.add_word(word, " ".join(phones[:_MOST_PHONES]), True)
    return True


def _letters(word: str) -> tuple[str, ...]:
    """Phones of a word without vowels, letter by letter; empty for others."""
    if any(letter in "aeiouy" for letter in word) or not word.isascii() or not word.isalpha():
        return ()
    spelled = [_decoder(wide=False).lookup_word(letter) for letter in word]
    return tuple(phone for phones in spelled for phone in (phones or "").split())
