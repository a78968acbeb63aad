"""The plain script: `transformers.Trainer` and `peft`, no line of tarazu.

python run.py job.json
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import peft
import torch
from common import Row, choose, finish, judge, make_clock, read_job, rows_of
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    DataCollatorForSeq2Seq,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

ENCODER_QV = ["query", "value"]
DECODER_QV = ["q_proj", "v_proj"]


def load(job: dict[str, Any]) -> Any:
    """Load the base; QLoRA's in NF4, as the documentation of peft shows it."""
    if job["reading"] == "classes":
        return AutoModelForSequenceClassification.from_pretrained(
            job["model"], num_labels=job["labels"], dtype=torch.float32
        )
    if not job["method"].startswith("qlora"):
        # Whole in fp32 it may not fit; an adapter over a base in bf16 is in fp32 all the same.
        narrow = job["peer"].get("frozen_bf16") and job["method"] == "lora"
        return AutoModelForCausalLM.from_pretrained(
            job["model"], dtype=torch.bfloat16 if narrow else torch.float32
        )
    bf16 = job["peer"]["bf16"]
    model = AutoModelForCausalLM.from_pretrained(
        job["model"],
        dtype=torch.bfloat16 if bf16 else torch.float32,
        device_map={"": job["device"]},
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16 if bf16 else torch.float32,
        ),
    )
    checkpointing = job["peer"].get("gradient_checkpointing", False)
    return peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=checkpointing)


def adapt(model: Any, job: dict[str, Any]) -> Any:
    """Choose what is trained."""
    values, method = job["settings"], job["method"]
    encoder = job["model_kind"] == "encoder"
    if method == "full":
        return model
    if method == "last-k":
        model.requires_grad_(False)
        body = model.base_model
        layers = body.encoder.layer if encoder else body.layers
        tops = [model.classifier, body.pooler] if encoder else [body.norm]
        for module in [*layers[-values["k"] :], *tops]:
            module.requires_grad_(True)
        return model
    task_type = "SEQ_CLS" if encoder else "CAUSAL_LM"
    if method in ("lora", "qlora-text"):
        everywhere = values["targets"] == "all-linear"
        config: Any = peft.LoraConfig(
            task_type=task_type,
            r=values["r"],
            lora_alpha=values["alpha"],
            lora_dropout=values["dropout"],
            target_modules="all-linear" if everywhere else ENCODER_QV if encoder else DECODER_QV,
        )
    elif method == "p-tuning":
        config = peft.PromptEncoderConfig(
            task_type=task_type,
            num_virtual_tokens=values["virtual_tokens"],
            encoder_hidden_size=model.config.hidden_size,
        )
    else:
        raise SystemExit(f"this script does not know the method {method}")
    adapted = peft.get_peft_model(model, config)
    if encoder:
        # peft trains the last layer of BERT's head only; its dense layer must follow the task too.
        for name, parameter in adapted.named_parameters():
            if "pooler" in name:
                parameter.requires_grad_(True)
    return adapted


def prepare(job: dict[str, Any]) -> Any:
    model = adapt(load(job), job)
    if job["peer"].get("frozen_bf16"):
        # What is not trained may be stored in bf16; what is trained stays in fp32.
        for parameter in model.parameters():
            if not parameter.requires_grad and parameter.is_floating_point():
                parameter.data = parameter.data.to(torch.bfloat16)
    return model


def dataset(rows: list[Row], job: dict[str, Any]) -> list[Row]:
    names = ("input_ids", "token_type_ids", "labels")
    return [
        {"attention_mask": [1] * len(row["input_ids"]), **{n: row[n] for n in names if n in row}}
        for row in rows
    ]


def collator(job: dict[str, Any], tokenizer: Any) -> Any:
    longest = job["settings"]["max_length"] if job["peer"].get("pad_to_longest") else None
    padding = {"padding": "max_length", "max_length": longest} if longest else {}
    kind = DataCollatorWithPadding if job["reading"] == "classes" else DataCollatorForSeq2Seq
    return kind(tokenizer, **padding)


def train(model: Any, rows: list[Row], job: dict[str, Any], tokenizer: Any, epochs: int) -> Any:
    values, peer, clock = job["settings"], job["peer"], make_clock()
    with tempfile.TemporaryDirectory() as folder:
        Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                seed=job["seed"],
                num_train_epochs=epochs,
                per_device_train_batch_size=values["batch_size"],
                learning_rate=values["learning_rate"],
                weight_decay=values["weight_decay"],
                warmup_steps=values["warmup"],
                max_grad_norm=values["clip"],
                train_sampling_strategy="group_by_length" if peer.get("grouped") else "random",
                bf16=peer["bf16"],
                torch_compile=peer.get("compile", False),
                use_cpu=job["device"] == "cpu",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=dataset(rows, job),
            data_collator=collator(job, tokenizer),
            callbacks=[clock],
        ).train()
    return clock


def run_training(job: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    epochs = job["settings"]["epochs"]
    rows = rows_of(job, "train")
    if job["work"] == "train":
        set_seed(job["seed"])
        train(prepare(job), rows_of(job, "warm"), job, tokenizer, 1)
    set_seed(job["seed"])
    model = prepare(job)
    clock = train(model, rows, job, tokenizer, epochs)
    loss, answers = judge(model, job, tokenizer, job["peer"]["bf16"])
    return {
        **clock.told(),
        "examples": epochs * len(rows),
        "loss": loss,
        "answers": answers,
    }


def run_prompting(job: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    dtype = torch.bfloat16 if job["peer"]["bf16"] else torch.float32
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=dtype).to(job["device"])
    rows = rows_of(job, "held-out")
    start, cpu_start = time.perf_counter(), time.process_time()
    loss, answers = choose(model, rows, False, tokenizer.pad_token_id)
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu_start,
        "updates": 0,
        "examples": len(rows),
        "loss": loss,
        "answers": answers,
    }


def main() -> None:
    job = read_job()
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    prompting = job["method"] in ("zero-shot", "few-shot")
    finish(**(run_prompting if prompting else run_training)(job, tokenizer))


if __name__ == "__main__":
    main()
