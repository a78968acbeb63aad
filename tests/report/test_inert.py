"""Foreign text is text: in no format does a name, a label, an item or a reason do anything.

One study per text, in which the entry, the model, a label, items, the prompt, the explanation, an
event and the reason of a failure are that text; one with a harmless text to compare with.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from rich.console import Console
from typer.testing import CliRunner

from tarazu.cli import app
from tarazu.errors import bad
from tarazu.record.progress import PlannedRun, Progress
from tarazu.record.record import Event
from tarazu.record.standing import Standing
from tarazu.record.store import Store
from tarazu.record.watched import watch
from tarazu.report.api import (
    Results,
    read_results,
    report_csv,
    report_html,
    report_json,
    report_latex,
    report_markdown,
)
from tarazu.report.complaints import complain, print_problems
from tarazu.report.latex import _SPECIAL
from tarazu.report.progress_view import ProgressView
from tarazu.report.table import FinalTable
from tarazu.testing.folders import LABELS, make_folder, make_items
from tarazu.testing.records import make_record

HARMLESS = "harmless"
EVIL = {
    "script": "<script>alert(1)</script>",
    "closing": "</script><img src=x onerror=alert(1)>",
    "attribute": "\" onmouseover='alert(1)' x=\"",
    "comment": "<!--<style>",
    "template": "{{ 7 * 7 }}{% raw %}",
    "equals": "=HYPERLINK(1)",
    "plus": "+1+cmd|'/C calc'!A0",
    "minus": "-2+3",
    "at": "@SUM(1)",
    "tab": "\t=1+1",
    "return": "\r=1+1",
    "space": " =1+1",
    "escape": "\x1b[2J\x1b]0;title\x07x\x9b31m",
    "rich": "[bold red]x[/] [link=http://x.example]y[/link]",
    "order": "a\u202egnorts\u2066\u2069z",
    "lines": "a\n\n# heading\n| cell |\r\nb\u2028c",
    "fence": "```\n# out\n~~~",
    "link": "[a](javascript:alert(1)) ![b](http://x.example/p.png) <http://x.example>",
    "cell": "a|b \\| c",
    "latex": "\\input{/etc/passwd} \\write18{id} $x^2$ % & # _ ~ ^^5c",
    "begin": "\\end{document}}{",
}  # fmt: skip
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Any:
    @cache
    def make(text: str) -> Results:
        items = [
            replace(i, slices={**i.slices, "genre": text}) for i in make_items(30, [(text, text)])
        ]
        items[0] = replace(items[0], gold=(text,))
        folder = make_folder(
            tmp_path_factory.mktemp("inert") / "out",
            {text: 0.9, "other": 0.4},
            items,
            model=text,
            labels=[text, *LABELS],
            prompt={"frame": text, "text": text, "demonstrations": {"how": text, "ids": [text]}},
            explain={"en": text, "fa": text},
            events=[Event(kind="note", message=text)],
        )
        broken = make_record("broken", status="failed", error=text, variants=[], measured={})
        Store(folder).write_record(broken)
        return read_results(folder)

    return make


# A study is compared anew for each: two that hold everything, by what they begin with.
TOGETHER = {
    "formula": EVIL["equals"] + "".join(EVIL.values()),
    "closing": EVIL["closing"] + "".join(EVIL.values()),
}
every = pytest.mark.parametrize("text", TOGETHER.values(), ids=TOGETHER)
each = pytest.mark.parametrize("text", EVIL.values(), ids=EVIL)
# Names of folders have at most 255 bytes: all texts, a few at a time.
names = list(EVIL)
parted = pytest.mark.parametrize(
    "text", ["".join(EVIL[name] for name in names[place::3]) for place in range(3)], ids=range(3)
)


class Page(HTMLParser):
    """Elements, attributes that could act, and the data for the browser of failures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.acting: list[tuple[str, str | None]] = []
        self.data: list[str] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        self._inside = tag if dict(attrs).get("type") == "application/json" else ""
        self.acting += [
            (name, value)
            for name, value in attrs
            if name.startswith("on")
            or name in ("src", "srcdoc", "style", "action", "formaction", "data", "xlink:href")
            or (name == "href" and not (value or "").startswith("#"))
        ]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.data.append(data)


