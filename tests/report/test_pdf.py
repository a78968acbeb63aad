"""What a user is told who cannot have a PDF, or asks for it in a wrong way."""

from __future__ import annotations

import io
import sys

import pytest
from typer.testing import CliRunner

from tarazu import cli
from tarazu.errors import BadInput
from tarazu.report.pdf import pdf


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """Return a way to put another package in the place of the layout engine."""

    def put(code):
        for name in [n for n in sys.modules if n.partition(".")[0] == "weasyprint"]:
            monkeypatch.delitem(sys.modules, name)
        (tmp_path / "weasyprint.py").write_text(code, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)

    return put


def test_without_the_package_the_extra_is_named(engine):
    engine("raise ModuleNotFoundError(\"No module named 'weasyprint'\")")
    with pytest.raises(BadInput) as caught:
        pdf("<p>")
    (problem,) = caught.value.problems
    assert "pip install 'tarazu[pdf]'" in problem.remedy


def test_without_the_system_libraries_the_debian_packages_are_named(engine, capfd):
    engine("print('advice'); raise OSError('cannot load library libpangoft2-1.0-0')")
    with pytest.raises(BadInput) as caught:
        pdf("<p>")
    (problem,) = caught.value.problems
    assert "libpangoft2-1.0-0" in problem.value
    assert "apt-get install libpango-1.0-0 libpangoft2-1.0-0" in problem.remedy
    assert capfd.readouterr().out == ""


def test_the_command_says_so_too(engine, tmp_path, make):
    from tarazu.record.store import Store

    engine("raise ImportError('none')")
    Store(tmp_path / "out").write_record(make("lora"))
    file = tmp_path / "report.pdf"
    arguments = ["report", str(tmp_path / "out"), "--format", "pdf", "--out", str(file)]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 2
    assert "pip install 'tarazu[pdf]'" in " ".join(result.stderr.split())
    assert not file.exists()


def test_a_terminal_gets_no_bytes(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    with pytest.raises(BadInput, match="must not go to a terminal"):
        cli.report(tmp_path, form="pdf", out=None)
