"""The sentinel: does a recorded run still come out the same?

Packages change under a finished study: peft's own method comparison moved by 1.8 points on average,
and changed its winner, when the same files ran on a newer stack. One run made again shows it.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tarazu.catalog import plugins_in_use, plugins_of, resolve_task, using
from tarazu.comparison.crossed import Clusters, Sample, difference
from tarazu.comparison.entries import current, leading_metric, primary_variant
from tarazu.comparison.sameness import Changed, Verdict, Verification
from tarazu.errors import BadInput, Problem, bad, did_you_mean
from tarazu.models.source import LocalModel, fetch
from tarazu.plugins import PluginName
from tarazu.processes import Tell
from tarazu.record.environment import changed as changed_packages
from tarazu.record.key import sha256_file
from tarazu.record.ledger import Ledger
from tarazu.record.record import Artifact, RunRecord
from tarazu.record.store import Store
from tarazu.record.tables import predictions_table
from tarazu.record.watched import names_plugin
from tarazu.runner import Outcome, run
from tarazu.splits import Splits, load_splits
from tarazu.work import Request

# Whatever may differ between two equal runs.
_OWN_TIME = {"measured", "finished", "environment", "artifacts", "study", "entry"}


def verify(
    folder: str | Path,
    *,
    entry: str | None = None,
    seed: int | None = None,
    tell: Tell | None = None,
    plugins: Sequence[PluginName] = (),
) -> Verification:
    """Run one recorded run again and hold it against its record; the record stays as it is.

    Args:
        folder: The output folder of a study.
        entry: The entry to run; by default the one that trains in the least time, since training is
            what drifts, or the quickest of all when none trains.
        seed: Its seed; the first one by default.
        tell: Hears the progress.
        plugins: The Python files or modules that its method and task came from.

    Raises:
        BadInput: There is no such run, or its data, model or plug-ins are not what they were.
    """
    store = Store(Path(folder))
    record = _chosen(store, entry, seed)
    with using(plugins):
        _check_plugins(record)
        return _verified(store, record, tell)


def _verified(store: Store, record: RunRecord, tell: Tell | None) -> Verification:
    base = store.read_base()
    model = _model(record, base)
    task = resolve_task(record.spec.task_options or record.spec.task)
    splits = load_splits(record.spec.data, task, base)
    if record.spec.train_rows in splits.samples:
        splits = splits.at_size(record.spec.train_rows)
    _check_inputs(record, model, splits)
    with tempfile.TemporaryDirectory(prefix="tarazu-verify-") as scratch:
        request = Request(
            spec=record.spec,
            folder=model.path if model else None,
            info=model.info if model else None,
            splits=splits,
            scratch=Path(scratch),
            show_text=store.read_study().get("report", {}).get("text", "full") == "full",
            plugins=plugins_of(record.method, "" if record.spec.task_options else record.task),
        )
        outcome = run(request, tell=tell or (lambda progress: None))
        files = _artifacts(Path(scratch) / "artifacts")
    # The folder stays as it is; that its test set was scored once more is told to the user's.
    Ledger(store.folder, lambda message: None).count(outcome.record, in_folder=False)
    return _judged(store, record, outcome, files, splits)


def _chosen(store: Store, entry: str | None, seed: int | None) -> RunRecord:
    done = [record for record in current(store.records()) if record.status == "done"]
    if entry is not None:
        names = {record.entry for record in done}
        done = [record for record in done if record.entry == entry]
        if not done:
            raise BadInput(
                Problem("--entry", "must name a finished entry", entry, did_you_mean(entry, names))
            )
    if seed is not None:
        seeds = sorted({record.seed for record in done})
        done = [record for record in done if record.seed == seed]
        if not done:
            raise bad("--seed", f"must be one of the finished seeds {seeds}", seed)
    if not done:
        raise bad(str(store.folder), "must hold a finished run", "none", "Run the study first.")

    def cost(record: RunRecord) -> tuple[bool, float]:
        seconds = sum(phase.seconds for phase in record.measured.values())
        return not record.epochs, seconds

    return min(done, key=cost)


def _model(record: RunRecord, base: Path) -> LocalModel | None:
    if record.model is None or record.spec.model_spec is None:
        return None
    return fetch(record.spec.model_spec, record.model, base=base, note=lambda text: None)


def _check_plugins(record: RunRecord) -> None:
    """Other code says nothing about the packages either."""
    problems = []
    given = {plugin.name: plugin.sha256 for plugin in plugins_in_use()}
    for name, sha in record.spec.plugins.items():
        if name not in given:
            folder = ", with its folder" if name.endswith(".py") else ""
            remedy = f"Name it: --plugin {shlex.quote(name)}{folder}." * names_plugin(name)
            rule = "the run came from a plug-in"
            problems.append(Problem("--plugin", rule, f"no '{name}'", remedy))
        elif given[name] != sha:
            rule = "the plug-in must be the one that was used"
            value = f"{given[name][:12]} instead of {sha[:12]}"
            remedy = "Bring back what was used, or run the study again: that is another run."
            problems.append(Problem(f"--plugin {name}", rule, value, remedy))
    if problems:
        raise BadInput(*problems)


def _check_inputs(record: RunRecord, model: LocalModel | None, splits: Splits) -> None:
    """A run on other inputs says nothing about the packages."""
    problems = []
    remedy = "Bring back what was used, or run the study again: that is another run."
    hashes = splits.hashes()
    for name, sha in record.spec.inputs.items():
        if hashes.get(name) != sha:
            rule = "the data must be what the run was given"
            problems.append(Problem(f"data.{name}", rule, "other rows than recorded", remedy))
    if model is not None and dict(model.files) != dict(record.spec.model_files):
        rule = "the model must be the one that was used"
        problems.append(Problem(f"models.{record.model}", rule, "other files", remedy))
    if problems:
        raise BadInput(*problems)


def _artifacts(folder: Path) -> dict[str, str]:
    return {
        f"artifacts/{path.relative_to(folder).as_posix()}": sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _judged(
    store: Store, record: RunRecord, outcome: Outcome, files: Mapping[str, str], splits: Splits
) -> Verification:
    again = outcome.record
    packages = changed_packages(record.environment.packages, again.environment.packages)
    if again.status == "failed":
        return Verification(record, "failed", packages, (), (), again.error)
    if missing := _forms(record) - _forms(again):
        return Verification(record, "failed", packages, (), (), _why_missing(missing, again))
    before = store.read_predictions(record)
    after = predictions_table(outcome.predictions)
    form = primary_variant([record, again])  # one that both have
    differs = _differing_parts(record, again)
    differs += _differing_files(record.artifacts, files)
    if not _same(before, after):
        differs.append("predictions")
    changed = tuple(
        _changed(record, form, before, after, name, items_groups)
        for name, items_groups in _groups(splits).items()
    )
    if not differs:
        return Verification(record, "bit-equal", packages, changed, ())
    steady = all(one.noise for one in changed)
    verdict: Verdict = "within noise" if steady else "drifted"
    return Verification(record, verdict, packages, changed, tuple(differs))


def _same(before: pa.Table, after: pa.Table) -> bool:
    """Compare values and not files, whose bytes depend on the library that wrote them.

    ``repr`` tells every two floats apart and makes NaN equal to itself.
    """
    return repr(before.to_pydict()) == repr(after.to_pydict())


def _differing_parts(before: RunRecord, after: RunRecord) -> list[str]:
    old, new = (record.model_dump(mode="json", exclude=_OWN_TIME) for record in (before, after))
    return [name for name in old if old[name] != new[name]]


def _differing_files(before: Sequence[Artifact], after: Mapping[str, str]) -> list[str]:
    known = {one.path: one.sha256 for one in before if one.path.startswith("artifacts/")}
    return [name for name in sorted({*known, *after}) if known.get(name) != after.get(name)]


def _groups(splits: Splits) -> dict[str, np.ndarray[Any, np.dtype[np.int64]]]:
    found = {}
    for name, items in splits.tests.items():
        _, numbers = np.unique(np.array([item.group for item in items]), return_inverse=True)
        found[name] = numbers.astype(np.int64)
    return found


def _forms(record: RunRecord) -> set[str]:
    return {result.variant for result in record.variants}


def _why_missing(forms: Iterable[str], again: RunRecord) -> str:
    """Say which form of the model there is none of now, and why."""
    first = min(forms)
    said = [event.message for event in again.events if event.message.startswith(f"{first} is ")]
    return said[0] if said else f"{first} is missing: it was not made"


def _changed(
    record: RunRecord,
    variant: str,
    before: pa.Table,
    after: pa.Table,
    split: str,
    groups: np.ndarray[Any, np.dtype[np.int64]],
) -> Changed:
    metric = leading_metric(record, record.variants[0].metrics)
    old, new = (_rows(table, split, variant) for table in (before, after))
    clusters = Clusters.of(groups)
    then, now = (
        Sample.of(
            np.array([[row[f"m_{metric}"] for row in rows]], dtype=np.float64),
            clusters,
            seeded=False,
        )
        for rows in (old, new)
    )
    return Changed(
        split=split,
        metric=metric,
        before=then.mean,
        after=now.mean,
        error=difference(now, then, clusters).error,
        answers=sum(a["predicted"] != b["predicted"] for a, b in zip(old, new, strict=True)),
        items=len(new),
    )


def _rows(table: pa.Table, split: str, variant: str) -> list[dict[str, Any]]:
    return [row for row in table.to_pylist() if row["split"] == split and row["variant"] == variant]
