"""The dialer's life: what it says of the mail, the sessions that it makes, and every way in which one fails."""

from __future__ import annotations

import _socket
import os
import resource
import socket
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19
from dovecot_urlauth.service import forking
from dovecot_urlauth.service.connection import Connection, ConnectionLost
from dovecot_urlauth.service.loop import Loop, TimedOut
from dovecot_urlauth.service.tcp import connect_tcp
from dovecot_urlauth.store.engine.imap_process import EngineGone
from dovecot_urlauth.store.engine.remote import RemoteImap
from dovecot_urlauth.store.errors import StoreFailure
from dovecot_urlauth.worker.backend import asking, dialer
from dovecot_urlauth.worker.backend.asking import BackendNotFound, Elsewhere, find_backend
from dovecot_urlauth.worker.backend.dialer import Dialer, tls_context
from dovecot_urlauth.worker.backend.fields import Encryption
from dovecot_urlauth.worker.userdb import LookupFailed

GREETING = b"* OK [CAPABILITY IMAP4rev1 SASL-IR] ready\r\n"
CONFIG: Any = SimpleNamespace(dialect=DOVECOT_2_3_19, userdb_path=b"", backends=Settings({}))


class World:
    """auth, one backend, a dialer, and whoever asks it, on one loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = Loop()
        self.crashes: list[BaseException] = []
        self.loop.on_crash = lambda name, error: self.crashes.append(error)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.fields: dict[bytes, bytes] | None = {
            b"proxy": b"",
            b"host": b"127.0.0.1",
            b"port": b"%d" % self.listener.getsockname()[1],
            b"master": b"m",
            b"pass": b"p",
            b"proxy_timeout": b"5",
        }
        self.dropped: list[object] = []
        self.accepted: list[Connection] = []
        self.links: list[_socket.socket] = []
        self.sessions: list[RemoteImap] = []
        world = self

        class Userdb:
            def __init__(self, *_: object) -> None:
                pass

            async def ask_passdb(self, name: bytes) -> dict[bytes, bytes] | None:
                if name == b"broken":
                    raise LookupFailed("auth is ill")
                return world.fields

            def close(self) -> None:
                pass

        monkeypatch.setattr(dialer, "Userdb", Userdb)
        monkeypatch.setattr(dialer, "drop_privileges", self.dropped.append)
        monkeypatch.setattr(dialer, "forbid_new_privileges", lambda: self.dropped.append("for good"))
        monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: self.dropped.append(kind))
        monkeypatch.setattr(asking, "fork", self._fork)
        monkeypatch.setattr(asking, "_live", lambda link, name, config, log, known: (link, name, known))

    def _fork(self, live: Callable[[], Any], log: object) -> int:
        link, name, known = live()
        copy = _socket.socket(fileno=os.dup(link.fileno()))
        self.loop.spawn(Dialer(self.loop, copy, name, CONFIG, known).run(), "dialer")
        return 1

    async def find(self, name: bytes = b"alice", account: Any = None) -> Elsewhere | None:
        log: Any = SimpleNamespace(debug=lambda text: None)
        found = await find_backend(self.loop, name, ("imap.test", 143), CONFIG, log, account)
        if found is not None:
            self.links.append(found._link)
        return found

    async def backend(self) -> Connection:
        """The backend's end of the next connection."""
        await self.loop.readable(self.listener.fileno(), 5)
        accepted, _ = self.listener.accept()
        self.accepted.append(Connection(self.loop, _socket.socket(fileno=accepted.detach())))
        return self.accepted[-1]

    async def session(self) -> RemoteImap:
        found = await self.find()
        assert found is not None
        return self.start(found)

    def start(self, found: Elsewhere) -> RemoteImap:
        self.sessions.append(found.start(lambda text: None, self.loop))
        return self.sessions[-1]

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run(work)

    def close(self) -> None:
        self.listener.close()
        for session in self.sessions:
            session.kill()
        for connection in self.accepted:
            connection.close()
        for link in self.links:
            link.close()
        self.loop.close()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(monkeypatch)
    yield made
    made.close()


