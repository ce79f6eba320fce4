"""`python -m testing.soak [--minutes N] [--version V] [--pace N] [--chart FILE]`: a table and a chart.

Clients, some of them slow, while processes are killed, Dovecot reloads, and its disk is full for moments; with
--clock also while its wall clock steps.
Exit status 1 when a wrong byte came, when nobody was served for long, or when something is left at the end.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from testing import executables
from testing.instance import DovecotInstance
from testing.logs import ALARMING, INTERNAL
from testing.scene import Scene
from testing.soak import disk
from testing.soak.clients import WRONG, Client, Pace, Questions
from testing.soak.clock import Clock
from testing.soak.samples import Samples
from testing.versions import PIECES, TUNED, VERSIONS

KILL_EVERY = 7.0
RELOAD_EVERY = 45.0
FULL_EVERY, FULL_FOR = 80.0, 8.0
STEP_EVERY = 30.0
VICTIMS = (*PIECES, "auth", "config", "log", "dict")
SAMPLE_EVERY = 2.0
LONGEST_GAP = 60.0
"""Seconds that a client may be without any answer, around kills and reloads on a busy machine."""
NUMBERS = re.compile(r"\d+|<[^>]*>|\([^)]*\)")


class Chaos:
    """Kills a process now and then, lets Dovecot reload, fills its disk, and steps its clock."""

    def __init__(self, dovecot: DovecotInstance, full: Path, clock: Clock | None, seed: int) -> None:
        self._dovecot = dovecot
        self._disk = full
        self._clock = clock
        self._next_step = time.monotonic() + STEP_EVERY
        self._chance = random.Random(seed)
        self._next_kill = time.monotonic() + KILL_EVERY
        self._next_reload = time.monotonic() + RELOAD_EVERY
        self._next_full = time.monotonic() + FULL_EVERY
        self._free_at: float | None = None
        self.done: Counter[str] = Counter()

    def turn(self) -> None:
        now = time.monotonic()
        if now >= self._next_kill:
            self._next_kill = now + KILL_EVERY
            name = self._chance.choice(VICTIMS)
            found = self._dovecot.processes(name)
            with suppress(ProcessLookupError, IndexError):  # it may have ended by itself, or not be there
                os.kill(self._chance.choice(found).pid, signal.SIGKILL)
                self.done[f"kill -9 {name}"] += 1
        if now >= self._next_reload:
            self._next_reload = now + RELOAD_EVERY
            self._dovecot.signal(signal.SIGHUP)
            self.done["reload"] += 1
        if now >= self._next_full:
            self._next_full = now + FULL_EVERY
            self._free_at = now + FULL_FOR
            disk.fill(self._disk)
            self.done["full disk"] += 1
        if self._clock and now >= self._next_step:
            self._next_step = now + STEP_EVERY
            self._clock.step()
            self.done["step of the clock"] += 1
        if self._free_at and now >= self._free_at:
            self.end()

    def end(self) -> None:
        """There is room on the disk again."""
        self._free_at = None
        disk.free(self._disk)


@dataclass(frozen=True)
class Soaked:
    """What it was like."""

    samples: Samples
    clients: list[Client]
    chaos: Chaos


def soak(
    dovecot: DovecotInstance, full: Path, clock: Clock | None, seconds: float, number: int, pace: float
) -> Soaked:
    """Let it all happen for so many seconds."""
    with Scene(dovecot) as scene:
        questions = Questions(scene)
    gate = Pace(pace)
    clients = [Client(dovecot, questions, gate, each) for each in range(number)]
    samples, chaos = Samples(dovecot), Chaos(dovecot, full, clock, 1)
    for client in clients:
        client.start()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(SAMPLE_EVERY)
        samples.take()
        chaos.turn()
        assert dovecot.processes("dovecot"), "Dovecot itself has ended"
    chaos.end()
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join(60)
    return Soaked(samples, clients, chaos)


def _log_elsewhere(dovecot: DovecotInstance, installation: executables.Installation) -> None:
    """Not on the disk that will be full: Dovecot's master ends when it cannot write its log."""
    log = installation.outside.parent / "dovecot.log"
    # relative, so that it leads there from inside a tree, too
    (dovecot.folder / log.name).symlink_to(os.path.relpath(log, dovecot.folder))


def _left(dovecot: DovecotInstance) -> str:
    """What is left when it is stopped."""
    try:
        dovecot.stop()
    except AssertionError as left:
        return str(left)
    return ""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m testing.soak", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--version", choices=list(VERSIONS), default="bookworm")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument(
        "--pace", type=float, default=0, help="fetches per second of all clients together (0: without end)"
    )
    parser.add_argument("--clock", type=Path, metavar="LIBRARY", help="libfaketime.so.1, to step the wall clock")
    parser.add_argument("--chart", type=Path, default=Path("soak.svg"))
    options = parser.parse_args(arguments)
    version = disk.on_small_disk(VERSIONS[options.version])
    installation = executables.install(version, VERSIONS[options.version].folder())
    clock = Clock(options.clock, installation) if options.clock else None
    extra = clock.settings(version.language) if clock else ""
    dovecot = DovecotInstance(version, TUNED, installation, extra)
    _log_elsewhere(dovecot, installation)
    dovecot.start()
    try:
        soaked = soak(dovecot, version.disk, clock, options.minutes * 60, options.clients, options.pace)
        lines = dovecot.log.lines()
        left = _left(dovecot)
    except BaseException:
        dovecot.stop(check=False)
        raise
    finally:
        shutil.rmtree(installation.outside.parent)
    disk.remove(version.disk)
    outcomes = sum((client.outcomes for client in soaked.clients), Counter[str]())
    gap = max(client.longest_gap for client in soaked.clients)
    internal = [line for line in lines if INTERNAL.search(line)]
    print(f"Dovecot {version.dovecot}, {options.minutes:g} minutes, {options.clients} clients")
    print(", ".join(f"{count} {name}" for name, count in outcomes.most_common()))
    print(", ".join(f"{count} x {name}" for name, count in soaked.chaos.done.most_common()))
    print(
        f"the longest time that a client was without an answer: {gap:.1f} s; left at the end: {left or 'nothing'}"
    )
    print(*soaked.samples.table(), sep="\n")
    print("our alarming lines, with numbers and names taken out:")
    ours = (NUMBERS.sub("", line[20:]) for line in lines if ALARMING.search(line) and "imap-urlauth" in line)
    for text, count in Counter(ours).most_common(15):
        print(f"{count:6}  {text[:150]}")
    print(*internal, sep="\n")
    options.chart.write_text(soaked.samples.svg())
    return 1 if outcomes[WRONG] or internal or left or gap > LONGEST_GAP else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
