"""The system calls of a fetch on files below one folder, by strace; on shared storage each may be a round trip."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CALL = re.compile(r"^(?:\d+ +)?(\w+)\(")
ATTACH_SECONDS = 10.0
FREE = frozenset({"close", "fcntl", "lseek", "dup", "dup2", "fadvise64"})
"""Calls that no file server hears of, where locks are not asked for."""
SOCKET = "<socket:"
"""How a descriptor is shown that is no file, whatever goes over it."""
ONE = {
    "newfstatat": "stat",
    "fstat": "stat",
    "pread64": "read",
    "pwrite64": "write",
    "getdents64": "getdents",
    "openat": "open",
}
"""Names under which calls are counted together."""


def calls_in(trace: Iterable[str], folder: str) -> Counter[str]:
    """The calls of a trace (``strace -y``) that name the folder, or a descriptor of something in it."""
    counted: Counter[str] = Counter()
    for line in trace:
        found = CALL.match(line)
        if found and folder in line and SOCKET not in line and found[1] not in FREE:
            counted[ONE.get(found[1], found[1])] += 1
    return counted


def counted(pids: Iterable[int], folder: str, work: Callable[[], object]) -> Counter[str]:
    """The calls that these processes, and what they start, make below the folder while ``work`` runs."""
    with tempfile.TemporaryDirectory() as place:
        trace = Path(place) / "trace"
        command = ["strace", "-f", "-qq", "-y", "-s", "300", "-e", "trace=%file,%desc", "-o", str(trace)]
        for pid in pids:
            command += ["-p", str(pid)]
        tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603
        try:
            _wait_until_attached(pids, tracer.pid)
            work()
        finally:
            tracer.terminate()
            tracer.wait()
        return calls_in(trace.read_text(errors="replace").splitlines(), folder)


def _wait_until_attached(pids: Iterable[int], tracer: int) -> None:
    deadline = time.monotonic() + ATTACH_SECONDS
    while not all(_traced_by(pid) in (tracer, None) for pid in pids):
        if time.monotonic() > deadline:
            raise ValueError("strace did not attach")
        time.sleep(0.02)


def _traced_by(pid: int) -> int | None:
    """The pid of who traces a process; None if there is no such process."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(status.partition("TracerPid:\t")[2].partition("\n")[0])
