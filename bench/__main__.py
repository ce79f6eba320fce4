"""Usage: python -m bench [--versions bookworm,trixie,sid] [--runs N] [--rows NAME,...] [--quick] [--output DIR]"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from bench.arena import Arena, say
from bench.result import Results, machine
from bench.rows import Row, rows
from bench.table import line_of, table
from tests.dovecot.versions import VERSIONS, Version

GROWTH_GOAL = 1.3
"""A first fetch from 200,000 messages against one from 100."""

QUICK_RUNS = 5
SLOW_ROWS = ("maildir-200k",)


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure ours against stock.")
    parser.add_argument("--versions", default="bookworm", help=f"of {','.join(VERSIONS)}, or all")
    parser.add_argument("--rows", default="", help="names, or beginnings of names; without it, all")
    parser.add_argument("--runs", type=int, default=20, help="samples of each side and row")
    parser.add_argument("--seconds", type=float, default=18.0, help="a row ends after these, with fewer samples")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_RUNS} samples, and no huge mailbox")
    parser.add_argument("--output", type=Path, default=Path("bench-results"), help="folder of JSON and SVG")
    return parser.parse_args(words)


def chosen_rows(version: Version, wanted: str, quick: bool) -> list[Row]:
    """The rows whose names begin with one of the wanted words."""
    beginnings = tuple(wanted.split(",")) if wanted else ("",)
    every = [row for row in rows(version.language) if row.name.startswith(beginnings)]
    return [row for row in every if not (quick and row.name in SLOW_ROWS)]


def measure(version: Version, options: argparse.Namespace) -> Results:
    results = Results(version)
    chosen = chosen_rows(version, options.rows, options.quick)
    runs = QUICK_RUNS if options.quick else options.runs
    with Arena(version, runs, options.seconds) as arena:
        for row in chosen:
            started = time.monotonic()
            lines = results.add(row, arena.measure(row))
            say(f"{version.name}: {row.title} ({time.monotonic() - started:.1f} s)")
            for line in lines:
                say(f"  {line.profile:12} {line_of(line)}")
    by_name = {row.name: row for row in chosen}
    if {"maildir-100", "maildir-200k"} <= by_name.keys():
        results.add_growth(by_name["maildir-100"], by_name["maildir-200k"], GROWTH_GOAL)
    return results


def main(words: list[str] | None = None) -> int:
    options = arguments(words)
    names = list(VERSIONS) if options.versions == "all" else options.versions.split(",")
    here = machine()
    for name in names:
        results = measure(VERSIONS[name], options)
        print(table(results, here), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
