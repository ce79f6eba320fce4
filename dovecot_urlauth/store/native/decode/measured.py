"""How large compressed mails are that were gone through: who asks for one part asks for the next, or for a slice.

A compressed mail is read once before anything of it leaves, for its size and for whether it can be read at all.
Of a file that is the same as then both are known.
"""

from __future__ import annotations

from dovecot_urlauth.store.native.file_source import FileSource, settled_version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.source import Source

KEPT = 16
"""Mails of one user."""


class MeasuredMails:
    """Sizes in bytes, by what changes with every write to the file; only of mails that are a file each."""

    __slots__ = ("_sizes",)

    def __init__(self) -> None:
        self._sizes: dict[object, int] = {}

    def size(self, stored: Source) -> int | None:
        """The size of the message in ``stored``; None if it has to be measured."""
        return self._sizes.get(settled_version(stored.status)) if isinstance(stored, FileSource) else None

    def keep(self, stored: Source, size: int) -> None:
        """``stored`` was read to its end, and held so many bytes."""
        if isinstance(stored, FileSource):
            self._sizes[settled_version(stored.status)] = size
            if len(self._sizes) > KEPT:
                del self._sizes[next(iter(self._sizes))]
