"""A program that can be executed and not be looked into.

The engine runs as the target user and holds what that user must not see: 2.4's whole configuration with the
private keys and passwords in it, 2.3's mail settings in its environment.  A process that gave up root is closed
to ptrace and /proc, but executing a program opens it again, unless the program's file may not be read by who
executes it (fs/exec.c, would_dump).  Dovecot's executables may be read by all, so a copy is executed: in
memory, mode 0111.
"""

from __future__ import annotations

import os

COPY_SIZE = 16 * 1024 * 1024


def unreadable_copy(program: bytes) -> int | None:
    """A descriptor of a copy of ``program`` that nobody may read, to be executed and closed by the caller.

    None if the system cannot do it (no /proc, or a kernel told to refuse), or if it is a script, which its
    interpreter could not open then: better readable than no mail.
    Raises OSError if there is no such program.
    """
    source = os.open(program, os.O_RDONLY)
    try:
        return None if os.pread(source, 2, 0) == b"#!" else _copy(source)
    except OSError:
        return None
    finally:
        os.close(source)


def _copy(source: int) -> int:
    writable = os.memfd_create("imap")
    try:
        copied = 0
        while sent := os.sendfile(writable, source, copied, COPY_SIZE):
            copied += sent
        # A file that somebody may still write to cannot be executed.
        copy = os.open(path_of(writable), os.O_RDONLY)
        try:
            os.fchmod(copy, 0o111)
        except OSError:
            os.close(copy)
            raise
        return copy
    finally:
        os.close(writable)


def path_of(fd: int) -> bytes:
    """The path under which a process may execute its own descriptor."""
    return b"/proc/self/fd/%d" % fd
