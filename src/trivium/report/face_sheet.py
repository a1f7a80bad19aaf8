"""Frames of clips with what was seen in them drawn over: for a person who wants to check the faces with their own eyes.

This is the only picture of trivium that shows people. It is made on request alone, and nothing that trivium keeps, no
corpus, report or page, holds it or a part of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import StreamSpecification
from trivium.errors import DataError, DependencyError, TriviumError
from trivium.extract.source.media import open_clip
from trivium.extract.vision.face_columns import FACE_COLUMNS, FaceExtractor, face_tracker
from trivium.extract.vision.head_pose import CanonicalFace, HeadPose, head_rotation
from trivium.extract.vision.landmark_columns import LANDMARK_COLUMNS
from trivium.extract.vision.landmarks import Face, FaceTracker
from trivium.extract.vision.recorder import FaceRecorder, SeenFace
from trivium.extract.vision.speaker import FaceChoice, frame_loudness
from trivium.extract.vision.tracks import FaceTrack
from trivium.files import atomic_file
from trivium.wording import counted

__all__ = ["face_sheet", "require_sheet"]

Float: TypeAlias = NDArray[np.floating[Any]]

_MOST_FRAMES, _MOST_CLIPS, _COLUMNS = 12, 6, 3
_TAKEN, _OTHERS, _GAZE, _HEAD = "#ff8c1a", ("#4dd2ff", "#b3ff66", "#ff66cc"), "#ffe14d", "#ff5252"
_PLACE = {column.name: number for number, column in enumerate(FACE_COLUMNS)}
_IRISES, _NOSE = (468, 473), 4
_MOUTH = "#d96c00"  # the orange of a taken face, darker: a thin line has to be seen on white
_KEY: tuple[tuple[Any, str, str], ...] = (
    ("-", _TAKEN, "box and mesh of the face that is taken for the one that speaks"),
    ("--", _OTHERS[0], "boxes of other faces: blue, green, pink"),
    ("-", _GAZE, "gaze"),
    ("-", _HEAD, "where the head points"),
)


def face_sheet(
    path: str | os.PathLike[str],
    clips: Sequence[str | os.PathLike[str]],
    *,
    frames_per_second: float = 12.5,
    frames: int = 9,
    upstream: str | os.PathLike[str] | None = None,
) -> None:
    """Draw a sheet of frames spread over clips: mesh, boxes, which face was chosen, how surely, gaze and pose.

    Every clip is followed from start to end, as in extraction without spans. Below its frames lies a line over time:
    the loudness, the opening of every face's mouth, and when which face was chosen. Of more than six clips, six are
    drawn, spread over the list.

    Parameters
    ----------
    path : path
        A ``.png`` file.
    clips : sequence of path
        Video files; those without a picture, or that cannot be decoded or are beyond a limit, are left out.
    frames_per_second : float
        How many frames are looked at.
    frames : int
        How many are drawn, of all clips together; at most 12.
    upstream : path, optional
        Folder with models of the catalogue.

    Raises
    ------
    DataError
        The file has another ending, the number of frames is not possible, or no clip has a picture.
    DependencyError
        matplotlib is not installed.

    Examples
    --------
    >>> face_sheet("faces.png", ["interview.mp4"])  # doctest: +SKIP
    """
    require_sheet(path)
    if not 1 <= frames <= _MOST_FRAMES:
        raise DataError(f"{frames} frames cannot be drawn", file=path, remedy=f"use 1 to {_MOST_FRAMES}")
    from matplotlib.figure import Figure

    files = [Path(clip) for clip in clips]
    seen = [file for file in files if _has_picture(file)]
    files = seen or files
    if len(files) > _MOST_CLIPS:
        files = [files[place] for place in np.linspace(0, len(files) - 1, _MOST_CLIPS).round().astype(int)]
    tracker = face_tracker(upstream)
    each = max(frames // max(len(files), 1), 1)
    shown = list(_watched(files, tracker, frames_per_second, each))
    if not shown:
        problem = "no clip has a picture that can be decoded"
        raise DataError(problem, file=files[0] if files else None, remedy="leave --show out")
    rows = [-(-len(one.pictures) // _COLUMNS) for one in shown]
    heights = [h for count in rows for h in (*[3.5] * count, 1.5)]
    figure = Figure(figsize=(15, sum(heights) + 0.6), layout="constrained", facecolor="white")
    figure.legend(handles=_key(), loc="outside upper center", ncols=len(_KEY), fontsize=10, frameon=False)
    grid = figure.add_gridspec(len(heights), _COLUMNS, height_ratios=heights)
    line = 0
    for one, count in zip(shown, rows, strict=True):
        for number in range(len(one.pictures)):
            axes = figure.add_subplot(grid[line + number // _COLUMNS, number % _COLUMNS])
            _draw_frame(axes, one, number, tracker.canonical)
        _draw_timeline(figure.add_subplot(grid[line + count, :]), one)
        line += count + 1
    with atomic_file(path) as draft:
        figure.savefig(draft, format="png", dpi=110)


def require_sheet(path: str | os.PathLike[str]) -> None:
    """Make sure, before long work, that a sheet of faces can be drawn into a file.

    Parameters
    ----------
    path : path
        A ``.png`` file.

    Raises
    ------
    DataError
        The file has another ending, or is a folder.
    DependencyError
        matplotlib is not installed.
    """
    if Path(path).suffix.lower() != ".png" or Path(path).is_dir():
        raise DataError("faces are drawn as .png", file=path, remedy="name a file that ends in .png")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as cause:
        raise DependencyError("matplotlib is not installed", remedy="pip install 'trivium[report]'") from cause


@dataclass(frozen=True, eq=False)
class _Watched:
    """A clip that was followed to its end."""

    name: str
    times: Float
    pictures: dict[int, NDArray[np.uint8]]
    tracks: list[FaceTrack[SeenFace]]
    columns: NDArray[np.float32]
    landmarks: list[Float]
    choice: FaceChoice
    loudness: Float | None

    def seen(self, frame: int) -> Iterator[tuple[int, Float, SeenFace]]:
        """Number, box and face of every track in a frame."""
        for number, track in enumerate(self.tracks):
            for sighting in track.sightings:
                if sighting.frame == frame:
                    yield number, sighting.box, sighting.kept


@dataclass(eq=False)
class _Pixels:
    """Keeps the landmarks in pixels, of those frames that will be drawn, by the number of the face; no columns."""

    wanted: bool = False
    kept: list[Float] = field(default_factory=list)
    specification: StreamSpecification = field(default=StreamSpecification("vision", LANDMARK_COLUMNS))

    def row(self, face: Face, canonical: CanonicalFace, width: int, height: int) -> NDArray[np.float32]:
        self.kept.append(face.landmarks.astype(np.float32) if self.wanted else np.empty((0, 3), np.float32))
        return np.empty(0, np.float32)


def _key() -> list[Any]:
    """What the colours of the frames mean."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], color=colour, linestyle=style, linewidth=2.4, label=told) for style, colour, told in _KEY]


