"""What several tests share: synthetic clips, the real corpora, models that have to be fetched."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from trivium.corpus import Corpus, LabelSpecification, Specification, Stream, StreamSpecification, Utterance

# A time limit per example says more about what else the machine does than about the code under test.
settings.register_profile("trivium", deadline=None, derandomize=False)
settings.load_profile("trivium")

_MILLISECOND = Fraction(1, 1000)
_SOUND = {".mp4": "aac", ".mkv": "pcm_s16le", ".wav": "pcm_s16le", ".flac": "flac"}


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of the real corpora, for tests with the marker ``data``."""
    named = os.environ.get("TRIVIUM_DATA")
    if not named:
        pytest.skip("TRIVIUM_DATA names no folder with the real corpora")
    return Path(named)


@pytest.fixture(scope="session")
def need_models() -> Callable[..., None]:
    """Function that fetches models of the catalogue, and skips the test if they cannot be had."""

    def need(*names: str) -> None:
        from trivium.errors import UpstreamError
        from trivium.upstream import fetch_models

        try:
            fetch_models(names, show=False)
        except UpstreamError as error:
            pytest.skip(f"needs a model that cannot be fetched here: {error}")

    return need


@pytest.fixture
def few_strengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two strengths in place of seven, where what is tested does not depend on how many a readout chooses from."""
    monkeypatch.setattr("trivium.evaluate.readout._STRENGTHS_LOGISTIC", (1e-2, 1.0))


TEXT = StreamSpecification("text", ("x", "y"), clock="words")
AUDIO = StreamSpecification("audio", ("f0",))
SENTIMENT = LabelSpecification("sentiment", "regression", range=(-3.0, 3.0))
MOOD = LabelSpecification("mood", "multiclass", ("down", "level", "up"))
EMOTIONS = LabelSpecification("emotions", "multilabel", ("neutral", "happy", "sad", "angry"), range=(0.0, 1.0))


@pytest.fixture
def make_spoken() -> Callable[..., Corpus]:
    """Function that gives synthetic utterances with a split, videos, actors and labels of three kinds.

    Text and audio carry the sentiment; `spoil` is what the text of test utterances says instead.
    """

    def make(n: int = 60, spoil: float | None = None) -> Corpus:
        rng = np.random.default_rng(0)
        made = []
        for i in range(n):
            fold = ("train", "train", "train", "valid", "test")[i % 5]
            value = float(rng.uniform(-2, 2))
            shown = spoil if spoil is not None and fold == "test" else value
            text = rng.standard_normal((int(rng.integers(2, 6)), 2)) * 0.1 + shown
            audio = rng.standard_normal((int(rng.integers(2, 6)), 1)) + value
            streams = {
                "text": Stream(text.astype(np.float32), TEXT),
                "audio": Stream(audio.astype(np.float32), AUDIO),
            }
            labels: dict[str, Any] = {
                "sentiment": value,
                "mood": MOOD.classes[int(np.digitize(value, (-0.7, 0.7)))],
                "emotions": tuple(float(f) for f in (abs(value) < 0.7, value > 0.7, value < -0.7, i % 3 == 0)),
            }
            groups = {"video": f"v{i // 5}", "actor": f"a{i % 6}"}
            made.append(Utterance(f"u{i}", streams, labels=labels, groups=groups, splits={"standard": fold}))
        return Corpus.from_utterances(made, Specification((TEXT, AUDIO), (SENTIMENT, MOOD, EMOTIONS)))

    return make


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """Function that writes a synthetic clip into the test's folder; see :func:`_write_clip`."""

    def make(name: str, **how: Any) -> Path:
        return _write_clip(tmp_path / name, **how)

    return make


@pytest.fixture(scope="session")
def write_clip() -> Callable[..., Path]:
    """The same for any folder, for fixtures that several tests share."""
    return _write_clip


def _write_clip(
    path: Path,
    *,
    seconds: float = 1.0,
    tone: float | None = 440.0,
    fps: int | None = 10,
    rotation: int = 0,
    tone_delay: float = 0.0,
    frame_times: list[float] | None = None,
    size: tuple[int, int] = (64, 32),
) -> Path:
    """Write a synthetic clip: a tone, and frames whose upper left quarter is white.

    The grey of the rest says which frame it is: ten times its number.
    """
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=fps) if fps else None
        sound = container.add_stream(_SOUND[path.suffix], rate=44100, layout="mono") if tone else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = *size, "yuv420p"
            picture.bit_rate = 4_000_000
            picture.codec_context.time_base = picture.time_base = _MILLISECOND
            if rotation:
                picture.set_display_rotation(rotation)
            times = frame_times or [k / (fps or 1) for k in range(round(seconds * (fps or 0)))]
            for number, time in enumerate(times):
                rgb = np.full((size[1], size[0], 3), 10 * number % 200, np.uint8)
                rgb[: size[1] // 2, : size[0] // 2] = 255
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                frame.pts, frame.time_base = round(time * 1000), _MILLISECOND
                container.mux(picture.encode(frame))
            container.mux(picture.encode())
        if sound is not None:
            wave = 0.5 * np.sin(2 * np.pi * (tone or 0) * np.arange(round(44100 * seconds)) / 44100)
            samples = (wave * 32767).astype(np.int16)
            for start in range(0, len(samples), 1024):
                frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], "s16", "mono")
                frame.sample_rate, frame.pts = 44100, start + round(44100 * tone_delay)
                container.mux(sound.encode(frame))
            container.mux(sound.encode())
    return path


@pytest.fixture
def damaged_at_two(make_clip: Callable[..., Path]) -> Path:
    """A silent clip of 4 seconds at 25 frames whose packets from 2 to 3.2 s are noise."""
    return _with_noise(make_clip("whole.mkv", seconds=4.0, tone=None, fps=25))


@pytest.fixture
def damaged_sound(make_clip: Callable[..., Path]) -> Path:
    """A tone of 4 seconds whose packets from 2 to 3.2 s are noise."""
    return _with_noise(make_clip("whole.flac", seconds=4.0, fps=None))


def _with_noise(whole: Path) -> Path:
    av = pytest.importorskip("av")
    path = whole.with_name("a.mkv")
    with av.open(str(whole)) as old, av.open(str(path), "w") as new:
        track = new.add_stream_from_template(old.streams[0])
        for packet in old.demux(old.streams[0]):
            if packet.size:
                broken = packet.pts is not None and 2.0 <= float(packet.pts * packet.time_base) < 3.2
                made = av.Packet(b"\xff" * 40 if broken else bytes(packet))
                made.pts, made.dts, made.time_base = packet.pts, packet.dts, packet.time_base
                made.is_keyframe, made.stream = packet.is_keyframe, track
                new.mux(made)
    return path
