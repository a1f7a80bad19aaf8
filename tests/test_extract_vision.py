"""Face columns: geometry against brute force and SciPy, stand-in networks, and the real networks on real clips."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, rotate
from scipy.spatial.transform import Rotation

from trivium.errors import DataError, UpstreamError
from trivium.extract.vision.detector import Detection, FaceDetector, anchors, closer_squares, merge_overlapping
from trivium.extract.vision.face_columns import FACE_COLUMNS, face_specification, face_stream, face_tracker
from trivium.extract.vision.head_pose import CanonicalFace, canonical_face, head_pose, openings
from trivium.extract.vision.landmarks import BLENDSHAPES, Face, FaceTracker
from trivium.extract.vision.region import Region, crop

Float: TypeAlias = NDArray[np.floating[Any]]
Picture: TypeAlias = NDArray[np.uint8]
PLACE = {column.name: i for i, column in enumerate(FACE_COLUMNS)}


def noise_picture(height: int, width: int, seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# --- squares of a picture ---------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    x=st.floats(-20, 80),
    y=st.floats(-20, 60),
    side=st.floats(1, 120),
    angle=st.floats(-3.2, 3.2),
    seed=st.integers(0, 9),
)
def test_crop_equals_linear_interpolation_with_a_repeated_border(
    x: float, y: float, side: float, angle: float, seed: int
) -> None:
    picture, region = noise_picture(40, 60, seed), Region(x, y, side, angle)
    steps = np.arange(16) / 16
    shares = np.stack([np.tile(steps, 16), np.repeat(steps, 16)], axis=1)
    places = region.to_picture(shares)
    for channel in range(3):
        truth = map_coordinates(
            picture[:, :, channel].astype(np.float64), [places[:, 1], places[:, 0]], order=1, mode="nearest"
        )
        assert np.abs(crop(picture, region, 16)[:, :, channel].ravel() - truth).max() < 0.05


def test_a_turned_square_puts_its_corners_where_trigonometry_says() -> None:
    region = Region(10.0, 20.0, 4.0, np.pi / 2)  # a quarter turn clockwise as seen: right becomes down
    corners = region.to_picture(np.array([[0, 0], [1, 0], [0, 1.0]]))
    assert np.allclose(corners, [[12, 18], [12, 22], [8, 18]])


def test_depth_only_grows_with_the_square() -> None:
    assert Region(0, 0, 50, 1.0).to_picture(np.array([[0.5, 0.5, 0.1]]))[0, 2] == pytest.approx(5)


# --- detector ---------------------------------------------------------------------------------------------------------


def test_anchors_are_two_per_cell_of_a_fine_grid_then_six_per_cell_of_a_coarse_one() -> None:
    truth = []
    for cells, repeats in ((16, 2), (8, 6)):
        for row in range(cells):
            for column in range(cells):
                truth += [((column + 0.5) / cells, (row + 0.5) / cells)] * repeats
    assert np.allclose(anchors(), truth)


def test_overlapping_boxes_become_their_weighted_mean_and_others_stay() -> None:
    rows = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60.0]])
    merged = merge_overlapping(np.array([0.6, 0.9, 0.7]), rows)
    assert [score for score, _ in merged] == [0.9, 0.7]
    assert np.allclose(merged[0][1], (0.6 * rows[0] + 0.9 * rows[1]) / 1.5)
    assert np.allclose(merged[1][1], rows[2])


boxes = st.lists(
    st.tuples(st.floats(0, 50), st.floats(0, 50), st.floats(0, 20), st.floats(0, 20), st.floats(0.5, 1)), max_size=12
)


@settings(max_examples=50)
@given(found=boxes)
def test_merging_keeps_the_best_score_stays_inside_the_boxes_and_ends(
    found: list[tuple[float, float, float, float, float]],
) -> None:
    rows = np.array([[x, y, x + w, y + h] for x, y, w, h, _ in found]).reshape(-1, 4)
    scores = np.array([score for *_, score in found])
    merged = merge_overlapping(scores, rows)
    assert (len(merged) > 0) == (len(found) > 0)
    assert [s for s, _ in merged] == sorted((s for s, _ in merged), reverse=True)
    for _, row in merged:
        assert np.all(row >= rows.min(axis=0) - 1e-9) and np.all(row <= rows.max(axis=0) + 1e-9)
    if merged:
        assert merged[0][0] == scores.max()


class SeesAnchor:
    """Stand-in for the detector's network: one face at one anchor, in the call that is asked for."""

    def __init__(self, anchor: int, in_call: int = 0) -> None:
        self.anchor, self.in_call, self.calls = anchor, in_call, 0

    def __call__(self, values: NDArray[np.float32]) -> list[Float]:
        assert values.shape == (1, 128, 128, 3) and values.min() >= -1 and values.max() <= 1
        regressors, logits = np.zeros((1, 896, 16), np.float32), np.full((1, 896, 1), -9, np.float32)
        if self.calls == self.in_call:
            regressors[0, self.anchor, :4] = [4, -8, 32, 16]  # centre right and up of the anchor, then width and height
            logits[0, self.anchor] = 9
        self.calls += 1
        return [regressors, logits]


