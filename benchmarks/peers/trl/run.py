"""TRL's side: `SFTTrainer` on a data set of tokens with the prompt's labels left out.

python run.py job.json
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from common import finish, judge, make_clock, read_job, rows_of
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
from trl import SFTConfig, SFTTrainer


def train(job: dict[str, Any], part: str, tokenizer: Any) -> tuple[Any, Any, int]:
    """Train a fresh model and return it with the clock and the number of examples."""
    values, peer, clock = job["settings"], job["peer"], make_clock()
    rows = rows_of(job, part)
    set_seed(job["seed"])
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32)
    adapter = None
    if job["method"] == "lora":
        adapter = LoraConfig(
            task_type="CAUSAL_LM",
            r=values["r"],
            lora_alpha=values["alpha"],
            lora_dropout=values["dropout"],
            target_modules=["q_proj", "v_proj"],
        )
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(
                output_dir=folder,
                seed=job["seed"],
                num_train_epochs=values["epochs"] if part == "train" else 1,
                per_device_train_batch_size=values["batch_size"],
                learning_rate=values["learning_rate"],
                weight_decay=values["weight_decay"],
                warmup_steps=values["warmup"],
                max_grad_norm=values["clip"],
                max_length=values["max_length"],
                train_sampling_strategy="group_by_length" if peer.get("grouped") else "random",
                bf16=peer["bf16"],
                gradient_checkpointing=peer.get("gradient_checkpointing", False),
                use_cpu=job["device"] == "cpu",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_list(
                [{"input_ids": row["input_ids"], "labels": row["labels"]} for row in rows]
            ),
            processing_class=tokenizer,
            peft_config=adapter,
            callbacks=[clock],
        )
        trainer.train()
    return trainer.model, clock, len(rows)


def main() -> None:
    job = read_job()
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    train(job, "warm", tokenizer)
    model, clock, count = train(job, "train", tokenizer)
    loss, answers = judge(model, job, tokenizer, job["peer"]["bf16"])
    finish(
        **clock.told(),
        examples=count * job["settings"]["epochs"],
        loss=loss,
        answers=answers,
    )


if __name__ == "__main__":
    main()
