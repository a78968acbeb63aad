"""What was trained is saved and restored, on this machine alone."""

from __future__ import annotations

import json
import socket
import warnings
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from tarazu import catalog
from tarazu.models import trained
from tarazu.models.trained import FILE, VECTORS, restore_trained, save_trained, trained_tensors
from tarazu.testing.cases import Case, answer, cases, load, train
from tarazu.testing.tiny import TinyKind, tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return tmp_path_factory.mktemp("tiny")


def case_of(method: str, model: TinyKind, task: str, folder: Path) -> Case:
    path = folder / model
    if not path.is_dir():
        tiny_model(path, model)
    (case,) = cases([catalog.find_method(method)], {model: path}, [catalog.find_task(task)])
    return case


def names(file: Path) -> set[str]:
    with safe_open(file, framework="pt") as tensors:
        return set(tensors.keys())


def test_t9_the_head_is_saved_with_the_adapter(folder: Path, tmp_path: Path) -> None:
    case = case_of("lora", "bert", "multinli", folder)
    learner = load(case)
    files = save_trained(learner, tmp_path)
    found = names(tmp_path / FILE)
    assert {"head.dense.weight", "head.dense.bias", "head.out.weight", "head.out.bias"} <= found
    assert found == {name for name, _ in learner.named_trained()}
    relative = {file.relative_to(tmp_path).as_posix() for file in files}
    assert relative == {FILE, "adapter/adapter_config.json", "adapter/adapter_model.safetensors"}


def test_saving_needs_no_network(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """peft looks on the Hub for the base's configuration unless it is told not to."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("saving opened a connection")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    learner = load(case_of("lora", "gpt2", "multinli", folder))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_trained(learner, tmp_path)


def test_nothing_saved_names_this_machine(folder: Path, tmp_path: Path) -> None:
    learner = load(case_of("lora", "llama", "squad", folder))
    for file in save_trained(learner, tmp_path):
        assert str(folder).encode() not in file.read_bytes(), file.name
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["r"] == 8


def test_t34_an_adapter_is_saved_in_the_same_order_in_every_process(tmp_path: Path) -> None:
    """`peft` writes sets; the order of a set of strings differs from process to process."""
    file = tmp_path / "adapter_config.json"
    names = ["v_proj", "o_proj", "q_proj", "up_proj", "k_proj"]
    written = []
    for order in (names, names[::-1]):
        file.write_text(json.dumps({"r": 8, "target_modules": order, "bias": "none"}))
        trained._in_order(file)
        written.append(file.read_bytes())
    assert written[0] == written[1]
    assert json.loads(written[0])["target_modules"] == sorted(names)


def test_saving_puts_the_adapter_in_order(folder: Path, tmp_path: Path) -> None:
    learner = load(case_of("lora", "bert", "multinli", folder))
    adapter = learner.adapter
    assert adapter is not None
    for names in (["value", "query"], ["query", "value"]):
        # A list keeps its order, as a set of some process happens to.
        adapter.peft_config["default"].target_modules = names
        save_trained(learner, tmp_path)
        config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
        assert config["target_modules"] == ["query", "value"]


def test_the_adapter_loads_in_peft(folder: Path, tmp_path: Path) -> None:
    """Other tools read the adapter in peft's own layout."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    case = case_of("lora", "gpt2", "multinli", folder)
    learner = load(case)
    train(case, learner)
    save_trained(learner, tmp_path)
    ids = torch.arange(5, 30).reshape(1, -1)
    with torch.no_grad():
        ours = learner.vocabulary_logits(learner.eval().hidden(ids, torch.ones_like(ids)))
        base = AutoModelForCausalLM.from_pretrained(case.folder, dtype=torch.float32).eval()
        plain = base(ids).logits
        theirs = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()(ids).logits
    assert not torch.allclose(plain, ours, atol=1e-3)
    assert torch.allclose(theirs, ours, atol=1e-5)


@pytest.mark.parametrize("model", ["bert", "gpt2", "llama"])
def test_t24_a_soft_prompt_is_deployed_as_vectors_and_answers_the_same(
    folder: Path, tmp_path: Path, model: TinyKind
) -> None:
    """The prompt encoder is needed in training only; generating uses a cache behind the vectors."""
    case = case_of("p-tuning", model, "squad", folder)
    learner = load(case)
    train(case, learner)
    save_trained(learner, tmp_path)
    found = names(tmp_path / FILE)
    head = {"head.out.weight", "head.out.bias"} if model == "bert" else set()
    assert found == {VECTORS} | head
    first = answer(case, learner)
    fresh = load(case, seed=5)
    assert answer(case, fresh) != first
    restore_trained(fresh, tmp_path)
    assert fresh.prompt is not None
    assert fresh.prompt.encoder is None
    assert answer(case, fresh) == first


def test_what_does_not_fit_is_refused(folder: Path, tmp_path: Path) -> None:
    save_trained(load(case_of("last-k", "bert", "multinli", folder)), tmp_path)
    other = load(case_of("lora", "bert", "multinli", folder))
    with pytest.raises(ValueError, match=r"missing \[.*lora_A.*unknown \[.*layer\.1"):
        restore_trained(other, tmp_path)


def test_copies_are_returned(folder: Path) -> None:
    learner = load(case_of("lora", "bert", "multinli", folder))
    tensors = trained_tensors(learner)
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    with torch.no_grad():
        for _, parameter in learner.named_trained():
            parameter.add_(1.0)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in before.items())