@every
@pytest.mark.parametrize("language", ["en", "fa"])
def test_html(study: Any, text: str, language: Any) -> None:
    said = report_html(study(text), language=language)
    assert not CONTROL.search(said)
    page = Page(said)
    harmless = Page(report_html(study(HARMLESS), language=language))
    assert set(page.elements) <= set(harmless.elements) | {"p", "code", "pre", "h1", "em", "br"}
    for name in ("script", "style", "meta", "html", "body", "noscript", "svg", "section"):
        assert page.elements[name] == harmless.elements[name], name
    assert page.acting == harmless.acting == []
    assert len(page.data) == len(harmless.data) >= 1
    for data in page.data:
        assert json.loads(data)


@every
def test_csv(study: Any, text: str) -> None:
    rows = list(csv.reader(io.StringIO(report_csv(study(text)))))
    assert len(rows) == 4
    for cell in (cell for row in rows for cell in row):
        try:
            float(cell)
        except ValueError:
            assert not cell.lstrip().startswith(("=", "+", "-", "@")), cell
            assert not CONTROL.search(cell)
            assert "\n" not in cell


@every
def test_markdown(study: Any, text: str) -> None:
    def kinds(said: str) -> set[str]:
        tokens = MarkdownIt("commonmark").enable("table").parse(said)
        return {t.type for token in tokens for t in [token, *(token.children or [])]}

    said = report_markdown(study(text))
    assert not CONTROL.search(said)
    assert kinds(said) <= kinds(report_markdown(study(HARMLESS))) | {"text_special"}
    assert not {"html_block", "html_inline", "link_open", "image"} & kinds(said)


@every
def test_latex(study: Any, text: str) -> None:
    said, harmless = report_latex(study(text)), report_latex(study(HARMLESS))
    ours = set(re.findall(r"\\(?:[a-zA-Z]+|.)", harmless + " ".join(_SPECIAL.values())))
    assert set(re.findall(r"\\(?:[a-zA-Z]+|.)", said)) <= ours | {"\\\n"}
    bare = re.sub(r"\\[\\{}$&#_%]", "", said)
    assert bare.count("{") == bare.count("}")
    assert bare.count("%") == re.sub(r"\\[\\{}$&#_%]", "", harmless).count("%")
    assert said.count(r"\end{document}") == 1
    assert not CONTROL.search(said)


@every
def test_json_is_data(study: Any, text: str) -> None:
    said = report_json(study(text))
    assert not CONTROL.search(said)
    assert text in {record["error"] for record in json.loads(said)["runs"]}  # nothing is lost


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def inert(said: str) -> None:
    assert not CONTROL.search(said)
    assert "\r" not in said


@every
@pytest.mark.parametrize("language", ["en", "fa"])
def test_table(study: Any, text: str, language: Any) -> None:
    console = Console(file=io.StringIO(), width=160)
    console.print(FinalTable(study(text).records, language=language))
    inert(shown(console))


@each
def test_progress(text: str) -> None:
    console = Console(file=io.StringIO(), width=160)
    with ProgressView(console) as view:
        view.planned([PlannedRun(text, text, finished=False, work=1.0)])
        view.started(0)
        view.progress(0, Progress("train", detail=text))
        view.note(text)
        broken = make_record(text, status="failed", error=text, variants=[], measured={})
        view.finished(0, broken)
    inert(shown(console))
    assert shown(console)


