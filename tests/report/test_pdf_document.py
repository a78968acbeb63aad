"""PDF as its readers get it: what the text is, what is on the page, and what is not in the file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tarazu.cli import app
from tarazu.report.api import read_results, report_pdf
from tarazu.report.pdf import pdf
from tarazu.testing.folders import make_folder, make_items

pytestmark = pytest.mark.documents

NASTY = [
    ("<script>alert(1)</script>", "</script><img src=x onerror=alert(2)>"),
    ("SECRET-TEXT-1", "کتاب روی میز است."),
]
EXPLAIN = {
    "en": "**What it is.** A matrix.\n\n![p](http://example.org/x.png) [x](javascript:alert(5))",
    "fa": "**چیست؟** یک ماتریس.",
}
# Signs that steer the direction of a line and that leave no ink.
STEERING = re.compile("[\u200c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def poppler(tool, *arguments):
    """Return what a tool of Poppler prints; the tier fails where it is missing."""
    assert shutil.which(tool), f"{tool} is missing: see .ci/run"
    done = subprocess.run([tool, *map(str, arguments)], capture_output=True, check=True)
    return done.stdout.decode()


def words(file, *options):
    """Return the text of a file in the order in which it is read, page by page."""
    text = STEERING.sub("", poppler("pdftotext", *options, file, "-"))
    return [" ".join(page.split()) for page in text.split("\f")[:-1]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    skills = {f"entry-{n}": 0.4 + n / 40 for n in range(4)} | {"lora": 0.9, "majority": 0.33}
    place = tmp_path_factory.mktemp("pdf") / "nobodys-home"
    return make_folder(place, skills, make_items(60, NASTY), seeds=(0, 1), explain=EXPLAIN)


@pytest.fixture(scope="module")
def made(folder, tmp_path_factory):
    """Return the file in a language: `made("fa", redacted=True)`."""
    files, results = {}, read_results(folder)

    def make(language="en", *, redacted=False):
        key = (language, redacted)
        if key not in files:
            files[key] = tmp_path_factory.mktemp("made") / "report.pdf"
            files[key].write_bytes(report_pdf(results, language=language, redacted=redacted))
        return files[key]

    return make


def test_the_text_can_be_selected(made):
    text = " ".join(words(made()))
    for part in ("Final table", "Highest accuracy: lora", "Not separated", "entry-3", "Contents"):
        assert part in text, part


def test_persian_is_read_in_its_order_with_its_digits(made):
    pages = [page.replace(" ", "") for page in words(made("fa"))]
    for part in ("جدول نهایی", "چه کسی در چه خطا", "آموزش چگونه پیش رفت", "بهای کیفیت"):
        assert any(part.replace(" ", "") in page for page in pages), part
    folio = f"1از{len(pages)}".translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
    assert folio in pages[0]


@pytest.mark.parametrize(("language", "word"), [("en", "logarithmic"), ("fa", "لگاریتمی")])
def test_words_of_charts_are_whole_words(made, language, word):
    """Letter by letter, Persian words come out torn and backwards."""
    text = " ".join(words(made(language)))
    assert text.count(word) == 5  # the axes of four charts of costs, and the line above them


def test_charts_are_drawings_and_fonts_are_in_the_file(made):
    file = made()
    assert len(poppler("pdfimages", "-list", file).splitlines()) == 2  # headings alone
    fonts = poppler("pdffonts", file).splitlines()[2:]
    assert fonts
    for line in fonts:
        assert line.split()[-5:-2] == ["yes", "yes", "yes"], line  # embedded, subset, to Unicode


@pytest.mark.parametrize("language", ["en", "fa"])
def test_no_page_is_empty_and_what_is_wide_lies_across(made, language):
    about = poppler("pdfinfo", "-f", 1, "-l", 999, made(language))
    sizes = re.findall(r"size:\s+(\S+) x (\S+)", about)
    assert {(round(float(w)), round(float(h))) for w, h in sizes} == {(595, 842), (842, 595)}
    assert all(len(page.split()) > 12 for page in words(made(language)))


def test_a_large_study_fits(tmp_path):
    """Twenty entries with long names: nothing runs off the page, and headings are repeated."""
    skills = {f"some-long-entry-name-{n}@smollm2-instruct": 0.3 + n / 60 for n in range(20)}
    results = read_results(make_folder(tmp_path / "out", skills, make_items(30)))
    file = tmp_path / "report.pdf"
    file.write_bytes(report_pdf(results))
    off = []
    for page in poppler("pdftotext", "-bbox", file, "-").split("<page ")[1:]:
        width = float(re.match(r'width="([\d.]+)"', page)[1])
        for low, high, word in re.findall(r'xMin="(.*?)".*?xMax="(.*?)".*?>(.*?)</word>', page):
            if float(low) < 25 or float(high) > width - 25:
                off.append((low, high, word))
    assert off == []
    pairs = [page for page in words(file, "-layout") if page.count(" open") > 5]
    assert len(pairs) > 2
    assert all("Verdict" in page for page in pairs)


def test_texts_of_the_data_are_shown_and_do_nothing(made):
    file = made()
    text = " ".join(words(file))
    assert "<script>alert(1)</script>" in text
    assert "onerror=alert(2)>" in text
    about = poppler("pdfinfo", file)
    assert re.search(r"JavaScript:\s+no", about)
    assert re.search(r"Form:\s+none", about)
    assert "javascript:" not in poppler("pdfinfo", "-url", file)


@pytest.mark.parametrize("language", ["en", "fa"])
def test_a_redacted_file_holds_no_text_of_the_data(made, language):
    assert "SECRET-TEXT-1" in " ".join(words(made(language)))
    hidden = " ".join(words(made(language, redacted=True)))
    assert "SECRET-TEXT-1" not in hidden
    assert "t-0001" in hidden


def test_the_file_says_nothing_of_the_machine(made, folder):
    about = poppler("pdfinfo", made())
    known = dict(line.split(":", 1) for line in about.splitlines())
    assert known["Title"].strip() == "small · Report · tarazu ترازو"
    assert known["Creator"].strip() == "tarazu"
    assert known["Tagged"].strip() == "yes"
    assert not known.keys() & {"Author", "ModDate"}
    assert folder.name not in " ".join(words(made())) + about
    assert os.uname().nodename not in about


def test_equal_results_make_equal_bytes(folder, made):
    code = (
        "import sys; from tarazu.report.api import read_results, report_pdf\n"
        "sys.stdout.buffer.write(report_pdf(read_results(sys.argv[1])))"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder)],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": f"UTC-{seed}"},
            capture_output=True, check=True,
        )  # fmt: skip
        assert done.stdout == made().read_bytes()


def test_nothing_is_fetched_or_opened(tmp_path):
    """Were markup of the data ever let through, it would still reach no file and no network."""
    secret = tmp_path / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>', encoding="utf-8")
    addresses = [secret.as_uri(), str(secret), "http://127.0.0.1:9/x.png", "secret.svg"]
    page = "<html><head>" + "".join(
        f'<link rel=stylesheet href="{a}"><link rel=attachment href="{a}"><style>@import url({a});'
        f"@font-face {{ font-family: x; src: url({a}) }} p {{ background: url({a}) }}</style>"
        f'<img src="{a}"><object data="{a}"></object><embed src="{a}">'
        f'<svg viewBox="0 0 9 9"><image href="{a}"/><use href="{a}#x"/></svg>'
        for a in addresses
    ) + "<p style='font-family: x'>text"  # fmt: skip
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    code = (
        "import sys\nfrom tarazu.report.pdf import pdf\n"
        "from pathlib import Path\npage = Path('page.html').read_text('utf-8')\n"
        "pdf('<p>warm')\n"
        "def watch(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'urllib.Request'): print(event)\n"
        "    if event == 'open' and 'secret' in str(arguments[0]): print(event, arguments)\n"
        "sys.addaudithook(watch)\n"
        "assert pdf(page).startswith(b'%PDF')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_characters_that_no_font_has_are_named():
    with pytest.warns(UserWarning, match=r"U\+10FFFD"):
        pdf("<p>\U0010fffd")


def test_the_command_writes_a_file_or_bytes(folder, made, tmp_path):
    file = tmp_path / "report.pdf"
    arguments = ["report", str(folder), "--format", "pdf", "--lang", "fa"]
    written = CliRunner().invoke(app, [*arguments, "--out", str(file)])
    printed = CliRunner().invoke(app, arguments)
    assert (written.exit_code, written.stdout, printed.exit_code) == (0, "", 0)
    assert file.read_bytes() == printed.stdout_bytes == made("fa").read_bytes()
