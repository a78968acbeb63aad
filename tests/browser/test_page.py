"""The page as a reader uses it: sorting, filters, search, keyboard; no complaint, no request."""

from __future__ import annotations

import re
import time

import pytest

pytestmark = pytest.mark.browser

TO_LATIN = str.maketrans("۰۱۲۳۴۵۶۷۸۹٬٫", "0123456789,.")


def entries(page):
    return page.locator("#results tbody tr th").all_inner_texts()


def items(page):
    return page.locator("#items tbody tr:not(.opened) th button").all_inner_texts()


def until(page, condition, *arguments):
    """Wait for a condition. The page's policy forbids the browser driver's own way to wait."""
    end = time.monotonic() + 30
    while not page.evaluate(condition, *arguments):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(20)


def settled(page, query):
    """Wait until the page has looked for a query: it does so a moment after the last key."""
    until(page, "query => document.getElementById('items').dataset.query === query", query)


def count(page):
    """Return how many items are found, and of how many."""
    text = page.locator("#found").inner_text().translate(TO_LATIN).replace(",", "")
    return [int(number) for number in re.findall(r"\d+", text)]


@pytest.mark.parametrize("language", ["en", "fa"])
def test_each_column_sorts_both_ways_and_back(visit, language):
    page = visit(language)
    before = entries(page)
    heads = page.locator("#results thead th")
    assert heads.count() > 8
    for place in range(heads.count()):
        head = heads.nth(place)
        button = head.locator("button")
        orders = []
        for _ in range(2):
            button.click()
            column = page.locator(f"#results tbody tr > :nth-child({place + 1})")
            orders.append([cell.get_attribute("data-sort") for cell in column.all()])
        assert head.get_attribute("aria-sort") in ("ascending", "descending")
        known = [[value for value in order if value is not None] for order in orders]
        if "number" in (head.get_attribute("class") or ""):
            known = [list(map(float, order)) for order in known]
            assert known[0] == sorted(known[0], reverse=True)
        else:
            assert known[0] == sorted(known[0])
        assert known[1] == known[0][::-1]
        assert all(None not in order[: len(known[0])] for order in orders)
        button.click()
        assert entries(page) == before


def test_sorting_works_by_keyboard(visit):
    page = visit("en")
    button = page.locator("#results thead th button").nth(2)
    button.focus()
    page.keyboard.press("Enter")
    assert entries(page)[0] == "lora"
    page.keyboard.press("Space")
    assert entries(page)[0] == "majority"


@pytest.mark.parametrize("language", ["en", "fa"])
def test_filters_by_entry_and_slice(visit, language):
    page = visit(language)
    assert count(page) == [120, 120]
    chip = page.locator("#entries button", has_text="zero-shot")
    chip.click()
    right = count(page)[0]
    chip.click()
    wrong = count(page)[0]
    assert right + wrong == 120
    assert 0 < wrong < 120
    marks = page.locator("#items tbody tr:not(.opened)").locator("td.mark >> nth=2")
    assert all("wrong" in (mark.get_attribute("class") or "") for mark in marks.all())
    page.locator("#slices select").nth(1).select_option(index=1)
    assert 0 < count(page)[0] < wrong
    page.locator("button[type=reset]").click()
    until(page, "document.querySelectorAll('#items tbody tr').length === 50")
    assert count(page)[0] == 120


@pytest.mark.parametrize("language", ["en", "fa"])
def test_search_finds_words_of_the_items(visit, language):
    page = visit(language)
    for query, found in (
        ("cat mat", ["t-0001"]),
        ("CLAIM 42.", ["t-0042"]),
        ("<img", ["t-0000"]),
        ("كتابها", ["t-0002"]),  # Arabic letters, no half-space
        ("کتابی 12", ["t-0002"]),  # Latin digits for Persian ones
        ("t-0042", ["t-0042"]),
        ("nowhere-at-all", []),
    ):
        page.locator("#query").fill(query)
        settled(page, query)
        assert items(page) == found, query


def test_an_item_opens_with_its_texts_as_text(visit):
    page = visit("en")
    page.locator("#items tbody th button").first.click()
    detail = page.locator(".detail")
    assert "<script>document.title = 'broken'</script>" in detail.inner_text()
    assert "</script><img src=x onerror=alert(1)>" in detail.inner_text()
    assert detail.locator("img, script").count() == 0
    assert detail.locator("tbody tr").count() == 4
    assert "broken" not in page.title()
    page.keyboard.press("Enter")  # the focus stayed on the item
    assert page.locator(".detail").count() == 0


def test_orders(visit):
    page = visit("en")

    def wrongs():
        cells = page.locator("#items tbody tr td.number").all_inner_texts()
        return [int(cell.split("/")[0]) for cell in cells]

    for name, key in (
        ("hardest", lambda n: -n), ("easiest", lambda n: n), ("divided", lambda n: abs(n - 2)),
    ):  # fmt: skip
        page.locator("#order").select_option(name)
        assert wrongs() == sorted(wrongs(), key=key), name
    page.locator("#order").select_option("file")
    assert items(page)[:2] == ["t-0000", "t-0001"]


