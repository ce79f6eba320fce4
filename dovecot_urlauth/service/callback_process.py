"""The life of a service process: start, take clients, notice master's wishes, stop.

The contract is master's (master/service-process.c, lib-master/master-service.c); the stage only says what
to do with a client.
"""

from __future__ import annotations

import errno
import fcntl
import resource

from dovecot_urlauth.service import callback_master as master
from dovecot_urlauth.service.callbacks import Loop
from dovecot_urlauth.service.environment import LAST_INHERITED_FD, Environment
from dovecot_urlauth.service.signals import SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, Signal, SignalReader
from dovecot_urlauth.service.slots import ClientSlots
from dovecot_urlauth.service.sockets import accept, from_fd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.start.cpython import socket

    class Stage(Protocol):
        """What a stage does with the events of its process."""

        keeps_listeners: bool
        """Whether the listeners stay open while the last client is served (login processes)."""

        def accept(self, connection: socket) -> None:
            """Serve a client; call ``release()`` of the process when it is done."""

        def make_room(self) -> None:
            """All processes of the service are full: give up the client that waits longest."""

        def master_died(self) -> None:
            """Master is gone or reloads: no new client will come."""

        def terminate(self) -> None:
            """SIGTERM: give up all clients now."""

        def child_exited(self) -> None:
            """A forked child has ended."""


DIE_WITH_MASTER = 30.0
"""Seconds that the last clients get after master's death (master-service.c)."""

ACCEPT_ERRORS_IGNORED = (errno.EAGAIN, errno.ECONNABORTED)


class ServiceProcess:
    """Ties listeners, slots, status and signals together around one stage."""

    def __init__(self, environment: Environment, dialect: Dialect, log: Log) -> None:
        _raise_descriptor_limit()
        self.environment = environment
        self.dialect = dialect
        self.log = log
        self.loop = Loop()
        self.slots = ClientSlots(
            environment.client_limit, environment.service_count, dialect.status_when_exhausted
        )
        self.dying = False
        self._listeners: list[socket] = []
        self._polling = False
        self._accept_failed = False
        self._status = master.StatusReporter(self.loop, log, environment.generation)
        self._signals = SignalReader()
        self._stage: Stage | None = None

    def serve(self, stage: Stage) -> None:
        """Report readiness, then take clients until there is nothing left to do."""
        self._stage = stage
        self._adopt_listeners()
        self.loop.watch(self._signals.fd, self._on_signals)
        master.watch_for_master_death(self.loop, self._on_master_death)
        if self._accepted_client():
            self._take(from_fd(self.dialect.accepted_client_fd or 0))
        else:
            self._report()
        self.loop.run()

    def release(self) -> None:
        """A client is done: its slot is free, or the process is, too."""
        self.slots.release()
        self._accept_failed = False
        if self.slots.finished or (self.dying and self.slots.idle):
            self.loop.stop()
            return
        self._report()

    def retire(self) -> None:
        """Take no more clients, serve those that are here, then end (auth is gone, for one)."""
        self._close_listeners()
        self.dying = True
        self._status.report(0, self.dialect.status_when_exhausted)
        self._status.master_gone()
        if self.slots.idle:
            self.loop.stop()

    @property
    def signals_fd(self) -> int:
        """Readable when a signal has arrived, for code that waits outside the loop."""
        return self._signals.fd

    def was_terminated(self) -> bool:
        """Whether SIGTERM is among the signals that have arrived; it is logged then."""
        for arrived in self._signals.read():
            if arrived.number == SIGTERM:
                self._warn_of(arrived)
                return True
        return False

    def leave_to_parent(self) -> None:
        """In a forked child: let go of everything that belongs to the parent."""
        from dovecot_urlauth.service.signals import restore

        for listener in self._listeners:
            listener.close()
        self.loop.close()
        restore(self._signals)
        self.log.forked()

    def _adopt_listeners(self) -> None:
        for fd in range(3, LAST_INHERITED_FD + 1 + self.environment.listener_count):
            _set_cloexec(fd)
        first = self.dialect.first_listener_fd
        self._listeners = [from_fd(fd) for fd in range(first, first + self.environment.listener_count)]

    def _accepted_client(self) -> bool:
        return self.environment.accepted_listener_fd is not None and self.dialect.accepted_client_fd is not None

    def _report(self) -> None:
        self._status.report(self.slots.status, self.dialect.status_when_exhausted)
        self._poll_listeners()

    def _poll_listeners(self) -> None:
        wanted = self.slots.available > 0 and not self.dying and not self._accept_failed
        if wanted != self._polling:
            self._polling = wanted
            for listener in self._listeners:
                if wanted:
                    self.loop.watch(listener.fileno(), self._acceptor(listener))
                else:
                    self.loop.forget(listener.fileno())
        if not wanted and self.slots.retired and self._stage and not self._stage.keeps_listeners:
            self._close_listeners()

    def _acceptor(self, listener: socket) -> Callable[[int], None]:
        return lambda events: self._on_client(listener)

    def _on_client(self, listener: socket) -> None:
        try:
            connection = accept(listener)
        except OSError as error:
            if error.errno not in ACCEPT_ERRORS_IGNORED:
                self.log.error(f"net_accept() failed: {error.strerror}")
                self._accept_failed = True
                self._poll_listeners()
            return
        self._take(connection)

    def _take(self, connection: socket) -> None:
        self.slots.take()
        self._report()
        if self._stage:
            self._stage.accept(connection)

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            self.loop.forget(listener.fileno())
            listener.close()
        self._listeners.clear()
        self._polling = False

    def _on_signals(self, events: int) -> None:
        handlers = {
            SIGTERM: self._on_sigterm,
            SIGINT: self._on_sigint,
            SIGQUIT: self._on_sigquit,
            SIGUSR1: self._on_sigusr1,
            SIGCHLD: self._on_sigchld,
        }
        for arrived in self._signals.read():
            handlers[arrived.number](arrived)

    def _warn_of(self, arrived: Signal) -> None:
        self.log.warning(
            f"Killed with signal {arrived.number} (by pid={arrived.pid} uid={arrived.uid} code={arrived.code})"
        )

    def _on_sigterm(self, arrived: Signal) -> None:
        self._warn_of(arrived)
        if self._stage:
            self._stage.terminate()
        self.loop.stop()

    def _on_sigint(self, arrived: Signal) -> None:
        """Master asks idle processes to end; a busy one answers with its status."""
        if self.slots.idle:
            self.loop.stop()
        else:
            self._status.repeat()

    def _on_sigquit(self, arrived: Signal) -> None:
        if not self._polling:
            self._close_listeners()

    def _on_sigusr1(self, arrived: Signal) -> None:
        if self._stage and self.slots.available == 0 and master.login_processes_full():
            self._stage.make_room()

    def _on_sigchld(self, arrived: Signal) -> None:
        if self._stage:
            self._stage.child_exited()

    def _on_master_death(self) -> None:
        self.dying = True
        self.log.pipe.master_gone = True
        self._status.master_gone()
        self._close_listeners()
        if self._stage:
            self._stage.master_died()
        if self.slots.idle:
            self.loop.stop()
        else:
            self.loop.after(DIE_WITH_MASTER, self._die_with_master)

    def _die_with_master(self) -> None:
        if self._stage:
            self._stage.terminate()
        self.loop.stop()


def _raise_descriptor_limit() -> None:
    """Each client takes two or three descriptors; Dovecot's own processes raise the limit, too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _set_cloexec(fd: int) -> None:
    try:
        fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    except OSError:
        return  # not every service gets every fd
