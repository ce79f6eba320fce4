"""A maildir: from a UID to its open file.

Matches index/maildir/maildir-util.c (maildir_file_do): the file's name is guessed from the uidlist and the
flags in the index; when it is not there, somebody else has renamed it, and both directories are listed for the
name up to the flags.  Names follow https://cr.yp.to/proto/maildir.html, with Dovecot's ``,S=`` and ``,W=``.
"""

from __future__ import annotations

from dovecot_urlauth.store.errors import ReadFailed
from dovecot_urlauth.store.native.files import close_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dovecot_urlauth.store.native.file_source import FileSource
    from dovecot_urlauth.store.native.files import Directory

RENAMES_FOLLOWED = 10
"""How often a file may be renamed between being listed and being opened, as in Dovecot."""

LETTERS = ((0x10, b"D"), (0x02, b"F"), (0x01, b"R"), (0x08, b"S"), (0x04, b"T"))
"""Index flags (lib-mail/mail-types.h) and their letters, in the order that file names have them."""

INFO = b":2,"
"""What separates the base name from the flags."""


class Maildir:
    """The directories ``cur`` and ``new`` of one mailbox."""

    def __init__(self, mailbox: Directory) -> None:
        """Raises FileNotFoundError when there is no ``cur``: then it is no maildir.  StoreFailure, Unsupported."""
        self._cur = mailbox.directory(b"cur")
        self._new: Directory | None = None
        try:
            self._new = mailbox.directory(b"new")
        except FileNotFoundError:
            pass
        except BaseException:
            self._cur.close()
            raise

    def open(self, name: bytes, flags: int, keywords: bytes = b"") -> FileSource:
        """The mail whose file the uidlist calls ``name``, with ``flags`` and keyword letters as in the index.

        Raises ReadFailed when there is no such file any more, StoreFailure when it is none, and Unsupported for a
        link.
        """
        for directory, guess in self._guesses(name, flags, keywords):
            try:
                return directory.file(guess)
            except FileNotFoundError:
                continue
        base = name.partition(b":")[0]
        for _ in range(RENAMES_FOLLOWED):
            found = self._search(base)
            if found is None:
                break
            try:
                return found[0].file(found[1])
            except FileNotFoundError:
                continue
        raise ReadFailed("Message was expunged")

    def is_in_place(self) -> bool:
        """Whether both directories still are where they were."""
        return self._cur.is_in_place() and self._new is not None and self._new.is_in_place()

    def close(self) -> None:
        """Close both directories."""
        close_all((self._cur, self._new))

    def _guesses(self, name: bytes, flags: int, keywords: bytes) -> Iterator[tuple[Directory, bytes]]:
        base = name.partition(b":")[0]
        yield self._cur, base + INFO + b"".join(letter for flag, letter in LETTERS if flags & flag) + keywords
        if self._new is not None:
            yield self._new, base
        if name != base:
            yield self._cur, name
        yield self._cur, base

    def _search(self, base: bytes) -> tuple[Directory, bytes] | None:
        """Directory and present name of the file with this base name."""
        start = base + b":"
        for directory in (self._cur, self._new):
            if directory is None:
                continue
            for name in directory.names():
                if name.startswith(start) or name == base:
                    return directory, name
        return None


def size_in_name(name: bytes, key: bytes) -> int | None:
    """The size that a file name carries as ``,S=<n>`` (stored) or ``,W=<n>`` (with CRLF), None without.

    ``key`` is ``b"S"`` or ``b"W"``.
    """
    _, found, rest = name.partition(b"," + key + b"=")
    digits = rest[: len(rest) - len(rest.lstrip(b"0123456789"))]
    if not found or not 0 < len(digits) < 19 or rest[len(digits) : len(digits) + 1] not in (b"", b",", b":"):
        return None
    return int(digits)
