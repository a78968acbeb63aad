"""Sections as plain data, before any HTML."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarazu.comparison.compare import compare
from tarazu.comparison.outcomes import Answers, Outcomes
from tarazu.record.record import Attribution, Epoch, Tuned, VariantResult
from tarazu.report.html.again import as_yaml, citations, works
from tarazu.report.html.browser import as_script, browser_data, failures_part
from tarazu.report.html.data_part import data_part
from tarazu.report.html.final_table import final_tables
from tarazu.report.html.header import answer, header
from tarazu.report.html.labels import place_labels
from tarazu.report.html.losses import loss_passages
from tarazu.report.html.method_part import event_rows, rendered, setting_passages
from tarazu.report.html.pareto import LogScale, pareto_parts
from tarazu.report.html.prompt_part import prompt_passages
from tarazu.report.html.source import Source
from tarazu.report.html.standing import groups, standing_parts
from tarazu.report.html.svg import tidy
from tarazu.report.html.writer import Writer

EN, FA = Writer("en"), Writer("fa")


def outcomes(skills, items=300):
    """Return answers of entries that are right on the first share of the items."""
    return Outcomes(
        split="test",
        primary_metric="accuracy",
        labels=("yes", "no"),
        item_ids=tuple(f"t-{i}" for i in range(items)),
        groups=np.arange(items),
        gold=(("yes",),) * items,
        slices={"length": ("1-5", None) * (items // 2)},
        texts={"premise": tuple(f"text {i}" for i in range(items))},
        entries=tuple(
            Answers(
                id=name,
                seeds=(0,),
                seeded=False,
                predicted=np.array([["yes" if i < skill * items else "no" for i in range(items)]]),
                raw=np.array([["Yes." if i < skill * items else "no" for i in range(items)]]),
                scores=None,
                metrics={"accuracy": np.array([[float(i < skill * items) for i in range(items)]])},
            )
            for name, skill in skills.items()
        ),
    )


def source(make, skills, **changes):
    found = outcomes(skills)
    records = [make(name, accuracy=skill, **changes) for name, skill in skills.items()]
    return Source(records, outcomes=[found], comparisons=[compare(found, 0.03)])


# ---- what won


def test_a_winner_is_separated_from_all(make):
    said = answer(source(make, {"a": 0.9, "b": 0.5, "c": 0.4}), EN)
    assert said == "a wins with accuracy 90.0\u00a0%: it is separated from every other entry."


def test_a_highest_mean_is_no_winner(make):
    said = answer(source(make, {"a": 0.9, "b": 0.895, "c": 0.4}), EN)
    assert said == "Highest accuracy: a, 90.0\u00a0%. Not separated from it: b."


def test_where_nothing_is_separated_it_is_said(make):
    said = answer(source(make, {"a": 0.9, "b": 0.895}), EN)
    assert "No other entry can be separated from it" in said


def test_many_ties_are_counted(make):
    skills = {name: 0.9 - 0.0001 * place for place, name in enumerate("abcdefgh")}
    said = answer(source(make, {**skills, "z": 0.2}), EN)
    assert "Not separated from it: b, c, d, e and 3 more" in said


def test_without_answers_nothing_is_claimed(make):
    said = answer(Source([make("a", accuracy=0.9), make("b", accuracy=0.2)]), EN)
    assert "cannot be told" in said
    assert "wins" not in said
    assert answer(Source([make("a")]), EN).endswith("nothing to compare it with.")


def test_nothing_done_is_said(failed):
    head = header(Source([failed()]), EN)
    assert head.answer == "No run is done."
    assert dict(head.facts)["Compared"] == "1 entries, 1 runs, 1 failed"


def test_the_head_in_persian(make):
    head = header(source(make, {"a": 0.9, "b": 0.5}), FA)
    assert head.answer == "\u2068a\u2069 با دقت ۹۰٫۰٪ برنده است: از همهٔ روش‌های دیگر جداست."
    assert dict(head.facts)["پایان اجراها"] == "۱ ژانویهٔ ۲۰۲۶"


# ---- final table


def columns_of(table):
    return {
        heading.text: [row.cells[place] for row in table.rows]
        for place, heading in enumerate(table.headings)
    }


def test_the_final_table_has_every_weight(make, failed):
    merged = VariantResult(
        variant="merged", split="test", n=500, metrics={"accuracy": 0.7}, flips=3,
        flips_against="adapter",
    )  # fmt: skip
    records = [
        make("lora", accuracy=0.8, others=(merged,), tuned=Tuned(budget=6, trials=6, seed=1)),
        make("full", accuracy=0.75),
        failed("qlora", reason="out of memory"),
    ]
    ((split, table),) = final_tables(Source(records), EN)
    found = columns_of(table)
    assert split == "test"
    assert [c.text for c in found["Entry"]] == ["lora", "lora ↳ merged", "full", "qlora"]
    assert [c.sort for c in found["Accuracy %"]] == [0.8, 0.7, 0.75, None]
    assert [c.strong for c in found["Accuracy %"]] == [True, False, False, False]
    assert [c.text for c in found["Trained"]] == ["294,912", "", "294,912", "–"]
    assert [c.text for c in found["Head"]] == ["1,155", "", "1,155", "–"]
    assert [c.text for c in found["Trials"]] == ["6", "", "0", "0"]
    assert found["Deployed"][0].text == "1.2 MB"
    assert "out of memory" in found["Notes"][3].text
    assert "3 of 500 answers differ from adapter" in found["Notes"][1].text
    assert [row.style for row in table.rows] == ["", "other", "", "failed"]
    assert all(len(row.cells) == len(table.headings) for row in table.rows)


def test_intervals_and_letters_stand_beside_the_primary_metric(make):
    ((_, table),) = final_tables(source(make, {"a": 0.9, "b": 0.5}), EN)
    found = columns_of(table)
    place = [heading.text for heading in table.headings]
    assert place.index("95\u00a0% interval") == place.index("Accuracy %") + 1
    assert [c.text for c in found["Group"]] == ["a", "b"]
    low, high = map(float, found["95\u00a0% interval"][0].text.strip("[]").split(" … "))
    assert low < 90 < high


# ---- what can be told apart


def test_groups_are_named_best_first(make):
    rows = Source([make("a", accuracy=0.7), make("b", accuracy=0.8)]).finished("test")
    found = groups(rows[::-1], {"b": "a", "a": "a(ab)"})
    assert [(g.letter, g.entries) for g in found] == [("a", ("b", "a")), ("(ab)", ("a",))]


def test_pairs_say_what_their_tests_say(make):
    (part,) = standing_parts(source(make, {"a": 0.9, "b": 0.9, "c": 0.4}), EN)
    rows = {(r.cells[0].text, r.cells[1].text): r.cells[6].text for r in part.pairs.rows}
    assert rows == {("a", "c"): "differ", ("b", "c"): "differ", ("a", "b"): "equivalent"}
    assert [g.entries for g in part.groups] == [("a", "b"), ("c",)]
    assert any("3 points" in line for line in part.notes)


def test_without_a_comparison_the_section_says_so(make):
    (part,) = standing_parts(Source([make("a"), make("b")]), FA)
    assert part.pairs is None
    assert part.groups == ()
    assert "آزمونی در کار نیست" in part.notes[0]


# ---- costs


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=20))
def test_places_follow_costs_and_stay_inside(values):
    scale = LogScale.over(values)
    places = [scale.place(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in places)
    if scale.zero and max(values) > 0:
        assert scale.place(0) < scale.place(scale.low)


def test_ticks_are_round_where_there_are_round_ones():
    few, many = (0.1, 1, 10, 60, 600, 3600), (1, 3, 4, 5, 10)
    assert LogScale(2.0, 5000.0, True).ticks((few, many)) == [0, 10, 60, 600, 3600]
    assert LogScale(2.0, 5.0, False).ticks((few, many)) == [3, 4, 5]
    assert LogScale(2.0, 2.5, False).ticks((few, many)) == [2.0, 2.5]


def test_the_front_is_marked_in_the_table(make):
    (part,) = pareto_parts(Source([make("a", accuracy=0.9), make("b", accuracy=0.5)]), EN)
    entries = [row.cells[0].text for row in part.table.rows]
    assert entries == ["a", "b"]
    best, other = part.table.rows
    assert all(cell.strong for cell in best.cells[2:] if cell.sort is not None)
    assert not any(cell.strong for cell in other.cells)
    assert all("<svg" in figure.svg for figure in part.figures)
    assert len({figure.svg for figure in part.figures}) == len(part.figures)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 460), st.floats(0, 300), st.text("abc-", min_size=1, max_size=12),
            st.booleans(),
        ),
        max_size=20,
    )
)  # fmt: skip
def test_no_label_lies_over_another(points):
    from tarazu.report.html.labels import _box, _meet

    boxes = [_box(label) for label in place_labels(points, 460, 300)]
    for place, box in enumerate(boxes):
        assert not any(_meet(box, other) for other in boxes[place + 1 :])
        assert box[0] >= -3
        assert box[2] <= 463


# ---- training


def test_losses_have_a_table_a_curve_and_a_reading(make):
    records = [make("lora", losses=(1.0, 0.6, 0.3), selected_epoch=3, seed=s) for s in (0, 1)]
    (passage,) = loss_passages(Source([*records, make("zero-shot")]), FA)
    (table,) = passage.tables
    assert len(table.rows) == 6
    assert table.rows[2].cells[1].text == "۳ (نگه‌داشته)"
    assert "رو به کاهش" in passage.lines[0]
    assert len(passage.lines) == len(set(passage.lines))
    assert "<path" in passage.figures[0].svg


def test_one_epoch_and_broken_losses_draw_nothing(make):
    broken = [Epoch(epoch=n, train_loss=float("nan")) for n in (1, 2)]
    records = [make("one", losses=(1.0,)), make("nan", epochs=broken)]
    passages = loss_passages(Source(records), EN)
    assert [passage.figures for passage in passages] == [(), ()]
    assert "no finite number" in passages[1].lines[0]


# ---- the browser


def test_the_browser_has_scores_answers_and_texts(make):
    made = browser_data(source(make, {"a": 0.5, "b": 0.0}), EN)
    (split,) = made["splits"]
    texts = made["texts"]
    first = split["entries"][0]
    assert first["scores"][:2] == [100, 100]
    assert [texts[p] for p in first["answers"][0][:1]] == ["yes"]
    assert texts[first["raw"][0][0]] == "Yes."
    assert first["raw"][0][-1] == -1  # the same as the answer
    assert [texts[p] for p in split["slices"][0]["values"][:1]] == ["1 to 5 words"]
    assert split["slices"][0]["values"][1] == -1
    assert len(texts) == len(set(texts))


def test_a_redacted_browser_has_labels_only(make):
    study = source(make, {"a": 0.5})
    redacted = Source(study.records, outcomes=study.outcomes, redacted=True)
    made = browser_data(redacted, EN)
    assert set(made["texts"]) <= {"yes", "no", "1 to 5 words"}
    assert made["splits"][0]["fields"] == []
    assert "raw" not in made["splits"][0]["entries"][0]


@given(st.text())
def test_no_text_ends_the_embedded_data(text):
    import json

    script = as_script({"x": text})
    assert not re.search("[<>&\u2028\u2029]", script)
    assert json.loads(script) == {"x": text}


def test_without_answers_there_is_no_browser(make):
    assert browser_data(Source([make()]), EN) is None
    assert failures_part(Source([make()]), EN) is None


def test_analyses_stand_before_the_browser_and_are_harmless(make):
    said = [
        "- \u2068lora\u2069: 94 ٪",
        "### دسته‌ها",
        "| روش | 1 |\n|---|---:|\n| lora | 42.5 |",
        "<script>",
    ]
    part = failures_part(Source([make("lora")], analyses={"test": said}), FA)
    (one,) = part.analyses
    assert (one.split, part.data) == ("test", "")
    assert "<li>\u2068lora\u2069: ۹۴٪</li>" in one.first
    assert "<h3>دسته‌ها</h3>" in one.tables
    assert "۴۲٫۵" in one.tables
    assert "<script>" not in one.tables


# ---- the rest


def test_the_data_card(results):
    found = data_part(
        Source(results.records, items=results.store.read_items(results.records[0])), EN
    )
    titles = [table.title for table in found.tables]
    assert titles == ["Sizes", "Label balance", "Lengths in words", "Items by: genre", "Examples"]
    examples = [[cell.text for cell in row.cells] for row in found.tables[-1].rows]
    assert examples[2] == ["t-0002", "SECRET-TEXT-1", "<!-- <style>", "contradiction"]
    assert len(examples) == 3
    assert [c.text for c in found.tables[0].rows[0].cells[:3]] == ["test", "60", "60"]
    assert [c.text for c in found.tables[1].rows[0].cells] == ["test", *["20 (33.3\u00a0%)"] * 3]


def test_a_folder_without_items_has_a_card_all_the_same(make):
    found = data_part(Source([make()]), FA)
    assert found.notes == ("نمونه‌های این مطالعه در پوشهٔ آن نیست.",)


def test_equal_prompts_stand_once(make):
    prompt = {"frame": "Say.", "decode": {"temperature": 0.0}}
    records = [make("a", prompt=prompt, seed=0), make("a", prompt=prompt, seed=1)]
    (passage,) = prompt_passages(Source(records), EN)
    assert [block.title for block in passage.blocks] == [
        "Prompt, with ⟨fields⟩ for the item", "Decoding",
    ]  # fmt: skip
    assert passage.blocks[1].text == "temperature: 0.0"


def test_settings_say_reason_source_and_who(make):
    (passage,) = setting_passages(Source([make("a")]), FA)
    cells = [cell.text for cell in passage.tables[0].rows[0].cells]
    assert cells == ["r", "8", "\u2068a | reason\u2069", "\u2068a source\u2069", "پیش‌فرض"]


def test_events_and_failures_are_told(make, failed):
    records = [make("a", events=(("collapsed", "all neutral"),)), failed("b", reason="no room")]
    rows = [[c.text for c in row.cells] for row in event_rows(Source(records), EN).rows]
    assert rows == [
        ["a (minilm)", "0", "collapsed to one class", "all neutral"],
        ["b (minilm)", "0", "failed", "no room"],
    ]
    assert event_rows(Source([make()]), EN) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hu et al. 2021, arXiv 2106.09685, tables 6 and 9", ["Hu et al. 2021, arXiv 2106.09685"]),
        (
            "lm-evaluation-harness (acc, acc_norm); Zhao et al. 2021, arXiv 2102.09690",
            ["Zhao et al. 2021, arXiv 2102.09690"],
        ),
        (
            "Wang and Manning 2012, Baselines and Bigrams (ACL), section 4",
            ["Wang and Manning 2012, Baselines and Bigrams (ACL)"],
        ),
        (
            "Gururangan et al. 2018, arXiv 1803.02324; Poliak et al. 2018, arXiv 1805.01042",
            ["Gururangan et al. 2018, arXiv 1803.02324", "Poliak et al. 2018, arXiv 1805.01042"],
        ),
        ("tarazu's design", []),
        ("Measured: 3,000 SQuAD training questions", []),
    ],
)
def test_works_are_read_out_of_sources(text, found):
    assert works(text) == found


def test_works_are_cited_once_with_their_users(make):
    setting = {"value": 8, "reason": "r", "source": "Hu et al. 2021, arXiv 2106.09685, table 6"}
    settings = {"r": {**setting, "chosen_by": "default"}}
    known = Attribution(data_source="Williams, Nangia and Bowman 2018")
    records = [make(n, hyperparameters=settings, attribution=known) for n in ("a", "b")]
    found = citations(Source(records))
    assert [(c.text, c.entries) for c in found] == [
        ("Williams, Nangia and Bowman 2018", ()),
        ("Hu et al. 2021, arXiv 2106.09685", ("a (minilm)", "b (minilm)")),
    ]
    assert found[1].link == "https://arxiv.org/abs/2106.09685"


def test_the_study_can_be_read_again():
    from ruamel.yaml import YAML

    study = {"version": 1, "methods": {"a": {}, "b": {"layers": [0, 3]}}, "tuning": None, "n": "no"}
    assert YAML(typ="safe").load(as_yaml(study)) == {
        "version": 1, "methods": {"a": {}, "b": {"layers": [0, 3]}}, "n": "no",
    }  # fmt: skip


def test_markdown_makes_no_element_of_its_own():
    html = rendered("a <b>b</b> ![x](http://y/z.png) [l](javascript:x) \u202e `c`")
    assert "<b>" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert "\u202e" not in html
    table = rendered("| a | b |\n|---|---:|\n| 1 | 2 |")
    assert "style" not in table
    assert '<td dir="auto">1</td>' in table
    assert 'class="number">2</td>' in table


def test_a_drawing_obeys_the_page():
    svg = (
        '<?xml version="1.0"?><svg class="marks" width="10" height="5" viewBox="0 0 10 5" '
        'xmlns="http://www.w3.org/2000/svg" version="1.1"><defs><clipPath id="clip1"/></defs>'
        '<g clip-path="url(#clip1)" style="fill: red; cursor: pointer"/></svg>'
    )
    tidied = tidy(svg, "m")
    assert "style=" not in tidied
    assert 'fill="red"' in tidied
    assert "cursor" not in tidied
    assert 'id="m-clip1"' in tidied
    assert "url(#m-clip1)" in tidied
    assert tidied.startswith("<svg")
