"""Encoders of the user's own, tiny and with random weights, against a direct pass of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trivium.errors import DataError, DependencyError, UpstreamError
from trivium.extract.audio.encoders import AudioEncoderExtractor
from trivium.extract.choice import StreamMaker, choose
from trivium.extract.text.encoders import TextEncoderExtractor
from trivium.extract.word_pooling import pooled_by_word
from trivium.extract.words.transcript import read_transcript

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

_WORDS = "kids are talk ##ing by the door , . she paid five dollars un ##fathom ##able 5 $".split()
_SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
_SPEECH = {
    **_SMALL,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "vocab_size": 8,
}


def _times(count: int) -> np.ndarray:
    edges = np.arange(count + 1) / 2
    return np.stack([edges[:-1], edges[1:]], axis=1)


@pytest.fixture(scope="module")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing

    folder = tmp_path_factory.mktemp("encoders") / "Tiny_BERT"
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", *_WORDS]
    tokenizer = Tokenizer(WordPiece({word: place for place, word in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(), BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=len(names), max_position_embeddings=34, **_SMALL)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def _direct(folder: Path, ids: list[int]) -> np.ndarray:
    model = transformers.BertModel.from_pretrained(folder).eval()
    with torch.no_grad():
        return np.asarray(model(torch.tensor([ids])).last_hidden_state[0].numpy())


def test_words_are_the_means_of_their_pieces(text_folder: Path) -> None:
    extractor = TextEncoderExtractor(str(text_folder))
    stream = extractor.stream(read_transcript("Kids talking, unfathomable."), _times(3))
    tokenizer = transformers.AutoTokenizer.from_pretrained(text_folder)
    encoded = tokenizer("Kids talking, unfathomable.")
    states = _direct(text_folder, encoded["input_ids"])
    assert tokenizer.convert_ids_to_tokens(encoded["input_ids"])[1:5] == ["kids", "talk", "##ing", ","]
    expected = [states[1], states[2:5].mean(axis=0), states[5:9].mean(axis=0)]
    np.testing.assert_allclose(stream.values, expected, atol=1e-5)
    assert stream.specification.columns[0] == "tiny-bert-0000" and stream.specification.dim == 16


def test_words_of_one_token_share_its_vector(text_folder: Path) -> None:
    stream = TextEncoderExtractor(str(text_folder)).stream(read_transcript("She paid $5."), _times(4))
    np.testing.assert_array_equal(stream.values[2], stream.values[3])


def test_a_long_text_is_read_in_windows_of_what_the_encoder_takes(text_folder: Path) -> None:
    tokens = "kids are by the door".split() * 20
    extractor = TextEncoderExtractor(str(text_folder))
    vectors = extractor.encode(tokens)  # 34 positions: 32 for the text and its marks, so 30 words
    ids = [transformers.AutoTokenizer.from_pretrained(text_folder).convert_tokens_to_ids(t) for t in tokens]
    first, second = (_direct(text_folder, [2, *ids[at : at + 30], 3])[1:-1] for at in (0, 15))
    np.testing.assert_allclose(vectors[:22], first[:22], atol=1e-5)
    np.testing.assert_allclose(vectors[23:37], second[8:22], atol=1e-5)
    assert extractor.encode([]).shape == (0, 16)


def test_the_version_changes_with_the_weights(text_folder: Path, tmp_path: Path) -> None:
    before = TextEncoderExtractor(str(text_folder)).specification
    model = transformers.BertModel.from_pretrained(text_folder)
    other = tmp_path / "Tiny_BERT"
    other.mkdir()
    for file in text_folder.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    assert TextEncoderExtractor(str(other)).specification == before
    torch.nn.init.ones_(model.embeddings.word_embeddings.weight)
    model.save_pretrained(other)
    after = TextEncoderExtractor(str(other)).specification
    assert after.columns == before.columns and after.version != before.version


def test_an_encoder_is_found_by_its_name_in_the_cache_of_the_hub(
    text_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = tmp_path / "models--someone--tiny" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for file in text_folder.iterdir():
        (snapshot / file.name).write_bytes(file.read_bytes())
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert TextEncoderExtractor("someone/tiny").specification.columns[0] == "tiny-0000"


def test_an_encoder_that_cannot_be_used_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UpstreamError, match="no encoder 'someone/nothing'"):
        TextEncoderExtractor("someone/nothing")
    (tmp_path / "config.json").write_text('{"hidden_size": 4}')
    torch.save({"a": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UpstreamError, match="safetensors"):
        TextEncoderExtractor(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(UpstreamError, match="how wide"):
        TextEncoderExtractor(str(tmp_path))
    monkeypatch.setattr("trivium.extract.encoder_folder.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"trivium\[encoders\]"):
        TextEncoderExtractor(str(tmp_path))


def test_code_beside_the_weights_is_never_run(text_folder: Path, tmp_path: Path) -> None:
    import json

    for file in text_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "stranger", "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(UpstreamError, match="cannot read it"):
        TextEncoderExtractor(str(tmp_path)).encode(["kids"])
    assert not (tmp_path / "ran").exists()


def _audio_folder(tmp_path: Path, kind: str) -> tuple[Path, Any]:
    torch.manual_seed(0)
    folder = tmp_path / kind
    config = getattr(transformers, f"{kind}Config")(**_SPEECH)
    model = getattr(transformers, f"{kind}Model")(config).eval()
    model.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=kind == "Wav2Vec2").save_pretrained(folder)
    return folder, model


def _wave(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, round(16000 * seconds)).astype(np.float32)


@pytest.mark.parametrize("kind", ["Wav2Vec2", "Hubert", "WavLM"])
@pytest.mark.parametrize("layer", [None, 1])
def test_states_of_speech_encoders_equal_a_direct_pass(tmp_path: Path, kind: str, layer: int | None) -> None:
    folder, model = _audio_folder(tmp_path, kind)
    wave = _wave(1.23)
    given = (wave - wave.mean()) / np.sqrt(wave.var() + 1e-7) if kind == "Wav2Vec2" else wave
    with torch.no_grad():
        found = model(torch.tensor(given)[None], output_hidden_states=True)
    expected = (found.last_hidden_state if layer is None else found.hidden_states[layer])[0].numpy()
    argument = str(folder) + ("" if layer is None else f"@{layer}")
    stream = AudioEncoderExtractor(argument).stream(wave, None)
    np.testing.assert_allclose(stream.values, expected, atol=1e-4)
    assert len(stream.values) == (len(wave) - 400) // 320 + 1
    assert stream.times is not None and stream.times[0].tolist() == [0.0025, 0.0225]
    assert stream.times[-1, 1] <= 1.23 and np.array_equal(stream.times[1:, 0], stream.times[:-1, 1])


@pytest.mark.parametrize("kind", ["Wav2Vec2", "Hubert", "WavLM"])
def test_states_of_speech_encoders_are_pooled_by_word(tmp_path: Path, kind: str) -> None:
    folder, _ = _audio_folder(tmp_path, kind)
    (choice,) = choose("audio", f"hf:{folder}@1:words=mean+spread")
    maker = StreamMaker(choice, choice.load())
    native = maker.extractor.stream(_wave(1.0), None)
    pooled = pooled_by_word(native, np.array([[0.1, 0.3], [0.3, 0.34]]), choice.by_word)
    assert maker.named(pooled).specification == maker.specification
    assert pooled.specification.columns[16].endswith("-layer-1-0000.spread") and pooled.values.shape == (4, 32)
    inside = (native.times[:, 1] > 0.1 + 1e-5) & (native.times[:, 0] < 0.3 - 1e-5)
    shared = np.minimum(native.times[inside, 1], 0.3) - np.maximum(native.times[inside, 0], 0.1)
    mean = np.average(native.values[inside], axis=0, weights=shared)
    np.testing.assert_allclose(pooled.values[1, :16], mean, atol=1e-5)


def test_a_layer_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    folder, _ = _audio_folder(tmp_path, "Hubert")
    with pytest.raises(DataError, match="layers 0 to 2"):
        AudioEncoderExtractor(f"{folder}@3").stream(_wave(0.5), None)


def test_joins_of_a_long_sound_do_not_depend_on_its_length(tmp_path: Path) -> None:
    folder, model = _audio_folder(tmp_path, "Hubert")
    extractor, wave = AudioEncoderExtractor(str(folder)), _wave(43.21)
    whole = extractor.stream(wave, None).values
    assert len(whole) == (len(wave) - 400) // 320 + 1
    shorter = extractor.stream(wave[: 31 * 16000], None).values
    np.testing.assert_array_equal(shorter[:1250], whole[:1250])  # up to 25 s: the same windows
    with torch.no_grad():
        second = model(torch.tensor(wave[160000:480000])[None]).last_hidden_state[0].numpy()
    np.testing.assert_allclose(whole[750:1250], second[250:750], atol=1e-4)


@pytest.mark.parametrize("samples", [1, 399, 400, 719, 720])
def test_very_short_sound_gives_steps_within_it(tmp_path: Path, samples: int) -> None:
    folder, _ = _audio_folder(tmp_path, "Hubert")
    stream = AudioEncoderExtractor(str(folder)).stream(_wave(samples / 16000), None)
    assert stream.times is not None and len(stream.values) == (2 if samples == 720 else 1)
    assert np.all(stream.times[:, 1] > stream.times[:, 0]) and stream.times[-1, 1] <= samples / 16000


def test_the_encoder_of_whisper_gives_a_state_every_20_ms(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=32, decoder_ffn_dim=32, vocab_size=32, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1,
    )  # fmt: skip
    model = transformers.WhisperModel(config).eval()
    model.save_pretrained(tmp_path / "tiny")
    features = transformers.WhisperFeatureExtractor()
    features.save_pretrained(tmp_path / "tiny")
    wave = _wave(1.0)
    with torch.no_grad():
        given = features(wave, sampling_rate=16000, return_tensors="pt").input_features
        expected = model.get_encoder()(given).last_hidden_state[0, :50].numpy()
    stream = AudioEncoderExtractor(str(tmp_path / "tiny")).stream(wave, None)
    np.testing.assert_allclose(stream.values, expected, atol=1e-4)
    assert stream.times is not None and stream.times[-1].tolist() == [0.98, 1.0]
