"""The three services in /proc: which processes they are, and what they cost beside time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

KILOBYTE = 1024

NAMES = ("imap-urlauth", "dovecot/imap-ur")
"""How the kernel's names of the services begin, before and after setting a title; it keeps 15 letters."""


def services_below(master: int) -> dict[int, str]:
    """The three services' processes and what they started: pid -> the kernel's name."""
    found = {}
    waiting = [(pid, _name(pid)) for pid in _children(master)]
    while waiting:
        pid, name = waiting.pop()
        if name.startswith(NAMES):
            found[pid] = name
            waiting += [(child, "imap-urlauth's child") for child in _children(pid)]
    return found


def proportional_memory(pids: dict[int, str]) -> float:
    """PSS in bytes, summed: memory that processes share counts once."""
    return sum(_kilobytes(pid, "smaps_rollup", "Pss") for pid in pids)


def peak_memory(pids: dict[int, str], uid: int) -> float:
    """The largest resident size in bytes that a process of this user ever had."""
    workers = [pid for pid in pids if _field(pid, "status", "Uid")[1:2] == [str(uid)]]
    return max(_kilobytes(pid, "status", "VmHWM") for pid in workers)


def cpu_seconds(pids: dict[int, str]) -> float:
    """CPU time that living processes have used; nanoseconds are counted, not ticks."""
    return sum(int((_read(pid, "schedstat").split() or ["0"])[0]) for pid in pids) / 1e9


def cpu_of_tree(pids: Iterable[int]) -> float:
    """CPU time of processes and of their children that ended, to a tick."""
    words = [_read(pid, "stat").rpartition(")")[2].split() for pid in pids]
    return sum(int(tick) for each in words for tick in each[11:15]) / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    return [int(word) for word in _read(pid, f"task/{pid}/children").split()]


def _name(pid: int) -> str:
    return _read(pid, "comm").rstrip("\n")


def _kilobytes(pid: int, file: str, name: str) -> float:
    """A field that /proc gives in kB, in bytes; 0 when the process is gone."""
    return float((_field(pid, file, name) or ["0"])[0]) * KILOBYTE


def _field(pid: int, file: str, name: str) -> list[str]:
    """The words of the line `name:`."""
    for line in _read(pid, file).splitlines():
        if line.startswith(f"{name}:"):
            return line.split()[1:]
    return []


def _read(pid: int, file: str) -> str:
    """A file of a process; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
