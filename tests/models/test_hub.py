"""The Hub: no socket when cached, no pickles, and every refusal says what to do."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import huggingface_hub
import pytest
from huggingface_hub import errors
from safetensors.numpy import save

from tarazu.errors import BadInput
from tarazu.models.hub import HubSource, fetch_hub
from tarazu.models.source import describe, fetch
from tarazu.record.spec import ModelSpec

COMMIT = "c" * 40
WEIGHTS = save({})
FILES = {
    "config.json": b'{"model_type": "bert", "hidden_size": 12, "num_hidden_layers": 1}',
    "model.safetensors": WEIGHTS,
    "tokenizer.json": b"{}",
    "pytorch_model.bin": b"a pickle",
}


def fill_cache(cache: Path, repo: str, files: dict[str, bytes]) -> Path:
    """Write a repository as the Hub's client caches it; return the snapshot's folder."""
    root = cache / f"models--{repo.replace('/', '--')}"
    snapshot = root / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    for name, content in files.items():
        (snapshot / name).write_bytes(content)
    return snapshot


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def no_socket(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Any attempt to open a connection is kept here, and fails."""
    attempts: list[Any] = []

    def refuse(*args: Any, **_: Any) -> None:
        attempts.append(args)
        raise OSError("the network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    return attempts


def list_as(monkeypatch: pytest.MonkeyPatch, names: list[str]) -> None:
    """Let the Hub list these files for every repository."""
    answer = SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in names])
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: answer)


