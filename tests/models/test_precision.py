from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

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
@pytest.mark.parametrize(
    ("has_it", "gain", "expected"),
    [
        (True, 4.0, "bfloat16"),
        (True, 0.5, "float32"),  # the instructions are there, and slow
        (True, 1.1, "float32"),  # not worth the rounding
        (False, 4.0, "float32"),
    ],
)
def test_auto_takes_what_the_processor_multiplies_fast(
    monkeypatch: pytest.MonkeyPatch, has_it: bool, gain: float, expected: str
) -> None:
    clock = iter_clock(gain)
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: has_it)
    monkeypatch.setattr(precision.time, "perf_counter", lambda: next(clock))
    precision.bf16_speedup.cache_clear()
    assert choose(ComputeSpec(threads=2)) == Precision("cpu", expected, 2)
    precision.bf16_speedup.cache_clear()


def iter_clock(gain: float) -> Iterator[float]:
    """Yield times as if bf16 products were `gain` times as fast, now and then disturbed."""
    now = 0.0
    for turn in itertools.count():
        yield now
        now += (1.0 if turn % 2 == 0 else 1.0 / gain) + (20.0 if turn in (0, 5, 8) else 0.0)
        yield now


def test_speed_of_bf16_is_measured_once_and_quickly() -> None:
    precision.bf16_speedup.cache_clear()
    start = time.perf_counter()
    first = precision.bf16_speedup()
    assert time.perf_counter() - start < 5
    assert precision.bf16_speedup() is first
    assert precision.cpu_is_faster_in_bf16() == (first > precision.WORTHWHILE)
    assert precision.bf16_speedup.cache_info().hits == 2


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
    with pytest.raises(BadInput, match=r"compute\.device: must be available, but got cuda, and "):
        choose(ComputeSpec(device="cuda"))
    with pytest.raises(BadInput, match=r"compute\.dtype: must be float32 or bfloat16 on a CPU"):
        choose(ComputeSpec(dtype="float16"))


@pytest.mark.usefixtures("no_cuda")
def test_a_refused_card_is_told_why_and_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    with pytest.raises(BadInput) as refused:
        choose(ComputeSpec(device="cuda"))
    (problem,) = refused.value.problems
    assert problem.value == "cuda, and CUDA_VISIBLE_DEVICES hides every card"
    assert problem.remedy.startswith("Unset it")
    assert "`tarazu doctor`" in problem.remedy


@pytest.mark.parametrize(
    ("chosen", "asked", "native", "gain", "said"),
    [
        (Precision("cpu", "bfloat16", 1), "auto", True, 2.14, "measured 2.1 times as fast as"),
        (Precision("cpu", "float32", 1), "auto", True, 0.5, "was measured only 0.5 times as fast"),
        (Precision("cpu", "float32", 1), "auto", False, 9.0, "has no bfloat16 instructions"),
        (Precision("cpu", "float32", 1), "float32", True, 9.0, "as compute.dtype says"),
        (Precision("cuda", "float16", 1), "auto", True, 9.0, "card has no native bfloat16"),
        (Precision("cuda", "bfloat16", 1), "auto", False, 0.1, "card computes it natively"),
    ],
)
def test_a_dtype_has_its_reason(
    monkeypatch: pytest.MonkeyPatch,
    chosen: Precision,
    asked: str,
    native: bool,
    gain: float,
    said: str,
) -> None:
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: native)
    monkeypatch.setattr(precision, "bf16_speedup", lambda: gain)
    assert said in precision.dtype_reason(chosen, ComputeSpec.model_validate({"dtype": asked}))


def test_autocast_runs_matrix_products_in_the_dtype() -> None:
    matrix = torch.ones(2, 2)
    with Precision("cpu", "bfloat16", 1).autocast():
        assert (matrix @ matrix).dtype == torch.bfloat16
    with Precision("cpu", "float32", 1).autocast():
        assert (matrix @ matrix).dtype == torch.float32
