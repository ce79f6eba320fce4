"""A child's life: spare, at the reception, then spare again or the process of a target user to its end."""

from __future__ import annotations

import select

from dovecot_urlauth.service.environment import DEAD_PIPE_FD
from dovecot_urlauth.worker.household import Household
from dovecot_urlauth.worker.link import ALONE
from dovecot_urlauth.worker.reception import Reception
from dovecot_urlauth.worker.userdb import LookupFailed, UserdbConnection
from dovecot_urlauth.worker.waiting import DIE_WITH_MASTER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.sockets import PeerCredentials
    from dovecot_urlauth.worker.link import ParentLink
    from dovecot_urlauth.worker.reception import Visit
    from dovecot_urlauth.worker.target import WorkerConfig
    from dovecot_urlauth.worker.waiting import Watch


class Child:
    """Serves connections of imap-urlauth; raises PrivilegesKept when the process must end at once."""

    def __init__(self, config: WorkerConfig, log: Log, show_title: Callable[[str], None], watch: Watch) -> None:
        self._config = config
        self._log = log
        self._show_title = show_title
        self._watch = watch
        self._userdb = UserdbConnection(config.dialect, config.userdb_path)
        self._reception = Reception(config, self._userdb, log, watch)
        _watch_master(watch)

    def serve(self, connection: socket, peer: PeerCredentials) -> None:
        """Serve one connection, which is the process's only one."""
        visit = self._reception.receive(connection, peer)
        if visit is not None:
            self._keep_house(visit, None)

    def wait_and_serve(self, link: ParentLink) -> None:
        """Serve what the parent sends over ``link``, as long as it is there."""
        from dovecot_urlauth.worker.rehearsal import rehearse

        try:
            self._userdb.connect()
        except LookupFailed:
            self._userdb.disconnect()  # the lookup tries again, and says what is wrong
        rehearse(self._config)
        debugging = self._log.pipe.debugging
        while self._serve_next(link):
            self._log.pipe.debugging = debugging

    def _serve_next(self, link: ParentLink) -> bool:
        """Wait for a connection and see to it; whether the process can be a spare again."""
        self._show_title("[spare]")
        given = link.await_connection()
        visit = None if given is None else self._reception.receive(*given)
        if visit is None:
            return False
        guest, key = visit.guest, visit.resident.key
        if key is None:
            link.say(ALONE)
            self._keep_house(visit, None)
            return False
        if not link.offer(key, guest.access, guest.fds):
            self._keep_house(visit, link)
            return False
        guest.close()
        return True

    def _keep_house(self, visit: Visit, link: ParentLink | None) -> None:
        household = Household(self._config, self._userdb, self._log, self._show_title, self._watch, link)
        household.serve(visit.resident, visit.guest)


def _watch_master(watch: Watch) -> None:
    """Notice master's death, which leaves the clients half a minute."""

    def master_died() -> None:
        watch.remove(DEAD_PIPE_FD)
        watch.end_within(DIE_WITH_MASTER)

    watch.add(DEAD_PIPE_FD, master_died, select.POLLERR)
