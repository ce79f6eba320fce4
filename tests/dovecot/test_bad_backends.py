"""Backends that misbehave, as a script plays them: a NO, one line in the log, nothing is remembered of them."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.url.token import mint
from testing.instance import HOST, USERS
from testing.scene import Scene
from testing.versions import TUNED, Version
from tests.dovecot.backends import Backend, certificate, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.dovecot.conftest import Installations

pytestmark = pytest.mark.in_turns

KEY = bytes(range(64))
RUMP = f"imap://alice@{HOST}/INBOX;UIDVALIDITY=1/;UID=1;URLAUTH=user+bob"
URL = RUMP.encode() + b":internal:" + mint(KEY, RUMP.encode()).hex().encode()
CONTENT = b"Subject: good\r\n\r\nhi\r\n"
GREETING = b"* OK [CAPABILITY IMAP4rev1 SASL-IR STARTTLS] ready\r\n"


class Peer:
    """The backend's end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._lines = connection.makefile("rb")

    def say(self, data: bytes) -> None:
        self.connection.sendall(data)

    def hear(self, word: bytes) -> tuple[bytes, bytes]:
        """The tag of the next command, and what stands in quotes in it; ConnectionError if none comes."""
        line = self._lines.readline()
        if word not in line:
            raise ConnectionError(line)
        return line.split()[0], line.split(b'"')[1] if b'"' in line else b""

    def let_in(self) -> None:
        self.say(GREETING)
        tag, _ = self.hear(b"AUTHENTICATE")
        self.say(tag + b" OK [CAPABILITY IMAP4rev1 METADATA] Logged in\r\n")

    def tell_key(self) -> None:
        tag, _ = self.hear(b"GETMETADATA")
        key = KEY.hex().encode()
        self.say(b'* METADATA INBOX (/private/vendor/vendor.dovecot/imap-urlauth "%s")\r\n' % key)
        self.say(tag + b" OK Done.\r\n")

    def answer_url(self, form: bytes) -> None:
        tag, url = self.hear(b"URLFETCH")
        self.say(b"* URLFETCH %s (BODY %s)\r\n%s OK Done.\r\n" % (url, form, tag))

    def serve(self, form: bytes) -> None:
        self.let_in()
        self.tell_key()
        self.answer_url(form)
        self.connection.recv(1)


def good(peer: Peer) -> None:
    peer.serve(b"{%d}\r\n%s" % (len(CONTENT), CONTENT))


def garbage(peer: Peer) -> None:
    peer.say(bytes(range(256)) * 4 + b"\r\n")


def an_endless_line(peer: Peer) -> None:
    peer.say(b"* OK " + b"x" * 100_000)


def somebody_else(peer: Peer) -> None:
    peer.say(b"* PREAUTH [CAPABILITY IMAP4rev1 METADATA] Logged in as mallory\r\n")


def no_master(peer: Peer) -> None:
    peer.say(GREETING)
    tag, _ = peer.hear(b"AUTHENTICATE")
    peer.say(tag + b" NO [AUTHENTICATIONFAILED] Authentication failed.\r\n")


def no_metadata(peer: Peer) -> None:
    peer.say(GREETING)
    tag, _ = peer.hear(b"AUTHENTICATE")
    peer.say(tag + b" OK [CAPABILITY IMAP4rev1] Logged in\r\n")


def garbage_behind_the_login(peer: Peer) -> None:
    peer.let_in()
    peer.hear(b"GETMETADATA")
    peer.say(b"* METADATA (((\r\n")


def an_end_inside_the_literal(peer: Peer) -> None:
    peer.let_in()
    peer.tell_key()
    _, url = peer.hear(b"URLFETCH")
    peer.say(b"* URLFETCH %s (BODY {%d}\r\n%s" % (url, len(CONTENT), CONTENT[:5]))


def no_literal(peer: Peer) -> None:
    peer.serve(b"atom")


def more_than_the_literal(peer: Peer) -> None:
    peer.serve(b"{5}\r\n" + CONTENT)


def another_name(peer: Peer) -> None:
    """Somebody vouches for its certificate, which is another machine's."""
    peer.say(GREETING)
    tag, _ = peer.hear(b"STARTTLS")
    peer.say(tag + b" OK Begin TLS negotiation now.\r\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Fake.certificate)
    with context.wrap_socket(peer.connection.dup(), server_side=True) as encrypted:
        encrypted.recv(1)


FAULTS = {
    garbage: "Backend's greeting is not usable",
    an_endless_line: "more than 8192 bytes in a line",
    somebody_else: "Backend's greeting is not usable",
    no_master: "Backend refused login",
    no_metadata: "Backend has no METADATA",
    garbage_behind_the_login: "Malformed IMAP response",
    an_end_inside_the_literal: "connection to the backend was lost",
    no_literal: "IMAP response",
    more_than_the_literal: "Unexpected data after content",
}


class Fake(socketserver.ThreadingTCPServer):
    """A backend that behaves as it is told."""

    daemon_threads = True
    behave: Callable[[Peer], None]
    certificate: Path

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Connection)
        self.connections = 0


class Connection(socketserver.BaseRequestHandler):
    server: Fake

    def handle(self) -> None:
        self.server.connections += 1
        self.request.settimeout(20)
        try:
            self.server.behave(Peer(self.request))
        except OSError:
            return  # the other side has had enough


@contextmanager
def asking(
    version: Version, installations: Installations, more: str, extra: str
) -> Iterator[tuple[Fake, Backend]]:
    """A backend that asks the fake one for alice's mail."""
    with Fake() as fake:
        thread = threading.Thread(target=fake.serve_forever, daemon=True)
        thread.start()
        backend = Backend(version, TUNED, installations[version], extra=extra, more=more)
        backend.locals = frozenset(USERS) - {"alice"}
        backend.ports = {"alice": fake.server_address[1]}
        if more:
            Fake.certificate = certificate(backend.folder, "DNS:other.example.test")
            backend.extra = f"ssl_client_ca_file = {backend.inside / 'certificate'}\n"
        with running(backend):
            yield fake, backend
        fake.shutdown()
        thread.join()


def is_refused(fake: Fake, backend: Backend, scene: Scene, fault: Callable[[Peer], None], said: str) -> None:
    fake.behave = fault
    mark = backend.log.mark()
    assert scene.user("bob").fetch_url(URL) is None, fault
    backend.log.wait_for(said, mark)
    lines = [line for line in backend.log.since(mark) if "Error" in line or "Warning" in line]
    assert len(lines) == 1, (fault, lines)
    assert "mastersecret" not in lines[0]


def test_a_backend_that_misbehaves(version: Version, installations: Installations) -> None:
    with asking(version, installations, "", "") as (fake, backend), Scene(backend) as scene:
        for fault, said in FAULTS.items():
            is_refused(fake, backend, scene, fault, said)
            fake.behave = good
            assert scene.user("bob").fetch_url(URL) == CONTENT, f"after {fault}"


def test_a_certificate_for_another_name(version: Version, installations: Installations) -> None:
    with asking(version, installations, "starttls=yes", "") as (fake, backend), Scene(backend) as scene:
        is_refused(fake, backend, scene, another_name, "TLS: IP address mismatch")
