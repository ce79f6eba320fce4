"""An IMAP client that reads as fast as it can and keeps nothing: the time is the server's."""

from __future__ import annotations

import time

from testing.imapclient import ConnectionLost, ImapClient, quote

RECEIVE_SIZE = 1 << 20
TAIL_SIZE = 512
"""More than a tagged line is long."""


class FetchFailed(Exception):
    """The answer was not the mail that the URL names; the text is its end."""


class FetchClient(ImapClient):
    """A session that times single commands."""

    def __init__(self, port: int, timeout: float) -> None:
        super().__init__(port, timeout)
        self._discarded = memoryview(bytearray(RECEIVE_SIZE))

    def timed(self, command: bytes, at_least: int) -> float:
        """Seconds from sending `command` to the end of its tagged answer; the answer has `at_least` bytes.

        Raises FetchFailed.
        """
        started = time.perf_counter()
        self.discard(self.send(command), at_least)
        return time.perf_counter() - started

    def discard(self, tag: bytes, at_least: int) -> None:
        """Read up to the end of the tagged answer.  Raises FetchFailed."""
        total = 0
        tail = b""
        line_start = b"\r\n" + tag + b" "
        while not (tail.endswith(b"\r\n") and line_start in tail):
            received = self._socket.recv_into(self._discarded)
            if not received:
                raise ConnectionLost("the server closed the connection")
            total += received
            tail = (tail + bytes(self._discarded[max(0, received - TAIL_SIZE) : received]))[-TAIL_SIZE:]
        if total < at_least or not tail.rpartition(line_start)[2].startswith(b"OK"):
            raise FetchFailed(f"{total} bytes, of at least {at_least}: ...{tail[-200:]!r}")


def plain(url: bytes) -> bytes:
    """RFC 4467's URLFETCH of a whole URL."""
    return b"URLFETCH " + quote(url)


def extended(url: bytes, item: bytes) -> bytes:
    """RFC 5524's URLFETCH of one item."""
    return b"URLFETCH (%s %s)" % (quote(url), item)
