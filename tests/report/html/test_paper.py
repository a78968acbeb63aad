"""The page for paper, and the examples that stand for the browser of failures on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tarazu.report.api import _source
from tarazu.report.html.browser import browser_data
from tarazu.report.html.examples import MOST, examples
from tarazu.report.html.page import SECTIONS
from tarazu.report.html.paper import paper_page
from tarazu.report.html.writer import Writer


@pytest.fixture(scope="module")
def paper(results):
    """Return the page for paper: `paper("fa", redacted=True)`."""

    def render(language="en", *, redacted=False):
        return paper_page(_source(results, language, redacted=redacted), language)

    return render


def test_there_is_nothing_to_click_but_links(paper):
    text = paper()
    for tag in ("<script", "<input", "<button", "<select", "<form", 'id="browser"'):
        assert tag not in text, tag


@pytest.mark.parametrize("language", ["en", "fa"])
def test_every_section_of_the_page_is_there_and_in_the_contents(paper, page, language):
    text = paper(language)
    shown = [name for name in SECTIONS if f'<section id="{name}"' in page(language)]
    assert len(shown) > 6
    for name in shown:
        assert f'<section id="{name}"' in text
        assert f'<a href="#{name}">' in text


def test_markup_of_the_data_stays_text(paper):
    text = paper()
    assert "<img" not in text
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


@pytest.mark.parametrize("language", ["en", "fa"])
def test_redaction_reaches_the_examples(paper, language):
    assert "Premise" in paper(language)
    hidden = paper(language, redacted=True)
    for text in ("SECRET", "Premise", "Claim"):
        assert text not in hidden, text


def chosen(results, **changes):
    """Return the examples of three entries whose scores are given item by item."""
    outcomes = replace(results.outcomes[0], **changes)
    source = replace(_source(results, "en"), outcomes=[outcomes])
    write = Writer("en")
    return examples(browser_data(source, write), write)


def scored(results, *scores):
    """Return entries that are right (1) or wrong (0) on each item in every seed."""
    made = []
    for answers, row in zip(results.outcomes[0].entries, scores, strict=True):
        matrix = np.tile(np.array(row, dtype=float), (len(answers.seeds), 1))
        made.append(replace(answers, metrics={"accuracy": matrix}))
    return tuple(made)


def test_items_that_divide_the_entries_come_first_and_right_ones_never(results):
    count = len(results.outcomes[0].item_ids)
    rest = [1] * (count - 3)
    entries = scored(results, [0, 1, 1, *rest], [0, 0, 1, *rest], [0, 1, 1, *rest])
    (found,) = chosen(results, entries=entries)
    assert [item.item for item in found.items] == ["t-0001", "t-0000"]
    assert "2 of the 2 items (of 60)" in found.about


def test_no_more_than_a_page_or_two(results):
    wrong = [0] * len(results.outcomes[0].item_ids)
    (found,) = chosen(results, entries=scored(results, wrong, wrong, wrong))
    assert len(found.items) == MOST


def test_no_example_where_all_are_right(results):
    right = [1] * len(results.outcomes[0].item_ids)
    assert chosen(results, entries=scored(results, right, right, right)) == []


def test_entries_that_answer_alike_share_a_row(results):
    outcomes = results.outcomes[0]
    count = len(outcomes.item_ids)
    entries = scored(results, [0] * count, [1] * count, [0] * count)
    said = (("neutral", "neutral"), ("entailment", "entailment"), ("neutral", "neutral"))
    entries = tuple(
        replace(entry, predicted=np.array([[word] * count for word in words], dtype=object))
        for entry, words in zip(entries, said, strict=True)
    )
    (found,) = chosen(results, entries=entries)
    rows = [[cell.text for cell in row.cells] for row in found.items[0].answers.rows]
    names = [entry.id for entry in entries]
    assert rows == [
        ["entailment", "right", names[1]],
        ["neutral", "wrong", f"{names[0]}, {names[2]}"],
    ]


def test_seeds_that_differ_are_counted_and_what_cannot_be_read_is_quoted(results):
    outcomes = results.outcomes[0]
    count = len(outcomes.item_ids)
    entries = list(scored(results, [0] * count, [1] * count, [1] * count))
    entries[0] = replace(
        entries[0],
        predicted=np.array([["neutral"] * count, [None] * count], dtype=object),
        raw=np.array([["neutral"] * count, ["who <knows>"] * count], dtype=object),
    )
    (found,) = chosen(results, entries=tuple(entries))
    answers = [row.cells[0].text for row in found.items[0].answers.rows]
    assert "neutral (1), unparsable: who <knows> (1)" in answers
