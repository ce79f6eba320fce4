"""Awaiting one thing while noticing another that would make it pointless: a peer that leaves, for one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from dovecot_urlauth.service.loop import Loop, Result, Task, Work


class _NotWatched(Exception):
    """What was waited for is over."""


async def unless(loop: Loop, trouble: Callable[[], Work[NoReturn]], work: Work[Result]) -> Result:
    """Await ``work``, with ``trouble()`` beside it: what that raises is raised in ``work``, where it awaits."""
    watcher = loop.spawn(_watch(trouble, loop.current), "watcher")
    try:
        return await work
    finally:
        watcher.cancel(_NotWatched())


async def _watch(trouble: Callable[[], Work[NoReturn]], waiting: Task[object]) -> None:
    try:
        await trouble()
    except _NotWatched:
        raise
    except Exception as error:
        waiting.cancel(error)
