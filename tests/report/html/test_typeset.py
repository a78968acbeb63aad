"""The tree of a page is prepared for an engine that knows less than a browser."""

from __future__ import annotations

from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarazu.report.html.typeset import LANDSCAPE, PORTRAIT, first_strong, typeset

SVG = 'xmlns="http://www.w3.org/2000/svg"'


def prepared(inside, direction="ltr"):
    root = fromstring(f'<html dir="{direction}"><body>{inside}</body></html>')
    typeset(root)
    return root


@pytest.mark.parametrize(
    ("text", "direction"),
    [("(12) abc کتاب", "ltr"), ("۱۲. کتاب abc", "rtl"), ("12 %", "ltr"), ("", "ltr")],
)
def test_the_first_letter_gives_the_direction(text, direction):
    assert first_strong(text) == direction


@given(st.text("0123456789۰۱۲۳٫ .,(%)"), st.sampled_from("aZکא"))
def test_digits_and_spaces_before_it_do_not(signs, letter):
    assert first_strong(f"{signs}{letter}") == first_strong(letter)


def test_blocks_of_unknown_direction_get_theirs():
    root = prepared('<table><tr><td dir="auto">کتاب</td><td dir="auto">book</td></tr></table>')
    assert [cell.get("dir") for cell in root.iter("td")] == ["rtl", "ltr"]


def test_names_within_a_line_are_closed_off():
    root = prepared('<p>a <bdi>x <b>y</b></bdi> <span dir="auto">کتاب</span> <code>c</code></p>')
    assert "".join(root.itertext()) == "a \u2068x y\u2069 \u2068کتاب\u2069 \u2066c\u2069"


def table(columns, letters, attributes=""):
    cells = "".join(f'<td class="number">{"1" * letters}</td>' for _ in range(columns))
    return f"<section {attributes}><table><tr>{cells}</tr></table></section>"


@pytest.mark.parametrize(
    ("columns", "added"),
    [(5, "fit-8"), (12, "fit-7"), (14, "fit-6"), (17, "fit-5"), (40, "fit-any")],
)
def test_letters_shrink_until_a_table_fits(columns, added):
    assert prepared(table(columns, 7)).find(".//table").get("class") == added


def test_a_page_that_lies_across_has_more_room():
    assert LANDSCAPE > PORTRAIT
    assert prepared(table(16, 7, 'id="results"')).find(".//table").get("class") == "fit-8"
    upright = table(16, 7).replace("section", "div")
    inside = f'<section id="failures"><div class="examples">{upright}</div></section>'
    assert prepared(inside).find(".//table").get("class") == "fit-5"


def test_words_may_be_broken_between_columns_but_numbers_not():
    words = "".join("<td>one two-three four</td>" for _ in range(16))
    assert prepared(f"<table><tr>{words}</tr></table>").find(".//table").get("class") == "fit-6"


CHART = f"""<div class="curves"><div class="chart"><svg {SVG} viewBox="0 0 600 300">
<g transform="translate(100,50)"><text transform="translate(20,30)" text-anchor="middle"
 font-size="12px" fill="#6b7280">دقت (٪)</text><path d="M0,0"/></g>
<g transform="rotate(-90)"><text>turned</text></g></svg></div></div>"""


def test_words_of_a_chart_stand_over_it_at_their_places():
    frame = prepared(CHART).find(".//div[@class='chart']")
    (label,) = frame.findall("span")
    assert label.get("class") == "label middle"
    assert "".join(label.itertext()) == "دقت (٪)"
    assert label[0].get("dir") == "rtl"
    style = dict(part.split(": ") for part in label.get("style").split("; "))
    # 600 units are 60 mm wide: a tenth of a millimetre each.
    assert style["left"] == "12.00mm"
    assert float(style["top"].removesuffix("mm")) == pytest.approx(8.0 - 0.36 * 1.2, abs=0.01)
    assert style["font-size"] == "1.200mm"
    assert style["color"] == "#6b7280"


def test_what_is_turned_stays_in_the_drawing():
    frame = prepared(CHART).find(".//div[@class='chart']")
    left = [e.text for e in frame.iter("{http://www.w3.org/2000/svg}text")]
    assert left == ["turned"]


def test_a_small_chart_is_not_blown_up():
    small = f'<div class="chart"><svg {SVG} viewBox="0 0 96 48"/></div>'
    assert prepared(small).find(".//div").get("style") == "width: 25.40mm; height: 12.70mm"
