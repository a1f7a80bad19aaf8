"""eGeMAPS by openSMILE: 25 descriptors every 10 ms, for those who accept its licence.

Eyben et al. 2016, "The Geneva minimalistic acoustic parameter set for voice research and affective computing",
computed by openSMILE itself (set ``eGeMAPSv02``, low-level descriptors). Its licence forbids commercial use, so it is
an extra of its own and has to be accepted explicitly; the free columns of trivium are those of ``voice``.
"""

from __future__ import annotations

import os
import sys
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Stream, StreamSpecification
from trivium.errors import DependencyError
from trivium.extract.source.media import SOUND_RATE
from trivium.extract.words.speech import Heard
from trivium.files import atomic_file, user_folder

__all__ = ["COLUMNS", "LICENCE", "EgemapsExtractor"]

LICENCE = (
    "openSMILE is under the audEERING Research License (https://github.com/audeering/opensmile/blob/master/LICENSE): "
    "you may use it for non-commercial purposes such as research, teaching and personal use, and not in the making or "
    "use of commercial products or for any other commercial gain; commercial use needs a licence from audEERING GmbH"
)
_ACCEPTED = "TRIVIUM_ACCEPT_OPENSMILE"
_STEP, _FRAME = 0.01, 0.02

# As openSMILE calls and orders them.
COLUMNS = tuple(
    f"{name}_sma3"
    for name in (
        "Loudness alphaRatio hammarbergIndex slope0-500 slope500-1500 spectralFlux mfcc1 mfcc2 mfcc3 mfcc4"
    ).split()
) + tuple(
    f"{name}_sma3nz"
    for name in (
        "F0semitoneFrom27.5Hz jitterLocal shimmerLocaldB HNRdBACF logRelF0-H1-H2 logRelF0-H1-A3 "
        "F1frequency F1bandwidth F1amplitudeLogRelF0 F2frequency F2bandwidth F2amplitudeLogRelF0 "
        "F3frequency F3bandwidth F3amplitudeLogRelF0"
    ).split()
)


class EgemapsExtractor:
    """The extractor ``egemaps``: openSMILE's low-level descriptors of eGeMAPSv02.

    The licence is accepted by ``TRIVIUM_ACCEPT_OPENSMILE=1``, or on a terminal by an answer that is remembered in the
    user's folder.

    Parameters
    ----------
    argument : str
        Takes none.
    local : path, optional
        Not used.

    Raises
    ------
    DependencyError
        The licence is not accepted, or openSMILE is not installed.
    """

    models: tuple[str, ...] = ()
    takes = ""

    def __init__(self, argument: str = "", local: str | Path | None = None) -> None:
        _require_acceptance()
        try:
            self._opensmile = import_module("opensmile")
        except ImportError as cause:
            raise DependencyError("openSMILE is not installed", remedy="pip install 'trivium[egemaps]'") from cause

    @property
    def specification(self) -> StreamSpecification:
        """Specification of its streams; the version is openSMILE's."""
        version = f"v02, openSMILE {self._opensmile.__version__}"
        return StreamSpecification("audio", COLUMNS, clock="seconds", extractor="egemaps", version=version)

    def stream(self, sound: NDArray[np.float32], heard: Heard | None) -> Stream:
        """Values (T, 25) at times (T, 2) of sound (n,); none where the sound is shorter than 60 ms.

        A step is the 10 ms in the middle of the 20 ms that openSMILE's spectral columns see: step i is [10 i + 5,
        10 i + 15) ms. Its columns of pitch and voice quality see 60 ms from 10 i ms on: their middle lies 20 ms later.
        """
        table = self._smile.process_signal(sound, SOUND_RATE)
        values = table[list(COLUMNS)].to_numpy(dtype=np.float32)
        values = np.ascontiguousarray(values[np.isfinite(values).all(axis=1).cumprod().astype(bool)])
        starts = np.arange(len(values)) * _STEP + (_FRAME - _STEP) / 2
        times = np.minimum(np.stack([starts, starts + _STEP], axis=1), len(sound) / SOUND_RATE)
        return Stream(values, self.specification, times)

    @cached_property
    def _smile(self) -> Any:
        sets, levels = self._opensmile.FeatureSet, self._opensmile.FeatureLevel
        return self._opensmile.Smile(feature_set=sets.eGeMAPSv02, feature_level=levels.LowLevelDescriptors)


def _require_acceptance() -> None:
    remembered = user_folder("licences") / "opensmile.txt"
    if os.environ.get(_ACCEPTED) == "1" or remembered.is_file():
        return
    if sys.stdin.isatty() and sys.stderr.isatty():
        print(f"{LICENCE}.\nDo you accept? Type yes: ", file=sys.stderr, end="", flush=True)
        if sys.stdin.readline().strip().lower() == "yes":
            remembered.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(remembered) as draft:
                draft.write_text(f"accepted: {LICENCE}\n", encoding="utf-8")
            return
    raise DependencyError(
        f"the licence of openSMILE is not accepted. {LICENCE}", remedy=f"if you agree, set {_ACCEPTED}=1"
    )
