"""The whole flow of a study: read → fetch → split → plan → run → record.

::

    study file ──▶ models, items ──▶ plan ──▶ tune ──▶ one process per run ──▶ RunRecord ──▶ store
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tarazu.asking import find_template
from tarazu.catalog import find_method, find_task, plugins_in_use, plugins_of, using
from tarazu.counting import count
from tarazu.errors import BadInput, Problem, bad, did_you_mean
from tarazu.methods._asking import AnswerKnobs
from tarazu.methods._method import ExplainContext, Knobs
from tarazu.models.cards import find_card
from tarazu.models.config import info_from_config
from tarazu.models.info import ModelInfo
from tarazu.models.source import LocalModel, describe, fetch
from tarazu.models.states import shelves
from tarazu.opening import (
    keep_precision,
    named_before,
    note_plugins,
    settle_precision,
    settle_versions,
    untouched,
    watch_inputs,
)
from tarazu.plugins import PluginName
from tarazu.processes import handing_on
from tarazu.record.environment import same_hashes, versions
from tarazu.record.key import content_key
from tarazu.record.ledger import Ledger
from tarazu.record.progress import Listener, PlannedRun, Silent
from tarazu.record.record import RunRecord
from tarazu.record.spec import ModelSpec, RunSpec, Setting
from tarazu.record.standing import Standing
from tarazu.record.store import Store
from tarazu.report.data_card import DataCard, Example, Lengths, OverlapCard, SplitCard
from tarazu.report.explanation import Explanation
from tarazu.signals import interruptible
from tarazu.space import check_space
from tarazu.splits import Splits, load_splits
from tarazu.study_file import Entry, Study, load_study, read_knobs
from tarazu.tasks._task import Task
from tarazu.text import Language
from tarazu.tuning.search import Job
from tarazu.tuning.stage import Stage, planned
from tarazu.workshop import Workshop

if TYPE_CHECKING:
    from tarazu.models.precision import Precision


@dataclass(frozen=True)
class StudyResult:
    """What a study came to.

    Attributes:
        folder: The output folder.
        records: Records of all runs that the study asks for, done and failed; trials come first.
        failed: How many of the final runs failed. A trial may fail: that is what it is for.
    """

    folder: Path
    records: list[RunRecord]
    failed: int

    def _repr_html_(self) -> str:
        """Show what won and the final table in a notebook."""
        from tarazu.report.api import results_of

        return results_of(self.folder, self.records)._repr_html_()


def run_study(
    path: str | Path,
    *,
    out: str | Path | None = None,
    only: Sequence[str] = (),
    overrides: Sequence[str] = (),
    listener: Listener | None = None,
    checkpoint_every: float = 1.0,
    keep_stale: bool = False,
    plugins: Sequence[PluginName] = (),
) -> StudyResult:
    """Run a study; finished runs are skipped, and a run that was stopped goes on where it was.

    Args:
        path: The study file.
        out: Output folder; by default ``out/`` and the study's name.
        only: Ids or keys of the entries to run; all by default.
        overrides: ``a.b=c`` assignments over the file.
        listener: Hears what happens.
        checkpoint_every: Minutes of training between two checkpoints, at least; more where writing
            one takes so long that it would cost 1.5 % of the time. 0: after every update.
        keep_stale: Keep finished runs that other package versions made, instead of setting them
            aside and making them again. Reports then say which versions made what.
        plugins: Python files or modules with methods or tasks of your own; their code is run.

    Returns:
        The records, in the order of the plan.

    Raises:
        BadInput: Something in the study cannot be used; nothing was run.
        KeyboardInterrupt: Ctrl-C or SIGTERM. The run at hand has left a checkpoint, unless it took
            too long or a second one came; the same call goes on.
    """
    if not 0 <= checkpoint_every < math.inf:
        raise bad("--checkpoint-every", "must be a number of minutes, at least 0", checkpoint_every)
    with using(plugins):
        study = _known_study(path, overrides, out)
        return _run_study(
            study, out, only, listener or Silent(), checkpoint_every, keep_stale=keep_stale
        )


def _known_study(path: str | Path, overrides: Sequence[str], out: str | Path | None) -> Study:
    """Read a study; if it cannot be, say which plug-ins it had when it was last run."""
    try:
        return load_study(path, overrides)
    except BadInput as error:
        missing = named_before(path, out, plugins_in_use())
        raise BadInput(*error.problems, *missing) from None


def _run_study(
    study: Study,
    out: str | Path | None,
    only: Sequence[str],
    listener: Listener,
    checkpoint_every: float,
    *,
    keep_stale: bool,
) -> StudyResult:
    entries = in_turn(_selected(study.entries, only))
    made_by = None if keep_stale else same_hashes(versions())
    folder = Path(out) if out is not None else Path("out") / study.spec.study
    store = Store(folder, made_by)
    # Before anything is fetched: a device that is not there is refused.
    precision = settle_precision(store, study.spec.compute, listener.note)
    models = _fetch_models(study, entries, listener)
    _check_support(study, entries, models)
    splits = load_splits(study.spec.data, study.task, study.base)
    for note in splits.notes:
        listener.note(note)
    if study.spec.tuning is not None and not splits.validation:
        raise bad("data.validation", "must hold items: tuning chooses on them", "none")
    specs = plan(study, entries, models, splits, precision)
    with interruptible(), store.lock(note=listener.note) as held, handing_on(held):
        settle_versions(store, entries, listener.note)
        note_plugins(store, entries, plugins_in_use(), listener.note)
        others = untouched(store, study, entries)
        store.write_study(study.spec.model_dump(mode="json", by_alias=True))
        store.write_base(study.base)
        keep_precision(store, study.spec.compute, precision)
        for plugin in plugins_in_use():
            if plugin.source is not None:
                store.write_plugin(plugin.name, plugin.source)
        for sized in splits.at_every_size():
            store.write_items(sized.named(), redacted=study.spec.report.text == "redacted")
        hashes = splits.hashes()
        store.write_data_notes(hashes, splits.notes, splits.leakage.to_json())
        watch_inputs(store, study, models, plugins_in_use())
        listener = Standing(listener, folder, others)
        ledger = Ledger(store.folder, listener.note)
        ledger.bring_together({hashes[name] for name in splits.tests})
        with shelves(study.spec.compute) as shared:
            workshop = Workshop(
                study, models, splits, store, ledger, listener, shared, 60 * checkpoint_every
            )
            records = _run_all(workshop, entries, specs)
    failed = sum(r.status == "failed" and r.stage == "final" for r in records)
    return StudyResult(store.folder, records, failed)


def _selected(entries: Sequence[Entry], only: Sequence[str]) -> list[Entry]:
    if not only:
        return list(entries)
    names = {name for entry in entries for name in (entry.id, entry.id.partition("@")[0])}
    if unknown := [name for name in only if name not in names]:
        raise BadInput(
            *(
                Problem("--only", "must name an entry of the study", n, did_you_mean(n, names))
                for n in unknown
            )
        )
    return [e for e in entries if e.id in only or e.id.partition("@")[0] in only]


def in_turn(entries: Iterable[Entry]) -> list[Entry]:
    """Return entries in the order in which they run: those without a model wait for none."""
    return sorted(entries, key=lambda entry: entry.model is not None)


def _fetch_models(
    study: Study, entries: Iterable[Entry], listener: Listener
) -> dict[str, LocalModel]:
    names = dict.fromkeys(entry.model for entry in entries if entry.model is not None)
    models: dict[str, LocalModel] = {}
    problems: list[Problem] = []
    for name in names:
        try:
            models[name] = fetch(study.spec.models[name], name, base=study.base, note=listener.note)
        except BadInput as error:
            problems += error.problems
    if problems:
        raise BadInput(*problems)
    return models


def _check_support(
    study: Study, entries: Iterable[Entry], models: Mapping[str, LocalModel]
) -> None:
    """Report every entry that cannot work, before anything is trained."""
    problems = []
    for entry in entries:
        info = models[entry.model].info if entry.model is not None else None
        where = f"methods.{entry.id}"
        if reason := entry.method.supports(info, study.task, entry.knobs):
            problems.append(Problem(where, reason))
        if isinstance(entry.knobs, AnswerKnobs):
            try:
                find_template(study.task, entry.knobs.template)
            except BadInput as error:
                problems += [Problem(where, str(problem)) for problem in error.problems]
        length = entry.training.get("max_length")
        if info is not None and length is not None and length > info.context_length:
            problems.append(
                Problem(
                    f"{where}.max_length",
                    f"must be at most the {info.context_length} tokens that {info.name} reads",
                    str(length),
                )
            )
    if problems:
        raise BadInput(*problems)


def settings(entry: Entry, info: ModelInfo | None, task: Task) -> dict[str, Setting]:
    """Resolve all hyperparameters of an entry, each with its reason, source and who chose it.

    Args:
        entry: The entry.
        info: Its model.
        task: The task.
    """
    resolved = _knob_settings(entry.knobs, entry.chosen_by)
    if info is None:
        return resolved
    for name, default in entry.method.defaults(info, task).items():
        resolved[name] = Setting(
            value=default.value, reason=default.reason, source=default.source, chosen_by="default"
        )
    for name, value in entry.training.items():
        resolved[name] = _chosen(value, entry.chosen_by[name])
    return resolved


def _knob_settings(knobs: Knobs, chosen_by: Mapping[str, Any]) -> dict[str, Setting]:
    resolved = {}
    for name, value in knobs.model_dump(mode="json").items():
        extra = type(knobs).model_fields[name].json_schema_extra
        told = extra if isinstance(extra, dict) else {}
        resolved[name] = (
            _chosen(value, chosen_by[name])
            if name in chosen_by
            else Setting(
                value=value,
                reason=str(told.get("reason", "")),
                source=str(told.get("source", "")),
                chosen_by="default",
            )
        )
    return resolved


def _chosen(value: Any, by: Any) -> Setting:
    return Setting(value=value, reason="Chosen for this study", source=str(by), chosen_by=by)


def plan(
    study: Study,
    entries: Iterable[Entry],
    models: Mapping[str, LocalModel],
    splits: Splits,
    precision: Precision,
) -> list[RunSpec]:
    """Return every run that the study asks for, in its order.

    Args:
        study: The study.
        entries: Its entries.
        models: Models by name.
        splits: The data.
        precision: Where and in what all of them compute.
    """
    inputs, sizes = splits.hashes(), splits.sample_hashes()
    named = study.spec.task if isinstance(study.spec.task, str) else ""
    specs = []
    for entry in entries:
        model = models.get(entry.model) if entry.model is not None else None
        # Without any randomness a second seed would be the same run again.
        seeds = study.spec.seeds if entry.method.seeded(entry.knobs) else study.spec.seeds[:1]
        axis = sizes if entry.method.learns else {}
        specs += [
            RunSpec(
                study=study.spec.study,
                entry=entry.id,
                method=entry.method.name,
                model=entry.model,
                model_spec=study.spec.models[entry.model] if entry.model is not None else None,
                model_files=model.files if model is not None else {},
                task=study.task.name,
                task_options=study.spec.task if isinstance(study.spec.task, dict) else {},
                language=study.task.language,
                seed=seed,
                settings=settings(entry, model.info if model else None, study.task),
                data=study.spec.data,
                inputs={**inputs, "train": train},
                train_sizes=axis,
                device=precision.device,
                dtype=precision.dtype,
                threads=precision.threads,
                deterministic=study.spec.compute.deterministic and precision.device != "cpu",
                eval_batch_size=study.spec.compute.eval_batch_size,
                plugins={
                    plugin.name: plugin.sha256 for plugin in plugins_of(entry.method.name, named)
                },
            )
            for train in axis.values() or [inputs["train"]]
            for seed in seeds
        ]
    return specs


def _run_all(
    workshop: Workshop, entries: Sequence[Entry], specs: Sequence[RunSpec]
) -> list[RunRecord]:
    study, splits, store = workshop.study, workshop.splits, workshop.store
    listener = workshop.listener
    infos = {name: model.info for name, model in workshop.models.items()}

    def announce(runs: list[PlannedRun]) -> None:
        states = workshop.shelves.disk if workshop.shelves is not None else 0
        check_space(store.folder, runs, entries, infos, study.task, listener.note, states=states)
        listener.planned(runs)

    if study.spec.tuning is not None:
        stage = Stage(
            study, entries, specs, infos, splits, store, listener, workshop.make, announce
        )
        records = stage.run()
        workshop.forget_trials(records)
        return records
    announce(
        [planned(spec, store.find(content_key(spec)) is not None, splits, infos) for spec in specs]
    )
    return [workshop.make(Job(spec), index) for index, spec in enumerate(specs)]


def describe_data(
    path: str | Path, overrides: Sequence[str] = (), *, plugins: Sequence[PluginName] = ()
) -> DataCard:
    """Describe the data of a study (N1).

    Args:
        path: The study file.
        overrides: ``a.b=c`` assignments over the file.
        plugins: Python files or modules with methods or tasks of your own; their code is run.

    Raises:
        BadInput: The data cannot be used.
    """
    with using(plugins):
        return _data_card(load_study(path, overrides))


def _data_card(study: Study) -> DataCard:
    task = study.task
    splits = load_splits(study.spec.data, task, study.base)
    redacted = study.spec.report.text == "redacted"
    return DataCard(
        title=task.title.en,
        summary=task.summary.en,
        languages=(task.language,),
        columns=task.columns,
        licence=task.licence,
        source=task.source,
        splits=tuple(_split_card(n, items, task) for n, items in splits.named().items()),
        examples=tuple(
            Example(item.id) if redacted else Example(item.id, item.fields, item.gold)
            for item in splits.train[:3]
        ),
        notes=tuple(splits.notes),
        overlaps=_overlap_cards(splits),
        near_duplicates=study.spec.data.near_duplicates,
    )


def _overlap_cards(splits: Splits) -> tuple[OverlapCard, ...]:
    found = splits.leakage
    learnt = [(split, test) for test in splits.tests for split in ("train", "validation")]
    return tuple(
        OverlapCard(
            split=split,
            held_out=held_out,
            duplicates=len(found.duplicates.get((split, held_out), ())),
            near_duplicates=len(found.near_duplicates.get((split, held_out), ())),
            shared_groups=len(found.shared_groups.get((split, held_out), ())),
        )
        for split, held_out in [*learnt, ("train", "validation")]
    ) + tuple(
        OverlapCard(
            split=test,
            held_out=test,
            duplicates=len(found.repeated.get(test, ())),
            near_duplicates=len(found.nearly_repeated.get(test, ())),
            shared_groups=None,
        )
        for test in splits.tests
    )


def _split_card(name: str, items: Sequence[Any], task: Task) -> SplitCard:
    return SplitCard(
        name=name,
        rows=len(items),
        groups=len({item.group for item in items}),
        labels={label: sum(i.gold[0] == label for i in items) for label in task.labels},
        answers=None if task.labels else Lengths.of(item.gold[0] for item in items),
        lengths={t: Lengths.of(item.fields[t] for item in items) for t in task.texts},
    )


def explain_method(
    name: str,
    model: str | None = None,
    overrides: Sequence[str] = (),
    language: Language = "en",
    task: str = "multinli",
    plugins: Sequence[PluginName] = (),
) -> Explanation:
    """Explain a method, with the numbers of a model when one is named.

    Nothing is downloaded for a model whose configuration is built in.

    Args:
        name: The method.
        model: A built-in card's id or alias, a Hub id, a folder or a GGUF file.
        overrides: ``k=v`` assignments of knobs.
        language: Of the text.
        task: Decides the number of classes of a head.
        plugins: Python files or modules with methods or tasks of your own; their code is run.

    Raises:
        BadInput: Method, model or knob is unknown, or they do not go together.
    """
    with using(plugins):
        return _explained(name, model, overrides, language, task)


def _explained(
    name: str, model: str | None, overrides: Sequence[str], language: Language, task: str
) -> Explanation:
    method, chosen = find_method(name), find_task(task)
    knobs = read_knobs(method, overrides)
    info = _info(model) if model is not None else None
    if info is not None and (reason := method.supports(info, chosen, knobs)):
        raise bad("explain", reason)
    parameters = None
    if info is not None and method.needs_model != "no":
        parameters = count(method, info, chosen, knobs)
    given = dict.fromkeys((o.partition("=")[0] for o in overrides), "command line")
    entry = Entry(name, method, model, knobs, {}, given)  # type: ignore[arg-type]
    text = method.explain(ExplainContext(knobs, info, parameters))
    told = settings(entry, info, chosen)
    return Explanation(name, model, text.in_(language), parameters, told, language)


def _info(model: str) -> ModelInfo:
    if (card := find_card(model)) is not None:
        return info_from_config(card.id, card.config, card=card)
    return describe(ModelSpec(source=model), model, base=Path(), note=lambda message: None)
