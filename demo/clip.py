"""The raw clip of the demo: a face and a voice from two public recordings, put side by side in one file.

They are not one person, and nothing pretends that they are. The recordings come through the catalogue
(``sample-face``, ``sample-voice``) and are never part of this repository.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trivium.errors import MediaError
from trivium.files import atomic_file
from trivium.upstream import model, model_file

FACE, VOICE = "sample-face", "sample-voice"
NOT_ONE_PERSON = (
    "The face and the voice in this clip are not one person: two public recordings were put side by side, and lips and "
    "words do not match. The face ends before the voice does; from there on it is missing, and stays missing."
)
_SOUND_BITS_PER_SECOND = 96_000


def assemble_clip(path: Path) -> Path:
    """Put the two recordings into one mp4: the picture's packets as they are, the sound as AAC.

    Parameters
    ----------
    path : Path
        The file to write, ending in ``.mp4``.

    Returns
    -------
    Path
        The same path.

    Raises
    ------
    UpstreamError
        A recording is not on this machine; the remedy is the command that fetches it.
    MediaError
        A recording cannot be read.
    """
    import av

    face, voice = model_file(FACE), model_file(VOICE)
    with atomic_file(path) as draft:
        try:
            with av.open(str(face)) as picture, av.open(str(voice)) as sound, av.open(str(draft), "w", "mp4") as out:
                _join(picture, sound, out)
        except av.error.FFmpegError as cause:
            raise MediaError(f"the demo's recordings cannot be put together ({cause})", file=path) from cause
    return path


def _join(picture: Any, sound: Any, out: Any) -> None:
    seen, heard = picture.streams.video[0], sound.streams.audio[0]
    frames = out.add_stream_from_template(seen)
    samples = out.add_stream("aac", rate=heard.rate, layout="mono", bit_rate=_SOUND_BITS_PER_SECOND)
    for packet in picture.demux(seen):
        if packet.dts is not None:
            packet.stream = frames
            out.mux(packet)
    for frame in sound.decode(heard):
        out.mux(samples.encode(frame))
    out.mux(samples.encode(None))


def sources() -> list[tuple[str, str]]:
    """Where each recording comes from, for people: (title, text)."""
    found = []
    for title, name in (("The face", FACE), ("The voice", VOICE)):
        row = model(name)
        text = f"{row.paper}; {row.origin} {row.carrier.version}, licence {row.licence}. Not part of trivium."
        found.append((title, text))
    return found