def test_the_mail_is_here(world: World) -> None:
    async def asking() -> None:
        world.fields = {b"user": b"alice"}
        assert await world.find() is None
        world.fields = None
        assert await world.find() is None
        assert not world.dropped

    world.run(asking())


@pytest.mark.parametrize(
    ("name", "fields", "text"),
    [
        (b"broken", {}, "auth is ill"),
        (b"alice", {b"pass": b""}, "no password"),
        (b"alice", {b"ssl": b""}, "the certificates of ssl_client_ca cannot be read"),
    ],
)
def test_nobody_can_tell(
    world: World, monkeypatch: pytest.MonkeyPatch, name: bytes, fields: dict[bytes, bytes], text: str
) -> None:
    async def asking() -> None:
        assert world.fields is not None
        world.fields.update(fields)
        monkeypatch.setattr(CONFIG, "backends", Settings({"ssl_client_ca_file": "/nonexistent"}))
        with pytest.raises(BackendNotFound, match=text):
            await world.find(name)
        assert not world.dropped

    world.run(asking())


def test_a_dialer_that_cannot_be_started(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(11, "Resource temporarily unavailable")

    async def asking_twice() -> None:
        monkeypatch.setattr(asking, "fork", fail)
        with pytest.raises(BackendNotFound, match="fork"):
            await world.find()
        monkeypatch.setattr(asking, "fork", lambda live, log: 1)  # it dies before a word
        with pytest.raises(BackendNotFound, match="the dialer has ended"):
            await world.find()

    world.run(asking_twice())


def imapc(**settings: str) -> Any:
    return SimpleNamespace(
        name=b"alice",
        uid=1,
        gid=1,
        home=None,
        fields={},
        settings=Settings(
            {"mail_location": "imapc:", "imapc_password": "p", "imapc_host": "127.0.0.1", **settings}
        ),
    )


def test_a_user_of_imapc(world: World) -> None:
    async def life() -> None:
        world.fields = None  # and nobody asks
        port = str(world.listener.getsockname()[1])
        found = await world.find(account=imapc(imapc_port=port, imapc_user="al", imapc_ssl="starttls"))
        assert found is not None
        assert found.user == b"al"
        world.start(found)
        backend = await world.backend()
        await backend.write(GREETING)
        assert await backend.read_line(5) == b"a STARTTLS\r\n"

    world.run(life())


def test_settings_of_imapc_that_do_not_do(world: World) -> None:
    async def life() -> None:
        for settings, text in (({"imapc_host": ""}, "imapc_host is not set"), ({"imapc_port": "x"}, "imapc_port")):
            with pytest.raises(BackendNotFound, match=text):
                await world.find(account=imapc(**settings))
        # Dovecot's own imap reads it, though the passdb would say that the mail is elsewhere
        assert await world.find(account=imapc(imapc_list_prefix="x")) is None

    world.run(life())


def test_a_session_and_another_one(world: World) -> None:
    async def life() -> None:
        found = await world.find()
        assert found is not None
        assert (found.user, found.host) == (b"alice", b"imap.test")
        assert world.dropped[:2] == [dialer.NOBODY, "for good"]
        assert set(world.dropped[2:]) == {resource.RLIMIT_CORE, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE}
        for _ in range(2):
            session = world.start(found)
            backend = await world.backend()
            await backend.write(GREETING)
            said = await backend.read_line(5)
            assert said == b"b AUTHENTICATE PLAIN YWxpY2UAbQBw\r\n"
            await backend.write(b"b OK in\r\n* early")
            assert await session.read(5) == b"* PREAUTH Logged in.\r\n* early"
            assert session._pipe._socket.getpeername() == world.listener.getsockname(), "it has the connection"
            await world.loop.turn()
            assert not session.has_spoken()
            session.send(b"u1 NOOP\r\n")
            assert await backend.read(seconds=5) == b"u1 NOOP\r\n"
            await backend.write(b"u1 OK\r\n")
            assert await session.read(5) == b"u1 OK\r\n"
            session.close()
            assert await backend.read(seconds=5) == b"", "the connection ends with the session"
        assert not world.crashes

    world.run(life())


def test_a_backend_that_leaves(world: World) -> None:
    async def life() -> None:
        session = await world.session()
        backend = await world.backend()
        await backend.write(GREETING)
        await backend.read_line(5)
        await backend.write(b"b OK in\r\n")
        await session.read(5)
        backend.close()
        with pytest.raises(EngineGone, match="was lost"):
            await session.read(5)
        assert session.has_spoken()
        session.send(b"u2 NOOP\r\n")  # no error: what was said last may still be read
        session.kill()
        assert session.has_spoken()
        with pytest.raises(EngineGone):
            await session.read(5)

    world.run(life())


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"* PREAUTH as mallory\r\n", b"Backend's greeting is not usable"),
        (GREETING + b"b NO [AUTHENTICATIONFAILED] wrong\r\n", b"Backend refused login"),
        (GREETING, b"Disconnected by backend before the login"),
    ],
)
def test_a_backend_that_does_not_let_us_in(world: World, said: bytes, text: bytes) -> None:
    async def life() -> None:
        session = await world.session()
        backend = await world.backend()
        await backend.write(said)
        backend._socket.shutdown(socket.SHUT_WR)
        answer = await session.read(5)
        assert answer.startswith(b"* BYE backend 127.0.0.1:")
        assert text in answer
        with pytest.raises(EngineGone):
            await session.read(5)
        assert not world.crashes

    world.run(life())


