"""Several faces, cuts, gaze and the choice of the one that speaks: by hand, by laws, and on pictures of a real face."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import rotate
from scipy.spatial.transform import Rotation

from trivium import upstream
from trivium.errors import DataError
from trivium.extract import ClipExtractor, Recording
from trivium.extract.source.media import open_clip
from trivium.extract.vision.detector import Detection, overlap
from trivium.extract.vision.face_columns import FACE_COLUMNS, FaceExtractor, face_stream, face_tracker
from trivium.extract.vision.gaze import gaze
from trivium.extract.vision.head_pose import HeadPose, head_pose, head_rotation
from trivium.extract.vision.landmark_columns import LandmarkExtractor
from trivium.extract.vision.landmarks import Face, FaceTracker
from trivium.extract.vision.recorder import FaceRecorder
from trivium.extract.vision.region import Region
from trivium.extract.vision.shots import CutDetector
from trivium.extract.vision.speaker import Mouth, choose_faces, frame_loudness
from trivium.extract.vision.tracks import FaceFollower

Float: TypeAlias = NDArray[np.floating[Any]]
Picture: TypeAlias = NDArray[np.uint8]
PLACE = {column.name: number for number, column in enumerate(FACE_COLUMNS)}
STEP = 0.08


# --- cuts -------------------------------------------------------------------------------------------------------------


def scene(seed: int) -> Picture:
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return coarse.repeat(32, axis=0).repeat(32, axis=1)


def test_a_new_scene_is_a_cut_and_noise_brightness_and_a_slow_pan_are_none() -> None:
    is_cut, noise = CutDetector(), np.random.default_rng(0)
    calm = [np.clip(scene(1) + noise.normal(0, 8, scene(1).shape), 0, 255).astype(np.uint8) for _ in range(5)]
    brighter = [np.clip(scene(1) + 3.0 * k, 0, 255).astype(np.uint8) for k in range(5)]
    pan = [np.roll(scene(1), 2 * k, axis=1) for k in range(5)]
    told = [is_cut(picture) for picture in (*calm, *brighter, *pan, scene(2), scene(2))]
    assert told == [False] * 15 + [True, False]


def test_a_camera_in_fast_motion_is_no_series_of_cuts() -> None:
    is_cut = CutDetector()
    told = [is_cut(np.roll(scene(1), 20 * k, axis=1)) for k in range(12)]
    assert sum(told) <= 1


# --- following, with stand-in networks --------------------------------------------------------------------------------


class Blobs:
    """Stand-in for the networks: a face is a square of one grey level on black, found where its pixels are."""

    canonical = None

    def __init__(self, *levels: int) -> None:
        self.levels = levels

    def _box(self, picture: Picture, level: int) -> Float | None:
        rows, columns = np.nonzero(picture[:, :, 0] == level)
        if not len(rows):
            return None
        return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float64)

    def detect(self, picture: Picture, turn: int | None = None) -> list[Detection]:
        found = (self._box(picture, level) for level in self.levels)
        return [Detection(1.0, box, box[:2] + np.zeros((6, 2))) for box in found if box is not None]

    def look(self, picture: Picture, region: Region) -> Face | None:
        half = region.side / 2
        seen = np.array([region.x - half, region.y - half, region.x + half, region.y + half])
        for level in self.levels:
            box = self._box(picture, level)
            if box is not None and overlap(box, seen[None])[0] > 0.2:
                landmarks = np.zeros((478, 3))
                landmarks[:, :2] = np.linspace(box[:2], box[2:], 478)
                return Face(landmarks, np.full(52, level / 255, np.float32), 0.9)
        return None


def canvas(*squares: tuple[int, int, int]) -> Picture:
    """Squares of 20 pixels: (level, x, y)."""
    picture = np.zeros((100, 200, 3), np.uint8)
    for level, x, y in squares:
        picture[y : y + 20, x : x + 20] = level
    return picture


def follow(pictures: Iterable[Picture], *levels: int, step: float = STEP) -> FaceFollower[int]:
    follower: FaceFollower[int] = FaceFollower(
        Blobs(*levels),  # type: ignore[arg-type]
        lambda face, _: round(float(face.blendshapes[0]) * 255),
    )
    for number, picture in enumerate(pictures):
        follower.add(number * step, picture)
    return follower


def seen_levels(follower: FaceFollower[int]) -> list[set[int]]:
    return [{sighting.kept for sighting in track.sightings} for track in follower.tracks]


def test_two_faces_that_move_are_two_tracks_and_none_jumps() -> None:
    follower = follow((canvas((100, 10 + k, 30), (200, 150 - k, 30)) for k in range(50)), 100, 200)
    assert seen_levels(follower) == [{100}, {200}]
    assert [track.frames.tolist() for track in follower.tracks] == [list(range(50))] * 2


def test_a_second_face_that_comes_late_is_found_within_two_seconds() -> None:
    pictures = [canvas((100, 10, 30), *([(200, 120, 30)] if k >= 30 else [])) for k in range(80)]
    follower = follow(pictures, 100, 200)
    assert seen_levels(follower) == [{100}, {200}]
    assert 30 <= follower.tracks[1].frames[0] <= 30 + 2 / STEP


def test_the_detector_rests_while_one_face_is_followed() -> None:
    follower = follow((canvas((100, 10 + k // 4, 30)) for k in range(400)), 100)
    assert follower.frames == 400 and follower.searches <= 5 + 400 * STEP / 2


def test_a_face_that_comes_back_to_its_place_soon_is_the_same_track_and_later_a_new_one() -> None:
    soon, late = (
        follow((canvas(*([] if 10 <= k < 10 + gone else [(40, 10, 30)])) for k in range(60)), 40) for gone in (8, 30)
    )
    assert len(soon.tracks) == 1 and soon.tracks[0].frames.tolist() == [*range(10), *range(18, 60)]
    assert len(late.tracks) == 2 and late.tracks[0].shot == late.tracks[1].shot == 0


def test_a_face_that_comes_back_elsewhere_is_a_new_track() -> None:
    follower = follow((canvas((40, 10 if k < 10 else 120, 30)) for k in range(20)), 40)
    assert [track.frames.tolist() for track in follower.tracks] == [list(range(10)), list(range(10, 20))]


def test_no_track_is_continued_behind_a_cut_even_in_the_same_place() -> None:
    pictures = [np.maximum(canvas((100, 60, 30)), 0 if k < 10 else 90) for k in range(20)]
    follower = follow(pictures, 100)
    assert [(track.shot, len(track.frames)) for track in follower.tracks] == [(0, 10), (1, 10)]


def test_two_tracks_on_one_face_become_one() -> None:
    pictures = [canvas((100, 10 + 4 * k, 30), (200, 90, 30)) for k in range(25)]  # 100 slides over 200
    follower = follow(pictures, 100, 200)
    last = [track.frames[-1] for track in follower.tracks[:2]]
    assert sum(frame == 24 for frame in last) <= 1 or not overlap(
        follower.tracks[0].sightings[-1].box, follower.tracks[1].sightings[-1].box[None]
    )


def test_at_most_four_faces_are_followed() -> None:
    faces = [(40 * (n + 1), 35 * n, 30) for n in range(5)]
    follower = follow((canvas(*faces) for _ in range(5)), *(level for level, _, _ in faces))
    assert len(follower.tracks) == 4


# --- choosing ---------------------------------------------------------------------------------------------------------


def talking(seed: int, count: int) -> tuple[Float, Float]:
    """A mouth that opens in bursts, and the loudness of the voice that belongs to it."""
    rng = np.random.default_rng(seed)
    bursts = np.repeat(rng.random(count // 8 + 1) < 0.6, 8)[:count]
    opening = np.where(bursts, rng.uniform(0, 0.4, count), 0.02 + rng.normal(0, 0.001, count))
    return opening, np.where(bursts, rng.uniform(0.5, 1, count), rng.uniform(0, 0.1, count))


def mouth(opening: Float, first: int = 0, shot: int = 0, size: float = 0.3) -> Mouth:
    return Mouth(shot, np.arange(first, first + len(opening)), opening, size)


TIMES = np.arange(150) * STEP


@pytest.mark.parametrize("speaks", [0, 1])
def test_of_two_talking_faces_the_one_whose_mouth_follows_the_voice_is_chosen(speaks: int) -> None:
    pair = [talking(seed, 150) for seed in (1, 2)]
    choice = choose_faces([mouth(opening) for opening, _ in pair], TIMES, pair[speaks][1], count=2)
    assert np.all(choice.chosen[0] == speaks) and np.all(choice.chosen[1] == 1 - speaks)
    assert choice.faces == 2 and choice.confidence is not None and choice.confidence > 0.9


def test_a_still_face_loses_also_without_sound_and_then_the_choice_is_less_sure() -> None:
    opening, loudness = talking(1, 150)
    mouths = [mouth(np.full(150, 0.02), size=0.5), mouth(opening)]
    heard, mute = choose_faces(mouths, TIMES, loudness), choose_faces(mouths, TIMES, None)
    assert np.all(heard.chosen == 1) and np.all(mute.chosen == 1)
    assert heard.confidence is not None and mute.confidence is not None
    assert 0.5 < mute.confidence < heard.confidence


def test_two_equal_faces_are_a_coin_toss_and_one_face_is_no_choice() -> None:
    opening, loudness = talking(1, 150)
    assert choose_faces([mouth(opening), mouth(opening)], TIMES, loudness).confidence == pytest.approx(0.5, abs=0.01)
    alone = choose_faces([mouth(opening)], TIMES, loudness)
    assert alone.confidence is None and alone.faces == 1 and np.all(alone.chosen == 0)


def test_of_two_faces_that_listen_none_is_chosen_surely() -> None:
    _, loudness = talking(1, 150)
    choice = choose_faces([mouth(np.full(150, 0.02)), mouth(np.full(150, 0.1), size=0.4)], TIMES, loudness)
    assert choice.confidence is not None and choice.confidence < 0.4


def test_who_was_lost_is_replaced_by_a_later_track_but_never_by_somebody_seen_beside() -> None:
    opening, loudness = talking(1, 150)
    still = np.full(150, 0.02)
    mouths = [mouth(opening[:60]), mouth(still), mouth(opening[100:], first=100)]
    choice = choose_faces(mouths, TIMES, loudness, count=2)
    assert choice.chosen[0].tolist() == [0] * 60 + [-1] * 40 + [2] * 50
    assert np.all(choice.chosen[1] == 1) and np.all(np.isnan(choice.sure[60:100]))


def test_a_face_seen_for_a_moment_is_no_further_face_but_may_be_the_only_one() -> None:
    opening, loudness = talking(1, 150)
    flicker, brief = mouth(opening[:2], first=40), mouth(opening[:5], first=80)
    chosen = choose_faces([mouth(opening), flicker, brief], TIMES, loudness, count=3).chosen
    assert np.all(chosen[0] == 0) and np.flatnonzero(chosen[1] >= 0).tolist() == [80, 81, 82, 83, 84]
    assert np.all(chosen[2] == -1), "2 frames of 80 ms are below 0.4 s"
    assert np.flatnonzero(choose_faces([flicker], TIMES, loudness, count=2).chosen[0] >= 0).tolist() == [40, 41]


def test_every_shot_chooses_anew() -> None:
    first, second = talking(1, 75), talking(2, 75)
    loudness = np.concatenate([first[1], second[1]])
    still = np.full(75, 0.02)
    mouths = [mouth(first[0]), mouth(still), mouth(still, 75, 1), mouth(second[0], 75, 1)]
    choice = choose_faces(mouths, TIMES, loudness)
    assert choice.shots == 2 and choice.chosen[0].tolist() == [0] * 75 + [3] * 75


def test_a_face_of_a_few_frames_is_not_counted() -> None:
    opening, loudness = talking(1, 150)
    choice = choose_faces([mouth(opening), mouth(np.array([0.0, 0.5]), first=10)], TIMES, loudness)
    assert choice.faces == 1 and choice.confidence is None and np.all(choice.chosen == 0)


def test_no_frame_and_no_face_give_an_empty_choice() -> None:
    assert choose_faces([], np.empty(0), None).chosen.shape == (1, 0)
    nobody = choose_faces([], TIMES, None)
    assert nobody.faces == 0 and nobody.shots == 1 and np.all(nobody.chosen == -1)


tracks = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 40), st.integers(0, 1), st.integers(0, 99)), min_size=1, max_size=5
)


@settings(max_examples=60)
@given(found=tracks, heard=st.booleans(), seed=st.integers(0, 9))
def test_a_choice_takes_only_faces_that_are_there_once_each_and_whatever_their_order(
    found: list[tuple[int, int, int, int]], heard: bool, seed: int
) -> None:
    mouths = []
    for number, (first, count, shot, own) in enumerate(found):
        opening = np.random.default_rng(own).uniform(0, 0.4, count)
        mouths.append(mouth(opening, first + 80 * shot, shot, 0.1 + 0.01 * number))
    times = np.arange(160) * STEP
    loudness = np.random.default_rng(seed).uniform(0, 1, 160) if heard else None
    choice = choose_faces(mouths, times, loudness, count=3)
    for place, frame in itertools.product(range(3), range(160)):
        number = choice.chosen[place, frame]
        assert number < 0 or frame in mouths[number].frames
        assert number < 0 or list(choice.chosen[:, frame]).count(number) == 1
    seen = np.zeros(160, bool)
    for one in mouths:
        seen[one.frames] = True
    known = choice.sure[np.isfinite(choice.sure)]
    assert np.all((known > 0) & (known <= 1)) and not np.any(choice.chosen[0][~seen] >= 0)
    turned = choose_faces(mouths[::-1], times, loudness, count=3)
    back = np.where(turned.chosen >= 0, len(mouths) - 1 - turned.chosen, -1)
    assert np.array_equal(back, choice.chosen)


def test_loudness_runs_from_the_quiet_to_the_loud_frames_of_a_span() -> None:
    sound = np.concatenate([np.full(1280, level) for level in (0.001, 0.01, 0.1)]).astype(np.float32)
    told = frame_loudness(sound, 5.0, 5.0 + np.arange(3) * STEP, STEP)
    quiet, loud = np.percentile([-60, -40, -20], [10, 95])
    assert told == pytest.approx(np.clip((np.array([-60, -40, -20]) - quiet) / (loud - quiet), 0, 1), abs=1e-6)
    assert frame_loudness(np.zeros(16000, np.float32), 0.0, np.arange(3) * STEP, STEP) is None
    assert frame_loudness(np.empty(0, np.float32), 0.0, np.arange(3) * STEP, STEP) is None


# --- gaze -------------------------------------------------------------------------------------------------------------

EYES = {"left": (473, 362, 263, 386, 374), "right": (468, 133, 33, 159, 145)}


def looking(yaw: float, pitch: float, pose: HeadPose, opening: float = 0.3) -> Float:
    """Landmarks of eyes 30 wide with a ball of 12, that look so in a head that is posed so."""
    radians = np.radians([yaw, pitch])
    head = np.zeros((478, 3))
    for sign, (iris, inner, outer, upper, lower) in zip((1, -1), EYES.values(), strict=True):
        middle = np.array([32.0 * sign, 0, 0])
        across, up = np.array([15.0 * sign, 0, 0]), np.array([0, 15 * opening, 0])
        head[inner], head[outer] = middle - across, middle + across
        head[upper], head[lower] = middle + up, middle - up
        head[iris] = middle + 12 * np.array([np.sin(radians[0]), np.sin(radians[1]), 0])
    turned: Float = head @ head_rotation(pose).T * [1, -1, -1] + np.array([200, 100, 0])
    return turned


angle = st.floats(-30, 30)


@settings(max_examples=50)
@given(yaw=angle, pitch=angle, turn=angle, nod=angle, tilt=st.floats(-80, 80))
def test_gaze_is_recovered_whatever_the_pose_of_the_head(
    yaw: float, pitch: float, turn: float, nod: float, tilt: float
) -> None:
    pose = HeadPose(nod, turn, tilt, 60.0)
    found = gaze(looking(yaw, pitch, pose), pose)
    assert (found.yaw, found.pitch) == pytest.approx((yaw, pitch), abs=1e-6) and found.seen == 1


def test_the_rotation_of_a_head_is_that_of_scipy() -> None:
    truth = Rotation.from_euler("ZYX", [10, -25, -15], degrees=True).as_matrix()
    assert np.allclose(head_rotation(HeadPose(15.0, -25.0, 10.0, 60.0)), truth)


def test_closed_eyes_and_the_far_eye_of_a_turned_head_are_not_used() -> None:
    straight = HeadPose(0.0, 0.0, 0.0, 60.0)
    shut = gaze(looking(20, 10, straight, opening=0.05), straight)
    assert (shut.yaw, shut.pitch, shut.seen) == (0, 0, 0)
    turned = HeadPose(0.0, 50.0, 0.0, 60.0)
    landmarks = looking(20, 10, turned)
    landmarks[EYES["left"][0]] += 500  # the far eye's iris is nonsense
    half = gaze(landmarks, turned)
    assert half.seen == 0.5 and (half.yaw, half.pitch) == pytest.approx((20, 10))


# --- real networks on pictures of a real face -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tracker(need_models: Callable[..., None]) -> FaceTracker:
    need_models("face-landmarker")
    return face_tracker()


@pytest.fixture(scope="module")
def portrait(need_models: Callable[..., None]) -> list[Picture]:
    """Four seconds of a talking face, 12.5 frames a second, 176 x 144."""
    need_models("sample-face")
    return [frame.rgb for frame in open_clip(upstream.model_file("sample-face")).frames(1 / STEP)]


def record(tracker: FaceTracker, pictures: Iterable[Picture]) -> FaceRecorder:
    recorder = FaceRecorder(tracker, STEP, [FaceExtractor()])
    for number, picture in enumerate(pictures):
        recorder.add(number * STEP, picture)
    return recorder


def beside(left: Iterable[Picture], right: Iterable[Picture]) -> list[Picture]:
    return [np.concatenate([a, b], axis=1) for a, b in zip(left, right, strict=True)]


def voice_of(recorder: FaceRecorder, track: int) -> Float:
    """Noise that is loud while the mouth of a track moves."""
    opening = np.array([sighting.kept.opening for sighting in recorder.follower.tracks[track].sightings])
    change = np.abs(np.gradient(opening))
    level = np.convolve(np.log(change + 0.003), np.ones(5) / 5, mode="same")
    level = 10 ** (1.5 * (level - level.max()) / (level.max() - level.min()))
    noise = np.random.default_rng(0).normal(0, 0.1, len(level) * 1280)
    return np.asarray(noise * level.repeat(1280), np.float32)


def test_one_face_gives_the_bytes_of_following_it_alone(tracker: FaceTracker, portrait: list[Picture]) -> None:
    stream = face_stream(((k * STEP, p) for k, p in enumerate(portrait)), frame_seconds=STEP, tracker=tracker)
    extractor, rows = FaceExtractor(), []
    face = tracker.first(portrait[0])
    for number, picture in enumerate(portrait):
        assert face is not None
        face = face if number == 0 else tracker.look(picture, face.region)
        assert face is not None
        rows.append(extractor.row(face, tracker.canonical, picture.shape[1], picture.shape[0]))
    assert stream is not None and stream.values.tobytes() == np.stack(rows).tobytes()
    recorder = record(tracker, portrait)
    assert recorder.follower.searches <= 5 and not recorder.several
    assert recorder.choice().confidence is None and recorder.choice().shots == 1


@pytest.mark.parametrize("moving", [0, 1])
def test_of_two_faces_the_one_that_moves_its_mouth_is_chosen_and_the_other_kept(
    tracker: FaceTracker, portrait: list[Picture], moving: int
) -> None:
    still = [portrait[0]] * len(portrait)
    recorder = record(tracker, beside(portrait, still) if moving == 0 else beside(still, portrait))
    choice = recorder.choice(faces=2)
    ((first,), (second,)) = (recorder.streams(choice, place=place) for place in (0, 1))
    assert first is not None and second is not None
    assert np.all((first.values[:, PLACE["face_x"]] > 0.5) == (moving == 1))
    assert np.all((second.values[:, PLACE["face_x"]] > 0.5) == (moving == 0))
    assert choice.faces == 2 and choice.confidence is not None and choice.confidence > 0.5
    assert first.steps >= len(portrait) - 5 and np.ptp(second.values[10:, PLACE["mouth_opening"]]) < 0.001


@pytest.mark.parametrize("speaks", [0, 1])
def test_of_two_talking_faces_the_sound_decides(tracker: FaceTracker, portrait: list[Picture], speaks: int) -> None:
    recorder = record(tracker, beside(portrait, portrait[::-1]))
    sides = [track.sightings[0].box[0] > portrait[0].shape[1] for track in recorder.follower.tracks]
    assert sorted(sides) == [False, True]
    choice = recorder.choice(voice_of(recorder, speaks))
    assert np.mean(choice.chosen[0] == speaks) > 0.9 and choice.confidence is not None


def test_behind_a_cut_the_face_is_another_track_and_nothing_is_lost(
    tracker: FaceTracker, portrait: list[Picture]
) -> None:
    black = np.zeros_like(portrait[0])
    scenes = beside(portrait[:12], [black] * 12) + beside([black] * 12, [p[:, ::-1] for p in portrait[:12]])
    recorder = record(tracker, scenes)
    choice = recorder.choice()
    assert choice.shots == 2 and choice.faces == 1 and choice.confidence is None
    assert [track.shot for track in recorder.follower.tracks] == [0, 1]
    assert np.all(choice.chosen[0] >= 0)


def test_a_face_that_leaves_is_masked_until_it_comes_back(tracker: FaceTracker, portrait: list[Picture]) -> None:
    pictures = []
    for number, picture in enumerate(portrait[:40]):
        place = np.full((288, 480, 3), 90, np.uint8)
        if not 15 <= number < 30:
            place[100:244, 200:376] = picture
        pictures.append(place)
    recorder = record(tracker, pictures)
    (stream,) = recorder.streams(recorder.choice())
    assert stream is not None and stream.times is not None
    seen = np.round(stream.times[:, 0] / STEP).astype(int).tolist()
    assert not set(seen) & set(range(15, 30)) and len(seen) >= 23


def test_a_hidden_face_is_masked_and_a_half_hidden_one_is_not_called_sure(
    tracker: FaceTracker, portrait: list[Picture]
) -> None:
    face = tracker.first(portrait[0])
    assert face is not None
    left, top, right, bottom = face.box.astype(int)
    hidden, barred = portrait[0].copy(), portrait[0].copy()
    hidden[max(top - 15, 0) : bottom + 5, left - 5 : right + 5] = 0
    barred[(top + bottom) // 2 : bottom + 5, left - 5 : right + 5] = 0
    assert tracker.first(hidden) is None
    covered = tracker.first(barred)
    assert covered is None or covered.presence <= face.presence


@pytest.mark.parametrize("degrees", [-90, -45, 45, 90])
def test_a_turned_picture_gives_no_face_or_the_true_roll(
    tracker: FaceTracker, portrait: list[Picture], degrees: int
) -> None:
    turned = np.ascontiguousarray(rotate(portrait[0], degrees, order=1))
    face, straight = tracker.first(turned), tracker.first(portrait[0])
    assert straight is not None
    if face is not None:
        roll = head_pose(face.landmarks, tracker.canonical, 1.0).roll
        own = head_pose(straight.landmarks, tracker.canonical, 1.0).roll
        assert abs((roll - own - degrees + 180) % 360 - 180) < 15


def test_gaze_agrees_with_the_blendshapes_of_another_network_and_turns_round_in_a_mirror(
    tracker: FaceTracker, portrait: list[Picture]
) -> None:
    ways = (portrait, [np.ascontiguousarray(p[:, ::-1]) for p in portrait])
    made = [record(tracker, pictures) for pictures in ways]
    straight, mirrored = ((one.streams(one.choice())[0]) for one in made)
    assert straight is not None and mirrored is not None
    column = {name: straight.values[:, number].astype(np.float64) for name, number in PLACE.items()}
    up = column["blendshape_eyeLookUpLeft"] - column["blendshape_eyeLookDownLeft"]
    to_own_left = column["blendshape_eyeLookOutLeft"] - column["blendshape_eyeLookInLeft"]
    seen = column["gaze_seen"] > 0
    assert seen.mean() > 0.5
    assert np.corrcoef(column["gaze_pitch"][seen], up[seen])[0, 1] > 0.5
    assert np.corrcoef(column["gaze_yaw"][seen], to_own_left[seen])[0, 1] > 0.5
    if mirrored.steps == straight.steps:
        both = seen & (mirrored.values[:, PLACE["gaze_seen"]] > 0)
        turned = mirrored.values[both, PLACE["gaze_yaw"]]
        assert np.corrcoef(turned, column["gaze_yaw"][both])[0, 1] < -0.3


def test_raw_landmarks_do_not_change_with_place_and_size_of_the_face(
    tracker: FaceTracker, portrait: list[Picture]
) -> None:
    face = tracker.first(portrait[0])
    assert face is not None
    extractor = LandmarkExtractor()
    row = extractor.row(face, tracker.canonical, 176, 144)
    moved = Face(face.landmarks * 3 + [50, -20, 7], face.blendshapes, face.presence)
    assert np.allclose(extractor.row(moved, tracker.canonical, 500, 400), row, atol=1e-5)
    points = dict(zip(extractor.specification.columns, row, strict=True))
    corners = np.array([[points[f"landmark_{n:03d}_{axis}"] for axis in "xyz"] for n in (33, 263)])
    assert np.linalg.norm(corners[0] - corners[1]) == pytest.approx(1) and np.allclose(
        corners.sum(axis=0), 0, atol=1e-6
    )
    nose, forehead = points["landmark_004_y"], points["landmark_010_y"]
    assert forehead < 0 < nose  # y points down


# --- whole clips ------------------------------------------------------------------------------------------------------


def write_clip(path: Path, pictures: Iterable[Picture], sound: Float | None = None) -> Path:
    import av

    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("mpeg4", rate=25), None
        video.bit_rate = 4_000_000
        if sound is not None:
            audio = container.add_stream("aac", rate=16000, layout="mono")
        shown = list(pictures)
        video.height, video.width = shown[0].shape[:2]
        for number, picture in enumerate(shown):
            for half in range(2):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts = 2 * number + half
                container.mux(video.encode(frame))
        container.mux(video.encode())
        if sound is not None and audio is not None:
            for start in range(0, len(sound), 1024):
                part = av.AudioFrame.from_ndarray(sound[None, start : start + 1024].astype(np.float32), "fltp", "mono")
                part.sample_rate, part.pts = 16000, start
                container.mux(audio.encode(part))
            container.mux(audio.encode())
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, tracker: FaceTracker, portrait: list[Picture]) -> Path:
    """A frozen face on the left, a talking one on the right, and sound that follows the right one's mouth."""
    pictures = beside([portrait[0]] * len(portrait), portrait)
    recorder = record(tracker, pictures)
    right = next(n for n, t in enumerate(recorder.follower.tracks) if t.sightings[0].box[0] > 176)
    return write_clip(tmp_path_factory.mktemp("pair") / "pair.mp4", pictures, voice_of(recorder, right))


