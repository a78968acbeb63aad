"""A study and a run show themselves in a notebook."""

from __future__ import annotations

from html.parser import HTMLParser

from tarazu.report.api import read_results
from tarazu.study import StudyResult
from tarazu.testing.folders import make_folder, make_items


def text_of(html):
    texts = []
    reader = HTMLParser()
    reader.handle_data = texts.append
    reader.feed(html)
    return " ".join(" ".join(texts).split())


def test_a_study_shows_what_won_and_its_table(tmp_path):
    folder = make_folder(tmp_path / "out", {"lora": 1.0, "full": 0.2}, make_items(60))
    records = read_results(folder).records
    html = StudyResult(folder, records, 0)._repr_html_()
    assert "lora wins with accuracy 100.0 %" in text_of(html)
    assert "294,912" in text_of(html)
    assert "<script" not in html
    assert "<style" not in html
    assert text_of(read_results(folder)._repr_html_()) == text_of(html)


def test_a_run_shows_itself(make):
    html = make("lora", accuracy=0.75)._repr_html_()
    text = text_of(html)
    for part in ("lora", "minilm", "accuracy 0.7500", "294,912 + 1,155", "1,500,000,000 bytes"):
        assert part in text, part


def test_a_failed_run_shows_its_reason_as_text(failed):
    html = failed("lora", reason="<script>x</script>")._repr_html_()
    assert "failed: <script>x</script>" in text_of(html)
    assert "<script" not in html
