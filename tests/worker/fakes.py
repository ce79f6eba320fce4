"""What a client's session needs around it: a target user with one mailbox, and URLs that fit."""

from __future__ import annotations

import binascii
from collections.abc import AsyncIterator, Callable, Iterable

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.store.store import Ahead, Delivery
from dovecot_urlauth.url.token import mint
from dovecot_urlauth.wire.control import Access
from dovecot_urlauth.worker.client import Client
from dovecot_urlauth.worker.target import OpenedTarget
from tests.transcript import Transcript

KEY = bytes(range(64))
SETTINGS = Settings({"imap_urlauth_host": "h"})
BOB = Access(b"bob", b"imap")


def signed(mailbox: bytes = b"INBOX", section: str = "") -> bytes:
    rump = b"imap://alice@h/%s/;UID=1%s;URLAUTH=user+bob" % (mailbox, section.encode())
    return rump + b":internal:" + binascii.hexlify(mint(KEY, rump))


class Mailbox:
    """One message, whose chunks a test makes."""

    def __init__(self, size: int, chunks: Callable[[], Iterable[bytes]]) -> None:
        self._size = size
        self._chunks = chunks

    async def key(self) -> bytes | None:
        return KEY

    async def fetch(self, uid: int, request: object) -> Delivery:
        return Delivery(size=self._size, has_nuls=False, structure=None, chunks=self._delivered())

    async def _delivered(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks():
            yield chunk

    def close(self) -> None:
        """Nothing is open."""


class Store:
    """Has one mailbox under every name; ``closed`` counts sessions that have ended."""

    def __init__(self, mailbox: Mailbox | Exception) -> None:
        self._mailbox = mailbox
        self.closed = 0

    async def open(self, name: bytes, uidvalidity: int, ahead: Ahead | None = None) -> Mailbox:
        if isinstance(self._mailbox, Exception):
            raise self._mailbox
        return self._mailbox

    def share(self) -> Store:
        return self

    def close(self) -> None:
        self.closed += 1


def target(size: int = 3, chunks: Callable[[], Iterable[bytes]] = lambda: [b"ab", b"c"]) -> OpenedTarget:
    return OpenedTarget(b"alice", SETTINGS, Store(Mailbox(size, chunks)), b"alice")


def client(transcript: Transcript, name: str = "client", control: str = "control") -> Client:
    """A client whose two connections are the transcript's."""
    connections = transcript.connection(name), transcript.connection(control)
    return Client(connections[0], BOB, connections[1])  # type: ignore[arg-type]