def test_a_detection_is_placed_in_a_picture_that_was_padded_to_a_square() -> None:
    anchor = 2 * (16 * 5 + 7)  # fine grid, row 5, column 7: (60, 44) of 128
    (face,) = FaceDetector(SeesAnchor(anchor))(noise_picture(300, 600))
    factor = 600 / 128
    centre = np.array([(60 + 4) * factor, (44 - 8) * factor - 150])
    half = np.array([16 * factor, 8 * factor])
    assert np.allclose(face.box, np.concatenate([centre - half, centre + half]))
    assert np.allclose(face.points, np.array([60 * factor, 44 * factor - 150]))
    assert face.region.side == pytest.approx(1.5 * 32 * factor)


def test_the_detector_also_looks_closer_square_by_square() -> None:
    network = SeesAnchor(0, in_call=2)
    (face,) = FaceDetector(network)(noise_picture(400, 800))
    second = closer_squares(400, 800)[1]
    assert network.calls == 1 + len(closer_squares(400, 800))
    assert np.allclose(face.points[0], np.array([second.x, second.y]) - 150 + 4 / 128 * 300)


@given(height=st.integers(1, 700), width=st.integers(1, 700))
def test_closer_squares_cover_every_pixel(height: int, width: int) -> None:
    squares = closer_squares(height, width)
    side = squares[0].side
    for length, middles in ((height, {s.y for s in squares}), (width, {s.x for s in squares})):
        edges = sorted(middles)
        assert edges[0] - side / 2 == pytest.approx(0) and edges[-1] + side / 2 == pytest.approx(length)
        assert np.all(np.diff(edges) <= side / 2 + 1e-6)


# --- head pose --------------------------------------------------------------------------------------------------------


def a_face(seed: int = 0) -> CanonicalFace:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.1, 1, 30)
    return CanonicalFace(rng.normal(size=(30, 3)) * [7, 9, 4], np.arange(30), weights / weights.sum())


angle = st.floats(-80, 80)


@settings(max_examples=50)
@given(pitch=angle, yaw=angle, roll=angle, scale=st.floats(2, 60))
def test_head_pose_recovers_the_rotation_that_was_applied(pitch: float, yaw: float, roll: float, scale: float) -> None:
    face = a_face()
    turn = Rotation.from_euler("ZYX", [roll, yaw, -pitch], degrees=True)
    seen = (turn.apply(face.points) * scale + [300, -200, 40]) * [1, -1, -1]
    pose = head_pose(seen, face, 480)
    assert [pose.pitch, pose.yaw, pose.roll] == pytest.approx([pitch, yaw, roll], abs=1e-4)
    assert pose.distance == pytest.approx(240 / np.tan(np.radians(31.5)) / scale)


