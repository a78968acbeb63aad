from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tarazu.comparison.entries import entries
from tarazu.record.record import Attribution, Parameters, Tuned, VariantResult
from tarazu.record.spec import Setting
from tarazu.report.columns import best_rows, columns
from tarazu.report.markdown import markdown
from tarazu.report.notes import footnotes
from tarazu.report.table import FinalTable, fitting
from tarazu.testing.records import make_record


def render(records, width):
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(FinalTable(records))
    return capture.get()


@pytest.fixture
def study(make, failed):
    big = Parameters(
        total=124_439_808, trained=124_439_808, head=1_538, deployed=124_441_346,
        deployed_bytes=497_765_384,
    )  # fmt: skip
    merged = VariantResult(
        variant="merged-dequantised", split="test", n=500, metrics={"accuracy": 0.731},
        flips=3, flips_against="adapter", fresh_process=True,
    )  # fmt: skip
    doubt = Attribution(
        contamination=["the model's card lists MultiNLI"],
        model_licence="apache-2.0",
        model_notice="Built with Meta Llama 3",
        weights_origin="dequantised from Q4_1",
        data_licence="OANC",
    )
    return [
        *(make("full", seed=seed, accuracy=0.8 + seed / 100, parameters=big) for seed in range(3)),
        make("majority", model=None, accuracy=0.335, parameters=None),
        make("qlora-text", model="smollm2", unparsable=7, others=(merged,), attribution=doubt,
             events=(("collapsed", "every answer is neutral"),)),
        failed("few-shot", model="smollm2", reason="the prompt is longer than the context"),
    ]  # fmt: skip


@pytest.mark.parametrize("width", [72, 80, 100, 120, 140, 160, 200])
def test_it_fits_and_never_cuts_a_number(study, width):
    text = render(study, width)
    assert all(len(line) <= width for line in text.splitlines())
    rows = entries(study)
    kept = fitting(columns(rows), rows, width)
    for column in kept:
        assert column.heading in text
        assert all(column.cell(row) in text for row in rows if column.numeric)
    assert {"Entry", "Accuracy %", "Trained + head", "Training"} <= {c.heading for c in kept}
    assert "…" not in text


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 10**11), st.integers(0, 10**9), st.floats(0, 1)),
        min_size=1,
        max_size=6,
    ),
    st.integers(70, 200),
)
def test_any_numbers_fit_any_page(values, width):
    records = [
        make_record(f"entry-{i}", accuracy=score, parameters=Parameters(
            total=count, trained=count, head=head, deployed=count, deployed_bytes=4 * count))
        for i, (count, head, score) in enumerate(values)
    ]  # fmt: skip
    text = render(records, width)
    rows = entries(records)
    for column in fitting(columns(rows), rows, width):
        assert all(column.cell(row) in text for row in rows if column.numeric)


def test_t31_wide_pages_show_every_column_and_a_collapse(study):
    text = " ".join(render(study, 200).split())
    for part in ("498 MB", "1.5 GB", "Model", "contaminated *", "collapsed to one class"):
        assert part in text


def test_t17_unparsable_answers_are_counted(study):
    for width in (80, 160):
        assert "unparsable 7 of 500" in " ".join(render(study, width).split())


def test_notes_move_below_where_they_do_not_fit(study):
    text = render(study, 80)
    assert "Notes" not in text
    assert "few-shot: failed (seed 0): the prompt is longer than the context" in text


def test_t19_other_forms_stand_below_their_entry_with_flips(study):
    text = render(study, 160)
    lines = text.splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("qlora-text"))
    below = "\n".join(lines[place + 1 : place + 6])
    assert "↳" in below
    assert "73.1" in below
    assert "3 of 500 answers differ from adapter" in " ".join(text.split())


def test_t32_caption_and_foot_state_the_protocol(study):
    text = " ".join(render(study, 160).split())
    assert "500 items of 'test' · seed 0, 1, 2 (mean ± standard deviation over seeds)" in text
    assert "Untuned: no hyperparameter was searched." in text
    assert "does not say that the difference is significant" in text
    assert "* smollm2: the model's card lists MultiNLI" in text
    assert "Built with Meta Llama 3" in text
    assert "Weights of smollm2: dequantised from Q4_1." in text
    assert "Data: licence: OANC." in text


def test_t32_an_untuned_entry_among_tuned_ones_is_named(make):
    trial = make("lora", seed=9, stage="trial")
    tuned = Tuned(budget=1, trials=1, seed=9, winner=0, keys=[trial.key])
    searched = [make("lora", tuned=tuned), trial]
    mixed = " ".join(render([*searched, make("full")], 160).split())
    assert "Untuned: full." in mixed
    assert "no hyperparameter was searched" not in mixed
    assert "Untuned" not in render(searched, 160)


def test_t32_unequal_training_is_said(make):
    def trained(entry, epochs):
        setting = Setting(value=epochs, reason="r", source="s", chosen_by="default")
        return make(entry, losses=(1.0, 0.5), hyperparameters={"epochs": setting})

    told = [line.en for line in footnotes([trained("lora", 3), trained("full", 1)])]
    assert "Not trained for equally many epochs: 3: lora; 1: full." in told
    equal = [line.en for line in footnotes([trained("lora", 3), trained("full", 3)])]
    assert not any("epochs" in line for line in equal)


