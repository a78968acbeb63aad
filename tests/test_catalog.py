from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tarazu import catalog
from tarazu.errors import BadInput
from tarazu.methods._method import Method

SRC = Path(catalog.__file__).parent

MODULE = """
from tarazu.methods._method import Method
from tarazu.text import Text

METHOD = Method(
    name="{name}", label=Text("a", "b"), family="baseline", summary=Text("a", "b"),
    explain=lambda context: Text("a", "b"),
)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "somemethods"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith("somemethods")]:
        del sys.modules[name]


def public_files(folder: str) -> list[str]:
    files = (SRC / folder).glob("*.py")
    return sorted(f.stem.replace("_", "-") for f in files if not f.stem.startswith("_"))


def test_every_method_file_is_found() -> None:
    assert sorted(catalog.methods()) == public_files("methods")


def test_every_task_file_is_found() -> None:
    assert sorted(catalog.tasks()) == public_files("tasks")


def test_the_methods_and_tasks_that_were_promised_are_there() -> None:
    assert len(catalog.methods()) >= 11
    assert len(catalog.tasks()) >= 3


def test_a_new_file_is_a_new_method(package: Path) -> None:
    (package / "p_tuning.py").write_text(MODULE.format(name="p-tuning"))
    (package / "also.py").write_text(MODULE.format(name="also"))
    (package / "_helper.py").write_text("raise RuntimeError('not to be imported')")
    found = catalog.discover("somemethods", "METHOD", Method)
    assert list(found) == ["also", "p-tuning"]


def test_name_must_be_the_files_name(package: Path) -> None:
    (package / "p_tuning.py").write_text(MODULE.format(name="ptuning"))
    with pytest.raises(BadInput, match=r"somemethods\.p_tuning: .*'p-tuning', but got 'ptuning'"):
        catalog.discover("somemethods", "METHOD", Method)


def test_module_without_a_method_is_an_error(package: Path) -> None:
    (package / "helper.py").write_text("METHOD = 3")
    with pytest.raises(BadInput, match="must define METHOD, a Method, but got int"):
        catalog.discover("somemethods", "METHOD", Method)


def test_unknown_names_get_the_nearest_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "methods", lambda: {"lora": None, "full": None})
    monkeypatch.setattr(catalog, "tasks", lambda: {"multinli": None})
    with pytest.raises(BadInput, match=r"'lroa'\. Did you mean 'lora'\?"):
        catalog.find_method("lroa")
    with pytest.raises(BadInput, match="Did you mean 'multinli'"):
        catalog.resolve_task("multi-nli")


def test_listing_does_not_import_torch() -> None:
    code = (
        "import sys; from tarazu import catalog; catalog.methods(); catalog.tasks();"
        "heavy = {'torch', 'transformers', 'peft', 'sklearn', 'datasets'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