def test_head_pose_of_a_noisy_face_is_the_weighted_optimum_of_scipy() -> None:
    face = a_face(1)
    turn = Rotation.from_euler("ZYX", [10, -25, 15], degrees=True)
    seen = turn.apply(face.points) * 20 + np.random.default_rng(2).normal(0, 15, (30, 3))
    centred = [p - face.weights @ p for p in (face.points, seen)]
    truth = Rotation.align_vectors(centred[1], centred[0], weights=face.weights)[0].as_euler("ZYX", degrees=True)
    pose = head_pose(seen * [1, -1, -1], face, 480)
    assert [pose.roll, pose.yaw, -pose.pitch] == pytest.approx(truth, abs=1e-4)


def test_head_pose_never_mirrors_a_face() -> None:
    face = a_face(3)
    pose = head_pose(face.points * [-1, -1, -1], face, 480)
    assert np.isfinite([pose.pitch, pose.yaw, pose.roll, pose.distance]).all()


def field(number: int, content: bytes | float) -> bytes:
    """Field of a protocol-buffer message: bytes with their length, or a 32-bit number."""
    if isinstance(content, bytes):
        length = len(content)
        sizes = bytes([length & 127 | 128, length >> 7 & 127 | 128, length >> 14])
        return bytes([number << 3 | 2]) + sizes + content
    return bytes([number << 3 | 5]) + struct.pack("<f", content)


def geometry(vertices: Float, weighted: dict[int, float]) -> bytes:
    mesh = b"\x08\x00\x10\x00" + b"".join(field(3, float(v)) for v in vertices.ravel())
    basis = [b"\x08" + bytes([n & 127 | 128, n >> 7]) + field(2, weight) for n, weight in weighted.items()]
    return field(1, mesh) + b"".join(field(2, item) for item in basis) + b"\x18\x01"


def test_the_canonical_face_is_read_from_its_message() -> None:
    vertices = np.arange(468 * 5, dtype=np.float64).reshape(468, 5)
    face = canonical_face(geometry(vertices, {4: 0.25, 300: 0.75}))
    assert face.landmarks.tolist() == [4, 300]
    assert np.array_equal(face.points, vertices[[4, 300], :3])
    assert face.weights.tolist() == [0.25, 0.75]


@pytest.mark.parametrize("message", [b"", b"\x0a", b"\xff" * 40, b"not a message", geometry(np.zeros((3, 5)), {1: 1})])
def test_a_broken_geometry_is_one_clear_error(message: bytes) -> None:
    with pytest.raises(UpstreamError, match="geometry"):
        canonical_face(message)


def test_openings_are_height_over_width() -> None:
    landmarks = np.zeros((478, 3))
    landmarks[[362, 263]] = [[0, 0, 0], [0, 4, 0]]
    landmarks[[386, 374]] = [[0, 2, 0], [0, 2, 1]]
    assert openings(landmarks) == (0.25, 0, 0)


# --- stream -----------------------------------------------------------------------------------------------------------


class Scripted:
    """Stand-in for the networks: sees a face in the middle wherever the first pixel is not black."""

    canonical = a_face()

    def detect(self, picture: Picture, turn: int | None = None) -> list[Detection]:
        return [Detection(1.0, np.array([10.0, 10, 40, 40]), np.full((6, 2), 25.0))]

    def look(self, picture: Picture, region: Region) -> Face | None:
        landmarks = np.random.default_rng(int(picture[0, 0, 0])).uniform(10, 40, (478, 3))
        return Face(landmarks, np.full(52, 0.5, np.float32), 0.9) if picture[0, 0, 0] else None


def frames(*levels: int, step: float = 0.1) -> Iterator[tuple[float, Picture]]:
    for i, level in enumerate(levels):
        yield i * step, np.full((40, 50, 3), level, np.uint8)


