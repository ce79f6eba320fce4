"""The mail that was read last, kept as long as its file is the same: who asks for a structure asks for parts next.

Whether it is the same is asked of the kernel each time, and only of a short mail there is something to keep.  A
mail in the second storage, or with parts that are elsewhere, is read anew.
"""

from __future__ import annotations

from dovecot_urlauth.message.source import BytesSource
from dovecot_urlauth.store.native.file_source import settled_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.store.native.driver import Located
    from dovecot_urlauth.store.native.file_source import FileSource
    from dovecot_urlauth.store.native.files import Directory


class LastMail:
    """One mail of one mailbox, or none."""

    __slots__ = ("_located", "_name", "_version", "_which")

    def __init__(self) -> None:
        self._name = b""
        """The file's."""
        self._which: object = None
        self._version: object = None
        self._located: Located | None = None

    def again(self, directory: Directory, which: object) -> Located | None:
        """The mail that was kept as ``which``, if its file in ``directory`` is the same.  Raises StoreFailure."""
        if self._located is None or self._which != which:
            return None
        status = directory.status(self._name)
        if status is not None and settled_version(status) == self._version:
            return self._located
        self._located = None
        return None

    def keep(self, which: object, located: Located, file: FileSource, name: bytes) -> Located:
        """``located`` itself, which was read from ``file``, whose name is ``name``.

        ``which`` must change with all that says, beside the file itself, where the mail is.
        """
        if type(located.source) is BytesSource and located.complete is None:
            self._name = name
            self._which = which
            self._version = settled_version(file.status)
            self._located = located
        return located
