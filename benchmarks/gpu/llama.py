"""tarazu and its peers on a CUDA card: LoRA and QLoRA on Llama-3-8B's shape, random weights.

    python benchmarks/gpu/llama.py                                  # 16 GB of disk, an 80 GB card
    python benchmarks/gpu/llama.py --shape llama-3-1b --peers trainer-tuned --pairs 2
    python benchmarks/gpu/llama.py --shape tiny --device cpu --here    # is the script whole?

As `benchmarks/speed.py`, with the same harness and peers, and three figures more: tokens of the
training texts per second (padding is none), the share of the card's bf16 peak, and the memory that
tensors had. The peak is measured here, on one large matrix product, and is not a data sheet's.

Speed needs no knowledge, so nothing is downloaded: weights are random, texts are made up. What a
token costs is reckoned as 4 operations for every weight of the layers (one pass forward, one back
to the activations below; frozen weights have no gradients), attention's scores and the vocabulary
left out; the share is the same lower bound for every side.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import speed
from side_by_side.peers import PEERS, Peer, cache_folder, python_of
from side_by_side.prepare import Prepared, prepare, write_tokens
from side_by_side.results import Row, merge, write_table
from side_by_side.sides import Runner
from side_by_side.works import LORA, ROOT, SAME, Work
from tarazu.models.load import load_tokenizer
from tarazu.testing.tiny import qa_items, tiny_tokenizer


@dataclass(frozen=True)
class Shape:
    """What a decoder of the Llama family is made of.

    Attributes:
        hidden: Width.
        layers: Layers.
        heads: Query heads.
        key_value_heads: Key and value heads.
        intermediate: Width of the feed-forward part.
        vocabulary: Rows of the embedding.
        tied: Whether the last projection is the embedding.
    """

    hidden: int
    layers: int
    heads: int
    key_value_heads: int
    intermediate: int
    vocabulary: int
    tied: bool

    @property
    def weights(self) -> int:
        """Weights of the layers' matrices: those of the embedding multiply nothing."""
        keys = 2 * self.hidden * self.hidden * self.key_value_heads // self.heads
        attention = 2 * self.hidden * self.hidden + keys
        return self.layers * (attention + 3 * self.hidden * self.intermediate)


SHAPES = {
    "llama-3-8b": Shape(4096, 32, 32, 8, 14336, 128256, tied=False),
    "llama-3-1b": Shape(2048, 16, 32, 8, 8192, 128256, tied=True),
    "tiny": Shape(64, 2, 4, 2, 128, 2048, tied=True),
}
OPERATIONS_PER_WEIGHT = 4
SHARD = "4GB"


