"""Tiny models and items for tests: deterministic, made in milliseconds, nothing downloaded.

A tiny model is a folder in the layout of `transformers` (``config.json``, ``model.safetensors``, a
fast tokenizer), so that tests go through the same code as real models. Its weights are random: it
knows nothing, but it computes what an architecture computes.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

from tarazu.data.item import Item
from tarazu.models.config import info_from_config
from tarazu.models.info import ModelInfo

TinyKind = Literal["bert", "roberta", "gpt2", "llama", "llama-chat"]
TINY_KINDS: tuple[TinyKind, ...] = get_args(TinyKind)
"""``bert`` and ``roberta``: encoders. ``gpt2``: Conv1D layers, tied. ``llama``: grouped-query
attention, tied, a tokenizer that writes ``<s>`` in front. ``llama-chat``: the same, with a chat
template that writes it too. No decoder has a padding token."""

HIDDEN = 32
LAYERS = 3
POSITIONS = 512

_ANIMALS = ("cat", "dog", "horse", "owl")
_PLACES = ("barn", "garden", "house", "river")
_STATES = {"asleep": "awake", "hungry": "full", "wet": "dry", "old": "young"}
_NAMES = ("Nora", "Omid", "Ravi", "Sara")
_THINGS = ("lamp", "drum", "map", "kite")
_WORDS = (
    *[
        "Judge",
        "the",
        "hypothesis",
        "by",
        "premise",
        "entailment",
        "if",
        "it",
        "must",
        "be",
        "true",
        "neutral",
        "may",
        "or",
        "false",
    ],
    *[
        "cannot",
        "Answer",
        "with",
        "one",
        "of",
        "Premise",
        "Hypothesis",
        "Label",
        "question",
        "shortest",
        "span",
    ],
    *[
        "context",
        "that",
        "answers",
        "Context",
        "Question",
        "Answer",
        "is",
        "in",
        "a",
        "very",
        "who",
        "bought",
        "The",
        "Who",
    ],
    *(*_ANIMALS, *_PLACES, *_STATES, *_STATES.values(), *_NAMES, *_THINGS),
)
# No chain of merges reaches the whole word: this label takes several tokens, the others one.
_PARTS = ("contra", "diction")
_CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)


def tiny_model(folder: Path, kind: TinyKind, *, seed: int = 0) -> Path:
    """Write a tiny model with random weights and a tokenizer of a few hundred tokens.

    Args:
        folder: Created when missing.
        kind: Architecture, see `TINY_KINDS`.
        seed: Of the weights.

    Returns:
        The folder.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer(kind)
    tokenizer.save_pretrained(folder)
    auto = AutoModelForMaskedLM if kind in ("bert", "roberta") else AutoModelForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # and of no card: its state is not put back
        model = auto.from_config(_config(kind, tokenizer))
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):  # zeros would hide a bias that is left out
                torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(folder)
    return folder


def tiny_info(folder: Path, name: str = "tiny") -> ModelInfo:
    """Describe a model in a folder, as a study does."""
    return info_from_config(name, json.loads((folder / "config.json").read_text("utf-8")))


def _config(kind: TinyKind, tokenizer: Any) -> Any:
    from transformers import AutoConfig

    shape = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        # Wide enough that a changed token visibly changes the output.
        "initializer_range": 0.15,
    }
    if kind == "gpt2":
        return AutoConfig.for_model(
            "gpt2", n_embd=HIDDEN, n_layer=LAYERS, n_head=4, n_positions=POSITIONS, **shape
        )
    shape |= {
        "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "intermediate_size": 2 * HIDDEN,
        "max_position_embeddings": POSITIONS,
    }
    if kind in ("llama", "llama-chat"):
        shape |= {"num_key_value_heads": 2, "tie_word_embeddings": True}
    if kind == "roberta":
        shape |= {"max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1}
    return AutoConfig.for_model(kind.removesuffix("-chat"), **shape)


def tiny_tokenizer(kind: TinyKind) -> Any:
    """Make the tokenizer of a tiny model: WordPiece for ``bert``, else byte-level BPE."""
    from transformers import PreTrainedTokenizerFast

    if kind == "bert":
        return PreTrainedTokenizerFast(
            tokenizer_object=_word_piece(),
            model_input_names=["input_ids", "token_type_ids", "attention_mask"],
            pad_token="[PAD]",
            unk_token="[UNK]",
            mask_token="[MASK]",
            cls_token="[CLS]",
            sep_token="[SEP]",
        )
    special = {
        "roberta": {
            "bos_token": "<s>",
            "eos_token": "</s>",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "cls_token": "<s>",
            "sep_token": "</s>",
            "mask_token": "<mask>",
        },
        "gpt2": {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
    }.get(kind, {"bos_token": "<s>", "eos_token": "</s>"})
    # RoBERTa counts positions from its padding token's id, which is 1.
    order = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] if kind == "roberta" else special.values()
    core = byte_level(special=dict.fromkeys(order), bos=kind.startswith("llama"))
    if kind == "roberta":
        core.post_processor = _around("<s>", "</s>", "</s> </s>", core, token_type=0)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, model_input_names=["input_ids", "attention_mask"], **special
    )
    if kind == "llama-chat":
        tokenizer.chat_template = _CHAT_TEMPLATE
    return tokenizer


