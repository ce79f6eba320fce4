"""One message of an mbox file: the header as it is shown, and the body where it lies.

How long is the file locked for a message?  Dovecot locks it until the client has taken the last byte, so whoever
reads a long mail slowly keeps new mail out of the mailbox.  Here nobody who waits holds a lock: a message that is
not long is read into memory at once, and of a longer one each chunk is read under a lock of its own.  When the
file is not the same under the next lock, the message is looked for again where the index has it then; it goes on
if it has the same header, the same size and a From_ line on both sides, as a message that keeps its UID must (RFC
3501 section 2.3.1.1).  Otherwise the delivery ends: what was expunged meanwhile is cut short, as on a connection
that breaks, and never continued with another message's bytes.
"""

from __future__ import annotations

import os

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.errors import StoreFailure, Unsupported
from dovecot_urlauth.store.native.file_source import settled_version
from dovecot_urlauth.store.native.mbox.header import parse_header
from dovecot_urlauth.store.native.mbox.separator import LINE_LIMIT, separator_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.config.mbox_rules import MboxRules
    from dovecot_urlauth.store.native.file_source import FileSource
    from dovecot_urlauth.store.native.mbox.read_lock import ReadLock

HEADER_AT_ONCE = 8 * 1024
HEADER_LIMIT = 1024 * 1024
"""Bytes of a header that is kept in memory; nearly all fit into the first read."""


@frozen
class Stretch:
    """Where a message is to be: from the line end before its From_ line to the one before the next."""

    start: int
    end: int
    """Of the last message: the size of the file."""
    uid: int
    is_last: bool
    must_say_uid: bool
    """The offsets are doubtful; an X-UID field has to confirm them."""


@frozen
class Found:
    """A message in the file, as it is while the file is locked."""

    stretch: Stretch
    stored: bytes
    """From_ line and header as they are in the file."""
    shown: bytes
    """The header as it is shown, the empty line included."""
    body: int
    """Offset of the body, or of the end if there is none."""
    end: int
    """Offset behind the last byte."""

    @property
    def size(self) -> int:
        """Bytes of the message as it is shown."""
        return len(self.shown) + self.end - self.body

    def is_same(self, other: Found) -> bool:
        """Whether it may be the same message at another place."""
        return self.shown == other.shown and self.size == other.size

    def where_it_was(self, file_size: int) -> Stretch:
        """The same place in a file that has ``file_size`` now."""
        where = self.stretch
        is_last = where.is_last and file_size == where.end
        return Stretch(where.start, where.end if is_last else self.end, where.uid, is_last, where.must_say_uid)


def find(file: FileSource, where: Stretch, rules: MboxRules) -> Found:
    """The message at ``where``.  Raises Unsupported when the file has something else there, or StoreFailure."""
    size = separator_size(file.read(where.start, LINE_LIMIT + 2), is_first=where.start == 0)
    if not size:
        raise Unsupported("mbox file has no From_ line where the index has one")
    end = _last_end(file, where.end) if where.is_last else _end_before_next(file, where.end)
    start = where.start + size
    if end < start:
        raise Unsupported("mbox file has no message where the index has one")
    length = HEADER_AT_ONCE
    while True:
        data = file.read(where.start, min(size + length, end - where.start))
        header = parse_header(data[size:], colonless_line_is_name=rules.colonless_line_is_name)
        if header.is_complete or start + length >= end:
            break
        length *= 8
        if length > HEADER_LIMIT:
            raise Unsupported("message has a very long header")
    if where.must_say_uid and header.uid != where.uid:
        raise Unsupported("mbox file was changed, and the message does not say its UID")
    return Found(where, data[: size + header.size], header.shown, start + header.size, end)


def old_end(file: FileSource, size: int) -> int:
    """The end of the message that was the last one when the file had ``size``.

    Raises Unsupported when no From_ line follows, for then more was done to the file than adding to it.
    """
    return _end_before_next(file, _last_end(file, size))


def _end_before_next(file: FileSource, end: int) -> int:
    """``end``, once there is a From_ line; a CR before the line end belongs to the From_ line."""
    data = file.read(end - 1, LINE_LIMIT + 3) if end else b""
    if data.startswith(b"\r\n") or not separator_size(data[1:], is_first=False):
        raise Unsupported("mbox file has no From_ line where the index has the next one")
    return end


def _last_end(file: FileSource, size: int) -> int:
    """The end of the last message, when that of the file is ``size``."""
    tail = file.read(max(size - 2, 0), 2)
    if not tail.endswith(b"\n"):
        raise Unsupported("mbox file does not end with a line end")
    return size - len(tail if tail == b"\r\n" else b"\n")


class MboxMail:
    """A message that is read from the file; a Source, and the Lock that keeps it right between chunks."""

    def __init__(
        self, file: FileSource, lock: ReadLock, found: Found, find_again: Callable[[], Found | None]
    ) -> None:
        """``lock`` is held.  ``find_again()`` looks for the message under it; None when it is not there."""
        self._file = file
        self._lock = lock
        self._found = found
        self._find_again = find_again
        self._version = file_version(file)
        self.size = found.size
        """Bytes, as the message is shown."""

    def read(self, offset: int, length: int) -> bytes:
        """At most ``length`` bytes from ``offset``, while the lock is held."""
        shown = self._found.shown
        head = shown[offset : offset + length]
        start = self._found.body + max(offset - len(shown), 0)
        return head + self._file.read(start, min(length - len(head), self._found.end - start))

    def release(self) -> None:
        """See Lock.release."""
        self._lock.release()

    def take(self) -> None:
        """See Lock.take."""
        try:
            self._lock.take()
            self._check()
        except Unsupported as error:
            self._lock.release()
            raise StoreFailure(f"mbox file was changed while a message was read: {error.text}") from None
        except BaseException:
            self._lock.release()
            raise

    def _check(self) -> None:
        """See that the message is the same, and where it is."""
        version = file_version(self._file)
        if version == self._version:
            return
        found = self._find_again()
        if found is None or not found.is_same(self._found):
            raise StoreFailure("message was expunged while it was read")
        self._found = found
        self._version = version


def file_status(file: FileSource) -> os.stat_result:
    """fstat() now.  Raises StoreFailure."""
    try:
        return os.fstat(file.fd)
    except OSError as error:
        raise StoreFailure(f"fstat({os.fsdecode(file.path)}) failed: {error.strerror}") from None


def file_version(file: FileSource) -> object:
    """The settled version now.  Raises StoreFailure."""
    return settled_version(file_status(file))
