from __future__ import annotations

import pytest
import torch

from tarazu.errors import BadInput
from tarazu.models import precision
from tarazu.models.precision import Precision, choose
from tarazu.record.spec import ComputeSpec


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("no_cuda")
@pytest.mark.parametrize(("bf16", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_takes_what_the_processor_multiplies_fast(
    monkeypatch: pytest.MonkeyPatch, bf16: bool, expected: str
) -> None:
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: bf16)
    assert choose(ComputeSpec(threads=2)) == Precision("cpu", expected, 2)


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")]
)
def test_auto_gives_old_cards_fp16(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert choose(ComputeSpec(threads=1)) == Precision("cuda", expected, 1)


@pytest.mark.usefixtures("no_cuda")
def test_missing_card_and_fp16_on_a_cpu_are_refused() -> None:
    with pytest.raises(BadInput, match=r"compute\.device: must be available, but got cuda"):
        choose(ComputeSpec(device="cuda"))
    with pytest.raises(BadInput, match=r"compute\.dtype: must be float32 or bfloat16 on a CPU"):
        choose(ComputeSpec(dtype="float16"))


def test_autocast_runs_matrix_products_in_the_dtype() -> None:
    matrix = torch.ones(2, 2)
    with Precision("cpu", "bfloat16", 1).autocast():
        assert (matrix @ matrix).dtype == torch.bfloat16
    with Precision("cpu", "float32", 1).autocast():
        assert (matrix @ matrix).dtype == torch.float32
