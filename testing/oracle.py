"""Ask a worker directly, in the place of imap-urlauth: the control protocol of one Dovecot, spoken as root.

The same question can so be put to the stock worker and to ours over the same mail. 2.3 passes the
client's socket before the VERSION line, 2.4 exchanges VERSION first.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from testing.instance import DovecotInstance

VERSION_LINE = b"VERSION\timap-urlauth-worker\t2\t0\n"

#: Socket names below base_dir.  Every instance also has the stock worker, under a name of its own.
WORKER = "imap-urlauth-worker"
STOCK_WORKER = "stock-worker"


class WorkerLost(Exception):
    """The worker closed a connection where an answer was due."""


@dataclass(frozen=True)
class Answer:
    """One URL's answer: the words of its first line without the size, and the bytes that followed."""

    words: tuple[bytes, ...]
    content: bytes = b""

    @property
    def ok(self) -> bool:
        return self.words[0] == b"OK"


class WorkerSession:
    """A worker that serves one target user for one access user."""

    def __init__(self, dovecot: DovecotInstance, name: str = WORKER, timeout: float = 20.0) -> None:
        self._control = dovecot.connect(name)
        self._control.settimeout(timeout)
        self._control_input = self._control.makefile("rb")
        self._client, passed = socket.socketpair()
        # the worker shares this flag, and the stock one relies on it
        passed.setblocking(False)
        self._client.settimeout(timeout)
        self._input = self._client.makefile("rb")
        with passed:
            self._greet(dovecot.version.language, passed)

    def __enter__(self) -> WorkerSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave; the worker sees the end of both connections."""
        self._input.close()
        self._control_input.close()
        self._client.close()
        self._control.close()

    def set_timeout(self, seconds: float) -> None:
        """So long may the next answer of the worker take."""
        self._client.settimeout(seconds)

    def _greet(self, language: str, passed: socket.socket) -> None:
        if language == "2.3":
            socket.send_fds(self._control, [b"0"], [passed.fileno()])
            self._control.sendall(VERSION_LINE)
        else:
            self._control.sendall(VERSION_LINE)
            socket.send_fds(self._control, [b"0"], [passed.fileno()])
            assert self.control_line() == VERSION_LINE
        assert self.control_line() == b"OK\n"

    def access(self, user: bytes, service: bytes = b"imap", *parameters: bytes) -> None:
        """Say who asks; an empty `user` is the anonymous one."""
        self._control.sendall(b"\t".join((b"ACCESS", user, service, *parameters)) + b"\n")
        assert self.control_line() == b"OK\n"

    def control_line(self) -> bytes:
        """The next line of the control connection, empty at its end."""
        return self._control_input.readline()

    def send(self, data: bytes) -> None:
        """Send bytes as the client."""
        try:
            self._client.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            # it has ended; what it said before is still to be read
            pass

    def end(self) -> None:
        """Say as the client that nothing more will come."""
        self._client.shutdown(socket.SHUT_WR)

    def line(self) -> bytes:
        """The next line to the client, empty at the end."""
        try:
            return self._input.readline()
        except ConnectionResetError:
            return b""

    def rest(self) -> bytes:
        """All that still comes to the client until the worker has closed the connection."""
        pieces = []
        try:
            while piece := self._input.read1(1 << 16):
                pieces.append(piece)
        except ConnectionResetError:
            pass
        return b"".join(pieces)

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes to the client; fewer at the end."""
        return self._input.read(size)

    def select(self, user: bytes) -> bytes:
        """USER: the worker's line."""
        self.send(b"USER\t" + user + b"\n")
        return self.line()

    def fetch(self, url: bytes, *flags: bytes) -> Answer:
        """URL: the whole answer.  Raises WorkerLost if the worker ends before it is complete."""
        self.send(b"\t".join((b"URL", url, *flags)) + b"\n")
        return self.answer()

    def answer(self) -> Answer:
        """The next answer to a URL command."""
        line = self.line()
        if not line.endswith(b"\n"):
            raise WorkerLost(f"got {line!r}")
        words = line[:-1].split(b"\t")
        if words[0] != b"OK":
            return Answer(tuple(words))
        size = int(words.pop())
        content = self._input.read(size + 1) if size else b""
        if size and (len(content) != size + 1 or content[-1:] != b"\n"):
            raise WorkerLost(f"{size} bytes announced, got {len(content)}, the last {content[-1:]!r}")
        return Answer(tuple(words), content[:size])


def mailbox_keys(home: Path) -> list[bytes]:
    """The 64-byte URLAUTH keys in the attribute dictionary of a home, in the file's order."""
    lines = (home / "dovecot-attributes").read_bytes().split(b"\n")
    pairs = zip(lines[::2], lines[1::2])
    return [bytes.fromhex(value.decode()) for name, value in pairs if name.endswith(b"/imap-urlauth")]


def sign(rump: bytes, key: bytes) -> bytes:
    """The full URL: what GENURLAUTH of RFC 4467 answers for a mailbox with this key."""
    return rump + b":internal:01" + hmac.new(key, rump, hashlib.sha1).hexdigest().encode()
