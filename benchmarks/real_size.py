"""Does every entry of `studies/nli.yaml` run at its real size on a machine without a card?

    python benchmarks/real_size.py                        # 16 GB + 1.4 GB of weights, hours
    python benchmarks/real_size.py --make                 # only write the weights (a minute)
    python benchmarks/real_size.py --only full lora       # a part
    python benchmarks/real_size.py --tiny                 # the same in miniature, two minutes

Random weights in the on-disk layout of Meta-Llama-3-8B and RoBERTa-large, made-up texts, and one
update and eight answers of every entry with the study's own settings. Writes seconds and peak
memory of every phase to ``real_size.json`` and ``real_size.md``, and exits with 1 when an entry is
not done, a variant is missing, or a phase had more than 20 GiB of resident memory.

The same command goes on where it was stopped: finished entries are not run again. Watch it with
``tail -f out/real-size/real-size.log``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).resolve().parent))

from at_size import result, watching, weights
from side_by_side.results import commit, keep_rows, stamp
from side_by_side.works import ROOT
from tarazu.catalog import find_method
from tarazu.errors import BadInput, bad
from tarazu.record.disk import write_whole
from tarazu.record.environment import versions
from tarazu.record.record import RunRecord
from tarazu.record.standing import read_plan
from tarazu.record.store import Store
from tarazu.testing.tiny import nli_items

STUDY = ROOT / "studies" / "nli.yaml"
RESULTS = ROOT / "benchmarks" / "results"
NAME = "real_size"
VALIDATION_ROWS = 4
SPARE = 10e9  # bytes for checkpoints and trained weights, the largest: all of RoBERTa's


@dataclass(frozen=True)
class Places:
    """Where everything lies.

    Attributes:
        out: Below it lie records, cache, samples and the log.
        models: Holds a folder for each model.
        results: Gets the result.
        tiny: Whether all is in miniature.
    """

    out: Path
    models: Path
    results: Path
    tiny: bool

    @property
    def records(self) -> Path:
        """The study's output folder."""
        return self.out / "study"

    @property
    def samples(self) -> Path:
        """What was seen of the runs."""
        return self.out / "samples.json"


def read_study() -> dict[str, Any]:
    """Return the content of the worked study."""
    content: dict[str, Any] = YAML(typ="safe").load(STUDY.read_text(encoding="utf-8"))
    return content


def methods_of(study: Mapping[str, Any]) -> dict[str, str]:
    """Return the method of every entry."""
    return {entry: told.get("method", entry) for entry, told in study["methods"].items()}


def derived(study: Mapping[str, Any], places: Places) -> dict[str, Any]:
    """Return the study with local models, made-up rows and one update.

    Entries and their settings stay as they are, batch size and longest input too: there are as
    many training rows as a batch has, and one epoch.

    Args:
        study: As of `read_study`.
        places: Where models and rows lie.
    """
    return {
        **study,
        "data": {
            "train": str(places.out / "data" / "train.jsonl"),
            "validation": str(places.out / "data" / "validation.jsonl"),
            "test": {"matched": str(places.out / "data" / "matched.jsonl")},
            "group_by": study["data"]["group_by"],
            "seed": study["data"]["seed"],
        },
        "models": {name: {"source": str(places.models / name)} for name in study["models"]},
        "training": {**study["training"], "epochs": 1},
        "compute": {"device": "cpu"},
        "seeds": [0],
    }


