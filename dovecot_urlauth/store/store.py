"""What the worker asks of a store.

Two classes fulfil it: the native store (native/mailbox.py) and the dovecot engine.  The worker opens one store for
each target user, shares it among the sessions, and in a session opens one mailbox for each URL and reads one
message part at a time.  Whatever may have to wait for somebody else is awaited.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Protocol

    from dovecot_urlauth.message.fetch import Request
else:
    Protocol = object


@frozen
class Delivery:
    """A part of a message: ``chunks`` yields exactly ``size`` bytes, or raises a message error or StoreFailure."""

    size: int
    has_nuls: bool
    """The bytes may hold NULs, for which IMAP needs a ``literal8``."""
    structure: bytes | None
    """The BODYPARTSTRUCTURE without its parentheses, if asked for."""
    chunks: AsyncIterator[bytes]
    whole: bytes | None = None
    """All of it, where it is short and in memory already: then nobody need ask for the chunks."""


@frozen
class Ahead:
    """What will be asked of a mailbox if its key has signed the URL: a store may begin with it before it knows."""

    uid: int
    request: Request
    is_signed_with: Callable[[bytes], bool]
    """Whether a key is the one; nothing may be begun with on a key that is not."""


async def nothing() -> AsyncIterator[bytes]:
    """The chunks of an empty part."""
    chunks: tuple[bytes, ...] = ()
    for chunk in chunks:
        yield chunk


class Mailbox(Protocol):
    """One open mailbox; at most one message of it is read at a time."""

    async def key(self) -> bytes | None:
        """The 64 bytes that URLs of this mailbox are signed with; None when it has none.

        Raises StoreFailure when the stored key is no key or the dictionary cannot be read.
        """

    async def fetch(self, uid: int, request: Request) -> Delivery:
        """A part of the message ``uid``, readable until the next call or :meth:`close`.

        Raises message errors for the part, ReadFailed for the message, MailboxMissing when the mailbox has
        another UIDVALIDITY, and StoreFailure for the store.
        """

    def close(self) -> None:
        """Let go of every file; content that was not read yet is lost."""


class Store(Protocol):
    """The target user's mail."""

    async def open(self, mailbox: bytes, uidvalidity: int, ahead: Ahead | None = None) -> Mailbox:
        """Open ``mailbox``, a UTF-8 name as the URL has it; ``uidvalidity`` 0 matches every mailbox.

        ``ahead`` is what is probably asked next.

        Raises MailboxRefused, MailboxMissing (also for another UIDVALIDITY, if not at :meth:`Mailbox.fetch`) or
        StoreFailure.
        """

    def share(self) -> Store:
        """A store of the same mail for one more session; each session closes its own."""

    def close(self) -> None:
        """End the user's session with the store."""
