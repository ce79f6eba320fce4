"""The running imap-urlauth processes, from /proc."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from dovecot_urlauth.admin.check_services import SERVICES
from dovecot_urlauth.admin.master import Master
from dovecot_urlauth.admin.master import NoMaster as NoMaster

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """One process; ``pss`` is its proportional share of memory in bytes, None if it may not be read.

    ``is_boxed`` is whether it can gain no rights and the kernel asks a filter about its system calls.
    """

    pid: int
    parent: int
    user: str
    pss: int | None
    service: str
    title: str
    is_boxed: bool = False


def find_processes(dovecot: str | Master | None) -> list[Process]:
    """The imap-urlauth processes, by service and number; only those of one Dovecot, by its base_dir or its master.

    Raises :class:`NoMaster`.
    """
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            process = _read_process(folder)
            if process is not None:
                found[process.pid] = process
    if dovecot is not None:
        master = (Master(dovecot) if isinstance(dovecot, str) else dovecot).pid()
        found = {pid: process for pid, process in found.items() if _descends(process, master, found)}
    return sorted(found.values(), key=lambda process: (SERVICES.index(process.service), process.pid))


def _read_process(folder: Path) -> Process | None:
    try:
        words = (folder / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace").split("\0")
        title = " ".join(words)
        service = service_of(title)
        if service is None:
            return None
        parent = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        user, boxed = _user(folder.stat().st_uid), _is_boxed((folder / "status").read_text(errors="replace"))
        return Process(int(folder.name), parent, user, _pss(folder), service, title, boxed)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None  # it has gone, or /proc is mounted with hidepid and it is not ours to see


def service_of(title: str) -> str | None:
    """The service that a process title names: its own name, or the script that an interpreter runs."""
    for word in title.split()[:4]:
        name = os.path.basename(word)
        if name in SERVICES:
            return name
        if not name.startswith(("python", "-")):
            return None
    return None


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _is_boxed(status: str) -> bool:
    return "\nNoNewPrivs:\t1\n" in status and "\nSeccomp:\t2\n" in status


def _pss(folder: Path) -> int | None:
    try:
        lines = (folder / "smaps_rollup").read_text().splitlines()
    except PermissionError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), None)


def _descends(process: Process, master: int, found: dict[int, Process]) -> bool:
    """Whether master started it, or a worker that master started (ours fork)."""
    while process.parent != master:
        if process.parent not in found:
            return False
        process = found[process.parent]
    return True
