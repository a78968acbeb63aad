from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tarazu.models import hardware
from tarazu.models.hardware import (
    device_name,
    driver_version,
    has_card,
    obstacle,
    processor_name,
    too_old_for_torch,
    unused_accelerators,
)
from tarazu.record.record import Hardware


class Driver:
    """Stands in for libcuda: knows a version of CUDA, and answers `cuInit` with a number."""

    def __init__(self, version: int = 13000, answer: int = 0) -> None:
        self.version, self.answer = version, answer

    def cuDriverGetVersion(self, into: object) -> int:
        ctypes.cast(into, ctypes.POINTER(ctypes.c_int))[0] = self.version  # type: ignore[arg-type]
        return 0

    def cuInit(self, flags: int) -> int:
        return self.answer

    def cuGetErrorName(self, code: int, into: object) -> int:
        name = ctypes.c_char_p(b"CUDA_ERROR_SYSTEM_DRIVER_MISMATCH")
        ctypes.cast(into, ctypes.POINTER(ctypes.c_char_p))[0] = name  # type: ignore[arg-type]
        return 0


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    processor_name.cache_clear()
    driver_version.cache_clear()
    yield
    processor_name.cache_clear()
    driver_version.cache_clear()


@pytest.fixture
def cuda_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A CUDA build of torch without a driver, on a machine that shows no card."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: False)
    monkeypatch.setattr(hardware, "_driver_library", lambda: None)
    monkeypatch.setattr(hardware, "DEVICES", tmp_path / "dev")
    monkeypatch.setattr(hardware, "PROC", tmp_path / "proc")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return monkeypatch


