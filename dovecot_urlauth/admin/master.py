"""The master process of a Dovecot, by the pid file in its base_dir.

Only root may read ``master.pid``.  What root has read is remembered, so that a process that has given root up
goes on to know its Dovecot, across a restart too: by the command line, which two Dovecots of one machine do not
share.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
MASTER_PID = "master.pid"


class NoMaster(Exception):
    """There is no running Dovecot with this base_dir; the text says why."""


class MasterUnknown(NoMaster):
    """Whether one runs, only root may know."""


@dataclass(frozen=True)
class _Seen:
    """What the pid file held when it was read, and which file that was."""

    pid: int
    inode: int
    changed: int
    """Nanoseconds of Unix time."""
    command: bytes
    """The master's command line; empty where there is no /proc."""


class Master:
    """The master of the Dovecot with this ``base_dir``, asked for anew each time."""

    def __init__(self, base_dir: str) -> None:
        self._base_dir = base_dir
        self._path = os.path.join(base_dir, MASTER_PID)
        self._seen: _Seen | None = None

    def pid(self) -> int:
        """Its process id. Raises NoMaster, MasterUnknown."""
        pid = self._read()
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            raise NoMaster(self._says(f"process {pid} of {self._path} is gone")) from None
        except PermissionError:
            pass  # there it is, and not ours
        return pid

    def _read(self) -> int:
        try:
            with open(self._path, "rb") as file:
                about = os.fstat(file.fileno())
                pid = int(file.read(32))
                if pid <= 0:
                    raise ValueError
        except PermissionError:
            return self._remembered()
        except FileNotFoundError:
            raise NoMaster(self._says(f"{self._path} is not there")) from None
        except OSError as error:
            raise NoMaster(self._says(f"{self._path}: {error.strerror}")) from error
        except ValueError:
            raise NoMaster(self._says(f"{self._path} holds no process id")) from None
        self._seen = _Seen(pid, about.st_ino, about.st_mtime_ns, _command(pid))
        return pid

    def _says(self, why: str) -> str:
        return f"no Dovecot runs with base_dir {self._base_dir} ({why}): start it, or name another with -c FILE"

    def _remembered(self) -> int:
        unknown = MasterUnknown(
            f"whether a Dovecot runs with base_dir {self._base_dir} is not known: "
            f"{self._path} is closed to others: run this as root"
        )
        if self._seen is None:
            raise unknown
        try:
            about = os.stat(self._path)
        except FileNotFoundError:
            raise NoMaster(self._says(f"{self._path} is not there")) from None
        except OSError:
            raise unknown from None
        if (about.st_ino, about.st_mtime_ns) == (self._seen.inode, self._seen.changed):
            return self._seen.pid
        found = _masters_by(self._seen.command)
        if len(found) != 1:
            raise unknown
        return found[0]


def running_master(base_dir: str) -> int | None:
    """The master's pid; None where none runs, or where that may not be read (not being root)."""
    try:
        return Master(base_dir).pid()
    except NoMaster:
        return None


def _command(pid: int) -> bytes:
    try:
        return (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return b""


def _masters_by(command: bytes) -> list[int]:
    """The processes with this command line that no such process has started: a fork has it, too, for a moment."""
    if not command:
        return []
    same = [int(name) for name in os.listdir(PROC) if name.isdigit() and _command(int(name)) == command]
    return [pid for pid in same if _parent(pid) not in same]


def _parent(pid: int) -> int:
    try:
        return int((PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
