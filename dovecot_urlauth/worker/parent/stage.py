"""A connection of imap-urlauth from accept to its end.

Who may connect is decided here, and nothing is read from anybody.  Under stock service settings (one client in the
process's whole life) there is nothing left for a parent to do, and the process serves the connection itself.
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.privileges import PrivilegesKept
from dovecot_urlauth.service.process import ProcessOver
from dovecot_urlauth.service.run import EXIT_FATAL, EXIT_OK
from dovecot_urlauth.worker.child import Child, live

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.connection import Connection
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.process import ServiceProcess
    from dovecot_urlauth.service.sockets import PeerCredentials
    from dovecot_urlauth.service.title import ProcessTitle
    from dovecot_urlauth.start.cpython import socket
    from dovecot_urlauth.worker.parent.pool import Pool
    from dovecot_urlauth.worker.target import WorkerConfig


class WorkerStage:
    """The service process: parent of children, or its own only child."""

    is_login = False
    takes_descriptors = True

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
        self._clients = 0
        self._pool: Pool | None = None
        if process.slots.left != 1:
            from dovecot_urlauth.worker.parent.pool import Pool

            self._pool = Pool(
                process.loop, process.log, self._live_as_child, lambda: not process.dying, process.stats
            )
            self._pool.start()
        self._count(0)

    async def serve(self, connection: Connection) -> None:
        """One connection: its peer, then a child, then its end."""
        peer = self._check_peer(connection)
        if peer is None:
            return
        if self._pool is None:
            await self._serve_here(connection, peer)
            return
        self._count(1)
        try:
            await self._pool.serve(connection, peer)
        except ProcessOver:
            self._pool.terminate()
            raise
        finally:
            self._count(-1)

    def child_exited(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._report(pid, status)
            if self._pool is not None:
                self._pool.ended(pid)

    def _check_peer(self, connection: Connection) -> PeerCredentials | None:
        """Only imap-urlauth may talk to us: root, or the owner of our socket."""
        try:
            peer = connection.peer()
        except OSError as error:
            self._process.log.error(f"Connection refused: no peer credentials: {error.strerror}")
            return None
        if peer.uid not in self._allowed_uids:
            self._process.log.error(f"Connection refused: pid={peer.pid}, uid={peer.uid} is not imap-urlauth")
            return None
        return peer

    async def _serve_here(self, connection: Connection, peer: PeerCredentials) -> None:
        child = Child(self._process.loop, self._config, self._log(), self._title.show, self._process.stats)
        try:
            await child.serve(connection, peer)
        except PrivilegesKept as error:
            self._process.log.fatal(str(error))
            self.exit_status = EXIT_FATAL

    def _live_as_child(self, link: socket, likely_format: str) -> int:
        """All of a forked child's life; return its exit status."""
        self._process.leave_to_parent()
        return live(link, self._config, self._log(), self._title.show, self._process.new_stats, likely_format)

    def _log(self) -> Log:
        """Children are told apart by their pid."""
        return self._process.log.with_prefix(f"{self._process.environment.service_name}({os.getpid()}): ")

    def _report(self, pid: int, status: int) -> None:
        if os.WIFSIGNALED(status):
            self._process.log.error(f"child {pid} killed with signal {os.WTERMSIG(status)}")
        elif status:
            self._process.log.error(f"child {pid} returned error {os.WEXITSTATUS(status)}")

    def _count(self, change: int) -> None:
        self._clients += change
        self._title.show(f"[{self._clients} connections]" if self._clients else "[idling]")
