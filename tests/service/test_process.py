"""The life of a service process, as master sees it: clients, signals, master's death, the end.

Listeners and clients are sockets; master's pipes are pipes; the signals come from a list and the time from a
stepping clock.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
from typing import TYPE_CHECKING, Any, cast

import pytest

from dovecot_urlauth.dialect.versions import DOVECOT_2_4_2
from dovecot_urlauth.service import master, process
from dovecot_urlauth.service.environment import Environment, Restrictions
from dovecot_urlauth.service.process import MasterDied, ProcessFull, ServiceProcess, Terminated
from dovecot_urlauth.service.signals import SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, Signal
from dovecot_urlauth.service.watchdog import LIMIT
from tests.transcript import CountingLoop, Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path

    from dovecot_urlauth.service.connection import Connection
    from dovecot_urlauth.start import cpython

    Story = Callable[["Contract"], Coroutine[Any, Any, None]]
    MakeContract = Callable[..., "Contract"]

NEVER_AGAIN = 0xFFFFFFFF


class Signals:
    """In the place of a SignalReader: what a test sends."""

    def __init__(self) -> None:
        self.fd, self._writing = os.pipe()
        self._arrived: list[Signal] = []

    def send(self, number: int) -> None:
        self._arrived.append(Signal(number, 4711, 0, "kill"))
        os.write(self._writing, b"x")

    def read(self) -> list[Signal]:
        os.read(self.fd, 100)
        arrived, self._arrived = self._arrived, []
        return arrived


class Stage:
    """Reads from each client until that, or the process, has enough."""

    takes_descriptors = False

    def __init__(self, is_login: bool) -> None:
        self.is_login = is_login
        self.said: list[bytes | type[process.ProcessOver]] = []
        self.children = 0

    async def serve(self, connection: Connection) -> None:
        try:
            while data := await connection.read():
                self.said.append(data)
                if data == b"crash":
                    raise KeyError("nobody foresaw this")
        except process.ProcessOver as over:
            self.said.append(type(over))
            if b"leave" in self.said:
                raise
            if b"fail" in self.said:
                raise KeyError("nobody foresaw this") from over
            if b"linger" in self.said:
                await process_sleep(connection)

    def child_exited(self) -> None:
        self.children += 1
        if b"orphan" in self.said:
            raise OSError("nobody foresaw this")


async def process_sleep(connection: Connection) -> None:
    """What a client does that does not let go in time."""
    await connection._loop.sleep(1000)


class Contract:
    """One process between a master and its clients, who are the test."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        client_limit: int = 2,
        service_count: int | None = None,
        is_login: bool = True,
        accepted: bool = False,
    ) -> None:
        self.path = str(tmp_path / "listener")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(10)
        self.status, status = os.pipe()
        os.set_blocking(self.status, False)
        os.set_blocking(status, False)
        dead, self.alive = os.pipe()
        self.signals = Signals()
        self.clients: list[socket.socket] = []
        self.stage = Stage(is_login)
        self.transcript = Transcript("")
        self.full = False
        monkeypatch.setattr(process, "Loop", CountingLoop)
        monkeypatch.setattr(process, "SignalReader", lambda: self.signals)
        monkeypatch.setattr(process, "DEAD_PIPE_FD", dead)
        monkeypatch.setattr(process, "login_processes_full", lambda: self.full)
        monkeypatch.setattr(process, "_set_cloexec", lambda fd: None)
        monkeypatch.setattr(process, "_raise_descriptor_limit", lambda: None)
        monkeypatch.setattr(master, "STATUS_FD", status)
        client_fd = None
        if accepted:
            ours, theirs = socket.socketpair()
            client_fd = ours.detach()
            self.clients.append(theirs)
        environment = Environment(
            service_name="imap-urlauth-login",
            under_master=True,
            client_limit=client_limit,
            service_count=service_count,
            generation=3,
            listener_count=1,
            log_debug=False,
            verbose_proctitle=False,
            accepted_listener_fd=0 if accepted else None,
            config_socket=None,
            config_file=None,
            stats_path=None,
            restrictions=Restrictions(),
        )
        changes = {
            name: getattr(DOVECOT_2_4_2, name)
            for name in type(DOVECOT_2_4_2).__match_args__
            if name not in ("first_listener_fd", "accepted_client_fd")
        }
        dialect = type(DOVECOT_2_4_2)(
            first_listener_fd=os.dup(self.listener.fileno()), accepted_client_fd=client_fd, **changes
        )
        self.process = ServiceProcess(environment, dialect, self.transcript.log)
        self.loop = cast("CountingLoop", self.process.loop)

    def run(self, story: Story) -> None:
        """Let ``story`` happen to the process, which has to end with it."""
        ended = []

        async def told() -> None:
            await self.loop.settle()
            await story(self)
            ended.append(True)

        telling = self.loop.spawn(told(), "story")
        self.process.serve(self.stage)
        if not telling.ended:
            raise AssertionError("the process ended within the story")
        if telling._end._error is not None:
            raise telling._end._error
        assert ended

    async def call(self, said: bytes = b"") -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.setblocking(False)
        client.connect(self.path)
        self.clients.append(client)
        if said:
            client.send(said)
        await self.loop.settle()
        return client

    async def signal(self, number: int) -> None:
        self.signals.send(number)
        await self.loop.settle()

    async def hang_up(self, client: socket.socket) -> None:
        client.close()
        await self.loop.settle()

    def statuses(self) -> list[int]:
        """What master has heard since the last time: available counts."""
        try:
            data = os.read(self.status, 4096)
        except BlockingIOError:
            return []
        numbers = list(struct.iter_unpack("=iII", data))
        assert all(pid == os.getpid() and generation == 3 for pid, generation, _ in numbers)
        return [available for _, _, available in numbers]

    @property
    def log(self) -> list[str]:
        return [cast("str", line) for line, _ in self.transcript._done["log"]]


