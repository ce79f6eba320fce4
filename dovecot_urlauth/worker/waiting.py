"""Waiting: one poll(2) over everything that may happen to a process that serves clients.

A conversation is a generator: where it would block, it yields what it waits for, and goes on when that is there.
So a session is written as plain code from top to bottom, whether its process serves one client or twenty.
"""

from __future__ import annotations

import select
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import TypeVar

    Result = TypeVar("Result")
    Wait = tuple[int, int, float]
    """fd, events of poll(2), seconds; what is sent back is whether the fd got ready in that time."""
    Conversation = Generator[Wait, bool, Result]

READABLE = select.POLLIN | select.POLLHUP | select.POLLERR
WRITABLE = select.POLLOUT
DIE_WITH_MASTER = 30.0
"""Seconds that clients get after master's death (master-service.c)."""


class ConnectionOver(Exception):
    """Nobody is left to talk to; ``text`` is a line for the log, empty when the end was an ordinary one."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.text = text


class Talk:
    """A conversation that has begun, and what it waits for."""

    __slots__ = ("conversation", "events", "fd", "until")

    def __init__(self, conversation: Conversation[None]) -> None:
        self.conversation = conversation
        self.fd = -1
        self.events = 0
        self.until = 0.0


class Watch:
    """What is waited for: the fds of conversations, and alarms on others (signals, master's death)."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._alarms: dict[int, Callable[[], None]] = {}
        self._talks: dict[int, Talk] = {}
        """By the fd that each waits for."""
        self._deadline: float | None = None

    def add(self, fd: int, handler: Callable[[], None], events: int = select.POLLIN) -> None:
        """Call ``handler()`` when ``fd`` is ready; it may raise ConnectionOver to end everything."""
        self._poll.register(fd, events)
        self._alarms[fd] = handler

    def remove(self, fd: int) -> None:
        """No more alarm on ``fd``, if there is one; needed before it is closed."""
        if self._alarms.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def end_within(self, seconds: float) -> None:
        """From now on no wait lasts beyond ``seconds``."""
        self._deadline = monotonic() + seconds

    def wait(self, fd: int, events: int, seconds: float) -> bool:
        """Wait until ``fd`` has one of ``events``; False when the time is up. Raises ConnectionOver."""
        until = monotonic() + seconds
        self._poll.register(fd, events)
        try:
            while True:
                if fd in self._ready(until):
                    return True
                if monotonic() >= until:
                    return False
                self._check_deadline()
        finally:
            self._poll.unregister(fd)

    def converse(self, conversation: Conversation[Result]) -> Result:
        """Lead one conversation to its end, and no other meanwhile."""
        try:
            wait = next(conversation)
            while True:
                wait = conversation.send(self.wait(*wait))
        except StopIteration as end:
            result: Result = end.value
            return result

    def begin(self, conversation: Conversation[None]) -> Talk:
        """Lead a conversation to its first wait; :meth:`run` does the rest."""
        talk = Talk(conversation)
        self._go_on(talk, lambda: next(conversation))
        return talk

    def interrupt(self, talk: Talk, error: Exception) -> None:
        """Let ``error`` come up where the conversation waits."""
        self._go_on(talk, lambda: talk.conversation.throw(error))

    def run(self, stays: Callable[[], bool] = lambda: False) -> None:
        """Lead all conversations, and those that alarms begin, until none is left and ``stays()`` is false."""
        while self._talks or stays():
            until = min((talk.until for talk in self._talks.values()), default=None)
            for fd in self._ready(until):
                talk = self._talks.get(fd)
                if talk is not None:
                    self._resume(talk, True)
            now = monotonic()
            for talk in [talk for talk in self._talks.values() if talk.until <= now]:
                self._resume(talk, False)
            if self._deadline is not None and now >= self._deadline:
                for talk in list(self._talks.values()):
                    self.interrupt(talk, ConnectionOver())
                return

    def _ready(self, until: float | None) -> list[int]:
        """Wait for anything, until then at most; alarms are handled, the other fds that are ready returned."""
        if self._deadline is not None:
            until = self._deadline if until is None else min(until, self._deadline)
        patience = None if until is None else max(0, int((until - monotonic()) * 1000) + 1)
        fds = []
        for fd, _ in self._poll.poll(patience):
            alarm = self._alarms.get(fd)
            if alarm is None:
                fds.append(fd)
            else:
                alarm()
        return fds

    def _check_deadline(self) -> None:
        if self._deadline is not None and monotonic() >= self._deadline:
            raise ConnectionOver

    def _resume(self, talk: Talk, ready: bool) -> None:
        self._go_on(talk, lambda: talk.conversation.send(ready))

    def _go_on(self, talk: Talk, step: Callable[[], Wait]) -> None:
        try:
            fd, events, seconds = step()
        except BaseException as end:
            self._stop_waiting(talk)
            if isinstance(end, StopIteration):
                return
            raise
        if (fd, events) != (talk.fd, talk.events):
            self._stop_waiting(talk)
            self._poll.register(fd, events)
            self._talks[fd] = talk
            talk.fd, talk.events = fd, events
        talk.until = monotonic() + seconds

    def _stop_waiting(self, talk: Talk) -> None:
        if talk.fd >= 0:
            del self._talks[talk.fd]
            self._poll.unregister(talk.fd)
            talk.fd = -1
