from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tarazu.record.record import Parameters
from tarazu.record.spec import Setting
from tarazu.report.data_card import DataCard, Example, Lengths, SplitCard
from tarazu.report.explanation import Explanation, settings_table
from tarazu.report.listing import FoldingMarkdown


def card(**changes):
    split = SplitCard(
        "train", 3, 2, labels={"yes": 1, "no": 2}, lengths={"premise": Lengths.of(["a b", "c"])}
    )
    fields = {
        "title": "Inference", "summary": "Does it follow?", "languages": ("en",),
        "columns": {"premise": "sentence1"}, "licence": None, "source": "invented",
        "splits": (split,), "examples": (Example("t-1", {"premise": "A | cat."}, ("yes",)),),
        "notes": ("2 rows of train also stand in test",),
    }  # fmt: skip
    return DataCard(**{**fields, **changes})


def test_the_card_says_what_the_data_are():
    text = card().markdown()
    for part in (
        "# Inference", "sentence1", "| train | 3 | 2 |", "1 (33.3%)", "2 (66.7%)", "A \\| cat.",
        "Licence: not stated", "2 rows of train also stand in test", "| premise | 1.5 | 2 | 2 |",
    ):  # fmt: skip
        assert part in text, part


def test_at_most_three_examples():
    assert (
        card(examples=tuple(Example(f"t-{i}") for i in range(5))).markdown().count("item t-") == 3
    )


def test_spans_have_answer_lengths_instead_of_a_balance():
    split = SplitCard("test", 1, 1, answers=Lengths.of(["two words"]))
    text = card(splits=(split,)).markdown()
    assert "Label balance" not in text
    assert "| test | answer | 2.0 | 2 | 2 |" in text


def test_lengths_use_the_nearest_rank():
    lengths = Lengths.of("w " * count for count in range(1, 101))
    assert (lengths.mean, lengths.p95, lengths.maximum) == (50.5, 95, 100)
    assert Lengths.of([]) == Lengths(0.0, 0, 0)


@given(st.lists(st.text(max_size=20), min_size=1))
def test_lengths_are_ordered(texts):
    lengths = Lengths.of(texts)
    assert lengths.p95 <= lengths.maximum
    assert 20 * sum(len(text.split()) <= lengths.p95 for text in texts) >= 19 * len(texts)


def test_an_explanation_shows_settings_and_counts():
    explanation = Explanation(
        "lora", "gpt2", "# LoRA",
        Parameters(total=1000, trained=10, head=5, deployed=15, deployed_bytes=60),
        {"r": Setting(value=8, reason="small", source="the paper", chosen_by="default")},
    )  # fmt: skip
    text = explanation.markdown()
    assert "| r | 8 | small | the paper | default |" in text
    assert "1.500%" in text
    assert explanation.to_json() == {
        "method": "lora",
        "model": "gpt2",
        "parameters": {
            "total": 1000, "trained": 10, "head": 5, "deployed": 15, "deployed_bytes": 60,
        },
        "hyperparameters": {
            "r": {"value": 8, "reason": "small", "source": "the paper", "chosen_by": "default"}
        },
    }  # fmt: skip


def test_an_explanation_without_a_model():
    explanation = Explanation("zero-shot", None, "words", None, {})
    assert explanation.markdown() == "words"
    assert explanation.to_json()["parameters"] is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (True, "true"), (1, "1"), (0, "0"), (0.0, "0.0"),
     ({"t": 0.0, "m": None}, "t: 0.0, m: –"),
     ([4, 5], r"\[4, 5\]"), ("sum", "sum")],
)  # fmt: skip
def test_values_read_as_in_a_study_file(value, text):
    setting = Setting(value=value, reason="why", source="s", chosen_by="default")
    assert f"| x | {text} | why |" in settings_table({"x": setting})


def test_no_word_of_a_table_is_cut_in_the_terminal():
    word = "lm-evaluation-harness-and-more"
    setting = Setting(value=1, reason="r " * 30, source=word, chosen_by="default")
    console = Console(width=60)
    with console.capture() as capture:
        console.print(FoldingMarkdown(settings_table({"x": setting})))
    assert "…" not in capture.get()
