"""The study file: read, checked and resolved, with every mistake reported at once.

Whether a method can use a model is checked later, when the model's configuration is known
(`Method.supports`); here are checked names, types and what an entry may say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tarazu import catalog
from tarazu.errors import BadInput, Problem, bad, did_you_mean
from tarazu.methods._method import Knobs, Method
from tarazu.record.spec import StudySpec, TrainingSpec
from tarazu.spec_problems import Keys, check, shown
from tarazu.study_yaml import Document, apply_overrides, read_document
from tarazu.tasks._task import Task

ChosenBy = Literal["entry", "study", "command line"]

_ID = re.compile(r"\w[\w.-]{0,63}")
_TRAINING = frozenset(TrainingSpec.model_fields)
# What still says something about a method that trains nothing: how long a prompt may be.
_WITHOUT_TRAINING = frozenset({"max_length"})


@dataclass(frozen=True)
class Entry:
    """One thing that is compared: a method with its settings on one model.

    Attributes:
        id: Key in the study file; ``@model`` is appended when the entry lists models.
        method: The method.
        model: Name of the model in the study; None when the method uses none.
        knobs: The method's knobs, defaults filled in.
        training: Training settings that were given and that the method uses, by the names of
            `tarazu.record.spec.TrainingSpec`.
        chosen_by: Who gave a knob or a training setting; a name that is absent is a default.
    """

    id: str
    method: Method
    model: str | None
    knobs: Knobs
    training: Mapping[str, Any]
    chosen_by: Mapping[str, ChosenBy]


@dataclass(frozen=True)
class Study:
    """A study as asked for.

    Attributes:
        spec: The file's content, overrides applied.
        task: The task.
        entries: What is compared, in the file's order.
        path: The study file.
        base: Its folder; paths in the file are relative to it.
    """

    spec: StudySpec
    task: Task
    entries: tuple[Entry, ...]
    path: Path
    base: Path


def load_study(path: str | Path, overrides: Sequence[str] = ()) -> Study:
    """Read a study file.

    Args:
        path: The file.
        overrides: ``a.b=c`` assignments; the value is YAML.

    Returns:
        The study.

    Raises:
        BadInput: All mistakes of the file and the overrides, by line.
    """
    path = Path(path)
    document = read_document(path)
    if not isinstance(document.values, dict) or not document.values:
        rule = "a study file must be a mapping with the keys version, study, task, data and methods"
        raise bad(
            document.place(()), rule, shown(document.values) if document.values else "nothing"
        )
    apply_overrides(document, overrides)
    reader = _Reader(document)
    spec = reader.spec()
    task = reader.task()
    entries = reader.entries()
    found = document.problems + [(document.line(keys), p) for keys, p in reader.found]
    if found or spec is None or task is None:
        raise BadInput(*(p for _, p in sorted(found, key=lambda lined: lined[0])))
    return Study(spec, task, tuple(entries), path, path.resolve().parent)


def read_knobs(method: Method, overrides: Sequence[str]) -> Knobs:
    """Return a method's knobs with ``k=v`` assignments applied, outside of a study.

    Raises:
        BadInput: An assignment is no YAML, names no knob, or has a value that the knob forbids.
    """
    document = Document("--set", {})
    apply_overrides(document, overrides)
    knobs, found = check(method.knobs, document.values, document.place)
    if document.problems or knobs is None:
        raise BadInput(*(problem for _, problem in (*document.problems, *found)))
    return knobs


@dataclass
class _Reader:
    """Checks the parts of a document; mistakes are collected in `found`, with their key paths."""

    document: Document
    found: list[tuple[Keys, Problem]] = field(default_factory=list)

    def problem(self, keys: Keys, rule: str, value: object = "", remedy: str = "") -> None:
        where = self.document.place(keys)
        self.found.append((keys, Problem(where, rule, str(value), remedy)))

    def spec(self) -> StudySpec | None:
        values = self.document.values
        if isinstance(values.get("methods"), dict):  # `majority:` alone means `majority: {}`
            entries = values["methods"]
            entries.update({key: {} for key, entry in entries.items() if entry is None})
        self._plugins(values)
        spec, problems = check(StudySpec, values, self.document.place)
        self.found += problems
        self._sources(_mapping(values.get("models")))
        tests = _mapping(values.get("data")).get("test")
        if tests == {}:
            self.problem(("data", "test"), "must name at least one test split", "{}")
        for name in {"train", "validation"} & _mapping(tests).keys():
            self.problem(
                ("data", "test", name), "a test split needs a name of its own", f"'{name}'"
            )
        seeds = values.get("seeds")
        if isinstance(seeds, list) and len({repr(seed) for seed in seeds}) < len(seeds):
            self.problem(("seeds",), "every seed may stand only once", shown(seeds))
        if spec is not None and spec.tuning is not None and spec.tuning.seed in spec.seeds:
            # A final run would be the run that was chosen, its luck included.
            keys: Keys = ("tuning", "seed") if "seed" in values["tuning"] else ("tuning",)
            rule = "the seed of tuning must not be one of the study's seeds"
            self.problem(keys, rule, spec.tuning.seed, "Choose another tuning.seed.")
        return spec

    def _plugins(self, values: dict[str, Any]) -> None:
        """A study is data: whoever hands one over must not choose what code runs."""
        for key in ("plugin", "plugins"):
            if key in values:
                rule = "a study file cannot load plug-ins; only the command line can"
                remedy = f"Remove '{key}' and give the command with --plugin FILE."
                self.problem((key,), rule, shown(values.pop(key)), remedy)

    def _sources(self, models: Mapping[str, Any]) -> None:
        for name, model in models.items():
            if not _ID.fullmatch(name):
                self._bad_id(("models", name))
            source = _mapping(model).get("source")
            if str(source).startswith("pypi:") and not _mapping(model).get("sha256"):
                self.problem(
                    ("models", name),
                    "a model out of a wheel needs the checksum of the wheel",
                    "no sha256",
                    "Add sha256: the package index shows it beside the file.",
                )

    def _bad_id(self, keys: Keys) -> None:
        rule = "a name must be letters, digits, '-', '_' and '.', at most 64"
        self.problem(keys, rule, shown(keys[-1]))

    def task(self) -> Task | None:
        task = self.document.values.get("task")
        if not isinstance(task, (str, dict)):
            return None  # the spec has said so
        try:
            return catalog.resolve_task(task)
        except BadInput as error:
            for problem in error.problems:
                deeper = problem.where.removeprefix("task").lstrip(".: ")
                keys: Keys = ("task", *deeper.split(".")) if deeper else ("task",)
                self.problem(keys, problem.rule, problem.value, problem.remedy)
            return None

    def entries(self) -> list[Entry]:
        found: list[Entry] = []
        for key, given in _mapping(self.document.values.get("methods")).items():
            if not _ID.fullmatch(key):
                self._bad_id(("methods", key))
            if isinstance(given, dict):
                found += self._entry(key, given)
        return found

    def _entry(self, key: str, given: Mapping[str, Any]) -> list[Entry]:
        keys: Keys = ("methods", key)
        name = given.get("method", key)
        if not isinstance(name, str) or name not in catalog.methods():
            keys = (*keys, "method") if "method" in given else keys
            remedy = catalog.unknown(str(name), catalog.methods())
            if "method" not in given:
                remedy += " An entry of another name says 'method: NAME'."
            self.problem(keys, "must be a known method", shown(name), remedy)
            return []
        method = catalog.methods()[name]
        models = self._models(keys, given, method)
        settings = {k: v for k, v in given.items() if k not in ("method", "model")}
        used = _used_training(method, given.get("model"))
        own = {k: v for k, v in settings.items() if self._is_knob(keys, k, method, used)}
        training = {k: v for k, v in settings.items() if k not in own and k in _TRAINING}
        knobs, problems = check(method.knobs, own, self.document.place, keys)
        self.found += problems
        self._training(keys, training, method, used)
        if knobs is None:
            return []
        merged, chosen_by = self._resolve(keys, own, training, used)
        listed = isinstance(given.get("model"), list)
        return [
            Entry(f"{key}@{m}" if listed else key, method, m, knobs, merged, chosen_by)
            for m in models
        ]

    def _is_knob(self, keys: Keys, name: str, method: Method, used: frozenset[str]) -> bool:
        """Tell a knob from a training setting; what is neither is a problem."""
        known = {f.alias or n for n, f in method.knobs.model_fields.items()}
        if name not in known and name not in _TRAINING:
            valid = {*known, *_TRAINING, "method", "model"}
            rule = f"must be a knob of '{method.name}' or a training setting"
            self.problem((*keys, name), rule, f"'{name}'", did_you_mean(name, valid))
        return name in known

    def _training(
        self, keys: Keys, training: Mapping[str, Any], method: Method, used: frozenset[str]
    ) -> None:
        _, problems = check(TrainingSpec, training, self.document.place, keys)
        self.found += problems
        for name in sorted(training.keys() - used):
            rule = f"'{method.name}' trains nothing here, so '{name}' has no meaning for it"
            self.problem((*keys, name), rule, "", "Remove it.")

    def _models(self, keys: Keys, given: Mapping[str, Any], method: Method) -> list[str | None]:
        model = given.get("model")
        known = _mapping(self.document.values.get("models"))
        if model is None:
            if method.needs_model == "yes":
                remedy = f"Add model: {' or '.join(known)}." if known else "Name one in 'models'."
                self.problem(keys, f"'{method.name}' needs a model", "none", remedy)
            return [None]
        keys = (*keys, "model")
        if method.needs_model == "no":
            self.problem(keys, f"'{method.name}' uses no model", shown(model), "Remove it.")
            return []
        if isinstance(model, list):
            if not model or len(set(map(shown, model))) < len(model):
                self.problem(keys, "must name each of its models once", shown(model))
            return [m for i, m in enumerate(model) if self._known_model((*keys, i), m, known)]
        return [model] if self._known_model(keys, model, known) else []

    def _known_model(self, keys: Keys, model: Any, known: Mapping[str, Any]) -> bool:
        if isinstance(model, str) and model in known:
            return True
        remedy = did_you_mean(str(model), known) if known else "Name it in 'models'."
        self.problem(keys, "must be a name out of 'models'", shown(model), remedy)
        return False

    def _resolve(
        self, keys: Keys, own: Mapping[str, Any], training: Mapping[str, Any], used: frozenset[str]
    ) -> tuple[dict[str, Any], dict[str, ChosenBy]]:
        """Put the study's and the entry's settings together, and say who chose each."""
        merged: dict[str, Any] = {}
        chosen_by: dict[str, ChosenBy] = {}
        # `training:` is about training: a length that saves memory there must not cut prompts.
        inherited = used if used == _TRAINING else frozenset()
        levels: tuple[tuple[Keys, ChosenBy, Mapping[str, Any], frozenset[str]], ...] = (
            (("training",), "study", _mapping(self.document.values.get("training")), inherited),
            (keys, "entry", training, used),
        )
        for above, level, settings, meant in levels:
            for name in settings.keys() & meant:
                merged[name] = settings[name]
                chosen_by[name] = self._who((*above, name), level)
        for name in [name for name, value in merged.items() if value is None]:
            del merged[name], chosen_by[name]  # null: back to the method's default
        chosen_by.update({name: self._who((*keys, name), "entry") for name in own})
        return dict(sorted(merged.items())), dict(sorted(chosen_by.items()))

    def _who(self, keys: Keys, level: ChosenBy) -> ChosenBy:
        return "command line" if self.document.from_command_line(keys) else level


def _used_training(method: Method, model: object) -> frozenset[str]:
    """Return the training settings that mean something to a method with or without a model."""
    if method.needs_model == "no" or (method.needs_model == "optional" and model is None):
        return frozenset()
    return _TRAINING if method.trains else _WITHOUT_TRAINING


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
