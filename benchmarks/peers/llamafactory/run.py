"""LLaMA-Factory's side: `run_exp` as `llamafactory-cli train` calls it, stage sft.

    python run.py job.json

Its data sets are texts: the template ``empty`` adds nothing to them, and the end-of-text token is
written out, so that the tokens are those of the other sides. That is checked.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import json
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from common import Row, finish, judge, make_clock, read_job, rows_of


def leave_out_what_cannot_load() -> None:
    """Do without pictures and sound where their libraries are built for another torch.

    LLaMA-Factory requires both, but the index's wheels are linked against CUDA and fail beside a
    CPU build of torch; text needs neither.
    """
    for name in ("torchvision", "torchaudio"):
        try:
            importlib.import_module(name)
        except (ImportError, OSError, RuntimeError):
            for part in [part for part in sys.modules if part.split(".")[0] == name]:
                del sys.modules[part]
            sys.modules[name] = None  # type: ignore[assignment] # as if it were not installed
    if sys.modules["torchaudio"] is None:  # it is imported without a question, and never used here
        stub = types.ModuleType("torchaudio")
        stub.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
        sys.modules["torchaudio"] = stub


def write_dataset(rows: list[Row], tokenizer: Any, folder: Path) -> None:
    texts = []
    for row in rows:
        answer = row["answer"] + tokenizer.eos_token
        ids = [tokenizer.encode(text, add_special_tokens=False) for text in (row["prompt"], answer)]
        if ids[0] + ids[1] != row["input_ids"]:
            raise SystemExit(f"item {row['id']} would have other tokens than on the other sides")
        texts.append({"prompt": row["prompt"], "response": answer})
    (folder / "data.json").write_text(json.dumps(texts), encoding="utf-8")
    columns = {"prompt": "prompt", "response": "response"}
    info = {"data": {"file_name": "data.json", "columns": columns}}
    (folder / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")


def train(job: dict[str, Any], rows: list[Row], tokenizer: Any, folder: Path, epochs: int) -> Any:
    from llamafactory.train.tuner import run_exp

    values, peer, clock = job["settings"], job["peer"], make_clock()
    folder.mkdir()
    write_dataset(rows, tokenizer, folder)
    run_exp(
        {
            "stage": "sft",
            "do_train": True,
            "model_name_or_path": job["model"],
            "finetuning_type": "lora",
            "lora_rank": values["r"],
            "lora_alpha": int(values["alpha"]),
            "lora_dropout": values["dropout"],
            "lora_target": "q_proj,v_proj",
            "template": "empty",
            "dataset": "data",
            "dataset_dir": str(folder),
            "cutoff_len": values["max_length"],
            "overwrite_cache": True,
            "output_dir": str(folder / "out"),
            "num_train_epochs": epochs,
            "per_device_train_batch_size": values["batch_size"],
            "gradient_accumulation_steps": 1,
            "learning_rate": values["learning_rate"],
            "lr_scheduler_type": "linear",
            "weight_decay": values["weight_decay"],
            "warmup_steps": values["warmup"],
            "max_grad_norm": values["clip"],
            "train_sampling_strategy": "group_by_length" if peer.get("grouped") else "random",
            "disable_gradient_checkpointing": not peer.get("gradient_checkpointing", False),
            "bf16": peer["bf16"],
            "use_cpu": job["device"] == "cpu",
            "seed": job["seed"],
            "save_strategy": "no",
            "logging_steps": 1000,
            "report_to": "none",
            "disable_tqdm": True,
        },
        callbacks=[clock],
    )
    return clock


def main() -> None:
    leave_out_what_cannot_load()
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    job = read_job()
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    rows, epochs = rows_of(job, "train"), job["settings"]["epochs"]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        train(job, rows_of(job, "warm"), tokenizer, folder / "warm", 1)
        clock = train(job, rows, tokenizer, folder / "train", epochs)
        bf16 = job["peer"]["bf16"]
        base = AutoModelForCausalLM.from_pretrained(
            job["model"], dtype=torch.bfloat16 if bf16 else torch.float32
        ).to(job["device"])
        model = PeftModel.from_pretrained(base, str(folder / "train" / "out"))
        loss, answers = judge(model, job, tokenizer, bf16)
    finish(
        **clock.told(),
        examples=len(rows) * epochs,
        loss=loss,
        answers=answers,
    )


if __name__ == "__main__":
    main()
