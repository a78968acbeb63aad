"""What ships, and what is loaded when."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import tarazu

ROOT = Path(__file__).parents[3]


def test_every_template_is_shipped():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    package = Path(tarazu.__file__).parent
    shipped = {
        path
        for pattern in project["tool"]["setuptools"]["package-data"]["tarazu"]
        for path in package.glob(pattern)
    }
    templates = {path for path in (package / "report/html/templates").iterdir() if path.is_file()}
    assert len(templates) > 10
    assert templates <= shipped


def test_the_page_is_loaded_only_when_it_is_asked_for():
    code = (
        "import sys, tarazu.cli, tarazu.report.api\n"
        "slow = {'altair', 'vl_convert', 'jinja2', 'markdown_it', 'weasyprint'}\n"
        "slow &= set(sys.modules)\n"
        "sys.exit(str(slow) if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
