"""Is tarazu as good as a plain script? Five seeds each, on the same items.

    python benchmarks/quality.py

For every work and seed, tarazu (`tarazu.study.run_study` on a study of ``studies/``) and
``benchmarks/peers/trainer_script.py`` train with the same hyperparameters on the same items, one
after the other, each in a process of its own. Finished results are kept in ``--work-dir`` and not
computed again. Items go to the script through a temporary folder; only ids and answers are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from scipy import stats

from tarazu.data.item import Item
from tarazu.models.source import LocalModel, fetch
from tarazu.record.disk import write_synced
from tarazu.record.environment import environment
from tarazu.record.key import canonical_json, sha256_file, sha256_text
from tarazu.record.record import RunRecord
from tarazu.record.store import Store
from tarazu.splits import Splits, load_splits
from tarazu.study import run_study
from tarazu.study_file import load_study

ROOT = Path(__file__).resolve().parents[1]
STUDIES = ROOT / "studies"
SCRIPT = ROOT / "benchmarks" / "peers" / "trainer_script.py"
# Of both sides: as many cores as this process may use, and no more than a small machine has.
THREADS = min(2, len(os.sched_getaffinity(0)))
RESAMPLES = 4000
SHARED = ("epochs", "batch_size", "learning_rate", "weight_decay", "warmup", "max_length")
OWN = {"full": (), "lora": ("r", "alpha", "dropout"), "p-tuning": ("virtual_tokens",)}
# What the script leaves to the Trainer and to peft: tarazu must do the same.
IMPLIED = {
    "schedule": "linear",
    "clip": 1.0,
    "select": "last",
    "head_learning_rate": None,
    "targets": "query-value",
    "encoder_hidden_size": None,
    "reparameterization": "MLP",
    "label_score": "sum",
    "loss_on": "answer",
}


@dataclass(frozen=True)
class Work:
    """One thing that both sides do.

    Attributes:
        name: Study, model kind and method.
        study: Name of the study file.
        entry: Entry of the study.
        kind: ``encoder`` or ``decoder``.
        method: Name of the method.
        train_rows: Training items.
        test_rows: Test items.
        epochs: Passes over the training items.
        max_length: Longest input in tokens; a decoder's holds the prompt too.
        micro_batch_size: Of the script alone, which computes logits of all positions; the effective
            batch and its loss stay the same.
        dtype: Of both sides; ``auto`` leaves the choice to tarazu.
    """

    name: str
    study: str
    entry: str
    kind: str
    method: str
    train_rows: int = 600
    test_rows: int = 400
    epochs: int = 3
    max_length: int = 64
    micro_batch_size: int | None = None
    dtype: str = "auto"


WORKS = {
    work.name: work
    for work in (
        Work("sst2-encoder-full", "sst2-small", "full", "encoder", "full"),
        Work("sst2-encoder-lora", "sst2-small", "lora", "encoder", "lora"),
        Work("sst2-encoder-p-tuning", "sst2-small", "p-tuning", "encoder", "p-tuning"),
        Work(
            "nli-decoder-lora", "nli-small", "lora-decoder", "decoder", "lora", 200, 200, 1, 256, 4
        ),
    )
}


@dataclass(frozen=True)
class Answers:
    """What one side answered with one seed.

    Attributes:
        predictions: Label by item id.
        accuracy: Share of right ones.
        seconds: Of training and answering; the script's include loading.
    """

    predictions: Mapping[str, str]
    accuracy: float
    seconds: float


def welch(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two means (Welch 1947).

    Args:
        ours: One accuracy per seed, at least two.
        theirs: Likewise, of the other side.
    """
    difference = float(np.mean(ours) - np.mean(theirs))
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (ours, theirs)]
    variance = sum(parts)
    if variance == 0:
        return difference, difference
    sizes = (len(ours), len(theirs))
    freedom = variance**2 / sum(p**2 / (n - 1) for p, n in zip(parts, sizes, strict=True))
    half = float(stats.t.ppf(0.975, freedom)) * variance**0.5
    return difference - half, difference + half


