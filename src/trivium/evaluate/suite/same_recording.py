"""Clips brought to one recording: one frame rate, one picture size, one sound, so that these tell no label.

In the real-life clips the frame rate alone tells most verdicts. Ten pictures a second is the lowest rate among them;
pictures are reduced into 320 x 240 without a change of their proportions, the rest is black; sound is mono at 16 kHz.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium.errors import MediaError
from trivium.files import atomic_file

__all__ = ["PICTURES_PER_SECOND", "PICTURE_SIZE", "fitted_picture", "same_recording"]

PICTURES_PER_SECOND = 10
PICTURE_SIZE = (320, 240)
_QUALITY = "16"
_SOUND_RATE = 16000
_SAMPLES_AT_ONCE = 16000


def fitted_picture(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """A picture within a frame of a fixed size, its proportions kept, black around it.

    Parameters
    ----------
    picture : uint8 array of shape (H, W, 3)
        Red, green, blue.
    width, height : int
        Pixels of the frame.

    Returns
    -------
    uint8 array of shape (height, width, 3)

    Examples
    --------
    >>> framed = fitted_picture(np.full((4, 8, 3), 9, np.uint8), 8, 8)
    >>> framed[:, 0, 0].tolist()
    [0, 0, 9, 9, 9, 9, 0, 0]
    """
    from av import VideoFrame

    tall, wide = picture.shape[:2]
    ratio = min(width / wide, height / tall)
    inner = max(1, round(wide * ratio)), max(1, round(tall * ratio))
    small = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(*inner)
    found = np.zeros((height, width, 3), np.uint8)
    top, left = (height - inner[1]) // 2, (width - inner[0]) // 2
    found[top : top + inner[1], left : left + inner[0]] = small.to_ndarray(format="rgb24")
    return found


def same_recording(source: Path, target: Path) -> None:
    """Write a clip anew with the common rate and size; its duration and its sound stay.

    Parameters
    ----------
    source : path
        A video with sound.
    target : path
        A ``.mkv`` file; left alone where it exists.

    Raises
    ------
    MediaError
        The clip has no sound or no picture, or cannot be decoded.
    """
    import av

    from trivium.extract.source.media import open_clip

    if target.is_file():
        return
    clip = open_clip(source)
    sound = clip.sound()
    if sound is None or not clip.facts.has_picture:
        raise MediaError("has no sound or no picture", file=source, remedy="take a video with sound")
    with atomic_file(target) as draft, av.open(str(draft), "w", format="matroska") as written:
        video: Any = written.add_stream("libx264", rate=PICTURES_PER_SECOND, options={"crf": _QUALITY})
        video.width, video.height = PICTURE_SIZE
        video.pix_fmt = "yuv420p"
        audio: Any = written.add_stream("flac", rate=_SOUND_RATE, layout="mono")
        _write_pictures(clip, video, written)
        _write_sound(sound, audio, written)


def _write_pictures(clip: Any, video: Any, written: Any) -> None:
    """One picture for every tenth of a second: the one that is shown then."""
    from av import VideoFrame

    tick, shown = 0, None
    for frame in clip.frames(PICTURES_PER_SECOND):
        due = round(frame.time * PICTURES_PER_SECOND)
        shown = fitted_picture(frame.rgb, *PICTURE_SIZE) if shown is None else shown
        while tick < due:
            _write_one(VideoFrame.from_ndarray(shown, format="rgb24"), tick, video, written)
            tick += 1
        shown = fitted_picture(frame.rgb, *PICTURE_SIZE)
    if shown is not None:
        _write_one(VideoFrame.from_ndarray(shown, format="rgb24"), tick, video, written)
    written.mux(video.encode(None))


def _write_one(frame: Any, tick: int, video: Any, written: Any) -> None:
    frame.pts, frame.time_base = tick, Fraction(1, PICTURES_PER_SECOND)
    written.mux(video.encode(frame))


def _write_sound(sound: NDArray[np.float32], audio: Any, written: Any) -> None:
    from av import AudioFrame

    whole = (np.clip(sound, -1, 1) * np.iinfo(np.int16).max).astype(np.int16)
    for start in range(0, len(whole), _SAMPLES_AT_ONCE):
        piece = np.ascontiguousarray(whole[None, start : start + _SAMPLES_AT_ONCE])
        frame = AudioFrame.from_ndarray(piece, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = _SOUND_RATE, start, Fraction(1, _SOUND_RATE)
        written.mux(audio.encode(frame))
    written.mux(audio.encode(None))
