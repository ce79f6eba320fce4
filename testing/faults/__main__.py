"""`python -m testing.faults [--version V] [process or call...]`: every fault of the matrix, and a table."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections import Counter

from testing import executables
from testing.faults import matrix
from testing.faults.stand import Stand
from testing.instance import DovecotInstance
from testing.versions import TUNED, VERSIONS


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m testing.faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="processes or calls (all)")
    parser.add_argument("--version", choices=list(VERSIONS), default="bookworm")
    parser.add_argument(
        "--numbers", default="1,2,3", help="which calls fail, counted from the client's first step"
    )
    options = parser.parse_args(arguments)
    numbers = tuple(int(number) for number in options.numbers.split(","))
    faults = [
        each for each in matrix(numbers) if not options.names or {each.process, each.call} & {*options.names}
    ]
    version = VERSIONS[options.version]
    installation = executables.install(version, version.folder())
    dovecot = DovecotInstance(version, TUNED, installation).start()
    outcomes: dict[tuple[str, str], Counter[str]] = {}
    broken = 0
    began = time.monotonic()
    stand = Stand(dovecot)
    try:
        for fault in faults:
            outcome, lines, wrong = stand.try_fault(fault)
            outcomes.setdefault((fault.process, fault.call), Counter())[outcome] += 1
            broken += bool(wrong)
            for text in wrong:
                print(f"{fault} ({outcome}, {lines} lines): {text}", flush=True)
    finally:
        stand.close()
        dovecot.stop(check=False)
        shutil.rmtree(installation.outside.parent)
    for (process, call), counts in outcomes.items():
        print(f"{process:16} {call:12} " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    print(f"{version.name}: {len(faults)} faults, {broken} broke a promise, {time.monotonic() - began:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
