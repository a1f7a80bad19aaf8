"""The page as a whole: self-contained, escaped, whole markup, the same bytes twice."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from trivium.corpus import (
    Aligned,
    LabelSpecification,
    Specification,
    Stream,
    StreamSpecification,
    Utterance,
    Words,
)
from trivium.errors import DataError
from trivium.evaluate import probe
from trivium.report import (
    Answer,
    EmbeddingMap,
    MatrixPair,
    Note,
    Notes,
    Score,
    ScoreTable,
    Section,
    Step,
    Timeline,
    VectorStrip,
    plot_loss_curves,
    principal_plane,
    render_report,
    write_report,
)
from trivium.report.matrix import shades
from trivium.report.svg import png

_HOSTILE = "</script><img src=x onerror=alert(1)>\"'&"
_VOID = {"meta", "img", "br", "link"}


class _Tags(HTMLParser):
    """Collects open elements and complains about those that are closed in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"


def _utterance(word: str = "hello") -> Utterance:
    voice = StreamSpecification("audio", ("pitch_semitones", "voicing", "energy_db"), clock="seconds")
    steps = np.arange(100) * 0.01
    times = np.column_stack([steps, steps + 0.01])
    values = np.column_stack([np.full(100, 36.0), steps < 0.5, np.full(100, -20.0)]).astype(np.float32)
    face = StreamSpecification("vision", ("blendshape_jawOpen", "head_yaw"), clock="seconds")
    seen = np.column_stack([np.arange(10) * 0.05, np.arange(10) * 0.05 + 0.05])
    streams = {
        "audio": Stream(values, voice, times),
        "vision": Stream(np.full((10, 2), 0.25, np.float32), face, seen),
    }
    return Utterance("u", streams, Words((word, "there"), np.array([[0.1, 0.4], [0.6, 0.9]])))


def _pair(word: str = "hello") -> MatrixPair:
    spec = Specification(
        (
            StreamSpecification("audio", ("f0", _HOSTILE), clock="words"),
            StreamSpecification("vision", ("jaw",), clock="words"),
        )
    )
    values = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    mask = np.array([[False, True, True]])
    cells = np.array([[[False, False], [True, True], [True, False]]])
    words = np.array([["", word, "there"]])
    x = Aligned(values, mask, cells, spec, np.array(["u"]), np.full((1, 3, 2), np.nan), words)
    return MatrixPair(x, np.zeros((3, 3), np.float32))


def _sections(text: str = "plain") -> list[Section]:
    return [
        Timeline.of(_utterance(text), lead=text),
        _pair(text),
        VectorStrip(np.array([0.5, -1.0, 2.0])),
        Answer(text, (text, "other"), (0.75, 0.25), text),
        EmbeddingMap(np.eye(2), np.array([text, "b"]), np.array([text, "v"]), (text, "b"), text),
        ScoreTable((Score(text, 0.5, 0.4, 0.6, 0.01, about=text), Score("floor", 0.3, floor=True)), text, text, 0.125),
        Notes((Note(text, text),)),
    ]


def _page(text: str = "plain") -> str:
    return render_report(text, _sections(text), lead=text, notice=text, journey=(Step(text, text, text),))


def _script_data(page: str) -> list[dict[str, object]]:
    return [json.loads(found) for found in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page)]


def test_markup_is_whole_and_every_element_is_closed() -> None:
    tags = _Tags()
    tags.feed(_page())
    tags.close()
    assert tags.open == []
    assert {"svg", "table", "details", "figure"} <= {tag for tag, _ in tags.seen}


def test_nothing_is_loaded_from_anywhere() -> None:
    tags = _Tags()
    tags.feed(_page())
    for tag, attributes in tags.seen:
        for name in ("src", "href", "srcset", "action", "data", "xlink:href"):
            assert (attributes.get(name) or "data:").startswith("data:"), (tag, name)
    page = _page()
    assert "@import" not in page and "url(http" not in page and "https://" not in page
    policies = [a.get("content") for tag, a in tags.seen if tag == "meta" and "http-equiv" in a]
    assert len(policies) == 1 and "default-src 'none'" in (policies[0] or "")


def test_hostile_text_stays_text_everywhere() -> None:
    page = _page(_HOSTILE)
    tags = _Tags()
    tags.feed(page)
    tags.close()
    assert all(attributes.get("src") != "x" and "onerror" not in attributes for _, attributes in tags.seen)
    words = [data["words"] for data in _script_data(page)]
    assert any(_HOSTILE in json.dumps(w, ensure_ascii=False).replace('\\"', '"') for w in words)


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write_report(tmp_path / name, _sections(), title="A clip")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_values_of_the_matrix_can_be_read_back_from_the_page() -> None:
    (data,) = _script_data(str(_pair().html()))
    blocks = data["blocks"]
    assert isinstance(blocks, list)
    audio = blocks[0]
    steps = np.frombuffer(base64.b64decode(audio["values"]), np.uint8).reshape(2, 2, 2)
    values = audio["low"] + steps / 255 * (audio["high"] - audio["low"])
    expected = np.arange(9).reshape(3, 3)[1:, :2]
    np.testing.assert_allclose(values[0], expected, atol=(audio["high"] - audio["low"]) / 255)
    np.testing.assert_allclose(values[1], 0, atol=(audio["high"] - audio["low"]) / 255)
    assert blocks[1]["seen"] == [1, 0], "padding is not drawn, and the second word had no face"


