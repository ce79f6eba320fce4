"""A regular file, open for reading at any offset, and a part of one."""

from __future__ import annotations

import os
from time import time_ns

from dovecot_urlauth.store.errors import StoreFailure

TICK = 100_000_000
"""Nanoseconds; file systems note times by a clock that ticks every 4 to 10 ms."""


def version(status: os.stat_result) -> object:
    """What changes when a file is written, or another one takes its name.

    It is only proof while the file is held open: the number of a file that is gone may be given to the next.
    """
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def settled_version(status: os.stat_result) -> object:
    """What changes with every write, unless two come within a tick of the clock; ctime cannot be set back.

    Nothing is equal to the version of a file that has just been written.  What is equal is the same file, which
    need not be held open.
    """
    if abs(time_ns() - status.st_ctime_ns) < TICK:
        return object()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def close_quietly(fd: int) -> None:
    """Close what was only read: an error has lost nothing, and the descriptor is gone all the same."""
    try:
        os.close(fd)
    except OSError:
        return


class FileSource:
    """Reads with ``pread``; fulfils the message room's ``Source``.

    ``size`` is the size in bytes when the file was opened: a mail never changes, and of a log that grows only
    the part that was there counts.
    """

    __slots__ = ("_identity", "fd", "path", "size", "status", "version")

    def __init__(self, fd: int, path: bytes, status: os.stat_result) -> None:
        self.fd = fd
        self.path = path
        """For log texts only."""
        self.status = status
        """As it was when the file was opened."""
        self.size = status.st_size
        self.version = version(status)
        self._identity = (status.st_dev, status.st_ino)

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset``; fewer only at the end.  Raises StoreFailure."""
        pieces = []
        try:
            while length > 0:
                piece = os.pread(self.fd, length, offset)
                if not piece:
                    break
                pieces.append(piece)
                offset += len(piece)
                if len(piece) < length and offset == self.size:
                    break  # nothing has grown there since
                length -= len(piece)
        except (OSError, OverflowError, ValueError) as error:
            raise StoreFailure(f"read({os.fsdecode(self.path)}) failed: {error}") from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def grow(self) -> None:
        """Take over what was appended since.  Raises StoreFailure."""
        try:
            status = os.fstat(self.fd)
        except OSError as error:
            raise StoreFailure(f"fstat({os.fsdecode(self.path)}) failed: {error.strerror}") from None
        self.size = status.st_size
        self.version = version(status)

    def is_file(self, status: os.stat_result) -> bool:
        """Whether ``status`` is this file's, whatever was written to it since."""
        return (status.st_dev, status.st_ino) == self._identity

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self.fd >= 0:
            close_quietly(self.fd)
            self.fd = -1

    def __enter__(self) -> FileSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FileSlice:
    """``size`` bytes of a file that start at ``start``; fulfils the message room's ``Source``."""

    __slots__ = ("_file", "_start", "size")

    def __init__(self, file: FileSource, start: int, size: int) -> None:
        self._file = file
        self._start = start
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset``; fewer only at the end.  Raises StoreFailure."""
        length = min(length, self.size - offset)
        return self._file.read(self._start + offset, length) if length > 0 else b""
