"""Files that people really have: each is extracted as far as it goes, or costs itself and one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from trivium.errors import MediaError
from trivium.extract import extract_clips
from trivium.extract.source.media import SOUND_RATE, open_clip

MakeClip = Callable[..., Path]


def _tone(hertz: float, seconds: float, rate: int) -> Any:
    return (16000 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.int16)


def _write(
    path: Path,
    tracks: list[tuple[Any, int, str]],
    size: tuple[int, int] | None = None,
    frames: int = 0,
    fps: int = 10,
) -> Path:
    """Write tracks of (samples (n, channels), rate, layout), and grey frames without loss."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("ffv1", rate=fps) if size else None
        if picture is not None and size is not None:
            picture.width, picture.height, picture.pix_fmt = *size, "bgr0"
        streams = [container.add_stream("pcm_s16le", rate=rate, layout=layout) for _, rate, layout in tracks]
        if picture is not None and size is not None:
            for _ in range(frames):
                grey = np.full((size[1], size[0], 3), 90, np.uint8)
                container.mux(picture.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            container.mux(picture.encode())
        for stream, (samples, rate, layout) in zip(streams, tracks, strict=True):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), "s16", layout)
            frame.sample_rate, frame.pts = rate, 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


def _pitch(samples: Any) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * SOUND_RATE / len(samples))


def _only_reason(folder: Path) -> str:
    """Why the other clip of a folder with one good clip failed."""
    corpus = extract_clips(folder, modalities=["audio"], show=False)
    assert corpus.ids.tolist() == ["good"]
    (failure,) = corpus.provenance["failures"]
    return str(failure["reason"])


@pytest.fixture
def folder(make_clip: MakeClip, tmp_path: Path) -> Path:
    make_clip("clips/good.wav", fps=None, seconds=0.3)
    return tmp_path / "clips"


def test_an_empty_file(folder: Path) -> None:
    (folder / "bad.mp4").write_bytes(b"")
    assert "cannot be decoded" in _only_reason(folder)


def test_text_named_mp4(folder: Path) -> None:
    (folder / "bad.mp4").write_text("a shopping list\n" * 40)
    assert "cannot be decoded" in _only_reason(folder)