@each
def test_complaints(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    complain(text)
    print_problems(bad(text, text, text, text))
    inert(capsys.readouterr().err)


@each
def test_no_name_leaves_the_folder(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path / "out")
    for entry in (text, f"../../{text}", f"/{text}", "..", "."):
        store.write_record(make_record(entry))
    for record in (tmp_path / "out").rglob("record.json"):
        assert record.parent.parent == tmp_path / "out" / "runs"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def told(*arguments: object) -> str:
    """Return what a command prints, and that it did nothing unexpected."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code in (0, 2), done.output
    assert "Unexpected" not in done.output
    return done.output


@parted
def test_data_command(tmp_path: Path, text: str) -> None:
    column = text.strip()
    rows = [
        {column: f"{text} {i}", "label": label, "g": f"{text} {i}", "genre": text}
        for i, label in enumerate([text, "other"] * 4)
    ]
    for name in ("train", "test"):
        lines = [json.dumps({**row, column: f"{row[column]} {name}", "g": f"{row['g']} {name}"})
                 for row in rows]  # fmt: skip
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    one = json.dumps({column: "x", "label": text, "g": "h", "genre": text})
    (tmp_path / "one.jsonl").write_text(one)
    study = {
        "version": 1,
        "study": "s",
        "task": {
            "family": "classification", "labels": [text.strip(), "other"], "title": text,
            "columns": {"text": column}, "group_by": "g", "licence": text, "source": text,
        },
        "data": {"train": "train.jsonl", "test": {"a": "test.jsonl", "b": "one.jsonl"},
                 "validation": {"rows": 2}},
        "methods": {"majority": {}},
    }  # fmt: skip
    (tmp_path / "s.yaml").write_text(json.dumps(study))
    said = told("data", tmp_path / "s.yaml")
    inert(said)
    assert "all with the label" in said
    # Refused: unknown labels, columns, files and settings, each told in the text's own words.
    changes: list[dict[str, Any]] = [
        {"task": {**study["task"], "labels": ["one", "other"]}},  # type: ignore[dict-item]
        {"task": {**study["task"], "columns": {"text": f"no {text}"}}},  # type: ignore[dict-item]
        {"data": {"train": text, "test": text}},
        {"data": {"train": f"hf:{text}", "test": f"corpus:{text}"}},
        {"methods": {text: {text: text}}},
        {"models": {"m": {"source": text}}, text: text},
    ]
    for change in changes:
        (tmp_path / "s.yaml").write_text(json.dumps({**study, **change}))
        said = told("data", tmp_path / "s.yaml")
        inert(said)
        assert "problem" in said
    inert(told("data", tmp_path / "s.yaml", "--set", f"{text}={text}"))
    inert(told("data", tmp_path / text.replace("/", "-")))


@parted
def test_explain_command(tmp_path: Path, text: str) -> None:
    folder = tmp_path / text.replace("/", "-")
    folder.mkdir()
    config = {"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 2, "vocab_size": 9}
    (folder / "config.json").write_text(json.dumps({**config, text: text}))
    for form in ((), ("--json",), ("--lang", "fa")):
        said = told("explain", "lora", "--model", folder, *form)
        inert(said)
        assert "problem" not in said
    for wrong in ("model_type", "architectures", "dtype", "n_layer"):
        (folder / "config.json").write_text(json.dumps({**config, wrong: text}))
        inert(told("explain", "lora", "--model", folder))
    for given in ((text,), ("lora", "--model", text), ("lora", "--set", f"r={text}"),
                  ("lora", "--set", text), ("lora", "--set", f"{text}=1")):  # fmt: skip
        inert(told("explain", *given))


@parted
def test_status_command(tmp_path: Path, text: str) -> None:
    store = Store(tmp_path / "out")
    store.write_study({"study": text, "methods": {text: {}}})
    broken = make_record(text, status="failed", error=text, variants=[], measured={})
    store.write_record(broken)
    watch(tmp_path / "out", [("study", tmp_path / "gone", None)])
    standing = Standing(Silent(), tmp_path / "out")
    planned = [PlannedRun(text, text, finished=False, work=1.0, key=key)
               for key in (broken.key, "")]  # fmt: skip
    standing.planned(planned)
    standing.started(0)
    said = told("status", tmp_path / "out")
    inert(said)
    assert "1 failed, 1 waiting" in said
    said = told("status", tmp_path / "out", "--format", "json")
    inert(said)
    assert [run["entry"] for run in json.loads(said)["runs"]] == [text, text]
    (tmp_path / "out" / "plan.json").unlink()
    inert(told("status", tmp_path / "out"))
    inert(told("status", tmp_path / text.replace("/", "-")))


class Silent:
    """A listener that hears nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None
