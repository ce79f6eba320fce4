"""The ways in which a store can fail to give what a URL asks for.

The worker answers NO in every case; what differs is what the client and the log are told, and whether the
other road to the bytes (Dovecot's own ``imap``) is worth trying.
"""

from __future__ import annotations


class StoreError(Exception):
    """Any failure of a store; ``text`` says why, without a final newline."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.text = text


class MailboxRefused(StoreError):
    """The URL's mailbox can never be opened: a bad name, or no namespace has it.

    ``text`` is for the log: the client is told nothing more than NO, since stock explains it of users that exist.
    """


class MailboxMissing(StoreError):
    """There is no such mailbox, or it has another UIDVALIDITY; the client is told nothing more than NO."""


class StoreFailure(StoreError):
    """The store is broken or unreachable; ``text`` is one error line of the log, the client is told NO."""


class AccessDenied(StoreFailure):
    """The kernel does not let the target user have a file."""


class ReadFailed(StoreError):
    """The mailbox is fine but this message cannot be read (``text`` = ``Message not found``, for one)."""


class Unsupported(StoreError):
    """The native store does not understand this installation; the dovecot engine has to serve the session."""

    @property
    def reason(self) -> str:
        """What was met, in the words of Dovecot's settings; it goes to the debug log."""
        return self.text
