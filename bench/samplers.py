"""How each kind of row takes a sample.

A sampler is a context manager: it is opened on one side, gives a function that takes one sample, and puts the
side back as it was.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import footprint
from bench.client import extended, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.client import FetchClient
    from bench.mail import Mailbox
    from bench.sides import Side

    Sample = Callable[[], float]

SERIES = 20
"""Fetches in one sample of a warm row."""

SERIES_SECONDS = 4.0
"""A series ends early when its fetches take this long together."""


@dataclass(frozen=True)
class Target:
    """A signed URL and what it leads to; a mailbox of several messages has a second one."""

    mailbox: Mailbox
    url: bytes
    another: bytes = b""

    @property
    def size(self) -> int:
        return self.mailbox.size


def fetch_at_once(sessions: list[FetchClient], target: Target) -> None:
    """Let all sessions send a URLFETCH, then read all answers."""
    tags = [session.send(plain(target.url)) for session in sessions]
    for session, tag in zip(sessions, tags, strict=True):
        session.discard(tag, target.size)


@contextmanager
def first_fetch(side: Side, target: Target) -> Iterator[Sample]:
    """Seconds of the first URLFETCH of an IMAP session."""

    def sample() -> float:
        with side.session() as bob:
            seconds = bob.timed(plain(target.url), target.size)
        side.settle()
        return seconds

    yield sample


@contextmanager
def joining_fetch(side: Side, target: Target) -> Iterator[Sample]:
    """Seconds of the first URLFETCH of an IMAP session while another session fetches the same user's mail."""
    with side.session() as other:

        def sample() -> float:
            other.timed(plain(target.url), target.size)
            with side.session() as bob:
                return bob.timed(plain(target.url), target.size)

        yield sample
    side.settle()


@contextmanager
def repeated_fetch(
    side: Side, target: Target, item: bytes = b"", at_least: int | None = None, series: int = SERIES
) -> Iterator[Sample]:
    """Seconds of a URLFETCH in a session that has fetched before."""
    command = extended(target.url, item) if item else plain(target.url)
    expected = target.size if at_least is None else at_least
    with side.session() as bob:

        def sample() -> float:
            return sum(bob.timed(command, expected) for _ in range(series)) / series

        bob.timed(command, expected)
        yield sample
    side.settle()


@contextmanager
def fetch_of_another(side: Side, target: Target) -> Iterator[Sample]:
    """Seconds of a URLFETCH in a session whose last one was of another mail of the mailbox."""
    commands = [plain(target.another), plain(target.url)] * (SERIES // 2)
    with side.session() as bob:

        def sample() -> float:
            return sum(bob.timed(command, target.size) for command in commands) / len(commands)

        sample()
        yield sample
    side.settle()


@contextmanager
def alternating_fetch(side: Side, one: Target, other: Target) -> Iterator[Sample]:
    """Seconds of a URLFETCH when the session's last one had another target user; a whole series is a sample.

    Two fetches come before it: on 2.4 stock is quick until its first connection is shut down, and imap makes
    a new one after five seconds of silence.
    """
    with side.session() as bob:

        def sample() -> float:
            for target in (other, one):
                bob.timed(plain(target.url), target.size)
            started = time.perf_counter()
            number = 0
            while number < SERIES and time.perf_counter() - started < SERIES_SECONDS:
                for target in (other, one):
                    bob.timed(plain(target.url), target.size)
                    number += 1
            return (time.perf_counter() - started) / number

        yield sample
    side.settle()


@contextmanager
def sessions_at_once(side: Side, target: Target, number: int) -> Iterator[Sample]:
    """Fetches a second when `number` fresh sessions fetch at the same time."""

    def sample() -> float:
        with ExitStack() as stack:
            sessions = [stack.enter_context(side.session()) for _ in range(number)]
            started = time.perf_counter()
            fetch_at_once(sessions, target)
            seconds = time.perf_counter() - started
        side.settle()
        return number / seconds

    yield sample


@contextmanager
def memory_of_sessions(side: Side, target: Target, number: int) -> Iterator[Sample]:
    """PSS in bytes of everything that serves `number` open sessions."""

    def sample() -> float:
        with ExitStack() as stack:
            sessions = [stack.enter_context(side.session()) for _ in range(number)]
            fetch_at_once(sessions, target)
            # imap lets go of the service after five seconds: this reaches all sessions before that
            fetch_at_once(sessions, target)
            used = footprint.proportional_memory(side.services())
        side.settle()
        return used

    yield sample


@contextmanager
def memory_of_targets(side: Side, targets: Sequence[Target], seconds: float = 0.0) -> Iterator[Sample]:
    """PSS in bytes of everything that serves as many open sessions, each with another user's mail.

    So many ``seconds`` after the last answer.
    """

    def sample() -> float:
        with ExitStack() as stack:
            sessions = [(stack.enter_context(side.session()), target) for target in targets]
            for _ in range(2):  # as above
                tags = [session.send(plain(target.url)) for session, target in sessions]
                for (session, target), tag in zip(sessions, tags, strict=True):
                    session.discard(tag, target.size)
            time.sleep(seconds)
            used = footprint.proportional_memory(side.services())
        side.settle()
        return used

    yield sample


@contextmanager
def peak_memory(side: Side, target: Target) -> Iterator[Sample]:
    """Peak resident size in bytes of the process that sent the target's message."""

    def sample() -> float:
        with side.session() as bob:
            bob.timed(plain(target.url), target.size)
            used = footprint.peak_memory(side.services(), side.dovecot.users[target.mailbox.owner])
        side.settle()
        return used

    yield sample


@contextmanager
def cpu_of_fetches(side: Side, target: Target, number: int) -> Iterator[Sample]:
    """CPU seconds of the services for 1,000 warm fetches, from `number` of them."""
    with side.session() as bob:

        def sample() -> float:
            processes = side.services()
            before = footprint.cpu_seconds(processes)
            for _ in range(number):
                bob.timed(plain(target.url), target.size)
            return (footprint.cpu_seconds(processes) - before) * 1000 / number

        bob.timed(plain(target.url), target.size)
        yield sample
    side.settle()
