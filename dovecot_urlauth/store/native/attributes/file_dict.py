"""The attribute dictionary ``file:``: pairs of lines, key and value.

Matches lib-dict/dict-file.c: both lines are tab-escaped, a later pair replaces an earlier one, a missing file is
an empty dictionary, and a last line without LF does not count.  Dovecot replaces the file by rename, so an open
file is one consistent version.
"""

from __future__ import annotations

import os

from dovecot_urlauth.store.errors import StoreFailure
from dovecot_urlauth.store.native.file_source import close_quietly, version
from dovecot_urlauth.store.native.files import OPEN_FILE, Directory
from dovecot_urlauth.wire.tabescape import escape, unescape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.store.native.file_source import FileSource

BLOCK = 256 * 1024
LIMIT_SIZE = 256 * 1024 * 1024
"""Bytes of a dictionary that are searched."""
LIMIT_KNOWN = 100
"""Keys that are remembered."""
LIMIT_PAIR = 16 * 1024 * 1024
"""Bytes of one key and value; attributes hold annotations and small scripts."""


class FileDict:
    """The dictionary in the file ``path``; see Attributes.

    What was looked up is remembered as long as the file is the same, and so that it provably is, held open.
    """

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._file: FileSource | None = None
        self._known: dict[bytes, bytes | None] = {}

    async def lookup(self, key: bytes) -> bytes | None:
        """See Attributes.lookup; nothing is waited for."""
        file = self._current_file()
        if file is None:
            return None
        if key not in self._known:
            if len(self._known) >= LIMIT_KNOWN:
                self._known.clear()
            self._known[key] = search(file, key)
        return self._known[key]

    def close(self) -> None:
        """Let go of the file."""
        self._known.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _current_file(self) -> FileSource | None:
        """The file that has the name now."""
        if self._file is not None and self._is_current(self._file):
            return self._file
        self.close()
        parent, _, name = self._path.rpartition(b"/")
        try:
            with Directory.root(parent or b"/") as directory:
                self._file = directory.file(name)
        except FileNotFoundError:
            return None
        return self._file

    def _is_current(self, file: FileSource) -> bool:
        """Whether the name still leads to ``file``.

        The file is opened for that: of an NFS the kernel then asks the server, while what stat() says may be
        seconds old, and so long a key that was reset would count.
        """
        try:
            fd = os.open(self._path, OPEN_FILE)
        except OSError:
            return False
        try:
            return version(os.fstat(fd)) == file.version
        except OSError:
            return False
        finally:
            close_quietly(fd)


def search(file: FileSource, key: bytes) -> bytes | None:
    """The last value of ``key`` in ``file``.  Raises StoreFailure for a pair that is beyond any attribute."""
    if file.size > LIMIT_SIZE:
        raise StoreFailure("attribute dictionary is very long")
    wanted = escape(key)
    value = None
    held = b""
    offset = 0
    while data := file.read(offset, min(BLOCK, file.size - offset)):
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