def write_rows(folder: Path, sizes: Mapping[str, int]) -> None:
    """Write made-up rows with the columns of MultiNLI; no premise stands in two of them.

    Args:
        folder: Gets a file for each split.
        sizes: Rows of each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (split, count) in enumerate(sizes.items()):
        lines = []
        for number, item in enumerate(nli_items(count, seed=seed)):
            fields = item.fields
            row = {
                "id": f"{split}-{number}",
                "premise": f"{split} {number}: {fields['premise']}",
                "hypothesis": fields["hypothesis"],
                "label": item.gold[0],
            }
            lines.append(json.dumps(row) + "\n")
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")


def write_study(places: Places) -> Path:
    """Write rows and the derived study, and return its file."""
    study = read_study()
    sizes = {
        "train": study["training"]["batch_size"],
        "validation": VALIDATION_ROWS,
        "matched": result.ANSWERS,
    }
    write_rows(places.out / "data", sizes)
    file = places.out / "study.yaml"
    with file.open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(derived(study, places), stream)
    return file


def check_space(places: Places, methods: Sequence[str]) -> None:
    """Refuse when models and what runs write for a while do not fit on the disk.

    Args:
        places: Where they are to be.
        methods: Methods of the entries that are asked for; some merge.

    Raises:
        BadInput: With the numbers.
    """
    missing = sum(
        weights.size_of(name, tiny=places.tiny)
        for name in weights.LAYOUTS
        if not weights.is_made(places.models / name, name, tiny=places.tiny)
    )
    merges = any(find_method(method).variants is not None for method in methods)
    forms = len(result.FORMS) if merges else 0
    passing = forms * weights.size_of("llama", tiny=places.tiny)
    passing += 0 if places.tiny else int(SPARE)
    places.models.mkdir(parents=True, exist_ok=True)
    places.out.mkdir(parents=True, exist_ok=True)
    if places.models.stat().st_dev == places.out.stat().st_dev:
        _require(places.out, missing + passing, f"{missing / 1e9:.1f} of it for models")
    else:
        _require(places.models, missing, "for models")
        _require(places.out, passing, "for merged models and checkpoints")


def _require(folder: Path, needed: int, what: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise bad(
            str(folder),
            f"needs {needed / 1e9:.1f} GB ({what})",
            f"{free / 1e9:.1f} GB free",
            "Free some space, or choose other folders with --out and --models.",
        )


def run(places: Places, only: Sequence[str], log: watching.Log) -> int:
    """Run what is asked for in a watched process, and return its exit status.

    Args:
        places: Where everything lies.
        only: Entries; all when empty.
        log: Hears what happens.
    """
    study = write_study(places)

    def over(entry: str, seen: watching.Watched) -> None:
        samples = read_samples(places)
        samples[entry] = {**seen.to_json(), "commit": commit()}
        write_whole(places.samples, json.dumps(samples, indent=1) + "\n")

    command = watching.worker_command(__file__, study, places.records, only)
    # Nothing of what is made up gets into the user's cache and ledger, and nothing is fetched.
    environment = {
        "TARAZU_CACHE": str(places.out / "cache"),
        "TARAZU_LEDGER": str(places.out / "ledger.jsonl"),
        "HF_HUB_OFFLINE": "1",
    }
    return watching.Watch(log, over).run(command, environment)


def read_samples(places: Places) -> dict[str, Any]:
    """Return what was seen of runs, by entry; nothing before the first one is over."""
    if not places.samples.exists():
        return {}
    found: dict[str, Any] = json.loads(places.samples.read_text(encoding="utf-8"))
    return found


def collect(places: Places) -> list[result.Row]:
    """Return a row for every entry that has a record, in the order of the study."""
    planned = {slot.key for slot in read_plan(places.records) or []}
    records: dict[str, RunRecord] = {
        record.entry: record
        for record in Store(places.records).records()
        if record.key in planned  # others are of a study that was asked for otherwise
    }
    samples = read_samples(places)
    rows = []
    for entry in methods_of(read_study()):
        if entry in records:
            seen = samples.get(entry, {})
            known = seen if seen.get("key") == records[entry].key else {}
            rows.append(result.entry_row(records[entry], known))
    return rows


def write_result(places: Places) -> list[result.Row]:
    """Write JSON and table of all that was run so far, and return the rows."""
    rows = collect(places)
    told = {
        **stamp(),
        "versions": versions(),
        "tiny": places.tiny,
        "models": {
            name: f"{weights.size_of(name, tiny=places.tiny) / 1e6:,.1f} MB, layout of "
            f"{layout.card}" + (" in miniature" if places.tiny else "")
            for name, layout in weights.LAYOUTS.items()
        },
        "training_rows": read_study()["training"]["batch_size"],
        "test_rows": result.ANSWERS,
    }
    found = result.problems(rows, methods_of(read_study()))
    file = places.results / f"{NAME}.json"
    keep_rows([result.whole_row(rows, found, told)], file)
    tables = [result.table(row) for row in json.loads(file.read_text(encoding="utf-8"))]
    title = "# Every entry of studies/nli.yaml at its real size, without a card\n"
    write_whole(file.with_suffix(".md"), "\n".join([title, *tables]))
    return rows


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--only", nargs="+", metavar="ENTRY", default=[], help="entries; [all]")
    made.add_argument("--tiny", action="store_true", help="the same layouts in miniature")
    made.add_argument("--make", action="store_true", help="write the models and stop")
    made.add_argument("--out", type=Path, help="[out/real-size, or out/real-size-tiny]")
    made.add_argument("--models", type=Path, help="folder of the models [OUT/models]")
    made.add_argument("--results", type=Path, help="[benchmarks/results; OUT with --tiny]")
    made.add_argument("--worker", nargs=2, type=Path, help=argparse.SUPPRESS)
    return made


def places_of(args: argparse.Namespace) -> Places:
    """Return where everything lies, as the command line says.

    Args:
        args: Of `parser`.
    """
    out: Path = args.out or ROOT / "out" / ("real-size-tiny" if args.tiny else "real-size")
    out = out.absolute()
    models: Path = args.models or out / "models"
    results: Path = args.results or (out if args.tiny else RESULTS)
    return Places(out, models.absolute(), results.absolute(), args.tiny)


def main(words: Sequence[str] | None = None) -> int:
    """Make the models, run the entries, write the result; return the exit status.

    Args:
        words: The command line.

    Raises:
        BadInput: An entry is unknown, or the disk too small.
    """
    args = parser().parse_args(words)
    if args.worker:
        return watching.run_watched_study(*args.worker, args.only)
    places = places_of(args)
    methods = methods_of(read_study())
    if unknown := [entry for entry in args.only if entry not in methods]:
        raise bad(
            "--only", f"must name entries of {STUDY.name}", ", ".join(unknown), str([*methods])
        )
    asked = args.only or list(methods)
    check_space(places, [] if args.make else [methods[entry] for entry in asked])
    log = watching.Log(places.out / "real-size.log")
    free = shutil.disk_usage(places.out).free / 1e9
    log(f"commit {commit()}, process {os.getpid()}, {free:.1f} GB of disk free")
    for name in weights.LAYOUTS:
        weights.make_model(name, places.models / name, tiny=places.tiny, note=log)
    if args.make:
        return 0
    status = run(places, args.only, log)
    rows = write_result(places)
    found = result.problems(rows, asked)
    for one in found:
        log(f"✗ {one}")
    log(f"{places.results / NAME}.md written; the study's process ended with {status}")
    return 1 if found or status else 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except BadInput as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