def test_a_clip_with_two_faces_gives_the_speaker_the_other_and_how_sure_it_is(pair: Path) -> None:
    extracted = ClipExtractor(["vision"], faces=3).extract(Recording(pair))
    streams = extracted.utterance.streams
    assert set(streams) == {"vision", "vision_2"}
    assert streams["vision"].values[:, PLACE["face_x"]].min() > 0.5
    assert streams["vision_2"].values[:, PLACE["face_x"]].max() < 0.5
    assert streams["vision_2"].specification.columns == streams["vision"].specification.columns
    note = extracted.note
    assert note.faces == 2 and note.shots == 1
    assert note.speaker_confidence is not None and note.speaker_confidence > 0.8
    told = {(finding.kind, finding.modality): finding.action for finding in extracted.findings}
    assert told[("faces", "vision")] == "several faces, the one that speaks was chosen"
    assert told[("missing", "vision_3")] == "no further face"
    usual = ClipExtractor(["vision"]).extract(Recording(pair)).utterance.streams
    assert set(usual) == {"vision"} and usual["vision"].values.tobytes() == streams["vision"].values.tobytes()


def test_columns_and_landmarks_come_from_one_pass(pair: Path) -> None:
    extractor = ClipExtractor(["vision"], vision="face,landmarks", faces=2)
    assert extractor.specification.modalities == ("vision", "vision_2", "vision_landmarks", "vision_landmarks_2")
    streams = extractor.extract(Recording(pair)).utterance.streams
    assert streams["vision_landmarks"].values.shape == (streams["vision"].steps, 1434)
    raw, told = streams["vision_landmarks_2"].times, streams["vision_2"].times
    assert raw is not None and told is not None and np.array_equal(raw, told)


@pytest.mark.parametrize("faces", [0, 5])
def test_an_impossible_number_of_faces_is_refused(faces: int) -> None:
    with pytest.raises(DataError, match="1 to 4"):
        ClipExtractor(["vision"], faces=faces)


def test_a_sheet_of_faces_is_a_picture_and_nothing_else_is(pair: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    from trivium.report.face_sheet import face_sheet

    face_sheet(tmp_path / "faces.png", [pair], frames=3)
    sheet = imread(tmp_path / "faces.png")
    assert sheet.shape[1] == 1650 and sheet.shape[0] > 400
    orange = np.abs(sheet[:, :, :3] - np.array([255, 140, 26]) / 255).max(axis=2) < 0.05
    assert orange.sum() > 500
    with pytest.raises(DataError, match="png"):
        face_sheet(tmp_path / "faces.jpg", [pair])
    with pytest.raises(DataError, match="no clip has a picture"):
        face_sheet(tmp_path / "none.png", [])
    assert {file.name for folder in (tmp_path, pair.parent) for file in folder.iterdir()} == {"faces.png", "pair.mp4"}
