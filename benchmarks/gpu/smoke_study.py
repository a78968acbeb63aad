"""The worked studies at small size: models, rows, study files, and the commands that run them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from ruamel.yaml import YAML

import tarazu
from side_by_side.works import ROOT
from tarazu.catalog import find_method
from tarazu.models.fast.switches import VARIABLE, Fast
from tarazu.testing.tiny import TinyKind, nli_items, qa_items, tiny_tokenizer

STUDIES = ("nli", "squad")
RATE = 2e-3
"""Learning rate of all training at small size: large enough that the losses move within it."""
BATCH = 8
EPOCHS = 2
ROWS = 32
"""Training rows before validation is cut off; as many items in each test split."""
VALIDATION = 8
# All that should change nothing: other batches would be another training.
PLAIN = tuple(field.name for field in fields(Fast) if field.name != "length_buckets")
STOP = threading.Event()
"""Set when the script itself is told to end: commands of all threads end, too."""
_SPREAD = 0.15  # of random weights: a changed token visibly changes the output
_DROPOUTS = {
    "roberta": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
    "llama": ("attention_dropout",),
    "gpt2": ("resid_pdrop", "embd_pdrop", "attn_pdrop"),
}
# As many layers of RoBERTa as an entry of the study names by number; grouped-query attention.
_SHAPES: dict[str, dict[str, Any]] = {
    "roberta": {"num_hidden_layers": 24, "type_vocab_size": 1, "max_position_embeddings": 514},
    "llama": {"num_hidden_layers": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024},
    "gpt2": {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 512},
}
_COMMON = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128}


@dataclass(frozen=True)
class Side:
    """One way of computing both studies.

    Attributes:
        name: Part of folder names.
        device: ``cpu`` or ``cuda``.
        dtype: As in a study: ``float32``, ``bfloat16``, or ``auto``.
        threads: CPU threads.
        dropout: Whether dropout is on. It is drawn otherwise on every device, so that losses are
            compared closely without it.
        plain: Whether tarazu's optimisations are off.
    """

    name: str
    device: str
    dtype: str
    threads: int
    dropout: bool = False
    plain: bool = False


@dataclass(frozen=True)
class Done:
    """A command that has ended.

    Attributes:
        code: Its exit status; negative when a signal ended it; None when time ran out.
        output: What it printed.
        seconds: From start to exit.
    """

    code: int | None
    output: str
    seconds: float


def read_study(name: str) -> dict[str, Any]:
    """Return the content of a worked study.

    Args:
        name: Of its file in ``studies/``.
    """
    text = (ROOT / "studies" / f"{name}.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = YAML(typ="safe").load(text)
    return content


def method_of(entry: str, told: Mapping[str, Any]) -> str:
    """Return the method of an entry."""
    return str(told.get("method", entry))


def make_model(kind: TinyKind, folder: Path, *, dropout: bool) -> Path:
    """Write a small model with random weights and the tokenizer of the tiny models.

    Args:
        kind: ``roberta``, ``llama`` or ``gpt2``.
        folder: Its folder.
        dropout: Whether its configuration has any; the weights are the same.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

    tokenizer = tiny_tokenizer(kind)
    shape = _SHAPES[kind] | ({} if kind == "gpt2" else _COMMON)
    off = {} if dropout else dict.fromkeys(_DROPOUTS[kind], 0.0)
    special = {
        f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")
    }
    config = AutoConfig.for_model(
        kind, vocab_size=len(tokenizer), initializer_range=_SPREAD, **shape, **off, **special
    )
    auto = AutoModelForMaskedLM if kind == "roberta" else AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = auto.from_config(config)
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):  # zeros would hide a bias that is left out
                torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_models(folder: Path) -> None:
    """Write the models of both studies, with dropout and without.

    Args:
        folder: Holds ``dropout/NAME`` and ``plain/NAME``.
    """
    kinds: tuple[TinyKind, ...] = ("roberta", "llama", "gpt2")
    for kind in kinds:
        make_model(kind, folder / "dropout" / kind, dropout=True)
        make_model(kind, folder / "plain" / kind, dropout=False)


