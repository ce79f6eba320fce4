"""Usage: python -m bench [--versions bookworm,trixie,sid] [--runs N] [--rows NAME,...] [--quick] [--output DIR]

Runs as root, since Dovecot's master does.  Progress goes to the error output, the tables to the output.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from bench.arena import FAILURES, Arena, say
from bench.files import write_files
from bench.result import Results, machine
from bench.rows import Row, rows
from bench.startup import measure_start_up
from bench.table import line_of, table
from testing.trees import TreeError
from testing.versions import VERSIONS, Version

GROWTH_GOAL = 1.3
"""A first fetch from 200,000 messages against one from 100."""

QUICK_RUNS = 5
SLOW_ROWS = ("maildir-200k",)
START_UP = "startup"


def arguments(words: list[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    every = ",".join(VERSIONS)
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure ours against stock.")
    parser.add_argument("--versions", type=_versions, default=every, help=f"without it: {every}")
    parser.add_argument("--rows", default="", help="names of rows, or their beginnings; without it, all")
    parser.add_argument("--runs", type=int, default=20, help="samples of each side in a row")
    parser.add_argument("--seconds", type=float, default=25.0, help="after these a row takes no more samples")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_RUNS} samples, and no huge mailbox")
    parser.add_argument("--output", type=Path, default=Path("bench-results"), help="folder of JSON and SVG")
    return parser.parse_args(words)


def _versions(names: str) -> list[Version]:
    unknown = [name for name in names.split(",") if name not in VERSIONS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such version: {', '.join(unknown)}")
    return [VERSIONS[name] for name in names.split(",")]


def chosen(names: list[str], wanted: str, quick: bool) -> list[str]:
    """Those of `names` that begin with one of the wanted words."""
    beginnings = tuple(wanted.split(","))
    return [name for name in names if name.startswith(beginnings) and not (quick and name in SLOW_ROWS)]


def measure(version: Version, options: argparse.Namespace) -> Results:
    """All chosen rows of one version."""
    results = Results(version)
    by_name = {row.name: row for row in rows(version.language)}
    names = chosen([*by_name, START_UP], options.rows, options.quick)
    runs = QUICK_RUNS if options.quick else options.runs
    with Arena(version, runs, options.seconds) as arena:
        for name in names:
            if name in by_name:
                _measure_row(arena, by_name[name], results)
        if START_UP in names:
            try:
                results.start_ups = measure_start_up(arena, runs)
            except FAILURES as error:
                results.skipped.append(f"start-up: {error}")
    if {"maildir-100", "maildir-200k"} <= set(names):
        results.add_growth(by_name["maildir-100"], by_name["maildir-200k"], GROWTH_GOAL)
    return results


def _measure_row(arena: Arena, row: Row, results: Results) -> None:
    started = time.monotonic()
    lines = results.add(row, arena.measure(row))
    say(f"{arena.version.name}: {row.title} ({time.monotonic() - started:.1f} s)")
    for line in lines:
        say(f"  {line.profile:12} {line_of(line)}")


def main(words: list[str] | None = None) -> int:
    """Measure, print, write; the exit status is 1 when a version could not be measured at all."""
    options = arguments(words)
    here = machine()
    status = 0
    for version in options.versions:
        try:
            results = measure(version, options)
        except TreeError as error:
            say(f"{version.name}: left out: {error}")
            status = 1
            continue
        print(table(results, here), flush=True)
        for path in write_files(results, here, options.output):
            say(f"wrote {path}")
    return status


if __name__ == "__main__":
    sys.exit(main())
