"""`python -m fuzzing [target...] [--seconds N] [--inputs N]`: each target under atheris, and a table.

With --inputs the targets go on in turns until there were so many inputs in all.  Corpora grow in `.fuzzing/`, from
one run to the next.  Exit status 1 when an input broke an invariant; it is then in `.fuzzing/<target>-crash-...`,
and `python -m fuzzing.run <target> <file>` shows the failure again.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from fuzzing.targets import NAMES

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDER = CHECKOUT / ".fuzzing"
GRACE = 120
"""Seconds that a target gets on top, to start and to end."""

EXECUTIONS = re.compile(r"stat::number_of_executed_units: +(\d+)")
COVERAGE = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")


@dataclass
class Row:
    """What became of one target, over all its turns."""

    executions: int = 0
    edges: int = 0
    features: int = 0
    corpus: int = 0
    good: bool = True

    def add(self, said: str, good: bool) -> None:
        """What libFuzzer said in one turn."""
        counted = EXECUTIONS.search(said)
        self.executions += int(counted[1]) if counted else 0
        if found := COVERAGE.findall(said):
            self.edges, self.features, self.corpus = map(int, found[-1])
        self.good = self.good and good

    def line(self, name: str) -> str:
        """Of the table."""
        result = "ok" if self.good else f"BROKEN, see {FOLDER.name}/{name}.log"
        return f"{name:16} {self.executions:11} {self.edges:7} {self.features:9} {self.corpus:7}  {result}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzzing", description=__doc__.split("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(NAMES))
    parser.add_argument("--seconds", type=int, default=60, help="for each target, or each of its turns (60)")
    parser.add_argument("--inputs", type=int, default=0, help="so many in all; otherwise each target has one turn")
    options = parser.parse_args(arguments)
    unknown = set(options.targets) - set(NAMES)
    if unknown:
        parser.error(f"no target: {', '.join(sorted(unknown))}")
    FOLDER.mkdir(exist_ok=True)
    print(f"{'target':16} {'executions':>11} {'edges':>7} {'features':>9} {'corpus':>7}  result")
    rows = {name: Row() for name in options.targets or NAMES}
    for name in turns(rows, options.inputs):
        rows[name].add(*_fuzz(name, options.seconds))
        print(rows[name].line(name), flush=True)
    print(f"{'':16} {sum(row.executions for row in rows.values()):11}")
    return 0 if all(row.good for row in rows.values()) else 1


def turns(rows: dict[str, Row], inputs: int) -> Iterator[str]:
    """Whose turn it is: each once, or in turns until there were enough inputs; who is broken has no more."""
    for number, name in enumerate(cycle(rows)):
        if number >= len(rows):
            if sum(row.executions for row in rows.values()) >= inputs or not any(
                row.good for row in rows.values()
            ):
                return
            if not rows[name].good:
                continue
        yield name


def _fuzz(name: str, seconds: int) -> tuple[str, bool]:
    """What libFuzzer said in one turn, and whether it was content."""
    command = [sys.executable, "-m", "fuzzing.run", name, f"-max_total_time={seconds}"]
    log = FOLDER / f"{name}.log"
    with log.open("w") as output:
        done = subprocess.run(
            command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=seconds + GRACE
        )
    return log.read_text(errors="replace"), done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