def test_the_best_is_highlighted_among_primary_forms_only(make):
    other = VariantResult(variant="merged", split="test", n=500, metrics={"accuracy": 0.99})
    rows = entries([make("a", accuracy=0.7, others=(other,)), make("b", accuracy=0.8)])
    column = next(column for column in columns(rows) if column.heading == "Accuracy %")
    assert best_rows(column, rows) == {"b"}
    equal = entries([make("a", accuracy=0.7), make("b", accuracy=0.7)])
    assert best_rows(column, equal) == {"a", "b"}
    assert best_rows(column, equal[:1]) == set()


def test_question_answering_shows_both_metrics_at_any_width(make):
    records = [make(metrics={"exact_match": 0.5, "f1": 0.625, "answered": 0.9})]
    narrow = render(records, 80)
    assert "F1 %" in narrow
    assert "EM %" in narrow
    assert "62.5" in narrow


def test_items_that_differ_between_entries_are_said_to(make):
    first, second = make("a"), make("b")
    changed = {"test": second.inputs["test"].model_copy(update={"sha256": "cd" * 32})}
    lines = footnotes([first, second.model_copy(update={"inputs": changed})])
    assert any("Not comparable" in line.en for line in lines)
    assert not any("Not comparable" in line.en for line in footnotes([first, second]))


def test_each_split_has_a_table(make):
    other = VariantResult(variant="main", split="mismatched", n=400, metrics={"accuracy": 0.6})
    text = render([make(split="matched", others=(other,))], 100)
    assert "small · multinli · matched" in text
    assert "small · multinli · mismatched" in text
    assert "400 items" in text


def test_nothing_but_failures_is_still_a_table(failed):
    text = render([failed()], 100)
    assert "out of memory" in " ".join(text.split()).replace("of Bold", "")
    assert "No run is done." in text
    assert "No run is done." in render([], 80)


def test_foreign_text_is_neither_markup_nor_escape(make, failed):
    records = [make("a"), failed("b", reason="[red]x[/red] \x1b[31m{boom}")]
    text = render(records, 160)
    assert "[red]x[/red] [31m{boom}" in " ".join(text.split())
    assert "\x1b" not in text


def test_markdown_holds_all_parts(study, make):
    text = markdown([*study, make("lora", losses=(1.0, 0.6, 0.3), selected_epoch=3)])
    for part in (
        "## Results", "**81.0 ± 1.0**", "## Losses by epoch", "3 (kept)", "0.6000",
        "## Other forms", "3 of 500 differ from adapter", "## Hyperparameters", "a \\| reason",
        "## Running it again", "tarazu run small.yaml", "torch 2.13.0", "every answer is neutral",
        "the prompt is longer than the context", "Built with Meta Llama 3", "Falling:",
    ):  # fmt: skip
        assert part in text, part


def test_markdown_reads_the_dynamics_in_persian(make):
    assert "رو به کاهش" in markdown([make(losses=(1.0, 0.6, 0.3))], language="fa")


PROMPT = {
    "template": {"instruction": "Say the label.", "item": "{premise}"},
    "demonstrations": [{"id": "train-7", "premise": "SECRET premise", "answer": "SECRET word"}],
    "decode": {"temperature": 0.0, "why": "greedy"},
    "example": "SECRET item\nLabel:",
    "virtual_tokens": 20,
}


def test_prompts_are_shown_in_full(make):
    text = markdown([make(prompt=PROMPT, seed=0), make(prompt=PROMPT, seed=1)])
    assert "Say the label." in text
    assert "SECRET premise" in text
    assert "virtual_tokens**: 20" in text
    assert "### lora (minilm), seed 0, 1" in text


def test_redacted_prompts_show_ids_only(make):
    text = markdown([make(prompt=PROMPT)], redacted=True)
    assert "SECRET" not in text
    for part in ("train-7", "Say the label.", "greedy", "20"):
        assert part in text


@pytest.mark.parametrize("name", ["examples", "anything-new", "prompt"])
def test_redaction_leaves_out_whatever_it_does_not_know(make, name):
    for value in ("SECRET", ["SECRET"], {"deep": ["SECRET"]}, {"how": {"text": "SECRET"}},
        [{"id": "x", "answer": "SECRET"}], [{"answer": "SECRET"}],
    ):  # fmt: skip
        assert "SECRET" not in markdown([make(prompt={name: value})], redacted=True)


def test_redaction_keeps_what_is_ours(make):
    prompt = {
        "frame": "Say. ⟨premise⟩", "answer": "generate", "label_words": {"a": "yes"},
        "demonstrations": {"how": "at random", "ids": ["d-1"], "of_item": "t-1"},
        "virtual_tokens": {"count": 20, "nearest_words": ["weather"], "how": "trained"},
        "text": "SECRET",
    }  # fmt: skip
    text = markdown([make(prompt=prompt)], redacted=True)
    assert "SECRET" not in text
    for part in ("⟨premise⟩", "generate", "yes", "at random", "d-1", "t-1", "weather", "20"):
        assert part in text, part
