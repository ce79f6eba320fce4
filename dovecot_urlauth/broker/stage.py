"""All the sessions of one imap-urlauth process."""

from __future__ import annotations

from dovecot_urlauth.broker.session import Session
from dovecot_urlauth.service.ahead import still_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from dovecot_urlauth.broker.auth import AuthMasterConnection
    from dovecot_urlauth.broker.identity import ServiceUsers
    from dovecot_urlauth.service.callback_process import ServiceProcess
    from dovecot_urlauth.service.title import ProcessTitle


class BrokerStage:
    """Keeps the sessions, what they share, and the title."""

    keeps_listeners = False

    def __init__(
        self,
        process: ServiceProcess,
        title: ProcessTitle,
        auth: AuthMasterConnection,
        users: ServiceUsers,
        worker_path: bytes,
        ahead: socket | None,
    ) -> None:
        self.process = process
        self.auth = auth
        self.users = users
        self.worker_path = worker_path
        self._ahead = ahead
        self._title = title
        self._sessions: set[Session] = set()
        self.show_title()

    def accept(self, connection: socket) -> None:
        self._sessions.add(Session(self, connection))
        self.show_title()

    def make_room(self) -> None:
        """Only login processes are asked to."""

    def master_died(self) -> None:
        """The sessions go on for as long as the process may live."""

    def terminate(self) -> None:
        for session in list(self._sessions):
            session.shut_down()

    def child_exited(self) -> None:
        """imap-urlauth has no children."""

    def session_over(self, session: Session) -> None:
        self._sessions.discard(session)
        self.show_title()
        self.process.release()

    def take_ahead(self) -> socket | None:
        """The connection to a worker that was called at start, once, if it is still there."""
        ahead, self._ahead = self._ahead, None
        if ahead is None or still_there(ahead):
            return ahead
        ahead.close()
        return None

    def show_title(self) -> None:
        """``[idling]``, the one session's state, or how many there are."""
        if not self._sessions:
            self._title.show("[idling]")
        elif len(self._sessions) == 1:
            (session,) = self._sessions
            self._title.show(session.title)
        else:
            self._title.show(f"[{len(self._sessions)} connections]")
