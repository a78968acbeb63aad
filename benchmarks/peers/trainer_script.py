"""What a careful user writes with `transformers`' Trainer and `peft`, to be compared against.

It shares no code with tarazu. Hyperparameters come from the command line; what is not given there
is the Trainer's own default: AdamW, linear schedule, clipping at 1.0, the last step's weights.
It prints one line of JSON: ``{"accuracy", "seconds", "predictions": {id: label}}``.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import peft
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

LABELS = ("entailment", "neutral", "contradiction")  # other labels: --labels
SYSTEM = (
    "Judge the hypothesis by the premise: entailment if it must be true, neutral if it may be true "
    "or false, contradiction if it cannot be true. Answer with one of: entailment, neutral, "
    "contradiction."
)
Row = dict[str, str]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--method", choices=("full", "lora", "p-tuning"), required=True)
    parser.add_argument("--kind", choices=("encoder", "decoder"), required=True)
    parser.add_argument("--model", required=True, help="folder in the layout of transformers")
    parser.add_argument(
        "--train", type=Path, required=True, help="id, label, and premise and hypothesis or text"
    )
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--labels", nargs="+", default=list(LABELS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--micro-batch-size", type=int, help="per forward pass; default: all")
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--warmup", type=float, default=0.06, help="share of all updates")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--r", type=int, default=8)
    parser.add_argument("--alpha", type=float, default=16)
    parser.add_argument("--dropout", type=float, default=0.1, help="of LoRA")
    parser.add_argument("--virtual-tokens", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bf16", action="store_true")
    return parser.parse_args()


def read_rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def adapt(model: Any, args: argparse.Namespace) -> Any:
    """Wrap the model by `peft`, unless all of it is trained."""
    if args.method == "full":
        return model
    encoder = args.kind == "encoder"
    task_type = "SEQ_CLS" if encoder else "CAUSAL_LM"
    if args.method == "lora":
        config = peft.LoraConfig(
            task_type=task_type,
            r=args.r,
            lora_alpha=args.alpha,
            lora_dropout=args.dropout,
            target_modules=["query", "value"] if encoder else ["q_proj", "v_proj"],
        )
    else:
        config = peft.PromptEncoderConfig(
            task_type=task_type,
            num_virtual_tokens=args.virtual_tokens,
            encoder_hidden_size=model.config.hidden_size,
        )
    adapted = peft.get_peft_model(model, config)
    if encoder:
        # peft trains the last layer of BERT's head only; its dense layer must follow the task too.
        for name, parameter in adapted.named_parameters():
            if "pooler" in name:
                parameter.requires_grad_(True)
    return adapted


def train(model: Any, dataset: list[Any], collator: Any, args: argparse.Namespace) -> Trainer:
    micro = args.micro_batch_size or args.batch_size
    updates = args.epochs * math.ceil(len(dataset) / args.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                seed=args.seed,
                num_train_epochs=args.epochs,
                per_device_train_batch_size=micro,
                gradient_accumulation_steps=args.batch_size // micro,
                per_device_eval_batch_size=16,
                learning_rate=args.learning_rate,
                weight_decay=args.weight_decay,
                # Trainer would take the next whole number of a share, tarazu takes the nearest.
                warmup_steps=round(args.warmup * updates),
                train_sampling_strategy="group_by_length",
                bf16=args.bf16,
                use_cpu=not torch.cuda.is_available(),
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=dataset,
            data_collator=collator,
        )
        trainer.train()
    # The Trainer groups by length when it predicts, too, and returns the answers in that order.
    trainer.args.train_sampling_strategy = "random"
    return trainer


def run_encoder(args: argparse.Namespace) -> list[str]:
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForSequenceClassification.from_pretrained(
        args.model, num_labels=len(args.labels), dtype=torch.float32
    )

    def encode(rows: list[Row]) -> list[Any]:
        fields = ("text",) if "text" in rows[0] else ("premise", "hypothesis")
        encoded = tokenizer(
            *([row[name] for row in rows] for name in fields),
            truncation="only_first",
            max_length=args.max_length,
        )
        numbers = [args.labels.index(row["label"]) for row in rows]
        return [
            {**{name: encoded[name][i] for name in encoded}, "labels": number}
            for i, number in enumerate(numbers)
        ]

    collator = DataCollatorWithPadding(tokenizer)
    trainer = train(adapt(model, args), encode(read_rows(args.train)), collator, args)
    logits = trainer.predict(encode(read_rows(args.test))).predictions
    return [args.labels[index] for index in logits.argmax(axis=-1)]


def prompt_ids(tokenizer: Any, row: Row, longest: int) -> list[int]:
    """Return the chat prompt in tokens; the end of a long premise is left out."""
    words = row["premise"].split(" ")
    while True:
        premise = " ".join(words)
        text = tokenizer.apply_chat_template(
            [
                {"role": "system", "content": SYSTEM},
                {
                    "role": "user",
                    "content": f"Premise: {premise}\nHypothesis: {row['hypothesis']}\nLabel:",
                },
            ],
            tokenize=False,
            add_generation_prompt=True,
        )
        ids: list[int] = tokenizer(text, add_special_tokens=False).input_ids
        if len(ids) <= longest:
            return ids
        if not words:
            raise SystemExit(f"item {row['id']} does not fit into {longest} tokens")
        words.pop()


def run_decoder(args: argparse.Namespace) -> list[str]:
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32)
    words = [tokenizer(label, add_special_tokens=False).input_ids for label in LABELS]
    longest = args.max_length - max(map(len, words)) - 1
    dataset = []
    for row in read_rows(args.train):
        prompt = prompt_ids(tokenizer, row, longest)
        answer = [*words[LABELS.index(row["label"])], tokenizer.eos_token_id]
        ids = prompt + answer
        dataset.append(
            {
                "input_ids": ids,
                "attention_mask": [1] * len(ids),
                "labels": [-100] * len(prompt) + answer,
            }
        )
    trainer = train(adapt(model, args), dataset, DataCollatorForSeq2Seq(tokenizer), args)
    prompts = [prompt_ids(tokenizer, row, longest) for row in read_rows(args.test)]
    return score_words(trainer.model, prompts, words, args)


@torch.no_grad()
def score_words(
    model: Any, prompts: list[list[int]], words: list[list[int]], args: argparse.Namespace
) -> list[str]:
    """Answer with the most probable label word, given a prompt."""
    model.eval()
    device = next(model.parameters()).device
    answers = [""] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for start in range(0, len(order), 16):
        rows = order[start : start + 16]
        width = max(len(prompts[i]) for i in rows)
        # Padding stands on the left, where the mask hides it.
        ids = torch.tensor([[0] * (width - len(prompts[i])) + prompts[i] for i in rows])
        mask = torch.tensor([[0] * (width - len(prompts[i])) + [1] * len(prompts[i]) for i in rows])
        with torch.autocast(device.type, torch.bfloat16) if args.bf16 else nullcontext():
            scores = score_batch(model, ids.to(device), mask.to(device), words)
        for row, best in zip(rows, scores.argmax(dim=0).tolist(), strict=True):
            answers[row] = LABELS[best]
    return answers


def score_batch(
    model: Any, ids: torch.Tensor, mask: torch.Tensor, words: list[list[int]]
) -> torch.Tensor:
    """Return the log-probability of every word for every prompt, [words, prompts]."""
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
        tokens = torch.tensor(word, device=ids.device).expand(len(ids), -1)
        steps = torch.arange(1, len(word) + 1, device=ids.device)
        logits = prompt.logits
        if len(word) > 1:
            rest = model(
                input_ids=tokens[:, :-1],
                attention_mask=torch.cat([mask, torch.ones_like(tokens[:, :-1])], dim=1),
                position_ids=positions[:, -1:] + steps[:-1],
                past_key_values=copy.deepcopy(prompt.past_key_values),
            )
            logits = torch.cat([logits, rest.logits], dim=1)
        chosen = logits.float().log_softmax(dim=-1).gather(-1, tokens.unsqueeze(-1))
        scores.append(chosen.sum(dim=(1, 2)))
    return torch.stack(scores)


def main() -> None:
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    set_seed(args.seed)
    start = time.perf_counter()
    answers = run_encoder(args) if args.kind == "encoder" else run_decoder(args)
    rows = read_rows(args.test)
    right = sum(answer == row["label"] for answer, row in zip(answers, rows, strict=True))
    result = {
        "accuracy": right / len(rows),
        "seconds": time.perf_counter() - start,
        "predictions": {row["id"]: answer for row, answer in zip(rows, answers, strict=True)},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
