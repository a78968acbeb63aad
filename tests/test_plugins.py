"""Plug-ins load when they are named, and by nothing else; what they are identifies their runs."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import tarazu
from tarazu import catalog, plugins, runner, sentinel
from tarazu.archive import bundle
from tarazu.cli import app
from tarazu.errors import BadInput
from tarazu.opening import watch_inputs
from tarazu.overview import status
from tarazu.record.key import content_key, sha256_file
from tarazu.record.spec import RunSpec
from tarazu.record.store import Store
from tarazu.record.watched import changed_files, known_plugins
from tarazu.report.api import read_results, report_html
from tarazu.report.notes import footnotes
from tarazu.sentinel import verify
from tarazu.study import StudyResult, describe_data, explain_method, run_study
from tarazu.study_file import load_study
from tarazu.testing.checks import (
    ITEM_CHECKS,
    METHOD_CHECKS,
    TASK_CHECKS,
    check_predicts_without_looking_at_gold,
)
from tarazu.testing.hearing import Heard
from tarazu.testing.tiny import nli_items, write_nli

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "guide" / "adding.md").read_text(encoding="utf-8")
(CHANCE,) = (one for one in re.findall(r"```python\n(.*?)```", GUIDE, re.S) if "predict(" in one)
TASK = """
from tarazu.tasks._nli import nli_task
from tarazu.text import Text

TASK = nli_task(
    name="own-nli", title=Text("Own", "خودم"), summary=Text("My pairs.", "جفت‌های من."),
)
"""
STUDY = """
version: 1
study: own
task: {task}
data: {{train: train.csv, test: test.csv, validation: {{rows: 6}}}}
methods:
  majority: {{}}
  chance: {{}}
