"""The same mathematics as a loop written by hand with transformers and peft."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import peft
import pytest
import torch

from tarazu.catalog import find_method
from tarazu.data.item import Item
from tarazu.models.learner import Learner
from tarazu.models.load import load_learner, load_tokenizer
from tarazu.models.precision import Precision
from tarazu.readings import find_reading
from tarazu.readings._reading import Asking
from tarazu.readings.prompts import prompt_text
from tarazu.tasks._task import Task
from tarazu.testing.tiny import TinyKind, nli_items, tiny_info
from tarazu.training.batches import epoch_batches
from tarazu.training.loop import Plan, Watch, fit
from tarazu.work import examples

STEPS = 50  # as many as the promise is made for
ITEMS, EPOCHS, BATCH = 30, 10, 6  # 5 batches of 6 items, 10 times
TARGETS = {"bert": ["query", "value"], "gpt2": ["c_attn"], "llama": ["q_proj", "v_proj"]}
RATES = {"full": 1e-3, "lora": 5e-3, "p-tuning": 1e-2}
HEAD_RATE = 3e-3
DECAY = 0.3  # so strong that fifty steps with and without it differ visibly
# The plain loop takes batches of 6 whole; in parts, also unequal ones, they are the same updates.
MICRO = {"full": None, "lora": 4, "p-tuning": 2}
KNOBS: dict[str, dict[str, Any]] = {
    "full": {},
    "lora": {"r": 4, "alpha": 8, "dropout": 0.0},
    "p-tuning": {"virtual_tokens": 5, "encoder_hidden_size": 24},
}


@pytest.fixture(scope="module")
def loop() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "peers" / "reference_loop.py"
    spec = importlib.util.spec_from_file_location("reference_loop", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _without_dropout(folder: Path, out: Path) -> Path:
    shutil.copytree(folder, out)
    path = out / "config.json"
    config = json.loads(path.read_text())
    names = ["hidden_dropout_prob", "attention_probs_dropout_prob", "attention_dropout"]
    config |= dict.fromkeys([*names, "resid_pdrop", "embd_pdrop", "attn_pdrop"], 0.0)
    path.write_text(json.dumps(config))
    return out


def _reference(
    loop: ModuleType, folder: Path, kind: str, method: str, learner: Learner, classes: int
) -> Any:
    """Build the plain model and copy every initial weight that is not pretrained."""
    model = loop.load(folder, kind)
    skip = 0
    if method == "lora":
        model = loop.with_lora(model, kind, TARGETS[learner.info.architecture], r=4, alpha=8)
        peft.set_peft_model_state_dict(model, peft.get_peft_model_state_dict(learner.adapter))
    elif method == "p-tuning":
        skip = 5
        model = loop.with_p_tuning(model, kind, virtual_tokens=skip, width=24)
        assert learner.prompt is not None
        assert learner.prompt.encoder is not None
        model.prompt_encoder["default"].load_state_dict(learner.prompt.encoder.state_dict())
    if kind == "decoder":
        return loop.CausalModel(model)
    classifier = loop.Classifier(model, learner.info.hidden_size, classes, skip)
    head: Any = learner.head
    classifier.dense.load_state_dict(head.dense.state_dict())
    classifier.out.load_state_dict(head.out.state_dict())
    return classifier


def _plain_examples(
    loop: ModuleType, kind: str, items: list[Item], asking: Asking, task: Task
) -> list[dict[str, list[int]]]:
    tokenizer = asking.tokenizer
    if kind == "decoder":
        prompts = [prompt_text(item, asking) for item in items]
        return loop.causal_examples(tokenizer, prompts, [i.gold[0] for i in items])  # type: ignore[no-any-return]
    return loop.class_examples(  # type: ignore[no-any-return]
        tokenizer,
        *[[item.fields[name] for item in items] for name in task.texts],
        classes=[task.labels.index(item.gold[0]) for item in items],
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["full", "lora", "p-tuning"])
@pytest.mark.parametrize("architecture", ["bert", "gpt2", "llama"])
def test_loss_follows_the_plain_loop(
    loop: ModuleType,
    tiny: Callable[[TinyKind], Path],
    one_text: Task,
    ask: Callable[..., Asking],
    tmp_path: Path,
    architecture: TinyKind,
    method: str,
) -> None:
    folder = _without_dropout(tiny(architecture), tmp_path / "model")
    info = tiny_info(folder)
    items = nli_items(ITEMS)
    # peft drops the token types of a pair when it adds virtual tokens; one text has none to drop.
    single = architecture == "bert" and method == "p-tuning"
    asking = ask(folder, task=one_text) if single else ask(folder)
    task = asking.task
    reading = find_reading("classes" if info.kind == "encoder" else "text")
    torch.manual_seed(0)
    learner = load_learner(
        folder,
        info,
        "classes" if info.kind == "encoder" else "text",
        len(task.labels),
        Precision("cpu", "float32", 1),
    )
    chosen = find_method(method)
    chosen.attach(learner, chosen.knobs(**KNOBS[method]))
    model = _reference(loop, folder, info.kind, method, learner, len(task.labels))
    plain = _plain_examples(loop, info.kind, items, asking, task)
    ours = examples(reading.encode(items, asking), load_tokenizer(folder).pad_token_id)
    order = [
        batch
        for epoch in range(1, EPOCHS + 1)
        for batch in epoch_batches(ours.lengths, BATCH, seed=7, epoch=epoch)
    ]
    assert len(order) == STEPS
    expected = loop.train(
        model,
        [[plain[i] for i in batch] for batch in order],
        pad_id=asking.tokenizer.pad_token_id,
        learning_rate=RATES[method],
        head_learning_rate=HEAD_RATE,
        weight_decay=DECAY,
        warmup_steps=5,
        clip=1.0,
    )
    losses: list[float] = []
    plan = Plan(
        epochs=EPOCHS,
        batch_size=BATCH,
        micro_batch_size=MICRO[method],
        learning_rate=RATES[method],
        head_learning_rate=HEAD_RATE,
        weight_decay=DECAY,
        warmup=0.1,
        schedule="linear",
        clip=1.0,
        select="last",
        seed=7,
    )
    watch = Watch(step=lambda done, total, epoch, loss: losses.append(loss))
    fit(learner, reading.loss, ours, None, plan, watch)
    assert losses == pytest.approx(expected, abs=1e-4)
    # The comparison would mean nothing if nothing were learnt.
    assert sum(losses[:5]) - sum(losses[-5:]) > 0.3
