"""The attribute dictionary ``file:``: pairs of lines, key and value.

Matches lib-dict/dict-file.c: both lines are tab-escaped, a later pair replaces an earlier one, a missing file is
an empty dictionary, and a last line without LF does not count.  Dovecot replaces the file by rename, so an open
file is one consistent version.
"""

from __future__ import annotations

from dovecot_urlauth.store.errors import StoreFailure
from dovecot_urlauth.store.files import Directory
from dovecot_urlauth.wire.tabescape import escape, unescape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.store.source import FileSource

BLOCK = 256 * 1024
LIMIT_SIZE = 256 * 1024 * 1024
"""Bytes of a dictionary that are searched."""
LIMIT_PAIR = 16 * 1024 * 1024
"""Bytes of one key and value; attributes hold annotations and small scripts."""


class FileDict:
    """The dictionary in the file ``path``, read as the target user ``uid``."""

    def __init__(self, path: bytes, uid: int) -> None:
        self._path = path
        self._uid = uid

    def lookup(self, key: bytes) -> bytes | None:
        """The value of ``key``, None when there is none.  Raises StoreFailure."""
        parent, _, name = self._path.rpartition(b"/")
        try:
            with Directory.root(parent or b"/", self._uid) as directory, directory.file(name) as file:
                return search(file, key)
        except FileNotFoundError:
            return None

    def close(self) -> None:
        """Nothing is held between lookups."""


def search(file: FileSource, key: bytes) -> bytes | None:
    """The last value of ``key`` in ``file``.  Raises StoreFailure for a pair that is beyond any attribute."""
    if file.size > LIMIT_SIZE:
        raise StoreFailure("attribute dictionary is very long")
    wanted = escape(key)
    value = None
    held = b""
    offset = 0
    while data := file.read(offset, BLOCK):
        offset += len(data)
        lines = (held + data).split(b"\n")
        held = lines.pop()
        if len(lines) % 2:
            held = lines.pop() + b"\n" + held
        if len(held) > LIMIT_PAIR:
            raise StoreFailure("attribute dictionary has a line without end")
        keys = lines[0::2]
        if wanted in keys:
            last = len(keys) - 1 - keys[::-1].index(wanted)
            value = unescape(lines[2 * last + 1].removesuffix(b"\r"))
    return value
