from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from tarazu.data.item import Item
from tarazu.errors import BadInput
from tarazu.readings import prompts
from tarazu.readings._reading import IGNORED, Asking
from tarazu.readings.prompts import CONTENT_FREE, content_free, encode_prompts, prompt_text
from tarazu.readings.text import encode
from tarazu.tasks._task import Task
from tarazu.testing.tiny import TinyKind, byte_level, nli_items, qa_items

Tiny = Callable[[TinyKind], Path]
Ask = Callable[..., Asking]
WORDS = ["entailment", "neutral", "contradiction"]


def merging() -> Any:
    """Return a tokenizer that joins a colon with the space behind it."""
    core = byte_level(special=["<s>", "</s>"], bos=True, split=False, merges=[(":", "Ġ")])
    special = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, **special)


@pytest.mark.parametrize("kind", ["gpt2", "llama", "llama-chat"])
def test_t2_answer_tokens_are_the_difference_of_two_encodings(
    tiny: Tiny, ask: Ask, kind: TinyKind
) -> None:
    asking = ask(tiny(kind), chat=kind == "llama-chat")
    item = nli_items(1)[0]
    encoded = encode_prompts([item], [WORDS], asking, room=0)[0]
    prompt = prompt_text(item, asking)
    for word, tokens in zip(WORDS, encoded.answers, strict=True):
        text = prompt + (word if asking.chat else f" {word}")
        whole = asking.tokenizer(text, add_special_tokens=not asking.chat)["input_ids"]
        assert encoded.prompt + tokens == whole
        assert asking.tokenizer.decode(tokens).strip() == word


