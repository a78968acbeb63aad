"""The loop that a user would write by hand with `transformers` and `peft`, to be compared against.

It shares no code with tarazu: examples are tokenised, padded, masked, trained and counted here, the
way the documentation of those libraries shows it. Only the batches are given from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import peft
import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, AutoModelForCausalLM, get_scheduler

IGNORE = -100
Example = dict[str, list[int]]


def causal_examples(
    tokenizer: Any, prompts: Sequence[str], answers: Sequence[str]
) -> list[Example]:
    """Tokenise prompt, space, answer and end; the loss is on the answer and the end."""
    examples = []
    for prompt, answer in zip(prompts, answers, strict=True):
        start = len(tokenizer(prompt).input_ids)
        ids = [*tokenizer(f"{prompt} {answer}").input_ids, tokenizer.eos_token_id]
        labels = [IGNORE] * start + ids[start:]
        examples.append({"input_ids": ids, "labels": labels})
    return examples


def class_examples(tokenizer: Any, *texts: Sequence[str], classes: Sequence[int]) -> list[Example]:
    """Tokenise one text or a pair of texts, with a class each."""
    encoded = tokenizer(*map(list, texts))
    return [
        {**{name: encoded[name][row] for name in encoded}, "labels": [label]}
        for row, label in enumerate(classes)
    ]


class Classifier(nn.Module):
    """An encoder with dense, tanh and projection on the first token of the text.

    `skip` virtual tokens stand before the text.
    """

    def __init__(self, encoder: Any, hidden: int, classes: int, skip: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        self.skip = skip
        self.dense = nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, classes)

    def forward(self, labels: torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
        states = self.encoder(**inputs).last_hidden_state
        logits = self.out(torch.tanh(self.dense(states[:, self.skip])))
        return nn.functional.cross_entropy(logits, labels[:, 0])


class CausalModel(nn.Module):
    """A causal model with the loss that `transformers` computes itself."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        loss: torch.Tensor = self.model(**inputs).loss
        return loss


def load(folder: Path, kind: str) -> Any:
    """Load a backbone in fp32; an encoder without the pooler, since `Classifier` has its own."""
    if kind == "decoder":
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return AutoModel.from_pretrained(folder, dtype=torch.float32, add_pooling_layer=False)


def with_lora(model: Any, kind: str, targets: list[str], *, r: int, alpha: float) -> Any:
    """Put LoRA adapters into a model."""
    task = "CAUSAL_LM" if kind == "decoder" else "FEATURE_EXTRACTION"
    config = peft.LoraConfig(
        task_type=task,
        r=r,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules=targets,
        fan_in_fan_out=model.config.model_type == "gpt2",
    )
    return peft.get_peft_model(model, config)


def with_p_tuning(model: Any, kind: str, *, virtual_tokens: int, width: int) -> Any:
    """Put trained virtual tokens in front of a model's input."""
    task = "CAUSAL_LM" if kind == "decoder" else "FEATURE_EXTRACTION"
    config = peft.PromptEncoderConfig(
        task_type=task, num_virtual_tokens=virtual_tokens, encoder_hidden_size=width
    )
    return peft.get_peft_model(model, config)


def _padded(batch: Sequence[Example], pad_id: int) -> dict[str, torch.Tensor]:
    fill = {"input_ids": pad_id, "labels": IGNORE}
    padded = {
        name: pad_sequence(
            [torch.tensor(example[name]) for example in batch],
            batch_first=True,
            padding_value=fill.get(name, 0),
        )
        for name in batch[0]
    }
    lengths = torch.tensor([len(example["input_ids"]) for example in batch])
    width = padded["input_ids"].shape[1]
    padded["attention_mask"] = (torch.arange(width) < lengths.unsqueeze(1)).long()
    return padded


def train(
    model: nn.Module,
    batches: Sequence[Sequence[Example]],
    *,
    pad_id: int,
    learning_rate: float,
    head_learning_rate: float,
    weight_decay: float,
    warmup_steps: int,
    clip: float,
    schedule: str = "linear",
) -> list[float]:
    """Train on the batches in their order and return the loss of each."""
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    trained = list(named.values())
    head = {name for name in named if name.startswith(("dense.", "out."))}
    optimizer = torch.optim.AdamW(
        [
            {
                "params": [p],
                "lr": head_learning_rate if name in head else learning_rate,
                "weight_decay": weight_decay if p.ndim > 1 else 0.0,
            }
            for name, p in named.items()
        ]
    )
    scheduler = get_scheduler(
        schedule, optimizer, num_warmup_steps=warmup_steps, num_training_steps=len(batches)
    )
    model.train()
    losses = []
    for batch in batches:
        loss = model(**_padded(batch, pad_id))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, clip)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses
