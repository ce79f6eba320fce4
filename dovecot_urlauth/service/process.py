"""The life of a service process: start, take clients, notice master's wishes, stop.

The contract is master's (master/service-process.c, lib-master/master-service.c); the stage only says what
to do with a client.  Each client is one task; what happens to the process is raised where the task awaits.
"""

from __future__ import annotations

import errno
import fcntl
import resource

from dovecot_urlauth.service.connection import Connection
from dovecot_urlauth.service.descriptor import Descriptor, refuse_descriptors
from dovecot_urlauth.service.environment import DEAD_PIPE_FD, LAST_INHERITED_FD, Environment
from dovecot_urlauth.service.loop import Loop, TimedOut
from dovecot_urlauth.service.master import StatusReporter, login_processes_full
from dovecot_urlauth.service.run import describe
from dovecot_urlauth.service.signals import SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, Signal, SignalReader
from dovecot_urlauth.service.slots import ClientSlots
from dovecot_urlauth.service.sockets import accept, from_fd
from dovecot_urlauth.service.stats import Stats
from dovecot_urlauth.service.watchdog import Watchdog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Promise, Task
    from dovecot_urlauth.start.cpython import socket

    class Stage(Protocol):
        """What a stage does with the clients of its process."""

        is_login: bool
        """A login process keeps its listeners open while the last client is served, lets the oldest client go
        when all processes are full, and all of them when master is gone: they can come again."""
        takes_descriptors: bool
        """Whether clients have reason to send any."""

        async def serve(self, connection: Connection) -> None:
            """Serve one client from its first byte to its end; the process closes the connection behind it.

            ProcessOver may be raised at each await.
            """

        def child_exited(self) -> None:
            """A forked child has ended."""


DIE_WITH_MASTER = 30.0
"""Seconds that the last clients get after master's death (master-service.c)."""
ACCEPT_PAUSE = 1.0
"""Seconds until accept is tried again when the system had no descriptor or memory for it."""
NOTIFY_INTERVAL = 2.0
"""Seconds between two notices of master that all login processes are full (service-login-notify.c)."""
FAREWELL = 1.0
"""Seconds that clients get to end when the process has to."""

ACCEPT_ERRORS_IGNORED = (errno.EAGAIN, errno.ECONNABORTED)


class ProcessOver(Exception):
    """Why the process itself lets go of a client."""


class Terminated(ProcessOver):
    """SIGTERM, or master has been gone for as long as clients may stay."""


class MasterDied(ProcessOver):
    """Master is gone or reloads, and this is a login process."""


class ProcessFull(ProcessOver):
    """All login processes are full, and this client has waited longest."""


class _Unwanted(Exception):
    """Nobody is to be accepted now."""