def test_a_video_that_is_cut_off(folder: Path, make_clip: MakeClip) -> None:
    path = make_clip("clips/bad.mkv", seconds=8.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    assert "is cut off" in _only_reason(folder)


def test_a_picture_named_mp4(folder: Path) -> None:
    with av.open(str(folder / "bad.jpg"), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    (folder / "bad.jpg").rename(folder / "bad.mp4")
    assert "cannot be decoded" in _only_reason(folder)


def test_a_file_without_read_permission(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "bad.wav").write_bytes((folder / "good.wav").read_bytes())
    real = Path.open

    def refuse(self: Path, *options: Any, **more: Any) -> Any:
        if self.name == "bad.wav":  # root may read everything, so the mode of the file proves nothing
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *options, **more)

    monkeypatch.setattr(Path, "open", refuse)
    assert _only_reason(folder) == "cannot be read: Permission denied"


@pytest.mark.parametrize("name", ['мой "клип" it\'s 1.wav', "100% & more; $HOME `x`.wav", "--out.wav", "a#b?c=d.wav"])
def test_names_with_spaces_quotes_and_cyrillic_letters(folder: Path, name: str) -> None:
    (folder / "good.wav").rename(folder / name)
    corpus = extract_clips(folder, folder.parent / "out", modalities=["audio"], show=False)
    assert corpus.provenance["failures"] == [] and corpus[0].clip == name and corpus[0].id == Path(name).stem


def test_a_video_without_sound(make_clip: MakeClip) -> None:
    seen = make_clip("seen.mp4", tone=None, seconds=0.5)
    with pytest.raises(MediaError, match="audio: no sound"):
        extract_clips(seen, modalities=["audio"], show=False)


def test_a_sound_without_video(make_clip: MakeClip) -> None:
    heard = make_clip("heard.wav", fps=None, seconds=0.5)
    corpus = extract_clips(heard, modalities=["audio", "vision"], show=False)
    assert set(corpus[0].streams) == {"audio"}
    assert [(row["kind"], row["action"]) for row in corpus.provenance["findings"]] == [("missing", "no picture")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [("good,0.1,0.1,bad", "its span from 0.1 to 0.1 s is empty"), ("good,5,6,bad", "begins at 5 s, and the clip ends")],
    ids=["a span of no length", "a span that begins past the end"],
)
def test_a_span_with_nothing_in_it(folder: Path, tmp_path: Path, row: str, reason: str) -> None:
    table = tmp_path / "spans.csv"
    table.write_text(f"clip,start,end,id\ngood,0,0.2,good\n{row}\n")
    corpus = extract_clips(folder, spans=table, modalities=["audio"], show=False)
    assert corpus.ids.tolist() == ["good"]
    (failure,) = corpus.provenance["failures"]
    assert failure["id"] == "bad" and reason in failure["reason"]


def test_a_span_that_ends_past_the_end(folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "spans.csv"
    table.write_text("clip,start,end,id\ngood,0.1,9,long\n")
    corpus = extract_clips(folder, spans=table, modalities=["audio"], show=False)
    assert corpus[0].end == pytest.approx(0.3, abs=0.05) and corpus[0].streams["audio"].steps == pytest.approx(
        20, abs=5
    )
    assert [row["action"] for row in corpus.provenance["findings"]] == ["ends after the clip, cut at its end"]


def test_two_people_talking(need_models: Callable[..., None], tmp_path: Path) -> None:
    need_models("sample-voice", "minilm-l6", "g2p-en", "whisper-tiny-en")
    from trivium.upstream import model_file

    one = open_clip(model_file("sample-voice")).sound()
    assert one is not None
    # a deeper voice that begins while the first one speaks, half as loud: the same person, played slower
    other = 0.5 * np.interp(np.arange(0, len(one) - 1, 0.8), np.arange(len(one)), one)
    both = np.zeros(5 * SOUND_RATE // 2 + len(other))
    both[: len(one)] += one
    both[-len(other) :] += other
    path = _write(tmp_path / "two.wav", [((both * 16000 / np.abs(both).max()).astype(np.int16), SOUND_RATE, "mono")])
    words = "Unless to be rather cold-hearted and rather selfish is to be ill-disposed."
    corpus = extract_clips(path, transcripts={"two": words}, modalities=["text", "audio"], show=False)
    assert corpus.provenance["failures"] == [] and set(corpus[0].streams) == {"text", "audio", "audio_whisper"}
    known = corpus[0].words
    assert known is not None and known.times is not None and len(known) == 14
    assert np.all(np.diff(known.times[:, 0]) >= 0) and known.times[-1, 1] <= corpus[0].end + 1e-9


def test_a_picture_of_one_pixel(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.mkv", [(_tone(440, 1.0, 16000), 16000, "mono")], (1, 1), 10)
    assert [frame.rgb.shape for frame in open_clip(path).frames(5)] == [(1, 1, 3)] * 5
    (one,) = extract_clips(path, modalities=["audio", "vision"], show=False)
    assert set(one.streams) == {"audio"} and one.end == pytest.approx(1.0, abs=0.1)


def test_a_picture_that_is_a_line(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.mkv", [], (2, 4000), 2)
    assert next(open_clip(path).frames(5)).rgb.shape == (1280, 1, 3)


def test_a_still_picture_as_video(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.mkv", [(_tone(440, 3.0, 16000), 16000, "mono")], (64, 48), 1)
    clip = open_clip(path)
    assert [frame.time for frame in clip.frames(12.5)] == [0.0] and clip.facts.seconds == pytest.approx(3.0, abs=0.1)
    (one,) = extract_clips(path, modalities=["audio", "vision"], show=False)
    assert set(one.streams) == {"audio"} and one.streams["audio"].steps == pytest.approx(300, abs=2)


def test_telephone_sound_of_8_khz(tmp_path: Path) -> None:
    clip = open_clip(_write(tmp_path / "a.wav", [(_tone(440, 1.0, 8000), 8000, "mono")]))
    samples = clip.sound()
    assert clip.facts.sample_rate == 8000 and samples is not None
    assert len(samples) == pytest.approx(SOUND_RATE, abs=40) and _pitch(samples) == pytest.approx(440, abs=2)
    (one,) = extract_clips(tmp_path / "a.wav", modalities=["audio"], show=False)
    assert one.streams["audio"].steps == pytest.approx(100, abs=2)


@pytest.mark.parametrize("channel", [0, 2, 5])  # the deep channel, 3, is left out of a mix by custom
def test_sound_of_5_1_channels_is_mixed_to_one(tmp_path: Path, channel: int) -> None:
    six = np.zeros((48000, 6), np.int16)
    six[:, channel] = _tone(440, 1.0, 48000)
    clip = open_clip(_write(tmp_path / "a.wav", [(six, 48000, "5.1")]))
    samples = clip.sound()
    assert clip.facts.channels == 6 and samples is not None and len(samples) == pytest.approx(SOUND_RATE, abs=40)
    assert np.abs(samples[2000:14000]).max() > 0.05 and _pitch(samples) == pytest.approx(440, abs=2)
    (one,) = extract_clips(tmp_path / "a.wav", modalities=["audio"], show=False)
    assert one.streams["audio"].steps == pytest.approx(100, abs=2)


def test_a_sound_track_is_chosen(tmp_path: Path) -> None:
    tones = [(_tone(hertz, 1.0, 16000), 16000, "mono") for hertz in (300, 900)]
    path = _write(tmp_path / "a.mkv", tones)
    for track, hertz in ((1, 300), (2, 900)):
        clip = open_clip(path, track=track)
        samples = clip.sound()
        assert clip.facts.sound_tracks == 2 and samples is not None and _pitch(samples) == pytest.approx(hertz, abs=2)
    with pytest.raises(MediaError, match=r"a\.mkv: has 2 sound tracks, and no track 3"):
        open_clip(path, track=3)
    corpus = extract_clips(path, tmp_path / "out", modalities=["audio"], track=2, show=False)
    assert corpus.provenance["track"] == 2


def test_a_chosen_track_is_part_of_what_a_stopped_run_remembers(tmp_path: Path) -> None:
    from trivium.extract import ClipExtractor, Recording
    from trivium.extract.run.stage import part_key

    one = Recording(tmp_path / "a.mkv", "a")
    usual = part_key(one, ClipExtractor(["audio"]), "0")
    assert usual == part_key(one, ClipExtractor(["audio"], track=1, cut="whole"), "0")
    others = {
        part_key(one, ClipExtractor(["audio"], track=2), "0"),
        part_key(one, ClipExtractor(["audio"], cut="voice"), "0"),
        part_key(Recording(one.path, "a", start=0.0, end=1.0), ClipExtractor(["audio"]), "0"),
    }
    assert len(others | {usual}) == 4
