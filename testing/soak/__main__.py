"""`python -m testing.soak [--minutes N] [--version V] [--chart FILE]`: clients, kills, reloads; a table, a chart.

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
from pathlib import Path

from testing import executables
from testing.instance import DovecotInstance
from testing.logs import ALARMING, INTERNAL
from testing.scene import Scene
from testing.soak.clients import WRONG, Client, Questions
from testing.soak.samples import Samples
from testing.versions import PIECES, TUNED, VERSIONS

CLIENTS = 12
KILL_EVERY = 7.0
RELOAD_EVERY = 45.0
VICTIMS = (*PIECES, "auth", "config", "log", "dict")
LONGEST_GAP = 60.0
"""Seconds that a client may be without any answer, around kills and reloads on a busy machine."""
NUMBERS = re.compile(r"\d+|<[^>]*>|\([^)]*\)")


class Chaos:
    """Kills a process now and then, and lets Dovecot reload."""

    def __init__(self, dovecot: DovecotInstance, seed: int) -> None:
        self._dovecot = dovecot
        self._chance = random.Random(seed)
        self._next_kill = time.monotonic() + KILL_EVERY
        self._next_reload = time.monotonic() + RELOAD_EVERY
        self.done: Counter[str] = Counter()

    def turn(self) -> None:
        now = time.monotonic()
        if now >= self._next_kill:
            self._next_kill = now + KILL_EVERY
            name = self._chance.choice(VICTIMS)
            found = self._dovecot.processes(name)
            if found:
                os.kill(self._chance.choice(found).pid, signal.SIGKILL)
                self.done[f"kill -9 {name}"] += 1
        if now >= self._next_reload:
            self._next_reload = now + RELOAD_EVERY
            self._dovecot.signal(signal.SIGHUP)
            self.done["reload"] += 1


def soak(dovecot: DovecotInstance, seconds: float) -> tuple[Samples, list[Client], Chaos]:
    """Let it all happen for so many seconds."""
    with Scene(dovecot) as scene:
        questions = Questions(scene)
    clients = [Client(dovecot, questions, number) for number in range(CLIENTS)]
    samples, chaos = Samples(dovecot), Chaos(dovecot, 1)
    for client in clients:
        client.start()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(1)
        samples.take()
        chaos.turn()
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join(60)
    return samples, clients, chaos


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
    parser.add_argument("--chart", type=Path, default=Path("soak.svg"))
    options = parser.parse_args(arguments)
    version = VERSIONS[options.version]
    installation = executables.install(version, version.folder())
    dovecot = DovecotInstance(version, TUNED, installation).start()
    try:
        samples, clients, chaos = soak(dovecot, options.minutes * 60)
        lines = dovecot.log.lines()
        left = _left(dovecot)
    finally:
        shutil.rmtree(installation.outside.parent)
    outcomes = sum((client.outcomes for client in clients), Counter[str]())
    gap = max(client.longest_gap for client in clients)
    internal = [line for line in lines if INTERNAL.search(line)]
    print(f"Dovecot {version.dovecot}, {options.minutes:g} minutes, {CLIENTS} clients")
    print(", ".join(f"{count} {name}" for name, count in outcomes.most_common()))
    print(", ".join(f"{count} x {name}" for name, count in chaos.done.most_common()))
    print(
        f"the longest time that a client was without an answer: {gap:.1f} s; left at the end: {left or 'nothing'}"
    )
    print(*samples.table(), sep="\n")
    print("our alarming lines, with numbers and names taken out:")
    ours = (NUMBERS.sub("", line[20:]) for line in lines if ALARMING.search(line) and "imap-urlauth" in line)
    for text, count in Counter(ours).most_common(15):
        print(f"{count:6}  {text[:150]}")
    print(*internal, sep="\n")
    options.chart.write_text(samples.svg())
    return 1 if outcomes[WRONG] or internal or left or gap > LONGEST_GAP else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
