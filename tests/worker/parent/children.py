"""A pool whose children play their part from a script, and the loop that runs it."""

from __future__ import annotations

import _socket
import functools
import os
import select
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

from dovecot_urlauth.service.connection import Connection
from dovecot_urlauth.service.descriptor import receive_message
from dovecot_urlauth.service.log import Log, LogPipe
from dovecot_urlauth.service.loop import Loop, Task
from dovecot_urlauth.service.sockets import PeerCredentials
from dovecot_urlauth.wire.control import Access
from dovecot_urlauth.worker.parent.pool import Pool
from dovecot_urlauth.worker.parent.protocol import (
    ACCEPTED,
    CONNECTION,
    KEEP,
    KEY_SIZE,
    MESSAGE_LIMIT,
    NOT_SHARED,
    TAKEN,
    pack_gone,
    pack_offer,
    pack_resting,
    parse_given,
)

PEER = PeerCredentials(pid=7, uid=102, gid=105)
ACCESS = Access(b"bob", b"imap")


RESTS = {b"rest", b"unread", b"stays"}
"""At once; as soon as a further client is there, which is not read; without an end."""


def script(link: _socket.socket) -> int:
    """A child: what its client writes is the target user, or a command to the process that serves it.

    Every client is told which process serves it; at the client's end the parent is told CLIENT_GONE.
    """
    while True:
        message, fds = receive(link)
        if not fds:
            return 0
        control = socket.socket(fileno=fds.pop(0))
        control.setblocking(True)
        if message[:1] == CONNECTION:
            wish, fds, _, _ = socket.recv_fds(control, 100, 1)
            if not fds:
                return 0
        else:
            wish = parse_given(message).name  # type: ignore[union-attr]
        client = socket.socket(fileno=fds[0])
        client.setblocking(True)
        if wish == b"alone":
            say(link, NOT_SHARED)
            tell(client)
            client.recv(1)
            return 0
        if wish == b"wrong":
            say(link, pack_gone(0))
            time.sleep(10)
        if wish == b"crash":
            raise MemoryError
        say(link, pack_offer(wish.ljust(KEY_SIZE), wish, ACCESS), control.fileno(), client.fileno())
        answer, _ = receive(link)
        if answer == TAKEN:
            client.close()
            control.close()
            continue
        return serve(link, client, control, may_rest=answer == KEEP)


def serve(link: _socket.socket, first: socket.socket, control: socket.socket, *, may_rest: bool) -> int:
    clients = {first.fileno(): first}
    controls = [control]
    numbers = {first: 0}
    tell(first)
    is_linked = True
    while clients or is_linked:
        for ready in wait_for_any([*clients, *([link.fileno()] if is_linked else [])]):
            if ready == link.fileno():
                _, fds = receive(link)
                if not fds:
                    is_linked = False
                    continue
                say(link, ACCEPTED)
                client = clients[fds[1]] = socket.socket(fileno=fds[1])
                numbers[client] = len(controls)
                controls.append(socket.socket(fileno=fds[0]))
                tell(client)
                continue
            wish = clients[ready].recv(10)
            if wish in RESTS and may_rest:
                if wish == b"unread":
                    wait_for_any([link.fileno()])
                say(link, pack_resting("sdbox"))
                if wish == b"stays":
                    time.sleep(20)
                return 0
            if wish == b"busy":
                time.sleep(0.8)
            elif wish == b"stay":
                continue
            elif wish == b"unshared":
                say(link, NOT_SHARED)
            else:
                gone = clients.pop(ready)
                gone.close()
                controls[numbers[gone]].close()
                say(link, pack_gone(numbers[gone], wish.decode()))
    return 0


def tell(client: socket.socket) -> None:
    client.sendall(b"%d" % os.getpid())


def say(link: _socket.socket, message: bytes, *fds: int) -> None:
    try:
        socket.send_fds(link, [message], fds) if fds else link.send(message)  # type: ignore[arg-type]
    except OSError:
        return  # the parent has ended the link


def wait_for_any(fds: list[int]) -> set[int]:
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return {fd for fd, _ in poll.poll()}


