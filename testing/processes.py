"""What /proc says of the processes of one running Dovecot.

Dovecot is started as the leader of a session of its own, so every process it ever starts carries that
session's number, whatever its parent, title, root or user becomes.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass(frozen=True)
class Process:
    """One process at one moment; `title` is what ps shows, ids are the four of /proc/PID/status."""

    pid: int
    parent: int
    title: str
    uids: tuple[int, ...]
    gids: tuple[int, ...]
    groups: frozenset[int]
    capabilities: int
    no_new_privileges: bool
    filtered: bool
    """Whether the kernel asks a filter about its system calls."""
    root: str

    @property
    def alive(self) -> bool:
        return read(self.pid) is not None

    def kill(self) -> None:
        """End it at once; it may have ended by itself since it was read."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


def of_session(session: int) -> list[Process]:
    """Every living process of the session `session`, without zombies."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and _session_of(int(name)) == session:
            process = read(int(name))
            if process:
                found.append(process)
    return found


def read(pid: int) -> Process | None:
    """The process `pid`, None if there is none or only a zombie."""
    folder = Path("/proc") / str(pid)
    try:
        lines = (folder / "status").read_text().splitlines()
        title = (folder / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
        root = os.readlink(folder / "root")
    except (FileNotFoundError, ProcessLookupError):
        return None
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    if status["State"][0] in "ZX":
        return None
    return Process(
        pid=pid,
        parent=int(status["PPid"]),
        title=title.decode(errors="replace"),
        uids=_numbers(status["Uid"]),
        gids=_numbers(status["Gid"]),
        groups=frozenset(_numbers(status["Groups"])),
        capabilities=int(status["CapEff"], 16) | int(status["CapPrm"], 16),
        no_new_privileges=status["NoNewPrivs"] == "1",
        filtered=status["Seccomp"] == "2",
        root=root,
    )


def wait_for(condition: Callable[[], T], seconds: float = 5.0, step: float = 0.02) -> T:
    """Ask `condition` until it gives something true or the time is over; what it gave last."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < deadline:
        time.sleep(step)
    return answer


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split())


def _session_of(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the name in parentheses may hold spaces; state, ppid, pgrp and session follow it
    return int(stat.rpartition(")")[2].split()[3])