@pytest.fixture
def contract(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MakeContract]:
    made: list[Contract] = []

    def make(**options: Any) -> Contract:
        made.append(Contract(monkeypatch, tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        for opened in (one.listener, *one.process._listeners, *one.clients):
            opened.close()
        one.loop.close()


def is_closed(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False


async def end(contract: Contract) -> None:
    """A story's last words: the process ends behind them."""
    contract.signals.send(SIGTERM)


TERM = "Warning: Killed with signal 15 (by pid=4711 uid=0 code=kill)"


@pytest.mark.parametrize(("said", "lines"), [(b"leave", 0), (b"fail", 2)])
def test_each_client_hears_of_the_end_however_the_others_take_it(
    contract: MakeContract, said: bytes, lines: int
) -> None:
    it = contract(client_limit=3)

    async def story(it: Contract) -> None:
        await it.call(said)
        await it.call(b"another")
        await end(it)

    it.run(story)
    assert it.stage.said.count(Terminated) == 2
    assert it.log[0] == TERM
    assert [line for line in it.log[1:] if "KeyError" in line] == it.log[1:]
    assert len(it.log[1:]) == lines


def test_a_signal_that_meets_a_fault_leaves_the_next_one_heard(contract: MakeContract) -> None:
    it = contract()

    async def story(it: Contract) -> None:
        await it.call(b"orphan")
        await it.signal(SIGCHLD)
        await it.signal(SIGCHLD)
        await end(it)

    it.run(story)
    assert it.stage.children == 2
    assert len([line for line in it.log if "Unexpected OSError" in line]) == 2


def test_clients_come_and_go(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        assert it.statuses() == [2]
        first = await it.call(b"one")
        assert it.stage.said == [b"one"]
        assert it.statuses() == []  # gathered for a second
        await it.loop.sleep(1)
        assert it.statuses() == [1]
        second = await it.call()
        assert it.statuses() == [0]  # at once
        third = await it.call(b"three")
        assert b"three" not in it.stage.said  # full
        await it.hang_up(first)
        assert b"three" in it.stage.said
        await it.hang_up(second)
        await it.hang_up(third)
        await it.loop.sleep(1)
        assert it.statuses()[-1] == 2
        await end(it)

    made = contract()
    made.run(story)
    assert made.log == [TERM]


def test_a_watchdog_sees_that_it_turns(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        assert 0 < signal.getitimer(signal.ITIMER_REAL)[1] == LIMIT / 2
        await end(it)

    contract().run(story)
    assert signal.getitimer(signal.ITIMER_REAL)[1] == 0


def test_the_only_client_of_a_process(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        assert it.statuses() == [1]
        client = await it.call(b"one")
        assert it.statuses() == [NEVER_AGAIN]
        client.close()

    made = contract(client_limit=1, service_count=1)
    made.run(story)
    assert made.log == []


def test_a_client_that_master_has_accepted(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        assert it.statuses() == [NEVER_AGAIN]
        it.clients[0].send(b"one")
        await it.loop.settle()
        assert it.stage.said == [b"one"]
        it.clients[0].close()

    contract(client_limit=1, service_count=1, accepted=True).run(story)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_accept_is_tried_again_after_a_second(
    contract: MakeContract, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Nobody's leaving is needed for it."""
    real = process.accept
    failures = [number]

    def accept(listener: cpython.socket) -> cpython.socket:
        if failures:
            raise OSError(failures.pop(), os.strerror(number))
        return real(listener)

    monkeypatch.setattr(process, "accept", accept)

    async def story(it: Contract) -> None:
        await it.call(b"one")
        assert it.stage.said == []
        await it.loop.sleep(0.9)
        assert it.stage.said == []
        await it.loop.sleep(0.2)
        assert it.stage.said == [b"one"]
        await end(it)

    made = contract()
    made.run(story)
    assert made.log == [f"Error: net_accept() failed: {os.strerror(number)}", TERM]


def test_a_client_that_has_left_before_accept_is_nothing_to_speak_of(
    contract: MakeContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = process.accept
    failures = [errno.ECONNABORTED, errno.EAGAIN]

    def accept(listener: cpython.socket) -> cpython.socket:
        if failures:
            number = failures.pop()
            raise OSError(number, os.strerror(number))
        return real(listener)

    monkeypatch.setattr(process, "accept", accept)

    async def story(it: Contract) -> None:
        await it.call(b"one")
        assert it.stage.said == [b"one"]
        await end(it)

    made = contract()
    made.run(story)
    assert made.log == [TERM]


def test_what_nobody_foresaw_ends_one_client(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        other = await it.call(b"one")
        client = await it.call(b"crash")
        assert is_closed(client)
        other.send(b"two")
        await it.loop.settle()
        assert it.stage.said == [b"one", b"crash", b"two"]
        await end(it)

    made = contract()
    made.run(story)
    assert made.log[0].startswith("Error: Unexpected KeyError: 'nobody foresaw this' at ")
    assert made.log[1:] == [TERM]


def test_sigterm_is_told_to_each_client(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        await it.call(b"one")
        await it.call(b"two")
        await end(it)

    made = contract()
    made.run(story)
    assert made.stage.said == [b"one", b"two", Terminated, Terminated]
    assert all(is_closed(client) for client in made.clients)


def test_clients_that_do_not_let_go_have_a_second(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        await it.call(b"linger")
        started.append(it.loop.now())
        await end(it)

    started: list[float] = []
    made = contract()
    made.run(story)
    assert made.loop.now() - started[0] == pytest.approx(process.FAREWELL)


def test_sigint_ends_an_idle_process(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        client = await it.call()
        await it.loop.sleep(1)
        it.statuses()
        await it.signal(SIGINT)
        assert it.statuses() == [1]  # busy: the answer is the status again
        await it.hang_up(client)
        it.signals.send(SIGINT)

    made = contract()
    made.run(story)
    assert made.log == []


def test_sigquit_closes_what_is_not_listened_to(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        await it.signal(SIGQUIT)
        first = await it.call(b"one")
        assert it.stage.said == [b"one"]  # it still takes clients
        await it.call()
        await it.signal(SIGQUIT)
        assert it.process._listeners == []
        await it.hang_up(first)
        await end(it)

    contract().run(story)


def test_sigusr1_makes_room_when_all_login_processes_are_full(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        await it.call(b"one")
        await it.signal(SIGUSR1)
        assert ProcessFull not in it.stage.said  # there is room
        await it.call(b"two")
        await it.signal(SIGUSR1)
        assert ProcessFull not in it.stage.said  # here is none, but elsewhere
        it.full = True
        await it.signal(SIGUSR1)
        assert it.stage.said == [b"one", b"two", ProcessFull]
        assert [is_closed(client) for client in it.clients] == [True, False]  # the oldest
        await end(it)

    contract().run(story)


def test_a_signal_that_came_before_it_could_be_heard(contract: MakeContract) -> None:
    """Master knows of the client that it has accepted as soon as it starts the process."""

    async def story(it: Contract) -> None:
        it.full = True
        await it.loop.sleep(1.5)
        assert it.stage.said == []
        it.clients[0].send(b"one")  # one that has something to say has done so by now
        await it.loop.sleep(0.4)
        assert it.stage.said == [b"one"]

    made = contract(client_limit=1, service_count=1, accepted=True)
    made.run(story)
    assert made.stage.said == [b"one", ProcessFull]


def test_only_login_processes_make_room(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        it.full = True
        await it.call()
        await it.call()
        await it.signal(SIGUSR1)
        assert it.stage.said == []
        await end(it)

    contract(is_login=False).run(story)


def test_a_child_that_ends(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        await it.signal(SIGCHLD)
        assert it.stage.children == 1
        await end(it)

    contract().run(story)


def test_login_lets_all_go_when_master_dies(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        await it.call(b"one")
        os.close(it.alive)

    made = contract()
    made.run(story)
    assert made.stage.said == [b"one", MasterDied]
    assert made.log == []
    assert made.loop.now() < 2


def test_the_others_serve_for_half_a_minute_after_masters_death(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        client = await it.call(b"one")
        os.close(it.alive)
        await it.loop.settle()
        it.statuses()
        assert it.process._listeners == []
        await it.loop.sleep(29)
        client.send(b"two")
        await it.loop.settle()
        assert it.stage.said == [b"one", b"two"]
        await it.loop.sleep(0.9)

    made = contract(is_login=False)
    made.run(story)
    assert made.stage.said == [b"one", b"two", Terminated]


def test_or_until_the_last_client_is_gone(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        client = await it.call()
        os.close(it.alive)
        await it.loop.sleep(10)
        client.close()

    made = contract(is_login=False)
    made.run(story)
    assert made.loop.now() < 12


def test_an_idle_process_ends_with_master(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        os.close(it.alive)

    contract(is_login=False).run(story)


def test_retiring_serves_those_who_are_here(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        client = await it.call(b"one")
        it.statuses()
        it.process.retire()
        await it.loop.settle()
        assert it.statuses() == [0]
        client.send(b"two")
        await it.loop.settle()
        assert it.stage.said == [b"one", b"two"]
        client.close()

    made = contract(is_login=False)
    made.run(story)
    assert made.log == []


def test_an_idle_process_that_retires_ends(contract: MakeContract) -> None:
    async def story(it: Contract) -> None:
        it.process.retire()

    contract(is_login=False).run(story)


@pytest.mark.parametrize("is_login", [True, False])
def test_a_full_process_that_serves_no_more_clients(contract: MakeContract, is_login: bool) -> None:
    """Login keeps its listeners open meanwhile, as Dovecot's does."""

    async def story(it: Contract) -> None:
        client = await it.call()
        assert bool(it.process._listeners) is is_login
        client.close()

    contract(client_limit=1, service_count=1, is_login=is_login).run(story)


def test_a_forked_child_holds_nobody_elses_connection(contract: MakeContract) -> None:
    one = contract()

    async def story(parent: Contract) -> None:
        client = await parent.call(b"hello")
        pid = os.fork()
        if not pid:
            try:
                parent.process.leave_to_parent()
            finally:
                listening = sum(listener.fileno() >= 0 for listener in parent.process._listeners)
                connected = sum(not client.closed for client in parent.process._clients.values())
                known = len(parent.process._clients) * 10 + len(parent.process._listeners) * 100
                os._exit(known + listening + connected)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 110, "it knows a listener and a client, and has closed both"
        client.send(b" again")
        await parent.loop.settle()
        assert parent.stage.said == [b"hello", b" again"]
        parent.signals.send(SIGTERM)

    one.run(story)


def test_a_client_that_comes_with_the_end_is_let_go(contract: MakeContract) -> None:
    """It is accepted, and ended before its task has begun."""
    it = contract(is_login=False)

    async def story(it: Contract) -> None:
        ours, theirs = socket.socketpair()
        it.clients.append(theirs)
        it.process._take(process.Connection(it.process.loop, ours))
        [task] = it.process._clients
        task.cancel(Terminated())
        await it.loop.settle()
        assert it.process._clients == {}
        assert it.process.slots.idle
        await end(it)

    it.run(story)
