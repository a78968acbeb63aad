"""The page as a whole: nothing runs that is not ours, nothing leaks, nothing is left in English."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from tarazu.report.api import report_html
from tarazu.report.html.page import SECTIONS

LANGUAGES = ["en", "fa"]


class Reader(HTMLParser):
    """Collects elements, and the text that a reader sees with what it stands in."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.open = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in {"meta", "input", "br", "img", "link"}:
            self.open.append((tag, dict(attributes)))

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        self.texts.append((data, list(self.open)))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def inside(self, tag):
        return ["".join(t for t, where in self.texts if where and where[-1][0] == tag)]


def scripts(page):
    return re.findall(r"<script([^>]*)>(.*?)</script>", page, flags=re.DOTALL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_section_is_there_in_order(page, language):
    reader = Reader(page(language))
    found = [a["id"] for a in reader.all("section")]
    # Nothing happened, and there is one training size.
    assert found == [name for name in SECTIONS if name not in ("events", "sizes")]
    linked = [a["href"] for a in reader.all("a") if a.get("href", "").startswith("#")]
    assert linked[1:] == [f"#{name}" for name in found]
    html = reader.all("html")[0]
    assert html == {"lang": language, "dir": "rtl" if language == "fa" else "ltr"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_of_the_data_becomes_an_element(page, language):
    reader = Reader(page(language))
    assert [a.get("type") for a in reader.all("script")] == ["application/json", None]
    for tag in ("img", "b", "i", "iframe", "link", "object"):
        assert reader.all(tag) == [], tag
    for _, attributes in reader.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert "javascript:" not in (attributes.get("href") or "")
    for sign in "\u202e\u202c\u2028":
        assert sign not in page(language)
    assert "7 * 7" in page(language)


def test_the_embedded_data_say_what_the_items_say(page):
    ((_, text), *_) = [s for s in scripts(page()) if "json" in s[0]]
    assert not set("<>&") & set(text)
    data = json.loads(text)
    (split,) = data["splits"]
    fields = {
        field["name"]: [data["texts"][place] for place in field["values"]]
        for field in split["fields"]
    }
    assert fields["premise"][:2] == ["<script>alert(1)</script>", '"quoted" & <b>bold</b>']
    assert fields["hypothesis"][0] == "</script><img src=x onerror=alert(2)>"
    assert [entry["name"] for entry in split["entries"]] == ["lora", "full", "<script>evil"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_policy_allows_this_style_and_this_script_only(page, language):
    text = page(language)
    reader = Reader(text)
    (policy,) = [a["content"] for a in reader.all("meta") if "http-equiv" in a]
    style = re.search(r"<style>(.*?)</style>", text, flags=re.DOTALL)[1]
    script = scripts(text)[-1][1]
    for kind, source in (("style", style), ("script", script)):
        sha = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{sha}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_fetched(page, language):
    reader = Reader(page(language))
    for _, attributes in reader.elements:
        assert not {"src", "srcset", "poster", "data", "background"} & set(attributes)
    assert not re.search(r"@import|url\((?!#)", page(language))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_redacted_page_has_ids_and_no_text(page, language):
    full, redacted = page(language), page(language, redacted=True)
    for text in ("SECRET-TEXT-1", "SECRET-TEXT-2", "Premise 7.", "Claim 7."):
        assert text in full, text
        assert text not in redacted, text
    for kept in ("t-0007", "d-1", "⟨premise⟩", "entailment"):
        assert kept in redacted, kept


def test_spans_are_text_of_the_data_too(results, make):
    """In question answering gold answers and predictions are pieces of the context."""
    outcomes = results.outcomes[0]
    spans = type(outcomes)(**{**vars(outcomes), "labels": (), "gold": (("SECRET-SPAN",),) * 60})
    answers = [
        type(entry)(**{**vars(entry), "predicted": entry.predicted.astype(object)})
        for entry in spans.entries
    ]
    for entry in answers:
        entry.predicted[:] = "SECRET-SPAN"
    spans = type(outcomes)(**{**vars(spans), "entries": tuple(answers)})
    changed = type(results)(results.records, results.study, results.store)
    changed.__dict__["outcomes"] = [spans]
    changed.__dict__["comparisons"] = []
    assert "SECRET-SPAN" in report_html(changed)
    assert "SECRET-SPAN" not in report_html(changed, redacted=True)


def test_markdown_of_the_records_is_rendered_and_harmless(page):
    text = page()
    assert "<strong>What it is.</strong>" in text
    assert '<td dir="auto"><code>q</code></td>' in text
    assert "&lt;script&gt;alert(4)&lt;/script&gt;" in text
    assert "example.org" not in "".join(a.get("src", "") for a in Reader(text).all("img"))


ALLOWED = re.compile(r"tarazu|SHA-256|F1|LoRA|JSON|NF4|AdamW|CPU|CUDA|\bp\b", re.ASCII)
FOREIGN = {"bdi", "code", "pre", "style", "script", "text"}


def aside(where):
    """Return whether a text is a quotation of the records."""
    return any(attributes.get("dir") == "auto" for _, attributes in where)


def test_no_english_is_left_in_the_persian_page(page):
    """Every word that is not a name, code or a quotation of the records is Persian."""
    left = []
    for text, where in Reader(page("fa")).texts:
        tags = {tag for tag, _ in where}
        quoted = aside(where)
        text = re.sub(r"[\u2066\u2068][^\u2066-\u2069]*\u2069", "", text)
        if tags & FOREIGN or quoted:
            continue
        if re.search(r"[A-Za-z]{2,}", ALLOWED.sub("", text)):
            left.append(text)
    assert left == []


def test_attributes_of_the_persian_page_are_persian_too(page):
    left = []
    for _, attributes in Reader(page("fa")).elements:
        for name in ("title", "aria-label", "placeholder"):
            text = re.sub(r"[\u2066\u2068][^\u2066-\u2069]*\u2069", "", attributes.get(name) or "")
            if re.search(r"[A-Za-z]{2,}", ALLOWED.sub("", text)):
                left.append(text)
    assert left == []


def test_charts_of_the_persian_page_are_persian(page):
    entries = {"lora", "full", "<script>evil"}
    texts = [t for t, where in Reader(page("fa")).texts if where and where[-1][0] == "text"]
    assert any("دقت" in text for text in texts)
    assert any("دور" in text for text in texts)
    for text in texts:
        if text not in entries:
            assert not re.search(r"[A-Za-z0-9]", text), text


def test_numbers_of_the_persian_page_are_persian(page):
    for text, where in Reader(page("fa")).texts:
        tags = {tag for tag, _ in where}
        quoted = aside(where)
        text = re.sub(r"\u2068[^\u2066-\u2069]*\u2069", "", text)
        if not (tags & FOREIGN - {"text"}) and not quoted and text not in {"lora", "full"}:
            assert not re.search(r"[0-9]", ALLOWED.sub("", text)), text


def test_the_words_of_the_script_come_from_the_page(page):
    text = scripts(page("fa"))[-1][1]
    literals = re.findall(r'"([^"\n]*)"|`([^`]*)`', text)
    for literal in (a or b for a, b in literals):
        assert not re.search(r"[A-Z][a-z]+ [a-z]+", literal), literal
