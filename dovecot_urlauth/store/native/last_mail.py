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

    __slots__ = ("_located", "_place", "_version")

    def __init__(self) -> None:
        self._place: tuple[bytes, object] = (b"", None)
        """The file's name, and what stands for the mail's place in it."""
        self._version: object = None
        self._located: Located | None = None

    def again(self, directory: Directory, name: bytes, where: object = None) -> Located | None:
        """The mail that is ``where`` in the file ``name``, if that one was kept.  Raises StoreFailure."""
        if self._located is None or self._place != (name, where):
            return None
        status = directory.status(name)
        if status is not None and settled_version(status) == self._version:
            return self._located
        self._located = None
        return None

    def keep(self, located: Located, file: FileSource, name: bytes, where: object = None) -> Located:
        """``located`` itself, which was read from ``file``."""
        if type(located.source) is BytesSource and located.complete is None:
            self._place = (name, where)
            self._version = settled_version(file.status)
            self._located = located
        return located