def bootstrap(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], groups: Sequence[str]
) -> tuple[float, float]:
    """Return the 95 % percentile interval of the difference, over items and seeds alike.

    Groups of items are drawn once for both sides (they answered the same items); seeds are drawn
    for each side by itself (equal numbers start nothing equal in the two programs).

    Args:
        ours: 1 where right, [seeds, items].
        theirs: Likewise, of the other side.
        groups: Group of every item; items of one group are drawn together.
    """
    generator = np.random.default_rng(0)
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    sizes = np.bincount(member)
    count = len(sizes)

    def by_group(right: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.stack([np.bincount(member, weights=row, minlength=count) for row in right])
        seeds = len(right)
        return generator.multinomial(seeds, [1 / seeds] * seeds, RESAMPLES) / seeds @ sums

    gained = by_group(ours) - by_group(theirs)
    drawn = generator.multinomial(count, [1 / count] * count, RESAMPLES)
    low, high = np.percentile((drawn * gained).sum(axis=1) / (drawn @ sizes), [2.5, 97.5])
    return float(low), float(high)


def verdict(interval: tuple[float, float]) -> str:
    """Say whom an interval of the difference favours.

    Two sides that answer alike with every seed, such as one label for all items, have an interval
    without width, which knows nothing of chance: it favours nobody.
    """
    low, high = interval
    if low == high != 0:
        return "no spread between seeds"
    if low > 0:
        return "favours tarazu"
    return "favours the script" if high < 0 else "contains zero"


def study_of(work: Work) -> Path:
    """Return the study file of a work."""
    return STUDIES / f"{work.study}.yaml"


def overrides(work: Work, seed: int) -> list[str]:
    """Return what differs from the study file."""
    return [
        f"seeds=[{seed}]",
        f"data.sample.train={work.train_rows}",
        "data.sample.validation=20",  # computed after every epoch, but chooses nothing
        f"data.sample.test={work.test_rows}",
        f"training.epochs={work.epochs}",
        f"training.max_length={work.max_length}",
        "training.validate_rows=20",
        "training.select=last",
        f"compute.threads={THREADS}",
        f"compute.dtype={work.dtype}",
        "report.text=redacted",
    ]


def run_ours(work: Work, seed: int, folder: Path) -> tuple[RunRecord, Answers]:
    """Train and answer with tarazu, or return what is kept from before."""
    result = run_study(
        study_of(work),
        out=folder / "ours" / work.study,
        only=[work.entry],
        overrides=overrides(work, seed),
    )
    (record,) = result.records
    if record.status != "done":
        raise SystemExit(f"{work.name}, seed {seed}: tarazu failed: {record.error}")
    table = Store(result.folder).read_predictions(record)
    answers = dict(zip(table["item_id"].to_pylist(), table["predicted"].to_pylist(), strict=True))
    seconds = sum(record.measured[phase].seconds for phase in ("train", "evaluate"))
    return record, Answers(answers, record.variants[0].metrics["accuracy"], seconds)


def script_options(work: Work, record: RunRecord) -> list[str]:
    """Return the script's options: the hyperparameters that tarazu's run resolved.

    Raises:
        SystemExit: tarazu's run used something that the script cannot do.
    """
    values = {name: setting.value for name, setting in record.hyperparameters.items()}
    for name, wanted in IMPLIED.items():
        if name in values and values[name] != wanted:
            raise SystemExit(f"{work.name}: the script needs {name}={wanted}, not {values[name]}")
    options = ["--kind", work.kind, "--method", work.method, "--seed", str(record.seed)]
    for name in (*SHARED, *OWN[work.method]):
        options += [f"--{name.replace('_', '-')}", str(values[name])]
    options += ["--threads", str(THREADS)]
    if work.micro_batch_size:
        options += ["--micro-batch-size", str(work.micro_batch_size)]
    return [*options, "--bf16"] if record.environment.dtype == "bfloat16" else options


def run_theirs(
    work: Work, record: RunRecord, model: LocalModel, splits: Splits, folder: Path
) -> Answers:
    """Train and answer with the script, or return what is kept from before."""
    options = script_options(work, record)
    versions = record.environment.packages | {"tarazu": ""}  # has no part in the script
    made_of = [options, dict(record.spec.inputs), model.files, sha256_file(SCRIPT), versions]
    key = sha256_text(canonical_json(made_of))[:12]
    file = folder / "theirs" / f"{work.name}-s{record.seed}-{key}.json"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        (test,) = splits.tests.values()
        with tempfile.TemporaryDirectory() as temporary:
            paths = {name: Path(temporary) / f"{name}.jsonl" for name in ("train", "test")}
            _export(splits.train, paths["train"])
            _export(test, paths["test"])
            files = ["--model", str(model.path), "--train", str(paths["train"])]
            labels = ["--labels", *sorted({item.gold[0] for item in splits.train})]
            answer = _call([*options, *files, "--test", str(paths["test"]), *labels])
        write_synced(file.with_suffix(".tmp"), answer, file)
    return Answers(**json.loads(file.read_text(encoding="utf-8")))


def _call(options: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *options],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": str(THREADS), "HF_HUB_OFFLINE": "1"},
    )
    if done.returncode:
        raise SystemExit(f"the script failed:\n{done.stderr[-3000:]}")
    return done.stdout.strip().splitlines()[-1]


def _export(items: Sequence[Item], file: Path) -> None:
    rows = ({"id": item.id, **item.fields, "label": item.gold[0]} for item in items)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def compare(
    work: Work, ours: Sequence[Answers], theirs: Sequence[Answers], test: Sequence[Item]
) -> dict[str, Any]:
    """Return the row of a work: both sides' accuracies, their difference and its intervals."""

    def right(side: Sequence[Answers]) -> NDArray[np.float64]:
        return np.array([[float(one.predictions[i.id] == i.gold[0]) for i in test] for one in side])

    def summary(side: Sequence[Answers]) -> dict[str, Any]:
        accuracies = [one.accuracy for one in side]
        return {
            "accuracies": accuracies,
            "mean": float(np.mean(accuracies)),
            "sd": float(np.std(accuracies, ddof=1)),
            "seconds": [round(one.seconds, 2) for one in side],
        }

    interval = welch([one.accuracy for one in ours], [one.accuracy for one in theirs])
    both = bootstrap(right(ours), right(theirs), [item.group for item in test])
    left, other = summary(ours), summary(theirs)
    return {
        "work": work.name,
        "ours": left,
        "theirs": other,
        "difference": left["mean"] - other["mean"],
        "ci95": list(interval),
        "ci95_items_and_seeds": list(both),
        "verdict": verdict(interval),
        "train_rows": work.train_rows,
        "test_rows": work.test_rows,
        "epochs": work.epochs,
    }


