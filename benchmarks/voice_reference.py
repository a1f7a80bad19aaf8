"""What openSMILE and Praat say about the sounds of a folder; run by ``voice.py`` with a Python that has both.

usage: PYTHON benchmarks/voice_reference.py FOLDER

Needs opensmile 2.6 (audEERING's research licence: no commercial use) and praat-parselmouth (GPL), in an environment of
their own: trivium needs neither. Reads ``FOLDER/sounds.npz`` (name: samples at 16 kHz) and ``FOLDER/asked.json``,
writes ``FOLDER/reference.npz`` and ``FOLDER/versions.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import opensmile
import parselmouth
from numpy.typing import NDArray

RATE = 16_000
HOP_SECONDS = 0.01


def praat_formants(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """Frequencies, then bandwidths of three formants in the middle of every 10 ms, Praat's own settings: (T, 6)."""
    times = (np.arange(-(-sound.size // 160)) + 0.5) * HOP_SECONDS
    found = parselmouth.Sound(sound.astype(np.float64), RATE).to_formant_burg(
        time_step=0.005, max_number_of_formants=5, maximum_formant=5500, window_length=0.025, pre_emphasis_from=50
    )
    read = (found.get_value_at_time, found.get_bandwidth_at_time)
    return np.array([[value(n, time) for value in read for n in (1, 2, 3)] for time in times])


def main() -> None:
    """Measure everything that is asked for."""
    folder = Path(sys.argv[1])
    asked = json.loads((folder / "asked.json").read_text(encoding="utf-8"))
    descriptors = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors)
    functionals = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    found = {}
    with np.load(folder / "sounds.npz") as sounds:
        for name in sounds.files:
            sound = sounds[name]
            found[f"descriptors/{name}"] = descriptors.process_signal(sound, RATE).to_numpy(np.float32)
            if name in asked["functionals"]:
                found[f"functionals/{name}"] = functionals.process_signal(sound, RATE).to_numpy(np.float64)[0]
            if name in asked["formants"]:
                found[f"formants/{name}"] = praat_formants(sound)
    np.savez(folder / "reference.npz", **found)
    versions = {"opensmile": opensmile.__version__, "praat": parselmouth.PRAAT_VERSION}
    (folder / "versions.json").write_text(json.dumps(versions), encoding="utf-8")


if __name__ == "__main__":
    main()