def show(place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()


def reason() -> str:
    found = obstacle()
    assert found is not None
    assert found.remedy
    assert not found.expected
    return found.reason


def test_a_cuda_build_without_a_driver(cuda_build: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert reason() == "there is no NVIDIA driver (libcuda.so.1 cannot be loaded)"
    show(tmp_path / "dev/nvidia0")
    assert reason().startswith("an NVIDIA card is there, but the driver's library")


@pytest.mark.parametrize("value", ["", " ", "-1", "-1,0"])
def test_hidden_cards(cuda_build: pytest.MonkeyPatch, value: str) -> None:
    cuda_build.setenv("CUDA_VISIBLE_DEVICES", value)
    assert reason() == "CUDA_VISIBLE_DEVICES hides every card"


def test_a_fork_after_cuda_was_used(cuda_build: pytest.MonkeyPatch) -> None:
    cuda_build.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    assert "forked" in reason()


@pytest.mark.parametrize(
    ("driver", "visible", "said"),
    [
        (Driver(version=12040), None, "the NVIDIA driver knows CUDA 12.4, and torch is built for"),
        (Driver(answer=100), None, "the NVIDIA driver finds no card"),
        (Driver(answer=100), "7", "CUDA_VISIBLE_DEVICES names no card that is there"),
        (Driver(answer=803), "0", "does not start (CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, error 803)"),
        (Driver(version=13010), None, "the NVIDIA driver answers, but torch finds no card"),
    ],
)
def test_what_the_driver_answers(
    cuda_build: pytest.MonkeyPatch, driver: Driver, visible: str | None, said: str
) -> None:
    cuda_build.setattr(hardware, "_driver_library", lambda: driver)
    if visible is not None:
        cuda_build.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert said in reason()


def test_a_build_without_cuda_is_expected_to_use_none(
    cuda_build: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cuda_build.setattr(torch.version, "cuda", None)
    found = obstacle()
    assert found is not None
    assert found.expected
    show(tmp_path / "proc/driver/nvidia/version")
    assert "an NVIDIA card is there, but torch" in reason()


def test_rocm(cuda_build: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cuda_build.setattr(torch.version, "cuda", None)
    cuda_build.setattr(torch.version, "hip", "7.1")
    for name in ("HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        cuda_build.delenv(name, raising=False)
    assert "/dev/kfd is missing" in reason()
    show(tmp_path / "dev/kfd")
    assert reason() == "ROCm finds no card"
    cuda_build.setattr("os.access", lambda path, mode: False)
    assert "may not be opened" in reason()
    cuda_build.setenv("HIP_VISIBLE_DEVICES", "-1")
    assert reason() == "HIP_VISIBLE_DEVICES hides every card"


def test_a_usable_card_has_no_obstacle_and_torch_does_not_chatter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def chatter() -> bool:
        warnings.warn("CUDA initialization: something", stacklevel=1)
        return True

    monkeypatch.setattr(torch.cuda, "is_available", chatter)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert has_card()
        assert obstacle() is None


@pytest.mark.parametrize(
    ("capability", "built", "runs"),
    [
        ((7, 5), ["sm_75", "sm_80", "sm_90"], True),
        ((8, 9), ["sm_75", "sm_80", "sm_90"], True),  # binaries of 8.0
        ((6, 1), ["sm_75", "sm_80", "sm_90"], False),
        ((12, 0), ["sm_80", "sm_90"], False),
        ((12, 0), ["sm_80", "sm_90", "compute_90"], True),  # translated when it is loaded
        ((10, 0), ["sm_90a"], False),
        ((9, 0), ["sm_90a"], True),
        ((12, 1), ["sm_120"], True),
        ((7, 5), [], True),  # not told
    ],
)
def test_kernels_for_the_card(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], built: list[str], runs: bool
) -> None:
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: built)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    found = too_old_for_torch()
    assert (found is None) == runs
    if found is not None:
        assert f"compute capability {capability[0]}.{capability[1]} " in found.reason


CARD = SimpleNamespace(name="Tesla  T4", total_memory=15_835_660_288, major=7, minor=5)


def test_parts_of_a_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 2023\n"
    show(tmp_path / "driver/nvidia/version")
    (tmp_path / "driver/nvidia/version").write_text(told)
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Intel(R)  Xeon\n")
    monkeypatch.setattr(hardware, "PROC", tmp_path)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: CARD)
    parts = hardware.hardware("cuda")
    assert parts == Hardware(
        processor="Intel(R) Xeon",
        card="Tesla T4",
        card_memory=15_835_660_288,
        capability="7.5",
        driver="535.104.05",
    )
    assert device_name("cuda", parts, 8) == "cuda (Tesla T4, 15.8 GB)"
    assert device_name("cpu", parts, 8) == "cpu (Intel(R) Xeon, 8 threads)"
    assert hardware.hardware("cpu") == Hardware(processor="Intel(R) Xeon")


@pytest.mark.parametrize("error", [RuntimeError("no driver"), AssertionError("not compiled")])
def test_parts_that_are_not_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    def refuse(index: int) -> None:
        raise error

    monkeypatch.setattr(hardware, "PROC", tmp_path)
    monkeypatch.setattr(hardware.platform, "processor", str)
    monkeypatch.setattr(hardware.platform, "machine", str)
    monkeypatch.setattr(torch.cuda, "get_device_properties", refuse)
    assert hardware.hardware("cuda") == Hardware()
    assert device_name("cuda", Hardware(), 1) == "cuda"
    assert device_name("cpu", Hardware(), 1) == "cpu (1 thread)"


def test_the_driver_is_asked_of_nvidia_smi_where_no_file_tells_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 560.35.03\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setattr(hardware, "PROC", tmp_path)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert driver_version() == "560.35.03"


@pytest.mark.parametrize("script", ["printf '\\377\\n'", "yes", "exit 1", "sleep 5"])
def test_an_nvidia_smi_that_is_broken_tells_no_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str
) -> None:
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setattr(hardware, "PROC", tmp_path)
    monkeypatch.setattr(hardware, "_SECONDS", 0.5)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    driver_version.cache_clear()
    assert driver_version() is None


def raising(kind: type[Exception]) -> Callable[[], bool]:
    def refuse() -> bool:
        raise kind

    return refuse


def test_other_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.xpu, "is_available", lambda: True)
    assert unused_accelerators() == ["an Apple GPU", "an Intel GPU"]
    monkeypatch.setattr(torch.backends.mps, "is_available", raising(RuntimeError))
    monkeypatch.setattr(torch.xpu, "is_available", raising(RuntimeError))
    assert unused_accelerators() == []