def run_work(work: Work, seeds: Sequence[int], folder: Path) -> tuple[dict[str, Any], RunRecord]:
    """Run a work with all seeds on both sides, in turns, and compare."""
    study = load_study(study_of(work), overrides(work, seeds[0]))
    splits = load_splits(study.spec.data, study.task, study.base)
    (test,) = splits.tests.values()
    (name,) = {entry.model for entry in study.entries if entry.id == work.entry}
    assert name is not None
    model = fetch(study.spec.models[name], name, base=study.base, note=print)
    ours, theirs = [], []
    for number, seed in enumerate(seeds, start=1):
        at = f"{work.name} · seed {seed} ({number} of {len(seeds)})"
        record, answers = run_ours(work, seed, folder)
        ours.append(answers)
        _say(f"{at} · tarazu {answers.accuracy:.3f} in {answers.seconds:.0f} s")
        theirs.append(run_theirs(work, record, model, splits, folder))
        _say(f"{at} · script {theirs[-1].accuracy:.3f} in {theirs[-1].seconds:.0f} s")
    row = compare(work, ours, theirs, test)
    return {"work": row.pop("work"), "seeds": list(seeds), **row}, record


def _say(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", flush=True)


def machine() -> str:
    """Describe the processor and memory, without names of the machine."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    memory = psutil.virtual_memory().total / 2**30
    return f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| work | seeds | tarazu | script | difference "
        "| 95 % over seeds | 95 % over items and seeds | verdict |",
        "|---" * 8 + "|",
    ]
    for row in rows:
        sides = [f"{row[s]['mean']:.3f} ± {row[s]['sd']:.3f}" for s in ("ours", "theirs")]
        spans = [f"[{a:+.3f}, {b:+.3f}]" for a, b in (row["ci95"], row["ci95_items_and_seeds"])]
        cells = [row["work"], str(len(row["seeds"])), *sides, f"{row['difference']:+.3f}", *spans]
        lines.append(f"| {' | '.join([*cells, row['verdict']])} |")
    return "\n".join(lines) + "\n"


def write(rows: Sequence[Mapping[str, Any]], record: RunRecord, folder: Path) -> None:
    """Write the rows with what they were computed on, as JSON and Markdown."""
    made = environment(record.environment.device, record.environment.dtype, THREADS)
    about = {
        "machine": machine(),
        "device": f"{made.device}, {made.dtype}, {made.threads} threads",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": shlex.join(["python", "benchmarks/quality.py", *sys.argv[1:]]),
        "packages": made.packages,
    }
    packages = ", ".join(f"{name} {version}" for name, version in made.packages.items())
    notes = f"""# tarazu against a plain Trainer + peft script

Accuracy, mean ± standard deviation over seeds; difference = tarazu − script.

{table(rows)}
The first interval is Welch's t on the accuracies of the seeds (this test sample taken as given); it
decides the verdict. The second is a bootstrap that draws groups of items, the same for both sides,
crossed with seeds, for each side by itself.

- machine: {about["machine"]}
- computed on: {about["device"]}
- date: {about["date"]}
- command: `{about["command"]}`
- versions: {packages}
"""
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps({**about, "rows": list(rows)}, indent=2) + "\n"
    (folder / "quality.json").write_text(content, encoding="utf-8")
    (folder / "quality.md").write_text(notes, encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS), metavar="WORK")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    for name in ("train-rows", "test-rows", "epochs"):
        parser.add_argument(f"--{name}", type=int, help="of all works; default: each work's own")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--work-dir", type=Path, default=ROOT / "out" / "quality")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args()
    if len(set(args.seeds)) < max(2, len(args.seeds)):
        parser.error("--seeds: at least two different seeds are needed for an interval")
    return args


def main() -> None:
    """Run what is asked for; the results are written after every work."""
    args = parse_arguments()
    given = {name: getattr(args, name) for name in ("train_rows", "test_rows", "epochs")}
    sizes = {name: value for name, value in given.items() if value is not None}
    rows = []
    for name in args.works:
        row, record = run_work(
            replace(WORKS[name], dtype=args.dtype, **sizes), args.seeds, args.work_dir
        )
        rows.append(row)
        write(rows, record, args.out)
        low, high = row["ci95"]
        _say(f"{name}: {row['difference']:+.3f} [{low:+.3f}, {high:+.3f}] {row['verdict']}")
    print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()