def _has_picture(file: Path) -> bool:
    try:
        return open_clip(file).facts.has_picture
    except TriviumError:
        return False


def _watched(files: Sequence[Path], tracker: FaceTracker, frames_per_second: float, count: int) -> Iterator[_Watched]:
    for file in files:
        with suppress(TriviumError):
            one = _watch(file, tracker, frames_per_second, count)
            if one.pictures:
                yield one


def _watch(file: Path, tracker: FaceTracker, frames_per_second: float, count: int) -> _Watched:
    clip = open_clip(file)
    pixels, times, pictures = _Pixels(), list[float](), dict[int, NDArray[np.uint8]]()
    step = 1 / frames_per_second
    recorder = FaceRecorder(tracker, step, [FaceExtractor(), pixels])
    due = [(k + 0.5) * clip.facts.seconds / count for k in range(count)]
    for frame in clip.frames(frames_per_second):
        pixels.wanted = len(pictures) < count and frame.time >= due[len(pictures)]
        if pixels.wanted:
            pictures[len(times)] = frame.rgb
        recorder.add(frame.time, frame.rgb)
        times.append(frame.time)
    sound = clip.sound()
    choice = recorder.choice(sound)
    begins = np.array(times)
    loudness = None if sound is None else frame_loudness(sound, 0.0, begins, step)
    tracks, columns = recorder.follower.tracks, recorder.rows[0]
    return _Watched(file.name, begins, pictures, tracks, columns, pixels.kept, choice, loudness)


def _colour(one: _Watched, number: int, frame: int) -> str:
    return _TAKEN if one.choice.chosen[0, frame] == number else _OTHERS[number % len(_OTHERS)]


def _draw_frame(axes: Any, one: _Watched, place: int, canonical: CanonicalFace) -> None:
    frame = list(one.pictures)[place]
    picture = one.pictures[frame]
    axes.imshow(picture)
    axes.set_axis_off()
    axes.set_xlim(0, picture.shape[1])
    axes.set_ylim(picture.shape[0], 0)
    told = "no face: masked"
    for number, box, face in one.seen(frame):
        colour = _colour(one, number, frame)
        taken = colour == _TAKEN
        _draw_box(axes, box, colour, str(number + 1), taken)
        if taken:
            columns, landmarks = one.columns[face.row], one.landmarks[face.row]
            _draw_mesh(axes, landmarks, canonical.triangles, colour)
            _draw_directions(axes, columns, landmarks, float(box[3] - box[1]))
            told = _told(columns)
        elif told.startswith("no face"):
            told = "none of these is taken: masked"
    axes.set_title(f"{one.name[:40]}   {one.times[frame]:.2f} s{_sure(one, frame)}\n{told}", fontsize=8.5, loc="left")


