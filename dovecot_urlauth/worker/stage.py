"""Accepting: who may connect, and one child for each target user.

The parent reads nothing from a connection.  Under stock service settings (one client in the process's whole
life) there is nothing left for a parent to do, and the process serves the connection itself.
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.privileges import PrivilegesKept
from dovecot_urlauth.service.run import EXIT_FATAL, EXIT_OK, describe
from dovecot_urlauth.service.sockets import PeerCredentials, peer_credentials
from dovecot_urlauth.worker.child import Child
from dovecot_urlauth.worker.waiting import ConnectionOver, Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from dovecot_urlauth.service.callback_process import ServiceProcess
    from dovecot_urlauth.service.title import ProcessTitle
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
            from dovecot_urlauth.worker.link import ParentLink

            self._process.leave_to_parent()
            child = self._new_child(Watch())
            return self._guard(lambda: child.wait_and_serve(ParentLink(link)))
        except BaseException as error:
            self._process.log.fatal(f"Unexpected {describe(error)}")
            return EXIT_FATAL

    def _serve_here(self, connection: socket, peer: PeerCredentials) -> None:
        def end_on_sigterm() -> None:
            if self._process.was_terminated():
                raise ConnectionOver

        watch = Watch()
        watch.add(self._process.signals_fd, end_on_sigterm)
        child = self._new_child(watch)
        status = self._guard(lambda: child.serve(connection, peer))
        self._process.release()
        self.exit_status = status

    def _new_child(self, watch: Watch) -> Child:
        log = self._process.log.with_prefix(f"{self._process.environment.service_name}({os.getpid()}): ")
        return Child(self._config, log, self._title.show, watch)

    def _guard(self, serve: Callable[[], None]) -> int:
        """Serve, and turn every way out into an exit status."""
        try:
            serve()
        except PrivilegesKept as error:
            self._process.log.fatal(str(error))
            return EXIT_FATAL
        except ConnectionOver as over:
            if over.text:
                self._process.log.error(over.text)
        return EXIT_OK

    def _report(self, pid: int, status: int) -> None:
        if os.WIFSIGNALED(status):
            self._process.log.error(f"child {pid} killed with signal {os.WTERMSIG(status)}")
        elif status:
            self._process.log.error(f"child {pid} returned error {os.WEXITSTATUS(status)}")

    def _show_clients(self, count: int) -> None:
        self._title.show(f"[{count} connections]" if count else "[idling]")
