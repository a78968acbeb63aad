"""A method on a tiny model and a task, and what the checks do with it: load, train, answer, save.

The same calls as in a run (`tarazu.work`), in a few milliseconds each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tarazu.data.item import Item, Prediction
from tarazu.methods._method import Method
from tarazu.models.info import ModelInfo
from tarazu.record.record import Parameters
from tarazu.tasks._task import Task
from tarazu.testing.tiny import nli_items, qa_items, tiny_info

if TYPE_CHECKING:
    from torch import Tensor

    from tarazu.models.learner import Learner
    from tarazu.readings._reading import Asking

STEPS = 3
BATCH = 2


@dataclass(frozen=True)
class Case:
    """A method on a tiny model and a task that it supports.

    Attributes:
        method: The method.
        task: The task.
        info: The tiny model.
        folder: Its folder.
        train: Items to train on.
        test: Items to answer.
    """

    method: Method
    task: Task
    info: ModelInfo
    folder: Path
    train: Sequence[Item]
    test: Sequence[Item]

    def __str__(self) -> str:
        return f"{self.method.name}-{self.info.name}-{self.task.name}"

    @property
    def knobs(self) -> Any:
        """The method's default knobs."""
        return self.method.knobs()


def cases(
    methods: Iterable[Method], folders: Mapping[str, Path], tasks: Iterable[Task]
) -> Iterator[Case]:
    """Yield every method on every model and task that it supports.

    Args:
        methods: Methods; those that need no model are left out.
        folders: Tiny models by name, see `tarazu.testing.tiny`.
        tasks: Tasks of inference and question answering.
    """
    chosen = list(tasks)
    for method in methods:
        if method.needs_model == "no":
            continue
        for name, folder in folders.items():
            info = tiny_info(folder, name)
            for task in chosen:
                if method.supports(info, task, method.knobs()) is None:
                    make = nli_items if task.labels else qa_items
                    train, test = make(STEPS * BATCH, seed=1), make(4, seed=2)
                    yield Case(method, task, info, folder, train, test)


def counted(case: Case) -> Parameters:
    """Count what the method trains, from the model's configuration alone."""
    from tarazu.models.count import count_parameters
    from tarazu.models.load import empty_learner

    reading = case.method.reading(case.info, case.task, case.knobs)
    learner = empty_learner(case.info, reading, len(case.task.labels))
    case.method.attach(learner, case.knobs)
    return count_parameters(learner, case.method.deployed(learner))


def load(case: Case, *, seed: int = 0, dtype: str = "float32", device: str = "cpu") -> Learner:
    """Load the model as the method wants it.

    Args:
        case: The case.
        seed: Of everything that is new: head, adapters, soft prompt.
        dtype: Precision of frozen weights and matrix products.
        device: Where it computes.
    """
    import torch

    from tarazu.models.fast import switches
    from tarazu.models.frozen import split_trunk
    from tarazu.models.load import empty_learner, load_learner, trained_names
    from tarazu.models.precision import Precision

    reading = case.method.reading(case.info, case.task, case.knobs)
    empty = empty_learner(case.info, reading, len(case.task.labels))
    case.method.attach(empty, case.knobs)
    torch.manual_seed(seed)
    learner = load_learner(
        case.folder,
        case.info,
        reading,
        len(case.task.labels),
        Precision(device, dtype, torch.get_num_threads()),
        four_bit=case.method.four_bit,
        trained=trained_names(empty),
    )
    case.method.attach(learner, case.knobs)
    learner.settle()
    if case.method.trains and switches().split_trunk:
        reason = split_trunk(learner, {}, keep=switches().trunk_cache)
        assert reason is None, reason
    return learner


def take_dropout_out(learner: Learner) -> None:
    """Set every dropout to zero: what is drawn is another thing in the faster ways and without."""
    from torch import nn

    for module in learner.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0  # type: ignore[assignment]


def trained_tensors(learner: Learner) -> dict[str, Tensor]:
    """Return copies of everything that is trained, by name."""
    return {name: p.detach().clone() for name, p in learner.named_trained()}


