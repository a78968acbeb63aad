"""One run: its processes are started, their results are put together into a `RunRecord`."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from tarazu.attempts import Attempts
from tarazu.data.answers import Answers, mean_metrics
from tarazu.data.item import Item, Prediction
from tarazu.errors import BadInput
from tarazu.methods._method import ExplainContext, Method, Variant
from tarazu.models.hardware import hardware
from tarazu.models.info import ModelInfo
from tarazu.processes import RunFailed, Tell, in_own_process
from tarazu.record.environment import environment
from tarazu.record.key import content_key
from tarazu.record.memory_limits import MemoryLimits
from tarazu.record.record import Attribution, Event, Input, RunRecord, VariantResult
from tarazu.record.spec import RunSpec
from tarazu.scrub import scrub
from tarazu.tasks._task import Task
from tarazu.text import LANGUAGES
from tarazu.work import Missing, Request, Work, answer_variant, expected_variants, perform


@dataclass(frozen=True)
class Outcome:
    """A run's record, its predictions, and the traceback when it failed."""

    record: RunRecord
    predictions: Sequence[Prediction]
    details: str = ""


def run(request: Request, *, tell: Tell, limits: MemoryLimits | None = None) -> Outcome:
    """Make a run and describe it; a run that fails is described, too.

    Args:
        request: The run.
        tell: Hears the progress.
        limits: What is known of memory from other runs; what this one finds out is added.
    """
    record = blank_record(request)
    attempts = Attempts(request, tell, limits)
    try:
        work = _performed(request, attempts)
    except RunFailed as error:
        return Outcome(_failed(record, error.reason, "process", attempts), [], error.details)
    except BadInput as error:
        return Outcome(_failed(record, str(error), "settings", attempts), [])
    for variant in work.variants:
        _add_variant(variant, work, attempts)
    work.events += attempts.events
    work.events += [_missing(variant) for variant in work.missing]
    work.phases |= attempts.measured(failed=False)
    details = "\n".join(variant.details for variant in work.missing if variant.details)
    return Outcome(_done(record, request, work), work.predictions, details)


def _performed(request: Request, attempts: Attempts) -> Work:
    """Return what the run's process came to; where it failed after its result, that result."""
    try:
        return attempts.make(lambda now, hear: in_own_process(perform, now, tell=hear))
    except RunFailed as error:
        if attempts.partial is None:
            raise
        work, reason, details = attempts.partial, error.reason, error.details
    done = {form.name for form in work.variants} | {form.name for form in work.missing}
    absent = [name for name in expected_variants(request) if name not in done]
    work.missing += [Missing(name, reason, details) for name in absent]
    return work


def _add_variant(variant: Variant, work: Work, attempts: Attempts) -> None:
    """Let a form of the model answer, reloaded where nothing of the training is left in memory."""
    try:
        again = attempts.make(partial(_answered_again, variant), merged=True)
    except RunFailed as error:
        work.missing.append(Missing(variant.name, error.reason, error.details))
    except BadInput as error:
        work.missing.append(Missing(variant.name, str(error)))
    else:
        work.predictions += again.predictions
        work.phases |= again.phases
    shutil.rmtree(variant.folder, ignore_errors=True)  # the next one may need the room


def _missing(variant: Missing) -> Event:
    message = f"{variant.name} is missing: {variant.reason}"
    return Event(kind="variant", message=scrub(message))


def _answered_again(variant: Variant, request: Request, tell: Tell) -> Work:
    return in_own_process(answer_variant, request, variant, tell=tell)


def blank_record(request: Request) -> RunRecord:
    """Return what is known of a run before it is made."""
    spec, method = request.spec, request.method
    splits = request.splits.named()
    return RunRecord(
        key=content_key(spec),
        status="failed",
        stage=request.stage,
        entry=spec.entry,
        method=spec.method,
        family=method.family,
        model=spec.model,
        task=spec.task,
        labels=list(request.task.labels),
        primary_metric=request.task.primary_metric,
        seed=spec.seed,
        seeded=method.seeded(request.knobs),
        spec=spec,
        inputs={
            name: Input(rows=len(splits[name]), sha256=sha) for name, sha in spec.inputs.items()
        },
        environment=environment(spec.device, spec.dtype, spec.threads, hardware(spec.device)),
        hyperparameters=spec.settings,
        attribution=attribution(request.info, request.task, spec),
    )


