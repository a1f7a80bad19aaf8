"""A face as a line drawing: moved by blendshapes and head pose alone, so that no picture of a person enters a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivium.corpus import Utterance
from trivium.report.svg import Markup, element, number

__all__ = ["FaceDrawing", "draw_face", "faces_by_word"]

# What each feature of the drawing follows; several columns are averaged.
_FEATURES: Mapping[str, tuple[str, ...]] = {
    "opening": ("blendshape_jawOpen",),
    "smile": ("blendshape_mouthSmileLeft", "blendshape_mouthSmileRight"),
    "frown": ("blendshape_mouthFrownLeft", "blendshape_mouthFrownRight"),
    "pucker": ("blendshape_mouthPucker", "blendshape_mouthFunnel"),
    "raised": ("blendshape_browInnerUp", "blendshape_browOuterUpLeft", "blendshape_browOuterUpRight"),
    "lowered": ("blendshape_browDownLeft", "blendshape_browDownRight"),
    "blink": ("blendshape_eyeBlinkLeft", "blendshape_eyeBlinkRight"),
    "turn": ("head_yaw",),
    "nod": ("head_pitch",),
    "tilt": ("head_roll",),
}


@dataclass(frozen=True)
class FaceDrawing:
    """Numbers that move the drawing: blendshapes in 0 to 1, head pose in degrees; what is unknown rests at 0.

    A positive turn goes to the right of the picture, a positive nod up, a positive tilt counter-clockwise.

    Examples
    --------
    >>> FaceDrawing(opening=0.4).smile
    0.0
    """

    opening: float = 0.0
    smile: float = 0.0
    frown: float = 0.0
    pucker: float = 0.0
    raised: float = 0.0
    lowered: float = 0.0
    blink: float = 0.0
    turn: float = 0.0
    nod: float = 0.0
    tilt: float = 0.0


def faces_by_word(utterance: Utterance) -> list[FaceDrawing | None]:
    """One drawing per word, from the mean of the face's steps whose middle lies in the word; None where there is none.

    Parameters
    ----------
    utterance : Utterance
        With timed words and a ``vision`` stream on the clock ``seconds``; otherwise the list is empty.

    Examples
    --------
    >>> faces_by_word(Utterance("a"))
    []
    """
    stream, words = utterance.streams.get("vision"), utterance.words
    if stream is None or stream.times is None or words is None or words.times is None:
        return []
    place = {name: i for i, name in enumerate(stream.specification.columns)}
    known = {f: [place[c] for c in columns if c in place] for f, columns in _FEATURES.items()}
    if not known["opening"]:
        return []
    middle = stream.times.mean(axis=1)
    inside = [(middle >= start) & (middle < end) for start, end in words.times]
    return [_drawing(stream.values[rows], known) if rows.any() else None for rows in inside]


def _drawing(steps: NDArray[np.float32] | NDArray[np.int32], known: Mapping[str, list[int]]) -> FaceDrawing:
    mean = steps.mean(axis=0)
    return FaceDrawing(**{feature: float(mean[columns].mean()) for feature, columns in known.items() if columns})


def draw_face(face: FaceDrawing | None, x: float, y: float, size: float) -> Markup:
    """Draw one face around (x, y), or a dashed outline where no face was seen.

    Parameters
    ----------
    face : FaceDrawing or None
        What moves the drawing.
    x, y : float
        Middle of the drawing in pixels.
    size : float
        Height in pixels.

    Examples
    --------
    >>> "face-missing" in draw_face(None, 0, 0, 40)
    True
    """
    scale = size / 60
    place = f"translate({number(x)} {number(y)}) scale({scale:.3f})"
    if face is None:
        outline = element("ellipse", rx=21, ry=27, class_="face-missing")
        return element("g", outline, element("title", "no face was seen during this word"), transform=place)
    shift = f"translate({number(_within(face.turn / 45, 1) * 9)} {number(-_within(face.nod / 45, 1) * 8)})"
    features = element("g", *_eyes(face), *_brows(face), _nose(), _mouth(face), transform=shift)
    head = element("ellipse", rx=21, ry=27, class_="face-head")
    tilted = element("g", head, features, transform=f"rotate({number(-_within(face.tilt, 45))})")
    return element("g", tilted, transform=place, class_="face")


def _within(value: float, most: float) -> float:
    return max(-most, min(most, value))


def _eyes(face: FaceDrawing) -> list[Markup]:
    height = max(0.4, 3.0 * (1 - _within(face.blink, 1)))
    return [element("ellipse", cx=x, cy=-5, rx=3.2, ry=number(height), class_="face-eye") for x in (-8.5, 8.5)]


def _brows(face: FaceDrawing) -> list[Markup]:
    inner = -12 - 5 * face.raised + 4 * face.lowered
    outer = -12 - 3 * face.raised + 1 * face.lowered
    lines = (
        f"M{side * 14} {number(outer + 1)}Q{side * 9} {number(min(inner, outer) - 2)} {side * 4.5} {number(inner)}"
        for side in (-1, 1)
    )
    return [element("path", d=d, class_="face-line") for d in lines]


def _nose() -> Markup:
    return element("path", d="M0 -3Q-2.5 4 0 4.5", class_="face-line face-thin")


def _mouth(face: FaceDrawing) -> Markup:
    half = 8.5 + 2.5 * face.smile - 4 * face.pucker
    corner = 13 - 4.5 * face.smile + 3 * face.frown
    upper, lower = 13 + 1.0 * face.smile, 13.6 + 1.5 * face.smile + 15 * face.opening
    d = (
        f"M{number(-half)} {number(corner)}Q0 {number(2 * upper - corner)} {number(half)} {number(corner)}"
        f"Q0 {number(2 * lower - corner)} {number(-half)} {number(corner)}Z"
    )
    return element("path", d=d, class_="face-mouth")