def test_a_backend_that_is_slow_or_down(world: World) -> None:
    async def life() -> None:
        assert world.fields is not None
        world.fields[b"proxy_timeout"] = b"50ms"
        session = await world.session()
        await world.backend()
        assert b"no answer for 0.05 seconds" in await session.read(5)
        world.loop.forget(world.listener.fileno())
        world.listener.close()
        session = await world.session()
        assert b"connect failed: Connection refused" in await session.read(5)

    world.run(life())


def test_a_backend_that_drips_has_no_more_time(world: World) -> None:
    async def life() -> None:
        assert world.fields is not None
        world.fields[b"proxy_timeout"] = b"200ms"
        session = await world.session()
        backend = await world.backend()
        drops = 200
        while drops and not session.has_spoken():
            drops -= 1
            backend.send_now(b"*")
            await world.loop.sleep(0.02)
        assert drops, "each drop got it more time"
        assert b"no answer for 0.2 seconds" in await session.read(5)

    world.run(life())


def test_tls_has_what_is_left_of_the_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    class Tls:
        def __init__(self, connection: Connection, *_: object) -> None:
            self.close = connection.close

        async def handshake(self, seconds: float) -> None:
            given.append(seconds)
            raise TimedOut

    async def life() -> None:
        assert world.fields is not None
        world.fields[b"starttls"] = b"any-cert"
        session = await world.session()
        backend = await world.backend()
        await world.loop.sleep(0.2)
        await backend.write(GREETING)
        assert await backend.read_line(5) == b"a STARTTLS\r\n"
        await backend.write(b"a OK\r\n")
        assert b"no answer for 5 seconds" in await session.read(5)
        assert [seconds < 4.9 for seconds in given] == [True]

    monkeypatch.setattr(dialer, "TlsConnection", Tls)
    world.run(life())


def test_no_answer_is_not_waited_for_without_end(world: World) -> None:
    async def life() -> None:
        session = await world.session()
        with pytest.raises(StoreFailure, match=r"no answer from the backend for 0\.05 seconds"):
            await session.read(0.05)

    world.run(life())


