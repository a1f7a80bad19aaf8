"""The timeline: which curves, where they break, what is shown as missing."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.corpus import Stream, StreamSpecification, Utterance, Words
from trivium.errors import DataError
from trivium.report import Timeline, lanes_of
from trivium.report.faces import FaceDrawing, draw_face, faces_by_word
from trivium.report.lanes import gaps


def _steps(begin: float, end: float, period: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    starts = np.arange(round((end - begin) / period)) * period + begin
    return np.column_stack([starts, starts + period])


def _face(
    begin: float = 0.0, end: float = 1.0, columns: tuple[str, ...] = ("blendshape_jawOpen", "head_roll")
) -> Stream:
    times = _steps(begin, end, 0.1)
    values = np.tile(np.array([[0.5, 10.0]], np.float32), (len(times), 1))
    return Stream(values, StreamSpecification("vision", columns, clock="seconds"), times)


def _words(*spans: tuple[float, float]) -> Words:
    return Words(tuple(f"w{i}" for i in range(len(spans))), np.array(spans, np.float64).reshape(-1, 2))


def test_pitch_is_drawn_in_hertz_and_only_where_there_is_a_voice() -> None:
    spec = StreamSpecification("audio", ("pitch_semitones", "voicing"), clock="seconds")
    values = np.array([[36.0, 1.0], [0.0, 0.0], [48.0, 1.0]], np.float32)
    (lane,) = lanes_of(Utterance("a", {"audio": Stream(values, spec, _steps(0, 0.03, 0.01))}))
    np.testing.assert_allclose(lane.lines["pitch"], [220.0, np.nan, 440.0])
    assert lane.unit == "Hz"


def test_columns_without_known_names_are_drawn_as_they_are() -> None:
    spec = StreamSpecification.positional("gaze", "tracker", 5, clock="seconds")
    stream = Stream(np.ones((2, 5), np.float32), spec, _steps(0, 0.2, 0.1))
    lanes = lanes_of(Utterance("a", {"gaze": stream}))
    assert [lane.name for lane in lanes] == ["tracker-gaze-00", "tracker-gaze-01", "tracker-gaze-02"]


def test_steps_that_are_words_take_the_times_of_the_words() -> None:
    spec = StreamSpecification("audio", ("energy_db",), clock="words")
    words = _words((0.0, 0.5), (0.5, 2.0))
    (lane,) = lanes_of(Utterance("a", {"audio": Stream(np.ones((2, 1), np.float32), spec)}, words))
    np.testing.assert_array_equal(lane.times, words.times)


def test_a_stream_without_times_has_no_lane() -> None:
    spec = StreamSpecification("audio", ("energy_db",), clock="none")
    assert lanes_of(Utterance("a", {"audio": Stream(np.ones((2, 1), np.float32), spec)})) == []


def test_the_end_of_the_face_is_shown_as_missing() -> None:
    utterance = Utterance("a", {"vision": _face(0.0, 1.0)}, _words((0.2, 0.8), (1.2, 1.8)))
    timeline = Timeline.of(utterance)
    assert timeline.faces[0] is not None and timeline.faces[1] is None
    html = str(timeline.html())
    assert html.count("not seen</text>") == len(timeline.lanes)
    assert html.count('class="face-missing"') == 1


def test_a_curve_does_not_run_across_a_hole() -> None:
    both = np.concatenate([_steps(0, 1, 0.1), _steps(3, 4, 0.1)])
    stream = Stream(
        np.ones((20, 1), np.float32), StreamSpecification("vision", ("blendshape_jawOpen",), "seconds"), both
    )
    html = str(Timeline.of(Utterance("a", {"vision": stream}, _words((0.0, 4.0)))).html())
    (curve,) = re.findall(r'<path d="([^"]*)" class="curve', html)
    assert curve.count("M") == 2


def test_words_never_lie_over_each_other() -> None:
    spans = [(i * 0.05, i * 0.05 + 0.05) for i in range(12)]
    timeline = Timeline.of(Utterance("a", words=Words(("extraordinarily",) * 12, np.array(spans))))
    rows = timeline._rows
    assert len(set(rows)) > 1
    centres = timeline._x(np.array(spans)).mean(axis=1)
    for row in set(rows):
        places = centres[np.array(rows) == row]
        assert (np.diff(places) > 15 * 7).all()


@pytest.mark.parametrize("utterance", [Utterance("a"), Utterance("a", words=Words(("hi",)))])
def test_words_without_times_are_one_clear_error(utterance: Utterance) -> None:
    with pytest.raises(DataError, match="no words with times"):
        Timeline.of(utterance)


def test_a_face_is_averaged_over_the_steps_inside_the_word() -> None:
    stream = _face()
    stream.values[5:, 0] = 0.9
    first, second = faces_by_word(Utterance("a", {"vision": stream}, _words((0.0, 0.5), (0.5, 1.0))))
    assert first is not None and second is not None
    np.testing.assert_allclose((first.opening, second.opening), (0.5, 0.9), rtol=1e-6)
    assert first.tilt == pytest.approx(10.0)


def test_a_face_without_blendshapes_is_not_drawn() -> None:
    stream = _face(columns=("au_01", "au_02"))
    assert faces_by_word(Utterance("a", {"vision": stream}, _words((0.0, 0.5)))) == []


def test_a_wider_mouth_and_a_closed_eye_change_the_drawing() -> None:
    resting = str(draw_face(FaceDrawing(), 0, 0, 60))
    assert 'ry="3"' in resting
    assert 'ry="0.4"' in str(draw_face(FaceDrawing(blink=1.0), 0, 0, 60))
    assert str(draw_face(FaceDrawing(opening=0.5), 0, 0, 60)) != resting
    assert "rotate(-10)" in str(draw_face(FaceDrawing(tilt=10.0), 0, 0, 60)), "counter-clockwise is positive"


@settings(max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0.01, 2)), max_size=12))
def test_gaps_and_steps_together_cover_the_span(parts: list[tuple[float, float]]) -> None:
    starts = sorted(parts)
    times = np.array([(a, a + d) for a, d in starts], np.float64).reshape(-1, 2)
    found = gaps(times, 0.0, 60.0)
    assert all(0 <= a < b <= 60.0 for a, b in found)
    for a, b in found:
        assert not ((times[:, 0] < b - 1e-9) & (times[:, 1] > a + 1e-9)).any(), "a gap lies where nothing is"
    assert all(b <= c for (_, b), (c, _) in pairwise(found))
