"""What one run does inside its own process: load, train, answer, save.

The method says *what* is trained and the reading *how* an answer is read; nothing here asks which
ones they are.
"""

from __future__ import annotations

import gc
import importlib
import random
import shutil
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from tarazu.asking import describe_prompt, make_asking
from tarazu.catalog import find_method, resolve_task, using_found
from tarazu.data.answers import Answers, mean_metrics
from tarazu.data.item import Item, Prediction
from tarazu.data.split import fingerprint
from tarazu.methods._method import Demonstrations, FitContext, Method, Variant
from tarazu.models.count import count_parameters
from tarazu.models.fast import switches
from tarazu.models.fast.memory import give_memory_back, keep_memory
from tarazu.models.frozen import split_trunk
from tarazu.models.info import ModelInfo
from tarazu.models.learner import Learner
from tarazu.models.load import (
    empty_learner,
    load_learner,
    load_tokenizer,
    tokenizer_hash,
    trained_names,
)
from tarazu.models.precision import Precision
from tarazu.models.recompute import recompute_activations
from tarazu.models.states import Shelves, Spent
from tarazu.models.trained import save_trained
from tarazu.plugins import Plugin
from tarazu.processes import Tell
from tarazu.readings import find_reading
from tarazu.readings._reading import Asking, Features, Reading, collate
from tarazu.readings.chat import start_worker
from tarazu.readings.tables import Tables
from tarazu.record.environment import environment
from tarazu.record.progress import Progress
from tarazu.record.record import Epoch, Event, Parameters, Phase
from tarazu.record.spec import RunSpec
from tarazu.scrub import scrub
from tarazu.splits import Splits
from tarazu.tasks._task import Task
from tarazu.training.checkpoint import Checkpoints
from tarazu.training.deterministic import deterministic_errors, use_deterministic_algorithms
from tarazu.training.loop import EpochResult, Examples, Plan, Watch, fit
from tarazu.training.meter import Meters
from tarazu.training.state import preserved_random_states


@dataclass(frozen=True)
class Request:
    """What the process of a run is asked for.

    Attributes:
        spec: The run.
        folder: Folder of the pretrained model, if one is used.
        info: The model.
        splits: The data.
        scratch: Empty folder for artifacts and merged models.
        show_text: Whether the record may hold text of the data set.
        stage: A trial of tuning answers the validation items, a final run the tests.
        shelves: Where runs share tokens and what a frozen trunk computed; without, each computes
            them.
        checkpoints: Where its training goes on if it was stopped; without, it starts anew.
        fewer_rows: Training rows at a time where memory ran out; the updates keep their batch.
        fewer_answers: Items answered at a time where memory ran out.
        recompute: Whether training computes activations again instead of keeping them.
        variants_given_up: Why other forms of the model are not made although they are asked for:
            earlier commands were killed while they were.
        plugins: The plug-ins that method and task come from; they are loaded in its process.
    """

    spec: RunSpec
    folder: Path | None
    info: ModelInfo | None
    splits: Splits
    scratch: Path
    show_text: bool
    stage: Literal["trial", "final"] = "final"
    shelves: Shelves | None = None
    checkpoints: Checkpoints | None = None
    fewer_rows: int | None = None
    fewer_answers: int | None = None
    recompute: bool = False
    variants_given_up: str = ""
    plugins: tuple[Plugin, ...] = ()

    @property
    def micro_batch_size(self) -> int:
        """Training rows at a time."""
        asked: int = self.value("micro_batch_size") or self.value("batch_size")
        return self.fewer_rows or asked

    @property
    def eval_batch_size(self) -> int:
        """Items that are answered at a time."""
        return self.fewer_answers or self.spec.eval_batch_size

    @property
    def asked(self) -> dict[str, list[Item]]:
        """The items to be answered, by split. A trial has no others (trap T30)."""
        if self.stage == "trial":
            return {"validation": self.splits.validation}
        return self.splits.tests

    @property
    def method(self) -> Method:
        """The method."""
        return find_method(self.spec.method)

    @property
    def task(self) -> Task:
        """The task."""
        return resolve_task(self.spec.task_options or self.spec.task)

    @property
    def knobs(self) -> Any:
        """The method's knobs."""
        names = self.method.knobs.model_fields
        return self.method.knobs(**{name: self.value(name) for name in names})

    def value(self, name: str) -> Any:
        """Return the value of a setting."""
        setting = self.spec.settings.get(name)
        return setting.value if setting is not None else None


