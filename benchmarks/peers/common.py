"""What the scripts of the peers share: the job, the clock, loss and answers on held-out items.

Only torch and transformers are needed, no line of tarazu. All texts come in tokens: see
``benchmarks/side_by_side/prepare.py``.
"""

from __future__ import annotations

import copy
import gc
import json
import resource
import sys
import time
from contextlib import nullcontext
from importlib import metadata
from pathlib import Path
from typing import Any

Row = dict[str, Any]
EVAL_BATCH = 16
PACKAGES = ("torch", "transformers", "peft", "accelerate", "bitsandbytes", "trl", "llamafactory",
            "lm_eval")  # fmt: skip


def read_job() -> dict[str, Any]:
    """Read the job and set the threads."""
    import torch

    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    return job


def rows_of(job: dict[str, Any], part: str) -> list[Row]:
    text = (Path(job["folder"]) / f"{part}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


def finish(**result: Any) -> None:
    """Print the one line that the benchmark reads."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print("\n" + json.dumps({**result, "peak_bytes": peak, "versions": versions}))


def make_clock() -> Any:
    """Return a callback that takes the seconds from the begin of training to its last update.

    A card is waited for: what was only asked of it is not done.
    """
    import torch
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        start = last = cpu_start = cpu_last = 0.0
        updates = accelerator_bytes = 0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            if torch.cuda.is_initialized():
                gc.collect()  # the warm-up's model
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            self.start, self.cpu_start = time.perf_counter(), time.process_time()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            self.last, self.cpu_last = time.perf_counter(), time.process_time()
            self.updates += 1

        def told(self) -> dict[str, Any]:
            return {
                "seconds": self.last - self.start,
                "cpu_seconds": self.cpu_last - self.cpu_start,
                "accelerator_bytes": self.accelerator_bytes,
                "updates": self.updates,
            }

        def on_train_end(self, *_: Any, **__: Any) -> None:
            if torch.cuda.is_initialized():
                self.accelerator_bytes = torch.cuda.max_memory_allocated()

    return Clock()


def autocast(model: Any, bf16: bool) -> Any:
    import torch

    return torch.autocast(model.device.type, torch.bfloat16) if bf16 else nullcontext()


def pad(rows: list[list[int]], fill: int, *, left: bool = False) -> Any:
    import torch

    width = max(map(len, rows))
    gaps = [[fill] * (width - len(row)) for row in rows]
    return torch.tensor([g + r if left else r + g for r, g in zip(rows, gaps, strict=True)])


def batches(rows: list[Row], key: str = "input_ids") -> list[list[int]]:
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i][key]))
    return [order[i : i + EVAL_BATCH] for i in range(0, len(order), EVAL_BATCH)]


def classify(model: Any, rows: list[Row], bf16: bool, pad_id: int) -> tuple[float, dict[str, int]]:
    """Return the mean cross-entropy and the best class by id."""
    import torch

    model.eval()
    total, answers = 0.0, {}
    for indices in batches(rows):
        some = [rows[i] for i in indices]
        ids = [row["input_ids"] for row in some]
        inputs = {
            "input_ids": pad(ids, pad_id),
            "attention_mask": pad([[1] * len(row) for row in ids], 0),
        }
        if "token_type_ids" in some[0]:
            inputs["token_type_ids"] = pad([row["token_type_ids"] for row in some], 0)
        with torch.no_grad(), autocast(model, bf16):
            inputs = {name: rows.to(model.device) for name, rows in inputs.items()}
            logits = model(**inputs).logits.float()
        gold = torch.tensor([row["labels"] for row in some]).to(model.device)
        total += float(torch.nn.functional.cross_entropy(logits, gold, reduction="sum"))
        for row, best in zip(some, logits.argmax(dim=-1).tolist(), strict=True):
            answers[row["id"]] = best
    return total / len(rows), answers


def answer_loss(model: Any, rows: list[Row], bf16: bool, pad_id: int) -> float:
    """Return the mean cross-entropy per answer token."""
    import torch

    model.eval()
    total, terms = 0.0, 0
    for indices in batches(rows):
        ids = [rows[i]["input_ids"] for i in indices]
        labels = pad([rows[i]["labels"] for i in indices], -100)[:, 1:].to(model.device)
        mask = pad([[1] * len(row) for row in ids], 0).to(model.device)
        with torch.no_grad(), autocast(model, bf16):
            logits = model(input_ids=pad(ids, pad_id).to(model.device), attention_mask=mask).logits[
                :, :-1
            ]
        counted = labels >= 0
        chosen = logits[counted].float()
        total += float(torch.nn.functional.cross_entropy(chosen, labels[counted], reduction="sum"))
        terms += int(counted.sum())
    return total / terms


def generate(model: Any, rows: list[Row], bf16: bool, tokenizer: Any, room: int) -> dict[str, str]:
    """Return a greedy answer by id."""
    import torch

    model.eval()
    model.config.use_cache = True
    answers = {}
    for indices in batches(rows, "prompt_ids"):
        prompts = [rows[i]["prompt_ids"] for i in indices]
        ids = pad(prompts, tokenizer.pad_token_id, left=True).to(model.device)
        mask = pad([[1] * len(row) for row in prompts], 0, left=True).to(model.device)
        with torch.no_grad(), autocast(model, bf16):
            made = model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=room,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
            )
        texts = tokenizer.batch_decode(made[:, ids.shape[1] :], skip_special_tokens=True)
        answers |= {rows[i]["id"]: text for i, text in zip(indices, texts, strict=True)}
    return answers


def choose(model: Any, rows: list[Row], bf16: bool, pad_id: int) -> tuple[float, dict[str, int]]:
    """Return the mean negative log-probability of the right label, and the best label by id."""
    import torch

    model.eval()
    total, answers = 0.0, {}
    for indices in batches(rows, "prompt_ids"):
        some = [rows[i] for i in indices]
        ids = pad([row["prompt_ids"] for row in some], pad_id, left=True).to(model.device)
        mask = pad([[1] * len(row["prompt_ids"]) for row in some], 0, left=True).to(model.device)
        with torch.no_grad(), autocast(model, bf16):
            scores = _score(model, ids, mask, some[0]["choice_ids"])
        for column, row in enumerate(some):
            answers[row["id"]] = int(scores[:, column].argmax())
            total -= float(scores[row["gold"], column])
    return total / len(rows), answers


def _score(model: Any, ids: Any, mask: Any, words: list[list[int]]) -> Any:
    """Return the log-probability of every word for every prompt, [words, prompts]."""
    import torch

    positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
    prompt = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        use_cache=True,
        logits_to_keep=1,
    )
    scores = []
    for word in words:
        tokens = torch.tensor(word).to(ids.device).expand(len(ids), -1)
        logits = prompt.logits
        if len(word) > 1:
            rest = model(
                input_ids=tokens[:, :-1],
                attention_mask=torch.cat([mask, torch.ones_like(tokens[:, :-1])], dim=1),
                position_ids=positions[:, -1:] + torch.arange(1, len(word)).to(ids.device),
                past_key_values=copy.deepcopy(prompt.past_key_values),
            )
            logits = torch.cat([logits, rest.logits], dim=1)
        chosen = logits.float().log_softmax(dim=-1).gather(-1, tokens.unsqueeze(-1))
        scores.append(chosen.sum(dim=(1, 2)))
    return torch.stack(scores)


def judge(
    model: Any, job: dict[str, Any], tokenizer: Any, bf16: bool
) -> tuple[float | None, dict[str, Any]]:
    """Return the held-out loss and the answers, as the job's reading asks for them."""
    rows = rows_of(job, "held-out")
    pad_id = tokenizer.pad_token_id
    if job["reading"] == "classes":
        return classify(model, rows, bf16, pad_id)
    loss = answer_loss(model, rows, bf16, pad_id)
    if job["generates"]:
        return loss, generate(model, rows, bf16, tokenizer, job["max_new_tokens"])
    return loss, choose(model, rows, bf16, pad_id)[1]
