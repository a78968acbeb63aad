from __future__ import annotations

import re
from typing import Any

import pytest

from tarazu.catalog import methods
from tarazu.methods._explain import ADAMW_BYTES, number, share, size
from tarazu.methods._explain_low_rank import NF4_BITS, matrices
from tarazu.methods._lora import targets_of
from tarazu.methods._method import ExplainContext
from tarazu.models.cards import find_card
from tarazu.models.config import info_from_config
from tarazu.models.info import ModelInfo
from tarazu.record.record import Parameters
from tarazu.text import LANGUAGES, Text

COUNTED = Parameters(
    total=124_734_720, trained=294_912, head=1_538, deployed=296_450, deployed_bytes=1_185_800
)
METHODS = sorted(methods())


def model(name: str) -> ModelInfo:
    card = find_card(name)
    assert card is not None
    return info_from_config(name, card.config, card=card)


GPT2, ROBERTA = model("gpt2"), model("roberta-base")


def explain(name: str, info: ModelInfo | None = None, **knobs: Any) -> Text:
    method = methods()[name]
    counted = COUNTED if info else None
    return unwrapped(method.explain(ExplainContext(method.knobs(**knobs), info, counted)))


def unwrapped(text: Text) -> Text:
    """Join the lines of a paragraph, so that a phrase is found wherever lines end."""
    en, fa = (re.sub(r"(?<![\n|])\n(?![\n|-])", " ", shown) for shown in (text.en, text.fa))
    return Text(en=en, fa=fa)


def test_all_methods_of_the_issue_are_explained() -> None:
    assert len(METHODS) >= 11


@pytest.mark.parametrize("info", [None, GPT2, ROBERTA], ids=["no model", "decoder", "encoder"])
@pytest.mark.parametrize("name", METHODS)
def test_every_explanation_is_complete_in_both_languages(name: str, info: ModelInfo | None) -> None:
    text = explain(name, info)
    prose = re.sub(r"`[^`]*`|\|[^\n]*\|", "", text.en)
    assert 150 <= len(prose.split()) <= 600
    for language in LANGUAGES:
        shown = text.in_(language)
        assert not re.search(r"\{\w*\}", shown), "an unfilled placeholder"
        assert shown.count("**") % 2 == 0
        assert shown.count("`") % 2 == 0
    assert text.en.count("\n\n") == text.fa.count("\n\n"), "a paragraph is missing"
    for part in ("What it is", "Formula", "Trained and frozen", "When to use it", "several tasks"):
        assert part in text.en


@pytest.mark.parametrize("name", METHODS)
def test_persian_is_persian(name: str) -> None:
    text = explain(name, GPT2).fa
    prose = re.sub(r"`[^`]*`", "", text)
    letters = [char for char in prose if char.isalpha()]
    persian = [char for char in letters if "\u0600" <= char <= "\u06ff"]
    assert len(persian) / len(letters) > 0.85
    assert not re.search("[يكة]", prose), "Arabic spelling"
    for line in prose.splitlines():
        if not line.startswith("|"):
            assert not re.search(r"(?<![A-Za-z\d-])[0-9]", line), line


@pytest.mark.parametrize("name", [name for name in METHODS if methods()[name].needs_model == "yes"])
def test_the_numbers_are_those_that_were_counted(name: str) -> None:
    text = explain(name, GPT2)
    for value in (COUNTED.total, COUNTED.trained, COUNTED.head, COUNTED.deployed, GPT2.hidden_size):
        assert number(value) in text.en
        assert number(value, "fa") in text.fa
    memory = size(ADAMW_BYTES * (COUNTED.trained + COUNTED.head))
    assert memory.en in text.en
    assert memory.fa in text.fa


def test_lora_counts_the_cost_of_every_matrix_from_its_shape() -> None:
    text = explain("lora", GPT2, r=8)
    for part in ("2,304 × 768", "24,576", "1,769,472", "1.39 %", "294,912 parameters"):
        assert part in text.en
    for part in ("۲٬۳۰۴ × ۷۶۸", "۲۴٬۵۷۶", "۱٬۷۶۹٬۴۷۲", "۱٫۳۹٪", "۲۹۴٬۹۱۲ پارامتر"):
        assert part in text.fa
    assert "2.78 %" in explain("lora", GPT2, r=16).en


