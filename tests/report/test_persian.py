"""Persian reports are Persian: no English sentence gets in, whatever the records say."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from tarazu.catalog import methods, tasks
from tarazu.comparison.failures import analyse
from tarazu.comparison.sizes import learning_curves
from tarazu.models.info import ModelInfo
from tarazu.record.key import content_key
from tarazu.record.record import (
    Attribution,
    Event,
    Input,
    Searched,
    Trial,
    Tuned,
    VariantResult,
)
from tarazu.record.spec import Setting
from tarazu.record.store import Store
from tarazu.report.api import report
from tarazu.report.failures_view import failures_view
from tarazu.report.markdown import markdown
from tarazu.report.recorded import known_in_persian, recorded, recorded_source
from tarazu.report.recorded_reasons import REASONS, REMARKS, SOURCES
from tarazu.report.recorded_sentences import SENTENCES
from tarazu.report.sizes import size_tables
from tarazu.testing.folders import make_folder, make_items
from tarazu.testing.outcomes import make_classes, make_spans
from tarazu.testing.records import make_record
from tarazu.text import isolated

ITEMS = 90
# Names that the records of this test use, names of programs and works, and what is typed.
ALLOWED = (
    r"\b(?:few-shot|p-tuning|partial-input|merged-16bit|qlora-text(?::[\w-]+)?|query-value"
    r"|all-linear|learning_rate|train\.csv|test\.csv)\b",
    r"[\w-]+ \(minilm\)",
    r"\bHugging Face\b|\bChat templates\b|\bpeft method_comparison\b|\bSQuAD v1\.1\b"
    r"|\bA Corpus of Pairs\b|\bSHA-256\b|\bTF-IDF\b|\bCC BY(?:-SA)?\b|\bCUDA\b",
    # Works: authors, year and place, or a title.
    r"[A-Z]\w+(?: and [A-Z]\w+| et al\.)? (?:19|20)\d\d\b(?:, arXiv [\d.]+)?",
    r"\bLoRA Without Regret(?: \(thinkingmachines\.ai/blog/lora\))?",
    r"\bBaselines and Bigrams \(ACL\)",
    r"https?://\S+|[\w.-]+/[\w.-]+(?:#\d+)?|\b[\w-]+#\d+",
)  # fmt: skip
RUN = re.compile(r"[A-Za-z][A-Za-z'’]+\S*(?: [(\[]?[A-Za-z][A-Za-z'’]+\S*)+")
ISOLATED = re.compile(r"[\u2066\u2068][^\u2066-\u2069]*\u2069")
PROMPT = {
    "frame": "⟨premise⟩",
    "chat_template": True,
    "answer": "score",
    "label_score": "sum",
    "label_words": {"neutral": "maybe"},
    "decode": {"temperature": 0.0, "top_p": 1.0, "max_new_tokens": 8},
    "demonstrations": {
        "how": "2 training items at random (seed 0), the same for all items",
        "ids": ["d-1"],
        "of_item": "t-1",
    },
    "virtual_tokens": {
        "count": 2,
        "nearest_words": ["one", "two"],
        "how": "trained vectors in front of the input, no words; the nearest words by cosine are "
        "shown for curiosity and need not mean anything",
    },
}
NOTES = (
    "train: train.csv: 3 rows without gold label dropped",
    "4 of 90 rows of test split 'test' nearly repeat an earlier row of it",
    "2 of 300 train rows nearly stand (similarity of at least 0.8) in test split 'test'",
    "5 of 300 train rows share a group with the validation split",
)
KNOWN = Attribution(
    model_licence="apache-2.0",
    model_source="org/model",
    weights_origin="dequantised from GGUF Q4_1 (model.gguf)",
    contamination=["org/model lists MultiNLI among its training data (org/card)"],
    data_licence="CC BY-SA 4.0",
    data_source="Doe et al. 2020, A Corpus of Pairs",
)
ERRORS = (
    "item t-1: the prompt without its premise must fit into 12 tokens, but got 20 tokens. "
    "Raise max_length, or use fewer demonstrations (k).",
    "training, step 3: the loss must be finite, but got nan on training items [1, 2] at learning "
    "rate 0.1. Lower the learning rate, or set compute.dtype to float32.",
    "its process was killed by SIGKILL, perhaps because memory ran out",
    *(
        f"memory ran out in phase '{phase}'{how}: it needs {needs}; it had 3.10 GiB, and 0.25 GiB "
        "were free afterwards (its process was killed by SIGKILL, perhaps because memory ran out)"
        for phase, how, needs in (
            ("load", "", "more than it had"),
            ("evaluate", " with 1 row at a time", "14.96 GiB for its weights alone"),
            (
                "train",
                " with 1 row at a time and recomputed activations",
                "59.83 GiB beside activations (weights 14.96, gradients 14.96, optimiser 29.91)",
            ),
        )
    ),
    "memory ran out in phase 'train' (its process was killed by SIGKILL, perhaps because memory "
    "ran out): made again with activations computed again in the backward pass, not kept; the "
    "gradients are the same, and an update takes longer",
)


def english(text):
    """Return the runs of two or more Latin words in a text, foreign stretches included."""
    for pattern in ALLOWED:
        text = re.sub(pattern, "§", text)
    return sorted({run for line in text.splitlines() for run in RUN.findall(line)})


def latin_digits(text):
    """Return the words with Latin digits outside of foreign stretches."""
    bare = re.sub(r"SHA-256|\bF1\b", "", ISOLATED.sub("", text))
    return re.findall(r"\S*[0-9]\S*", bare)


class Page(HTMLParser):
    """Collects the texts of a page, code and quotations left out, and its attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.names = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag not in {"meta", "br", "input", "hr", "link"}:
            self.open.append(tag)
        shown = ("title", "aria-label", "placeholder", "alt")
        self.names += [value for name, value in attributes if name in shown and value]

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"style", "script", "code", "pre"} & set(self.open):
            self.texts.append(data)