def write_rows(file: Path, study: str, count: int, seed: int) -> Path:
    """Write made-up rows of a study's task, each in a group of its own.

    Args:
        file: JSON lines.
        study: ``nli`` or ``squad``.
        count: How many.
        seed: Of everything drawn; rows of two seeds have no text in common.
    """
    make = nli_items if study == "nli" else qa_items
    grouped = "premise" if study == "nli" else "context"
    lines = []
    for number, item in enumerate(make(count, seed=seed)):
        row: dict[str, Any] = {"id": f"{seed}-{number}", **item.fields}
        row[grouped] = f"{row[grouped]} {seed} {number}"  # behind: where answers start stays
        if study == "nli":
            row["label"] = item.gold[0]
        else:
            row["answers"] = {"text": list(item.gold), "answer_start": list(item.starts)}
        lines.append(json.dumps(row) + "\n")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(lines), encoding="utf-8")
    return file


def derived(name: str, study: Mapping[str, Any], folder: Path, side: Side) -> dict[str, Any]:
    """Return a worked study at small size; entries stay as they are, all of them.

    Sources, rows, epochs, batch, rate and seeds are small ones; without dropout adapters have none.

    Args:
        name: Of the study.
        study: Its content.
        folder: Holds models and rows.
        side: How it is computed.
    """
    data = study["data"]
    tests = data["test"] if isinstance(data["test"], dict) else {"test": data["test"]}
    rows = folder / "data" / name
    splits = ["train", *tests]
    files = {
        split: write_rows(rows / f"{split}.jsonl", name, ROWS, seed)
        for seed, split in enumerate(splits)
    }
    models = folder / "models" / ("dropout" if side.dropout else "plain")
    unknown = set(study["models"]) - set(_SHAPES)
    if unknown:
        raise ValueError(f"studies/{name}.yaml: no small model is known for {sorted(unknown)}")
    return {
        **study,
        "data": {
            "train": str(files["train"]),
            "validation": {"from": "train", "rows": VALIDATION},
            "test": {split: str(files[split]) for split in tests},
            "group_by": data["group_by"],
            "near_duplicates": None,  # made-up rows are all alike
            "seed": data["seed"],
        },
        "models": {model: {"source": str(models / model)} for model in study["models"]},
        "training": {**study["training"], "epochs": EPOCHS, "batch_size": BATCH},
        "methods": {
            entry: _small(entry, told or {}, side) for entry, told in study["methods"].items()
        },
        "compute": {"device": side.device, "dtype": side.dtype, "threads": side.threads},
        "seeds": [0],
    }


def _small(entry: str, told: Mapping[str, Any], side: Side) -> dict[str, Any]:
    method = find_method(method_of(entry, told))
    changed: dict[str, Any] = {}
    if method.trains and told.get("model") is not None:
        changed = {"learning_rate": RATE, "epochs": EPOCHS}
    if not side.dropout and "dropout" in method.knobs.model_fields:
        changed["dropout"] = 0.0
    return {**told, **changed}


def write_study(name: str, folder: Path, side: Side) -> Path:
    """Write a worked study at small size, and return its file.

    Args:
        name: Of the study.
        folder: Holds models and rows.
        side: How it is computed.
    """
    file = folder / side.name / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    content = derived(name, read_study(name), folder, side)
    file.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
    return file


def environment(private: Path, side: Side) -> dict[str, str]:
    """Return the variables of a command: no network, and nothing of the user's is touched.

    Args:
        private: Holds the cache and the ledger of this command.
        side: How it computes.
    """
    path = [str(Path(tarazu.__file__).parents[1]), str(ROOT / "benchmarks")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*path, *filter(None, [os.environ.get("PYTHONPATH")])]),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": str(side.threads),
        **({VARIABLE: ",".join(PLAIN)} if side.plain else {}),
        "TARAZU_CACHE": str(private / "cache"),
        "TARAZU_LEDGER": str(private / "ledger.jsonl"),
    }


def command(
    words: Sequence[str],
    private: Path,
    side: Side,
    deadline: float,
    kill_when: Callable[[], bool] | None = None,
) -> Done:
    """Run Python in a process group of its own, and end all of it when time is up.

    Args:
        words: What Python is given, such as ``-m tarazu run study.yaml``.
        private: Holds its cache and ledger.
        side: How it computes.
        deadline: On `time.monotonic`.
        kill_when: Asked again and again; when it says so, the group is killed by SIGKILL.
    """
    private.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    log = private / f"{time.monotonic_ns()}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, *words],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment(private, side),
            start_new_session=True,
            cwd=private,
        )
        late = False
        try:
            while process.poll() is None:
                late = STOP.is_set() or time.monotonic() > deadline
                if late or (kill_when is not None and kill_when()):
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                else:
                    time.sleep(0.05 if kill_when is None else 0.002)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    output = log.read_text(encoding="utf-8", errors="replace")
    return Done(None if late else process.returncode, output, time.monotonic() - start)
