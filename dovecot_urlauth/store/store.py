"""What the worker asks of a store.

Two classes fulfil it: the native store (native.py) and the dovecot engine.  The worker opens one store for
each target user, shares it among the sessions, and in a session opens one mailbox for each URL and reads one
message part at a time.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from dovecot_urlauth.message.fetch import Content, Request
else:
    Protocol = object


class Mailbox(Protocol):
    """One open mailbox; at most one message of it is read at a time."""

    def key(self) -> bytes | None:
        """The 64 bytes that URLs of this mailbox are signed with; None when it has none.

        Raises StoreFailure when the stored key is no key or the dictionary cannot be read.
        """

    def fetch(self, uid: int, request: Request) -> Content:
        """A part of the message ``uid``, readable until the next call or :meth:`close`.

        Raises message errors for the part, ReadFailed for the message and StoreFailure for the store.
        """

    def close(self) -> None:
        """Let go of every file; content that was not read yet is lost."""


class Store(Protocol):
    """The target user's mail."""

    def open(self, mailbox: bytes, uidvalidity: int) -> Mailbox:
        """Open ``mailbox``, a UTF-8 name as the URL has it; ``uidvalidity`` 0 matches every mailbox.

        Raises MailboxRefused, MailboxMissing (also for another UIDVALIDITY) or StoreFailure.
        """

    def share(self) -> Store:
        """A store of the same mail for one more session; each session closes its own."""

    def close(self) -> None:
        """End the user's session with the store."""