def test_t37_tokenizers_are_given_few_items_at_a_time(
    tiny: Tiny, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = ask(tiny("llama"))
    items = nli_items(7)
    expected = encode_prompts(items, [WORDS] * 7, asking, room=0)
    sizes = []

    def noted(texts: list[str], **settings: Any) -> Any:
        sizes.append(len(texts))
        return asking.tokenizer(texts, **settings)

    noted.eos_token_id = asking.tokenizer.eos_token_id  # type: ignore[attr-defined]
    monkeypatch.setattr(prompts, "AT_ONCE", 3)
    found = encode_prompts(items, [WORDS] * 7, replace(asking, tokenizer=noted), room=0)
    assert found == expected
    assert sizes == [3, 9, 3, 9, 1, 3]


def test_t13_tokens_that_merge_across_the_boundary_belong_to_the_answer(
    tiny: Tiny, ask: Ask
) -> None:
    tokenizer = merging()
    asking = ask(tiny("llama"), tokenizer=tokenizer)
    item = nli_items(1)[0]
    prompt = prompt_text(item, asking)
    alone = tokenizer(prompt)["input_ids"]
    encoded = encode_prompts([item], [WORDS], asking, room=0)[0]
    # The prompt alone ends in ":", with an answer in ": ".
    assert encoded.prompt == alone[:-1]
    for word, tokens in zip(WORDS, encoded.answers, strict=True):
        assert encoded.prompt + tokens == tokenizer(f"{prompt} {word}")["input_ids"]
        assert tokenizer.decode(tokens) == f": {word}"
    feature = encode([item], asking)[0]
    assert feature.labels[len(alone) - 1] != IGNORED
    trained = [label for label in feature.labels if label != IGNORED]
    assert tokenizer.decode(trained) == f": {item.gold[0]}</s>"


def chosen(shots: list[Item], item: Item) -> list[Item]:
    return shots


def test_t7_one_begin_token_with_and_without_chat_template(tiny: Tiny, ask: Ask) -> None:
    for kind, chat in (("llama", False), ("llama-chat", True), ("llama-chat", False)):
        asking = ask(tiny(kind), chat=chat)  # type: ignore[arg-type]
        shots = nli_items(2, seed=9)
        asking = replace(asking, demonstrations=partial(chosen, shots))
        encoded = encode_prompts(nli_items(2), [WORDS] * 2, asking, room=0)
        begin = asking.tokenizer.bos_token_id
        for one in encoded:
            assert one.prompt[0] == begin
            assert one.prompt.count(begin) == 1


@pytest.mark.parametrize("said", ["System role not supported", "roles must alternate user/..."])
def test_template_without_system_role_gets_the_instruction_in_the_first_question(
    tiny: Tiny, ask: Ask, said: str
) -> None:
    asking = ask(tiny("llama-chat"), chat=True)
    refuse = (
        f"{{% if messages[0]['role'] != 'user' %}}{{{{ raise_exception('{said}') }}}}{{% endif %}}"
    )
    item = nli_items(1)[0]
    plain = prompt_text(item, asking)
    asking.tokenizer.chat_template = refuse + asking.tokenizer.chat_template
    moved = prompt_text(item, asking)
    instruction = asking.task.instruction(asking.template)
    assert plain.startswith(f"<s>[system] {instruction}")
    assert moved.startswith(f"<s>[user] {instruction}\n\nPremise:")
    asking.tokenizer.chat_template = "{{ raise_exception('no turns today') }}"
    with pytest.raises(BadInput, match=r"models\.tiny.*no turns today"):
        prompt_text(item, asking)


def long_items() -> tuple[list[Item], list[Item]]:
    nli = [i.with_fields(premise="The cat is in the barn. " * 60) for i in nli_items(3)]
    qa = [
        i.with_fields(context=i.fields["context"] + " Ravi bought a map." * 90) for i in qa_items(3)
    ]
    return nli, qa


@pytest.mark.parametrize("kind", ["gpt2", "llama", "llama-chat"])
@pytest.mark.parametrize("which", ["nli", "qa"])
def test_t4_only_the_context_is_cut_and_counted(
    tiny: Tiny, ask: Ask, nli: Task, qa: Task, kind: TinyKind, which: str
) -> None:
    task, items = (nli, long_items()[0]) if which == "nli" else (qa, long_items()[1])
    asking = ask(tiny(kind), task=task, chat=kind == "llama-chat", max_length=260)
    for item, feature in zip(items, encode(items, asking), strict=True):
        assert len(feature.input_ids) <= 260
        text = asking.tokenizer.decode(feature.input_ids)
        kept = "hypothesis" if which == "nli" else "question"
        assert item.fields[kept] in text
        assert asking.task.instruction(asking.template).split(":")[0] in text
        answer = asking.tokenizer.decode([i for i in feature.labels if i != IGNORED])
        assert answer.strip() == item.gold[0] + asking.tokenizer.eos_token
        assert feature.terms > 0
        whole = encode([item], replace(asking, max_length=10_000))[0]
        assert whole.cut_tokens == 0
        # What is cut from the text may change how its last word is split, by a token or two.
        assert abs(len(whole.input_ids) - feature.cut_tokens - len(feature.input_ids)) <= 2
        assert feature.cut_tokens > 100


def test_t4_room_for_generating_is_kept(tiny: Tiny, ask: Ask, qa: Task) -> None:
    asking = ask(tiny("gpt2"), task=qa, max_length=260)
    for one in encode_prompts(long_items()[1], [()] * 3, asking, room=32):
        assert 260 - 32 - 3 <= len(one.prompt) <= 260 - 32


def test_t4_prompt_that_cannot_fit_is_refused(tiny: Tiny, ask: Ask) -> None:
    asking = ask(tiny("gpt2"), max_length=20)
    with pytest.raises(BadInput, match=r"the prompt without its premise must fit into 20 tokens"):
        encode(nli_items(1), asking)


def test_content_free_item_says_nothing(tiny: Tiny, ask: Ask) -> None:
    item = nli_items(1)[0]
    text = prompt_text(content_free(item), ask(tiny("gpt2")))
    assert text.endswith(f"Premise: {CONTENT_FREE}\nHypothesis: {CONTENT_FREE}\nLabel:")


def test_demonstrations_stand_before_the_item_with_their_answers(tiny: Tiny, ask: Ask) -> None:
    shots = nli_items(2, seed=5)
    asking = ask(tiny("gpt2"), demonstrations=lambda item: shots)
    text = prompt_text(nli_items(1)[0], asking)
    assert text.count("Label:") == 3
    assert f"Label: {shots[0].gold[0]}\n\nPremise: {shots[1].fields['premise']}" in text
