"""Asking auth about users over ``auth-userdb`` (lib-auth/auth-master.c).

Connected as root, since auth answers other peers only for their own uid; the connection is kept when root
is given up, for 2.4's question whether another spelling of a name means the same user.
"""

from __future__ import annotations

import errno
import os
import select
from _socket import MSG_NOSIGNAL
from time import monotonic

from dovecot_urlauth.service.sockets import connect_unix
from dovecot_urlauth.wire.authmaster import AuthMaster, Failed, NotFound, UserReply
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from dovecot_urlauth.dialect.dialect import Dialect

CONNECT_PATIENCE = 1.0
LOOKUP_TIMEOUT = 155.0
READ_SIZE = 8192

INTERNAL_ERROR = "Internal error occurred. Refer to server log for more information."


class LookupFailed(Exception):
    """auth could not answer; ``str()`` says why, for the log."""


class UserdbConnection:
    """One connection; a lookup blocks. A connection lost between two lookups is made again once."""

    def __init__(self, dialect: Dialect, path: bytes) -> None:
        self._dialect = dialect
        self._path = path
        self._socket: socket | None = None
        self._protocol = AuthMaster(dialect.userdb_minor)
        self._last_id = 0

    def connect(self) -> None:
        """Connect now rather than at the first lookup. Raises LookupFailed."""
        try:
            self._socket = connect_unix(self._path, patience=CONNECT_PATIENCE)
            self._protocol = AuthMaster(self._dialect.userdb_minor)
            self._socket.send(self._protocol.data_to_send(), MSG_NOSIGNAL)
        except OSError as error:
            raise LookupFailed(
                f"connect({os.fsdecode(self._path)}) failed: {os.strerror(error.errno or errno.EIO)}"
            ) from error

    def disconnect(self) -> None:
        """Forget the connection; the next lookup makes a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def lookup(self, name: bytes, *, debug: bool) -> UserReply | None:
        """Return what the userdb knows of ``name``, None when there is no such user.

        Raises LookupFailed.
        """
        self._last_id += 1
        try:
            return self._ask(name, debug)
        except ValueError:
            return None  # no user can have a name that auth does not take
        except (OSError, EOFError):
            self.disconnect()  # auth was restarted: ask the new one
        try:
            return self._ask(name, debug)
        except EOFError:
            raise LookupFailed("Disconnected unexpectedly") from None
        except OSError as error:
            raise LookupFailed(os.strerror(error.errno or errno.EIO)) from error

    def _ask(self, name: bytes, debug: bool) -> UserReply | None:
        if self._socket is None:
            self.connect()
        if self._socket is None:
            raise EOFError
        self._protocol.user_lookup(self._last_id, name, self._dialect.userdb_parameter, debug=debug)
        self._socket.send(self._protocol.data_to_send(), MSG_NOSIGNAL)
        deadline = monotonic() + LOOKUP_TIMEOUT
        while True:
            try:
                event = self._protocol.next_event()
            except ProtocolError as error:
                raise LookupFailed(error.text) from error
            if event is None:
                self._protocol.receive_data(self._read(self._socket, deadline))
            elif isinstance(event, UserReply) and event.id == self._last_id:
                return event
            elif isinstance(event, NotFound) and event.id == self._last_id:
                return None
            elif isinstance(event, Failed) and event.id == self._last_id:
                raise LookupFailed(os.fsdecode(event.reason) if event.reason else INTERNAL_ERROR)

    def _read(self, connection: socket, deadline: float) -> bytes:
        readable = select.poll()
        readable.register(connection.fileno(), select.POLLIN)
        if not readable.poll(max(0, int((deadline - monotonic()) * 1000))):
            raise LookupFailed(f"Auth server request timed out after {LOOKUP_TIMEOUT:.3f} secs")
        data = connection.recv(READ_SIZE)
        if not data:
            raise EOFError
        return data
