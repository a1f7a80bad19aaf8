"""Clips and folders of clips become a corpus; what a clip lacks is masked, what is broken costs only itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from trivium import upstream
from trivium.cli import app
from trivium.corpus import Corpus, LabelSpecification
from trivium.errors import DataError, MediaError, UpstreamError
from trivium.extract import ClipExtractor, Extracted, Recording, extract_clip, extract_clips, find_recordings
from trivium.extract.source.listing import labelled_recordings

MakeClip = Callable[..., Path]


@pytest.fixture(autouse=True)
def _models(need_models: Callable[..., None]) -> None:
    need_models("whisper-tiny-en", "minilm-l6", "g2p-en", "face-landmarker")


@pytest.fixture
def voice(need_models: Callable[..., None]) -> Path:
    """5.3 seconds of a person reading."""
    need_models("sample-voice")
    return upstream.model_file("sample-voice")


@pytest.fixture
def face(need_models: Callable[..., None]) -> Path:
    """Four silent seconds of a person talking."""
    need_models("sample-face")
    return upstream.model_file("sample-face")


def _actions(extracted: Extracted) -> dict[str, str]:
    return {f.modality: f.action for f in extracted.findings}


def test_a_voice_without_picture_gives_words_text_and_audio(voice: Path) -> None:
    extracted = ClipExtractor().extract(Recording(voice))
    one = extracted.utterance
    said = one.text.replace(",", "")  # whether a comma is heard differs between processors
    assert said.startswith("Unless to be rather cold-hearted and rather selfish")
    assert one.words is not None and one.words.times is not None
    assert one.words.text[:3] == ("unless", "to", "be")
    assert set(one.streams) == {"text", "audio", "audio_whisper"}
    np.testing.assert_array_equal(one.streams["text"].times, one.words.times)
    assert one.streams["audio"].steps == 530 and one.start == 0.0 and one.end == pytest.approx(5.3)
    assert _actions(extracted) == {"text": "recognised, aligned", "vision": "no picture"}


_DIGEST_SCRIPT = """
import sys
from pathlib import Path
from trivium.extract import ClipExtractor, Recording
one = ClipExtractor(["text", "audio"]).extract(Recording(Path(sys.argv[1]))).utterance
print(one.text, [hash(s.values.tobytes()) for s in one.streams.values()], one.words.confidence.tolist())
"""


def test_the_number_of_threads_changes_nothing(voice: Path) -> None:
    told = [
        subprocess.run(
            [sys.executable, "-c", _DIGEST_SCRIPT, str(voice)],
            env={**os.environ, "OMP_NUM_THREADS": threads, "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    ]
    assert told[0] == told[1] != ""


def test_a_given_transcript_replaces_recognition(voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trivium.extract.words import spoken

    monkeypatch.delattr(spoken, "recognise")
    text = "Unless to be rather cold-hearted, and rather selfish, is to be ill disposed"
    extracted = ClipExtractor(["text"]).extract(Recording(voice, transcript=text))
    assert extracted.utterance.text == text and extracted.utterance.streams["text"].steps == 14
    assert _actions(extracted) == {"text": "given, aligned"}


def test_a_silent_face_gives_vision_only(face: Path) -> None:
    extracted = ClipExtractor(frames_per_second=5).extract(Recording(face))
    vision = extracted.utterance.streams["vision"]
    assert set(extracted.utterance.streams) == {"vision"} and extracted.utterance.words is None
    assert vision.values.shape[1] == 66 and 15 <= vision.steps <= 25
    assert vision.times is not None and np.all(vision.times[1:, 0] >= vision.times[:-1, 1])
    assert _actions(extracted) == {"text": "no sound", "audio": "no sound"}


def test_a_silent_face_with_a_transcript_has_its_words_spread_and_says_so(face: Path) -> None:
    extracted = ClipExtractor(["text"]).extract(Recording(face, transcript="so I told him"))
    words = extracted.utterance.words
    assert words is not None and words.confidence is not None and words.times is not None
    assert words.confidence.tolist() == [0, 0, 0, 0] and np.ptp(np.diff(words.times)) < 1e-9
    assert _actions(extracted) == {"text": "given, spread evenly because they could not be aligned"}


def test_a_tone_and_an_empty_picture_give_audio_only(make_clip: MakeClip) -> None:
    extracted = ClipExtractor().extract(Recording(make_clip("a.mp4")))
    assert set(extracted.utterance.streams) == {"audio"}
    assert _actions(extracted) == {"text": "no speech", "vision": "no face"}


def test_a_clip_with_nothing_in_it_is_an_error_that_says_what_is_missing(make_clip: MakeClip) -> None:
    with pytest.raises(MediaError, match="text: no speech, vision: no face"):
        ClipExtractor(["text", "vision"]).extract(Recording(make_clip("a.mp4")))


def test_one_clip_in_one_call(voice: Path) -> None:
    assert set(extract_clip(voice, modalities=["audio"]).streams) == {"audio"}


@pytest.mark.parametrize("names", [["smell"], []])
def test_unknown_modalities_are_refused(names: list[str]) -> None:
    with pytest.raises(DataError, match="text, audio, vision"):
        ClipExtractor(names)


@pytest.fixture
def folder(make_clip: MakeClip, tmp_path: Path) -> Path:
    """Three good clips, one that is none, and files that are no clips."""
    for name in ("clips/b.wav", "clips/deeper/a.wav", "clips/c.mp4"):
        make_clip(name, fps=None, seconds=0.5)
    (tmp_path / "clips" / "broken.mp4").write_text("no clip")
    (tmp_path / "clips" / "notes.txt").write_text("no clip either")
    return tmp_path / "clips"


def test_a_broken_clip_costs_only_itself_and_is_reported(folder: Path, tmp_path: Path) -> None:
    corpus = extract_clips(folder, tmp_path / "out", modalities=["audio"], show=False)
    assert corpus.ids.tolist() == ["b", "c", "deeper/a"]
    (failure,) = corpus.provenance["failures"]
    assert (failure["id"], failure["clip"]) == ("broken", "broken.mp4") and "cannot be decoded" in failure["reason"]
    assert str(tmp_path) not in (tmp_path / "out" / "corpus.json").read_text(), "no path of this machine"
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")], "nothing is left behind"


def test_an_error_nobody_thought_of_costs_only_its_clip(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = ClipExtractor._utterance

    def utterance(self: ClipExtractor, source: Any, recording: Recording, seen: Any) -> Extracted:
        if recording.id == "b":
            raise ZeroDivisionError("a slip")
        return real(self, source, recording, seen)

    monkeypatch.setattr(ClipExtractor, "_utterance", utterance)
    corpus = extract_clips(folder, tmp_path / "out", modalities=["audio"], show=False)
    assert corpus.ids.tolist() == ["c", "deeper/a"]
    assert corpus.provenance["failures"][0] == {"id": "b", "clip": "b.wav", "reason": "ZeroDivisionError: a slip"}


def _content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_bytes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract_clips(folder, tmp_path / "straight", modalities=["audio"], show=False)
    real, seen = ClipExtractor._utterance, list[str]()

    def utterance(self: ClipExtractor, source: Any, recording: Recording, face: Any) -> Extracted:
        seen.append(recording.id)
        if seen.count("deeper/a") == 1 and recording.id == "deeper/a":
            raise KeyboardInterrupt
        return real(self, source, recording, face)

    monkeypatch.setattr(ClipExtractor, "_utterance", utterance)
    with pytest.raises(KeyboardInterrupt):
        extract_clips(folder, tmp_path / "killed", modalities=["audio"], show=False)
    assert not (tmp_path / "killed").exists()
    extract_clips(folder, tmp_path / "killed", modalities=["audio"], show=False)
    assert seen.count("b") == seen.count("c") == 1 and seen.count("deeper/a") == 2
    assert _content(tmp_path / "killed") == _content(tmp_path / "straight")


def test_parts_of_a_run_with_other_clips_are_not_taken_over(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clip("clips/a.wav", fps=None, tone=300.0)
    make_clip("clips/b.wav", fps=None)
    real = ClipExtractor._utterance
    with monkeypatch.context() as patch:

        def utterance(self: ClipExtractor, source: Any, recording: Recording, seen: Any) -> Extracted:
            if recording.id == "b":
                raise KeyboardInterrupt
            return real(self, source, recording, seen)

        patch.setattr(ClipExtractor, "_utterance", utterance)
        with pytest.raises(KeyboardInterrupt):
            extract_clips(tmp_path / "clips", tmp_path / "out", modalities=["audio"], show=False)
    make_clip("clips/a.wav", fps=None, tone=600.0)
    corpus = extract_clips(tmp_path / "clips", tmp_path / "out", modalities=["audio"], show=False)
    pitch = corpus[0].streams["audio"].values[50, 0]
    assert pitch == pytest.approx(12 * np.log2(600 / 27.5), abs=0.5) or pitch == 0


def test_labels_and_groups_of_recordings_reach_the_corpus(make_clip: MakeClip) -> None:
    mood = LabelSpecification("mood", "binary", ("calm", "angry"))
    recordings = [
        Recording(make_clip("a.wav", fps=None), labels={"mood": "calm"}, groups={"speaker": "1"}),
        Recording(make_clip("b.wav", fps=None), groups={"speaker": "2"}, splits={"official": "test"}),
    ]
    corpus = extract_clips(recordings, modalities=["audio"], labels=[mood], show=False)
    assert isinstance(corpus, Corpus)
    assert corpus.label("mood").tolist() == ["calm", ""]
    assert corpus.group("speaker").tolist() == ["1", "2"] and corpus.split("official").tolist() == ["", "test"]


def test_a_label_csv_gives_labels_folds_and_transcripts(make_clip: MakeClip, tmp_path: Path) -> None:
    make_clip("set/Raw/v1/1.mp4", fps=None)
    (tmp_path / "set" / "label.csv").write_text(
        "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode\n"
        "v1,1,so good,0.8,,,,Positive,train\nv1,2,gone,-0.4,,,,Negative,test\n"
    )
    corpus = extract_clips(tmp_path / "set", tmp_path / "out", modalities=["audio"], show=False)
    assert corpus.ids.tolist() == ["v1$_$1"] and corpus.label("sentiment").tolist() == [0.8]
    assert corpus.label("polarity").tolist() == ["Positive"] and corpus.group("video").tolist() == ["v1"]
    assert corpus.split("standard").tolist() == ["train"]
    assert corpus.provenance["failures"] == [
        {"id": "v1$_$2", "clip": "2.mp4", "reason": "cannot be read: No such file or directory"},
    ]
    assert [r.transcript for r in labelled_recordings(tmp_path / "set")[0]] == ["so good", "gone"]


def test_when_no_clip_can_be_read_the_first_reason_is_the_error(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no clip")
    with pytest.raises(MediaError, match=r"a\.mp4"):
        extract_clips(tmp_path / "a.mp4", tmp_path / "out", show=False)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_a_missing_model_is_named_before_any_work(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip("a.wav", fps=None)
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(UpstreamError, match="trivium upstream fetch minilm-l6"):
        extract_clips(path, tmp_path / "out", show=False)
    assert not (tmp_path / "out").exists()


def test_transcripts_are_found_by_id_at_any_depth(tmp_path: Path) -> None:
    for name in ("clips/a.wav", "clips/x/b.wav", "clips/c.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "texts" / "calm").mkdir(parents=True)
    (tmp_path / "texts" / "calm" / "a.txt").write_text("one", encoding="utf-8-sig")
    (tmp_path / "texts" / "b.txt").write_text("two")
    found = {r.id: r.transcript for r in find_recordings(tmp_path / "clips", tmp_path / "texts")}
    assert found == {"a": "one", "x/b": "two", "c": None}
    given = find_recordings(tmp_path / "clips", {"x/b": "three"})
    assert [r.transcript for r in given] == [None, None, "three"]


def test_listing_errors_name_their_file(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such file"):
        find_recordings(tmp_path / "gone")
    with pytest.raises(MediaError, match="no clips"):
        find_recordings(tmp_path)
    (tmp_path / "a.wav").touch()
    (tmp_path / "a.mp4").touch()
    with pytest.raises(DataError, match="two clips have the id 'a'"):
        find_recordings(tmp_path)


def test_a_transcript_that_is_no_text_costs_only_its_clip(make_clip: MakeClip, tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_clip(f"clips/{name}.wav", fps=None)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_bytes(b"\xff\xfe\xfa")
    (tmp_path / "texts" / "b.txt").write_text("two")
    (tmp_path / "texts" / "other.txt").write_bytes(b"\xff")  # of no clip, so nobody's fault
    options = ["--transcripts", str(tmp_path / "texts"), "--modalities", "audio", "--json"]
    done: Any = CliRunner().invoke(app, ["extract", str(tmp_path / "clips"), "--out", str(tmp_path / "out"), *options])
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["utterances"] == 1
    reason = {"reason": "its transcript a.txt is no text in UTF-8", "remedy": "convert it"}
    assert told["failures"] == [{"id": "a", "clip": "a.wav", **reason}]
    with pytest.raises(DataError, match=r"a\.txt.*UTF-8"):
        extract_clips(find_recordings(tmp_path / "clips", tmp_path / "texts")[:1], modalities=["audio"], show=False)


def test_the_command_reports_and_its_exit_code_tells_of_failures(folder: Path, tmp_path: Path) -> None:
    done: Any = CliRunner().invoke(
        app, ["extract", str(folder), "--out", str(tmp_path / "out"), "--modalities", "audio", "--json"]
    )
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["utterances"] == 3 and [f["id"] for f in told["failures"]] == ["broken"]
    assert told["failures"][0]["remedy"]
    (folder / "broken.mp4").unlink()
    again = ["extract", str(folder), "--out", str(tmp_path / "out"), "--modalities", "audio", "--overwrite"]
    assert CliRunner().invoke(app, again).exit_code == 0


@pytest.mark.data
def test_a_real_clip_goes_all_the_way(data_folder: Path, tmp_path: Path) -> None:
    clip = data_folder / "real-life-trial" / "clips" / "trial_lie_003.mp4"
    corpus = extract_clips(clip, tmp_path / "out", show=False)
    (one,) = list(corpus)
    assert set(one.streams) == {"text", "audio", "audio_whisper", "vision"} and one.words is not None
    assert one.streams["audio"].steps == pytest.approx(100 * one.end, abs=6)


def test_a_corpus_is_never_written_over_its_clips(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip("clips/a.wav", seconds=0.5, fps=None)
    for out in (tmp_path / "clips", tmp_path):
        with pytest.raises(DataError, match="clips lie in the folder"):
            extract_clips(tmp_path / "clips", out, modalities=["audio"], overwrite=True, show=False)
    assert clip.exists()