def attribution(info: ModelInfo | None, task: Task, spec: RunSpec) -> Attribution:
    """Say whose model and data these are, and whether the model may have seen the data."""
    card = info.card if info is not None else None
    seen = [name for name in task.known_as if card is not None and _listed(name, card.trained_on)]
    contamination = (
        [f"{card.id} lists {', '.join(seen)} among its training data ({card.source})"]
        if card is not None and seen
        else []
    )
    return Attribution(
        model_licence=card.licence if card else None,
        model_notice=card.notice if card else None,
        model_source=card.id if card else (spec.model_spec.source if spec.model_spec else None),
        weights_origin=info.origin if info else None,
        contamination=contamination,
        data_licence=task.licence,
        data_source=task.source,
    )


def _listed(name: str, trained_on: Iterable[str]) -> bool:
    wanted = name.casefold()
    return any(wanted == one.casefold() for one in trained_on)


def _failed(record: RunRecord, reason: str, fault: str, attempts: Attempts) -> RunRecord:
    return record.model_copy(
        update={
            "error": scrub(reason),
            "fault": fault,
            "events": attempts.events,
            "measured": attempts.measured(failed=True),
            "finished": _now(),
        }
    )


def _done(record: RunRecord, request: Request, work: Work) -> RunRecord:
    variants = list(summaries(work.predictions, request))
    explain = {}
    if request.stage == "final":  # the explanation of a trial would be that of the final run
        text = request.method.explain(ExplainContext(request.knobs, request.info, work.parameters))
        explain = {language: text.in_(language) for language in LANGUAGES}
    return record.model_copy(
        update={
            "status": "done",
            "parameters": work.parameters,
            "epochs": work.epochs,
            "selected_epoch": work.selected_epoch,
            "variants": variants,
            "primary_variant": _primary(request.method, variants),
            "prompt": work.prompt,
            "explain": explain,
            "events": events(work, request),
            "measured": work.phases,
            "test_access": list(request.splits.tests),
            "finished": _now(),
        }
    )


def _primary(method: Method, variants: Sequence[VariantResult]) -> str:
    present = [result.variant for result in variants]
    if method.primary_variant in present:
        return method.primary_variant
    return present[0] if present else "main"  # a trial does not merge


def summaries(predictions: Answers, request: Request) -> Iterable[VariantResult]:
    """Yield the metrics of every variant on every split, and how many answers it flips."""
    task = request.task
    groups = predictions.groups()
    for (split, variant), answers in groups.items():
        first = next(v for s, v in groups if s == split)
        yield _summary(answers, request.asked[split], task, split, variant).model_copy(
            update={}
            if variant == first
            else {
                "flips": _flips(groups[split, first], answers),
                "flips_against": first,
                "fresh_process": True,
            }
        )


def _summary(
    answers: Answers, items: Sequence[Item], task: Task, split: str, variant: str
) -> VariantResult:
    means = mean_metrics(answer.metrics for answer in answers)
    predicted = [answer.predicted for answer in answers]
    return VariantResult(
        variant=variant,
        split=split,
        n=len(answers),
        metrics={**means, **task.aggregate(predicted, items)},
        unparsable=sum(answer is None for answer in predicted),
        cut=sum(answer.cut_tokens > 0 for answer in answers),
    )


def _flips(before: Answers, after: Answers) -> int:
    return sum(a.predicted != b.predicted for a, b in zip(before, after, strict=True))


def events(work: Work, request: Request) -> list[Event]:
    """Say aloud what a reader of the table must know (traps T4, T31)."""
    said = list(work.events)
    if not request.task.labels or request.spec.method == "majority":
        return said
    for (split, variant), answers in work.predictions.groups().items():
        different = {answer.predicted for answer in answers}
        if len(different) == 1:
            (only,) = different
            said.append(
                Event(kind="collapsed", message=f"{variant} answers '{only}' to all of {split}")
            )
    return said


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
