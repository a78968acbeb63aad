from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tarazu.cli import app
from tarazu.errors import BadInput, Problem
from tarazu.report.data_card import DataCard
from tarazu.report.explanation import Explanation

ROOT = Path(__file__).parent.parent


@pytest.fixture
def study(monkeypatch, tmp_path):
    """Stand in for `tarazu.study`: each test says what its functions do."""
    module = types.ModuleType("tarazu.study")
    monkeypatch.setitem(sys.modules, "tarazu.study", module)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("TARAZU_DEBUG", raising=False)
    return module


def invoke(*arguments):
    return CliRunner().invoke(app, list(arguments))


def raising(error):
    def run_study(*arguments, **options):
        raise error

    return run_study


def shell(*arguments, **options):
    source = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": source, **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, **options
    )


def test_run_hands_everything_on_and_exits_with_0(study, tmp_path):
    seen = {}

    def run_study(path, **options):
        seen.update(path=path, **options)
        return types.SimpleNamespace(folder=tmp_path, records=[], failed=0)

    study.run_study = run_study
    result = invoke(
        "run", "s.yaml", "--out", "o", "--only", "a", "--only", "b", "--set", "x=1", "--set", "y=2"
    )
    assert result.exit_code == 0, result.output
    assert (seen["path"], seen["out"]) == (Path("s.yaml"), Path("o"))
    assert (seen["only"], seen["overrides"]) == (["a", "b"], ["x=1", "y=2"])
    assert str(tmp_path) in result.stderr


def test_a_failed_run_exits_with_1(study, tmp_path):
    study.run_study = lambda path, **options: types.SimpleNamespace(
        folder=tmp_path, records=[], failed=1
    )
    assert invoke("run", "s.yaml").exit_code == 1


def test_bad_input_exits_with_2_and_names_every_problem(study):
    study.run_study = raising(
        BadInput(
            Problem("s.yaml:3 methods.lora.r", "must be at least 1", "[red]0\x1b[2J", "Give 8."),
            Problem("s.yaml:9", "must be a known method"),
        )
    )
    result = invoke("run", "s.yaml")
    assert result.exit_code == 2
    for part in (
        "2 problems", "1. s.yaml:3 methods.lora.r", "must be at least 1", "[red]0[2J",
        "Give 8.", "2. s.yaml:9",
    ):  # fmt: skip
        assert part in result.stderr, part
    assert "Traceback" not in result.output
    assert "\x1b" not in result.output


def test_an_interruption_exits_with_130(study):
    study.run_study = raising(KeyboardInterrupt())
    result = invoke("run", "s.yaml", "--only", "a b")
    assert result.exit_code == 130
    assert "This continues:\n  tarazu run s.yaml --only 'a b'" in result.stderr


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_a_full_locked_or_broken_disk_is_bad_input(study, number):
    study.run_study = raising(OSError(number, os.strerror(number), "somewhere"))
    result = invoke("run", "s.yaml")
    assert result.exit_code == 2
    assert "somewhere" in result.stderr
    assert os.strerror(number) in result.stderr
    assert "give the command again" in result.stderr


@pytest.mark.parametrize("error", [RuntimeError("boom [x]"), OSError(errno.EBADF, "bad file")])
def test_the_unexpected_says_where_its_traceback_is(study, tmp_path, error):
    study.run_study = raising(error)
    result = invoke("run", "s.yaml")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert str(error) in result.stderr
    (log,) = tmp_path.rglob("error-*.log")
    assert str(log) in result.stderr
    assert "Traceback" in log.read_text(encoding="utf-8")


def test_debugging_shows_the_traceback(study, monkeypatch):
    monkeypatch.setenv("TARAZU_DEBUG", "1")
    study.run_study = raising(RuntimeError("boom"))
    assert isinstance(invoke("run", "s.yaml").exception, RuntimeError)


@pytest.mark.parametrize(
    "arguments", [["run"], ["nonsense"], ["report", "x", "--format", "pdf"], ["run", "s", "--no"]]
)
def test_wrong_use_exits_with_2(arguments):
    assert invoke(*arguments).exit_code == 2


def test_explain_prints_text_or_numbers(study):
    def explain_method(name, model, overrides, language, *, plugins):
        assert (model, overrides) == ("gpt2", ["r=4"])
        return Explanation(name, model, f"# LoRA in {language}\n\nW + BA", None, {})

    study.explain_method = explain_method
    arguments = ["explain", "lora", "--model", "gpt2", "--set", "r=4"]
    text = invoke(*arguments, "--lang", "fa")
    assert text.exit_code == 0
    assert "LoRA in fa" in text.stdout
    numbers = json.loads(invoke(*arguments, "--json").stdout)
    assert numbers == {"method": "lora", "model": "gpt2", "parameters": None, "hyperparameters": {}}


def test_data_prints_the_card(study):
    card = DataCard("Inference", "Does it follow?", ("en",), {"premise": "p"}, "CC0", None, ())
    study.describe_data = lambda path, overrides, *, plugins: card
    result = invoke("data", "s.yaml")
    assert result.exit_code == 0
    assert "Does it follow?" in result.stdout


def test_methods_and_tasks_are_listed():
    from tarazu import catalog

    for command, found in (("methods", catalog.methods()), ("tasks", catalog.tasks())):
        result = invoke(command)
        assert result.exit_code == 0
        assert found
        assert all(name in result.stdout for name in found)


def test_version():
    result = invoke("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("tarazu")


def test_the_command_line_imports_nothing_heavy():
    code = (
        "import sys, tarazu.cli, tarazu.report.table, tarazu.report.progress_view\n"
        "heavy = {'torch', 'transformers', 'peft', 'datasets', 'pyarrow', 'sklearn'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = shell("-c", code)
    assert done.returncode == 0, done.stderr
    light = shell("-c", "import sys, tarazu.cli; sys.exit('pydantic' in sys.modules)")
    assert light.returncode == 0, light.stderr


def test_listing_needs_no_torch():
    code = (
        "import sys\nfrom tarazu.cli import app\n"
        "for name in ('methods', 'tasks'): app([name], standalone_mode=False)\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = shell("-c", code)
    assert done.returncode == 0, done.stderr


def test_a_terminal_without_our_signs_is_no_reason_to_fail(tmp_path):
    done = shell("-m", "tarazu", "report", "نیست", env={"PYTHONIOENCODING": "ascii"}, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_in_a_real_process_exits_with_130():
    code = (
        "import sys, types, os, signal\n"
        "study = types.ModuleType('tarazu.study')\n"
        "study.run_study = lambda path, **options: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.modules['tarazu.study'] = study\n"
        "sys.argv = ['tarazu', 'run', 's.yaml']\n"
        "from tarazu.cli import main\nmain()"
    )
    done = shell(
        "-c", code, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
