from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.markdown import Markdown

from tarazu.report.plain import (
    markdown_block,
    markdown_inline,
    markdown_table,
    one_line,
    plain,
    shorten,
)


def test_escape_sequences_are_inert():
    assert plain("\x1b[31mred\x1b]0;title\x07\x9b2J") == "[31mred]0;title2J"
    assert plain("a\u202eb\u2066c") == "abc"


def test_persian_keeps_its_joiner_and_lines_stay():
    assert plain("می\u200cشود\n\tb") == "می\u200cشود\n\tb"


@given(st.text(alphabet=st.characters()))
def test_no_control_character_is_left_and_it_can_be_written(text):
    line = one_line(text)
    line.encode("utf-8")
    assert all(ord(sign) >= 32 and not 127 <= ord(sign) < 160 for sign in line)


def test_carriage_return_cannot_overwrite_a_line():
    assert one_line("good\rbad") == "good bad"


def test_shorten_never_exceeds_its_length():
    assert shorten("abc def", 5) == "abc…"
    assert shorten("abc", 3) == "abc"


@given(st.text(alphabet="ab `~\n", max_size=40))
def test_a_block_cannot_be_broken_out_of(text):
    lines = markdown_block(text).split("\n")
    fence = lines[0].removesuffix("text")
    assert lines[-1] == fence
    assert all(not line.strip().startswith(fence) for line in lines[1:-1])


def test_inline_text_shows_literally():
    text = "a|b *c* `d` <b>e</b> [f](g) snake_case _x_ \\ ~h~"
    console = Console(width=200)
    with console.capture() as capture:
        console.print(Markdown(markdown_table(["x"], [[markdown_inline(text)]], set())))
    assert text in capture.get()


def test_names_with_underscores_stay_readable():
    assert markdown_inline("train_loss") == "train_loss"
