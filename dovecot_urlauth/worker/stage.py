"""Accepting: who may connect, and one child for each connection.

The parent reads nothing from a connection.  Under stock service settings (one client in the process's whole
life) there is nothing left for a parent to do, and the process serves the connection itself.
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.privileges import PrivilegesKept
from dovecot_urlauth.service.run import EXIT_FATAL, EXIT_OK, describe
from dovecot_urlauth.service.signals import SIGTERM
from dovecot_urlauth.service.sockets import PeerCredentials, peer_credentials
from dovecot_urlauth.worker.channel import ConnectionOver, Watch
from dovecot_urlauth.worker.child import serve_connection, watch_master
from dovecot_urlauth.worker.spare import SpareChild, await_connection, channel
from dovecot_urlauth.worker.userdb import LookupFailed, UserdbConnection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from dovecot_urlauth.service.process import ServiceProcess
    from dovecot_urlauth.service.title import ProcessTitle
    from dovecot_urlauth.worker.target import WorkerConfig


SPARE_DELAY = 0.02
"""Seconds before a used-up spare child is replaced: the client that it serves goes first."""


class WorkerStage:
    """The parent's view: children by pid."""

    keeps_listeners = False

    def __init__(
        self,
        process: ServiceProcess,
        title: ProcessTitle,
        config: WorkerConfig,
        allowed_uids: frozenset[int],
    ) -> None:
        self._process = process
        self._title = title
        self._config = config
        self._allowed_uids = allowed_uids
        self._children: set[int] = set()
        self._spare: SpareChild | None = None
        self.exit_status = EXIT_OK
        self._show_title()
        if process.slots.total > 1:
            process.loop.after(0, self._fork_spare)

    def accept(self, connection: socket) -> None:
        peer = self._check_peer(connection)
        if peer is None:
            connection.close()
            self._process.release()
        elif self._process.slots.retired and self._process.slots.total == 1:
            self._serve_here(connection, peer)
        else:
            self._give_to_child(connection, peer)

    def make_room(self) -> None:
        """Only login processes are asked to."""

    def master_died(self) -> None:
        """The children have noticed it themselves."""

    def terminate(self) -> None:
        for pid in self._children:
            os.kill(pid, SIGTERM)
        if self._spare is not None:
            self._spare.dismiss()

    def child_exited(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._report(pid, status)
            if self._spare is not None and pid == self._spare.pid:
                self._spare.dismiss()
                self._spare = None
            if pid in self._children:
                self._children.remove(pid)
                self._show_title()
                self._process.release()

    def _check_peer(self, connection: socket) -> PeerCredentials | None:
        """Only imap-urlauth may talk to us: root, or the owner of our socket."""
        try:
            peer = peer_credentials(connection)
        except OSError as error:
            self._process.log.error(f"Connection refused: no peer credentials: {error.strerror}")
            return None
        if peer.uid not in self._allowed_uids:
            self._process.log.error(f"Connection refused: pid={peer.pid}, uid={peer.uid} is not imap-urlauth")
            return None
        return peer

    def _give_to_child(self, connection: socket, peer: PeerCredentials) -> None:
        spare, self._spare = self._spare, None
        if spare is not None and spare.give(connection, peer):
            pid = spare.pid
        else:
            pid = self._fork(lambda: self._serve(connection, peer, Watch(), self._new_userdb()))
        connection.close()
        if pid:
            self._children.add(pid)
            self._show_title()
        else:
            self._process.release()
        self._process.loop.after(SPARE_DELAY, self._fork_spare)

    def _fork_spare(self) -> None:
        if self._spare is not None or self._process.dying:
            return
        ours, theirs = channel()
        pid = self._fork(lambda: self._wait_as_spare(ours, theirs))
        theirs.close()
        if pid:
            self._spare = SpareChild(pid, ours)
        else:
            ours.close()

    def _fork(self, live: Callable[[], int]) -> int:
        """Fork a child that does ``live()`` and exits; return its pid, 0 when there cannot be one."""
        try:
            pid = os.fork()
        except OSError as error:
            self._process.log.error(f"fork() failed: {error.strerror}")
            return 0
        if pid == 0:
            os._exit(self._live_as_child(live))
        return pid

    def _live_as_child(self, live: Callable[[], int]) -> int:
        """Never returns to the parent's loop, whatever happens; return the exit status."""
        try:
            self._process.leave_to_parent()
            return live()
        except BaseException as error:
            self._process.log.fatal(f"Unexpected {describe(error)}")
            return EXIT_FATAL

    def _wait_as_spare(self, parents_end: socket, waiting: socket) -> int:
        parents_end.close()
        self._title.show("[spare]")
        userdb = self._new_userdb()
        try:
            userdb.connect()
        except LookupFailed:
            userdb = self._new_userdb()  # the lookup tries again, and says what is wrong
        given = await_connection(waiting)
        return EXIT_OK if given is None else self._serve(*given, Watch(), userdb)

    def _new_userdb(self) -> UserdbConnection:
        return UserdbConnection(self._config.dialect, self._config.userdb_path)

    def _serve_here(self, connection: socket, peer: PeerCredentials) -> None:
        def end_on_sigterm() -> None:
            if self._process.was_terminated():
                raise ConnectionOver

        watch = Watch()
        watch.add(self._process.signals_fd, end_on_sigterm)
        status = self._serve(connection, peer, watch, self._new_userdb())
        connection.close()
        self._process.release()
        self.exit_status = status

    def _serve(
        self, connection: socket, peer: PeerCredentials, watch: Watch, userdb: UserdbConnection
    ) -> int:
        log = self._process.log.with_prefix(f"{self._process.environment.service_name}({os.getpid()}): ")
        watch_master(watch)
        try:
            serve_connection(connection, peer, self._config, userdb, log, self._title.show, watch)
        except PrivilegesKept as error:
            log.fatal(str(error))
            return EXIT_FATAL
        except ConnectionOver as over:
            if over.text:
                log.error(over.text)
        return EXIT_OK

    def _report(self, pid: int, status: int) -> None:
        if os.WIFSIGNALED(status):
            self._process.log.error(f"child {pid} killed with signal {os.WTERMSIG(status)}")
        elif status:
            self._process.log.error(f"child {pid} returned error {os.WEXITSTATUS(status)}")

    def _show_title(self) -> None:
        count = len(self._children)
        self._title.show(f"[{count} connections]" if count else "[idling]")