seeds: [3]
compute: {{device: cpu, dtype: float32, threads: 1}}
"""


@dataclass
class Place:
    folder: Path
    heard: Heard = field(default_factory=Heard)

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def chance(self) -> Path:
        return self.folder / "chance.py"

    def run(self, *named: str | Path, **options: Any) -> StudyResult:
        self.heard = Heard()
        return run_study(
            self.folder / "study.yaml",
            out=self.out,
            listener=self.heard,
            plugins=named,
            **options,
        )

    def record(self, entry: str) -> Any:
        return next(record for record in Store(self.out).records() if record.entry == entry)


def here(work: Callable[..., Any], *arguments: object, tell: object) -> Any:
    """Make a run in this process: the store and the catalog are the same."""
    return work(*arguments, tell=tell)


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "in_own_process", here)


def laid_out(folder: Path, task: str = "{family: nli, name: tiny-nli}") -> Place:
    folder.mkdir(exist_ok=True)
    write_nli(folder / "train.csv", nli_items(22, seed=1))
    write_nli(folder / "test.csv", nli_items(6, seed=2))
    (folder / "study.yaml").write_text(STUDY.format(task=task))
    (folder / "chance.py").write_text(CHANCE, encoding="utf-8")
    return Place(folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = laid_out(tmp_path_factory.mktemp("own"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "in_own_process", here)
        assert place.run(place.chance).failed == 0
    return place


@pytest.fixture
def place(made: Place, tmp_path: Path, in_this_process: None) -> Place:
    shutil.copytree(made.folder, tmp_path / "copy")
    return Place(tmp_path / "copy")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site" / "mylab"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "shared.py").write_text("SHARE = 1\n")
    (folder / "chance.py").write_text("from mylab.shared import SHARE\n" + CHANCE)
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.setattr(plugins, "_imported", {})
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "mylab"]:
        del sys.modules[name]


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


# --- The example of the guide ---------------------------------------------------------------------


@pytest.mark.parametrize("check", METHOD_CHECKS, ids=lambda check: check.__name__)
def test_the_guide_s_plug_in_passes_the_public_checks(
    tmp_path: Path, check: Callable[..., None]
) -> None:
    file = written(tmp_path, "chance.py", CHANCE)
    check(tarazu.methods(plugins=[file])["chance"])


def test_the_guide_s_plug_in_never_reads_the_gold(tmp_path: Path) -> None:
    method = tarazu.methods(plugins=[written(tmp_path, "chance.py", CHANCE)])["chance"]
    task = catalog.find_task("multinli")
    check_predicts_without_looking_at_gold(method, task, nli_items(9), nli_items(5, seed=2))


def test_a_task_of_a_plug_in_passes_the_public_checks(tmp_path: Path) -> None:
    task = tarazu.tasks(plugins=[written(tmp_path, "pairs.py", TASK)])["own-nli"]
    for check in TASK_CHECKS:
        check(task)
    for check in ITEM_CHECKS:
        check(task, nli_items(9))


def test_the_command_line_runs_it_in_processes_of_their_own(tmp_path: Path) -> None:
    """Nothing of the working folder is imported, and the file's folder is not searched."""
    place = laid_out(tmp_path / "work", task="own-nli")
    task = written(place.folder, "pairs.py", TASK)
    mark = tmp_path / "imported.txt"
    for name in ("torch", "numpy", "random", "pydantic"):
        poison = f"open({str(mark)!r}, 'a').write({name!r})\nraise SystemExit\n"
        written(place.folder, f"{name}.py", poison)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONSAFEPATH"}
    command = [sys.executable, "-m", "tarazu", "run", "study.yaml", "--out", "out"]
    done = subprocess.run(
        [*command, "--plugin", "chance.py", "--plugin", "pairs.py"],
        cwd=place.folder,
        env={**environment, "PYTHONPATH": str(Path(tarazu.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert not mark.exists(), mark.read_text()
    chance, majority = place.record("chance"), place.record("majority")
    own_task = {"pairs.py": sha256_file(task)}
    assert majority.spec.plugins == own_task
    assert chance.spec.plugins == {"chance.py": sha256_file(place.chance), **own_task}
    assert chance.status == majority.status == "done"
    assert "chance: chance.py" in " ".join(done.stdout.split())


def test_methods_tasks_explain_and_data_take_them(tmp_path: Path) -> None:
    place = laid_out(tmp_path / "work", task="own-nli")
    chance, pairs = str(place.chance), str(written(place.folder, "pairs.py", TASK))
    for words, said in (
        (["methods", "--plugin", chance], "chance"),
        (["tasks", "--plugin", pairs], "own-nli"),
        (["explain", "chance", "--plugin", chance], "equal shares"),
        (["data", str(place.folder / "study.yaml"), "--plugin", chance, "--plugin", pairs], "Own"),
    ):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        assert said in result.output
        assert "--plugin" in CliRunner().invoke(app, [words[0], "--help"]).output
    for verb in ("run", "verify"):
        assert "--plugin" in CliRunner().invoke(app, [verb, "--help"]).output
    assert explain_method("chance", plugins=[chance]).text
    assert describe_data(place.folder / "study.yaml", plugins=[chance, pairs]).title == "Own"
    assert "chance" not in tarazu.methods()  # nothing stays


# --- What loads, and what does not ----------------------------------------------------------------


@pytest.mark.parametrize("key", ["plugins", "plugin"])
@pytest.mark.parametrize("as_override", [True, False])
def test_a_study_cannot_make_one_load(
    tmp_path: Path, key: str, as_override: bool, in_this_process: None
) -> None:
    place = laid_out(tmp_path / "work")
    mark = tmp_path / "ran"
    written(place.folder, "evil.py", f"open({str(mark)!r}, 'w')\n{CHANCE}")
    study, overrides = place.folder / "study.yaml", []
    if as_override:
        overrides = [f"{key}=[evil.py]"]
    else:
        study.write_text(study.read_text() + f"{key}: [evil.py]\n")
    with pytest.raises(BadInput) as error:
        place.run(place.chance, overrides=overrides)
    (problem,) = error.value.problems
    assert problem.rule == "a study file cannot load plug-ins; only the command line can"
    assert problem.value == '["evil.py"]'
    assert "--plugin FILE" in problem.remedy
    assert ("study.yaml:11" if not as_override else "--set") in problem.where
    assert not mark.exists()


def test_neither_a_record_nor_the_output_folder_makes_one_load(place: Place) -> None:
    mark = place.folder / "ran"
    evil = f"open({str(mark)!r}, 'w')\n{CHANCE}"
    place.chance.write_text(evil)
    (place.out / "plugins" / "chance.py").write_text(evil)
    read_results(place.out)
    status(place.out)
    bundle(place.out)
    with pytest.raises(BadInput, match="must be a known method"):
        place.run()
    with pytest.raises(BadInput, match="the run came from a plug-in"):
        verify(place.out, entry="chance")
    assert not mark.exists()


def test_only_those_in_use_are_there(tmp_path: Path) -> None:
    chance = written(tmp_path, "chance.py", CHANCE)
    pairs = written(tmp_path, "pairs.py", TASK)
    with catalog.using([chance]):
        assert catalog.find_method("chance").name == "chance"
        with catalog.using([pairs]), pytest.raises(BadInput):
            catalog.find_method("chance")
        assert catalog.find_method("chance").name == "chance"
        assert [one.name for one in catalog.plugins_of("chance", "multinli")] == ["chance.py"]
        assert catalog.plugins_of("majority", "multinli") == ()
    with pytest.raises(BadInput, match="--plugin FILE"):
        catalog.find_method("chance")


BROKEN = {
    "absent": (None, "must be a Python file that exists", "no such file", "Check the path."),
    "empty": ("", "must define METHOD, a Method, or TASK", "neither", "docs/guide"),
    "number": ("METHOD = 3", "METHOD must be a Method", "int", ""),
    "task": ("TASK = 'nli'", "TASK must be a Task", "str", ""),
    "raises": ("x = 1\n1 / 0", "must load", "ZeroDivisionError: division by zero (line 2)", "Mend"),
    "leaves": ("raise SystemExit(0)", "must load", "SystemExit: 0 (line 1)", "Mend"),
    "syntax": ("x = 1\ndef f(:\n", "must load", "SyntaxError: ", "Mend"),
    "nul": ("x = '\0'", "must load", "null bytes", "Mend"),
    "needs": ("import no_such_thing", "must load", "ModuleNotFoundError", "Install"),
    "sibling": ("import beside", "must load", "ModuleNotFoundError", "not searched"),
    "name": (CHANCE.replace('name="chance"', 'name="My Way"'), "small letters", "'My Way'", ""),
    "taken": (CHANCE.replace('name="chance"', 'name="lora"'), "taken", "of tarazu itself", "Give"),
    "taken task": (TASK.replace("own-nli", "squad"), "taken", "'squad', which is of tarazu", ""),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_does_not_load_is_told_without_a_traceback(tmp_path: Path, case: str) -> None:
    text, rule, value, remedy = BROKEN[case]
    written(tmp_path, "beside.py", "")
    file = tmp_path / "mine.py" if text is None else written(tmp_path, "mine.py", text)
    with pytest.raises(BadInput) as error:
        tarazu.methods(plugins=[file])
    (problem,) = error.value.problems
    assert problem.where == f"--plugin {file}"
    assert rule in problem.rule
    assert value in problem.value
    assert remedy in problem.remedy
    result = CliRunner().invoke(app, ["methods", "--plugin", str(file)])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    if rule == "must load":  # half a module would be taken for a whole one next time
        sha = plugins.find_plugin(file).sha256
        assert not [name for name in sys.modules if sha[:16] in name]


def test_what_is_neither_file_nor_module_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one not in ("", str(tmp_path))])
    written(tmp_path, "mine.py", CHANCE)
    for named, said in (
        ("mine", "no such module. A file is named with its ending: --plugin mine.py"),
        ("no.such.module", "no such module. Install"),
        ("a b", "must be a Python file, which ends in .py, or a module's name"),
        ("./mine.txt", "which ends in .py"),
        (str(tmp_path), "which ends in .py"),
        ("_ast", "must be a module that is a Python file"),
        ("textwrap", "must define METHOD"),
    ):
        with pytest.raises(BadInput, match=re.escape(said)):
            tarazu.methods(plugins=[named])
    with pytest.raises(BadInput, match="must be a list"):
        tarazu.methods(plugins="mine.py")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="homes of users are told otherwise")
def test_a_file_that_cannot_be_looked_at_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> bool:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(BadInput, match=r"must be a file that can be read.*home"):
        tarazu.methods(plugins=["~no-such-user-here/x.py"])
    file = written(tmp_path, "chance.py", CHANCE)
    for name in ("is_file", "read_bytes"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, refused)
            with pytest.raises(BadInput, match=r"must be a file that can be read.*Permission"):
                tarazu.methods(plugins=[file])


def test_one_that_is_named_twice_is_taken_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = written(tmp_path, "chance.py", CHANCE)
    with catalog.using([file, "chance.py", str(file)]):
        assert [one.name for one in catalog.plugins_in_use()] == ["chance.py"]


def test_names_clash_with_those_of_other_plug_ins(tmp_path: Path) -> None:
    one, other = written(tmp_path, "one.py", CHANCE), written(tmp_path, "other.py", CHANCE)
    with pytest.raises(BadInput, match=rf"--plugin {other}: .*method.*taken.*--plugin {one}"):
        tarazu.methods(plugins=[one, other])
    (tmp_path / "far").mkdir()
    same = written(tmp_path / "far", "one.py", TASK)  # records would not tell the two apart
    with pytest.raises(BadInput, match=r"name of a plug-in must not be taken, but got 'one\.py'"):
        tarazu.methods(plugins=[one, same])


def test_all_that_do_not_load_are_told_at_once(tmp_path: Path) -> None:
    files = [written(tmp_path, f"{name}.py", "1 / 0") for name in ("one", "other")]
    with pytest.raises(BadInput) as error:
        tarazu.methods(plugins=files)
    assert len(error.value.problems) == 2


def test_one_with_method_and_task_gives_both(tmp_path: Path) -> None:
    both = written(tmp_path, "both.py", CHANCE + TASK)
    assert "chance" in tarazu.methods(plugins=[both])
    assert "own-nli" in tarazu.tasks(plugins=[both])


def test_every_process_runs_what_was_named_even_if_it_is_edited(tmp_path: Path) -> None:
    file = written(tmp_path, "chance.py", CHANCE)
    found = plugins.find_plugin(file)
    file.write_text("raise RuntimeError")
    loaded = plugins.load_plugin(found).method
    assert loaded is not None
    assert loaded.name == "chance"
    knob = "from tarazu.methods._method import Knobs, knob\nclass K(Knobs):\n    a: int = knob(1, "
    knob += 'reason="r", source="s")\n    """Said."""\n'
    file.write_text(knob + CHANCE.replace("    needs_model", "    knobs=K,\n    needs_model"))
    found = plugins.find_plugin(file)
    file.write_text("\n" * 50)
    loaded = plugins.load_plugin(found).method
    assert loaded is not None
    assert loaded.knobs.model_fields["a"].description == "Said."


# --- Modules --------------------------------------------------------------------------------------


def test_a_module_is_found_where_python_looks(package: Path) -> None:
    assert "chance" in tarazu.methods(plugins=["mylab.chance"])
    found = plugins.find_plugin("mylab.chance")
    assert (found.name, found.source) == ("mylab.chance", None)


def test_the_hash_of_a_module_is_of_its_whole_package(package: Path) -> None:
    before = plugins.find_plugin("mylab.chance")
    (package / "shared.py").write_text("SHARE = 2\n")
    after = plugins.find_plugin("mylab.chance")
    assert before.sha256 != after.sha256
    with pytest.raises(BadInput, match="must stay what it was when the study began"):
        plugins.load_plugin(before)
    plugins.load_plugin(after)
    (package / "shared.py").write_text("SHARE = 3\n")  # this process has the code from before
    with pytest.raises(BadInput, match=r"what Python has imported.*Start Python again"):
        tarazu.methods(plugins=["mylab.chance"])


def test_a_package_without_init_is_refused(package: Path) -> None:
    """Its siblings would be imported and not be part of the hash."""
    (package / "__init__.py").unlink()
    with pytest.raises(BadInput, match=r"must be in a package with __init__\.py.*Put an empty one"):
        tarazu.methods(plugins=["mylab.chance"])
    inner = package / "inner"
    inner.mkdir()
    written(inner, "__init__.py", "")
    written(inner, "chance.py", CHANCE)
    with pytest.raises(BadInput, match=r"must be in a package with __init__\.py"):
        tarazu.methods(plugins=["mylab.inner.chance"])
    with pytest.raises(BadInput, match=r"must be in a package with __init__\.py"):
        tarazu.methods(plugins=["mylab.inner"])


@pytest.mark.parametrize("edited", ["chance.py", "shared.py"])
def test_a_module_that_something_else_imported_is_not_taken_for_its_file(
    package: Path, edited: str
) -> None:
    for file in package.iterdir():
        os.utime(file, (1e9, 1e9))
    importlib.import_module("mylab.chance")
    written(package, edited, (package / edited).read_text() + "\n")
    with pytest.raises(
        BadInput, match=rf"{edited}, which may have changed since.*Start Python again"
    ):
        tarazu.methods(plugins=["mylab.chance"])


def test_a_module_that_is_older_than_the_process_is_taken(package: Path) -> None:
    for file in package.iterdir():
        os.utime(file, (1e9, 1e9))
    importlib.import_module("mylab.chance")
    assert "chance" in tarazu.methods(plugins=["mylab.chance"])
    written(package, "shared.py", "SHARE = 3\n")
    with pytest.raises(BadInput, match="Start Python again"):
        tarazu.methods(plugins=["mylab.chance"])


def test_another_module_of_an_edited_package_is_refused(package: Path) -> None:
    written(package, "other.py", "from mylab.shared import SHARE\n" + TASK)
    assert "chance" in tarazu.methods(plugins=["mylab.chance"])
    written(package, "shared.py", "SHARE = 2\n")
    with pytest.raises(
        BadInput, match=r"shared\.py, which may have changed since.*Start Python again"
    ):
        tarazu.tasks(plugins=["mylab.other"])
    (package / "shared.py").unlink()
    with pytest.raises(BadInput, match="Start Python again"):
        tarazu.tasks(plugins=["mylab.other"])


def test_a_module_that_is_mended_loads(package: Path) -> None:
    good = (package / "chance.py").read_text()
    written(package, "chance.py", good + "1 / 0\n")
    with pytest.raises(BadInput, match="must load without an error"):
        tarazu.methods(plugins=["mylab.chance"])
    written(package, "chance.py", good)
    assert "chance" in tarazu.methods(plugins=["mylab.chance"])


def test_a_module_that_is_edited_while_it_is_imported_is_refused(package: Path) -> None:
    text = (package / "chance.py").read_text()
    text += "from pathlib import Path\nPath(__file__).with_name('new.py').touch()\n"
    written(package, "chance.py", text)
    with pytest.raises(BadInput, match="must stay what it was when the study began"):
        tarazu.methods(plugins=["mylab.chance"])


def test_a_module_that_raises_is_told(package: Path) -> None:
    (package / "__init__.py").write_text("raise OSError('no disk')")
    with pytest.raises(BadInput, match="must load without an error, but got OSError: no disk"):
        tarazu.methods(plugins=["mylab.chance"])


# --- What identifies a run ------------------------------------------------------------------------


def test_runs_say_which_plug_in_made_them(made: Place) -> None:
    chance, majority = made.record("chance"), made.record("majority")
    assert chance.spec.plugins == {"chance.py": sha256_file(made.chance)}
    assert majority.spec.plugins == {}
    records = [chance, majority]
    (told,) = (line for line in footnotes(records) if "plug-ins" in line.en)
    said = f"chance: chance.py {sha256_file(made.chance)[:12]}"
    assert told.en == f"From plug-ins (SHA-256): {said}."
    assert "chance.py" in told.fa
    page = report_html(read_results(made.out))
    assert "tarazu run own.yaml --plugin chance.py" in page
    everything = [(made.out / "study.json").read_text(), json.dumps(chance.model_dump(mode="json"))]
    assert str(made.folder) not in "".join(everything)


def test_the_key_knows_the_plug_in_and_older_keys_stay(made: Place) -> None:
    spec: RunSpec = made.record("chance").spec
    other = spec.model_copy(update={"plugins": {"chance.py": "0" * 64}})
    none = spec.model_copy(update={"plugins": {}})
    assert len({content_key(one) for one in (spec, other, none)}) == 3
    built_in: RunSpec = made.record("majority").spec
    dumped = built_in.model_dump(mode="json", by_alias=True)
    del dumped["plugins"]  # as in records that did not know plug-ins
    assert content_key(RunSpec.model_validate(dumped)) == made.record("majority").key


def test_given_again_nothing_is_made_again(place: Place) -> None:
    place.run(place.chance)
    assert place.heard.began == []
    assert not any("plug-in" in note for note in place.heard.notes)
    assert all(run.state == "done" for run in status(place.out).runs)


def test_a_changed_plug_in_makes_its_runs_stale_and_no_others(place: Place) -> None:
    before = place.record("chance")
    place.chance.write_text(CHANCE.replace("draw.choice", "draw.choice "), encoding="utf-8")
    found = {run.entry: run for run in status(place.out).runs}
    assert (found["chance"].state, found["chance"].why) == ("stale", "chance.py changed since")
    assert found["majority"].state == "done"
    place.run(place.chance)
    assert place.heard.began == ["chance"]
    assert "The plug-in 'chance.py' has changed: what it made is made again." in place.heard.notes
    runs = status(place.out).runs
    assert [run.state for run in runs if run.entry == "chance"] == ["done", "stale"]
    assert "plug-in chance.py" in runs[-1].why
    assert before.spec.plugins["chance.py"][:12] in runs[-1].why
    place.run(place.chance)
    assert place.heard.began == []
    assert not any("plug-in" in note for note in place.heard.notes)


def test_a_part_of_a_study_leaves_runs_of_a_changed_plug_in_stale(place: Place) -> None:
    study = place.folder / "study.yaml"
    study.write_text(study.read_text().replace("  chance:", "  tfidf: {}\n  chance:"))
    place.run(place.chance)
    place.chance.write_text(CHANCE + "\n", encoding="utf-8")
    place.run(place.chance, only=["majority"])
    found = {run.entry: run.state for run in status(place.out).runs}
    assert found == {"majority": "done", "tfidf": "done", "chance": "stale"}


def test_a_part_of_a_study_keeps_the_plan_where_a_plug_in_only_moved(place: Place) -> None:
    (place.folder / "far").mkdir()
    moved = place.chance.rename(place.folder / "far" / "chance.py")
    place.run(moved, only=["majority"])
    assert {run.state for run in status(place.out).runs} == {"done"}


def test_a_part_of_a_study_leaves_all_runs_of_a_changed_task_stale(
    tmp_path: Path, in_this_process: None
) -> None:
    place = laid_out(tmp_path / "work", task="own-nli")
    pairs = written(place.folder, "pairs.py", TASK)
    place.run(place.chance, pairs)
    written(place.folder, "pairs.py", TASK + "\n")
    place.run(place.chance, pairs, only=["majority"])
    states = {(run.entry, run.state) for run in status(place.out).runs}
    assert ("chance", "stale") in states
    assert ("chance", "done") not in states


def test_status_looks_at_all_files_of_a_package(place: Place, package: Path) -> None:
    place.run("mylab.chance")
    assert {run.state for run in status(place.out).runs if run.entry == "majority"} == {"done"}
    written(package, "shared.py", "SHARE = 2\n")
    found = [run for run in status(place.out).runs if run.entry == "chance"]
    assert {run.state for run in found} == {"stale"}
    assert found[0].why == "shared.py changed since"


def test_an_edit_between_naming_and_noting_is_seen(place: Place) -> None:
    with catalog.using([place.chance]):
        study = load_study(place.folder / "study.yaml")
        text = CHANCE.replace("equal", "EQUAL")  # as long as before
        place.chance.write_text(text, encoding="utf-8")
        watch_inputs(Store(place.out), study, {}, catalog.plugins_in_use())
    found = {run.entry: run.state for run in status(place.out).runs}
    assert found == {"majority": "done", "chance": "stale"}


def test_without_it_the_study_says_what_is_missing_and_how_to_name_it(place: Place) -> None:
    with pytest.raises(BadInput) as error:
        place.run()
    unknown, missing = error.value.problems
    assert "must be a known method" in unknown.rule
    assert "--plugin FILE" in unknown.remedy
    assert missing.rule == "'chance.py' was in use when the study was last run"
    assert missing.remedy == f"Add --plugin {place.chance}."


def test_without_out_the_study_s_own_folder_is_looked_at(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.folder)
    run_study("study.yaml", plugins=["chance.py"])
    with pytest.raises(BadInput, match=r"--plugin: 'chance\.py' was in use"):
        run_study("study.yaml")


def test_status_says_how_to_name_it_and_that_it_is_gone(place: Place) -> None:
    assert status(place.out).notes == ()
    shutil.rmtree(Store(place.out).run_folder(place.record("chance")))
    said = " ".join(status(place.out).notes)
    assert f"loads only when it is named. Add --plugin {place.chance}." in said
    place.chance.unlink()
    assert "The plug-in 'chance.py' is missing" in " ".join(status(place.out).notes)


@pytest.mark.parametrize(
    "name", ["x; rm -rf ~", "a b", "$(id)", "../x.py", "-x.py", "\x1b[2J.py", ""]
)
def test_what_cannot_name_a_plug_in_is_never_a_command(place: Place, name: str) -> None:
    """The output folder may be somebody else's."""
    file = place.out / ".inputs.json"
    noted = json.loads(file.read_text())
    file.write_text(json.dumps([{**noted[0], "what": f"plugin {name}"}]))
    assert known_plugins(place.out) == {}
    record = place.record("chance")
    spec = record.spec.model_copy(update={"plugins": {name: "0" * 64}})
    with pytest.raises(BadInput) as error:
        sentinel._check_plugins(record.model_copy(update={"spec": spec}))
    (problem,) = error.value.problems
    assert problem.remedy == ""


def test_the_names_of_plug_ins_are_quoted_for_a_shell(place: Place) -> None:
    name = "my $(id).py"
    file = place.out / ".inputs.json"
    noted = json.loads(file.read_text())
    file.write_text(json.dumps([{**noted[0], "what": f"plugin {name}", "path": f"../{name}"}]))
    assert known_plugins(place.out) == {name: f"Add --plugin '{place.folder / name}'."}
    record = place.record("chance")
    spec = record.spec.model_copy(update={"plugins": {name: "0" * 64}})
    with pytest.raises(BadInput, match=re.escape(f"--plugin '{name}', with its folder.")):
        sentinel._check_plugins(record.model_copy(update={"spec": spec}))


@pytest.mark.parametrize("key", ["path", "what", "bytes", "changed", "sha256"])
@pytest.mark.parametrize("value", [None, [], {}, 0.5, True])
def test_notes_of_the_wrong_kind_are_no_notes(place: Place, key: str, value: object) -> None:
    file = place.out / ".inputs.json"
    noted = json.loads(file.read_text())
    file.write_text(json.dumps([{**one, key: value} for one in noted]))
    assert known_plugins(place.out) == {}
    assert changed_files(place.out) == []


def test_a_path_that_cannot_be_one_is_a_file_that_is_gone(place: Place) -> None:
    file = place.out / ".inputs.json"
    noted = json.loads(file.read_text())
    file.write_text(json.dumps([{**noted[0], "path": "a\0b"}]))
    assert len(changed_files(place.out)) == 1


def test_verify_wants_the_same_plug_in(place: Place) -> None:
    assert verify(place.out, entry="chance", plugins=[place.chance]).verdict == "bit-equal"
    with pytest.raises(BadInput, match=r"no 'chance\.py'. Name it: --plugin chance\.py"):
        verify(place.out, entry="chance")
    place.chance.write_text(CHANCE + "\n", encoding="utf-8")
    with pytest.raises(BadInput, match="must be the one that was used"):
        verify(place.out, entry="chance", plugins=[place.chance])


def test_a_bundle_holds_the_plug_in_that_made_it(place: Place) -> None:
    with zipfile.ZipFile(bundle(place.out)) as archive:
        assert archive.read("code/plugins/chance.py").decode() == CHANCE
        assert "study.json --plugin code/plugins/chance.py" in archive.read("README.md").decode()
    (place.out / "plugins" / "chance.py").write_text("other")
    with zipfile.ZipFile(bundle(place.out)) as archive:
        assert "code/plugins/chance.py" not in archive.namelist()


def test_a_bundle_says_which_plug_ins_it_does_not_hold(place: Place, package: Path) -> None:
    with zipfile.ZipFile(bundle(place.out)) as archive:
        assert "not in this archive" not in archive.read("README.md").decode()
    (place.out / "plugins" / "chance.py").unlink()  # as one with a token
    with zipfile.ZipFile(bundle(place.out)) as archive:
        said = archive.read("README.md").decode()
    assert "`tarazu run study.json --plugin chance.py`" in said
    assert f"not in this archive:\n\n- chance.py, SHA-256 {sha256_file(place.chance)}\n" in said
    place.run("mylab.chance")
    with zipfile.ZipFile(bundle(place.out)) as archive:
        said = archive.read("README.md").decode()
    assert "`tarazu run study.json --plugin mylab.chance`" in said
    assert f"- mylab.chance, SHA-256 {plugins.find_plugin('mylab.chance').sha256}\n" in said


def test_a_plug_in_that_holds_a_secret_is_not_kept(place: Place) -> None:
    place.chance.write_text(f"TOKEN = 'hf_{'aB3' * 12}'\n{CHANCE}", encoding="utf-8")
    shutil.rmtree(place.out / "plugins")
    place.run(place.chance)
    assert not (place.out / "plugins" / "chance.py").exists()


def test_a_study_reads_its_entries_through_the_catalog(tmp_path: Path) -> None:
    place = laid_out(tmp_path / "work")
    with catalog.using([place.chance]):
        entries = load_study(place.folder / "study.yaml").entries
    assert [entry.method.name for entry in entries] == ["majority", "chance"]
