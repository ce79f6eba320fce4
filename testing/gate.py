"""`python -m testing.gate [pytest arguments]`: the unit tests under coverage, on every core; each room's floor.

The floors stand in tests/coverage.toml, in percent of a room's lines that the unit tests alone must run.  A room
below its floor, a room without a floor, and a floor without a room are failures; a floor that could be raised is
named.  With arguments pytest runs a part of the tests, in one process, and no floor is looked at.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
FLOORS = CHECKOUT / "tests" / "coverage.toml"
PACKAGE = "dovecot_urlauth"
UNIT_TESTS = "not dovecot and not limits and not packaging"
ELSEWHERE = ("tests/dovecot", "tests/packaging")
"""Folders without unit tests: not even collected."""

SLACK = 1.0
"""A floor that is this much, in percent, below what was measured should rise."""


@dataclass
class Room:
    """What was measured of one room: its lines, and which of them no test ran, as `file:line`."""

    lines: int
    missing: list[str]

    @property
    def percent(self) -> float:
        return 100 * (1 - len(self.missing) / self.lines) if self.lines else 100.0


def main(arguments: list[str]) -> int:
    pytest = [sys.executable, "-m", "pytest", "-m", UNIT_TESTS]
    if arguments:
        return subprocess.run([*pytest, *arguments], cwd=CHECKOUT).returncode
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o1777)  # children that gave up root write what they ran, too
        measured = Path(folder) / "coverage.json"
        everywhere = ["-p", "testing.measured", "-n", str(os.cpu_count()), "--dist", "loadfile"]
        ignored = [f"--ignore={elsewhere}" for elsewhere in ELSEWHERE]
        status = _run([*pytest, *everywhere, *ignored, "tests"], Path(folder) / "data", measured)
        if status:
            return status
        rooms = read_rooms(json.loads(measured.read_text()))
    return report(rooms, tomllib.loads(FLOORS.read_text())["floors"])


def _run(pytest: list[str], data: Path, measured: Path) -> int:
    """Run the tests under coverage and write coverage's JSON to `measured`; pytest's exit status."""
    environment = os.environ | {"COVERAGE_FILE": str(data)}
    if sys.version_info >= (3, 12):
        environment["COVERAGE_CORE"] = "sysmon"
    status = subprocess.run(pytest, env=environment, cwd=CHECKOUT).returncode
    if status:
        return status
    for step in (["combine", "--quiet"], ["json", "--quiet", "-o", str(measured)]):
        subprocess.run([sys.executable, "-m", "coverage", *step], env=environment, cwd=CHECKOUT, check=True)
    return 0


def read_rooms(measured: dict[str, dict[str, dict[str, list[int]]]]) -> dict[str, Room]:
    """Coverage's report by room: the folder below the package, for its own files "."."""
    rooms: dict[str, Room] = defaultdict(lambda: Room(0, []))
    for name, file in measured["files"].items():
        parts = Path(name).relative_to(PACKAGE).parts
        room = rooms[parts[0] if len(parts) > 1 else "."]
        room.lines += len(file["executed_lines"]) + len(file["missing_lines"])
        room.missing += [f"{name}:{line}" for line in file["missing_lines"]]
    return dict(rooms)


def report(rooms: dict[str, Room], floors: dict[str, float]) -> int:
    """Print the table, and the lines that a room below its floor misses; 1 if anything is wrong."""
    wrong = False
    for name in sorted(rooms.keys() | floors.keys()):
        fault = judge(rooms.get(name), floors.get(name))
        wrong |= fault not in ("", RISE)
        room = rooms.get(name, Room(0, []))
        print(f"{name:10} {room.lines:6} lines {room.percent:7.2f} %, floor {floors.get(name, '-')!s:>5}  {fault}")
        if fault == BELOW:
            print("".join(f"    {place}\n" for place in room.missing[:40]), end="")
    return int(wrong)


BELOW = "BELOW ITS FLOOR"
RISE = "its floor can be raised"


def judge(room: Room | None, floor: float | None) -> str:
    """What is wrong with a room, "" for nothing."""
    if room is None:
        return "NO SUCH ROOM"
    if floor is None:
        return "NO FLOOR in tests/coverage.toml"
    if room.percent < floor:
        return BELOW
    if room.percent - floor > SLACK:
        return RISE
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
