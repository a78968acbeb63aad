from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from tarazu.models import mapped_pages
from tarazu.models.load import load_learner
from tarazu.models.mapped_pages import give_pages_back, pages_given_back
from tarazu.models.precision import Precision
from tarazu.testing import tiny
from tarazu.testing.tiny import tiny_info, tiny_model

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="pages are given back on Linux only"
)
SIZE = 64 << 20


@pytest.fixture(params=["in place", "linked"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file of 64 MiB, or a link to one of another name, as a cache of the Hub has."""
    place = tmp_path / "model"
    place.mkdir()
    file = place / "model.safetensors"
    if request.param == "linked":
        blob = tmp_path / "0123abcd"
        file.symlink_to(blob)
        file = blob
    save_file({"w": torch.arange(SIZE // 4, dtype=torch.int32)}, file)
    return place


def mapped(folder: Path) -> Tensor:
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        return file.get_tensor("w")


def test_pages_go_and_come_again_with_the_same_numbers(folder: Path) -> None:
    before = mapped_pages._resident_file_bytes()
    weight = mapped(folder)
    total = int(weight.sum())
    assert mapped_pages._resident_file_bytes() - before > 0.9 * SIZE
    give_pages_back(folder)
    assert mapped_pages._resident_file_bytes() - before < 0.2 * SIZE
    assert int(weight.sum()) == total


def test_pages_of_other_files_stay(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    before = mapped_pages._resident_file_bytes()
    weight = mapped(folder)
    weight.sum()
    give_pages_back(other)
    assert mapped_pages._resident_file_bytes() - before > 0.9 * SIZE


def test_4_bit_weights_are_the_same_however_often_pages_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny, "HIDDEN", 128)
    base = tiny_model(tmp_path / "model", "llama")
    info, precision = tiny_info(base), Precision("cpu", "bfloat16", 1)

    def packed() -> dict[str, Tensor]:
        learner = load_learner(base, info, "text", 0, precision, four_bit=True)
        return {name: p.detach().clone() for name, p in learner.named_parameters()}

    given: list[Path] = []
    usual = mapped_pages.give_pages_back

    def give(folder: Path) -> None:
        given.append(folder)
        usual(folder)

    expected = packed()
    monkeypatch.setattr(mapped_pages, "give_pages_back", give)
    monkeypatch.setattr(mapped_pages, "_ENOUGH", 0)
    monkeypatch.setattr(mapped_pages, "_INTERVAL", 0.001)
    found = packed()
    assert len(given) > 3
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_where_there_is_no_linux_nothing_is_tried(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(mapped_pages, "give_pages_back", lambda folder: pytest.fail("tried"))
    with pages_given_back(folder):
        pass
