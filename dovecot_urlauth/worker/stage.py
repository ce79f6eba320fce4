"""Accepting: who may connect, and one child for each target user.

The parent reads nothing from a connection.  Under stock service settings (one client in the process's whole
life) there is nothing left for a parent to do, and the process serves the connection itself.
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.connection import Connection
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.service.privileges import PrivilegesKept
from dovecot_urlauth.service.run import EXIT_FATAL, EXIT_OK, describe
from dovecot_urlauth.service.sockets import PeerCredentials, peer_credentials
from dovecot_urlauth.worker.child import Child, live
from dovecot_urlauth.worker.client import SessionOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.callback_process import ServiceProcess
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.title import ProcessTitle
    from dovecot_urlauth.start.cpython import socket
    from dovecot_urlauth.worker.children import Children
    from dovecot_urlauth.worker.target import WorkerConfig


class WorkerStage:
    """The service process: parent of children, or its own only child."""

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
        self.exit_status = EXIT_OK
        self._children: Children | None = None
        if process.slots.left != 1:
            from dovecot_urlauth.worker.children import Children

            self._children = Children(process, self._live_as_child, self._show_clients)
        self._show_clients(0)

    def accept(self, connection: socket) -> None:
        peer = self._check_peer(connection)
        if peer is None:
            connection.close()
            self._process.release()
        elif self._children is None:
            self._serve_here(connection, peer)
        else:
            self._children.serve(connection, peer)

    def make_room(self) -> None:
        """Only login processes are asked to."""

    def master_died(self) -> None:
        """Those of the children that have clients have noticed it themselves."""
        if self._children is not None:
            self._children.dismiss_idle()

    def terminate(self) -> None:
        if self._children is not None:
            self._children.terminate()

    def child_exited(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._report(pid, status)
            if self._children is not None:
                self._children.ended(pid)

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

    def _live_as_child(self, link: socket) -> int:
        """Never returns to the parent's loop, whatever happens; return the exit status."""
        try:
            self._process.leave_to_parent()
            return live(link, self._config, self._log(), self._title.show)
        except BaseException as error:
            self._process.log.fatal(f"Unexpected {describe(error)}")
            return EXIT_FATAL

    def _serve_here(self, connection: socket, peer: PeerCredentials) -> None:
        loop = Loop()
        try:
            loop.run(self._serve_alone(loop, Connection(loop, connection), peer))
        except PrivilegesKept as error:
            self._process.log.fatal(str(error))
            self.exit_status = EXIT_FATAL
        self._process.release()

    async def _serve_alone(self, loop: Loop, connection: Connection, peer: PeerCredentials) -> None:
        client = loop.spawn(Child(loop, self._config, self._log(), self._title.show).serve(connection, peer))

        async def end_on_sigterm() -> None:
            while not self._process.was_terminated():
                await loop.readable(self._process.signals_fd)
            client.cancel(SessionOver())

        loop.spawn(end_on_sigterm(), "signals")
        await client.join()

    def _log(self) -> Log:
        return self._process.log.with_prefix(f"{self._process.environment.service_name}({os.getpid()}): ")

    def _report(self, pid: int, status: int) -> None:
        if os.WIFSIGNALED(status):
            self._process.log.error(f"child {pid} killed with signal {os.WTERMSIG(status)}")
        elif status:
            self._process.log.error(f"child {pid} returned error {os.WEXITSTATUS(status)}")

    def _show_clients(self, count: int) -> None:
        self._title.show(f"[{count} connections]" if count else "[idling]")
