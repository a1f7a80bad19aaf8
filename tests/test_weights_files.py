"""Weights folders: whole or refused, hashed, proven, used without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

import trivium
from trivium.cli import app
from trivium.corpus import Aligned, Specification, StreamSpecification
from trivium.errors import DataError, SpecificationError, TriviumError, UnsafeFileError, WeightsError
from trivium.files import sha256_file
from trivium.scale import ScalerSet
from trivium.weights import Card, Score, TrainingCorpus, Weights, WeightsConfig, check_weights, load_weights
from trivium.weights.example import EXAMPLE, example_weights
from trivium.weights.onnx_file import check_onnx, inspect_onnx
from trivium.weights.proof import proof_input

runner = CliRunner()


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    return example_weights(tmp_path / "example")


def aligned(spec: Specification = EXAMPLE, words: int = 6, rows: int = 5) -> Aligned:
    values = np.random.default_rng(1).normal(size=(rows, words, len(spec.columns)))
    return Aligned.from_arrays(values.astype(np.float32), spec)


def change_config(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "config.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def rehash(folder: Path, name: str) -> None:
    def change(value: dict[str, Any]) -> None:
        value["files"][name] = sha256_file(folder / name)

    change_config(folder, change)


def test_vectors_are_the_scaled_matrix_through_the_stored_map(weights: Weights) -> None:
    x = aligned()
    pooled = weights.scalers.scalers["pooled"]
    standard = (x.values.astype(np.float64) - pooled.mean) / (pooled.std + 1e-10)
    scaled = (standard - pooled.low) / (pooled.high - pooled.low + 1e-10)
    expected = scaled.reshape(len(x), -1) @ weights.state()["matrix"]
    np.testing.assert_allclose(weights.transform(x), expected, atol=1e-5)


def test_probabilities_are_the_softmax_of_the_head(weights: Weights) -> None:
    x = aligned()
    head = weights.require_head()
    scores = weights.transform(x).astype(np.float64) @ head.coefficients.T
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weights.predict_proba(x), expected, rtol=1e-9)
    assert weights.predict(x).tolist() == [head.classes[k] for k in expected.argmax(axis=1)]


def test_each_scaler_gives_its_own_vectors(weights: Weights) -> None:
    x = aligned()
    found = [weights.transform(x, scaler) for scaler in ("pooled", "a", "b", "refit")]
    for k, one in enumerate(found):
        assert all(np.abs(one - other).max() > 1e-4 for other in found[k + 1 :])
    with pytest.raises(SpecificationError, match="choose from pooled, a, b, refit"):
        weights.transform(x, "c")


def test_columns_are_matched_by_name(weights: Weights) -> None:
    x = aligned()
    turned = Specification(
        (
            StreamSpecification("text", ("verb", "other", "noun"), clock="words"),
            StreamSpecification("audio", ("energy", "pitch"), clock="words"),
            StreamSpecification("vision", ("smile",), clock="words"),
        )
    )
    place = [x.specification.columns.index(c) if c in x.specification.columns else 0 for c in turned.columns]
    moved = Aligned.from_arrays(x.values[:, :, place], turned)
    np.testing.assert_array_equal(weights.transform(moved), weights.transform(x))


def test_a_modality_that_the_data_lack_is_masked(weights: Weights) -> None:
    x = aligned()
    fitted = weights.fit_columns(x.select(["audio"]))
    assert fitted.specification == EXAMPLE
    assert not fitted.cell_mask[:, :, 0].any()
    assert fitted.cell_mask[:, :, 1].all()
    silent = x.values.copy()
    silent[:, :, :2] = 0
    np.testing.assert_array_equal(
        weights.transform(x.select(["audio"])), weights.transform(Aligned.from_arrays(silent, EXAMPLE))
    )


def test_missing_columns_are_named(weights: Weights) -> None:
    other = Specification((StreamSpecification("audio", ("pitch", "loudness"), clock="words"),))
    with pytest.raises(SpecificationError, match=r"audio of the data lacks .*energy"):
        weights.transform(aligned(other))


def test_columns_of_another_version_are_refused(tmp_path: Path) -> None:
    def voice(version: str) -> Specification:
        return Specification((StreamSpecification("audio", ("f0",), "words", extractor="voice", version=version),))

    weights = example_weights(tmp_path / "voice", voice("1"))
    assert weights.transform(aligned(voice("1"))).shape == (5, 3)
    unknown = Specification((StreamSpecification("audio", ("f0",), "words"),))
    assert weights.transform(aligned(unknown)).shape == (5, 3)
    with pytest.raises(SpecificationError, match="of the weights is by voice 1, of the data by voice 2"):
        weights.transform(aligned(voice("2")))


def test_no_shared_modality_and_other_lengths_are_refused(weights: Weights) -> None:
    face = Specification((StreamSpecification("vision", ("smile",), clock="words"),))
    with pytest.raises(SpecificationError, match="the data have vision, the weights take text, audio"):
        weights.transform(aligned(face))
    with pytest.raises(SpecificationError, match="words=6"):
        weights.transform(aligned(words=7))


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = example_weights(tmp_path / "a"), example_weights(tmp_path / "b")
    assert first.hashes == second.hashes
    assert (first.folder / "config.json").read_bytes() == (second.folder / "config.json").read_bytes()


def test_parameters_come_back_with_their_shapes(tmp_path: Path, weights: Weights) -> None:
    from trivium.weights import save_weights

    state = {"count": np.array(7), "turned": np.arange(6.0, dtype=np.float32).reshape(2, 3).T}
    again = save_weights(
        tmp_path / "again",
        weights.config,
        state=state,
        encoder=weights.read("encoder.onnx"),
        scalers=weights.scalers,
        card=weights.card,
    )
    for name, value in again.state().items():
        assert value.shape == state[name].shape
        np.testing.assert_array_equal(value, state[name])
    assert again.head is None
    with pytest.raises(WeightsError, match="has no head"):
        again.predict_proba(aligned())


def test_nothing_is_left_when_the_parts_do_not_fit(tmp_path: Path, weights: Weights) -> None:
    from trivium.weights import save_weights

    config = WeightsConfig("example", {}, EXAMPLE, 9)
    with pytest.raises(WeightsError, match="takes 6 x 4"):
        save_weights(
            tmp_path / "bad",
            config,
            state={},
            encoder=weights.read("encoder.onnx"),
            scalers=weights.scalers,
            card=weights.card,
        )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["example"]


def test_an_existing_folder_is_kept_unless_told(weights: Weights) -> None:
    with pytest.raises(DataError, match="exists already"):
        example_weights(weights.folder)


def test_card_shows_scores_beside_floors(weights: Weights) -> None:
    card = Card(
        "Title",
        "CC-BY-4.0",
        (TrainingCorpus("mmmo", 340, "research"),),
        scores=(Score("sentiment", "accuracy", 0.7, 0.02, {"majority": 0.5, "mean pooling": 0.72}),),
        pooled="Pooled scaling costs 0.01.",
    )
    text = card.markdown(weights.config, 3)
    assert "| sentiment | accuracy | 0.700 ± 0.020 | 0.500 | 0.720 |" in text
    assert "| mmmo | 340 | research |" in text
    assert 'license_name: "CC-BY-4.0"' in text
    assert "Pooled scaling costs 0.01." in text
    assert Card.from_json(json.loads(json.dumps(card.to_json()))) == card


def test_the_example_says_that_it_is_synthetic(weights: Weights) -> None:
    assert "synthetic" in (weights.folder / "README.md").read_text()


@pytest.mark.parametrize("name", ["encoder.onnx", "scalers.safetensors", "head.json", "head.safetensors"])
def test_an_altered_file_is_refused(weights: Weights, name: str) -> None:
    data = bytearray((weights.folder / name).read_bytes())
    data[-1] ^= 1
    (weights.folder / name).write_bytes(data)
    with pytest.raises(WeightsError, match=f"{name}: differs from its hash"):
        load_weights(weights.folder).predict_proba(aligned())
    assert not check_weights(weights.folder).ok


def test_a_missing_file_is_named(weights: Weights) -> None:
    (weights.folder / "scalers.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"example: lacks scalers.safetensors"):
        load_weights(weights.folder)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda v: v.pop("words"), "malformed"),
        (lambda v: v.update(schema=99), "update trivium"),
        (lambda v: v.update(files=3), "malformed"),
        (lambda v: v.update(words=0), "malformed"),
        (lambda v: v["card"].pop("title"), "card is malformed"),
        (lambda v: v["specification"].pop("streams"), "malformed"),
    ],
)
def test_a_malformed_configuration_is_one_error(
    weights: Weights, change: Callable[[dict[str, Any]], None], problem: str
) -> None:
    change_config(weights.folder, change)
    with pytest.raises(WeightsError, match=problem) as caught:
        load_weights(weights.folder)
    assert "config.json" in str(caught.value)


def test_a_name_outside_the_folder_is_not_read(weights: Weights) -> None:
    (weights.folder.parent / "secret").write_text("x")

    def change(value: dict[str, Any]) -> None:
        value["files"]["../secret"] = sha256_file(weights.folder.parent / "secret")

    change_config(weights.folder, change)
    with pytest.raises(WeightsError, match="no plain file"):
        load_weights(weights.folder).read("../secret")


def test_arrays_that_are_no_safetensors_are_refused(weights: Weights) -> None:
    (weights.folder / "scalers.safetensors").write_bytes(b"nonsense")
    rehash(weights.folder, "scalers.safetensors")
    with pytest.raises(WeightsError, match="is no safetensors file"):
        _ = load_weights(weights.folder).scalers


def test_a_folder_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="is no folder of weights"):
        load_weights(tmp_path)
    with pytest.raises(TriviumError, match="nobody/nothing"):
        load_weights("nobody/nothing")


def test_names_in_the_users_folder_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path))
    example_weights(tmp_path / "weights" / "mine")
    assert trivium.load_weights("mine").n_features == 3


def test_the_hub_is_asked_offline_first(tmp_path: Path, weights: Weights, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    asked: list[bool] = []

    def snapshot_download(*, local_files_only: bool = False, **wanted: Any) -> str:
        asked.append(local_files_only)
        assert wanted["repo_id"], wanted["revision"] == ("owner/name", "v1")
        if local_files_only and len(asked) == 1:
            raise FileNotFoundError("not here")
        return str(weights.folder)

    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    assert load_weights("owner/name@v1").folder == weights.folder
    assert asked == [True, False]
    asked.append(True)
    load_weights("owner/name@v1")
    assert asked[3:] == [True]


def test_a_check_replays_the_proof(weights: Weights) -> None:
    found = check_weights(weights.folder)
    assert found.ok
    assert found.difference == 0.0
    stored = load_file(weights.folder / "proof.safetensors")
    assert stored["seed"].tolist() == [20]
    np.testing.assert_array_equal(stored["values"], proof_input(weights.config, weights.scalers).values)


def test_a_proof_that_does_not_come_out_is_a_problem(weights: Weights) -> None:
    path = weights.folder / "proof.safetensors"
    stored = load_file(path)
    stored["vectors"] = stored["vectors"] + np.float32(0.01)
    save_file(stored, path)
    rehash(weights.folder, "proof.safetensors")
    assert "the proof differs" in check_weights(weights.folder).problems[0]


def test_a_stranger_in_the_folder_is_a_problem(weights: Weights) -> None:
    (weights.folder / "model.pkl").write_bytes(b"x")
    assert check_weights(weights.folder).problems == ("model.pkl is not in config.json",)


def test_the_command_checks_and_shows(weights: Weights) -> None:
    good = runner.invoke(app, ["weights", "check", str(weights.folder), "--json"])
    assert good.exit_code == 0
    assert json.loads(good.stdout)[0]["ok"] is True
    shown = runner.invoke(app, ["weights", "show", str(weights.folder)])
    assert "The smallest weights there are" in shown.stdout
    facts = json.loads(runner.invoke(app, ["weights", "show", str(weights.folder), "--json"]).stdout)
    assert facts["scalers"] == ["pooled", "a", "b"]
    (weights.folder / "README.md").write_text("altered")
    bad = runner.invoke(app, ["weights", "check", str(weights.folder)])
    assert bad.exit_code == 1
    assert "differs from its hash" in bad.stdout.replace("\n", "")


def test_using_weights_imports_neither_torch_nor_sklearn(weights: Weights) -> None:
    code = (
        "import sys, trivium; from trivium.weights.proof import proof_input;"
        f"w = trivium.load_weights({os.fspath(weights.folder)!r});"
        "p = w.predict_proba(proof_input(w.config, w.scalers));"
        "print(p.shape, sorted({'torch', 'sklearn', 'onnx', 'av'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(4, 2) []"


def model(nodes: list[Any], *, constants: list[Any] | None = None, domain: str = "", inputs: int = 1) -> bytes:
    names = ["x", "y"][:inputs]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["b", 1, 2, 3]) for n in names],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["b", 6])],
        constants or [],
    )
    opsets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    made = helper.make_model(graph, opset_imports=opsets)
    made.ir_version = 8
    return bytes(made.SerializeToString())


def test_operators_and_domains_are_those_of_the_file() -> None:
    inner = helper.make_graph(
        [helper.make_node("Odd", [], ["o"], domain="inner.domain")],
        "i",
        [],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, [1])],
    )
    nodes = [helper.make_node("Flatten", ["x"], ["z"]), helper.make_node("If", ["c"], ["o"], then_branch=inner)]
    found = inspect_onnx(model(nodes))
    assert found.operators == {"Flatten", "If", "Odd"}
    assert found.domains == {"", "inner.domain"}
    assert not found.external


def test_custom_operators_are_refused() -> None:
    made = model([helper.make_node("Gelu", ["x"], ["z"], domain="com.microsoft")], domain="com.microsoft")
    with pytest.raises(UnsafeFileError, match=r"encoder.onnx: uses operators of com.microsoft"):
        check_onnx(made, "encoder.onnx")


@pytest.mark.parametrize("where", ["initializer", "attribute"])
def test_external_data_is_refused(where: str) -> None:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    flat = helper.make_node("Flatten", ["x"], ["z"])
    if where == "initializer":
        made = model([flat], constants=[tensor])
    else:
        made = model([flat, helper.make_node("Constant", [], ["w"], value=tensor)])
    with pytest.raises(UnsafeFileError, match="another file"):
        check_onnx(made, "encoder.onnx")


@pytest.mark.parametrize(
    "data", [b"", b"not a model at all", b"\x3a\xff\xff\xff\xff\x0f", b"\x3a\x02\x0a\x7f", b"\x80" * 40]
)
def test_bytes_that_are_no_model_are_one_error(data: bytes) -> None:
    with pytest.raises(WeightsError, match=r"encoder\.onnx"):
        check_onnx(data, "encoder.onnx")


def test_a_graph_within_a_graph_without_end_is_refused() -> None:
    def wrapped(content: bytes, field: int) -> bytes:
        size, length = len(content), b""
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([field << 3 | 2]) + length + bytes([size]) + content

    graph = b""
    for _ in range(40):
        graph = wrapped(wrapped(wrapped(graph, 6), 5), 1)
    with pytest.raises(WeightsError, match="too deep"):
        check_onnx(wrapped(graph, 7), "encoder.onnx")


def test_every_cut_of_a_model_is_refused_or_harmless(weights: Weights) -> None:
    data = weights.read("encoder.onnx")
    for length in range(len(data)):
        try:
            check_onnx(data[:length], "encoder.onnx")
        except WeightsError:
            continue
        assert data[length:], "a whole model was cut"


def test_an_encoder_of_two_inputs_is_refused() -> None:
    from trivium.weights import OnnxEncoder

    nodes = [helper.make_node("Add", ["x", "y"], ["s"]), helper.make_node("Flatten", ["s"], ["z"])]
    with pytest.raises(WeightsError, match="does not map one"):
        OnnxEncoder(model(nodes, inputs=2))


def test_a_model_that_the_runtime_cannot_open_is_one_error() -> None:
    from trivium.weights import OnnxEncoder

    with pytest.raises(WeightsError, match="cannot be opened"):
        OnnxEncoder(model([helper.make_node("NoSuchOperator", ["x"], ["z"])]))


def test_vectors_do_not_depend_on_batch_or_threads(weights: Weights) -> None:
    from trivium.weights import OnnxEncoder

    data = weights.read("encoder.onnx")
    x = np.random.default_rng(0).random((11, 6, 4), dtype=np.float32)
    whole = OnnxEncoder(data, threads=3)(x)
    alone = OnnxEncoder(data, threads=1)
    np.testing.assert_array_equal(whole, np.concatenate([alone(x[k : k + 1]) for k in range(len(x))]))
    assert alone(x[:0]).shape == (0, 3)
    with pytest.raises(DataError, match="align to 6 words"):
        alone(x[:, :5])


def test_a_head_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    from trivium.weights import LinearHead

    rng = np.random.default_rng(0)
    x = rng.normal(3.0, 2.0, size=(90, 5))
    scaler = StandardScaler().fit(x)
    for classes in (2, 3):
        y = np.array(["calm", "glad", "sad"])[(x[:, 0] > 3).astype(int) + (classes == 3) * (x[:, 1] > 3)]
        model = LogisticRegression().fit(scaler.transform(x), y)
        head = LinearHead.from_fitted(scaler, model, label="mood")
        np.testing.assert_allclose(head.predict_proba(x), model.predict_proba(scaler.transform(x)), atol=1e-12)
        stored = LinearHead.from_stored(json.loads(json.dumps(head.to_json())), head.to_arrays())
        np.testing.assert_array_equal(stored.predict_proba(x), head.predict_proba(x))
    ridge = Ridge().fit(scaler.transform(x), x[:, 2])
    number = LinearHead.from_fitted(scaler, ridge, label="sentiment")
    np.testing.assert_allclose(number.predict(x), ridge.predict(scaler.transform(x)), atol=1e-12)
    with pytest.raises(WeightsError, match="gives a number"):
        number.predict_proba(x)


def test_calibration_finds_the_temperature_that_was_taken_away() -> None:
    from trivium.weights import LinearHead

    rng = np.random.default_rng(0)
    head = LinearHead("mood", ("a", "b", "c"), rng.normal(size=(3, 4)), np.zeros(3), np.zeros(4), np.ones(4))
    x = 2 * rng.normal(size=(20000, 4))
    shares = head.predict_proba(x)
    answers = [("a", "b", "c")[k] for k in (shares.cumsum(axis=1) > rng.random((len(x), 1))).argmax(axis=1)]
    sure = LinearHead("mood", head.classes, 3 * head.coefficients, head.intercept, head.mean, head.std)
    assert 2.7 < sure.calibrated(x, answers).temperature < 3.3


def test_a_malformed_head_is_one_error() -> None:
    from trivium.weights import LinearHead

    with pytest.raises(WeightsError, match="head is malformed"):
        LinearHead.from_stored({"label": "x", "classes": []}, {})
    with pytest.raises(WeightsError, match="coefficients of the head"):
        LinearHead("x", ("a", "b"), np.zeros((3, 2)), np.zeros(2), np.zeros(2), np.ones(2))
    with pytest.raises(WeightsError, match="above 0"):
        LinearHead("x", ("a", "b"), np.zeros((2, 2)), np.zeros(2), np.zeros(2), np.zeros(2))


def test_scalers_of_other_columns_are_refused(weights: Weights) -> None:
    from safetensors.numpy import save

    other = Specification((StreamSpecification("audio", ("a", "b", "c", "d"), clock="words"),))
    (weights.folder / "scalers.safetensors").write_bytes(save(ScalerSet.fit(aligned(other)).to_arrays()))
    rehash(weights.folder, "scalers.safetensors")
    with pytest.raises(WeightsError, match="other columns"):
        load_weights(weights.folder).transform(aligned())


def test_the_example_is_valid_onnx(weights: Weights) -> None:
    onnx.checker.check_model(onnx.load_from_string(weights.read("encoder.onnx")), full_check=True)
