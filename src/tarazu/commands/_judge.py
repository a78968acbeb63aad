"""What is wrong with a machine for tarazu's purpose, judged from what was found on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

LEAST_MEMORY, LITTLE_MEMORY = 5 * 10**8, 4 * 10**9
"""Bytes of available memory of the smallest run, and of training a small model."""
LEAST_DISK, LITTLE_DISK = 10**8, 5 * 10**9
"""Bytes free that records take, and that a small model with its checkpoints takes."""
_WANTS_RANK = ("RANK", "LOCAL_RANK", "WORLD_SIZE")


@dataclass(frozen=True)
class Finding:
    """Something that stops a run, or that a run will suffer from.

    Attributes:
        severity: An ``error`` stops a run; of a ``warning`` a run may suffer.
        what: What is wrong.
        remedy: What to do about it.
    """

    severity: Literal["error", "warning"]
    what: str
    remedy: str


def judge(facts: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield all findings, those that stop a run first.

    Args:
        facts: As `tarazu.commands.doctor` gathers them; what could not be read is None.
    """
    judges = (_packages, _torch, _card, _four_bit, _memory, _cores, _storage, _output, _variables)
    found = [finding for one in judges for finding in one(facts)]
    yield from sorted(found, key=lambda finding: finding.severity != "error")


def _packages(facts: Mapping[str, Any]) -> Iterator[Finding]:
    for needed, installed in facts["unmet"] or ():
        what = f"tarazu needs {needed}, and {installed} is installed"
        yield Finding("error", what, f"pip install '{needed}'")


def _torch(facts: Mapping[str, Any]) -> Iterator[Finding]:
    if facts["torch"] is None:
        reason = facts["not_read"].get("torch", "no reason told")
        remedy = "Try `python -c 'import torch'`; a broken installation is best made anew."
        yield Finding("error", f"torch does not start: {reason}", remedy)


def _card(facts: Mapping[str, Any]) -> Iterator[Finding]:
    torch = facts["torch"] or {}
    obstacle, kernels = torch.get("obstacle"), torch.get("kernels")
    if obstacle and not obstacle["expected"]:
        yield Finding("warning", f"no card can be used: {obstacle['reason']}", obstacle["remedy"])
    if kernels:
        yield Finding("error", kernels["reason"], kernels["remedy"])


def _four_bit(facts: Mapping[str, Any]) -> Iterator[Finding]:
    found = (facts["torch"] or {}).get("four_bit")
    if found and found["reason"]:
        what = f"qlora-text and qlora-head lack their 4-bit kernels: {found['reason']}"
        remedy = "pip install --upgrade bitsandbytes, in a build for this torch"
        yield Finding("warning", what, f"{remedy}; `python -m bitsandbytes` tells more.")


def _memory(facts: Mapping[str, Any]) -> Iterator[Finding]:
    if (memory := facts["memory"]) is None or memory["available"] >= LITTLE_MEMORY:
        return
    bound = " in this container" if memory["container"] else ""
    what = f"{amount(memory['available'])} of memory are available{bound}"
    if memory["available"] < LEAST_MEMORY:
        remedy = "End what else runs, or allow more: not even a run without a model fits."
        yield Finding("error", what, remedy)
    else:
        remedy = "Small models only; end what else runs, or allow more."
        yield Finding("warning", what, remedy)


def _cores(facts: Mapping[str, Any]) -> Iterator[Finding]:
    cores, used = facts["cores"], facts["would_use"]
    if cores is None or used is None or cores["container"] is None:
        return
    allowed = max(1, int(cores["container"]))
    if used["threads"] >= 2 * cores["container"]:
        what = f"{used['threads']:,} threads would share the time of {cores['container']:g} cores"
        yield Finding("warning", what, f"Set compute.threads to {allowed} in the study.")


def _storage(facts: Mapping[str, Any]) -> Iterator[Finding]:
    for what in _NEEDED:
        if reason := facts["not_read"].get(f"disk of {what}"):
            told = f"the folder of {what} cannot be looked at: {reason}"
            yield Finding("error", told, f"Go to a folder that exists. {_ELSEWHERE[what]}")
    for place in facts["storage"]:
        what, path, free = place["what"], place["path"], place["free"]
        elsewhere = _ELSEWHERE.get(what, "")
        if not place["writable"]:
            severity: Literal["error", "warning"] = "error" if what in _NEEDED else "warning"
            told = f"the folder of {what} ({path}) takes no files: {place['reason']}"
            yield Finding(severity, told, f"Allow writing to it. {elsewhere}".strip())
        elif place["total"] and free < LITTLE_DISK:
            severity = "error" if what == "output" and free < LEAST_DISK else "warning"
            told = f"{amount(free)} are free on the disk of {what} ({path})"
            yield Finding(severity, told, f"Make room. {elsewhere}".strip())


_NEEDED = ("output", "temporary files")
_ELSEWHERE = {
    "output": "Or choose another folder with --out.",
    "models": "Or set TARAZU_CACHE to a folder on another disk.",
    "Hub downloads": "Or set HF_HUB_CACHE to a folder on another disk.",
    "temporary files": "Or set TMPDIR to a folder on another disk.",
    "ledger": "Or set TARAZU_LEDGER to a file elsewhere.",
}


def _output(facts: Mapping[str, Any]) -> Iterator[Finding]:
    if (output := facts["output"]) is None:
        return
    if output["in_use"]:
        told = f"a study is at work in {output['path']}"
        yield Finding("error", told, "Wait until it has finished, or choose another with --out.")
    if output["unfit"]:
        told = f"{output['path']} cannot hold a study: {output['unfit']}"
        yield Finding("error", told, "Choose a folder on a local disk with --out.")
    if output["shared"]:
        told = f"{output['path']} is on a drive ({output['shared']}) that other machines write to"
        yield Finding("warning", told, "A local disk is safer and faster.")


def _variables(facts: Mapping[str, Any]) -> Iterator[Finding]:
    lost = {"models", "disk of ledger"} & set(facts["not_read"])
    if facts["home"] is None and lost:  # else variables say where they are
        told = "the home folder is not known, so caches and ledger have no place"
        yield Finding("error", told, "Set HOME, or TARAZU_CACHE, HF_HOME and TARAZU_LEDGER.")
    groups = facts["variables"] or {}
    ranks = [name for name in groups.get("scheduler", ()) if name in _WANTS_RANK]
    if ranks:
        told = f"a launcher of distributed training has set {', '.join(ranks)}"
        remedy = "tarazu computes on one card: start it once, without torchrun, or unset them."
        yield Finding("warning", told, remedy)


def amount(size: int) -> str:
    """Return a number of bytes such as ``1.2 GB``."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
