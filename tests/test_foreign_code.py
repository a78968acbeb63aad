"""Files beside a study are data: none of them is imported, whatever its name."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import tarazu
from tarazu import processes

SOURCE = Path(tarazu.__file__).parents[1]
OURS = ("tarazu", "torch", "peft", "numpy", "transformers", "pydantic", "typer", "rich", "yaml")
PYTHONS = ("multiprocessing", "signal", "threading", "socket", "selectors", "json")


def poisoned(folder: Path, names: tuple[str, ...]) -> Path:
    """Return a folder of modules with these names, and a file that tells which were imported."""
    folder.mkdir()
    mark = folder.parent / "imported.txt"
    code = f"with open({str(mark)!r}, 'a') as file:\n    print(__name__, file=file)\n"
    for name in names:
        (folder / f"{name}.py").write_text(f"{code}raise SystemExit\n")
    return mark


def shell(folder: Path, *arguments: str) -> str:
    """Run Python in a folder as if nothing had been set there; return what it printed."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_process_of_a_run_imports_nothing_of_the_working_folder(tmp_path: Path) -> None:
    mark = poisoned(tmp_path / "study", OURS + PYTHONS)
    script = tmp_path / "scripts" / "command.py"  # as the command of an installed package
    script.parent.mkdir()
    (script.parent / "helper.py").write_text(
        "import os, sys\n"
        "def look(*, tell):\n"
        "    import peft, torch\n"
        "    return os.getcwd(), sys.path, os.environ.get('PYTHONSAFEPATH')\n"
    )
    script.write_text(
        "import os, helper\n"
        "from tarazu.processes import in_own_process\n"
        "folder, path, safe = in_own_process(helper.look, tell=print)\n"
        "print(folder)\n"
        "print(folder in path or '' in path, safe, os.environ.get('PYTHONSAFEPATH'))\n"
    )
    said = shell(tmp_path / "study", str(script)).splitlines()
    assert not mark.exists(), mark.read_text()
    assert said == [str(tmp_path / "study"), "False 1 None"]


@pytest.mark.parametrize("before", [None, "", "yes"])
def test_the_study_s_own_environment_stays_as_it_was(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    if before is not None:
        monkeypatch.setenv("PYTHONSAFEPATH", before)
    with suppress(KeyError), processes._safe_path():
        assert os.environ["PYTHONSAFEPATH"] == "1"
        raise KeyError
    assert os.environ.get("PYTHONSAFEPATH") == before


def test_python_m_imports_nothing_of_the_working_folder(tmp_path: Path) -> None:
    mark = poisoned(tmp_path / "study", tuple(name for name in OURS if name != "tarazu"))
    assert "majority" in shell(tmp_path / "study", "-m", "tarazu", "methods")
    assert not mark.exists(), mark.read_text()


def test_python_m_runs_the_source_that_it_is_started_in(tmp_path: Path) -> None:
    code = "import runpy, sys; sys.path[0] = {!r}; sys.argv = ['tarazu', '--help']\n"
    code += "try:\n    runpy.run_module('tarazu', run_name='__main__', alter_sys=True)\n"
    code += "finally:\n    print(sys.path.count({!r}))\n"
    for folder in (SOURCE, tmp_path):
        told = shell(folder, "-c", code.format(str(folder), str(folder))).splitlines()[-1]
        assert told == ("2" if folder == SOURCE else "0")  # PYTHONPATH names it as well
