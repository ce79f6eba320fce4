"""Whether the target user may read a mailbox: asked anew for each URL.

Matches acl-backend-vfile.c, and 2.4's acl_backend_get_mailbox_acl for entries in the settings.  The key is an
attribute, for which the plugin wants ``lookup`` on top of ``read`` (acl-attributes.c).  Stock remembers for half a
minute what it has read; here nothing is remembered.  A mailbox's file, or one in the directory of global files,
takes all rights if it may not be read; the one global file is then a failure.  A file that has garbage in it is a
failure, and whatever else is odd is Unsupported.
"""

from __future__ import annotations

import os
import stat

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.errors import AccessDenied, MailboxMissing, StoreFailure, Unsupported
from dovecot_urlauth.store.native.acl.entries import (
    AclSyntaxError,
    Entry,
    Kind,
    matches,
    parse_file,
    parse_global_file,
    parse_identifier,
    parse_rights,
)
from dovecot_urlauth.store.native.acl.rights import NOTHING, rights_of_other, rights_of_owner
from dovecot_urlauth.store.native.files import Directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from dovecot_urlauth.config.acl_settings import AclSettings
    from dovecot_urlauth.store.native.file_source import FileSource
    from dovecot_urlauth.store.native.layout import Place

    Result = TypeVar("Result")

ACL_FILE = b"dovecot-acl"
FOLDERS_FILE = b".DEFAULT"
"""What counts for a mailbox that is a folder in the directory of global ACL files."""
NEEDED = frozenset((b"lookup", b"read"))
LIMIT_SIZE = 1024 * 1024
"""Bytes of a file that are read."""
NO_ACCESS = (Entry(Kind.ANYONE, b"", frozenset(), None), Entry(Kind.OWNER, b"", frozenset(), None))
"""What a file that may not be read stands for."""


@frozen
class Governed:
    """What access rights are about."""

    name: bytes
    """The mailbox's full name, or a namespace's own."""
    place: Place | None
    """Where its file is; None for a namespace that has no directory of its own."""
    is_root: bool = False
    """It is a namespace."""


class MailboxAcl:
    """The access rights of the target user."""

    def __init__(self, settings: AclSettings) -> None:
        self._settings = settings

    def check_own(self, mailbox: Governed) -> None:
        """Raise MailboxMissing unless the target user may read a mailbox of his own.

        Raises StoreFailure or Unsupported where that cannot be found out.
        """
        settings = self._settings
        _check(rights_of_owner(self._entries(mailbox), settings.user, settings.groups))

    def check_others(self, mailbox: Governed, default: Governed) -> None:
        """The same for a mailbox of others; ``default`` counts if nothing of its own is about the target user."""
        settings = self._settings
        rights = rights_of_other(self._entries(mailbox), settings.user, settings.groups)
        if rights is None:
            rights = rights_of_other(self._entries(default), settings.user, settings.groups)
        _check(NOTHING if rights is None else rights)

    @property
    def takes_defaults_from_inbox(self) -> bool:
        """Whether an INBOX is the default for its namespace."""
        return self._settings.takes_defaults_from_inbox

    def _entries(self, mailbox: Governed) -> list[Entry]:
        entries = self._global_entries(mailbox)
        entries += [_configured(*entry) for entry in self._settings.configured]
        if self._settings.has_local_files and mailbox.place is not None:
            entries += _local_entries(mailbox.place)
        return entries

    def _global_entries(self, mailbox: Governed) -> list[Entry]:
        path = self._settings.global_path
        if not path:
            return []
        try:
            is_folder = stat.S_ISDIR(os.stat(path).st_mode)
        except FileNotFoundError:
            if self._settings.takes_global_folder:
                return []  # a folder without files
            raise Unsupported(f"{os.fsdecode(path)} is missing") from None
        except OSError as error:
            raise Unsupported(f"stat({os.fsdecode(path)}) failed: {error.strerror}") from None
        if not is_folder:
            return _in_global_file(path, mailbox.name)
        if not self._settings.takes_global_folder:
            raise Unsupported(f"{os.fsdecode(path)} is a directory of global ACL files")
        return _in_global_folder(path, b"" if mailbox.is_root else mailbox.name)


def _check(rights: frozenset[bytes]) -> None:
    if not rights >= NEEDED:
        raise MailboxMissing("acl gives no right to read it")


def _configured(identifier: bytes, rights: bytes) -> Entry:
    try:
        kind, name = parse_identifier(identifier)
        found = parse_rights(rights.removeprefix(b"-"))
    except AclSyntaxError as error:
        raise Unsupported(f"acl {os.fsdecode(identifier)}: {error.text}") from None
    return Entry(kind, name, None, found) if rights.startswith(b"-") else Entry(kind, name, found, None)


def _local_entries(place: Place) -> list[Entry]:
    try:
        with Directory.root(place.root) as root, root.directory(*place.steps) as mailbox:
            return _entries_of(lambda: mailbox.file(ACL_FILE), parse_file, list(NO_ACCESS))
    except FileNotFoundError:
        return []


def _in_global_file(path: bytes, mailbox: bytes) -> list[Entry]:
    folder, _, name = path.rpartition(b"/")
    with Directory.root(folder or b"/") as directory:
        lines = _entries_of(lambda: directory.file(name), parse_global_file, None)
    return [entry for pattern, entry in lines if matches(mailbox, pattern)]


def _in_global_folder(path: bytes, mailbox: bytes) -> list[Entry]:
    *steps, name = mailbox.split(b"/") if mailbox else (FOLDERS_FILE,)
    if any(step in (b"", b".", b"..") for step in (*steps, name)):
        raise Unsupported("the mailbox's name is no path in the directory of global ACL files")
    try:
        with Directory.root(path) as root, root.directory(*steps) as folder:
            status = folder.status(name)
            if status is None:
                return []
            if not stat.S_ISDIR(status.st_mode):
                return _entries_of(lambda: folder.file(name), _parse_for_all, list(NO_ACCESS))
            with folder.directory(name) as below:
                return _entries_of(lambda: below.file(FOLDERS_FILE), _parse_for_all, list(NO_ACCESS))
    except FileNotFoundError:
        return []


def _parse_for_all(data: bytes) -> list[Entry]:
    return parse_file(data, is_global=True)


def _entries_of(
    opened: Callable[[], FileSource], parse: Callable[[bytes], list[Result]], refused: list[Result] | None
) -> list[Result]:
    """What is in a file; ``refused`` if it may not be read, where that has a meaning.

    Raises FileNotFoundError, StoreFailure or Unsupported.
    """
    try:
        file = opened()
    except AccessDenied:
        if refused is None:
            raise
        return refused
    with file:
        if file.size > LIMIT_SIZE:
            raise Unsupported(f"{os.fsdecode(file.path)} is very long")
        data = file.read(0, file.size)
        if b"\0" in data:
            raise Unsupported(f"{os.fsdecode(file.path)} has a NUL")
        try:
            return parse(data)
        except AclSyntaxError as error:
            raise StoreFailure(f"ACL file {os.fsdecode(file.path)} {error.text}") from None
