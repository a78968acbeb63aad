from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch

from tarazu import catalog
from tarazu.counting import count
from tarazu.methods.p_tuning import PTuningKnobs
from tarazu.models.cards import find_card
from tarazu.models.config import info_from_config
from tarazu.models.info import ModelInfo
from tarazu.testing.cases import Case, answer, asking, cases, load, train
from tarazu.testing.tiny import TinyKind, tiny_model

METHOD = catalog.find_method("p-tuning")


def info_of(name: str) -> ModelInfo:
    card = find_card(name)
    assert card is not None
    return info_from_config(card.id, card.config, card=card)


def case_of(folder: Path, kind: TinyKind, task: str) -> Case:
    tiny_model(folder, kind)
    (case,) = cases([METHOD], {kind: folder}, [catalog.find_task(task)])
    return case


@pytest.mark.parametrize("model", ["gpt2", "roberta-large", "meta-llama/Meta-Llama-3-8B"])
def test_only_the_vectors_are_deployed_not_what_trains_them(model: str) -> None:
    info = info_of(model)
    knobs = PTuningKnobs(virtual_tokens=20)
    found = count(METHOD, info, catalog.find_task("multinli"), knobs)
    assert found.deployed - found.head == 20 * info.hidden_size
    assert found.deployed < found.trained + found.head
    d = info.hidden_size
    assert found.trained == 20 * d + 3 * (d * d + d)  # embeddings and an MLP of three layers


def test_t33_the_learning_rate_is_of_the_scale_of_soft_prompts() -> None:
    task = catalog.find_task("multinli")
    for name in ("gpt2", "roberta-large"):
        rate = METHOD.defaults(info_of(name), task)["learning_rate"].value
        full = catalog.find_method("full").defaults(info_of(name), task)["learning_rate"].value
        assert 1e-3 <= rate <= 3e-1
        assert rate >= 10 * full


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_t24_cached_generation_equals_a_pass_without_a_cache(
    tmp_path: Path, kind: TinyKind
) -> None:
    """Greedy text with a cache behind virtual tokens, against one whole pass per token."""
    case = case_of(tmp_path / kind, kind, "squad")
    learner = load(case)
    train(case, learner)
    texts = [prediction.raw for prediction in answer(case, learner)]
    from tarazu.readings.prompts import encode_prompts

    how = asking(case, learner)
    for item, text in zip(case.test, texts, strict=True):
        (one,) = encode_prompts([item], [()], how, room=4)
        ids = list(one.prompt)
        with torch.no_grad():
            for _ in range(4):
                batch = torch.tensor([ids])
                states = learner.hidden(batch, torch.ones_like(batch))
                ids.append(int(learner.vocabulary_logits(states[:, -1]).argmax()))
                if ids[-1] == how.tokenizer.eos_token_id:
                    break
        slow = how.tokenizer.decode(ids[len(one.prompt) :], skip_special_tokens=True)
        assert slow == text


@pytest.mark.parametrize("network", ["MLP", "LSTM"])
def test_training_and_answering_use_the_same_vectors(
    tmp_path: Path, network: Literal["MLP", "LSTM"]
) -> None:
    case = case_of(tmp_path / "bert", "bert", "multinli")
    learner = load(case)
    METHOD.attach(learner, PTuningKnobs(virtual_tokens=4, reparameterization=network))
    learner.settle()
    assert learner.prompt is not None
    with torch.no_grad():
        computed = learner.prompt()
        assert torch.equal(learner.prompt.freeze(), computed)
        assert learner.prompt.encoder is not None
        learner.prompt.encoder.embedding.weight.add_(1.0)  # type: ignore[operator, union-attr]
        assert torch.equal(learner.prompt(), computed), "frozen vectors do not move"
        learner.prompt.thaw()
        assert not torch.equal(learner.prompt(), computed)


def test_virtual_tokens_take_room_in_the_context(tmp_path: Path) -> None:
    case = case_of(tmp_path / "gpt2", "gpt2", "squad")
    learner = load(case)
    assert learner.prompt is not None
    item = case.test[0].with_fields(context=" ".join(["Nora bought a lamp."] * 300))
    (found,) = answer(case, learner, items=[item])
    assert found.cut_tokens > 0
    assert found.prompt_tokens + learner.prompt.virtual_tokens + 4 <= case.info.context_length