def byte_level(
    *,
    special: Iterable[str],
    bos: bool,
    split: bool = True,
    merges: Iterable[tuple[str, str]] = (),
) -> Any:
    """Make a byte-level BPE in which every word of the tiny items, with its space, is one token.

    Args:
        special: Special tokens, which get the lowest ids.
        bos: Whether the first special token is written in front of every text.
        split: Whether words are told apart first, as GPT-2 does; without it merges may cross
            from one word into the next.
        merges: Merges that come before all others, such as ``(":", "Ġ")``.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    special = list(special)
    chain = list(dict.fromkeys([*merges, *_merges()]))
    tokens = [*special, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {t: i for i, t in enumerate(dict.fromkeys([*tokens, *map("".join, chain)]))}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=chain))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(special)
    if bos:
        core.post_processor = processors.TemplateProcessing(
            single=f"{special[0]} $A",
            pair=f"{special[0]} $A $B:1",
            special_tokens=[(special[0], core.token_to_id(special[0]))],
        )
    return core


def _merges() -> list[tuple[str, str]]:
    """Return merges that build each word letter by letter, those with a space first."""
    words = [f"Ġ{word}" for word in _WORDS] + [f"Ġ{_PARTS[0]}", *_PARTS, *_WORDS]
    return [(word[:end], word[end]) for word in words for end in range(1, len(word))]


def _word_piece() -> Any:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    letters = [chr(code) for code in range(33, 127)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    tokens += [f"##{letter}" for letter in letters] + [word.lower() for word in _WORDS]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    core = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer(lowercase=True)
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = decoders.WordPiece()
    core.post_processor = _around("[CLS]", "[SEP]", "[SEP]", core, token_type=1)
    return core


def _around(first: str, last: str, between: str, core: Any, *, token_type: int) -> Any:
    """Write special tokens around one text and between two."""
    from tokenizers import processors

    return processors.TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {between} $B:{token_type} {last}:{token_type}",
        special_tokens=[(token, core.token_to_id(token)) for token in (first, last)],
    )


def nli_items(count: int, *, seed: int = 0) -> list[Item]:
    """Make items of inference whose label follows from the words; lengths differ.

    Args:
        count: How many; labels take turns.
        seed: Of everything drawn.
    """
    draw = random.Random(seed)
    items = []
    for index in range(count):
        label = ("entailment", "neutral", "contradiction")[index % 3]
        animal, place = draw.choice(_ANIMALS), draw.choice(_PLACES)
        state = draw.choice(list(_STATES))
        other = draw.choice([one for one in _STATES if one != state])
        said = {"entailment": state, "neutral": other, "contradiction": _STATES[state]}[label]
        very = "very " * draw.randrange(8)
        premise = f"The {very}{state} {animal} is in the {place}."
        fields = {"premise": premise, "hypothesis": f"The {animal} is {said}."}
        items.append(Item(f"nli-{seed}-{index}", premise, fields, (label,)))
    return items


def qa_items(count: int, *, seed: int = 0) -> list[Item]:
    """Make items of question answering whose answer stands in the context; lengths differ.

    Args:
        count: How many.
        seed: Of everything drawn.
    """
    draw = random.Random(seed)
    items = []
    for index in range(count):
        names = draw.sample(_NAMES, draw.randrange(2, 5))
        things = draw.sample(_THINGS, len(names))
        context = " ".join(
            f"{name} bought a {thing}." for name, thing in zip(names, things, strict=True)
        )
        asked = draw.randrange(len(names))
        fields = {"context": context, "question": f"Who bought a {things[asked]}?"}
        start = context.find(names[asked])
        items.append(Item(f"qa-{seed}-{index}", context, fields, (names[asked],), (start,)))
    return items


def write_nli(file: Path, items: Sequence[Item]) -> None:
    """Write items as a CSV file with the columns premise, hypothesis and label."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["premise", "hypothesis", "label"])
        for item in items:
            writer.writerow([item.fields["premise"], item.fields["hypothesis"], item.gold[0]])


def write_qa(file: Path, items: Sequence[Item]) -> None:
    """Write items as JSON lines with the columns of SQuAD."""
    rows = [
        {
            "context": item.fields["context"],
            "question": item.fields["question"],
            "answers": {"text": list(item.gold), "answer_start": list(item.starts)},
        }
        for item in items
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