def test_frames_without_a_face_give_no_step_and_times_do_not_overlap() -> None:
    tracker = Scripted()
    stream = face_stream(frames(1, 0, 2, 3), frame_seconds=0.25, tracker=cast(FaceTracker, tracker))
    assert stream is not None and stream.times is not None
    assert stream.specification == face_specification()
    assert np.allclose(stream.times, [[0, 0.1], [0.2, 0.3], [0.3, 0.55]])
    assert np.all(stream.values[:, PLACE["blendshape_jawOpen"]] == 0.5)
    assert np.all(stream.values[:, PLACE["face_confidence"]] == np.float32(0.9))
    assert np.isfinite(stream.values).all()


def test_a_clip_without_any_face_gives_no_stream() -> None:
    assert face_stream(frames(0, 0), frame_seconds=0.1, tracker=cast(FaceTracker, Scripted())) is None
    assert face_stream(iter(()), frame_seconds=0.1, tracker=cast(FaceTracker, Scripted())) is None


def test_times_that_do_not_rise_and_pictures_that_are_none_are_clear_errors() -> None:
    tracker = cast(FaceTracker, Scripted())
    with pytest.raises(DataError, match="rise"):
        face_stream(frames(1, 1, step=0.0), frame_seconds=0.1, tracker=tracker)
    with pytest.raises(DataError, match="shape"):
        face_stream([(0.0, np.zeros((4, 4), np.uint8))], frame_seconds=0.1, tracker=tracker)


def test_a_file_that_is_no_bundle_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "text.task").write_text("no zip archive")
    with zipfile.ZipFile(tmp_path / "half.task", "w") as bundle:
        bundle.writestr("face_detector.tflite", b"")
    for name in ("text.task", "half.task", "missing.task"):
        with pytest.raises(UpstreamError, match="bundle"):
            FaceTracker(tmp_path / name)


def test_the_face_table_of_the_docs_is_that_of_the_code() -> None:
    page = (Path(__file__).parents[1] / "docs" / "columns.md").read_text(encoding="utf-8")
    rows = [line for line in page.split("## Face")[1].split("\n## ")[0].splitlines() if line.startswith("| `")]
    assert rows == [column.row for column in FACE_COLUMNS]
    assert face_specification().columns == tuple(PLACE)


# --- real networks ----------------------------------------------------------------------------------------------------


def fetched(name: str) -> Path:
    """A file of the catalogue; skip only where it can be neither found nor fetched."""
    from trivium.upstream import fetch_models, model_file

    try:
        fetch_models([name], show=False)
    except UpstreamError as error:
        pytest.skip(f"{name} can be neither found nor fetched: {error}")
    return model_file(name)


@pytest.fixture(scope="module")
def tracker() -> FaceTracker:
    fetched("face-landmarker")
    return face_tracker()


def test_no_face_is_seen_in_pictures_without_one(tracker: FaceTracker) -> None:
    ramp = np.tile(np.linspace(0, 255, 320).astype(np.uint8)[:, None], (240, 1, 3))
    for picture in (np.zeros((240, 320, 3), np.uint8), noise_picture(240, 320), ramp, noise_picture(1, 1)):
        assert tracker.first(picture) is None


@pytest.fixture(scope="module")
def clip() -> list[tuple[float, Picture]]:
    """Four seconds of a talking face, ten frames a second."""
    from trivium.extract.source.media import open_clip

    return [(frame.time, frame.rgb) for frame in open_clip(fetched("sample-face")).frames(10.0)]


def seen_in(tracker: FaceTracker, picture: Picture) -> Face:
    face = tracker.first(picture)
    assert face is not None
    return face


