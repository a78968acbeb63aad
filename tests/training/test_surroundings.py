"""A run is alone, whatever a cluster or a launcher says in the environment."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import accelerate
import accelerate.state
import pytest
import torch
from accelerate.state import AcceleratorState, DistributedType
from torch import Tensor

from tarazu.models.learner import Learner
from tarazu.processes import in_own_process
from tarazu.training import surroundings
from tarazu.training.device import Device
from tarazu.training.surroundings import allocator_variable, is_of_launcher, settle

# torchrun, Slurm, three kinds of MPI, and `accelerate launch` with everything switched on.
LAUNCHED = {
    "RANK": "1",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "2",
    "GROUP_RANK": "0",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29999",
    "TORCHELASTIC_RUN_ID": "a",
    "PMI_RANK": "1",
    "PMI_SIZE": "4",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "MV2_COMM_WORLD_RANK": "1",
    "MV2_COMM_WORLD_SIZE": "4",
    "MPI_LOCALRANKID": "1",
    "MPI_LOCALNRANKS": "2",
    "ACCELERATE_TORCH_DEVICE": "meta",
    "ACCELERATE_USE_CPU": "true",
    "ACCELERATE_MIXED_PRECISION": "bf16",
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "4",
    "ACCELERATE_DYNAMO_BACKEND": "eager",
    "ACCELERATE_USE_DEEPSPEED": "true",
    "ACCELERATE_USE_FSDP": "true",
    "ACCELERATE_USE_MEGATRON_LM": "true",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "true",
    "ACCELERATE_CPU_AFFINITY": "1",
    "PARALLELISM_CONFIG_DP_SHARD_SIZE": "4",
    "FSDP_OFFLOAD_PARAMS": "true",
    "FORK_LAUNCHED": "1",
}
# Of each of these alone a process goes wrong, or computes something else.
HARMFUL = (
    "LOCAL_RANK",
    "WORLD_SIZE",
    "PMI_SIZE",
    "OMPI_COMM_WORLD_SIZE",
    "MV2_COMM_WORLD_SIZE",
    "ACCELERATE_TORCH_DEVICE",
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS",
    "ACCELERATE_DYNAMO_BACKEND",
    "ACCELERATE_USE_DEEPSPEED",
    "ACCELERATE_USE_MEGATRON_LM",
)
# What `accelerate` reads that says nothing about a group, or only of kinds of devices that are not
# ours, and is looked at when it is imported.
LEFT = {
    "OMP_NUM_THREADS", "NCCL_P2P_DISABLE", "NCCL_IB_DISABLE", "XLA_USE_BF16", "XLA_DOWNCAST_BF16",
    "PT_HPU_LAZY_MODE", "PYTORCH_ENABLE_MPS_FALLBACK", "DEEPSPEED_USE_HPU",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    """Let `accelerate` look at the environment again, as in a process of its own."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def gradient(learner: Learner) -> tuple[Device, Tensor]:
    """Return the device, and the gradient of a sum over the head."""
    learner.head.requires_grad_(True)  # type: ignore[union-attr]
    device = Device(learner)
    device.prepare(torch.optim.SGD([p for _, p in learner.named_trained()], lr=0.1))
    device.backward(sum(p.sum() for p in learner.head.parameters()))  # type: ignore[union-attr]
    return device, next(learner.head.parameters()).grad.clone()  # type: ignore[union-attr]


@pytest.mark.parametrize("name", HARMFUL)
def test_no_variable_of_a_launcher_changes_how_a_run_trains(
    name: str, load: Callable[..., Learner], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, plain = gradient(load("bert", "classes"))
    AcceleratorState._reset_state(reset_partial_state=True)
    for other in ("MASTER_ADDR", "MASTER_PORT", "RANK"):
        monkeypatch.setenv(other, LAUNCHED[other])
    monkeypatch.setenv(name, LAUNCHED[name])
    device, found = gradient(load("bert", "classes"))
    state = device._accelerator
    assert state.distributed_type is DistributedType.NO
    assert (state.num_processes, state.mixed_precision) == (1, "no")
    assert state.gradient_accumulation_steps == 1
    assert device.name == torch.device("cpu")
    assert type(device._wrapped) is Learner  # and not compiled
    assert torch.equal(found, plain)
    assert os.environ[name] == LAUNCHED[name]  # of whoever trains in a process of theirs


def test_all_that_accelerate_reads_is_known() -> None:
    """A new version may read more: each name is decided about, once."""
    folder = Path(inspect.getfile(accelerate)).parent
    files = [folder / "state.py", folder / "accelerator.py", folder / "parallelism_config.py"]
    text = "".join(file.read_text() for file in files)
    text += inspect.getsource(accelerate.state.get_cpu_distributed_information)
    names = set(re.findall(r'(?:environ\.get\(|environ\[|_from_env\()\s*"(\w+)"', text))
    names |= set(
        re.findall(r'"(\w+)"', " ".join(re.findall(r"from_env\(\s*\[(.*?)\]", text, re.S)))
    )
    assert {"LOCAL_RANK", "PMI_SIZE", "ACCELERATE_TORCH_DEVICE", "ACCELERATE_USE_CPU"} <= names
    assert {name for name in names if not is_of_launcher(name)} <= LEFT
    assert all(is_of_launcher(name) for name in LAUNCHED)


def surrounding(*, tell: Any) -> dict[str, str]:
    """Return the environment of a run's process."""
    return dict(os.environ)


def test_a_process_of_a_run_knows_of_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "_KERNEL", Path("/nowhere"))
    for name, value in LAUNCHED.items():
        monkeypatch.setenv(name, value)
    for name in surroundings._ALLOCATOR:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    before = dict(os.environ)
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
    found = in_own_process(surrounding, tell=print)
    assert not [name for name in found if is_of_launcher(name)]
    assert found["SLURM_JOB_ID"] == "7"
    assert dict(os.environ) == before
    expected = allocator_variable()
    assert expected is not None
    assert found[expected] == "expandable_segments:True"


@pytest.mark.parametrize(
    ("installed", "kernel", "expected"),
    [
        ("2.13.0", "6.8.0-generic", "PYTORCH_ALLOC_CONF"),
        ("2.13.0+cu130", "6.8.0-generic", "PYTORCH_ALLOC_CONF"),
        ("2.6.0", "6.8.0-generic", "PYTORCH_CUDA_ALLOC_CONF"),
        ("2.13.0+rocm7.1", "6.8.0-generic", None),
        ("2.13.0", "5.15.90.1-microsoft-standard-WSL2", None),
    ],
)
def test_segments_grow_where_pytorch_can_let_them(
    installed: str,
    kernel: str,
    expected: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "osrelease").write_text(kernel)
    monkeypatch.setattr(surroundings, "_KERNEL", tmp_path / "osrelease")
    monkeypatch.setattr(surroundings, "version", lambda name: installed)
    variables: dict[str, str] = {}
    settle(variables)
    assert variables == ({expected: "expandable_segments:True"} if expected else {})


@pytest.mark.parametrize("given", surroundings._ALLOCATOR)
def test_the_users_own_setting_of_the_allocator_stays(given: str) -> None:
    variables = {given: "max_split_size_mb:128"}
    settle(variables)
    assert variables == {given: "max_split_size_mb:128"}