@dataclass(frozen=True)
class Missing:
    """A form of a trained model that could not be made or evaluated.

    Attributes:
        name: One of `Method.variants`.
        reason: In one sentence.
        details: The traceback, for the log.
    """

    name: str
    reason: str
    details: str = ""


@dataclass
class Work:
    """What came out of a run's process.

    Attributes:
        predictions: Answers to all test items, scored.
        phases: Time, tokens and memory by phase.
        parameters: Counted on the configuration.
        epochs: Losses and validation metrics.
        selected_epoch: The epoch whose weights answered.
        prompt: What the record keeps of the prompt.
        variants: Merged models to be evaluated in processes of their own.
        missing: Merged models that could not be made.
        events: What a reader of the record must know.
    """

    predictions: Answers
    phases: dict[str, Phase]
    parameters: Parameters | None = None
    epochs: list[Epoch] = field(default_factory=list)
    selected_epoch: int | None = None
    prompt: dict[str, Any] = field(default_factory=dict)
    variants: list[Variant] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Partial(Progress):
    """A result that is complete but for other forms of the model: a failure from here on leaves it.

    Attributes:
        work: The result so far.
    """

    work: Work


def seed_everything(seed: int) -> None:
    """Seed every source of randomness, before anything is built (trap T34)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def perform(request: Request, *, tell: Tell) -> Work:
    """Make a run: train when the method trains, then answer the items that are asked once.

    Args:
        request: The run.
        tell: Hears the progress.
    """
    with using_found(request.plugins), deterministic_errors():
        _prepare(request)
        if request.info is None:
            return _without_model(request, tell)
        return _Neural(request, tell).run()


def answer_variant(request: Request, variant: Variant, *, tell: Tell) -> Work:
    """Load a merged model from disk and answer the test items with it.

    Args:
        request: The run that wrote it.
        variant: The merged model.
        tell: Hears the progress.
    """
    with using_found(request.plugins), deterministic_errors():
        _prepare(request)
        return _Neural(request, tell).answer_merged(variant)


def _prepare(request: Request) -> None:
    torch.set_num_threads(request.spec.threads)
    if request.spec.deterministic:
        use_deterministic_algorithms()
    seed_everything(request.spec.seed)


def viewed(items: Sequence[Item], request: Request) -> list[Item]:
    """Return items as the method lets the model see them."""
    method, task, knobs = request.method, request.task, request.knobs
    return [method.view(item, task, knobs) for item in items]


def scored(
    predictions: Iterable[Prediction], items: Sequence[Item], task: Task, split: str, variant: str
) -> Answers:
    """Score answers against the items as they are, not as a method may have shown them."""
    return Answers.of(
        replace(
            prediction,
            split=split,
            variant=variant,
            metrics={**task.score(prediction.predicted, item), **prediction.metrics},
        )
        for prediction, item in zip(predictions, items, strict=True)
    )


def _without_model(request: Request, tell: Tell) -> Work:
    method, task = request.method, request.task
    assert method.predict is not None
    meters = Meters()
    train = viewed(request.splits.train, request)
    predictions = Answers.of([])
    for split, items in request.asked.items():
        tell(Progress("evaluate", 0, len(items)))
        with meters.phase("evaluate"):
            context = FitContext(
                task, request.knobs, train, viewed(items, request), request.spec.seed
            )
            answers = method.predict(context)
        predictions += scored(answers, items, task, split, "main")
    return Work(predictions, meters.phases)


class _Neural:
    """A run with a pretrained model."""

    def __init__(self, request: Request, tell: Tell) -> None:
        assert request.info is not None
        assert request.folder is not None
        self.request = request
        self.tell = tell
        self.meters = Meters()
        self.info: ModelInfo = request.info
        self.folder: Path = request.folder
        self.method = request.method
        self.task = request.task
        self.knobs = request.knobs
        self.precision = Precision(request.spec.device, request.spec.dtype, request.spec.threads)
        self.reading_name = self.method.reading(self.info, self.task, self.knobs)
        self.reading: Reading = find_reading(self.reading_name)
        self.shots = self._demonstrations()
        self.tables = Tables({}, keep=False)

    def run(self) -> Work:
        parameters, trained_in_fp32 = self._count()
        self.tell(Progress("load"))
        with self.meters.phase("load"):
            if self.method.trains:
                # The schedule's module imports peft: that is loading, not training.
                importlib.import_module("transformers.optimization")
            learner = self._load(self.folder, trained_in_fp32, four_bit=self.method.four_bit)
            self.method.attach(learner, self.knobs)
            learner.settle()
            asking = self._asking(learner)
        self._settle_memory()
        trained = sum(p.numel() for _, p in learner.named_trained())
        if trained != parameters.trained + parameters.head:
            raise RuntimeError(f"planned to train {parameters}, but {trained} numbers are trained")
        work = Work(Answers.of([]), self.meters.phases, parameters)
        if self.method.trains:
            self._split_trunk(learner, work)
            self._train(learner, asking, work)
            if self.request.stage == "final":  # the peak of answering is of what answers
                if self.precision.device != "cpu":  # the optimiser is in reference cycles
                    gc.collect()
                give_memory_back()
        work.predictions = self._answer_all(
            learner, asking, "main" if not self.method.variants else "adapter"
        )
        first = viewed(next(iter(self.request.asked.values()))[:1], self.request)
        work.prompt = describe_prompt(
            asking, self.method, self.shots, first, learner, show_text=self.request.show_text
        )
        if self.method.trains and self.request.stage == "final":
            save_trained(learner, self.request.scratch / "artifacts")
            self._write_variants(learner, work)
        return work

    def _settle_memory(self) -> None:
        """Give back what loading took for a while, and keep what is freed from now on.

        Casts and quantisation free blocks of many sizes between those that stay: kept, they would
        more than double the memory of an 8B model in 4 bits.
        """
        if self.precision.device != "cpu":
            return
        if self.method.four_bit:
            give_memory_back()
        if switches().kept_memory:
            keep_memory()

    def _split_trunk(self, learner: Learner, work: Work) -> None:
        """Let a frozen trunk run once per sequence, and say so when it cannot."""
        if not switches().split_trunk:
            return
        spec = self.request.spec
        identity = {
            "files": spec.model_files,
            "four_bit": self.method.four_bit,
            "plugins": spec.plugins,
            "environment": environment(spec.device, spec.dtype, spec.threads).hash,
        }
        with self.meters.phase("load"):
            reason = split_trunk(
                learner, identity, self.request.shelves, keep=switches().trunk_cache
            )
        if reason is not None:
            self._runs_whole(work, reason)

    def _runs_whole(self, work: Work, reason: str) -> None:
        message = f"the frozen layers of {self.info.name} run in every epoch: {reason}"
        work.events.append(Event(kind="trunk", message=message))

    def _expect(self, learner: Learner, train: Examples, work: Work) -> None:
        """Settle which training items go through the trunk together, whatever batches follow."""
        if learner.frozen is None:
            return
        batches = (train.collate([row]) for row in range(len(train.lengths)))
        fits = learner.frozen.expect(
            (batch["input_ids"][0], batch.get("token_type_ids", [None])[0]) for batch in batches
        )
        if not fits and switches().trunk_cache:
            learner.frozen = None
            self._runs_whole(work, "what they compute needs more room than compute.trunk_disk")

    @contextmanager
    def _phase(self, name: str, learner: Learner) -> Iterator[Phase]:
        """Measure a phase, and what other runs did for it."""
        spent = learner.frozen.states.spent if learner.frozen is not None else Spent()
        before = spent.shared + self.tables.shared
        with self.meters.phase(name) as phase:
            yield phase
        phase.shared += spent.shared + self.tables.shared - before

    def answer_merged(self, variant: Variant) -> Work:
        self.tell(Progress("load"))
        with self.meters.phase("load"):
            learner = self._load(variant.folder, frozenset(), four_bit=False)
            learner.settle()
            asking = self._asking(learner)
        self._settle_memory()
        predictions = self._answer_all(learner, asking, variant.name)
        phases = {f"{name} {variant.name}": phase for name, phase in self.meters.phases.items()}
        return Work(predictions, phases)

    def _count(self) -> tuple[Parameters, frozenset[str]]:
        """Return what the method trains, and which of the model's own weights are among it."""
        learner = empty_learner(self.info, self.reading_name, len(self.task.labels))
        self.method.attach(learner, self.knobs)
        parameters = count_parameters(learner, self.method.deployed(learner))
        return parameters, trained_names(learner)

    def _load(self, folder: Path, trained: frozenset[str], *, four_bit: bool) -> Learner:
        return load_learner(
            folder,
            self.info,
            self.reading_name,
            len(self.task.labels),
            self.precision,
            four_bit=four_bit,
            trained=trained,
        )

    def _demonstrations(self) -> Demonstrations | None:
        if self.method.demonstrations is None:
            return None
        return self.method.demonstrations(
            self.knobs, self.task, self.request.splits.train, self.request.spec.seed
        )

    def _asking(self, learner: Learner) -> Asking:
        tokenizer = load_tokenizer(self.folder)
        self.tables = self._tables(tokenizer)
        asking = make_asking(
            task=self.task,
            info=self.info,
            tokenizer=tokenizer,
            knobs=self.knobs,
            demonstrations=self.shots,
            max_length=self.request.value("max_length"),
            virtual_tokens=learner.prompt.virtual_tokens if learner.prompt else 0,
            batch_size=self.request.eval_batch_size,
            seed=self.request.spec.seed,
            loss_on=self.request.value("loss_on") or "answer",
        )
        if asking.chat:
            start_worker()  # here it counts as loading, not as answering
        return replace(asking, tables=self.tables)

    def _tables(self, tokenizer: Any) -> Tables:
        """Return where tokens of items are kept, under all that they hang on beside the items."""
        if not switches().token_tables:
            return Tables({}, keep=False)
        shots = None
        if self.shots is not None:  # what `Method.demonstrations` is given
            knobs = self.knobs.model_dump(mode="json")
            train = fingerprint(self.request.splits.train)
            shots = [self.method.name, knobs, train, self.request.spec.seed]
        identity = {
            "tokenizer": tokenizer_hash(tokenizer),
            "demonstrations": shots,
            "plugins": self.request.spec.plugins,
        }
        return Tables(identity, self.request.shelves)

    def _examples(self, items: Sequence[Item], asking: Asking) -> Examples:
        features = self.reading.encode(viewed(items, self.request), asking)
        return examples(features, asking.tokenizer.pad_token_id)

    def _train(self, learner: Learner, asking: Asking, work: Work) -> None:
        splits = self.request.splits
        with self._phase("tokenise", learner):
            train = self._examples(splits.train, asking)
            validation = self._examples(splits.validation, asking) if splits.validation else None
        self._expect(learner, train, work)
        if self.request.recompute:
            recompute_activations(learner)

        def note(message: str) -> None:
            work.events.append(Event(kind="checkpoint", message=message))

        watch = Watch(self._step, note=note, phase=self._begin)
        if self.request.stage == "final":  # a trial answers all of them in the end
            watch = replace(watch, metrics=lambda: self._validation_metrics(learner, asking))
        # Dropout and shuffling start from the seed, however much was drawn while building.
        seed_everything(self.request.spec.seed)
        self.tell(Progress("train"))  # from here on it is training, whoever takes the time
        with self._phase("train", learner) as phase:
            result = fit(
                learner,
                self.reading.loss,
                train,
                validation,
                self._plan(),
                watch,
                self.request.checkpoints,
            )
            phase.tokens = result.tokens
            if learner.frozen is not None:
                learner.frozen.states.flush()
        # Answering validation items after each epoch has its own phase; its time is not training.
        if "validate" in self.meters.phases:
            phase.seconds -= self.meters.phases["validate"].seconds
            phase.shared -= self.meters.phases["validate"].shared
        phase.seconds += result.before
        phase.before = result.before
        if result.watched_before:
            answering = self.meters.phases.setdefault("validate", Phase())
            answering.seconds += result.watched_before
            answering.before = result.watched_before
        if len(sizes := result.micro_batches) > 1:
            message = f"trained with micro-batches of {', then '.join(map(str, sizes))} rows"
            work.events.append(Event(kind="memory", message=message))
        work.epochs = [_epoch(one) for one in result.epochs]
        work.selected_epoch = result.selected

    def _begin(self, phase: str, done: int, total: int) -> None:
        self.tell(Progress(phase, done, total))

    def _step(self, done: int, total: int, epoch: int, loss: float) -> None:
        detail = f"epoch {epoch}/{self.request.value('epochs')} · loss {loss:.3f}"
        self.tell(Progress("train", done, total, detail))

    def _plan(self) -> Plan:
        value = self.request.value
        return Plan(
            epochs=value("epochs"),
            batch_size=value("batch_size"),
            micro_batch_size=self.request.fewer_rows or value("micro_batch_size"),
            learning_rate=value("learning_rate"),
            head_learning_rate=value("head_learning_rate") or value("learning_rate"),
            weight_decay=value("weight_decay"),
            warmup=value("warmup"),
            schedule=value("schedule"),
            clip=value("clip"),
            select=value("select"),
            seed=self.request.spec.seed,
            eval_batch_size=self.request.eval_batch_size,
            share=self.request.spec.share,
        )

    def _validation_metrics(self, learner: Learner, asking: Asking) -> dict[str, float]:
        items = self.request.splits.validation[: self.request.value("validate_rows")]
        if not items:
            return {}
        # Whatever is drawn or seeded here must not change what training draws next.
        with (
            preserved_random_states(torch.device(self.precision.device)),
            self._phase("validate", learner),
        ):
            answers = self._answer(learner, items, asking, "validate")
            means = mean_metrics(
                self.task.score(answer.predicted, item)
                for answer, item in zip(answers, items, strict=True)
            )
        return {name: means[name] for name in self.task.metric_names if name in means}

    def _answer(
        self, learner: Learner, items: Sequence[Item], asking: Asking, phase: str
    ) -> Sequence[Prediction]:
        def tick(done: int, total: int) -> None:
            self.tell(Progress(phase, done, total))

        learner.eval()
        tick(0, len(items))  # the first batch is the largest: where memory ends, it ends there
        return self.reading.answer(learner, viewed(items, self.request), asking, tick)

    def _answer_all(self, learner: Learner, asking: Asking, variant: str) -> Answers:
        if learner.prompt is not None and self.method.trains:
            learner.prompt.freeze()
        predictions = Answers.of([])
        for split, items in self.request.asked.items():
            with self._phase("evaluate", learner) as phase, self._of_asked(learner):
                answers = self._answer(learner, items, asking, "evaluate")
                found = scored(answers, items, self.task, split, variant)
                phase.tokens += sum(answer.prompt_tokens for answer in found)
            predictions += found
        return predictions

    @contextmanager
    def _of_asked(self, learner: Learner) -> Iterator[None]:
        """Keep tokens and states of test items where no trial looks (trap T30)."""
        what: Literal["learnt", "tests"] = "learnt" if self.request.stage == "trial" else "tests"
        states = learner.frozen.states.of(what) if learner.frozen is not None else nullcontext()
        with self.tables.of(what), states:
            yield

    def _write_variants(self, learner: Learner, work: Work) -> None:
        """Write the other forms of the model; one that fails costs the run nothing but itself.

        The system may kill this process where memory ends, so what there is goes ahead.
        """
        names = expected_variants(self.request)
        if reason := self.request.variants_given_up:
            work.missing += [Missing(name, reason) for name in names]
            return
        for name in names:
            self.tell(Partial("merge", detail=name, work=work))
            folder = self.request.scratch / "variants" / name
            try:
                with self.meters.phase("merge"):
                    self._write_variant(name, learner, folder)
            except Exception as error:  # of the disk, of memory, of somebody's own method
                shutil.rmtree(folder, ignore_errors=True)
                reason = scrub(_without_path(error))
                work.missing.append(Missing(name, reason, traceback.format_exc()))
                traceback.clear_frames(error.__traceback__)
            else:
                work.variants.append(Variant(name, folder))

    def _write_variant(self, name: str, learner: Learner, folder: Path) -> None:
        assert self.method.write_variant is not None
        folder.parent.mkdir(exist_ok=True)
        self.method.write_variant(name, learner, self.folder, folder, self.precision.dtype)


def _without_path(error: Exception) -> str:
    """Say what went wrong; of an error of the file system not where, which names this machine."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {error}".strip()


def expected_variants(request: Request) -> tuple[str, ...]:
    """Return the names of the other forms of a run's model: a trial has none."""
    method = request.method
    if method.variants is None or not method.trains or request.stage != "final":
        return ()
    return tuple(method.variants(request.knobs))


def examples(features: Features, pad_id: int) -> Examples:
    """Return features as the training loop wants them."""
    return Examples(
        lengths=features.lengths,
        terms=features.terms,
        collate=lambda rows: collate([features[row] for row in rows], pad_id),
    )


def _epoch(result: EpochResult) -> Epoch:
    return Epoch(
        epoch=result.epoch,
        train_loss=result.train_loss,
        validation_loss=result.validation_loss,
        metrics=result.metrics,
    )
