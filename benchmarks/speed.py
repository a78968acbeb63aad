"""Is tarazu faster than its peers on the same work? Pairs, one after the other, on one machine.

    python benchmarks/speed.py                                    # all works, all peers
    python benchmarks/speed.py --works lora-squad --peers trl --pairs 2 --examples 16

Finished pairs are kept in ``--work-dir``, so that the command may be interrupted and given again.
Peers are installed into environments of their own (``TARAZU_BENCH_CACHE``, by default the user's
cache). See ``benchmarks/README.md`` for what is measured and how.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from side_by_side.pairs import Pair, per_example, run_pairs
from side_by_side.peers import PEERS, CannotInstall, Peer, Settings, python_of
from side_by_side.prepare import prepare
from side_by_side.results import Row, machine, merge, missing_row, row_of, table, write_table
from side_by_side.sides import Runner, Unavailable
from side_by_side.works import QUICK, QUICK_PEERS, ROOT, WORKS, Side, Work
from tarazu.record.environment import environment
from tarazu.record.key import canonical_json, sha256_file, sha256_text

FindPython = Callable[[Peer], Path]


def code_hash() -> str:
    """Return the hash of everything that could change a pair: tarazu, the benchmark, the peers."""
    folders = (ROOT / "src" / "tarazu", ROOT / "benchmarks" / "side_by_side")
    scripts = ROOT / "benchmarks" / "peers"
    files = [file for folder in folders for file in folder.rglob("*.py")]
    files += [f for f in scripts.rglob("*") if f.suffix in (".py", ".txt")]
    named = {str(file.relative_to(ROOT)): sha256_file(file) for file in sorted(files)}
    return sha256_text(canonical_json(named))


def key_of(work: Work, peer: Peer, settings: Mapping[str, Settings], threads: int) -> str:
    """Return what tells the pairs of a work and a peer from others."""
    made_of = [
        asdict(work),
        peer.name,
        {name: dict(one.options) for name, one in settings.items()},
        threads,
        machine(work.device),
        environment("cpu", "", threads).packages,
        code_hash(),
    ]
    return f"{work.name}--{peer.name}--{sha256_text(canonical_json(made_of))[:12]}"


def fastest(
    settings: Mapping[str, Settings],
    run: Callable[[str, Settings], Side],
    folder: Path,
    key: str,
) -> tuple[str, dict[str, float]]:
    """Return the peer's fastest settings, and the seconds per example of all that were tried.

    A peer that has only one is not tried.

    Raises:
        Unavailable: None of them works.
    """
    if len(settings) == 1:
        return next(iter(settings)), {}
    tried, failures = {}, []
    for number, (name, one) in enumerate(settings.items()):
        try:
            (pair,) = run_pairs(
                1,
                lambda _: _NOBODY,
                lambda _, n=name, s=one: run(n, s),
                folder,
                f"{key}-try{number}",
            )
        except Unavailable as error:
            failures.append(str(error))
            continue
        tried[name] = per_example(pair.theirs)
        _say(f"{key.rpartition('--')[0]}: {name}: {1 / tried[name]:.2f} ex/s")
    if not tried:
        raise Unavailable("; ".join(failures))
    return min(tried, key=tried.__getitem__), tried


_NOBODY = Side(1.0, 1, 0.0)


def measure(
    work: Work,
    peer: Peer,
    runner: Runner,
    count: int,
    folder: Path,
    find_python: FindPython,
    asked: str | None = None,
) -> Row:
    """Measure a work against a peer, or say why it cannot be.

    Args:
        work: The work.
        peer: The peer.
        runner: Runs both.
        count: Pairs.
        folder: Where finished pairs are kept.
        find_python: Returns the Python of a peer.
        asked: Name of the peer's settings; None takes its fastest.
    """
    known = peer.settings_for({str(entry.get("method", n)) for n, entry in work.entries.items()})
    settings = {name: one for name, one in known.items() if asked in (None, name)}
    key = key_of(work, peer, settings, runner.threads)
    try:
        if not settings:
            raise Unavailable(f"it has no settings '{asked}' here, but {'; '.join(known)}")
        if peer.folder:
            python = find_python(peer)

            def theirs(name: str, one: Settings, index: int = 0) -> Side:
                return runner.theirs(peer, one, name, python, index)

        else:

            def theirs(name: str, one: Settings, index: int = 0) -> Side:
                return replace(runner.ours(index, optimised=False), settings=name)

        name, tried = fastest(settings, theirs, folder, key)
        pairs = run_pairs(
            count,
            runner.ours,
            partial(theirs, name, settings[name]),
            folder,
            key,
            lambda index, pair: _say(
                f"{work.name} against {peer.name}: pair {index + 1} of {count}: {pair.ratio:.2f} x"
            ),
        )
    except (Unavailable, CannotInstall) as error:
        _say(f"{work.name} against {peer.name}: not run: {error}")
        return missing_row(work, peer.name, str(error), machine(work.device)) | {"asked": asked}
    must_be_same_work(work, pairs)
    return row_of(work, peer.name, pairs, tried, machine(work.device)) | {"asked": asked}


def must_be_same_work(work: Work, pairs: Sequence[Pair]) -> None:
    """Refuse pairs whose sides saw another number of examples or made other updates.

    Raises:
        ValueError: They did.
    """
    for pair in pairs:
        ours, theirs = pair.ours, pair.theirs
        if ours.examples != theirs.examples:
            raise ValueError(f"{work.name}: {ours.examples} examples against {theirs.examples}")
        if work.kind in ("train", "seeds") and ours.updates != theirs.updates:
            raise ValueError(f"{work.name}: {ours.updates} updates against {theirs.updates}")


def _say(line: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {line}", flush=True)


def run_works(
    works: Sequence[Work],
    peers: Sequence[str],
    pairs: int | None,
    work_dir: Path,
    out: Path,
    find_python: FindPython = python_of,
    asked: str | None = None,
) -> list[Row]:
    """Measure works against peers; results are written after every peer.

    Args:
        works: What.
        peers: Against whom; a work leaves out whoever is none of its peers.
        pairs: How many; None takes each work's own number.
        work_dir: Where finished pairs are kept.
        out: Folder of the results.
        find_python: Returns the Python of a peer.
        asked: Name of the peers' settings; None takes each one's fastest.
    """
    threads = len(os.sched_getaffinity(0))
    rows: list[Row] = []
    for work in works:
        chosen = [name for name in work.peers if name in peers]
        if not chosen:
            continue
        count = pairs or work.pairs
        seeds = [seed for pair in range(count) for seed in work.seeds_of(pair)]
        with tempfile.TemporaryDirectory() as folder:
            runner = Runner(prepare(work, seeds, threads, Path(folder)), threads)
            for name in chosen:
                peer = PEERS[name]
                rows.append(measure(work, peer, runner, count, work_dir, find_python, asked))
                everything = merge(out / "speed.json", rows[-1:])
                command = shlex.join(["python", "benchmarks/speed.py", *_what(sys.argv[1:])])
                write_table(everything, out / "speed.md", command)
    return rows


def _what(words: Sequence[str]) -> list[str]:
    """Return the words of a command without those that say where its files lie."""
    where = ("--work-dir", "--out")
    return [
        word
        for word, before in zip(words, ["", *words], strict=False)
        if word.partition("=")[0] not in where and before not in where
    ]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS), metavar="WORK")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="PEER")
    parser.add_argument("--settings", help="of the peers, by name; default: each one's fastest")
    parser.add_argument(
        "--quick", action="store_true", help=f"small, two pairs, and only {', '.join(QUICK)}"
    )
    parser.add_argument("--pairs", type=int, help="of all works; default: each work's own number")
    parser.add_argument("--examples", type=int, help="of all works; default: each work's own")
    parser.add_argument("--held-out", type=int, help="likewise, items to compare results on")
    parser.add_argument("--work-dir", type=Path, default=ROOT / "out" / "speed")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    return parser.parse_args()


def main() -> None:
    """Run what is asked for."""
    args = parse_arguments()
    works, peers, pairs = [WORKS[name] for name in args.works], args.peers, args.pairs
    if args.quick:
        works = [
            replace(one, examples=QUICK[one.name][0], held_out=QUICK[one.name][1])
            for one in works
            if one.name in QUICK
        ]
        peers, pairs = [name for name in peers if name in QUICK_PEERS], pairs or 2
    sizes = {"examples": args.examples, "held_out": args.held_out}
    given = {name: value for name, value in sizes.items() if value is not None}
    works = [replace(one, **given) for one in works]
    rows = run_works(works, peers, pairs, args.work_dir, args.out, asked=args.settings)
    print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()
