"""Opening files below a root whose owner may have put anything there.

Below the root that the settings name, each step is an ``openat`` that follows no symbolic link and waits for no
FIFO, and only regular files are opened, whoever owns them: the process has the target user's rights and no more,
so the kernel decides what may be read.  A link is Unsupported: Dovecot follows it, and Dovecot's own imap may do
so.  Nothing is ever opened for writing.  (Dovecot opens mails without looking; the stock worker hangs on a FIFO.)
"""

from __future__ import annotations

import errno
import os
import stat

from dovecot_urlauth.store.errors import AccessDenied, StoreFailure, Unsupported
from dovecot_urlauth.store.native.file_source import FileSource, close_quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


class Directory:
    """An open directory at or below a mail root."""

    __slots__ = ("_identity", "fd", "path")

    def __init__(self, fd: int, path: bytes) -> None:
        """Take ``fd`` over.  Raises StoreFailure or FileNotFoundError, and has closed it."""
        status = _status_of(fd, path)
        self.fd = fd
        self.path = path
        """How it was reached; opening goes by ``fd``."""
        self._identity = (status.st_dev, status.st_ino)

    @classmethod
    def root(cls, path: bytes, *, is_listed: bool = True) -> Directory:
        """Open a directory that the settings name; links on the way are followed.

        One that is not to be listed needs no right to read it.  Raises FileNotFoundError or StoreFailure.
        """
        try:
            fd = os.open(path, OPEN_DIRECTORY if is_listed else OPEN_DIRECTORY | os.O_PATH)
        except (OSError, ValueError) as error:
            raise _failure("open", path, error) from None
        return cls(fd, path)

    def directory(self, *names: bytes) -> Directory:
        """The directory below, ``names`` deep; with no name a second handle of this one.

        Raises FileNotFoundError, StoreFailure for anything else than directories, and Unsupported for a link.
        """
        try:
            fd = os.dup(self.fd)
        except OSError as error:
            raise _failure("dup", self.path, error) from None
        return Directory(fd, self.path).descended(*names)

    def descended(self, *names: bytes) -> Directory:
        """The same in place of this one, which is closed unless there are no names."""
        here = self
        for name in names:
            with here:
                here = here._step(name)
        return here

    def file(self, name: bytes) -> FileSource:
        """Open the regular file ``name``.  Raises FileNotFoundError, StoreFailure, or Unsupported for a link."""
        path = self.path + b"/" + name
        fd = self._open(name, OPEN_FILE)
        status = _status_of(fd, path)
        if stat.S_ISREG(status.st_mode):
            return FileSource(fd, path, status)
        close_quietly(fd)
        raise StoreFailure(f"{os.fsdecode(path)} is not a regular file")

    def status(self, name: bytes) -> os.stat_result | None:
        """lstat() of ``name``; None when it does not exist.  Raises StoreFailure."""
        try:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            failure = _failure("stat", self.path + b"/" + name, error)
            if isinstance(failure, FileNotFoundError):
                return None
            raise failure from None

    def is_in_place(self) -> bool:
        """Whether the way that led here still leads here: nobody renamed, removed or replaced the directory."""
        try:
            status = os.stat(self.path)
        except (OSError, ValueError):
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def is_same(self, other: Directory) -> bool:
        """Whether both are the same directory, however it was reached."""
        return self._identity == other._identity

    def names(self) -> Iterator[bytes]:
        """The names of all entries, in the file system's order.  Raises StoreFailure."""
        try:
            with os.scandir(self.fd) as entries:
                for entry in entries:
                    yield os.fsencode(entry.name)
        except OSError as error:
            raise _failure("scandir", self.path, error) from None

    def close(self) -> None:
        """Close the directory; a second call does nothing."""
        if self.fd >= 0:
            close_quietly(self.fd)
            self.fd = -1

    def _step(self, name: bytes) -> Directory:
        if name in (b"", b".", b"..") or b"/" in name:
            raise StoreFailure(f"{os.fsdecode(name)!r} is not the name of a directory")
        fd = self._open(name, OPEN_DIRECTORY | os.O_NOFOLLOW)
        return Directory(fd, self.path + b"/" + name)

    def _open(self, name: bytes, flags: int) -> int:
        path = self.path + b"/" + name
        try:
            return os.open(name, flags, dir_fd=self.fd)
        except (OSError, ValueError) as error:
            failure: Exception = _failure("open", path, error)
            if isinstance(error, OSError) and error.errno in (errno.ELOOP, errno.ENOTDIR):
                status = self.status(name)
                if status is not None and stat.S_ISLNK(status.st_mode):
                    failure = Unsupported(f"{os.fsdecode(path)} is a symbolic link")
            raise failure from None

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _failure(call: str, path: bytes, error: OSError | ValueError) -> FileNotFoundError | StoreFailure:
    if isinstance(error, OSError) and error.errno in ABSENT:
        return FileNotFoundError(error.errno, "No such file", os.fsdecode(path))
    reason = error.strerror if isinstance(error, OSError) else str(error)
    text = f"{call}({os.fsdecode(path)}) failed: {reason}"
    return AccessDenied(text) if isinstance(error, PermissionError) else StoreFailure(text)


def _status_of(fd: int, path: bytes) -> os.stat_result:
    """fstat(); the descriptor is closed if that fails, as it may on a network file system."""
    try:
        return os.fstat(fd)
    except OSError as error:
        close_quietly(fd)
        raise _failure("fstat", path, error) from None


def close_all(handles: Iterable[Directory | FileSource | None]) -> None:
    """Close each handle that is one."""
    for handle in handles:
        if handle is not None:
            handle.close()
