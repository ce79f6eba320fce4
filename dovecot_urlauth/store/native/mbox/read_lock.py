"""The locks that keep writers of an mbox file away while something is read from it.

index/mbox/mbox-lock.c.  Dovecot waits for a lock and holds it for as long as the message is read, which is as long
as the client takes to read it, and nothing is delivered meanwhile.  Here a lock is tried, never waited for, and
never held while anybody is waited for: who cannot have it asks again a little later.

The fcntl lock is one of the open file description (fcntl(2), F_OFD_SETLK), not of the process: it stands against
the locks of other programs just the same, but closing the file for another session does not end it.
"""

from __future__ import annotations

import errno
import fcntl
from struct import pack

from dovecot_urlauth.store.errors import StoreFailure, Unsupported
from dovecot_urlauth.store.native.driver import Busy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.config.mbox_rules import MboxRules
    from dovecot_urlauth.store.native.file_source import FileSource

TAKEN = (errno.EAGAIN, errno.EACCES)


class ReadLock:
    """The read locks of one open file; closing the file ends them too."""

    __slots__ = ("_file", "_held", "_rules")

    def __init__(self, file: FileSource, rules: MboxRules) -> None:
        self._file = file
        self._rules = rules
        self._held: list[str] = []

    def take(self) -> None:
        """Take all locks, in the order of the setting.

        Raises Busy when somebody else has one for writing, Unsupported when the file system has no such locks, and
        StoreFailure when the file is closed.
        """
        for method in self._rules.read_locks:
            if method in self._held:
                continue
            try:
                METHODS[method](self._file.fd, fcntl.F_RDLCK, fcntl.LOCK_SH)
            except OSError as error:
                self.release()
                if error.errno in TAKEN:
                    raise Busy("Timeout while waiting for lock", self._rules.lock_seconds) from None
                raise Unsupported(f"{method}() failed with mbox: {error.strerror}") from None
            except ValueError:
                raise StoreFailure("mbox file was closed") from None
            self._held.append(method)

    def release(self) -> None:
        """Give back every lock that is held."""
        while self._held:
            try:
                METHODS[self._held.pop()](self._file.fd, fcntl.F_UNLCK, fcntl.LOCK_UN)
            except (OSError, ValueError):
                continue


def _fcntl(fd: int, kind: int, _: int) -> None:
    # struct flock: type, whence, start, length 0 (the whole file), pid
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, pack("hhqqi4x", kind, 0, 0, 0, 0))


def _flock(fd: int, _: int, operation: int) -> None:
    fcntl.flock(fd, operation | fcntl.LOCK_NB)


METHODS: dict[str, Callable[[int, int, int], None]] = {"fcntl": _fcntl, "flock": _flock}
"""Those of config/mbox_rules.py."""
