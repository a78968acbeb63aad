"""What `tarazu doctor` found, in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tarazu.report.numbers import size
from tarazu.report.plain import one_line

_UNKNOWN = "not known"
_STYLES = {"error": "red", "warning": "yellow"}
Rows = Iterator[tuple[str, str]]


def doctor_view(facts: Mapping[str, Any]) -> RenderableType:
    """Return the diagnosis: what would be used, what is wrong, then the facts by part.

    Args:
        facts: As ``tarazu doctor --format json`` prints them.
    """
    parts = {
        "Would be used": _used(facts),
        "Cards": _cards(facts),
        "Machine": _machine(facts),
        "Disks": _disks(facts),
        "Caches": _caches(facts),
        "Output folder": _output(facts),
        "Surroundings": _surroundings(facts),
        "Versions": _versions(facts),
        "Could not be read": iter((facts["not_read"] or {}).items()),
    }
    used = parts.pop("Would be used")
    shown = [_part("Would be used", list(used)), _problems(facts)]
    shown += [_part(title, found) for title, rows in parts.items() if (found := list(rows))]
    return Group(*shown)


def _part(title: str, rows: list[tuple[str, str]]) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(Text(f"  {one_line(name)}"), Text(one_line(value)))
    return Group(Text(title, style="bold"), grid, Text())


def _problems(facts: Mapping[str, Any]) -> RenderableType:
    lines = []
    for problem in facts["problems"]:
        lines.append(
            Text(
                f"  {problem['severity']}: {one_line(problem['what'])}",
                style=_STYLES[problem["severity"]],
            )
        )
        lines.append(Text(f"    remedy: {one_line(problem['remedy'])}"))
    if not lines:
        lines = [Text("  none found", style="green")]
    elif facts["fit"]:
        lines.append(Text("  Nothing of this stops a run."))
    return Group(Text("Problems", style="bold"), *lines, Text())


def _used(facts: Mapping[str, Any]) -> Rows:
    used, torch = facts["would_use"], facts["torch"] or {}
    if used is None:
        yield "device", _UNKNOWN
        return
    if used["device"] == "cpu":
        obstacle = torch.get("obstacle") or {}
        yield "device", f"cpu ({obstacle.get('reason', 'no card can be used')})"
    else:
        cards = [card["name"] for card in facts["cards"] if card["seen_by_torch"]]
        more = f", the first of {len(cards)} cards" if len(cards) > 1 else ""
        yield "device", f"{used['device']} ({', '.join(cards[:1]) or 'a card'}{more})"
    yield "precision", f"{used['dtype']} ({used['dtype_reason']})"
    cores = facts["cores"] or {}
    of = f" of {cores['all']:,}" if cores.get("all") else ""
    yield "threads", f"{used['threads']:,} (cores that this process may use{of})"
    if four_bit := torch.get("four_bit"):
        kernels = four_bit["library"] or "none"
        yield "4-bit kernels", kernels + (f" ({four_bit['reason']})" if four_bit["reason"] else "")


def _cards(facts: Mapping[str, Any]) -> Rows:
    build = (facts["torch"] or {}).get("build")
    if build is not None:
        made = [f"{name.upper()} {build[name]}" for name in ("cuda", "hip", "xpu") if build[name]]
        yield "torch", f"{build['version']}, built for {', '.join(made) or 'CPU only'}"
    for number, card in enumerate(facts["cards"]):
        told = [
            card["name"],
            f"{size(card['memory'])} of memory" if card["memory"] else "memory not known",
            f"{size(card['free'])} free" if card["free"] is not None else "free memory not known",
            f"compute capability {card['capability']}",
            f"driver {card['driver'] or _UNKNOWN}",
        ]
        unseen = "" if card["seen_by_torch"] else " (torch does not use it)"
        yield f"card {number}", ", ".join(told) + unseen
    for other in (facts["torch"] or {}).get("unused", ()):
        yield "not used", f"{other}: tarazu does not compute on it"


def _machine(facts: Mapping[str, Any]) -> Rows:
    torch, cores = facts["torch"] or {}, facts["cores"]
    yield "processor", torch.get("processor") or _UNKNOWN
    if bf16 := torch.get("bf16"):
        gain = (
            f", measured {bf16['speedup']:.1f} times as fast as float32" if bf16["speedup"] else ""
        )
        yield "bfloat16", ("instructions" if bf16["instructions"] else "no instructions") + gain
    if cores is not None:
        bound = f", container: time of {cores['container']:g}" if cores["container"] else ""
        yield "cores", f"{cores['all'] or _UNKNOWN}, usable {cores['usable']}{bound}"
    if (memory := facts["memory"]) is not None:
        bound = f", machine {size(memory['machine'])}" if memory["container"] else ""
        yield (
            "memory",
            f"{size(memory['total'])}{' (bound of the container)' * bool(bound)}, "
            f"{size(memory['available'])} available, swap {size(memory['swap'])}{bound}",
        )
    if (system := facts["system"]) is not None:
        names = [system["os"], system["kernel"], system["machine"], system["libc"]]
        yield "system", ", ".join(name for name in names if name)
        yield "container", system["container"] or "none seen"
        yield "C compiler", system["compiler"] or "none in PATH (tarazu itself needs none)"


def _disks(facts: Mapping[str, Any]) -> Rows:
    for place in facts["storage"]:
        told = [
            place["path"],
            f"{size(place['free'])} free of {size(place['total'])}",
            place["file_system"] or "file system not known",
            "writable" if place["writable"] else f"NOT writable: {place['reason']}",
        ]
        yield place["what"], ", ".join(told)


def _caches(facts: Mapping[str, Any]) -> Rows:
    for cache in facts["caches"]:
        least = "" if cache["whole"] else "at least "
        counted = f"{least}{size(cache['bytes'])} in {cache['files']:,} files"
        yield cache["what"], f"{cache['path']}, {counted}"


def _output(facts: Mapping[str, Any]) -> Rows:
    if (output := facts["output"]) is None:
        return
    yield "folder", output["path"] + ("" if output["exists"] else " (would be made)")
    if output["study"]:
        yield "holds", f"a study with {output['runs']:,} runs, {output['leftovers']:,} leftovers"
    lease = f", lease of {output['lease']}" if output["lease"] else ""
    yield "locks", ("held by a study at work" if output["in_use"] else "free") + lease
    unfit = output["unfit"] or (None if output["writable"] else "it takes no files")
    yield "fit", f"no: {unfit}" if unfit else "yes"


def _surroundings(facts: Mapping[str, Any]) -> Rows:
    if (hub := facts["hub"]) is not None:
        yield "Hub token", "set" if hub["token"] else "none"
        yield "Hub", "offline: nothing is downloaded" if hub["offline"] else "online"
    if (ledger := facts["ledger"]) is not None:
        kept = size(ledger["bytes"]) if ledger["bytes"] is not None else "not yet there"
        yield "ledger", f"{ledger['path']}, {kept}"
    for group, names in (facts["variables"] or {}).items():
        if names:
            yield f"set ({group})", ", ".join(names)


def _versions(facts: Mapping[str, Any]) -> Rows:
    system = facts["system"] or {}
    for name, version in (facts["versions"] or {}).items():
        kind = system.get("implementation", "") if name == "python" else ""
        yield name, f"{version} {kind}".strip()
