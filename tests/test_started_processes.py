"""Where processes are started: a fork of a process that has touched CUDA cannot use a card."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "tarazu"
# New programs take nothing of CUDA with them; forks come from the fork server alone.
STARTED = {
    ("models/wheel.py", "subprocess.run"),
    ("readings/chat.py", "subprocess.Popen"),
    ("programs.py", "subprocess.Popen"),
    ("commands/doctor.py", "subprocess.Popen"),
    ("processes.py", "multiprocessing.get_context('forkserver')"),
}
HARMLESS = {
    "subprocess.CompletedProcess", "subprocess.DEVNULL", "subprocess.PIPE",
    "subprocess.CalledProcessError", "subprocess.SubprocessError", "subprocess.TimeoutExpired",
    "multiprocessing.parent_process",
}  # fmt: skip
STARTERS = ("fork", "forkpty", "system", "popen", "posix_spawn", "posix_spawnp")
MODULES = ("subprocess", "multiprocessing", "concurrent.futures", "pty", "torch.multiprocessing")
LIBRARIES = ("joblib", "loky", "multiprocess", "dill")
WORKERS = {"preexec_fn", "num_workers", "num_proc", "n_jobs", "process_group"}


def starts(code: str) -> Iterator[str]:
    """Yield what starts processes, or lets a library do so."""
    tree = ast.parse(code)
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            module, _, last = name.rpartition(".")
            spawns = module == "os" and (last in STARTERS or last.startswith(("exec", "spawn")))
            if spawns or (module in MODULES and name not in HARMLESS):
                call = called.get(id(node))
                whole = call is not None and last == "get_context"
                yield ast.unparse(call) if whole and call is not None else name
        elif isinstance(node, ast.keyword) and node.arg in WORKERS:
            yield f"{node.arg}="
        elif isinstance(node, ast.Import):
            names = [one.name for one in node.names]
            yield from (n for n in names if n.partition(".")[0] in LIBRARIES)
            # Under another name the uses would not be seen.
            yield from (n.name for n in node.names if n.name in (*MODULES, "os") and n.asname)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [one.name for one in node.names]
            if node.module.partition(".")[0] in LIBRARIES or node.module in ("subprocess", "pty"):
                yield from (f"{node.module}.{name}" for name in names)
            elif node.module in ("multiprocessing", "torch.multiprocessing", "os"):
                bad = ("Process", "Pool", "get_context", "set_start_method", *STARTERS)
                yield from (f"{node.module}.{name}" for name in names if name in bad)
            elif node.module == "concurrent.futures":
                yield from (n for n in names if n == "ProcessPoolExecutor")


def test_processes_are_started_in_known_places_and_forked_by_the_server_only() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 200
    found = {
        (str(file.relative_to(SOURCE)), what)
        for file in files
        for what in starts(file.read_text(encoding="utf-8"))
    }
    assert found == STARTED


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.fork()",
        "import os\nos.execv('a', [])",
        "from os import fork",
        "import multiprocessing\nmultiprocessing.Process(target=f)",
        "import multiprocessing\nmultiprocessing.get_context('fork')",
        "from multiprocessing import Pool",
        "import multiprocessing as mp",
        "from concurrent.futures import ProcessPoolExecutor",
        "import joblib",
        "DataLoader(items, num_workers=2)",
        "subprocess.run(['a'], preexec_fn=f)",
        "data.map(f, num_proc=2)",
        "Search(n_jobs=2)",
    ],
)
def test_what_starts_processes_is_seen(code: str) -> None:
    assert set(starts(code)) - {what for _, what in STARTED}