def test_pages_turn(visit):
    page = visit("en")
    assert items(page)[0] == "t-0000"
    assert page.locator("#previous").is_disabled()
    page.locator("#next").click()
    page.locator("#next").click()
    assert items(page)[-1] == "t-0119"
    assert page.locator("#next").is_disabled()
    assert page.locator("#page").inner_text() == "Page 3 of 3"


def test_two_thousand_items_of_twenty_entries_stay_quick(visit):
    page = visit("large")
    assert count(page) == [2000, 2000]
    assert page.locator("#items tbody tr").count() == 50
    begun = time.perf_counter()
    page.evaluate(
        """() => {
            const query = document.getElementById("query");
            query.value = "claim 1999";
            query.dispatchEvent(new Event("input"));
        }"""
    )
    until(page, "document.querySelectorAll('#items tbody tr').length === 1")
    assert time.perf_counter() - begun < 1.5
    page.locator("#query").fill("")
    page.locator("#order").select_option("divided")
    assert count(page) == [2000, 2000]


@pytest.mark.parametrize("language", ["en", "fa"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_never_scrolls_sideways(visit, language, width):
    page = visit(language, viewport={"width": width, "height": 800})
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0


def test_the_persian_page_runs_from_right_to_left(visit):
    page = visit("fa")
    title = page.locator("#results h2")
    box = title.bounding_box()
    section = page.locator("#results").bounding_box()
    style = title.evaluate("element => getComputedStyle(element).direction")
    assert style == "rtl"
    assert box["x"] + box["width"] == pytest.approx(section["x"] + section["width"], abs=2)
    first = page.locator("#results thead th").first.bounding_box()
    second = page.locator("#results thead th").nth(1).bounding_box()
    assert first["x"] > second["x"]
    assert not re.search("[0-9]", page.locator("#found").inner_text())


def test_paper_shows_what_is_folded_away(visit):
    page = visit("en")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0


def test_without_scripts_the_tables_can_be_read(visit):
    page = visit("en", java_script_enabled=False)
    assert entries(page) == ["lora", "full", "zero-shot", "majority"]
    assert page.locator("noscript").count() == 1


@pytest.mark.parametrize("language", ["en", "fa"])
def test_tuning_sizes_and_costs_are_seen(visit, language):
    page = visit(f"axes-{language}")
    for section in ("tuning", "sizes", "costs"):
        assert page.locator(f"nav a[href='#{section}']").count() == 1
        assert page.locator(f"#{section} > h2").is_visible()
    for section, charts in (("tuning", 2), ("sizes", 1)):
        found = page.locator(f"#{section} .chart svg")
        assert found.count() == charts
        for chart in found.all():
            box = chart.bounding_box()
            assert box["width"] > 300
            assert box["height"] > 150
    assert page.locator("#costs th", has_text="USD").count() == 3
    lora = page.locator("#tuning details", has_text="lora").first
    lora.locator("summary").click()
    assert lora.locator("table").first.is_visible()
    assert lora.locator("tr.failed").count() == 1
    assert "<img src=x onerror=alert(1)>" in lora.locator("tr.failed").inner_text()
    assert page.locator("#tuning img").count() == 0


def test_names_of_lines_have_the_colours_of_their_lines(visit):
    page = visit("axes-en", color_scheme="dark")
    colours = page.evaluate(
        """() => [...document.querySelectorAll("#sizes svg text")]
            .filter(text => ["lora", "full", "few-shot", "zero-shot"].includes(text.textContent))
            .map(text => getComputedStyle(text).fill)"""
    )
    assert len(set(colours)) == 4
    drawn = page.evaluate(
        """() => [...document.querySelectorAll("#sizes svg path")]
            .map(path => getComputedStyle(path).stroke)"""
    )
    assert set(colours) <= set(drawn)


@pytest.mark.parametrize("language", ["en", "fa"])
def test_wide_tables_of_trials_scroll_by_themselves(visit, language):
    page = visit(f"axes-{language}", viewport={"width": 390, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_trials_sort_by_score(visit):
    page = visit("axes-en")
    lora = page.locator("#tuning details", has_text="lora").first
    lora.locator("summary").click()
    heads = lora.locator("table").first.locator("thead th")
    place = [text.startswith("Validation: Accuracy") for text in heads.all_inner_texts()].index(
        True
    )
    heads.nth(place).locator("button").click()
    cells = lora.locator(f"table >> nth=0 >> tbody tr > :nth-child({place + 1})")
    assert cells.all_inner_texts() == ["60.0", "50.0", "40.0", "–"]
