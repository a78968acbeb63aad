from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarazu.comparison.spread import Spread
from tarazu.report.html.writer import Writer
from tarazu.report.persian import formula, isolated, persian_numbers, persian_signs

EN, FA = Writer("en"), Writer("fa")
TO_LATIN = str.maketrans("۰۱۲۳۴۵۶۷۸۹٬٫", "0123456789,.")


def bare(text):
    return re.sub("[\u2066-\u2069]", "", text)


@given(st.integers(-(10**12), 10**12))
def test_numbers_are_the_same_in_both(value):
    assert FA.number(value).translate(TO_LATIN) == EN.number(value)
    assert not re.search("[0-9]", FA.number(value))


@given(st.floats(0, 1), st.one_of(st.none(), st.floats(0, 1)))
def test_spreads_are_the_same_in_both(mean, sd):
    spread = Spread(mean, sd)
    assert bare(FA.spread(spread)).translate(TO_LATIN) == EN.spread(spread)


def test_formulas_keep_their_direction():
    assert FA.spread(Spread(0.713, 0.008)) == "\u2066۷۱٫۳ ± ۰٫۸\u2069"
    assert FA.ends(-0.01, 0.025, signed=True) == "\u2066−۱٫۰ … +۲٫۵\u2069"
    assert EN.ends(-0.01, 0.025, signed=True) == "−1.0 … +2.5"
    assert EN.ends(None, 0.1) == FA.ends(0.1, None) == "–"


@pytest.mark.parametrize(("write", "text"), [(EN, "3 min 05 s"), (FA, "۳ دقیقه ۰۵ ثانیه")])
def test_times_have_units(write, text):
    assert write.duration(185) == text


def test_sizes_have_units():
    assert FA.size(1_184_268) == "۱٫۲ مگابایت"
    assert FA.size(None) == "–"


def test_dates():
    assert EN.date("2026-11-22T09:33:57+00:00") == "22 November 2026"
    assert FA.date("2026-11-22") == "۲۲ نوامبر ۲۰۲۶"
    assert EN.date("yesterday") == "yesterday"


def test_what_is_no_number_is_a_dash():
    assert EN.number(math.nan) == FA.percent(None) == EN.percent(math.inf) == "–"


def test_numbers_in_words_become_persian_and_names_stay():
    text = f"دور 3 (1.101 → 0.920) از F1 و {isolated('layers-0 3')} و 12,345، 5%"
    assert persian_numbers(text) == (
        "دور ۳ (۱٫۱۰۱ → ۰٫۹۲۰) از F1 و \u2068layers-0 3\u2069 و ۱۲٬۳۴۵، ۵٪"
    )
    for name in ("all-MiniLM-L6-v2", "layers-0-3", "v2.1", "qlora_8", "fp32", "x86-64"):
        assert persian_numbers(name) == name


@given(st.text(alphabet=st.characters()))
def test_a_name_cannot_end_its_isolation(name):
    text = isolated(name)
    assert text[0] == "\u2068"
    assert text.index("\u2069") == len(text) - 1
    assert persian_numbers(text) == text


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_signs_lose_nothing(value):
    text = f"{value:,.3f}"
    assert persian_signs(text).translate(TO_LATIN) == text
    assert formula(text)[1:-1] == text