def make_model(name: str, folder: Path) -> Path:
    """Write a model of a shape, in bf16 with random weights, unless it lies there already.

    Args:
        name: Key of `SHAPES`.
        folder: Holds all models.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    shape, place = SHAPES[name], folder / name
    if (place / "whole").exists():
        return place
    shutil.rmtree(place, ignore_errors=True)
    tokenizer = tiny_tokenizer("llama")
    config = LlamaConfig(
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        intermediate_size=shape.intermediate,
        vocab_size=shape.vocabulary,
        tie_word_embeddings=shape.tied,
        max_position_embeddings=8192,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype=torch.bfloat16,
    )
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        LlamaForCausalLM(config).save_pretrained(place, max_shard_size=SHARD)
    finally:
        torch.set_default_dtype(before)
    tokenizer.save_pretrained(place)
    (place / "whole").touch()
    return place


def write_items(file: Path, count: int, tokens: int, model: Path, seed: int) -> None:
    """Write made-up questions on contexts of many lengths.

    Args:
        file: JSON lines with the columns of SQuAD.
        count: How many.
        tokens: The longest context; the shortest has a sixth of them.
        model: Whose tokens.
        seed: Of everything drawn.
    """
    draw, tokenizer = random.Random(seed), load_tokenizer(model)
    others = [item.fields["context"] for item in qa_items(400, seed=seed + 1)]
    lines = []
    for item in qa_items(count, seed=seed):
        wanted, length = draw.randint(tokens // 6, tokens), 0
        around = [item.fields["context"]]
        while True:
            around.append(draw.choice(others))
            length += len(tokenizer(around[-1], add_special_tokens=False)["input_ids"])
            if length > wanted:
                break
        row = {
            "context": " ".join(around),
            "question": item.fields["question"],
            "answers": {"text": list(item.gold), "answer_start": list(item.starts)},
        }
        lines.append(json.dumps(row) + "\n")
    file.write_text("".join(lines), encoding="utf-8")


def works(model: Path, data: Path, args: argparse.Namespace) -> list[Work]:
    """Return what is measured.

    Args:
        model: The model's folder.
        data: Where its items are written.
        args: The command line.
    """
    longest = args.tokens
    rows = args.examples + args.held_out + 4 * args.batch_size
    for seed, name in enumerate(("train", "test")):
        write_items(data / f"{name}.jsonl", rows, longest - longest // 6, model, seed)
    source = {
        "train": str(data / "train.jsonl"),
        "test": str(data / "test.jsonl"),
        "group_by": "context",
    }
    common = {"model": "llama", "learning_rate": 1e-4, **LORA}
    entries = {"lora": {"lora": common}, "qlora": {"qlora-text": common}}
    peers = {"lora": args.peers, "qlora": [one for one in args.peers if one == "trainer-tuned"]}
    return [
        Work(
            name=f"{name}-{args.shape}",
            title=f"{name} r 8 (q, v), {args.shape}, at most {longest} tokens",
            kind="train",
            data="made up",
            task="corpus-qa",
            entries=entries[name],
            training={**SAME, "batch_size": args.batch_size, "max_length": longest},
            examples=args.examples,
            held_out=args.held_out,
            peers=dict.fromkeys(peers[name]),
            models={"llama": {"source": str(model)}},
            source=source,
            device=args.device,
        )
        for name in args.works
    ]


def peak_of(device: str) -> float:
    """Return the bf16 operations per second of a large matrix product, the best of many."""
    size = 8192 if device == "cuda" else 1024
    one = torch.randn(size, size, dtype=torch.bfloat16, device=device)
    best = math.inf
    for _ in range(20):
        start = time.perf_counter()
        one @ one
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    del one
    if device == "cuda":
        torch.cuda.empty_cache()  # this process is alive beside those that are measured
    return 2 * size**3 / best


def kept_peak(device: str, folder: Path) -> float:
    """Return a card's peak as it was first measured: the same pairs are the same share of it.

    Args:
        device: ``cuda`` or ``cpu``.
        folder: Where pairs are kept.
    """
    name = torch.cuda.get_device_name() if device == "cuda" else device
    file = folder / "peaks.json"
    peaks: dict[str, float] = json.loads(file.read_text()) if file.exists() else {}
    if name not in peaks:
        peaks[name] = peak_of(device)
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(peaks), encoding="utf-8")
    return peaks[name]


def with_tokens(row: Row, tokens: float, shape: Shape, peak: float) -> Row:
    """Return a row with tokens per second, share of the peak, and memory.

    Args:
        row: As of `speed.measure`.
        tokens: Of an example, the mean.
        shape: The model's.
        peak: Operations per second.
    """
    more: Row = {"peak_teraflops": round(peak / 1e12, 1)}
    for side in ("ours", "theirs") if row["pairs"] else ():
        middle = tokens / statistics.median(row[side]["seconds_per_example"])
        share = middle * OPERATIONS_PER_WEIGHT * shape.weights / peak
        more[side] = row[side] | {
            "tokens_per_second": round(middle, 1),
            "share_of_peak": round(share, 4),
        }
    return row | more


def measure(args: argparse.Namespace, find_python: Callable[[Peer], Path]) -> list[Row]:
    """Measure all works against all peers; results are written after every peer.

    Args:
        args: The command line.
        find_python: Returns the Python of a peer.
    """
    threads = len(os.sched_getaffinity(0))
    model = make_model(args.shape, args.models)
    shape, peak = SHAPES[args.shape], kept_peak(args.device, args.work_dir)
    rows: list[Row] = []
    # Its name is part of what pairs are known by: the same for the same items.
    items = args.work_dir / f"items-{args.shape}-{args.tokens}-{args.examples}-{args.held_out}"
    items.mkdir(parents=True, exist_ok=True)
    for work in works(model, items, args):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            prepared = prepare(work, list(range(args.pairs)), threads, folder)
            mean = mean_tokens(prepared)
            runner = Runner(prepared, threads)
            for peer in work.peers:
                row = speed.measure(
                    work, PEERS[peer], runner, args.pairs, args.work_dir, find_python, args.settings
                )
                rows.append(with_tokens(row, mean, shape, peak))
                print(said(rows[-1]), flush=True)
                write(rows[-1:], args.out)
    return rows


def write(rows: Sequence[Row], out: Path) -> None:
    """Put rows into ``speed-gpu.json`` and make the table of all that are there."""
    everything = merge(out / "speed-gpu.json", rows)
    file = out / "speed-gpu.md"
    write_table(everything, file, "python benchmarks/gpu/llama.py")
    lines = "".join(f"- {said(row)}\n" for row in everything)
    file.write_text(f"{file.read_text(encoding='utf-8')}\n{lines}", encoding="utf-8")


def mean_tokens(prepared: Prepared) -> float:
    """Return the tokens of a training example, the mean."""
    job = write_tokens(prepared, prepared.specs[0])
    lines = (Path(job["folder"]) / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return sum(len(json.loads(line)["input_ids"]) for line in lines) / len(lines)


def said(row: Row) -> str:
    """Return a row in a line."""
    if not row["pairs"]:
        return f"{row['work']} against {row['peer']}: not run: {row['reason']}"
    sides = [
        f"{name} {side['tokens_per_second']:,.0f} tokens/s, {100 * side['share_of_peak']:.1f} % of "
        f"{row['peak_teraflops']} TFLOP/s, {side['accelerator_bytes'] / 2**30:.1f} GiB"
        for name, side in (("tarazu", row["ours"]), (row["peer"], row["theirs"]))
    ]
    ratio = f"{row['ratio_median']:.2f} x [{row['ratio_min']:.2f}, {row['ratio_max']:.2f}]"
    return f"{row['work']}: {ratio}; {'; '.join(sides)}"


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    peers = ("trainer-tuned", "trl", "llamafactory")
    parser.add_argument("--shape", choices=SHAPES, default="llama-3-8b")
    parser.add_argument("--works", nargs="+", choices=("lora", "qlora"), default=["lora", "qlora"])
    parser.add_argument("--peers", nargs="+", choices=peers, default=list(peers))
    parser.add_argument("--settings", help="of the peers, by name; default: each one's fastest")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--examples", type=int, default=256)
    parser.add_argument("--held-out", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=512, help="the longest text")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--here", action="store_true", help="peers have this Python's packages")
    parser.add_argument("--models", type=Path, default=cache_folder() / "random-models")
    parser.add_argument("--work-dir", type=Path, default=ROOT / "out" / "speed-gpu")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print and write the rows."""
    args = parse_arguments(words)
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch finds no CUDA card here; --device cpu --shape tiny tries the script")
    measure(args, (lambda peer: Path(sys.executable)) if args.here else python_of)


if __name__ == "__main__":
    main()
