"""Decoding: facts, sound, frames, and files that are no clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trivium.errors import LimitError, MediaError
from trivium.extract.source import media
from trivium.extract.source.media import SOUND_RATE, Clip, open_clip

MakeClip = Callable[..., Path]


def _tone_of(samples: Any) -> float:
    """Strongest frequency in Hz."""
    power = np.abs(np.fft.rfft(samples))
    return float(np.argmax(power) * SOUND_RATE / len(samples))


def test_facts_of_a_clip_with_sound_and_picture(make_clip: MakeClip) -> None:
    facts = open_clip(make_clip("a.mp4", seconds=2.0)).facts
    assert facts.has_sound and facts.has_picture
    assert (facts.width, facts.height, facts.sample_rate, facts.channels) == (64, 32, 44100, 1)
    assert facts.seconds == pytest.approx(2.0, abs=0.06) and facts.frames_per_second == pytest.approx(10, abs=0.4)


def test_sound_becomes_mono_float_at_16_khz(make_clip: MakeClip) -> None:
    samples = open_clip(make_clip("a.mp4", tone=440.0)).sound()
    assert samples is not None and samples.dtype == np.float32
    assert len(samples) == pytest.approx(SOUND_RATE, abs=0.06 * SOUND_RATE)
    assert _tone_of(samples[2000:14000]) == pytest.approx(440, abs=2)
    assert np.abs(samples[2000:14000]).max() == pytest.approx(0.5, abs=0.05)


def test_sound_that_begins_late_keeps_its_place_in_time(make_clip: MakeClip) -> None:
    samples = open_clip(make_clip("a.mkv", tone_delay=0.5)).sound()
    assert samples is not None
    assert np.abs(samples[:7800]).max() == 0
    assert np.abs(samples[8200:9000]).max() > 0.4
    assert len(samples) == pytest.approx(1.5 * SOUND_RATE, abs=200)


def test_frames_come_in_order_with_their_content_and_time(make_clip: MakeClip) -> None:
    frames = list(open_clip(make_clip("a.mp4", fps=10)).frames(10))
    assert [round(f.time, 3) for f in frames] == [round(k / 10, 3) for k in range(10)]
    for number, frame in enumerate(frames):
        assert frame.rgb.shape == (32, 64, 3) and frame.rgb.dtype == np.uint8
        assert frame.rgb[:14, :28].mean() > 235
        assert frame.rgb[18:, 34:].mean() == pytest.approx(10 * number, abs=4)


@pytest.mark.parametrize(("wanted", "expected"), [(5, 5), (2.5, 3), (10, 10), (50, 10)])
def test_fewer_frames_are_chosen_by_time_and_none_is_doubled(make_clip: MakeClip, wanted: float, expected: int) -> None:
    times = [f.time for f in open_clip(make_clip("a.mp4", fps=10)).frames(wanted)]
    assert len(times) == expected
    assert np.all(np.diff(np.floor(np.array(times) * wanted + 1e-6)) >= 1)


def test_a_variable_frame_rate_is_followed(make_clip: MakeClip) -> None:
    shown = [0.0, 0.04, 0.08, 0.5, 0.9, 0.95]
    clip = open_clip(make_clip("a.mkv", frame_times=shown, tone=None))
    assert [round(f.time, 2) for f in clip.frames(1000)] == shown
    assert [round(f.time, 2) for f in clip.frames(10)] == [0.0, 0.5, 0.9]


@pytest.mark.parametrize("turn", [90, 180, -90])
def test_a_rotated_clip_is_turned_upright(make_clip: MakeClip, turn: int) -> None:
    clip = open_clip(make_clip("a.mp4", rotation=turn))
    stored = np.zeros((32, 64), bool)
    stored[:16, :32] = True
    expected = np.rot90(stored, turn // 90 % 4)  # counter-clockwise, as the display matrix says
    seen = next(clip.frames(10)).rgb[..., 0] > 150
    assert seen.shape == expected.shape
    assert (seen == expected).mean() > 0.95


def test_large_pictures_are_reduced(make_clip: MakeClip) -> None:
    clip = open_clip(make_clip("a.mp4", size=(2560, 320), seconds=0.2))
    assert next(clip.frames(10)).rgb.shape == (160, 1280, 3)


def test_sound_alone_and_picture_alone_are_fine(make_clip: MakeClip) -> None:
    heard = open_clip(make_clip("a.wav", fps=None))
    assert not heard.facts.has_picture and list(heard.frames(10)) == []
    seen = open_clip(make_clip("b.mp4", tone=None))
    assert not seen.facts.has_sound and seen.sound() is None


def test_the_same_clip_gives_the_same_bytes(make_clip: MakeClip) -> None:
    path = make_clip("a.mp4")
    first, second = open_clip(path).sound(), open_clip(path).sound()
    assert first is not None and second is not None and first.tobytes() == second.tobytes()
    assert [f.rgb.tobytes() for f in open_clip(path).frames(5)] == [f.rgb.tobytes() for f in open_clip(path).frames(5)]


def _no_media(path: Path) -> None:
    path.write_text("hello, I am no clip\n" * 50)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _play_list(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n")


def _concat_list(path: Path) -> None:
    path.write_text("ffconcat version 1.0\nfile /etc/hostname\n")


@pytest.mark.parametrize("write", [_no_media, _empty, _play_list, _concat_list])
def test_what_is_no_clip_is_one_error_with_the_file(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / "a.mp4"
    write(path)
    with pytest.raises(MediaError, match=r"a\.mp4"):
        open_clip(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone\.mp4.*no such file"):
        open_clip(tmp_path / "gone.mp4")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.flac"])
def test_a_clip_that_is_cut_off_is_refused(make_clip: MakeClip, name: str) -> None:
    whole = make_clip(name, seconds=8.0, fps=None if name.endswith("flac") else 10)
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) // 3])
    with pytest.raises(MediaError, match=name):
        clip = open_clip(whole)
        clip.sound()


def test_a_clip_above_the_limits_is_refused(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip("a.mp4")
    monkeypatch.setattr(media, "_MOST_SECONDS", 0.5)
    with pytest.raises(LimitError, match=r"a\.mp4.*seconds"):
        open_clip(path)
    monkeypatch.setattr(media, "_MOST_BYTES", 100)
    with pytest.raises(LimitError, match=r"a\.mp4.*bytes"):
        open_clip(path)


def test_damage_inside_a_clip_is_reported_or_refused_but_never_silent(make_clip: MakeClip) -> None:
    path = make_clip("a.mkv", seconds=4.0, tone=None, fps=25)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(len(data) // 4, len(data), 400):
        data[place] = rng.integers(256)
    path.write_bytes(bytes(data))
    try:
        clip = open_clip(path)
        times = [f.time for f in clip.frames(25)]
    except MediaError as error:
        assert "a.mkv" in str(error)
    else:
        assert np.all(np.diff(times) > 0)


def _damage(clip: Clip, end: float) -> str:
    try:
        return clip.damage("video", end)
    except MediaError as error:
        return f"refused: {error.problem}"


def test_damage_of_a_span_does_not_depend_on_what_else_is_decoded(damaged_at_two: Path) -> None:
    told: dict[float, set[str]] = {1.0: set(), 3.5: set()}
    for within in ([(0.0, 1.0)], [(0.0, 1.0), (1.0, 3.5)], [(0.0, 1.0), (1.0, 3.5), (3.5, 4.0)], []):
        clip = open_clip(damaged_at_two)
        assert list(clip.frames(25, within, refuse=False))
        for end, what in told.items():
            if not within or end <= within[-1][1]:
                what.add(_damage(clip, end))
    assert told == {1.0: {""}, 3.5: {"refused: 30 of 88 video packets cannot be decoded"}}


def test_damage_refuses_what_is_read_and_no_more(damaged_at_two: Path) -> None:
    with pytest.raises(MediaError, match=r"a\.mkv.*30 of 101 video packets"):
        list(open_clip(damaged_at_two).frames(25))
    assert len(list(open_clip(damaged_at_two).frames(25, [(0.0, 1.0)]))) == 25
