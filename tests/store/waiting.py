"""A store's coroutines in tests that have nothing else to do meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import Any, Protocol, TypeVar

from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.store.store import Delivery, Mailbox

Result = TypeVar("Result")
LOOP = Loop()


class Opens(Protocol):
    """What has mailboxes: a Store, or a native one, which no session has to itself."""

    async def open(self, mailbox: bytes, uidvalidity: int) -> Mailbox: ...


def wait(work: Coroutine[Any, Any, Result]) -> Result:
    """What ``work`` comes to."""
    return LOOP.run(work)


async def first_chunk(chunks: AsyncIterator[bytes]) -> bytes:
    """The first chunk."""
    return await anext(chunks)


async def gather(chunks: AsyncIterator[bytes]) -> list[bytes]:
    """All chunks."""
    return [chunk async for chunk in chunks]


async def whole(delivery: Delivery) -> bytes:
    """All bytes, as many as were announced."""
    data = b"".join(await gather(delivery.chunks))
    assert len(data) == delivery.size
    return data


def open_mailbox(store: Opens, name: bytes, uidvalidity: int = 0) -> Mailbox:
    """The mailbox."""
    return wait(store.open(name, uidvalidity))


def key_of(store: Opens, name: bytes = b"INBOX") -> bytes | None:
    """A mailbox's key."""
    return wait(open_mailbox(store, name).key())
