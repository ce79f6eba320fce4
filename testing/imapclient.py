"""A small IMAP client that gives back the bytes as they came.

It knows just what the tests ask for: login, SASL ANONYMOUS (RFC 4505), APPEND, URLAUTH (RFC 4467) with
the extended URLFETCH of RFC 5524, and pipelining. Responses are parsed into nested lists of bytes and
None, so that a test compares content and not spelling; `literal8` remembers which strings came as `~{n}`.
"""

from __future__ import annotations

import base64
import re
import socket
import time
from dataclasses import dataclass, field
from typing import Any, Self


class ConnectionLost(Exception):
    """The server closed the connection; the text is what it said last."""


class Literal8(bytes):
    """A string that came as `~{n}`, which may hold NULs (RFC 3516)."""


@dataclass
class Reply:
    """The tagged answer of one command and the untagged ones before it."""

    status: bytes
    text: bytes
    untagged: list[list[Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        return self.status == b"OK"

    def all(self, name: bytes) -> list[list[Any]]:
        """The arguments of each untagged `name` response."""
        return [line[1:] for line in self.untagged if line and line[0] == name]


class ImapClient:
    """One connection, usable as a context manager."""

    def __init__(self, port: int, timeout: float = 15.0) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._buffer = b""
        self._tags = 0
        try:
            self.greeting = self._line()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave without a word; the server sees the end of the connection."""
        self._socket.close()

    def set_timeout(self, seconds: float) -> None:
        self._socket.settimeout(seconds)

    # -- commands

    def command(self, line: bytes, *literals: bytes) -> Reply:
        """Send one command; each `{}` in it stands for the next of `literals` (sent non-synchronising)."""
        return self.reply(self.send(line, *literals))

    def send(self, line: bytes, *literals: bytes) -> bytes:
        """Send one command without waiting for its answer; its tag."""
        self._tags += 1
        tag = b"t%d" % self._tags
        pieces = line.split(b"{}")
        assert len(pieces) == len(literals) + 1, line
        sent = tag + b" " + pieces[0]
        for literal, piece in zip(literals, pieces[1:]):
            sent += b"~" * (b"\0" in literal) + b"{%d+}\r\n" % len(literal) + literal + piece
        self._socket.sendall(sent + b"\r\n")
        return tag

    def reply(self, tag: bytes) -> Reply:
        """The answer of the command sent with `tag`; answers come in the order of the commands."""
        started = time.monotonic()
        untagged = []
        while True:
            words = self.response()
            if words[0] == b"*":
                untagged.append(words[1:])
            elif words[0] == tag:
                return Reply(words[1], words[2], untagged, time.monotonic() - started)
            else:
                raise AssertionError(f"neither untagged nor {tag!r}: {words!r}")

    def replies(self, tags: list[bytes]) -> list[Reply]:
        """The answers of several commands in the order in which they come."""
        waiting = set(tags)
        found = [Reply(b"", b"")]
        while waiting:
            words = self.response()
            if words[0] == b"*":
                found[-1].untagged.append(words[1:])
            else:
                waiting.remove(words[0])
                found[-1].status, found[-1].text = words[1], words[2]
                found.append(Reply(b"", b""))
        return found[:-1]

    def login(self, user: str, password: str = "secret") -> ImapClient:
        reply = self.command(f"LOGIN {user} {password}".encode())
        assert reply.ok, reply
        return self

    def authenticate_anonymous(self) -> ImapClient:
        trace = base64.b64encode(b"somebody").decode()
        reply = self.command(f"AUTHENTICATE ANONYMOUS {trace}".encode())
        assert reply.ok, reply
        return self

    def capabilities(self) -> set[bytes]:
        return set(self.command(b"CAPABILITY").all(b"CAPABILITY")[0])

    def append(self, mailbox: str, message: bytes) -> tuple[int, int]:
        """Store a message; its UIDVALIDITY and UID."""
        reply = self.command(b'APPEND "%s" {}' % mailbox.encode(), message)
        assert reply.ok, reply
        found = re.search(rb"APPENDUID (\d+) (\d+)", reply.text)
        assert found, reply
        return int(found[1]), int(found[2])

    def genurlauth(self, *rumps: str) -> list[bytes]:
        """Sign each rump URL; the full URLs."""
        words = " ".join(f'"{rump}" INTERNAL' for rump in rumps)
        reply = self.command(b"GENURLAUTH " + words.encode())
        assert reply.ok, reply
        return reply.all(b"GENURLAUTH")[0]

    def resetkey(self, mailbox: str = "") -> Reply:
        return self.command(f'RESETKEY "{mailbox}"'.encode() if mailbox else b"RESETKEY")

    def urlfetch(self, *urls: bytes) -> Reply:
        """The plain URLFETCH of RFC 4467."""
        return self.command(b"URLFETCH " + b" ".join(quote(url) for url in urls))

    def fetch_url(self, url: bytes) -> bytes | None:
        """URLFETCH of one URL: its content, None for NIL."""
        reply = self.urlfetch(url)
        assert reply.ok, reply
        [(name, content)] = reply.all(b"URLFETCH")
        assert name == url
        assert content is None or isinstance(content, bytes)
        return content

    def fetch_items(self, url: bytes, *items: str) -> dict[bytes, object] | None:
        """The extended URLFETCH of RFC 5524: item -> content, None if the URL as a whole is NIL."""
        reply = self.command(b"URLFETCH (%s %s)" % (quote(url), " ".join(items).encode()))
        assert reply.ok, reply
        [(name, *answers)] = reply.all(b"URLFETCH")
        assert name == url
        if answers == [None]:
            return None
        # one parenthesis for each item, or (2.3) one for all of them
        return {name: content for answer in answers for name, content in zip(answer[::2], answer[1::2])}

    # -- bytes

    def response(self) -> list[Any]:
        """The next response as words: bytes, None for NIL, lists for parentheses; texts stay whole."""
        line = self._line()
        words = line.split(b" ", 2)
        status = 1 if words[0] != b"+" else 0
        if len(words) > status and words[status].upper() in (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH", b"+"):
            return [*words[: status + 1], b" ".join(words[status + 1 :])]
        return self._parse(line)

    def _parse(self, line: bytes) -> list[Any]:
        top: list[Any] = []
        stack = [top]
        position = 0
        while position < len(line):
            rest = line[position:]
            if rest[:1] == b" ":
                position += 1
            elif rest[:1] == b"(":
                stack[-1].append([])
                stack.append(stack[-1][-1])
                position += 1
            elif rest[:1] == b")":
                stack.pop()
                position += 1
            elif found := re.match(rb"(~?)\{(\d+)\}$", rest):
                content = self._exactly(int(found[2]))
                stack[-1].append(Literal8(content) if found[1] else content)
                line, position = self._line(), 0
            elif found := re.match(rb'"((?:[^"\\]|\\.)*)"', rest):
                stack[-1].append(re.sub(rb"\\(.)", rb"\1", found[1]))
                position += found.end()
            else:
                atom = re.match(rb"[^ ()]+", rest)
                assert atom, rest
                stack[-1].append(None if atom[0].upper() == b"NIL" else atom[0])
                position += atom.end()
        return top

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._more()
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line

    def _exactly(self, size: int) -> bytes:
        pieces = [self._buffer[:size]]
        self._buffer = self._buffer[size:]
        missing = size - len(pieces[0])
        while missing:
            piece = self._socket.recv(min(missing, 1 << 20))
            if not piece:
                raise ConnectionLost(f"{missing} bytes of a literal of {size} are missing")
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _more(self) -> None:
        piece = self._socket.recv(65536)
        if not piece:
            raise ConnectionLost(repr(self._buffer))
        self._buffer += piece


def quote(text: bytes) -> bytes:
    """An IMAP quoted string."""
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