def _sure(one: _Watched, frame: int) -> str:
    number, sure = one.choice.chosen[0, frame], one.choice.sure[frame]
    if number < 0:
        return ""
    return f"   face {number + 1}" + (f", sure {sure:.2f}" if np.isfinite(sure) else ", no other beside it")


def _told(columns: Float) -> str:
    value = {name: float(columns[number]) for name, number in _PLACE.items()}
    gaze = f"gaze {value['gaze_yaw']:+.0f}, {value['gaze_pitch']:+.0f}" if value["gaze_seen"] else "gaze unseen"
    pose = ", ".join(f"{name} {value[f'head_{name}']:+.0f}" for name in ("yaw", "pitch", "roll"))
    seen = f"mouth open {value['mouth_opening']:.2f}; a face with {value['face_confidence']:.2f}"
    return f"degrees: head {pose}; {gaze}\n{seen}"


def _draw_box(axes: Any, box: Float, colour: str, name: str, taken: bool) -> None:
    left, top, right, bottom = box[:4]
    style = {"color": colour, "linewidth": 2.0 if taken else 1.4, "linestyle": "-" if taken else "--"}
    axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], **style)
    label = {"facecolor": colour, "edgecolor": "none", "pad": 1.5}
    axes.text(max(left, 2), max(top, 14), name, fontsize=8, color="black", va="bottom", bbox=label, clip_on=True)


def _draw_mesh(axes: Any, landmarks: Float, triangles: NDArray[np.int64], colour: str) -> None:
    if len(landmarks):
        axes.triplot(landmarks[:468, 0], landmarks[:468, 1], triangles, color=colour, linewidth=0.25, alpha=0.8)


def _draw_directions(axes: Any, columns: Float, landmarks: Float, length: float) -> None:
    """Lines from the irises along the gaze, and from the nose along the head's pose."""
    if not len(landmarks):
        return
    value = {name: float(columns[number]) for name, number in _PLACE.items()}
    pose = HeadPose(value["head_pitch"], value["head_yaw"], value["head_roll"], value["head_distance"])
    yaw, pitch = np.radians([value["gaze_yaw"], value["gaze_pitch"]])
    eyes = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    lines = [(_NOSE, np.array([0.0, 0.0, 1.0]), _HEAD)]
    lines += [(iris, eyes, _GAZE) for iris in _IRISES] if value["gaze_seen"] else []
    for point, direction, colour in lines:
        across, up, _ = head_rotation(pose) @ direction
        x, y = landmarks[point, :2]
        axes.plot([x, x + length * across], [y, y - length * up], color=colour, linewidth=1.6)
        axes.plot([x], [y], ".", color=colour, markersize=4)


def _draw_timeline(axes: Any, one: _Watched) -> None:
    if one.loudness is not None:
        axes.fill_between(one.times, 0, one.loudness, color="0.85", linewidth=0, label="loudness")
    told = {"taken": "opening of the mouth: face that is taken", "other": "another face, in the colour of its box"}
    for number, track in enumerate(one.tracks):
        opening = np.full(len(one.times), np.nan)
        opening[track.frames] = [face.opening for face in track.kept]
        taken = bool((one.choice.chosen[0] == number).any())
        colour = _MOUTH if taken else _OTHERS[number % len(_OTHERS)]
        label = told.pop("taken" if taken else "other", None)  # each sort once, however many faces there are
        axes.plot(one.times, opening, color=colour, linewidth=1.4 if taken else 0.9, label=label)
    chosen = one.choice.chosen[0] >= 0
    band = {"step": "post", "color": _TAKEN, "linewidth": 0, "label": "a face is taken"}
    axes.fill_between(one.times, -0.12, np.where(chosen, -0.03, -0.12), **band)
    for time in [one.times[frame] for frame in one.pictures]:
        axes.axvline(time, color="0.6", linewidth=0.7, linestyle=":")
    axes.set_ylim(-0.13, 1.3)
    axes.set_yticks([0, 0.5, 1])
    axes.set_xlim(0, float(one.times[-1]) if len(one.times) > 1 else 1.0)
    axes.set_xlabel("seconds; dotted: the frames above", fontsize=8)
    axes.tick_params(labelsize=7)
    sure = one.choice.confidence
    many = f"at most {counted(one.choice.faces, 'face')} at a time, {counted(one.choice.shots, 'shot')}"
    choice = "" if sure is None else f", the choice is sure by {sure:.2f}"
    axes.set_title(f"{one.name[:60]}: {many}{choice}", fontsize=9, loc="left")
    axes.legend(fontsize=7, loc="upper right", ncols=4, frameon=False)