def code_left_out(text):
    return re.sub(r"`[^`]*`", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def shipped_settings():
    """Return every reason and source that shipped methods give, by method."""
    for name, method in methods().items():
        pairs = list(_declared(method.knobs))
        for kind in ("encoder", "decoder"):
            for width in (128, 576, 4096):
                architecture = "bert" if kind == "encoder" else "llama"
                info = ModelInfo("m", kind, architecture, width, 12, 1000, 512, True, {})
                for task in tasks().values():
                    told = {
                        **method.defaults(info, task),
                        **{
                            f"~{k}": v for k, v in method.search(info, task, method.knobs()).items()
                        },
                    }
                    pairs += [(one.reason, one.source) for one in told.values()]
        yield name, list(dict.fromkeys(pairs))


def _declared(knobs):
    for field in knobs.model_fields.values():
        told = field.json_schema_extra
        yield told["reason"], told["source"]
        if hasattr(field.default, "model_fields_set"):
            yield from _declared(type(field.default))


def settings():
    """Return one setting per reason and source of the shipped methods."""
    pairs = dict.fromkeys(pair for _, told in shipped_settings() for pair in told)
    by = ("default", "study", "entry", "command line", "tuning")
    return {
        f"s{number}": Setting(value=1, reason=reason, source=source, chosen_by=by[number % 5])
        for number, (reason, source) in enumerate(pairs)
    }


def trial(number, accuracy, **changes):
    values = {"learning_rate": 10.0**-number, "targets": ("query-value", "all-linear")[number % 2]}
    chosen = {
        name: Setting(value=value, reason="r", source="s", chosen_by="tuning")
        for name, value in values.items()
    }
    base = make_record("lora", seed=1000, accuracy=accuracy, split="validation", stage="trial")
    spec = base.spec.model_copy(update={"settings": chosen})
    told = {"spec": spec, "key": content_key(spec), "trial": Trial(number=number, rung=1)}
    return base.model_copy(update={**told, **changes})


def tuned_records():
    trials = [trial(number, 0.5 + number / 100) for number in range(1, 5)]
    trials.append(trial(5, 0.0, status="failed", error=ERRORS[1], variants=[]))
    searched = {
        "learning_rate": Searched(low=1e-4, high=1e-1, log=True, reason="the rate", source="s"),
        "targets": Searched(values=["query-value", "all-linear"], reason="where", source="s"),
    }
    keys = [record.key for record in trials]
    tuned = Tuned(
        budget=5, trials=5, seed=1000, winner=4, score=0.54, searched=searched, fixed=["r"],
        keys=keys,
    )  # fmt: skip
    nothing = Tuned(
        budget=5, trials=0, seed=1000, nothing={"en": "It counts all.", "fa": "می‌شمارد."}
    )
    return [
        make_record("majority", model=None, tuned=nothing),
        make_record("lora", tuned=tuned),
        *trials,
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder whose records say nearly everything that records can say."""
    other = VariantResult(
        variant="merged-16bit", split="test", n=ITEMS, metrics={"accuracy": 0.4}, unparsable=3,
        cut=2, flips=7, flips_against="adapter",
    )  # fmt: skip
    made = make_folder(
        tmp_path_factory.mktemp("fa") / "out",
        {"lora": 0.9, "full": 0.85, "few-shot": 0.4, "majority": 0.3},
        make_items(ITEMS),
        seeds=(0, 1),
        prompt=PROMPT,
        explain={"en": "What it is.", "fa": "چیست؟"},
        selected_epoch=3,
        hyperparameters=settings(),
        attribution=KNOWN,
        events=[
            Event(kind="collapsed", message="main answers 'neutral' to all of test"),
            Event(
                kind="tuning",
                message=f"none of 4 trials came to its end ({ERRORS[1]}): the default settings "
                "are used",
            ),
        ],
    )
    store = Store(made)
    failed = [
        make_record("p-tuning", seed=seed, status="failed", error=error, variants=[])
        for seed, error in enumerate(ERRORS)
    ]
    inputs = store.records()[0].spec.inputs
    for record in [*failed, make_record("qlora-text", others=(other,))]:
        spec = record.spec.model_copy(update={"inputs": inputs})
        store.write_record(record.model_copy(update={"spec": spec}), [])
    store.write_data_notes(inputs, NOTES, {})
    return made


@pytest.mark.parametrize("redacted", [False, True])
@pytest.mark.parametrize("form", ["table", "markdown", "html"])
def test_no_english_is_left(folder, form, redacted):
    text = report(folder, form, redacted=redacted, language="fa")
    if form == "html":
        page = Page(text)
        shown = "\n".join(page.texts + page.names)
    else:
        shown = code_left_out(text)
    # The data set's own words stay what they are.
    shown = re.sub(r"(?:Premise|Claim) \d+\.", "", shown)
    assert not (left := english(shown)), left
    assert latin_digits(re.sub(r"\bt-\d+|lora-\d+", "", shown)) == [] or form == "html"
    assert len(re.findall("[آ-ی]", shown)) > 500


def test_every_section_of_the_markdown_is_there(folder):
    fa, en = (report(folder, "markdown", language=language) for language in ("fa", "en"))
    count = {"fa": fa, "en": en}
    titles = {name: re.findall(r"^#+", text, re.MULTILINE) for name, text in count.items()}
    assert titles["fa"] == titles["en"]
    rows = [len([line for line in text.splitlines() if line.startswith("|")]) for text in (fa, en)]
    assert rows[0] == rows[1] > 100


def test_the_words_of_the_browser_are_persian(folder):
    text = report(folder, "html", language="fa")
    data = re.search(r'id="browser-data">(.*?)</script>', text, re.DOTALL)[1]
    said = json.loads(data)
    assert english("\n".join(said["words"].values())) == []
    assert {field["name"] for field in said["splits"][0]["fields"]} == {"مقدمه", "فرضیه"}


def test_tuning_is_persian():
    text = markdown(tuned_records(), language="fa")
    assert "## تنظیم ابرپارامترها" in text
    shown = code_left_out(text.replace("a | reason", "").replace("a \\| reason", ""))
    shown = re.sub("[\u2066\u2068]a source\u2069", "", shown)
    assert english(shown) == []
    assert latin_digits(shown) == []


def test_sizes_are_persian():
    records = []
    for family, entry, scores in (
        ("adapter", "lora", (0.4, 0.6)), ("prompting", "zero-shot", (0.5, 0.5))
    ):  # fmt: skip
        for sha, accuracy in zip(("a" * 64, "b" * 64), scores, strict=True):
            record = make_record(entry, accuracy=accuracy, family=family)
            inputs = {**record.spec.inputs, "train": sha}
            sizes = {100: "a" * 64, 300: "b" * 64}
            spec = record.spec.model_copy(update={"inputs": inputs, "train_sizes": sizes})
            rows = {**record.inputs, "train": Input(rows=100 if sha < "b" else 300, sha256=sha)}
            told = {"spec": spec, "key": sha, "inputs": rows}
            records.append(record.model_copy(update=told))
    text = "\n".join(size_tables(learning_curves(records), "fa"))
    assert "سطرهای آموزش | ۱۰۰ | ۳۰۰" in text
    assert "از ۳۰۰ سطر آموزش به بعد" in text
    assert english(text) == latin_digits(text) == []


@pytest.mark.parametrize("texts", [{}, {"question": ("Who?",) * 3, "context": ("a fox",) * 3}])
def test_failures_of_spans_are_persian(texts):
    made = make_spans(
        [["grey"], ["red"], ["white"]],
        {"x": [["so grey a", "fox", None]], "y": [["grey", "fox", "fox"]]},
        slices={"question_word": ("who", "other", "who"), "answer_length": ("1-3", "1-3", "7+")},
        texts=texts,
    )
    text = "\n\n".join(failures_view(analyse(made), language="fa"))
    assert english(re.sub("so grey a|a fox", "", text)) == latin_digits(text) == []
    for part in ("واژهٔ پرسشی", "۱ تا ۳ واژه", "۷ واژه یا بیشتر", "بلندتر از پاسخ"):
        assert part in text


@pytest.mark.parametrize(("name", "told"), shipped_settings())
def test_every_reason_of_a_shipped_method_is_known(name, told):
    assert [reason for reason, _ in told if not known_in_persian(reason)] == []
    for _, source in told:
        assert english(recorded_source(source).fa) == [], source


@pytest.mark.parametrize("text", [*ERRORS, *NOTES])
def test_a_sentence_with_places_is_known(text):
    told = recorded(text)
    assert told.en == text
    assert english(told.fa) == []
    # Every number stands in the translation, too.
    assert sorted(re.findall(r"\d+", told.fa)) == sorted(re.findall(r"\d+", text))


def test_failures_of_classes_are_persian():
    gold = ["a"] * 40 + ["b"] * 40
    said = {"full": [gold], "qlora": [["a"] * 80], "qlora:adapter": [[None, *gold[1:]]]}
    made = make_classes(gold, said, labels="ab", slices={"label": tuple(gold)})
    text = "\n\n".join(failures_view(analyse(made), language="fa"))
    assert "پاسخ‌هایی که ادغام یا کوانتش عوض می‌کند" in text
    assert english(text) == latin_digits(text) == []


def test_a_full_stop_is_kept():
    assert recorded("Mild; not on biases and norms.").fa.endswith("نرمال‌سازها.")


def test_a_name_cannot_end_its_own_stretch():
    assert isolated("a\u2069 b\u202e") == "\u2068a b\u2069"


def test_what_is_not_known_stays_and_is_set_apart():
    assert recorded("My own \u2069reason").fa == "\u2068My own reason\u2069"
    assert not known_in_persian("My own reason")


def test_a_source_keeps_its_works_and_says_where_in_them():
    told = recorded_source("Liu et al. 2019, arXiv 1907.11692, table 10; tarazu's design").fa
    assert told == "\u2068Liu et al. 2019, arXiv 1907.11692\u2069، جدول ۱۰؛ طراحی ترازو"
    conference = "Wang and Manning 2012, Baselines and Bigrams (ACL), section 4"
    assert recorded_source(conference).fa.endswith("(ACL)\u2069، بخش ۴")


@pytest.mark.parametrize("text", [*REASONS, *SOURCES, *REMARKS, *SENTENCES])
def test_both_languages_have_the_same_places(text):
    places = [set(re.findall(r"\{\w+\}", one)) for one in (text.en, text.fa)]
    assert places[0] == places[1]
    persian = re.sub(r"\{\w+\}", "", ISOLATED.sub("", text.fa))
    assert not re.search("[يك]", persian), "Arabic letters instead of Persian ones"
    assert not re.search("[0-9]", persian.replace("F1", "")), "Latin digits"
    assert english(persian) == []