def test_lora_without_a_model_shows_the_example_of_gpt2() -> None:
    text = explain("lora")
    assert "1.39 %" in text.en
    assert "c_attn" in text.en
    assert "1.39" not in explain("lora", ROBERTA).en


def test_lora_says_what_is_wrong_with_the_usual_statement() -> None:
    for language in LANGUAGES:
        shown = explain("lora").in_(language)
        for part in ("`O(n·d·r)`", "`O(n·d·k)`", "`W' = W + (α/r)·B·A`", "`r·(d+k)`", "r×r"):
            assert part in shown


def test_t28_shapes_are_read_alike_from_conv1d_and_linear() -> None:
    ((shape, count),) = matrices(GPT2, ["c_attn"]).items()
    assert (shape.d, shape.k, count) == (2304, 768, 12)
    found = matrices(GPT2, "all-linear")
    assert {shape.name for shape in found} == {"c_attn", "c_proj", "c_fc"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("gpt2", 294_912), ("roberta-large", 786_432), ("meta-llama-3-8b", 3_407_872)],
)
def test_adapter_counts_agree_with_the_published_ones(name: str, expected: int) -> None:
    aliases = {"meta-llama-3-8b": "meta-llama/Meta-Llama-3-8B"}
    info = model(aliases.get(name, name))
    knobs = methods()["lora"].knobs()
    found = matrices(info, targets_of(info, knobs))
    assert sum(shape.low_rank(8) * count for shape, count in found.items()) == expected


def test_qlora_states_the_bits_of_nf4() -> None:
    assert pytest.approx(4.127, abs=5e-4) == NF4_BITS
    for name in ("qlora-text", "qlora-head"):
        assert "4.127" in explain(name).en
        assert "۴٫۱۲۷" in explain(name).fa
    weights = sum(s.whole * n for s, n in matrices(GPT2, "all-linear").items())
    assert size(weights * NF4_BITS / 8).en in explain("qlora-text", GPT2).en


def test_last_k_names_its_layers_and_p_tuning_its_vectors() -> None:
    assert "10, 11" in explain("last-k", GPT2).en
    assert "۱۰، ۱۱" in explain("last-k", GPT2).fa
    assert "15,360 numbers" in explain("p-tuning", GPT2, virtual_tokens=20).en


def test_prompting_trains_nothing_and_says_how_it_answers() -> None:
    zero = Parameters(total=1000, trained=0, head=0, deployed=0, deployed_bytes=0)
    method = methods()["zero-shot"]
    knobs = method.knobs.model_validate({"decode": {"temperature": 0.7, "top_p": 0.9}})
    text = unwrapped(method.explain(ExplainContext(knobs, GPT2, zero)))
    assert "nothing is trained: no gradients" in text.en
    assert "temperature = 0.7, top-p = 0.9" in text.en
    shown = {explain("few-shot", select=how).en for how in ("random", "balanced", "similar")}
    assert len(shown) == 3


@pytest.mark.parametrize(
    ("value", "en", "fa"),
    [(1_769_472, "1,769,472", "۱٬۷۶۹٬۴۷۲"), (0, "0", "۰"), (0.5, "0.5", "۰٫۵"), (16.0, "16", "۱۶")],
)
def test_numbers_are_written_as_the_language_does(value: float, en: str, fa: str) -> None:
    assert (number(value), number(value, "fa")) == (en, fa)


def test_shares_and_sizes() -> None:
    assert share(1, 8) == Text(en="12.5 %", fa="۱۲٫۵٪")
    assert share(0, 8).en == "0 %"
    assert size(0).en == "0 B"
    assert size(1_185_800) == Text(en="1.19 MB", fa="۱٫۱۹ مگابایت")
