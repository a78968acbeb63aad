from __future__ import annotations

from pathlib import Path

import pytest

from tarazu.record.aside import bring_back, set_aside
from tarazu.record.record import RunRecord
from tarazu.record.store import Store
from tarazu.testing.records import make_record

OLD, NEW, NEWEST = "a" * 64, "b" * 64, "c" * 64


def write(folder: Path, versions: str, **changes: object) -> RunRecord:
    record = make_record("lora", **changes)  # type: ignore[arg-type]
    environment = record.environment.model_copy(update={"hash": versions})
    return Store(folder).write_record(record.model_copy(update={"environment": environment}))


def versions_in(folder: Path, name: str) -> list[str]:
    return sorted(place.name[-12:][0] for place in folder.glob(f"{name}/*"))


def test_only_runs_of_other_versions_and_of_these_entries_go(tmp_path: Path) -> None:
    write(tmp_path, OLD, seed=1)
    write(tmp_path, NEW, seed=2)
    store = Store(tmp_path, NEW)
    assert set_aside(store, {"full"}) == []
    assert [r.seed for r in set_aside(store, {"lora"})] == [1]
    assert [r.seed for r in store.records()] == [2]
    assert set_aside(Store(tmp_path), {"lora"}) == []


def test_of_several_versions_the_one_made_last_comes_back(tmp_path: Path) -> None:
    for versions, finished in ((OLD, "2026-01-02"), (NEW, "2026-01-03"), (NEWEST, "2026-01-01")):
        write(tmp_path, versions, finished=finished)
        set_aside(Store(tmp_path, "d" * 64), {"lora"})
    store = Store(tmp_path)
    assert bring_back(store, {"full"}) == []
    assert [r.environment.hash for r in bring_back(store, {"lora"})] == [NEW]
    assert [r.environment.hash for r in store.records()] == [NEW]
    assert versions_in(tmp_path, "stale") == ["a", "c"]
    assert bring_back(store, {"lora"}) == []


@pytest.mark.parametrize("versions", [OLD, None])
def test_what_was_made_since_is_not_replaced_unless_it_failed(
    tmp_path: Path, versions: str | None
) -> None:
    write(tmp_path, OLD)
    set_aside(Store(tmp_path, NEW), {"lora"})
    store = Store(tmp_path, versions)
    write(tmp_path, NEW)
    assert bring_back(store, {"lora"}) == []
    write(tmp_path, NEW, status="failed", error="no longer works")
    assert [r.environment.hash for r in bring_back(store, {"lora"})] == [OLD]
    assert [(r.status, r.environment.hash) for r in store.records()] == [("done", OLD)]
    assert versions_in(tmp_path, "stale") == ["b"]


def test_failed_and_unreadable_runs_stay_aside(tmp_path: Path) -> None:
    write(tmp_path, OLD, seed=1, status="failed", error="killed")
    write(tmp_path, OLD, seed=2)
    set_aside(Store(tmp_path, NEW), {"lora"})
    for file in tmp_path.glob("stale/*s2*/record.json"):
        file.write_text("{}")
    assert bring_back(Store(tmp_path, OLD), {"lora"}) == []
    assert len(list(tmp_path.glob("stale/*"))) == 2
