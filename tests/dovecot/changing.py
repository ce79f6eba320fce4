"""A mail's file that changes while a slow client reads the mail."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from testing.oracle import WorkerSession
from testing.scene import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testing.scene import Scene

LINE = b"a line of a mail that is larger than all buffers on its way\r\n"
LARGE = MESSAGE + LINE * 100_000
FIRST = 50_000
"""Bytes that the client reads before the file changes."""
KEPT = 2_000_000
"""What is left of a file that is cut: more than was sent by then, and less than the mail."""

SHORT = (
    r"Error: Message is shorter than expected",
    r"Error: Session aborted: Fatal failure while transferring URL",
)
"""What the log has of a file that was cut."""


def cut_while_sent(scene: Scene, file: Path, url: bytes) -> None:
    """Less than was announced comes, all of it right, and then the end: no byte stands in for a missing one."""
    received = _begun(scene, url, lambda: os.truncate(file, KEPT))
    assert FIRST < len(received) < len(LARGE)
    assert LARGE.startswith(received)


def grown_while_sent(scene: Scene, file: Path, url: bytes, good: bytes) -> None:
    """What was announced comes, and not a byte of what was added; the session goes on."""

    def grow() -> None:
        with file.open("ab") as opened:
            opened.write(b"what was never signed\n" * 10_000)

    received = _begun(scene, url, grow, good)
    assert received[: len(LARGE)] == LARGE
    assert received[len(LARGE) :] == b"\nOK\t%d\n%s\n" % (len(MESSAGE), MESSAGE)


def _begun(scene: Scene, url: bytes, change: Callable[[], None], good: bytes | None = None) -> bytes:
    """All that comes behind the announcement, with the file changed in the middle; then ``good`` is asked for."""
    with WorkerSession(scene.dovecot) as session:
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        session.send(b"URL\t%s\tbody\n" % url)
        assert session.line() == b"OK\t%d\n" % len(LARGE)
        first = session.read(FIRST)
        change()
        if good:
            session.send(b"URL\t%s\tbody\n" % good)
            session.end()
        return first + session.rest()
