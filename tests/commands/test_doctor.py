"""`tarazu doctor` in ordinary and in hostile surroundings: it always ends, and names nobody."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import tarazu
from tarazu.cli import app
from tarazu.commands import _machine, _privacy, _torch_probe
from tarazu.commands import doctor as module
from tarazu.commands._judge import Finding, judge
from tarazu.commands._privacy import Privacy
from tarazu.commands.doctor import Diagnosis, doctor
from tarazu.record import holder, lock, mounted
from tarazu.record.store import Store

ROOT = Path(__file__).parents[2]
KEYS = {
    "schema", "fit", "problems", "system", "versions", "unmet", "memory", "home", "storage",
    "caches", "ledger", "hub", "variables", "output", "torch", "cards", "would_use", "cores",
    "not_read",
}  # fmt: skip
CPU = {
    "build": {"version": "2.13.0", "cuda": None, "hip": None, "xpu": None},
    "obstacle": {"reason": "torch is built without CUDA", "remedy": "None.", "expected": True},
    "kernels": None,
    "unused": [],
    "cards": [],
    "driver": None,
    "processor": "Acme 9",
    "bf16": {"instructions": True, "speedup": 2.0},
    "would_use": {"device": "cpu", "dtype": "bfloat16", "dtype_reason": "fast", "threads": 2},
    "four_bit": {"library": "libbitsandbytes_cpu.so", "reason": None},
    "failed": {},
}
T4 = {"name": "Tesla T4", "memory": 15_800_000_000, "capability": "7.5", "id": "abc-1"}


class Probe:
    """Stands in for the process that asks torch."""

    def __init__(self, answer: str = "", code: int = 0, error: str = "") -> None:
        self.returncode, self._out, self._error = code, answer, error

    def communicate(self, timeout: float) -> tuple[bytes, bytes]:
        return self._out.encode(), self._error.encode()


@pytest.fixture
def torch_says(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def say(**changes: Any) -> None:
        answer = json.dumps({**CPU, **changes})
        monkeypatch.setattr(module, "_start_torch", lambda: Probe(answer))

    say()
    return say


def what(found: Diagnosis, severity: str | None = None) -> str:
    return "\n".join(p.what for p in found.problems if severity in (None, p.severity))


def test_the_command_as_it_is_given(tmp_path: Path) -> None:
    """In a process of its own, with torch as it is here."""
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT / "src"), "HOME": str(tmp_path),
        "HF_TOKEN": "hf_abcdefghijklmnopqrstuvwxyz", "HTTPS_PROXY": "http://me:pass@proxy:1",
    }  # fmt: skip
    before = time.process_time(), os.times().children_user
    command = [sys.executable, "-m", "tarazu", "doctor", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode in (0, 1), done.stderr
    assert os.times().children_user - before[1] < 10  # seconds of work; it waits on a busy machine
    found = json.loads(done.stdout)
    assert set(found) == KEYS
    assert found["not_read"] == {}
    assert found["torch"]["build"]["version"] == torch.__version__
    assert found["would_use"]["dtype"] in ("float32", "bfloat16", "float16")
    assert found["hub"]["token"] is True
    assert "HTTPS_PROXY" in found["variables"]["network"]
    for secret in ("hf_abc", "proxy:1", str(tmp_path), platform.node()):
        assert secret not in done.stdout, secret


def test_torch_is_asked_in_another_process_and_takes_no_memory_of_a_card() -> None:
    before = torch.cuda.is_initialized()
    answer = module._answer_of(module._start_torch())
    assert torch.cuda.is_initialized() == before
    assert set(answer) == set(CPU)
    assert answer["failed"] == {}
    assert answer["four_bit"]["reason"] is None
    source = Path(_torch_probe.__file__).read_text()
    assert not [taker for taker in ("mem_get_info", "empty(", ".to(") if taker in source]


def test_terminal_and_python(torch_says: Callable[..., None]) -> None:
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0, result.output
    for part in ("cpu (torch is built without CUDA)", "bfloat16 (fast)", "none found", "Acme 9"):
        assert part in result.output, part
    found = tarazu.doctor()
    assert found.fit
    assert str(found).startswith("Would be used")
    assert "\x1b" not in str(found)


def test_something_that_stops_a_run_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    error = "Traceback\nImportError: libtorch_cpu.so: cannot open shared object file\n"
    monkeypatch.setattr(module, "_start_torch", lambda: Probe(code=1, error=error))
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "error: torch does not start: RuntimeError: ImportError: libtorch_cpu.so" in (
        " ".join(result.output.split())
    )


def test_a_driver_that_hangs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    monkeypatch.setattr(module, "_start_torch", lambda: subprocess.Popen(sleeping, **piped))
    monkeypatch.setattr(module, "TORCH_SECONDS", 0.2)
    found = doctor()
    assert not found.fit
    assert "no answer within" in what(found, "error")


def test_cards_have_their_free_memory_and_no_serial_number(
    torch_says: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch_says(
        cards=[T4, {**T4, "id": "abc-2"}], driver="535.1", obstacle=None,
        would_use={**CPU["would_use"], "device": "cuda", "dtype": "float16"},  # type: ignore[dict-item]
    )  # fmt: skip
    smi = tmp_path / "nvidia-smi"
    smi.write_text(
        "#!/bin/sh\n"
        "echo 'GPU-abc-2, Tesla T4, 15360, 1000, 7.5, 535.1'\n"
        "echo 'GPU-abc-1, Tesla T4, 15360, [N/A], 7.5, 535.1'\n"
    )
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = doctor()
    assert [card["free"] for card in found.facts["cards"]] == [None, 1000 * 2**20]
    assert "abc-" not in json.dumps(found.to_json())
    assert "cuda (Tesla T4, the first of 2 cards)" in str(found)
    smi.write_text("#!/bin/sh\nexit 9\n")
    found = doctor()
    assert "CalledProcessError" in found.facts["not_read"]["nvidia-smi"]
    # Cards that only the driver sees are shown, too.
    torch_says()
    smi.write_text("#!/bin/sh\necho 'GPU-abc-2, Tesla T4, 15360, 1000, 7.5, 535.1'\n")
    assert "driver 535.1 (torch does not use it)" in " ".join(str(doctor()).split())


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("printf 'GPU-1, NVIDIA \\377 A100, 100, 50, 8.0, 550\\n'", None),
        ("printf 'a warning\\nGPU-1, A100, 100, 50, 8.0, 550\\n'", None),
        ("printf '\\000\\033[2J, \\377, %s, -1, ,\\n' $(seq -s '' 3000)", None),
        ("printf '\\377\\376 what, ever\\n'", "describes no card"),
        ("echo No devices were found", "describes no card: 'No devices were found'"),
        ("", None),
        ("yes", "wrote more than"),
        ("sleep 5", "timed out"),
        ("sleep 5 & exit 0", "timed out"),
        ("exec >&-; sleep 5", "timed out"),
        ("kill -9 $$", "CalledProcessError"),
        ("exit 3", "CalledProcessError"),
    ],
)
def test_whatever_nvidia_smi_does_the_rest_is_told(
    torch_says: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    script: str, reason: str | None,
) -> None:  # fmt: skip
    torch_says(cards=[T4], driver="535.1", obstacle=None)
    monkeypatch.setattr(_machine, "_SECONDS", 0.5)
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f"#!/bin/sh\n{script}\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    began = time.monotonic()
    found = doctor()
    assert time.monotonic() - began < 20
    assert "Tesla T4, 15.8 GB of memory" in " ".join(str(found).split())
    assert found.facts["cards"][0]["seen_by_torch"]
    failed = found.facts["not_read"]
    assert (reason in failed["nvidia-smi"]) if reason else "nvidia-smi" not in failed, failed
    torch_says()
    assert "Would be used" in str(doctor())


@pytest.mark.parametrize("kind", ["folder", "no program", "not allowed"])
def test_an_nvidia_smi_that_is_no_program(
    torch_says: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    smi = tmp_path / "nvidia-smi"
    if kind == "folder":
        smi.mkdir()
    else:
        smi.write_bytes(b"\0\377")
        smi.chmod(0o755 if kind == "no program" else 0o644)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor().facts["not_read"]["nvidia-smi"].split(":")[0] in ("PermissionError", "OSError")


@pytest.mark.parametrize(
    "card", [{}, {"name": "x"}, {**T4, "id": None}], ids=["empty", "half", "without id"]
)
def test_cards_that_cannot_be_described_are_named_as_not_read(
    torch_says: Callable[..., None], card: dict[str, Any]
) -> None:
    torch_says(cards=[card])
    found = doctor()
    assert "cards" in found.facts["not_read"]
    assert found.facts["cards"] == []
    assert "Would be used" in str(found)


@pytest.mark.parametrize("noise", ["{not json", "{}", "[1]", '{"a": 1}', "\udcff"])
def test_what_libraries_print_is_no_answer_of_torch(
    monkeypatch: pytest.MonkeyPatch, noise: str
) -> None:
    noise = noise.encode("utf-8", "replace").decode()
    monkeypatch.setattr(module, "_start_torch", lambda: Probe(f"x\n{json.dumps(CPU)}\n{noise}\n"))
    found = doctor()
    assert "torch" not in found.facts["not_read"]
    assert found.facts["torch"]["processor"] == "Acme 9"


LONG = "x" * 300


@pytest.mark.parametrize("name", ["HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "TARAZU_CACHE",
                                  "TARAZU_LEDGER", "TMPDIR", "XDG_CACHE_HOME", "HF_TOKEN_PATH",
                                  "HF_TOKEN", "USER", "HOSTNAME", "HOME"])  # fmt: skip
@pytest.mark.parametrize(
    "value", [f"/tmp/{LONG}", "/tmp/d\udcff12345678", "/dev/null/x", "~nobody/x"]
)
def test_whatever_variables_hold_the_diagnosis_ends(
    torch_says: Callable[..., None], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    found = doctor()
    assert "Would be used" in str(found)
    assert set(found.to_json()) == KEYS


def test_a_cache_behind_a_closed_folder(
    torch_says: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(folder: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "is_dir", closed)
    failed = doctor().facts["not_read"]
    assert failed["size of models"].startswith("PermissionError")


def facts(**changes: Any) -> dict[str, Any]:
    told = {k: v for k, v in CPU.items() if k not in ("cards", "driver", "would_use", "failed")}
    return {
        "unmet": [], "torch": told, "memory": {"available": 20 * 10**9, "container": None},
        "cores": {"all": 2, "usable": 2, "container": None}, "would_use": CPU["would_use"],
        "storage": [], "output": None, "home": "/home/x", "variables": {}, "not_read": {},
        **changes,
    }  # fmt: skip


def place(name: str, free: int = 10**12, reason: str | None = None) -> dict[str, Any]:
    return {
        "what": name, "path": "p", "total": 10**13, "free": free, "writable": reason is None,
        "reason": reason, "file_system": "ext4",
    }  # fmt: skip


OUTPUT = {"path": "o", "in_use": False, "unfit": None, "shared": None}


@pytest.mark.parametrize(
    ("severity", "said", "changes"),
    [
        ("error", "needs torch>=9", {"unmet": [("torch>=9", "2.13.0")]}),
        ("error", "torch does not start: why", {"torch": None, "not_read": {"torch": "why"}}),
        ("warning", "no card can be used: hidden", {"torch": {"obstacle": {
            "reason": "hidden", "remedy": "Do.", "expected": False}}}),
        ("error", "no kernels", {"torch": {"kernels": {"reason": "no kernels", "remedy": "Do."}}}),
        ("warning", "4-bit kernels: no library", {"torch": {"four_bit": {
            "library": None, "reason": "no library"}}}),
        ("warning", "2.0 GB of memory", {"memory": {"available": 2 * 10**9, "container": None}}),
        ("error", "in this container", {"memory": {"available": 10**8, "container": 10**9}}),
        ("warning", "2 threads would share the time of 0.5 cores", {"cores": {
            "all": 64, "usable": 2, "container": 0.5}}),
        ("warning", "2.0 GB are free on the disk of models", {"storage": [
            place("models", free=2 * 10**9)]}),
        ("error", "50.0 MB are free on the disk of output", {"storage": [
            place("output", free=5 * 10**7)]}),
        ("error", "output (p) takes no files: Read-only", {"storage": [
            place("output", reason="Read-only")]}),
        ("warning", "models (p) takes no files: Read-only", {"storage": [
            place("models", reason="Read-only")]}),
        ("error", "a study is at work in o", {"output": {**OUTPUT, "in_use": True}}),
        ("error", "cannot hold a study: no locks", {"output": {**OUTPUT, "unfit": "no locks"}}),
        ("warning", "a drive (fuse.drive)", {"output": {**OUTPUT, "shared": "fuse.drive"}}),
        ("error", "home folder is not known", {"home": None, "not_read": {"models": "no home"}}),
        ("warning", "has set WORLD_SIZE", {"variables": {"scheduler": ["WORLD_SIZE"]}}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_a_remedy(
    severity: str, said: str, changes: dict[str, Any]
) -> None:
    (found,) = judge(facts(**changes))
    assert found.severity == severity
    assert said in found.what
    assert found.remedy


def test_nothing_is_wrong_where_nothing_is() -> None:
    assert list(judge(facts(output=OUTPUT, storage=[place("output")]))) == []
    unknown = facts(unmet=None, memory=None, cores=None, would_use=None, variables=None)
    assert list(judge(facts(home=None))) == []  # variables say where everything goes
    assert list(judge(unknown)) == []  # not read is no fault of the machine


def test_what_stops_a_run_comes_first() -> None:
    changes = {
        "unmet": [("torch>=9", "nothing")],
        "memory": {"available": 2 * 10**9, "container": None},
    }
    assert [one.severity for one in judge(facts(**changes))] == ["error", "warning"]


def test_every_part_may_fail_and_says_so(
    torch_says: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **named: object) -> Any:
        raise ValueError("boom\nat all")

    for name in (
        "system", "versions", "unmet", "memory", "storage", "size_of", "variables", "cores",
    ):  # fmt: skip
        monkeypatch.setattr(_machine, name, fail)
    for name in ("_places", "_ledger", "_hub", "_output"):
        monkeypatch.setattr(module, name, fail if name != "_places" else lambda ask: {})
    monkeypatch.setattr(module, "_start_torch", fail)
    found = doctor("somewhere")
    assert {"system", "memory", "ledger", "hub", "output", "torch"} <= set(found.facts["not_read"])
    assert found.facts["not_read"]["memory"] == "ValueError: boom at all"
    assert "Could not be read" in str(found)
    assert set(found.to_json()) == KEYS


def test_torchs_own_parts_may_fail(torch_says: Callable[..., None]) -> None:
    torch_says(would_use=None, bf16=None, four_bit=None, processor=None, failed={"bf16": "no\nway"})
    found = doctor()
    assert found.facts["not_read"]["torch bf16"] == "no way"
    assert "not known" in str(found)


def test_without_a_home(torch_says: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that runs as a user whom no list knows."""

    def nobody(*arguments: object) -> Any:
        raise RuntimeError("Could not determine home directory.")

    for name in ("TARAZU_CACHE", "TARAZU_LEDGER", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.setattr(Path, "expanduser", nobody)
    found = doctor()
    assert "the home folder is not known" in what(found, "error")
    assert "home directory" in found.facts["not_read"]["home"]


def test_in_a_folder_that_is_gone(tmp_path: Path) -> None:
    """Libraries cannot even be imported there."""
    code = (
        "import os, sys; os.chdir(sys.argv[1]); os.rmdir(sys.argv[1]);"
        "from tarazu.cli import main; sys.argv = ['tarazu', 'doctor']; main()"
    )
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(gone)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "error: the folder of output cannot be looked at" in " ".join(done.stdout.split())


def test_without_proc(
    torch_says: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_machine, "PROC", tmp_path / "none")
    monkeypatch.setattr(_machine, "CGROUPS", tmp_path / "none")
    monkeypatch.setattr(mounted, "MOUNTS", tmp_path / "none")
    found = doctor()
    assert found.facts["memory"]["container"] is None
    assert {one["file_system"] for one in found.facts["storage"]} == {None}


def test_a_cache_that_takes_no_files(
    torch_says: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(folder: Path) -> str | None:
        return "Read-only file system" if folder == tmp_path else None

    monkeypatch.setattr(_machine, "why_not_writable", refuse)
    monkeypatch.setenv("TARAZU_CACHE", str(tmp_path))
    found = doctor()
    assert "takes no files: Read-only file system" in what(found, "warning")
    assert found.fit


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_permissions_are_tried(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert _machine.why_not_writable(tmp_path) == "Permission denied"


def test_why_a_folder_takes_nothing_and_that_nothing_is_left(tmp_path: Path) -> None:
    assert _machine.why_not_writable(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    assert _machine.why_not_writable(Path("/proc")) is not None


def test_tables_of_the_system_that_make_no_sense(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_machine, "PROC", tmp_path / "proc")
    monkeypatch.setattr(_machine, "CGROUPS", tmp_path / "groups")
    write(tmp_path / "proc/self", cgroup="0::/\n")
    write(tmp_path / "groups", cpu__max="100000 0\n", memory__max="9\n", memory__current="4\n")
    write(tmp_path / "groups", memory__stat="inactive_file\n")
    assert _machine.cpu_quota() is None
    assert _machine.memory_bound() == (9, 4)


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(_machine, "PROC", tmp_path / "proc")
    monkeypatch.setattr(_machine, "CGROUPS", tmp_path / "groups")
    return tmp_path / "groups"


def test_bounds_of_cgroups_2(groups: Path) -> None:
    write(groups.parent / "proc/self", cgroup="0::/slice/job\n")
    write(groups / "slice/job", memory__max="max\n", memory__current="1\n", cpu__max="max 100000\n")
    assert _machine.memory_bound() is None
    assert _machine.cpu_quota() is None
    # That of the group above counts, without the cache that the kernel gives back.
    write(
        groups / "slice",
        memory__max="8000\n", memory__current="5000\n", cpu__max="150000 100000\n",
        memory__stat="anon 1\ninactive_file 2000\n",
    )  # fmt: skip
    assert _machine.memory_bound() == (8000, 3000)
    assert _machine.cpu_quota() == 1.5


def test_bounds_of_cgroups_1(groups: Path) -> None:
    write(groups.parent / "proc/self", cgroup="4:memory:/of/the/host\n1:cpu,cpuacct:/x\n0::/\n")
    write(
        groups / "memory",
        memory__limit_in_bytes="9000\n",
        memory__usage_in_bytes="4000\n",
        memory__stat="total_inactive_file 1000\n",
    )
    write(groups / "cpu", cpu__cfs_quota_us="50000\n", cpu__cfs_period_us="100000\n")
    assert _machine.memory_bound() == (9000, 3000)
    assert _machine.cpu_quota() == 0.5
    write(groups / "memory", memory__limit_in_bytes=f"{2**63 - 4096}\n")
    write(groups / "cpu", cpu__cfs_quota_us="-1\n")
    assert _machine.memory_bound() is None
    assert _machine.cpu_quota() is None


def test_a_container_bounds_what_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_machine, "memory_bound", lambda: (3 * 10**6, 10**6))
    found = _machine.memory()
    assert (found["total"], found["available"]) == (3 * 10**6, 2 * 10**6)
    assert found["machine"] > found["total"]


def test_sizes_of_caches_count_a_file_once_and_end_in_time(tmp_path: Path) -> None:
    write(tmp_path / "blobs", a="12345")
    (tmp_path / "link").symlink_to(tmp_path / "blobs", target_is_directory=True)
    os.link(tmp_path / "blobs/a", tmp_path / "again")
    found = _machine.size_of(tmp_path, 10)
    assert found["whole"]
    assert found["bytes"] - (tmp_path / "link").lstat().st_size == 5
    assert not _machine.size_of(tmp_path, -1)["whole"]
    assert _machine.size_of(tmp_path / "none", 10) == {"bytes": 0, "files": 0, "whole": True}


def test_an_output_folder_and_who_has_it(torch_says: Callable[..., None], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert doctor(out).facts["output"]["exists"] is False
    assert not out.exists()
    with Store(out).lock():
        found = doctor(out)
        assert found.facts["output"]["in_use"]
        assert "a study is at work" in what(found, "error")
    found = doctor(out)
    assert not found.facts["output"]["in_use"]
    assert found.facts["output"]["lease"] is None
    values = {"machine": "other", "token": "t", "count": 1}
    (out / holder.FILE).write_text(json.dumps(values))
    assert holder.leased_by(out) == "another machine"
    (out / holder.FILE).write_text(json.dumps({**values, "machine": holder._machine()}))
    assert doctor(out).facts["output"]["lease"] == "this machine"
    assert sorted(path.name for path in out.iterdir()) == [".holder.json", ".lock", ".runs.lock"]


def test_an_output_folder_that_is_a_file_or_has_no_locks(
    torch_says: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert "it is a file" in what(doctor(tmp_path / "file"), "error")
    monkeypatch.setattr(lock, "_keeps_out", lambda file: False)
    assert "with locks, but it is on one without" in what(doctor(tmp_path / "out"), "error")
    assert CliRunner().invoke(app, ["doctor", str(tmp_path / "out")]).exit_code == 1


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> Privacy:
    monkeypatch.setenv("HOME", "/srv/people/zaynab")
    monkeypatch.setenv("USER", "zaynab")
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef0123456789abcdef")
    monkeypatch.setattr(platform, "node", lambda: "gpu-rack7.example.org")
    return Privacy()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/srv/people/zaynab/.cache/tarazu", "~/.cache/tarazu"),
        ("/srv/people/zaynab", "~"),
        ("/srv/people/zaynab-2/x", "/srv/people/[hidden]-2/x"),
        ("/scratch/zaynab/out", "/scratch/[hidden]/out"),
        ("/home/other/x and /Users/third/y", "/home/[hidden]/x and /Users/[hidden]/y"),
        ("on gpu-rack7 or gpu-rack7.example.org.", "on [hidden] or [hidden]."),
        ("ask z.k@example.org", "ask [hidden]"),
        ("key 0123456789abcdef0123456789abcdef", "key [hidden]"),
        ("token hf_abcdefghijklmnopqrstuvwxyz", "token [hidden]"),
        ("Tesla T4, 535.104.05, libbitsandbytes_cpu.so", None),
    ],
)
def test_nobody_is_named(somebody: Privacy, text: str, shown: str | None) -> None:
    assert somebody.text(text) == (text if shown is None else shown)
    assert somebody.values({"a": [text, 1, None]}) == {"a": [somebody.text(text), 1, None]}


BEFORE = ("/mnt/team-", "/data/", "/scratch/a_", "/x.", "/srv/people/", "../", "see /mnt/2", "(/a/")
AFTER = ("/cache", "-projects/hf", "_2/x", ".d", "2", ": no such file", "'", "")
INSIDE = (*((b, a) for b in ("/mnt/team", "/d/Old", "the") for a in ("projects/hf", "s box", "")),)
NAMES = st.text(st.sampled_from("abcdefxyzABCZ0189._-é"), min_size=4, max_size=12).filter(
    lambda name: name.strip("._-") == name and name.lower() not in _privacy._COMMON
)
SHORT = st.text(st.sampled_from("abcxyzBC"), min_size=1, max_size=3).filter(
    lambda name: name.lower() not in _privacy._COMMON
)
CAPITALS = st.sampled_from([str, str.upper, str.title])


def told_of(name: str, variable: str, text: str) -> str:
    """Return what is shown of a text where a variable names somebody, hidden parts taken out."""
    with pytest.MonkeyPatch.context() as patch:
        for other in ("LOGNAME", "USERNAME", "SUDO_USER", "HOSTNAME", "COMPUTERNAME"):
            patch.delenv(other, raising=False)
        patch.setenv("USER", "root")
        patch.setenv("HOME", "/root")
        patch.setattr(platform, "node", lambda: "localhost")
        patch.setenv(variable, f"/srv/people/{name}" if variable == "HOME" else name)
        return Privacy().text(text).replace("[hidden]", "\0")


@given(
    NAMES, st.sampled_from(["USER", "LOGNAME", "SUDO_USER", "HOSTNAME", "HOME"]),
    st.one_of(st.tuples(st.sampled_from(BEFORE), st.sampled_from(AFTER)), st.sampled_from(INSIDE)),
    CAPITALS,
)  # fmt: skip
def test_a_name_is_hidden_wherever_it_stands(
    name: str, variable: str, around: tuple[str, str], capitals: Callable[[str], str]
) -> None:
    shown = told_of(name, variable, f"{around[0]}{capitals(name)}{around[1]}")
    assert name.lower() not in shown.lower()
    assert shown.startswith(("\0", "~", around[0][:2])) or name[:2].lower() in around[0].lower()


@given(SHORT, st.sampled_from(BEFORE), st.sampled_from(AFTER), CAPITALS)
def test_a_short_name_is_hidden_as_a_word_of_a_path(
    name: str, before: str, after: str, capitals: Callable[[str], str]
) -> None:
    shown = told_of(name, "USER", f"{before}{capitals(name)}{after}")
    letter = rf"(?<![^\W\d_]){name}(?![^\W\d_])"
    paths = " ".join(word for word in shown.split() if "/" in word)
    assert re.search(letter, paths, re.IGNORECASE) is None


@pytest.mark.parametrize("name", ["a", "do", "root", "data", "user", "torch", "gpu", "hidden"])
def test_ordinary_words_stay_readable(name: str) -> None:
    for said in (
        "a card can do without /data/root/user/x",
        "torch sees a gpu",
        "no library for CUDA 12",
        "bfloat16",
    ):
        assert told_of(name, "USER", said) == said


def test_a_name_of_parts_is_hidden_by_its_parts() -> None:
    for said in ("/data/alice-x", "/data/AliceSmith", "/mnt/smith_a"):
        shown = told_of("alice.smith@corp", "USER", said).lower()
        assert "alice" not in shown
        assert "smith" not in shown


def test_what_is_hidden_stays_so_whatever_the_user_is_called(
    monkeypatch: pytest.MonkeyPatch, torch_says: Callable[..., None]
) -> None:
    monkeypatch.setenv("USER", "hidden")
    assert Privacy().text("/home/hidden/x, a@example.org") == "/home/[hidden]/x, [hidden]"
    monkeypatch.setenv("USER", "home")
    monkeypatch.setenv("LOGNAME", "pytho")
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    assert "PYTHONPATH" in doctor().facts["variables"]["compute"]


def test_caches_outside_the_home_do_not_name_the_user(
    monkeypatch: pytest.MonkeyPatch, torch_says: Callable[..., None]
) -> None:
    monkeypatch.setenv("USER", "alice")
    monkeypatch.setenv("TARAZU_CACHE", "/mnt/team-alice/cache")
    monkeypatch.setenv("HF_HOME", "/data/alice-projects/hf")
    found = doctor()
    told = json.dumps(found.to_json()) + str(found)
    assert "alice" not in told.lower()
    assert "/mnt/team-[hidden]/cache" in told
    assert "/data/[hidden]-projects/hf" in told


def test_problems_and_failures_name_nobody_either(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = tmp_path / "zaynab"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    error = f"ImportError: {home}/lib/libtorch.so: no such file"
    monkeypatch.setattr(module, "_start_torch", lambda: Probe(code=1, error=error))
    found = doctor(home / "out")
    told = json.dumps(found.to_json()) + str(found)
    assert "~/lib/libtorch.so" in told
    assert str(home) not in told


@pytest.mark.parametrize(
    ("version", "file"),
    [
        ("12.6", "126"), ("12.9", "128"), ("12.0", "121"), ("13.0", "130"), ("11.8", "118"),
        ("14.0", None),
    ],
)  # fmt: skip
def test_the_library_for_4_bits(tmp_path: Path, version: str, file: str | None) -> None:
    for name in ("118", "121", "126", "128", "130"):
        (tmp_path / f"libbitsandbytes_cuda{name}.so").touch()
    found = _torch_probe._nearest(tmp_path, "cuda", version)
    assert (found.name if found else None) == (f"libbitsandbytes_cuda{file}.so" if file else None)


def test_a_library_for_4_bits_that_is_missing_or_broken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    origin = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr(_torch_probe.importlib.util, "find_spec", lambda name: origin)
    assert _torch_probe.four_bit()["reason"] == "bitsandbytes has no library for CUDA 13.0"
    (tmp_path / "libbitsandbytes_cuda130.so").write_text("no library")
    assert _torch_probe.four_bit()["library"] == "libbitsandbytes_cuda130.so"
    assert _torch_probe.four_bit()["reason"]
    monkeypatch.setattr(_torch_probe.importlib.util, "find_spec", lambda name: None)
    assert _torch_probe.four_bit()["reason"] == "bitsandbytes is not installed"


def test_findings_are_json() -> None:
    found = Diagnosis({"not_read": {}}, (Finding("warning", "a", "b"),))
    assert found.to_json()["problems"] == [{"severity": "warning", "what": "a", "remedy": "b"}]
    assert found.fit
