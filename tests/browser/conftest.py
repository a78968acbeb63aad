"""Headless Chromium, and pages to open in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tarazu.report.api import read_results, report_html
from tarazu.testing.axes import add_trials, make_sized_folder
from tarazu.testing.folders import make_folder, make_items

NASTY = [
    ("<script>document.title = 'broken'</script>", "</script><img src=x onerror=alert(1)>"),
    ("A cat sat on the mat.", "An animal sat. \u202eesrever\u202c"),
    ("کتاب\u200cها روی میز است.", "کتابي هست ۱۲."),
]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]


def chromium() -> str:
    """Return the browser's place; the tier fails loudly where there is none."""
    found = (
        os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    )
    assert found, "Chromium is missing: install it (apt-get install chromium) or set CHROMIUM"
    return found


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield started
        started.close()


def axes(folder: Path) -> Path:
    """Write a study with several training sizes, trials and a price of the machine."""
    skills = {"lora": (0.4, 0.6, 0.8), "full": (0.3, 0.5, 0.7), "few-shot": (0.5, 0.5, 0.5)}
    study = {
        "report": {"price_per_hour": 0.35, "currency": "USD"},
        "tuning": {"trials": 4, "sampler": "qmc", "pruning": True, "seed": 1000},
    }
    made = make_sized_folder(
        folder, {**skills, "zero-shot": (0.45,)}, make_items(60), (10, 30, 90), study=study
    )
    add_trials(made, "lora", (0.4, 0.5, None, 0.6), share=0.25, failure=NASTY[0][1])
    add_trials(made, "full", (0.5, 0.4, 0.45, 0.3), share=0.25)
    add_trials(made, "few-shot", (0.5, 0.4), budget=4)
    return made


@pytest.fixture(scope="session")
def pages(tmp_path_factory) -> dict[str, Path]:
    """Return the page in each language, and a large one."""
    folder = tmp_path_factory.mktemp("pages")
    small = make_folder(
        folder / "small",
        {"lora": 0.9, "full": 0.8, "zero-shot": 0.4, "majority": 0.33},
        make_items(120, NASTY),
        seeds=(0, 1),
    )
    skills = {f"entry-{number:02}": 0.3 + number / 40 for number in range(20)}
    large = make_folder(folder / "large", skills, make_items(2000))
    made = {}
    for name, source, language in (
        ("en", small, "en"), ("fa", small, "fa"), ("large", large, "en"),
        ("axes-en", axes(folder / "axes"), "en"), ("axes-fa", folder / "axes", "fa"),
    ):  # fmt: skip
        made[name] = folder / f"{name}.html"
        made[name].write_text(report_html(read_results(source), language=language), "utf-8")
    return made


@pytest.fixture
def visit(browser, pages):
    """Return a way to open a page; whatever the browser complains of or asks for is a failure."""
    opened = []

    def visit(name, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        page = context.new_page()
        complaints, requests = [], []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(pages[name].as_uri())
        opened.append((context, pages[name].as_uri(), complaints, requests))
        return page

    yield visit
    for context, address, complaints, requests in opened:
        context.close()
        assert complaints == []
        assert requests == [address]