def frozen_tensors(learner: Learner) -> dict[str, Tensor]:
    """Return copies of everything that is not trained, buffers too, by name."""
    frozen = {n: p.detach().clone() for n, p in learner.named_parameters() if not p.requires_grad}
    return frozen | {n: buffer.detach().clone() for n, buffer in learner.named_buffers()}


def asking(case: Case, learner: Learner, *, tokens: int = 4) -> Asking:
    """Say how the items of a case are asked.

    Args:
        case: The case.
        learner: Its model.
        tokens: Longest generated answer.
    """
    from tarazu.models.load import load_tokenizer
    from tarazu.readings._reading import Asking, Decode
    from tarazu.readings.prompts import has_chat_template

    shots = None
    if case.method.demonstrations is not None:
        shots = case.method.demonstrations(case.knobs, case.task, case.train, 0)
    tokenizer = load_tokenizer(case.folder)
    how = getattr(case.knobs, "answer", "auto")
    scored = how == "score" or (how == "auto" and bool(case.task.labels))
    virtual = learner.prompt.virtual_tokens if learner.prompt is not None else 0
    return Asking(
        task=case.task,
        tokenizer=tokenizer,
        info=case.info,
        max_length=case.info.context_length - virtual,
        template=case.task.templates["default"],
        chat=has_chat_template(tokenizer),
        demonstrations=shots.choose if shots is not None else lambda item: (),
        fixed=shots.fixed if shots is not None else True,
        answer="score" if scored else "generate",
        decode=Decode(max_new_tokens=tokens),
        batch_size=BATCH,
    )


def train(case: Case, learner: Learner, *, epochs: int = 1, rate: float = 0.01) -> list[float]:
    """Make `STEPS` updates in every epoch, without weight decay.

    Args:
        case: The case.
        learner: Its model.
        epochs: How often every item is seen.
        rate: Learning rate; the updates are large enough to be seen.

    Returns:
        The loss of every update.
    """
    from tarazu.readings import find_reading
    from tarazu.readings._reading import collate
    from tarazu.training.loop import Examples, Plan, Watch, fit

    reading = find_reading(case.method.reading(case.info, case.task, case.knobs))
    how = asking(case, learner)
    features = reading.encode(_viewed(case, case.train), how)
    examples = Examples(
        lengths=features.lengths,
        terms=features.terms,
        collate=lambda rows: collate([features[i] for i in rows], how.tokenizer.pad_token_id),
    )
    plan = Plan(
        epochs=epochs,
        batch_size=BATCH,
        micro_batch_size=None,
        learning_rate=rate,
        head_learning_rate=rate,
        weight_decay=0.0,
        warmup=0.0,
        schedule="constant",
        clip=1.0,
        select="last",
        seed=0,
    )
    losses: list[float] = []
    watch = Watch(step=lambda done, total, epoch, loss: losses.append(loss))
    fit(learner, reading.loss, examples, None, plan, watch)
    return losses


def answer(
    case: Case, learner: Learner, *, items: Sequence[Item] | None = None
) -> list[Prediction]:
    """Answer the test items of a case, or others.

    Args:
        case: The case.
        learner: Its model.
        items: Other items.
    """
    from tarazu.readings import find_reading

    learner.eval()
    if learner.prompt is not None:
        learner.prompt.freeze()
    reading = find_reading(case.method.reading(case.info, case.task, case.knobs))
    shown = _viewed(case, case.test if items is None else items)
    # A list can be compared with another and sent to a process.
    return list(reading.answer(learner, shown, asking(case, learner), lambda done, total: None))


def save(learner: Learner, folder: Path) -> None:
    """Save what was trained."""
    from tarazu.models.trained import save_trained

    save_trained(learner, folder)


def restore(case: Case, folder: Path, *, device: str = "cpu") -> list[Prediction]:
    """Answer the test items with what was saved, on a model built anew from another seed.

    Args:
        case: The case.
        folder: Written by `save`.
        device: Where the model computes.
    """
    from tarazu.models.trained import restore_trained

    learner = load(case, seed=99, device=device)
    restore_trained(learner, folder)
    return answer(case, learner)


def _viewed(case: Case, items: Sequence[Item]) -> list[Item]:
    return [case.method.view(item, case.task, case.knobs) for item in items]
