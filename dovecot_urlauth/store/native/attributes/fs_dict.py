"""The attribute dictionary ``fs:`` over plain files: a folder for each user, in it a file for each key.

Matches lib-dict/dict-fs.c and lib-fs/fs-posix.c: the file ``<prefix><user>/<key without priv/>`` holds the value
and nothing else, and is replaced by rename.  Nothing is remembered.
"""

from __future__ import annotations

import os

from dovecot_urlauth.store.errors import StoreFailure, Unsupported
from dovecot_urlauth.store.native.files import Directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.config.attribute_dict import FsDictSettings

PRIVATE, SHARED = b"priv/", b"shared/"
LIMIT_VALUE = 1024 * 1024
"""Bytes of a value."""


class FsDict:
    """The dictionary in files below a prefix; see Attributes."""

    def __init__(self, settings: FsDictSettings) -> None:
        self._prefix = settings.prefix
        self._user = settings.user

    async def lookup(self, key: bytes) -> bytes | None:
        """See Attributes.lookup; nothing is waited for."""
        root, steps, name = self._place(key)
        try:
            with Directory.root(root) as directory, directory.directory(*steps) as folder:
                file = folder.file(name)
        except FileNotFoundError:
            return None
        try:
            if file.size > LIMIT_VALUE:
                raise StoreFailure(f"{os.fsdecode(file.path)} is too long for an attribute")
            return file.read(0, LIMIT_VALUE).partition(b"\0")[0]
        finally:
            file.close()

    def close(self) -> None:
        """See Attributes.close; there is nothing that outlives a lookup."""

    def _place(self, key: bytes) -> tuple[bytes, tuple[bytes, ...], bytes]:
        """The folder that the settings name, the way down from there, and the file at its end."""
        if key.startswith(PRIVATE):
            path = self._user + b"/" + key.removeprefix(PRIVATE)
        else:
            path = key.removeprefix(SHARED)
        root, _, start = self._prefix.rpartition(b"/")
        *steps, name = (start + path).split(b"/")
        if any(step in (b"", b".", b"..") for step in (*steps, name)):
            raise Unsupported(f"{os.fsdecode(key)} is written otherwise as a path")
        return root or b"/", tuple(steps), name