def test_errors_count_only_cells_that_were_seen() -> None:
    errors = _pair().errors()
    assert errors["audio"] == pytest.approx(np.mean(np.square([3, 4, 6, 7])))
    assert errors["vision"] == pytest.approx(25.0), "the face of the second word was never seen"


def test_a_reconstruction_of_another_shape_is_refused() -> None:
    with pytest.raises(DataError, match=r"reconstruction of shape \(2, 3\)"):
        MatrixPair(_pair().aligned, np.zeros((2, 3), np.float32))


def test_a_picture_decodes_to_the_pixels_it_was_made_of() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)
    data = base64.b64decode(png(pixels).partition(",")[2])
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    found, place = b"", 8
    while place < len(data):
        (size,) = struct.unpack(">I", data[place : place + 4])
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + size]
        assert struct.unpack(">I", data[place + 8 + size : place + 12 + size]) == (zlib.crc32(kind + body),)
        found += body if kind == b"IDAT" else b""
        place += 12 + size
    rows = np.frombuffer(zlib.decompress(found), np.uint8).reshape(3, 21)
    np.testing.assert_array_equal(rows[:, 1:].reshape(3, 5, 4), pixels)


def test_darker_means_lower_along_the_whole_scale() -> None:
    ramp = shades(np.linspace(0, 1, 64)[None], np.ones((1, 64), bool), 0, 1)[0, :, :3].astype(float)
    light = ramp @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(light) > 0).all()


def test_the_map_agrees_with_the_covariance_of_the_vectors() -> None:
    vectors = np.random.default_rng(1).normal(size=(50, 6)) * [5, 1, 1, 1, 1, 1] + 3
    points, shares = principal_plane(vectors)
    standard = (vectors - vectors.mean(0)) / vectors.std(0)
    power = np.linalg.eigvalsh(np.cov(standard.T, bias=True))[::-1]
    np.testing.assert_allclose(shares, power[:2] / power.sum())
    np.testing.assert_allclose(points.var(axis=0), power[:2])


def test_one_column_gives_a_map_on_a_line() -> None:
    points, shares = principal_plane(np.array([[1.0], [2.0], [4.0]]))
    assert points.shape == (3, 2) and not points[:, 1].any() and shares == (1.0, 0.0)


def test_a_class_without_a_colour_is_refused() -> None:
    with pytest.raises(DataError, match="bored"):
        EmbeddingMap(np.zeros((1, 2)), np.array(["bored"]), np.array(["a"]), ("calm",), "")


def test_the_answer_is_ranked_by_probability() -> None:
    html = str(Answer("mood", ("calm", "angry", "sad"), (0.2, 0.7, 0.1)).html())
    order = [html.index(f">{name}</th>") for name in ("angry", "calm", "sad")]
    assert order == sorted(order) and "70.0 %" in html


def test_loss_curves_become_a_picture(tmp_path: Path) -> None:
    curves = [{"epoch": k, "train_loss": 1 / (k + 1), "valid_loss": 1.1 / (k + 1)} for k in range(3)]
    plot_loss_curves(tmp_path / "loss.png", curves, best_epoch=2)
    assert (tmp_path / "loss.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(DataError, match="no epoch"):
        plot_loss_curves(tmp_path / "none.png", [])
    assert not (tmp_path / "none.png").exists()


def test_the_table_of_a_probe_names_its_floors_and_keeps_its_numbers() -> None:
    rng = np.random.default_rng(0)
    mood = LabelSpecification("mood", "binary", ("calm", "angry"))
    spec = Specification((StreamSpecification("audio", ("f0", "energy"), clock="words"),), (mood,))
    y = np.array(["calm", "angry"] * 20)
    x = rng.standard_normal((40, 3, 2)).astype(np.float32) + (y == "angry")[:, None, None]
    table = {"label.mood": y, "group.speaker": np.arange(40).astype(str)}
    data = Aligned.from_arrays(x, spec, table=table)
    result = probe(None, data, "mood", group="speaker", floors=["majority", "mean"], progress=False)
    scores = ScoreTable.of(result)
    assert [row.name for row in scores.rows] == ["majority class", "mean pooling"]
    assert scores.chance == 0.5 and all(row.floor for row in scores.rows)
    assert scores.rows[1].value == result.row("mean").mean("uar")
    assert f"{scores.rows[1].value:.3f}" in scores.html()
