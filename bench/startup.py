"""How long each of our executables takes to start, by phase, when Dovecot starts it for every request."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.probe import probe
from bench.summary import Spread
from testing.versions import ALL_OURS, PIECES

if TYPE_CHECKING:
    from bench.arena import Arena
    from testing.versions import Version

MARK = "start-up:"

#: run in the tree, by the interpreter that Dovecot's processes get
PYTHON_STARTS = """
import json, subprocess, time
def start():
    begun = time.perf_counter()
    subprocess.run(["/usr/bin/python3", "-IBS", "-c", "pass"], stdin=subprocess.DEVNULL)
    return time.perf_counter() - begun
print(json.dumps([start() for _ in range({runs})]))
"""


@dataclass(frozen=True)
class StartUp:
    """Medians in ms of one executable's phases; `rest` is everything between them up to readiness."""

    executable: str
    python: float
    imports: float
    settings: float
    rest: float
    modules: int
    slowest: dict[str, float]
    """module -> ms of its own, the most expensive first"""

    @property
    def total(self) -> float:
        return self.python + self.imports + self.settings + self.rest


def measure_start_up(arena: Arena, runs: int) -> list[StartUp]:
    """Start each executable `runs` times through sessions of its own."""
    services = ""
    for name in PIECES:
        path = arena.folder / f"probe-{name}"
        path.write_text(probe(f"{arena.ours.executables}/{name}", f"{MARK} {name}"))
        path.chmod(0o755)
        services += f"service {name} {{\n  executable = /{path.relative_to(arena.version.root)}\n}}\n"
    side = arena.add_side("start-up", ALL_OURS, services)
    for _ in range(runs):
        arena.fetch_once(side)
    lines = side.dovecot.log.lines()
    python = _python_start(arena.version, runs)
    return [_start_up(name, python, lines) for name in PIECES]


def _python_start(version: Version, runs: int) -> float:
    """Milliseconds of an interpreter's start and end that does nothing."""
    command = version.command("/usr/bin/python3", "-IBS", "-c", PYTHON_STARTS.format(runs=runs))
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)  # noqa: S603
    return Spread.of(json.loads(done.stdout)).median * 1000


def _start_up(name: str, python: float, lines: list[str]) -> StartUp:
    said = [line.split(f"{MARK} {name} ")[1].split() for line in lines if re.search(f"{MARK} {name} ", line)]
    total, imports, settings, modules = (
        Spread.of([float(words[column]) for words in said]).median for column in range(4)
    )
    slowest = dict(word.split("=") for word in said[-1][4:])
    return StartUp(
        executable=Path(name).name,
        python=python,
        imports=imports * 1000,
        settings=settings * 1000,
        rest=(total - imports - settings) * 1000,
        modules=int(modules),
        slowest={module: round(float(took) * 1000, 3) for module, took in slowest.items()},
    )
