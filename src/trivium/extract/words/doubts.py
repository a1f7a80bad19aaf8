"""Does a given transcript belong to the sound? Its language, how well its words fit, and what the recogniser hears.

Words that were not said often cannot be aligned at all, and fit badly where they can; but one in five right transcripts
of real talk cannot be aligned either. So a bad fit is a reason to listen, as are words of no English dictionary, and
what is heard decides, where the recogniser is on this machine. Thresholds and error rates:
``docs/results/wrong-transcripts.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np

from trivium.errors import DependencyError, UpstreamError
from trivium.extract.source.media import SOUND_RATE
from trivium.extract.words.pronunciation import unknown_words
from trivium.extract.words.recogniser import ENGLISH, require_recogniser
from trivium.extract.words.speech import Heard, Sound, Timed, recognise

__all__ = [
    "ANOTHER_CLIP",
    "ANOTHER_LANGUAGE",
    "LISTEN_SECONDS",
    "MOST_SAID",
    "SAID_SHARE",
    "UNSURE",
    "WEAK_FIT",
    "fits_badly",
    "hears_other_words",
    "is_foreign",
    "listen",
    "mean_fit",
    "said_share",
    "segments_fit_badly",
    "subtitles_say_other_words",
]

ANOTHER_LANGUAGE = (
    "the transcript may be in another language: more than a quarter of its words are in no English dictionary"
)
ANOTHER_CLIP = "the transcript may belong to another clip: the recogniser hears other words"
UNSURE = "its words fit the sound badly; it may belong to another clip (no recogniser here to ask)"
_UNKNOWN_SHARE, _FEWEST_WORDS = 0.25, 8
WEAK_FIT = 0.045
_LEAST_FIT = 1e-4
SAID_SHARE, _FEWEST_HEARD = 0.25, 5
LISTEN_SECONDS = 30.0
MOST_SAID = 200
"""More words than anybody says in that time. Two long texts have many words in common, in their order, by chance."""


def is_foreign(words: Sequence[str]) -> bool:
    """Whether words look like another language: at least eight, and more than a quarter unknown to the dictionary.

    Parameters
    ----------
    words : sequence of str
        Spoken words, lower case.

    Examples
    --------
    >>> is_foreign("wir haben uns gestern abend im garten lange unterhalten".split())  # doctest: +SKIP
    True
    """
    return len(words) >= _FEWEST_WORDS and len(unknown_words(words)) > _UNKNOWN_SHARE * len(words)


def fits_badly(timed: Timed) -> bool:
    """Whether given words could not be aligned, or fit below ``WEAK_FIT``.

    Parameters
    ----------
    timed : Timed
        Of given words.

    Examples
    --------
    >>> times = np.array([[0.0, 0.5]])
    >>> fits_badly(Timed(times, np.array([0.2], np.float32), "aligned"))
    False
    """
    return timed.timing == "spread" or (timed.timing == "aligned" and mean_fit(timed) < WEAK_FIT)


def segments_fit_badly(timed: Timed) -> bool:
    """Whether of words with segment times at least half could not be aligned, or the others fit below ``WEAK_FIT``.

    Parameters
    ----------
    timed : Timed
        Of a transcript with times.

    Examples
    --------
    >>> times = np.array([[0.0, 0.5], [0.5, 1.0], [1.0, 1.5]])
    >>> some, most = (np.array(fit, np.float32) for fit in ((0.2, 0.0, 0.2), (0.2, 0.0, 0.0)))
    >>> segments_fit_badly(Timed(times, some, "aligned", ("so",)))
    False
    >>> segments_fit_badly(Timed(times, most, "aligned", ("so", "good")))
    True
    """
    if timed.timing != "aligned" or 2 * len(timed.guessed) >= len(timed.times):
        return timed.timing in ("aligned", "spread")
    found = timed.confidence > 0
    return mean_fit(Timed(timed.times[found], timed.confidence[found], "aligned")) < WEAK_FIT


def mean_fit(timed: Timed) -> float:
    """Geometric mean of the words' confidence, weighted by their length.

    Parameters
    ----------
    timed : Timed
        Of at least one word.

    Examples
    --------
    >>> times = np.array([[0.0, 0.1], [0.1, 0.2]])
    >>> round(mean_fit(Timed(times, np.array([0.1, 0.4], np.float32), "aligned")), 3)
    0.2
    """
    seconds = np.maximum(timed.times[:, 1] - timed.times[:, 0], 0.01)
    return float(np.exp(np.average(np.log(np.maximum(timed.confidence, _LEAST_FIT)), weights=seconds)))


def listen(
    samples: Sound,
    *,
    whole: bool,
    start: float = 0.0,
    model: str | Path | None = None,
    language: str = ENGLISH,
    local: str | Path | None = None,
) -> Heard | None:
    """What the recogniser hears in the sound; None where there is no recogniser on this machine.

    Parameters
    ----------
    samples : array of shape (n,), float32
        Mono sound at 16 kHz.
    whole : bool
        Listen to all of it, not only to 30 seconds.
    start : float
        Second of the sound at which those begin.
    model, language, local
        See :func:`~trivium.extract.words.speech.recognise`.
    """
    try:
        require_recogniser(model, language, local=local)
        part = samples if whole else samples[round(start * SOUND_RATE) :][: round(LISTEN_SECONDS * SOUND_RATE)]
        return recognise(part, model=model, language=language, local=local)
    except (UpstreamError, DependencyError):
        return None


def said_share(words: Sequence[str], heard: Heard) -> float:
    """Share of the words heard that are in the transcript too, in its order.

    Parameters
    ----------
    words : sequence of str
        Of the transcript.
    heard : Heard
        Of the sound, or of its beginning.

    Returns
    -------
    float
        Between 0 and 1; 1 where nothing was heard, which says nothing against the transcript.

    Examples
    --------
    >>> from trivium.extract.words.transcript import read_transcript
    >>> heard = Heard(read_transcript("kids were talking"), np.zeros((3, 2)), np.zeros(3, np.float32))
    >>> round(said_share(["kids", "are", "talking", "by", "the", "door"], heard), 2)
    0.67
    """
    told = heard.transcript.words
    return _shared(words, told) / len(told) if told else 1.0


def _shared(words: Sequence[str], told: Sequence[str]) -> int:
    """How many words two texts have in common, in their order."""
    blocks = SequenceMatcher(None, list(words), list(told), autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks)


def subtitles_say_other_words(words: Sequence[str], heard: Heard) -> bool:
    """Whether what is heard speaks against a transcript with times.

    Subtitles may leave out what other people say, so that the words in common are compared with the shorter of the two:
    they are less than a quarter of it, and both have at least five words.

    Parameters
    ----------
    words : sequence of str
        Of the transcript.
    heard : Heard
        Of the sound, or of its beginning.

    Examples
    --------
    >>> from trivium.extract.words.transcript import read_transcript
    >>> heard = Heard(read_transcript("dogs sat there all the day"), np.zeros((6, 2)), np.zeros(6, np.float32))
    >>> subtitles_say_other_words("kids are talking by the door".split(), heard)
    True
    >>> subtitles_say_other_words("so there all the".split(), heard)
    False
    """
    told = heard.transcript.words
    shorter = min(len(words), len(told))
    return shorter >= _FEWEST_HEARD and _shared(words, told) < SAID_SHARE * shorter


def hears_other_words(words: Sequence[str], heard: Heard) -> bool:
    """Whether what is heard speaks against the transcript: at least five words, of which it has less than a quarter.

    Parameters
    ----------
    words : sequence of str
        Of the transcript.
    heard : Heard
        Of the sound, or of its beginning.

    Examples
    --------
    >>> from trivium.extract.words.transcript import read_transcript
    >>> heard = Heard(read_transcript("you"), np.zeros((1, 2)), np.zeros(1, np.float32))
    >>> hears_other_words(["kids", "are", "talking"], heard)
    False
    """
    return len(heard.transcript.words) >= _FEWEST_HEARD and said_share(words, heard) < SAID_SHARE
