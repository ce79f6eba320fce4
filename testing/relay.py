"""The mail server behind Dovecot's submission: takes every message and keeps it for the test to read."""

from __future__ import annotations

import socketserver
import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Delivery:
    """One message as the relay got it, dots unstuffed."""

    sender: bytes
    recipients: tuple[bytes, ...]
    message: bytes


class _Session(socketserver.StreamRequestHandler):
    """Enough of RFC 5321 and of CHUNKING (RFC 3030) for Dovecot's SMTP client."""

    server: RelaySink

    def handle(self) -> None:
        self._sender = b""
        self._recipients: list[bytes] = []
        self._chunks = b""
        self._say(b"220 sink ESMTP")
        while line := self.rfile.readline():
            word, _, rest = line.strip().partition(b" ")
            if word.upper() == b"QUIT":
                self._say(b"221 bye")
                return
            self._command(word.upper(), rest)

    def _command(self, word: bytes, rest: bytes) -> None:
        if word in (b"EHLO", b"HELO"):
            self._say(b"250-sink", b"250-8BITMIME", b"250-CHUNKING", b"250-PIPELINING", b"250 SIZE 0")
        elif word == b"MAIL":
            self._sender, self._recipients, self._chunks = rest, [], b""
            self._say(b"250 ok")
        elif word == b"RCPT":
            self._recipients.append(rest)
            self._say(b"250 ok")
        elif word == b"DATA":
            self._say(b"354 go on")
            self._keep(self._dotted())
        elif word == b"BDAT":
            size, _, last = rest.partition(b" ")
            self._chunks += self.rfile.read(int(size))
            if last.upper() == b"LAST":
                self._keep(self._chunks)
            else:
                self._say(b"250 ok")
        else:
            self._say(b"250 ok")

    def _dotted(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    def _keep(self, message: bytes) -> None:
        self.server.deliveries.append(Delivery(self._sender, tuple(self._recipients), message))
        self._say(b"250 taken")

    def _say(self, *lines: bytes) -> None:
        self.wfile.write(b"".join(line + b"\r\n" for line in lines))


class RelaySink(socketserver.ThreadingTCPServer):
    """A relay on a free port of loopback, served from a thread until `close`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.port = self.server_address[1]
        self.deliveries: list[Delivery] = []
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()
