"""One look at the running services: who runs since when, and what the process titles tell of sessions.

Only with ``verbose_proctitle = yes`` do titles tell anything; without it sessions are unknown, not zero.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from dovecot_urlauth.admin.check_services import SERVICES
from dovecot_urlauth.admin.master import Master, NoMaster
from dovecot_urlauth.admin.processes import PROC, Process, find_processes

LOGIN, BROKER, WORKER = SERVICES
TITLE = re.compile(r"\[(?P<text>[^\]]*)\]\s*\Z")
COUNT = re.compile(r"(?P<count>\d+) (?:pre-login|connections)")
TICKS = os.sysconf("SC_CLK_TCK")


class State(Enum):
    """What a process is doing."""

    UNKNOWN = "unknown"
    IDLE = "idle"
    SPARE = "spare"
    BUSY = "busy"


@dataclass(frozen=True)
class Running:
    """A process and what is known of it; ``sessions`` is None where the title does not say."""

    process: Process
    state: State
    sessions: int | None
    target: str | None
    """Whose mail it serves, of a worker."""
    ours: bool | None
    """Whether it is one of dovecot-urlauth's; None where that may not be read."""
    age: float
    """Seconds since it was started."""
    resident: int
    """Bytes in memory, those that it shares included."""


@dataclass(frozen=True)
class Sample:
    """All of them at one moment (Unix time)."""

    taken: float
    running: tuple[Running, ...]

    def of(self, service: str) -> list[Running]:
        return [one for one in self.running if one.process.service == service]

    def sessions(self, service: str) -> int | None:
        """Sessions of a service; None when no title tells. A worker's parent counts its children's again."""
        told = [one.sessions for one in self.of(service) if one.sessions is not None and not self._is_parent(one)]
        return sum(told) if told else None

    def states(self, service: str) -> Counter[State]:
        """How many processes are doing what."""
        return Counter(one.state for one in self.of(service))

    def targets(self) -> set[str] | None:
        """The users whose mail is being read; None when no title tells."""
        states = self.states(WORKER)
        if states and set(states) == {State.UNKNOWN}:
            return None
        return {one.target for one in self.of(WORKER) if one.target and one.state is State.BUSY}

    def memory(self, service: str) -> int | None:
        """The proportional share of memory in bytes; None where it may not be read."""
        shares = [one.process.pss for one in self.of(service)]
        return None if None in shares else sum(share for share in shares if share is not None)

    def warnings(self) -> list[str]:
        """What an administrator should know about this picture."""
        return [
            f"{service}: {len(foreign)} of {len(self.of(service))} processes are Dovecot's own"
            for service in SERVICES
            if (foreign := [one for one in self.of(service) if one.ours is False])
        ]

    def _is_parent(self, one: Running) -> bool:
        return any(other.process.parent == one.process.pid for other in self.of(WORKER))


def take_sample(dovecot: str | Master | None) -> Sample:
    """Look at /proc: the processes of one Dovecot, by its base_dir or its master, or of all. Raises NoMaster."""
    now = time.time()
    try:
        up = float((PROC / "uptime").read_text().split()[0])
    except OSError as error:
        raise NoMaster(f"{error.filename}: {error.strerror}: is /proc mounted?") from error
    looked = (_look(process, up) for process in find_processes(dovecot))
    return Sample(now, tuple(one for one in looked if one is not None))


def read_title(service: str, title: str) -> tuple[State, int | None, str | None]:
    """What a title says: the state, the sessions, and the user whose mail is read."""
    found = TITLE.search(title)
    if found is None:
        return State.UNKNOWN if service != LOGIN else State.IDLE, None if service != LOGIN else 0, None
    text, _, target = found["text"].partition("->")
    if text == "spare":
        return State.SPARE, 0, None
    if text == "idling":
        return State.IDLE, 0, target or None
    counted = COUNT.match(text)
    return State.BUSY, int(counted["count"]) if counted else 1, target or None


def _look(process: Process, up: float) -> Running | None:
    folder = PROC / str(process.pid)
    try:
        fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        resident = int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, sessions, target = read_title(process.service, process.title)
    return Running(process, state, sessions, target, _is_ours(folder), up - int(fields[19]) / TICKS, resident)


def _is_ours(folder: Path) -> bool | None:
    """Ours run in Python, Dovecot's do not."""
    try:
        return os.path.basename(os.readlink(folder / "exe")).startswith("python")
    except OSError:
        return None