def receive(link: _socket.socket) -> tuple[bytes, list[int]]:
    wait_for_any([link.fileno()])
    message, descriptors = receive_message(link, MESSAGE_LIMIT)
    return message, [descriptor.detach() for descriptor in descriptors]


class Client(socket.socket):
    """A client's end of its connection; with it goes imap-urlauth's end of the control connection."""

    def __init__(self, control: socket.socket) -> None:
        ours, self._given = socket.socketpair()
        super().__init__(fileno=ours.detach())
        self.control = control
        control.settimeout(5)
        self.setblocking(False)

    def ask(self, wish: bytes) -> None:
        """Say who is wanted; the other end goes along, as from imap-urlauth."""
        socket.send_fds(self.control, [wish], [self._given.fileno()])
        self._given.close()

    def close(self) -> None:
        """Be gone."""
        self._given.close()
        self.control.close()
        super().close()


class Lines(LogPipe):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(to_master=False)
        self.lines: list[str] = []

    def write(self, severity: Any, text: str, prefix: str) -> None:
        self.lines.append(text)


class Parent:
    """A pool, its clients, and what it said."""

    def __init__(self, live: Callable[[_socket.socket], int] = script) -> None:
        self.loop = Loop()
        self.log = Lines()
        self.crashes: list[BaseException] = []
        self.loop.on_crash = lambda name, error: self.crashes.append(error)
        self.dying = False
        self.clients: list[Client] = []
        self.served: list[Task[None]] = []
        self.pool = Pool(
            self.loop,
            Log("", self.log),
            lambda link, likely_format: self._live(live, link),
            lambda: not self.dying,
        )

    def _live(self, live: Callable[[_socket.socket], int], link: _socket.socket) -> int:
        for client in self.clients:
            client.close()
        return live(link)

    @property
    def lines(self) -> list[str]:
        return self.log.lines

    @property
    def released(self) -> int:
        return sum(task.ended for task in self.served)

    @property
    def pids(self) -> set[int]:
        return set(self.pool._children)

    @property
    def spares(self) -> int:
        return len(self.pool._spares)

    def connect(self, wish: bytes) -> Client:
        control, theirs = socket.socketpair()
        connection = Connection(self.loop, _socket.socket(fileno=theirs.detach()))
        self.served.append(self.loop.spawn(self.pool.serve(connection, PEER), "client"))
        client = Client(control)
        if wish:
            client.ask(wish)
        self.clients.append(client)
        return client

    async def turn(self, seconds: float = 0.01) -> None:
        """Let time pass, and take notice of children that ended."""
        await self.loop.sleep(seconds)
        while self.pids:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self.pool.ended(pid)

    async def served_by(self, client: Client) -> int:
        """The pid that serves the client."""
        return await self.served_by_any([client])

    async def served_by_any(self, clients: list[Client]) -> int:
        """The pid that serves the first of the clients to be served."""
        for _ in range(500):
            await self.turn()
            for client in clients:
                try:
                    if pid := client.recv(100):
                        return int(pid)
                except BlockingIOError:
                    continue
        raise AssertionError("nobody serves it")

    async def until(self, condition: Callable[[], bool]) -> bool:
        for _ in range(500):
            if condition():
                return True
            await self.turn()
        return False

    async def _play(self, scenario: Coroutine[Any, Any, None]) -> None:
        self.pool.start()
        try:
            await scenario
        finally:
            for client in self.clients:
                client.close()
            self.dying = True
            self.pool.terminate()
            for child in list(self.pool._children.values()):
                child.kill()
                os.waitpid(child.pid, 0)
                self.pool.ended(child.pid)

    def run(self, scenario: Coroutine[Any, Any, None]) -> None:
        """Play one scenario to its end."""
        self.loop.run(self._play(scenario))
        self.loop.close()


def played(scenario: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine, which the parent's loop runs."""

    @functools.wraps(scenario)
    def test(parent: Parent, **fixtures: Any) -> None:
        parent.run(scenario(parent, **fixtures))

    return test
