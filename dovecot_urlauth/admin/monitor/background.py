"""Going to the background (python-daemon) so that whoever starts it learns whether it came to be."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.monitor.failure import MonitorFailure

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

LOCK_PATIENCE = 1.0
"""Seconds to wait for a pid file that another one holds."""
READY = "ready"


def in_background(run: Callable[[], None], keep: list[int], pid_file: str | None, user: str | None) -> None:
    """Detach, lock the pid file, become the user, and ``run`` there, with the descriptors ``keep`` open.

    Returns in the caller alone, once that has begun. Raises MonitorFailure with what hindered it.
    """
    who = _account(user) if user else None
    lock = _lock(pid_file) if pid_file else None
    reading, writing = os.pipe()
    context = _context(lock, who, [*keep, writing])
    child = os.fork()
    if not child:
        os.close(reading)
        os._exit(_live(run, context, writing))
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    if said != READY:
        raise MonitorFailure(said or "the daemon ended before it began to listen")


def _live(run: Callable[[], None], context: AbstractContextManager[object], writing: int) -> int:
    """The exit status of the process that is the daemon."""
    begun = False
    try:
        with context:
            os.write(writing, READY.encode())
            os.close(writing)  # and nothing else of the caller's is open
            begun = True
            run()
    except Exception as error:
        text = f"cannot go to the background: {' '.join(str(error).split()) or type(error).__name__}"
        if not begun:
            os.write(writing, text.encode(errors="replace"))
        return 1
    return 0


def _context(lock: object, who: pwd.struct_passwd | None, keep: list[int]) -> AbstractContextManager[object]:
    import daemon  # type: ignore[import-untyped]

    context: AbstractContextManager[object] = daemon.DaemonContext(
        pidfile=lock,
        uid=who.pw_uid if who else None,
        gid=who.pw_gid if who else None,
        signal_map={},
        files_preserve=keep,
    )
    return context


def _lock(path: str) -> object:
    """The pid file, which nobody holds. Raises MonitorFailure."""
    from daemon.pidfile import TimeoutPIDLockFile  # type: ignore[import-untyped]

    lock = TimeoutPIDLockFile(os.path.abspath(path), LOCK_PATIENCE)
    if (holder := lock.read_pid()) is not None:
        if _runs(holder):
            raise MonitorFailure(f"{path} is locked: process {holder} runs already")
        lock.break_lock()
    return lock


def _runs(pid: int) -> bool:
    """Whether there is such a process; that it may not be signalled says that there is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _account(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError as error:
        raise MonitorFailure(f"--user={name}: no such user") from error
