from __future__ import annotations

from tarazu.catalog import find_method, find_task
from tarazu.counting import count
from tarazu.models.cards import find_card
from tarazu.models.config import info_from_config
from tarazu.space import Space, space_of, total
from tarazu.study_file import Entry

MIB = 1 << 20


def test_trained_weights_and_checkpoints_follow_from_counted_parameters() -> None:
    card = find_card("minilm")
    assert card is not None
    info = info_from_config(card.id, card.config, card=card)
    task, method = find_task("multinli"), find_method("lora")
    entry = Entry("lora", method, "minilm", method.knobs(), {}, {})
    counted = count(method, info, task, entry.knobs)
    numbers = counted.trained + counted.head
    # fp32; three checkpoints while the third is written: weights, best weights and two moments.
    assert space_of(entry, info, task) == Space(MIB + 4 * numbers, 0, 3 * 4 * 4 * numbers)
    assert space_of(Entry("majority", find_method("majority"), None, None, {}, {}), None, task) == (  # type: ignore[arg-type]
        Space(MIB)
    )


def test_what_passes_is_counted_once_and_what_stays_every_time() -> None:
    runs = [Space(10, 5, 100), Space(20, 300, 1), Space(30)]
    assert total(runs) == 60 + 301
    assert [run.least for run in runs] == [15, 320, 30]
    assert total([]) == 0
