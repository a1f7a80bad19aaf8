"""Embedding against torch and against the machine, on the faithful 20 x 409 encoder, as JSON.

Usage: ``python benchmarks/embed.py [--out FILE.json] [--batch 64] [--rounds 10] [--utterances 1024]``; with ``--weights
weights/talking-clips`` only how many random utterances the encoder of stored weights takes a second. In one process
and in turn, `rounds` times: torch eager, the exported encoder in ONNX Runtime, and a plain matrix product (NumPy's and
ONNX Runtime's; the faster is the peak). Then a synthetic corpus on disk, end to end (read, align, scale, encode,
write), in turn with the encoder alone.

Share of the peak: the encoder of the paper takes 182 million multiply-adds for one utterance, counted layer by layer
with padding (``nominal``). Those of one second, over those of one second of the matrix product, are ``nominal_share``.
The exported graph gives the same vectors with fewer products; ``executed_share`` counts the products of its
convolutions instead (padding included), so it says how busy the processor is.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from trivium.corpus import Aligned, Corpus, Specification, Stream, StreamSpecification, Utterance
from trivium.embed import embed_to_file
from trivium.represent.conv_network import ConvEncoder
from trivium.represent.export import export_encoder
from trivium.scale import ScalerSet
from trivium.weights import Card, OnnxEncoder, TrainingCorpus, Weights, WeightsConfig, load_weights, save_weights
from trivium.weights.encoder import cores

WORDS, WIDTHS = 20, {"text": 300, "audio": 74, "vision": 35}
WIDTH = sum(WIDTHS.values())
NOMINAL = 182_036_736
SIDE = 1536
WANTED = {"times_torch": 3.0, "nominal_share": 0.8, "largest_difference": 1e-5, "end_to_end": 0.7}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--utterances", type=int, default=1024)
    parser.add_argument("--weights", type=Path, help="measure only these")
    options = parser.parse_args()
    if options.weights is not None:
        print(json.dumps(measure_stored(options.weights, options.batch, options.rounds), indent=1))
        return
    torch.set_num_threads(cores())
    encoder = trained_like(ConvEncoder(WORDS, WIDTH))
    model = export_encoder(encoder, WORDS, WIDTH)
    report = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": {"cores": cores(), "processor": processor(), "python": platform.python_version()},
        "versions": {"torch": torch.__version__, "onnxruntime": ort.__version__, "numpy": np.__version__},
        "data": "synthetic: random numbers in the shape of real ones",
        "wanted": WANTED,
        "encoder": measure_encoder(encoder, model, options.batch, options.rounds),
        "end_to_end": measure_whole(model, options.utterances, options.rounds),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def trained_like(encoder: ConvEncoder) -> ConvEncoder:
    """Random weights, with running statistics as far from 0 and 1 as training leaves them."""
    generator = torch.Generator().manual_seed(0)
    for name, value in encoder.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(0.0, 0.1, generator=generator)
        elif name.endswith("running_var"):
            value.uniform_(0.3, 1.2, generator=generator)
    return encoder.eval()


def seconds(work: Callable[[], Any]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure_encoder(encoder: ConvEncoder, model: bytes, batch: int, rounds: int) -> dict[str, Any]:
    """Torch, ONNX Runtime and the matrix product in turn."""
    x = np.random.default_rng(0).random((batch, WORDS, WIDTH), dtype=np.float32)
    ours = OnnxEncoder(model)
    with torch.inference_mode():
        tensor = torch.from_numpy(x[:, None])
        expected, found = encoder(tensor).numpy(), ours(x)
        exact = copy.deepcopy(encoder).double()(tensor.double()).numpy()
        works = {"torch": lambda: encoder(tensor), "trivium": lambda: ours(x)} | products()
        taken: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(rounds):
            for name, work in works.items():
                taken[name].append(seconds(work))
    rates = {name: SIDE**3 / statistics.median(taken[name]) for name in products()}
    peak = max(rates.values())
    each = {name: statistics.median(taken[name]) / batch for name in ("torch", "trivium")}
    executed = executed_products(model)
    return {
        "batch": batch,
        "rounds": rounds,
        "milliseconds_per_utterance": {name: round(1e3 * value, 3) for name, value in each.items()},
        "utterances_per_second": round(1 / each["trivium"]),
        "times_torch": round(each["torch"] / each["trivium"], 2),
        "times_torch_by_round": [round(a / b, 2) for a, b in zip(taken["torch"], taken["trivium"], strict=True)],
        "peak_multiply_adds_per_second": {name: round(rate / 1e9, 1) for name, rate in rates.items()} | {"unit": "1e9"},
        "nominal_multiply_adds": NOMINAL,
        "nominal_share": round(NOMINAL / each["trivium"] / peak, 3),
        "executed_multiply_adds": executed,
        "executed_share": round(executed / each["trivium"] / peak, 3),
        "largest_difference": float(np.abs(found - expected).max()),
        "from_float64": {"torch": float(np.abs(expected - exact).max()), "trivium": float(np.abs(found - exact).max())},
        "largest_number": float(np.abs(expected).max()),
    }


def measure_stored(folder: Path, batch: int, rounds: int) -> dict[str, Any]:
    """Utterances that stored weights encode in a second by the clock, and in a second of the processor."""
    weights = load_weights(folder)
    width = sum(stream.dim for stream in weights.specification.streams)
    x = np.random.default_rng(0).random((batch, weights.window, width), dtype=np.float32)
    weights.encoder(x)
    clock, processor_began = time.perf_counter(), time.process_time()
    for _ in range(rounds):
        weights.encoder(x)
    count = batch * rounds
    return {
        "weights": folder.name,
        "shape": list(x.shape),
        "numbers": weights.n_features,
        "cores": cores(),
        "utterances_per_second": round(count / (time.perf_counter() - clock)),
        "utterances_per_cpu_second": round(count / (time.process_time() - processor_began)),
    }


def products() -> dict[str, Callable[[], Any]]:
    """Square float32 matrix products on all cores, by NumPy's library and by ONNX Runtime."""
    a = np.random.default_rng(1).random((SIDE, SIDE), dtype=np.float32)
    shape = [SIDE, SIDE]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, shape)],
        [onnx.numpy_helper.from_array(a, "b")],
    )
    product = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    product.ir_version = 8
    options = ort.SessionOptions()
    options.intra_op_num_threads = cores()
    session = ort.InferenceSession(product.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return {"numpy": lambda: a @ a, "onnxruntime": lambda: session.run(None, {"a": a})}


def executed_products(model: bytes) -> int:
    """Multiply-adds of the graph's convolutions for one utterance, padding included."""
    graph = onnx.shape_inference.infer_shapes(onnx.load_from_string(model)).graph
    kernels = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim] for value in graph.value_info}
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            channels, *rest = kernels[node.input[1]]
            total += int(channels * np.prod(rest) * np.prod(shapes[node.output[0]][2:]))
    return total


