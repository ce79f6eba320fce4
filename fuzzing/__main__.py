"""`python -m fuzzing [target...] [--seconds N]`: each target under atheris, and a table of what was run.

Corpora grow in `.fuzzing/`, from one run to the next.  Exit status 1 when an input broke an invariant; the input
is in `.fuzzing/<target>-crash-...`, and `python -m fuzzing.run <target> <file>` shows the failure again.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from fuzzing.targets import NAMES

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDER = CHECKOUT / ".fuzzing"
GRACE = 120
"""Seconds that a target gets on top, to start and to end."""

EXECUTIONS = re.compile(r"stat::number_of_executed_units: +(\d+)")
COVERAGE = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzzing", description=__doc__.split("\n")[0])
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(NAMES))
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    options = parser.parse_args(arguments)
    unknown = set(options.targets) - set(NAMES)
    if unknown:
        parser.error(f"no target: {', '.join(sorted(unknown))}")
    FOLDER.mkdir(exist_ok=True)
    print(f"{'target':16} {'executions':>11} {'edges':>7} {'features':>9} {'corpus':>7}  result")
    failed = [name for name in options.targets or NAMES if not _fuzz(name, options.seconds)]
    return 1 if failed else 0


def _fuzz(name: str, seconds: int) -> bool:
    command = [sys.executable, "-m", "fuzzing.run", name, f"-max_total_time={seconds}"]
    log = FOLDER / f"{name}.log"
    with log.open("w") as output:
        done = subprocess.run(
            command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=seconds + GRACE
        )
    said = log.read_text(errors="replace")
    counted = EXECUTIONS.search(said)
    edges, features, corpus = (COVERAGE.findall(said) or [("?",) * 3])[-1]
    good = done.returncode == 0
    print(
        f"{name:16} {counted[1] if counted else '?':>11} {edges:>7} {features:>9} {corpus:>7}  "
        f"{'ok' if good else f'BROKEN, see {log.relative_to(CHECKOUT)}'}",
        flush=True,
    )
    return good


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
