"""Media files: what a clip holds, its sound at 16 kHz, its frames by presentation time.

A clip is untrusted input. Only local files of known containers are opened (no play lists, no addresses), sizes are
limited, and whatever is wrong with a file becomes one :class:`~trivium.errors.MediaError`.

Time 0 is the start of the file, as players show it; sound and frames share it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from trivium.errors import LimitError, MediaError
from trivium.extract.scratch import ScratchFile
from trivium.extract.source.damage import Damage
from trivium.files import check_size

__all__ = ["SOUND_RATE", "Clip", "Facts", "Frame", "open_clip"]

SOUND_RATE = 16_000
_WHOLE = "copy or download it again, or cut out what can be played, with ffmpeg for example"
_MOST_BYTES = 8 << 30
_MOST_SECONDS = 4 * 3600.0
_MOST_PIXELS = 8192 * 4320
_LONGEST_SIDE = 1280  # larger pictures are reduced: a face needs no more
_GAP_SECONDS = 0.1  # sound that is later than its place by more than this has a hole before it
_CUT_OFF_SECONDS, _CUT_OFF_PART = 1.0, 0.9
_CONTAINERS = (
    "3gp,aac,ac3,aiff,amr,asf,au,avi,caf,eac3,flac,flv,m4v,matroska,mov,mp3,mp4,mpeg,mpegts,ogg,rm,w64,wav,webm"
)


@dataclass(frozen=True)
class Facts:
    """What a clip holds, measured by reading through it without decoding.

    Parameters
    ----------
    container : str
        Format of the file.
    seconds : float
        Where the last packet ends.
    sample_rate, channels : int
        Of the chosen sound track; 0 without sound.
    sound_codec, picture_codec : str
        Empty where there is none.
    width, height : int
        Of the picture as stored, before rotation; 0 without picture.
    frames_per_second : float
        Mean over the clip; 0 without picture.
    sound_tracks : int
        How many there are.
    """

    container: str
    seconds: float
    sample_rate: int = 0
    channels: int = 0
    sound_codec: str = ""
    width: int = 0
    height: int = 0
    frames_per_second: float = 0.0
    picture_codec: str = ""
    sound_tracks: int = 0

    @property
    def has_sound(self) -> bool:
        """Whether there is a sound track with anything in it."""
        return self.sample_rate > 0

    @property
    def has_picture(self) -> bool:
        """Whether there is a moving picture (cover art is none)."""
        return self.width > 0


class Frame(NamedTuple):
    """One picture.

    Parameters
    ----------
    time : float
        Presentation time in seconds.
    rgb : uint8 array of shape (height, width, 3)
        Upright.
    """

    time: float
    rgb: NDArray[np.uint8]


class Clip:
    """A readable media file; make one with :func:`open_clip`.

    Parameters
    ----------
    path : Path
        The file.
    facts : Facts
        What it holds.
    origin : float
        Time stamp in the file that is time 0.
    track : int
        Which sound track, counted from 1.
    """

    def __init__(self, path: Path, facts: Facts, origin: float, track: int = 1) -> None:
        self.path, self.facts, self.origin, self.track = path, facts, origin, track
        self._damage: dict[str, Damage] = {}

    def damage(self, track: str, end: float = np.inf) -> str:
        """What of the sound or the picture could not be decoded, but can be lived with; empty where all could.

        Only packets before `end` count, so that it does not depend on how much further the clip was decoded.

        Parameters
        ----------
        track : {"audio", "video"}
            Which; it has to have been read up to `end`.
        end : float
            Second of the clip.

        Raises
        ------
        MediaError
            It is too much: more than one packet in twenty, and not only one.
        """
        damage = self._damage.get(track)
        told = damage.told(end) if damage else ""
        if damage and damage.too_much(end):
            raise MediaError(told, file=self.path, remedy=_WHOLE)
        return f"{told} and were left out" if told else ""

    def sound(self, *, refuse: bool = True) -> NDArray[np.float32] | None:
        """Mono sound at 16 kHz, full scale 1, or None for a clip without sound.

        Holes in the sound track and sound that begins late are filled with zeros, so that sample n is at second
        n / 16000 of the clip.

        Parameters
        ----------
        refuse : bool
            Whether too much damage anywhere is an error; else :meth:`damage` tells it for each span.

        Returns
        -------
        array of shape (samples,), float32
            Read-only; it lies in a temporary file, so that an hour takes no memory.

        Raises
        ------
        MediaError
            The sound cannot be decoded.
        DiskError
            There is no room for the temporary file.
        """
        if not self.facts.has_sound:
            return None
        whole = _Samples(self.path)
        with _opened(self.path) as container:
            for start, offset, samples in _sound_parts(
                self._decoded(container, container.streams.audio[self.track - 1])
            ):
                whole.put(round((start - self.origin) * SOUND_RATE) + offset, samples)
        if refuse:
            self.damage("audio")
        return whole.finished()

    def frames(
        self, per_second: float, within: Sequence[tuple[float, float]] = (), *, refuse: bool = True
    ) -> Iterator[Frame]:
        """Frames in order of time, at most one in every ``1 / per_second`` seconds: the first that is shown in it.

        The file is decoded once from start to end. A file with fewer frames gives each of them once; a variable frame
        rate needs no special care, since frames are chosen by their presentation time. Pictures above 1280 pixels are
        reduced, rotated ones are turned upright.

        Parameters
        ----------
        per_second : float
            Frames per second, above 0.
        within : sequence of (float, float)
            Spans in seconds; frames outside all of them are left out, and what comes after them is not decoded. Which
            frame is chosen does not depend on them. Empty: the whole clip.
        refuse : bool
            Whether too much damage up to the last span's end is an error; else :meth:`damage` tells it for each span.

        Raises
        ------
        MediaError
            The picture cannot be decoded.
        """
        if not self.facts.has_picture:
            return
        with _opened(self.path) as container:
            stream = _picture(container)
            stream.thread_type = "AUTO"
            due = 0
            last = max((end for _, end in within), default=np.inf)
            for count, frame in enumerate(self._decoded(container, stream)):
                # a stream without time stamps has its frames at equal distances
                time = count / self.facts.frames_per_second if frame.time is None else frame.time - self.origin
                self._damage["video"].decoded(time)
                if time >= last:
                    if self._damage["video"].told():
                        # packets out of order count too, however far the clip is decoded
                        for packet in container.demux(stream):
                            self._count("video", packet)
                    break
                slot = int(np.floor(time * per_second + 1e-6))
                if slot >= due:
                    due = slot + 1
                    if not within or any(start <= time < end for start, end in within):
                        yield Frame(time, _upright(frame))
        if refuse:
            self.damage("video", last)

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        damage = self._damage[str(stream.type)] = Damage(str(stream.type))
        for packet in container.demux(stream):
            self._count(str(stream.type), packet)
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                damage.failed()
                continue
            for frame in frames:
                if frame.time is not None:
                    damage.decoded(frame.time - self.origin)
                yield frame

    def _count(self, track: str, packet: Any) -> None:
        self._damage[track].packet(None if packet.pts is None else float(packet.pts * packet.time_base) - self.origin)


def open_clip(path: str | os.PathLike[str], *, track: int = 1) -> Clip:
    """Look through a media file and make it readable.

    Parameters
    ----------
    path : path
        A video or sound file.
    track : int
        Which of its sound tracks, counted from 1.

    Raises
    ------
    MediaError
        It is no media file, is cut off, holds neither sound nor picture, or has fewer sound tracks.
    LimitError
        It is larger or longer than the safety limits allow.

    Examples
    --------
    >>> open_clip("interview.mp4").facts.seconds  # doctest: +SKIP
    17.017
    """
    file = Path(path)
    if not file.is_file():
        raise MediaError("there is no such file", file=file, remedy="check the path")
    check_size(file, _MOST_BYTES)
    with _opened(file) as container:
        origin = (container.start_time or 0) / av.time_base
        declared = (container.duration or 0) / av.time_base
        tracks = len(container.streams.audio)
        if tracks and not 1 <= track <= tracks:
            has = "one sound track" if tracks == 1 else f"{tracks} sound tracks"
            raise MediaError(f"has {has}, and no track {track}", file=file, remedy="choose another with --track")
        facts = _measure(container, origin, track)
    if not facts.has_sound and not facts.has_picture:
        raise MediaError(
            "holds neither sound nor picture",
            file=file,
            remedy="check that it is a video or a sound, and that its download or copy is whole",
        )
    if facts.width * facts.height > _MOST_PIXELS or facts.seconds > _MOST_SECONDS:
        raise LimitError(
            f"is {facts.width} x {facts.height} and {facts.seconds:.0f} seconds long",
            file=file,
            remedy="cut or scale it, with ffmpeg for example",
        )
    if facts.seconds < min(_CUT_OFF_PART * declared, declared - _CUT_OFF_SECONDS):
        raise MediaError(
            f"is cut off: it should last {declared:.1f} s, but ends at {facts.seconds:.1f} s", file=file, remedy=_WHOLE
        )
    return Clip(file, facts, origin, track)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    # no network and no play lists: a clip may refer to nothing outside itself
    allowed = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
    try:
        with av.open(f"file:{path}", options=allowed, metadata_errors="replace") as container:
            yield container
    except (av.error.FFmpegError, ValueError) as cause:
        raise MediaError(
            f"cannot be decoded ({_reason(cause)})", file=path, remedy="check that it is a whole media file"
        ) from cause


def _reason(cause: Exception) -> str:
    return (getattr(cause, "strerror", None) or str(cause)).lower()


def _picture(container: Any) -> Any:
    cover = av.stream.Disposition.attached_pic
    return next((s for s in container.streams.video if not s.disposition & cover), None)


def _measure(container: Any, origin: float, track: int) -> Facts:
    sound = container.streams.audio[track - 1] if container.streams.audio else None
    picture = _picture(container)
    wanted = [stream for stream in (sound, picture) if stream is not None]
    count = {stream.index: 0 for stream in wanted}
    end = origin
    for packet in container.demux(wanted) if wanted else ():
        if packet.size:
            count[packet.stream_index] += 1
        if packet.pts is not None and packet.time_base is not None:
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    seconds = end - origin
    known: dict[str, Any] = {"sound_tracks": len(container.streams.audio)}
    if sound is not None and count[sound.index]:
        known |= {"sample_rate": sound.rate, "channels": sound.channels, "sound_codec": sound.codec.name}
    if picture is not None and count[picture.index]:
        known |= {"width": picture.width, "height": picture.height, "picture_codec": picture.codec.name}
        known |= {"frames_per_second": count[picture.index] / seconds if seconds else 1.0}
    return Facts(container=container.format.name, seconds=seconds, **known)


def _sound_parts(frames: Iterator[Any]) -> Iterator[tuple[float, int, NDArray[np.float32]]]:
    """Give (start of a stretch without holes in seconds, samples of it that came before, samples at 16 kHz)."""
    resampler: Any = None
    layout: tuple[Any, ...] = ()
    start = expected = 0.0
    given = 0
    for frame in frames:
        time = expected if frame.time is None else frame.time
        own = (frame.format.name, frame.layout.name, frame.sample_rate)
        if resampler is None or own != layout or abs(time - expected) > _GAP_SECONDS:
            for part in _resampled(resampler, None):
                yield start, given, part
                given += len(part)
            resampler, layout = av.AudioResampler(format="flt", layout="mono", rate=SOUND_RATE), own
            start = expected = time
            given = 0
        expected += frame.samples / frame.sample_rate
        for part in _resampled(resampler, frame):
            yield start, given, part
            given += len(part)
    for part in _resampled(resampler, None):
        yield start, given, part
        given += len(part)


def _resampled(resampler: Any, frame: Any) -> list[NDArray[np.float32]]:
    if resampler is None:
        return []
    if frame is not None:
        frame.pts = None  # the resampler would otherwise stretch the sound to its time stamps
    return [out.to_ndarray().reshape(-1) for out in resampler.resample(frame)]


class _Samples:
    """Sound that is written part by part into a file, so that an hour needs no more memory than a minute."""

    def __init__(self, path: Path) -> None:
        self._file = ScratchFile()
        self._length, self._path = 0, path

    def put(self, place: int, samples: NDArray[np.float32]) -> None:
        """Write samples at a place; what lies before 0 is left out."""
        end = place + len(samples)
        if end > _MOST_SECONDS * SOUND_RATE:
            raise LimitError(
                f"its sound lasts {end / SOUND_RATE:.0f} seconds or more",
                file=self._path,
                remedy="cut it into shorter files",
            )
        self._length = max(self._length, end)
        # broken float sound can hold anything
        kept = np.nan_to_num(np.clip(samples[max(-place, 0) :], -1.0, 1.0), copy=False)
        self._file.write(max(place, 0) * kept.itemsize, kept)

    def finished(self) -> NDArray[np.float32]:
        return self._file.mapped(np.float32, (self._length,))


def _upright(frame: Any) -> NDArray[np.uint8]:
    if frame.width * frame.height > _MOST_PIXELS:
        raise ValueError(f"a frame of {frame.width} x {frame.height} pixels")
    shrink = min(1.0, _LONGEST_SIDE / max(frame.width, frame.height))
    width, height = (max(1, round(side * shrink)) for side in (frame.width, frame.height))
    small = frame.reformat(width, height, format="rgb24")
    rgb: NDArray[np.uint8] = small.to_ndarray()
    return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90) % 4))
