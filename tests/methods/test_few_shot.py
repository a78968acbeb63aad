"""Demonstrations: out of the training split only, and none that gives the item away (trap T15)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sklearn import preprocessing
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors

from tarazu import catalog
from tarazu.data.item import Item
from tarazu.errors import BadInput
from tarazu.methods.few_shot import FewShotKnobs, _Nearest, _nearest
from tarazu.testing.tiny import nli_items, qa_items

METHOD = catalog.find_method("few-shot")
NLI, QA = catalog.find_task("multinli"), catalog.find_task("squad")
HOW = ["random", "balanced", "similar"]


def choose(pool: list[Item], item: Item, how: str, k: int, seed: int = 0) -> list[Item]:
    assert METHOD.demonstrations is not None
    knobs = FewShotKnobs(k=k, select=how)
    return list(METHOD.demonstrations(knobs, NLI, pool, seed).choose(item))


@pytest.mark.parametrize("how", HOW)
def test_t15_demonstrations_are_training_items(how: str) -> None:
    train, test = nli_items(40, seed=1), nli_items(10, seed=2)
    for item in test:
        shots = choose(train, item, how, 3)
        assert len(shots) == len({shot.id for shot in shots}) == 3
        assert all(shot in train for shot in shots)


def test_a_draw_stands_above_the_seed() -> None:
    train, (item, *_) = nli_items(40, seed=1), nli_items(1, seed=2)
    assert METHOD.demonstrations is not None

    def drawn(draw: int | None, seed: int) -> list[Item]:
        assert METHOD.demonstrations is not None
        knobs = FewShotKnobs(k=3, draw=draw)
        return list(METHOD.demonstrations(knobs, NLI, train, seed).choose(item))

    assert drawn(5, 0) == drawn(5, 1) == drawn(None, 5)
    assert drawn(5, 0) != drawn(6, 0)
    assert "draw 5" in METHOD.demonstrations(FewShotKnobs(draw=5), NLI, train, 0).how
    assert not METHOD.seeded(FewShotKnobs(draw=5))
    assert METHOD.seeded(FewShotKnobs())


@pytest.mark.parametrize("how", HOW)
def test_t15_neither_the_item_nor_its_group_is_shown(how: str) -> None:
    """The training split holds the test items themselves, copies, and many rows of each group."""
    test = nli_items(4, seed=2)
    copies = [
        replace(item, id=f"copy-{item.id}-{style}", group=f"elsewhere-{style}", fields=fields)
        for item in test
        for style, fields in enumerate(
            (item.fields, {n: f" {t.upper()}!" for n, t in item.fields.items()})
        )
    ]
    siblings = [
        replace(item, id=f"{item.id}-{i}", fields={**item.fields, "hypothesis": f"It is {i}."})
        for item in test
        for i in range(40)
    ]
    pool = [*test, *copies, *siblings, *nli_items(6, seed=7)]
    for seed in range(3):
        for item in test:
            shots = choose(pool, item, how, 3, seed)
            assert len(shots) == 3
            for shot in shots:
                assert shot.group != item.group
                assert not shot.id.startswith(f"copy-{item.id}-"), "the item with its answer"


def test_t15_the_order_is_drawn_by_the_seed_and_not_by_label() -> None:
    train, item = nli_items(60, seed=1), nli_items(1, seed=2)[0]
    orders = {tuple(s.id for s in choose(train, item, "random", 4, seed)) for seed in range(8)}
    assert len(orders) == 8
    by_label = sorted(train, key=lambda one: one.gold)
    golds = {tuple(s.gold[0] for s in choose(by_label, item, "random", 6, s)) for s in range(8)}
    assert any(list(gold) != sorted(gold) for gold in golds)
    assert choose(train, item, "random", 4, 5) == choose(train, item, "random", 4, 5)


def test_balanced_takes_classes_in_turn() -> None:
    train = [*nli_items(60, seed=1), *(i for i in nli_items(90, seed=3) if i.gold[0] == "neutral")]
    starts = set()
    for seed in range(6):
        shots = choose(train, nli_items(1, seed=2)[0], "balanced", 6, seed)
        assert set(Counter(shot.gold[0] for shot in shots).values()) == {2}
        starts.add(shots[0].gold[0])
    assert len(starts) > 1, "else one class would always stand first"


def test_similar_puts_the_nearest_next_to_the_item() -> None:
    item = Item(
        "x", "g", {"premise": "The wet owl is in the barn.", "hypothesis": "b"}, ("neutral",)
    )
    near = replace(item, id="near", group="n", fields={**item.fields, "hypothesis": "c"})
    pool = [*nli_items(20, seed=1), near, *nli_items(20, seed=3)]
    assert choose(pool, item, "similar", 3)[-1] is near


@pytest.mark.parametrize("how", HOW)
def test_too_few_demonstrations_are_refused(how: str) -> None:
    with pytest.raises(BadInput, match=r"few-shot, k: .*at most the 2 .*, but got 3"):
        choose(nli_items(2, seed=1), nli_items(1, seed=2)[0], how, 3)
    item = nli_items(1, seed=2)[0]
    pool = [replace(one, group=item.group) for one in nli_items(9, seed=1)]
    with pytest.raises(BadInput, match=r"share its group, but got 0"):
        choose(pool, item, how, 1)


def test_span_tasks_get_demonstrations_too() -> None:
    assert METHOD.demonstrations is not None
    for how in HOW:
        knobs = FewShotKnobs(k=2, select=how)
        shots = METHOD.demonstrations(knobs, QA, qa_items(30, seed=1), 0)
        for item in qa_items(5, seed=2):
            assert len(list(shots.choose(item))) == 2


def test_seeds_matter_only_where_something_is_drawn() -> None:
    assert METHOD.seeded(FewShotKnobs())
    assert not METHOD.seeded(FewShotKnobs(select="similar"))
    assert METHOD.seeded(FewShotKnobs(select="similar", decode={"temperature": 0.7}))


def made_up(count: int, words: int, seed: int) -> list[str]:
    """Make texts up: some words are frequent, some texts are equal, one has no word at all."""
    draw = random.Random(seed)
    texts = [
        " ".join(f"w{int(words * draw.random() ** 3)}" for _ in range(draw.randint(3, 25)))
        for _ in range(count - count // 4 - 1)
    ]
    return [*texts, *draw.choices(texts, k=count // 4), "?"]


def old_way(pool: list[str]) -> Callable[[str, int], list[int]]:
    """Return scikit-learn's own search for neighbours."""
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    vectors = vectorizer.fit_transform(pool)
    index = NearestNeighbors(metric="cosine", algorithm="brute").fit(vectors)

    def nearest(text: str, count: int) -> list[int]:
        _, rows = index.kneighbors(vectorizer.transform([text]), n_neighbors=count)
        found: list[int] = rows[0].tolist()
        return found

    return nearest


@pytest.mark.parametrize("words", [20, 2_000])
@pytest.mark.parametrize("count", [1, 20, 400])
def test_the_most_similar_are_those_of_scikit_learn_among_equals_too(
    words: int, count: int
) -> None:
    pool = made_up(400, words, seed=1)
    old, index = old_way(pool), _Nearest(pool)
    for text in [*made_up(60, words, seed=2), *pool[:20], ""]:
        assert _nearest(index.distances(text), count).tolist() == old(text, count)


def test_what_hangs_on_the_pool_alone_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    whole = preprocessing.normalize

    def noted(vectors: Any, **how: Any) -> Any:
        rows.append(vectors.shape[0])
        return whole(vectors, **how)

    monkeypatch.setattr(preprocessing, "normalize", noted)
    monkeypatch.setattr("sklearn.metrics.pairwise.normalize", noted)
    assert METHOD.demonstrations is not None
    knobs = FewShotKnobs(k=2, select="similar")
    shots = METHOD.demonstrations(knobs, NLI, nli_items(30, seed=1), 0)
    for item in nli_items(5, seed=2):
        shots.choose(item)
    assert sorted(rows) == [1] * 5 + [30]
