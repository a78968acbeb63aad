"""``tarazu doctor``: what this machine is, what a study would use, what stands in the way.

It is the first thing to paste into a bug report: nothing in it names the user or the machine, and
of variables only the names are shown. Folders are shown by their paths, the home as ``~``, other
people's homes and this user's and machine's names hidden (`tarazu.commands._privacy` says how far);
other parts of a path outside the home are shown. Each part is asked for itself, and one
that fails says so in a line of its own (``not_read``): the diagnosis itself never fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tarazu.commands import _machine
from tarazu.commands._judge import Finding, judge
from tarazu.commands._privacy import Privacy

SCHEMA = 1
TORCH_SECONDS = 90.0
"""That torch may take to answer: a driver can hang, a cold disk be slow."""
_CACHE_SECONDS = 0.7  # for each cache; the sizes of larger ones are lower bounds
Got = TypeVar("Got")


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        facts: By part, as JSON values; a part that could not be read is None or empty.
        problems: What is wrong, those that stop a run first.
    """

    facts: Mapping[str, Any]
    problems: tuple[Finding, ...]

    @property
    def fit(self) -> bool:
        """Whether nothing was found that would stop a run."""
        return not any(problem.severity == "error" for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """Return what ``tarazu doctor --format json`` prints; its keys stay."""
        return {
            "schema": SCHEMA,
            "fit": self.fit,
            "problems": [asdict(problem) for problem in self.problems],
            **self.facts,
        }

    def __str__(self) -> str:
        """Return it as plain text."""
        from rich.console import Console

        from tarazu.report.doctor_view import doctor_view

        console = Console(width=100, no_color=True)
        with console.capture() as told:
            console.print(doctor_view(self.to_json()))
        return told.get()


class _Asking:
    """Asks for one part after the other, whatever happens.

    Attributes:
        failed: Why a part could not be read, in one line, by its name.
    """

    def __init__(self) -> None:
        self.failed: dict[str, str] = {}

    def __call__(self, name: str, ask: Callable[[], Got]) -> Got | None:
        try:
            return ask()
        except Exception as error:
            self.failed[name] = _reason(error)
            return None


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def doctor(
    out: str | Path | None = None, *, note: Callable[[str], None] = lambda message: None
) -> Diagnosis:
    """Examine this machine, and an output folder.

    Takes some seconds: torch is started in a process of its own, and no memory of a card is taken.

    Args:
        out: The output folder of a study, or the one that it would have; by default the working
            folder is taken for what is free there, and no locks are looked at.
        note: Hears when it takes longer, as another machine had the folder.
    """
    ask = _Asking()
    torch = ask("torch", _start_torch)  # meanwhile the rest is looked at
    folder = Path(out) if out is not None else None
    home = ask("home", lambda: str(Path.home()))
    storage = list(_storage(ask, folder or Path()))
    facts: dict[str, Any] = {
        "system": ask("system", _machine.system),
        "versions": ask("versions", _machine.versions),
        "unmet": ask("requirements", _machine.unmet),
        "memory": ask("memory", _machine.memory),
        "home": home,
        "storage": storage,
        "caches": list(_caches(ask)),
        "ledger": ask("ledger", _ledger),
        "hub": ask("hub", _hub),
        "variables": ask("variables", _machine.variables),
        "output": ask("output", lambda: _output(folder, note)) if folder is not None else None,
        "torch": ask("torch", lambda: _answer_of(torch)) if torch is not None else None,
    }
    told = facts["torch"] or {}
    for part, reason in told.pop("failed", {}).items():
        ask.failed[f"torch {part}"] = " ".join(reason.split())[:300]
    facts["cards"] = ask("cards", lambda: _cards(ask, told)) or []
    for part in ("cards", "driver"):  # the former hold the cards' serial numbers
        told.pop(part, None)
    facts["would_use"] = told.pop("would_use", None)
    usable = facts["would_use"]["threads"] if facts["would_use"] else os.cpu_count() or 1
    facts["cores"] = ask("cores", lambda: _machine.cores(usable))
    facts["not_read"] = ask.failed
    privacy = Privacy()
    found = tuple(
        Finding(one.severity, privacy.text(one.what), privacy.text(one.remedy))
        for one in judge(facts)
    )
    facts["home"] = home is not None  # whether it is known: what it is called is nobody's business
    shown = privacy.values(facts)
    shown["variables"] = facts["variables"]  # words of ours, whatever the user is called
    return Diagnosis(shown, found)


def _start_torch() -> subprocess.Popen[bytes]:
    # Where this package was found, and nothing out of the working folder: a torch.py may lie there.
    source = str(Path(__file__).parents[2])
    known = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([source, known] if known else [source])
    return subprocess.Popen(
        [sys.executable, "-m", "tarazu.commands._torch_probe"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
    )


def _answer_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return what the process says of torch.

    Raises:
        RuntimeError: It hangs, or has died.
    """
    try:
        out, err = process.communicate(timeout=TORCH_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # who hangs in a driver may not even die
            process.communicate(timeout=1)
        raise RuntimeError(f"no answer within {TORCH_SECONDS:.0f} s") from None
    lines = out.decode(errors="replace").splitlines() if process.returncode == 0 else []
    for line in reversed(lines):
        with suppress(ValueError):  # libraries print what they like
            answer = json.loads(line)
            if isinstance(answer, dict) and "build" in answer:
                return answer
    said = err.decode(errors="replace").strip().splitlines()
    how = f"exit code {process.returncode}"
    raise RuntimeError(f"{said[-1]} ({how})" if said else how)


def _cards(ask: _Asking, torch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the cards that torch sees, with their free memory; else those that the driver sees."""
    listed: list[dict[str, Any]] = []
    build = torch.get("build") or {}
    try:
        listed = _machine.nvidia_smi()
    except FileNotFoundError:
        if build.get("cuda"):
            ask.failed["nvidia-smi"] = "it is not installed, or not in PATH"
    except Exception as error:  # what torch has told of the cards is shown nevertheless
        ask.failed["nvidia-smi"] = _reason(error)
    seen = torch.get("cards") or []
    free = {card["uuid"].removeprefix("GPU-"): card for card in listed}
    if seen:
        return [
            {
                "name": card["name"],
                "memory": card["memory"],
                "free": free.get(card["id"].removeprefix("GPU-"), {}).get("memory.free"),
                "capability": card["capability"],
                "driver": torch.get("driver"),
                "seen_by_torch": True,
            }
            for card in seen
        ]
    return [
        {
            "name": card["name"],
            "memory": card["memory.total"],
            "free": card["memory.free"],
            "capability": card["compute_cap"],
            "driver": card["driver_version"],
            "seen_by_torch": False,
        }
        for card in listed
    ]


def _places(ask: _Asking) -> dict[str, Path]:
    """Return where what is fetched and computed goes, by what it is."""
    places = {
        "models": ask("models", _models_cache),
        "Hub downloads": ask("Hub downloads", _hub_cache),
    }
    return {what: folder for what, folder in places.items() if folder is not None}


# Imports are guarded, too: pydantic cannot be imported where the working folder is gone.
def _models_cache() -> Path:
    from tarazu.models.cache import cache_root

    return cache_root()


def _hub_cache() -> Path:
    """Return the Hub's cache; its client, which takes a second to load, is not asked."""
    if named := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(named).expanduser()
    return _hub_home() / "hub"


def _hub_home() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser()


def _storage(ask: _Asking, out: Path) -> list[dict[str, Any]]:
    places: dict[str, Callable[[], Path]] = {
        "output": lambda: out,
        "temporary files": lambda: Path(tempfile.gettempdir()),
        "ledger": lambda: _ledger_file().parent,
    }
    places |= {what: partial(Path, folder) for what, folder in _places(ask).items()}
    found = []
    for what, place in places.items():
        told = ask(f"disk of {what}", partial(_storage_of, what, place))
        if told is not None:
            found.append(told)
    return found


def _storage_of(what: str, place: Callable[[], Path]) -> dict[str, Any]:
    return _machine.storage(what, place())


def _caches(ask: _Asking) -> list[dict[str, Any]]:
    places = {
        **_places(ask),
        "data sets": ask(
            "data sets",
            lambda: Path(os.environ.get("HF_DATASETS_CACHE") or _hub_home() / "datasets"),
        ),
    }
    found = []
    for what, folder in places.items():
        told = ask(f"size of {what}", partial(_size_of, folder)) if folder is not None else None
        if told is not None:
            found.append({"what": what, "path": str(folder), **told})
    return found


def _size_of(folder: Path) -> dict[str, Any] | None:
    # Whether it is a folder cannot be asked of one behind a closed folder, or of too long a name.
    return _machine.size_of(folder, _CACHE_SECONDS) if folder.is_dir() else None


def _ledger_file() -> Path:
    from tarazu.record.ledger import ledger_file

    return ledger_file()


def _ledger() -> dict[str, Any]:
    file = _ledger_file()
    return {"path": str(file), "bytes": file.stat().st_size if file.is_file() else None}


def _hub() -> dict[str, Any]:
    named = any(os.environ.get(name) for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"))
    stored = Path(os.environ.get("HF_TOKEN_PATH") or _hub_home() / "token").expanduser()
    return {
        "token": named or stored.is_file(),
        "offline": os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"),
    }


def _output(folder: Path, note: Callable[[str], None]) -> dict[str, Any]:
    """Return what there is to know of an output folder, and who has it."""
    from tarazu.errors import BadInput
    from tarazu.record.holder import leased_by
    from tarazu.record.lock import probe
    from tarazu.record.mounted import drive
    from tarazu.record.standing import in_use
    from tarazu.record.store import Store

    place = _machine.nearest(folder)
    used = in_use(folder, note) if folder.is_dir() else False
    unfit = "it is a file" if folder.exists() and not folder.is_dir() else None
    if not used and unfit is None:
        try:
            probe(place)
        except BadInput as error:
            unfit = f"{error.problems[0].rule}, but it is on {error.problems[0].value}"
        except OSError as error:  # that it takes no files is said of its disk
            unfit = None if _machine.why_not_writable(place) else str(error.strerror)
    store = Store(folder)
    return {
        "path": str(folder),
        "exists": folder.is_dir(),
        "study": store.has_study(),
        "runs": sum(1 for _ in folder.glob("runs/[!.]*/record.json")),
        "leftovers": len(store.leftovers()),
        "in_use": used,
        "lease": leased_by(folder),
        "shared": drive(place),
        "writable": _machine.why_not_writable(place) is None,
        "unfit": unfit,
    }
