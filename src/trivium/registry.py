"""The registry: what trivium knows by name, found without importing it.

An entry is a lazy ``"module:name"`` string, so ``trivium list`` imports no torch. Other packages add entries through
the entry-point group ``trivium``: an entry point named ``kind.name`` whose value is ``module:name``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from trivium.errors import TriviumError

__all__ = ["Entry", "entries", "entry", "kinds", "load"]


@dataclass(frozen=True)
class Entry:
    """One registered thing.

    Parameters
    ----------
    kind : str
        What sort of thing it is: ``format``, ``representation``, ``objective`` ...
    name : str
        How the command line and the saved files call it.
    target : str
        ``"module:name"`` of the class or function.
    summary : str
        One line for people.
    """

    kind: str
    name: str
    target: str
    summary: str = ""


_BUILT_IN: tuple[Entry, ...] = (
    # In the order of the journey.
    Entry("format", "corpus", "trivium.formats.folder:CorpusFormat", "trivium's own folder: Parquet and corpus.json"),
    Entry("format", "csd", "trivium.formats.csd:CsdFormat", "CMU computational sequences, one .csd or a folder"),
    Entry("format", "npz", "trivium.formats.arrays:NpzFormat", "arrays by modality and fold, or an aligned corpus"),
    Entry("format", "mmsa", "trivium.formats.mmsa:MmsaFormat", "MMSA and MMSA-FET feature pickles"),
    Entry("format", "mult", "trivium.formats.mult:MultFormat", "pickles of the Multimodal Transformer"),
    Entry("format", "multibench", "trivium.formats.mult:MultibenchFormat", "MultiBench affect pickles, padded left"),
    Entry("format", "clips", "trivium.formats.clips:ClipsFormat", "a folder of clips with label.csv"),
    Entry("format", "huggingface", "trivium.formats.huggingface:HuggingfaceFormat", "Hugging Face datasets on disk"),
    Entry("format", "pandas", "trivium.formats.tables:PandasFormat", "data frames as Parquet or CSV, wide or long"),
    Entry("format", "words", "trivium.align.table:WordsFormat", "one row per word, as Parquet or CSV"),
    Entry("upstream", "whisper-tiny-en", "trivium.upstream.catalogue:WHISPER_TINY_EN", "English speech to words"),
    Entry("upstream", "silero-vad", "trivium.upstream.catalogue:SILERO_VAD", "spans of speech"),
    Entry("upstream", "g2p-en", "trivium.upstream.catalogue:G2P_EN", "pronunciations of unknown English words"),
    Entry("upstream", "minilm-l6", "trivium.upstream.catalogue:MINILM_L6", "contextual columns per word"),
    Entry("upstream", "face-landmarker", "trivium.upstream.catalogue:FACE_LANDMARKER", "landmarks and blendshapes"),
    Entry("upstream", "glove-50", "trivium.upstream.catalogue:GLOVE_50", "static columns per word, on request"),
    Entry("upstream", "wordllama", "trivium.upstream.catalogue:WORDLLAMA", "static columns per word, on request"),
    Entry(
        "text-extractor", "minilm-l6", "trivium.extract.text.minilm:MinilmExtractor", "384 contextual columns per word"
    ),
    Entry(
        "text-extractor", "glove-50", "trivium.extract.text.word_vectors:GloveExtractor", "50 static columns per word"
    ),
    Entry("text-extractor", "wordllama", "trivium.extract.text.word_vectors:WordllamaExtractor", "256 static columns"),
    Entry(
        "text-extractor", "glove", "trivium.extract.text.vector_file:VectorFileExtractor", "glove:FILE, vectors as text"
    ),
    Entry("text-extractor", "hf", "trivium.extract.text.encoders:TextEncoderExtractor", "hf:FOLDER, a text encoder"),
    Entry(
        "audio-extractor", "voice", "trivium.extract.audio.voice:VoiceExtractor", "61 columns of the voice every 10 ms"
    ),
    Entry(
        "audio-extractor",
        "whisper",
        "trivium.extract.audio.whisper:WhisperExtractor",
        "encoder of the recogniser, 20 ms",
    ),
    Entry(
        "audio-extractor",
        "whisper-layers",
        "trivium.extract.audio.whisper_layers:WhisperLayersExtractor",
        "whisper-layers:LAYER[+LAYER], 0 to 4: single layers of the recogniser's encoder",
    ),
    Entry("audio-extractor", "hf", "trivium.extract.audio.encoders:AudioEncoderExtractor", "hf:FOLDER[@LAYER]"),
    Entry(
        "audio-extractor",
        "egemaps",
        "trivium.extract.audio.egemaps:EgemapsExtractor",
        "openSMILE, licence to be accepted",
    ),
    Entry(
        "vision-extractor",
        "face",
        "trivium.extract.vision.face_columns:FaceExtractor",
        "66 columns of the face in every frame",
    ),
    Entry(
        "vision-extractor",
        "landmarks",
        "trivium.extract.vision.landmark_columns:LandmarkExtractor",
        "478 points of the face",
    ),
    Entry("upstream", "sample-face", "trivium.upstream.catalogue:SAMPLE_FACE", "a silent talking face, for the demo"),
    Entry("upstream", "sample-voice", "trivium.upstream.catalogue:SAMPLE_VOICE", "a read sentence, for the demo"),
    Entry("network", "unimodal", "trivium.fuse.unimodal:Unimodal", "one modality alone: an LSTM and a head"),
    Entry("network", "concat", "trivium.fuse.concat:Concat", "pooled steps of all modalities, one hidden layer"),
    Entry("network", "ef-lstm", "trivium.fuse.ef_lstm:EFLSTM", "early fusion: one LSTM over all columns"),
    Entry("network", "lf-dnn", "trivium.fuse.lf_dnn:LFDNN", "late fusion of one vector per modality"),
    Entry("network", "tfn", "trivium.fuse.tfn:TFN", "tensor fusion: all products of all modalities (arXiv 1707.07250)"),
    Entry("network", "lmf", "trivium.fuse.lmf:LMF", "low-rank tensor fusion (arXiv 1806.00064)"),
    Entry("network", "mfn", "trivium.fuse.mfn:MFN", "LSTMs with a shared memory (arXiv 1802.00927)"),
    Entry("network", "mult", "trivium.fuse.mult:MulT", "crossmodal transformer, unaligned (arXiv 1906.00295)"),
    Entry("network", "misa", "trivium.fuse.misa:MISA", "shared and private spaces (arXiv 2005.03545)"),
    Entry("network", "self-mm", "trivium.fuse.self_mm:SelfMM", "fusion and unimodal heads (arXiv 2102.04830)"),
    Entry("text-encoder", "hf", "trivium.fuse.text_encoder:TextEncoder", "hf:FOLDER, trained along with a network"),
    Entry("text-encoder", "minilm-l6", "trivium.fuse.text_encoder:MinilmTextEncoder", "MiniLM-L6, trained along"),
    Entry("objective", "reconstruction", "trivium.objectives:Reconstruction", "squared error of cells"),
    Entry("objective", "regression", "trivium.objectives:Regression", "distance of a number from the label"),
    Entry("objective", "classes", "trivium.objectives:Classes", "cross entropy of one class of several"),
    Entry("objective", "multilabel", "trivium.objectives:Multilabel", "classes that may be true together"),
    Entry("objective", "ordinal", "trivium.objectives:Ordinal", "ordered classes as questions"),
    Entry(
        "objective",
        "modal_alignment",
        "trivium.objectives:ModalAlignment",
        "distance of covariances (arXiv 2305.08473)",
    ),
    Entry("objective", "unimodal_labels", "trivium.objectives:UnimodalLabels", "a label per modality (Self-MM)"),
    Entry("objective", "central_moments", "trivium.objectives:CentralMoments", "likeness of shared features (MISA)"),
    Entry("objective", "difference", "trivium.objectives:Difference", "shared and private apart (MISA)"),
    Entry("objective", "feature_reconstruction", "trivium.objectives:FeatureReconstruction", "features back (MISA)"),
    Entry(
        "objective", "canonical_correlation", "trivium.objectives:CanonicalCorrelation", "deep CCA between modalities"
    ),
    Entry("objective", "kernel_alignment", "trivium.objectives:KernelAlignment", "CKA or HSIC between modalities"),
    Entry("objective", "barlow_twins", "trivium.objectives:BarlowTwins", "cross-correlation towards the identity"),
    Entry("objective", "pair_contrast", "trivium.objectives:PairContrast", "InfoNCE between modalities"),
    Entry("objective", "hidden_steps", "trivium.objectives:HiddenSteps", "what stood at hidden steps, without labels"),
    Entry("objective", "view_contrast", "trivium.objectives:ViewContrast", "NT-Xent of two views (arXiv 2210.14556)"),
    Entry(
        "objective",
        "cross_modal_prediction",
        "trivium.objectives:CrossModalPrediction",
        "modalities find one another (arXiv 2210.14556)",
    ),
    Entry("objective", "vicreg", "trivium.objectives:Vicreg", "two views alike, spread out (arXiv 2105.04906)"),
    Entry(
        "representation",
        "conv-autoencoder",
        "trivium.represent.conv_autoencoder:ConvAutoencoder",
        "convolutional autoencoder of the words x columns matrix (arXiv 2110.03007)",
    ),
    Entry("representation", "mean", "trivium.represent.pooling:MeanPooling", "mean over the words that were seen"),
    Entry(
        "representation",
        "mean-std",
        "trivium.represent.pooling:MeanStdPooling",
        "mean and standard deviation over the words",
    ),
    Entry("representation", "flatten", "trivium.represent.pooling:Flatten", "the matrix itself, word after word"),
    Entry(
        "representation", "flatten-pca", "trivium.represent.pooling:FlattenPCA", "principal components of the matrix"
    ),
    Entry(
        "representation",
        "statistics",
        "trivium.represent.statistics:Statistics",
        "mean, spread and slope of every column, at each stream's own rate",
    ),
    Entry(
        "representation",
        "masked-steps",
        "trivium.represent.masked_steps:MaskedSteps",
        "encoder of steps that predicts hidden ones; also contrast, cross-modal prediction, VICReg",
    ),
    Entry(
        "representation",
        "fisher-vectors",
        "trivium.represent.fisher:FisherVectors",
        "gradients of a mixture of Gaussians by the frames of an utterance",
    ),
    Entry(
        "representation",
        "minirocket",
        "trivium.represent.minirocket:MiniRocket",
        "shares of dilated convolutions above thresholds, a strong floor",
    ),
    Entry("representation", "missingness", "trivium.represent.pooling:Missingness", "only which cells were there"),
)


@cache
def _all() -> dict[tuple[str, str], Entry]:
    found = {(e.kind, e.name): e for e in _BUILT_IN}
    for point in entry_points(group="trivium"):
        kind, _, name = point.name.partition(".")
        if (kind, name) in found:
            raise TriviumError(f"{point.value} registers {kind} {name!r}, which exists", remedy="rename the plug-in")
        found[kind, name] = Entry(kind, name, point.value, f"from {point.dist.name if point.dist else 'a plug-in'}")
    return found


def kinds() -> list[str]:
    """Kinds of registered things, sorted."""
    return sorted({kind for kind, _ in _all()})


def entries(kind: str | None = None) -> list[Entry]:
    """Entries of one kind, or all, in registration order."""
    return [e for e in _all().values() if kind in (None, e.kind)]


def entry(kind: str, name: str) -> Entry:
    """Entry by kind and name; the error lists the names that exist."""
    try:
        return _all()[kind, name]
    except KeyError:
        known = ", ".join(e.name for e in entries(kind)) or "none"
        raise TriviumError(f"there is no {kind} {name!r}", remedy=f"choose one of: {known}") from None


def load(kind: str, name: str) -> Any:
    """Import and return the registered thing."""
    module, _, attribute = entry(kind, name).target.partition(":")
    return getattr(import_module(module), attribute)