def test_a_talking_face_is_followed_through_a_clip(tracker: FaceTracker, clip: list[tuple[float, Picture]]) -> None:
    stream = face_stream(clip, frame_seconds=0.1, tracker=tracker)
    assert stream is not None and stream.steps == len(clip)
    values = {name: stream.values[:, i] for name, i in PLACE.items()}
    shapes = stream.values[:, : len(BLENDSHAPES)]
    assert shapes.min() >= 0 and shapes.max() <= 1
    assert np.abs(values["head_yaw"]).max() < 60 and np.abs(values["head_roll"]).max() < 45
    assert np.all((values["face_x"] > 0) & (values["face_x"] < 1) & (values["face_size"] < 1))
    # an open jaw is an open mouth: two networks and one ratio of landmarks must agree
    assert np.corrcoef(values["blendshape_jawOpen"], values["mouth_opening"])[0, 1] > 0.5
    again = face_stream(clip, frame_seconds=0.1, tracker=tracker)
    assert again is not None and again.values.tobytes() == stream.values.tobytes()


def test_following_a_face_gives_what_a_fresh_detection_gives(
    tracker: FaceTracker, clip: list[tuple[float, Picture]]
) -> None:
    followed = seen_in(tracker, clip[0][1])
    for _, picture in clip[1:8]:
        face = tracker.look(picture, followed.region)
        assert face is not None
        followed = face
    fresh = seen_in(tracker, clip[7][1])
    width = np.ptp(fresh.landmarks[:, 0])
    assert np.linalg.norm(followed.landmarks[:, :2] - fresh.landmarks[:, :2], axis=1).mean() < 0.03 * width


def test_a_mirrored_face_has_mirrored_angles(tracker: FaceTracker, clip: list[tuple[float, Picture]]) -> None:
    picture = clip[0][1]
    pose, mirrored = (
        head_pose(seen_in(tracker, p).landmarks, tracker.canonical, p.shape[0])
        for p in (picture, np.ascontiguousarray(picture[:, ::-1]))
    )
    assert mirrored.yaw == pytest.approx(-pose.yaw, abs=6)
    assert mirrored.roll == pytest.approx(-pose.roll, abs=3)
    assert mirrored.pitch == pytest.approx(pose.pitch, abs=5)
    assert abs(pose.roll) > 6  # else the signs would prove nothing


def test_a_turned_picture_adds_its_angle_to_the_roll(tracker: FaceTracker, clip: list[tuple[float, Picture]]) -> None:
    picture = clip[0][1]
    straight = head_pose(seen_in(tracker, picture).landmarks, tracker.canonical, 1.0)
    turned = rotate(picture, 20, reshape=True, order=1, mode="nearest")  # counter-clockwise
    leaning = head_pose(seen_in(tracker, turned).landmarks, tracker.canonical, 1.0)
    assert leaning.roll - straight.roll == pytest.approx(20, abs=3)


needs_clips = pytest.mark.skipif("TRIVIUM_DATA" not in os.environ, reason="TRIVIUM_DATA names no folder with clips")


def real_frames(per_second: float, every: int) -> list[list[tuple[float, Picture]]]:
    from trivium.extract.source.media import open_clip

    clips = sorted((Path(os.environ["TRIVIUM_DATA"]) / "real-life-trial" / "clips").glob("*.mp4"))[::every]
    return [[(frame.time, frame.rgb) for frame in open_clip(path).frames(per_second)] for path in clips]


@pytest.mark.data
@needs_clips
def test_faces_of_real_clips_look_the_other_way_in_a_mirror(tracker: FaceTracker) -> None:
    clips = real_frames(0.25, every=34)
    frames = [picture for clip in clips for _, picture in clip]
    yaws = []
    for picture in frames:
        pair = []
        for side in (picture, np.ascontiguousarray(picture[:, ::-1])):
            face = tracker.first(side)
            if face is not None:
                pair.append(head_pose(face.landmarks, tracker.canonical, side.shape[0]).yaw)
        yaws += [pair] if len(pair) == 2 else []
    assert len(clips) == 3 and len(yaws) >= 0.5 * len(frames)
    straight, mirrored = np.array(yaws).T
    assert np.abs(straight).max() > 15
    assert np.median(np.abs(straight + mirrored)) < 5