def measure_whole(model: bytes, utterances: int, rounds: int) -> dict[str, Any]:
    """A stored corpus to a file of vectors, in turn with the encoder alone on as many matrices."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["TRIVIUM_HOME"] = str(Path(name) / "home")
        corpus = make_corpus(utterances)
        corpus.save(Path(name) / "corpus")
        weights = make_weights(model, Path(name) / "weights")
        out = Path(name) / "vectors.parquet"
        x = np.random.default_rng(0).random((utterances, WORDS, WIDTH), dtype=np.float32)
        first = seconds(lambda: embed_to_file(Path(name) / "corpus", weights, out, show=False))
        whole, alone = [], []
        for _ in range(max(rounds // 2, 3)):
            alone.append(seconds(lambda: weights.encoder(x)))
            whole.append(seconds(lambda: embed_to_file(Path(name) / "corpus", weights, out, show=False)))
        stored = out.stat().st_size
    return {
        "utterances": utterances,
        "seconds_encoder_alone": round(statistics.median(alone), 3),
        "seconds_whole": round(statistics.median(whole), 3),
        "seconds_first_time": round(first, 3),
        "share_of_encoder_alone": round(statistics.median(a / w for a, w in zip(alone, whole, strict=True)), 3),
        "bytes_written": stored,
    }


def make_corpus(utterances: int) -> Corpus:
    """Utterances of 8 to 30 words, all three modalities by word."""
    rng = np.random.default_rng(2)
    streams = [StreamSpecification.positional(m, "synthetic", d, clock="words") for m, d in WIDTHS.items()]
    specification = Specification(tuple(streams))

    def one(number: int) -> Utterance:
        words = int(rng.integers(8, 31))
        made = {s.modality: Stream(random_values(rng, words, s.dim), s) for s in specification.streams}
        return Utterance(f"u{number:06d}", made, clip=f"c{number:06d}", start=0.0, end=float(words))

    return Corpus.from_utterances([one(n) for n in range(utterances)], specification, {"data": "synthetic"})


def random_values(rng: np.random.Generator, words: int, dim: int) -> NDArray[np.float32]:
    return rng.standard_normal((words, dim), dtype=np.float32)


def make_weights(model: bytes, folder: Path) -> Weights:
    """Weights folder around the exported encoder."""
    specification = make_corpus(1).specification
    training = Aligned.from_arrays(
        random_values(np.random.default_rng(3), 32 * WORDS, WIDTH).reshape(32, WORDS, WIDTH), specification
    )
    return save_weights(
        folder,
        WeightsConfig("conv-autoencoder", {"words": WORDS}, specification, WORDS),
        state={},
        encoder=model,
        scalers=ScalerSet.fit(training),
        card=Card("Benchmark", "CC0-1.0", (TrainingCorpus("random numbers", 32, "CC0-1.0"),), synthetic=True),
    )


def processor() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