def answer_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let every download end in an error; the local cache stays empty."""

    def snapshot_download(*_: Any, local_files_only: bool, **__: Any) -> str:
        raise errors.LocalEntryNotFoundError("not cached") if local_files_only else error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    list_as(monkeypatch, ["model.safetensors"])


def http_error(kind: type[Any], status: int) -> Exception:
    error: Exception = kind("refused", response=Mock(status_code=status, headers={}))
    return error


def fetch_llama() -> None:
    spec = ModelSpec(source="meta-llama/Meta-Llama-3-8B")
    fetch(spec, "llama", base=Path("/nowhere"), note=lambda _: None)


def test_cached_model_opens_no_socket(cache: Path, no_socket: list[Any]) -> None:
    snapshot = fill_cache(cache, "org/tiny", FILES)

    def refuse(text: str) -> None:
        raise AssertionError(text)

    for source in ("org/tiny", f"org/tiny@{COMMIT}"):
        model = fetch(ModelSpec(source=source), "tiny", base=Path("/nowhere"), note=refuse)
        assert model.path == snapshot
        assert set(model.files) == {"config.json", "model.safetensors", "tokenizer.json"}
        assert model.info.hidden_size == 12
    assert no_socket == []


def test_large_files_are_identified_by_the_name_of_their_blob(cache: Path) -> None:
    snapshot = fill_cache(cache, "org/tiny", FILES)
    blob = snapshot.parents[1] / "blobs" / ("a" * 64)
    blob.parent.mkdir()
    (snapshot / "model.safetensors").rename(blob)
    (snapshot / "model.safetensors").symlink_to(blob)
    model = fetch(ModelSpec(source="org/tiny"), "m", base=Path("/nowhere"), note=lambda _: None)
    assert model.files["model.safetensors"] == "a" * 64


def test_missing_shard_is_not_taken_for_a_cached_model(cache: Path, no_socket: list[Any]) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    files = {**FILES, "model.safetensors.index.json": json.dumps(index).encode()}
    files["model-1.safetensors"] = files.pop("model.safetensors")
    fill_cache(cache, "org/tiny", files)
    with pytest.raises(BadInput, match="must be reachable"):
        fetch_hub(HubSource("org/tiny"), "models.m.source", None, lambda _: None)
    assert no_socket


def test_without_network_the_remedies_are_named(cache: Path, no_socket: list[Any]) -> None:
    with pytest.raises(BadInput) as error:
        fetch_hub(HubSource("org/tiny"), "models.m.source", None, lambda _: None)
    for remedy in ("HF_HUB_OFFLINE", "hf download org/tiny", "local folder"):
        assert remedy in str(error.value)


def test_offline_mode_is_a_clear_message(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BadInput, match="unset HF_HUB_OFFLINE"):
        fetch_hub(HubSource("org/tiny"), "models.m.source", None, lambda _: None)


def test_only_safe_formats_are_asked_for(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fnmatch import fnmatch

    asked: list[dict[str, Any]] = []

    def snapshot_download(*_: Any, **options: Any) -> str:
        asked.append(options)
        if options["local_files_only"]:
            raise errors.LocalEntryNotFoundError("not cached")
        return str(fill_cache(cache, "org/tiny", FILES))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    list_as(monkeypatch, list(FILES))
    fetch_hub(HubSource("org/tiny"), "models.m.source", None, lambda _: None)
    assert len(asked) == 2
    for options in asked:
        for name in ("pytorch_model.bin", "model.pt", "original/consolidated.00.pth", "run.py"):
            assert not any(fnmatch(name, pattern) for pattern in options["allow_patterns"])
        assert any(fnmatch("onnx/config.json", pattern) for pattern in options["ignore_patterns"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["config.json", "pytorch_model.bin"], "loading a pickle runs the code inside it"),
        (["config.json", "onnx/model.safetensors"], "must hold safetensors"),
    ],
)
def test_repository_without_safetensors_is_refused_before_the_download(
    cache: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], message: str
) -> None:
    answer_with(monkeypatch, AssertionError("downloaded"))
    list_as(monkeypatch, names)
    with pytest.raises(BadInput, match=message):
        fetch_hub(HubSource("org/tiny"), "models.m.source", None, lambda _: None)


@pytest.mark.parametrize("status", [401, 403])
def test_gated_model_says_how_to_get_access(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    answer_with(monkeypatch, http_error(errors.GatedRepoError, status))
    with pytest.raises(BadInput) as error:
        fetch_llama()
    assert "gated" in str(error.value)
    assert "hf auth login" in str(error.value)
    assert "Meta Llama 3 Community License" in str(error.value)


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        (errors.RepositoryNotFoundError, 404, "Check the spelling"),
        (errors.RevisionNotFoundError, 404, "must have the revision"),
        (errors.HfHubHTTPError, 503, "must be reachable"),
    ],
)
def test_other_refusals_are_told_apart(
    monkeypatch: pytest.MonkeyPatch, kind: type[Any], status: int, message: str
) -> None:
    answer_with(monkeypatch, http_error(kind, status))
    with pytest.raises(BadInput, match=message):
        fetch_llama()


def test_full_disk_names_the_hubs_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, OSError(28, "No space left on device"))
    with pytest.raises(BadInput, match="HF_HUB_CACHE"):
        fetch_llama()


def test_describing_needs_the_configuration_only(cache: Path, no_socket: list[Any]) -> None:
    fill_cache(cache, "org/tiny", {"config.json": FILES["config.json"]})
    spec = ModelSpec(source="org/tiny")
    assert describe(spec, "m", base=Path("/nowhere"), note=print).hidden_size == 12
    assert no_socket == []


def test_a_repository_with_an_adapter_is_refused_before_it_is_downloaded(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, AssertionError("downloaded"))
    list_as(monkeypatch, ["config.json", "model.safetensors", "adapter_config.json"])
    with pytest.raises(BadInput, match="must be one whole model"):
        fetch_llama()


def test_an_adapter_in_the_cache_is_not_loaded_either(cache: Path, no_socket: list[Any]) -> None:
    fill_cache(cache, "org/tiny", {**FILES, "adapter_config.json": b"{}"})
    with pytest.raises(BadInput, match="must be one whole model"):
        fetch(ModelSpec(source="org/tiny"), "tiny", base=Path("/nowhere"), note=lambda _: None)