def test_a_dialer_that_is_gone(world: World) -> None:
    async def life() -> None:
        ours, theirs = _socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0)
        theirs.close()
        with pytest.raises(EngineGone, match="the dialer has ended"):
            Elsewhere(ours, b"alice", b"imap.test").start(lambda text: None, world.loop)
        ours.close()

    world.run(life())


def test_a_client_that_leaves_during_the_login(world: World) -> None:
    async def life() -> None:
        found = await world.find()
        assert found is not None
        gone = world.start(found)
        backend = await world.backend()
        gone.close()
        await backend.write(GREETING + b"b OK in\r\n")
        await backend.read_line(5)
        with suppress(ConnectionLost):
            assert await backend.read(seconds=5) == b""
        await world.loop.turn()
        assert not world.crashes

    world.run(life())


@pytest.mark.parametrize(
    ("life", "text", "is_late"),
    [
        (lambda link: link.send(dialer.HERE), None, False),
        (lambda link: link.send(dialer.FAILED + b"auth is ill"), "auth is ill", False),
        (lambda link: link.close(), "the dialer has ended", False),
        (lambda link: time.sleep(60), "the dialer has ended", True),
    ],
    ids=["here", "failed", "dies", "hangs"],
)
def test_no_dialer_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, life: Callable[[_socket.socket], object], text: str | None, is_late: bool
) -> None:
    """A process that serves for long would have a zombie of each."""
    pids: list[int] = []

    def fork(live: Callable[[], int], log: Any) -> int:
        pids.append(forking.fork(live, log))
        return pids[-1]

    def live(link: _socket.socket, *_: object) -> int:
        life(link)
        return 0

    monkeypatch.setattr(asking, "fork", fork)
    monkeypatch.setattr(asking, "_live", live)
    if is_late:
        monkeypatch.setattr(asking, "FIND_TIMEOUT", 0.05)
    loop, log = Loop(), SimpleNamespace(fatal=lambda text: None)
    found = find_backend(loop, b"alice", ("imap.test", 143), CONFIG, log, None)  # type: ignore[arg-type]
    if text is None:
        assert loop.run(found) is None
    else:
        with pytest.raises(BackendNotFound, match=text):
            loop.run(found)
    loop.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(pids[0], os.WNOHANG)


def test_an_unforeseen_failure_ends_the_session_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise MemoryError

    async def life() -> None:
        found = await world.find()
        assert found is not None
        monkeypatch.setattr(dialer, "connect_tcp", fail)
        with pytest.raises(EngineGone):
            await world.start(found).read(5)
        assert [type(error) for error in world.crashes] == [MemoryError]
        monkeypatch.setattr(dialer, "connect_tcp", connect_tcp)
        session = world.start(found)
        backend = await world.backend()
        await backend.write(b"* BYE\r\n")
        assert (await session.read(5)).startswith(b"* BYE")

    world.run(life())


def test_what_a_certificate_has_to_be_worth() -> None:
    backend: Any = SimpleNamespace(any_certificate=False, encryption=Encryption.AT_ONCE)
    assert tls_context(Settings({}), backend).check_hostname
    assert tls_context(Settings({"ssl_client_ca_dir": "/etc"}), backend).check_hostname
    backend.any_certificate = True
    assert not tls_context(Settings({}), backend).check_hostname
    with pytest.raises(OSError, match="certificate"):
        tls_context(Settings({"ssl_client_ca_file": "ca.pem\nno certificate\n"}), backend)


def test_the_process_keeps_its_link_and_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[tuple[int, int]] = []

    async def fail(self: Dialer) -> None:
        raise MemoryError

    log: Any = None
    ours, theirs = _socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0)
    kept = theirs.fileno()
    try:
        monkeypatch.setattr(os, "closerange", lambda first, last: closed.append((first, last)))
        monkeypatch.setattr(Dialer, "run", fail)
        with pytest.raises(MemoryError):
            dialer.live(theirs, b"alice", CONFIG, log)
    finally:
        ours.close()
        theirs.close()
    assert closed == [(3, kept), (kept + 1, 65536)]