class ServiceProcess:
    """Ties listeners, slots, status and signals together around one stage."""

    def __init__(self, environment: Environment, dialect: Dialect, log: Log) -> None:
        _raise_descriptor_limit()
        self.environment = environment
        self.dialect = dialect
        self.log = log
        self.loop = Loop()
        self.loop.on_crash = self._on_crash
        self.slots = ClientSlots(
            environment.client_limit, environment.service_count, dialect.status_when_exhausted
        )
        self.stats = self.new_stats(self.loop)
        self.dying = False
        self._stage: Stage
        self._over: Promise[None] = self.loop.promise()
        self._clients: dict[Task[None], Connection] = {}
        """In the order in which they came."""
        self._listeners: list[socket] = []
        self._accepting: list[Task[None]] = []
        self._status = StatusReporter(self.loop, log, environment.generation)
        self._signals = SignalReader()

    def serve(self, stage: Stage, first: socket | None = None) -> None:
        """Report readiness, then take clients, ``first`` if it is here, until there is nothing left to do."""
        self._stage = stage
        with Watchdog(self.loop, self.log):
            self.loop.run(self._live(first))

    def new_stats(self, loop: Loop) -> Stats:
        """A connection to stats: this process's, or a forked child's own."""
        environment = self.environment
        path = environment.stats_path if environment.under_master else None
        return Stats(loop, environment.service_name, path, self.dialect.stats)

    def retire(self) -> None:
        """Take no more clients, serve those that are here, then end (auth is gone, for one)."""
        self._close_listeners()
        self.dying = True
        self._status.report(0, self.dialect.status_when_exhausted)
        self._status.master_gone()
        self._end_if_idle()

    def leave_to_parent(self) -> None:
        """In a forked child: let go of everything that belongs to the parent."""
        from dovecot_urlauth.service.signals import restore

        for listener in self._listeners:
            listener.close()
        self.loop.close()
        for connection in self._clients.values():
            connection.close()
        self.stats.leave_to_parent()
        restore(self._signals)
        self.log.forked()

    async def _live(self, first: socket | None) -> None:
        self._adopt_listeners()
        self.stats.listen()
        self.loop.spawn(self._heed_signals(), "signals")
        self.loop.spawn(self._notice_master_death(), "master")
        if self._stage.is_login:
            self.loop.spawn(self._make_up_for_signal(), "login-notify")
        client = self._accepted_client() if first is None else Connection(self.loop, first)
        if client is None:
            self._report()
        else:
            self._take(client)
        await self._over.wait()
        self.dying = True
        self._status.master_gone()  # what changes from here on is the process's end, which master will see
        await self._let_go(Terminated())
        await self.stats.finish()

    def _take(self, connection: Connection) -> None:
        self.slots.take()
        self._report()
        task = self.loop.spawn(self._lead(connection), "client", must_begin=True)
        self._clients[task] = connection

    async def _lead(self, connection: Connection) -> None:
        task = self.loop.current
        try:
            await self._stage.serve(connection)
        finally:
            connection.close()
            self._clients.pop(task, None)
            self._release()

    def _release(self) -> None:
        self.slots.release()
        if self.slots.finished or (self.dying and self.slots.idle):
            self._over.set(None)
        else:
            self._report()

    def _end_if_idle(self) -> None:
        if self.slots.idle:
            self._over.set(None)

    async def _let_go(self, reason: ProcessOver) -> None:
        """End the clients that are here; they have a moment to say so."""
        clients = list(self._clients)
        for client in clients:
            client.cancel(reason)
        for client in clients:
            try:
                await client.wait_for_end(FAREWELL)
            except TimedOut:
                continue

    def _adopt_listeners(self) -> None:
        for fd in range(3, LAST_INHERITED_FD + 1 + self.environment.listener_count):
            _set_cloexec(fd)
        first = self.dialect.first_listener_fd
        self._listeners = [from_fd(fd) for fd in range(first, first + self.environment.listener_count)]
        if not self._stage.takes_descriptors:
            for listener in self._listeners:
                refuse_descriptors(listener)

    def _accepted_client(self) -> Connection | None:
        """The client that master has accepted already for a process of a single one (2.4)."""
        fd = self.dialect.accepted_client_fd
        if self.environment.accepted_listener_fd is None or fd is None:
            return None
        return Connection(self.loop, Descriptor(fd))

    def _report(self) -> None:
        self._status.report(self.slots.status, self.dialect.status_when_exhausted)
        if self.slots.available > 0 and not self.dying:
            if not self._accepting:
                self._accepting = [
                    self.loop.spawn(self._accept_from(listener), "accept") for listener in self._listeners
                ]
            return
        self._stop_accepting()
        if self.slots.retired and not self._stage.is_login:
            self._close_listeners()

    async def _accept_from(self, listener: socket) -> None:
        while True:
            try:
                await self.loop.readable(listener.fileno())
                connection = accept(listener)
            except _Unwanted:
                return
            except OSError as error:
                if error.errno not in ACCEPT_ERRORS_IGNORED:
                    self.log.error(f"net_accept() failed: {error.strerror}")
                    await self.loop.sleep(ACCEPT_PAUSE)
                continue
            self._take(Connection(self.loop, connection))
            if not self._accepting:
                return

    def _stop_accepting(self) -> None:
        accepting, self._accepting = self._accepting, []
        for task in accepting:
            if task is not self.loop.running:
                task.cancel(_Unwanted())

    def _close_listeners(self) -> None:
        self._stop_accepting()
        for listener in self._listeners:
            self.loop.forget(listener.fileno())
            listener.close()
        self._listeners.clear()

    async def _heed_signals(self) -> None:
        handlers = {
            SIGTERM: self._on_sigterm,
            SIGINT: self._on_sigint,
            SIGQUIT: self._on_sigquit,
            SIGUSR1: self._on_sigusr1,
            SIGCHLD: self._on_sigchld,
        }
        while True:
            await self.loop.readable(self._signals.fd)
            for arrived in self._signals.read():
                try:
                    handlers[arrived.number](arrived)
                except Exception as error:  # whatever one signal meets, the next one is heard
                    self._on_crash("signals", error)

    def _on_sigterm(self, arrived: Signal) -> None:
        self.log.warning(
            f"Killed with signal {arrived.number} (by pid={arrived.pid} uid={arrived.uid} code={arrived.code})"
        )
        self._close_listeners()
        self._over.set(None)

    def _on_sigint(self, arrived: Signal) -> None:
        """Master asks idle processes to end; a busy one answers with its status."""
        if self.slots.idle:
            self._over.set(None)
        else:
            self._status.repeat()

    def _on_sigquit(self, arrived: Signal) -> None:
        if not self._accepting:
            self._close_listeners()

    def _on_sigusr1(self, arrived: Signal) -> None:
        self._make_room()

    async def _make_up_for_signal(self) -> None:
        """Master knows a client of ours before we can hear signals: one that came meanwhile is lost."""
        await self.loop.sleep(NOTIFY_INTERVAL)
        self._make_room()

    def _make_room(self) -> None:
        if self._stage.is_login and self.slots.available == 0 and login_processes_full():
            oldest = next(iter(self._clients), None)
            if oldest is not None:
                oldest.cancel(ProcessFull())

    def _on_sigchld(self, arrived: Signal) -> None:
        self._stage.child_exited()

    async def _notice_master_death(self) -> None:
        await self.loop.hung_up(DEAD_PIPE_FD)
        self.dying = True
        self.log.pipe.master_gone = True
        self._status.master_gone()
        self._close_listeners()
        if self._stage.is_login:
            await self._let_go(MasterDied())
        self._end_if_idle()
        await self.loop.sleep(DIE_WITH_MASTER)
        self._over.set(None)

    def _on_crash(self, name: str, error: BaseException) -> None:
        """One line for an exception that nobody foresaw; it has ended one client."""
        self.log.error(f"Unexpected {describe(error)}")


def _raise_descriptor_limit() -> None:
    """Each client takes two or three descriptors; Dovecot's own processes raise the limit, too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _set_cloexec(fd: int) -> None:
    try:
        fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    except OSError:
        return  # not every service gets every fd
