"""Awaiting one thing while noticing that a peer has gone: a task beside the one that waits."""

from __future__ import annotations

from dovecot_urlauth.service.connection import ConnectionLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from dovecot_urlauth.service.loop import Loop, Result, Task, Work

    class Hangable(Protocol):
        """What can be watched: a connection."""

        async def hung_up(self) -> None: ...


class PeerGone(Exception):
    """The peer that was watched has gone, while it was not its turn to speak."""


class _NotWatched(Exception):
    """What was waited for is over."""


async def while_there(loop: Loop, peer: Hangable, work: Work[Result]) -> Result:
    """Await ``work``; nobody reads from ``peer`` meanwhile.

    Raises PeerGone (inside ``work``, where it awaits) when the peer goes first, and what ``work`` raises.
    """
    watcher = loop.spawn(_watch(peer, loop.current), "watcher")
    try:
        return await work
    finally:
        watcher.cancel(_NotWatched())


async def _watch(peer: Hangable, waiting: Task[object]) -> None:
    try:
        await peer.hung_up()
    except ConnectionLost:
        pass  # which is one way to be gone
    waiting.cancel(PeerGone())
