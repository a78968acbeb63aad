"""Every knob of asking and answering reaches the place where it counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tarazu.asking import make_asking
from tarazu.errors import BadInput
from tarazu.methods._asking import AnswerKnobs
from tarazu.methods._method import Demonstrations
from tarazu.models.load import load_tokenizer
from tarazu.readings._reading import Asking, Decode
from tarazu.tasks._task import Task
from tarazu.testing.tiny import TinyKind, nli_items, tiny_info

Ask = Callable[..., Asking]


@pytest.fixture
def made(tiny: Callable[[TinyKind], Path], nli: Task) -> Ask:
    """Return a way to ask: `made(label_score="token")`, with knobs or what a run gives."""

    def asking(kind: TinyKind = "llama", task: Task = nli, **given: Any) -> Asking:
        run = {
            "demonstrations": None, "max_length": None, "virtual_tokens": 0, "batch_size": 3,
            "seed": 5, "loss_on": "answer",
        }  # fmt: skip
        run |= {name: given.pop(name) for name in list(given) if name in run}
        folder = tiny(kind)
        return make_asking(
            task=task,
            info=tiny_info(folder),
            tokenizer=load_tokenizer(folder),
            knobs=AnswerKnobs(**given),
            **run,
        )

    return asking


def test_t17_the_decoding_asked_for_is_the_decoding_used(made: Ask) -> None:
    decode = {"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 11}
    assert made(decode=decode).decode == Decode(temperature=0.7, top_p=0.9, max_new_tokens=11)
    assert made().decode == Decode(temperature=0.0, top_p=1.0, max_new_tokens=None)


@pytest.mark.parametrize("rule", ["sum", "token", "calibrated"])
def test_t14_the_score_that_decides_is_the_one_chosen_before(made: Ask, rule: str) -> None:
    assert made(label_score=rule).label_score == rule


def test_labels_are_scored_and_spans_generated_unless_told(made: Ask, qa: Task) -> None:
    assert (made().answer, made(task=qa).answer) == ("score", "generate")
    assert made(answer="generate").answer == "generate"


@pytest.mark.parametrize(
    ("kind", "chat", "expected"),
    [("llama", "auto", False), ("llama", "off", False), ("llama-chat", "auto", True),
        ("llama-chat", "off", False), ("llama-chat", "on", True)],
)  # fmt: skip
def test_the_chat_template_is_used_where_there_is_one(
    made: Ask, kind: TinyKind, chat: str, expected: bool
) -> None:
    assert made(kind, chat=chat).chat is expected


def test_what_the_run_says_is_taken_over(made: Ask) -> None:
    asking = made(batch_size=7, seed=9, loss_on="all")
    assert (asking.batch_size, asking.seed, asking.loss_on) == (7, 9, "all")
    assert made().loss_on == "answer"


@pytest.mark.parametrize(
    ("longest", "virtual", "expected"),
    [(None, 0, 512), (None, 20, 492), (100, 20, 100), (900, 20, 492)],
)
def test_virtual_tokens_take_room_in_the_context(
    made: Ask, longest: int | None, virtual: int, expected: int
) -> None:
    assert made(max_length=longest, virtual_tokens=virtual).max_length == expected


def test_templates_are_found_by_name(made: Ask, nli: Task) -> None:
    assert made(template="claim").template is nli.templates["claim"]
    with pytest.raises(BadInput, match=r"must name a template of corpus-nli, but got clam.*claim"):
        made(template="clam")


def test_demonstrations_are_handed_on(made: Ask) -> None:
    shots = nli_items(2, seed=4)
    item = nli_items(1)[0]
    given = made(demonstrations=Demonstrations(lambda one: shots, fixed=False, how=""))
    assert (list(given.demonstrations(item)), given.fixed) == (shots, False)
    assert (list(made().demonstrations(item)), made().fixed) == ([], True)
