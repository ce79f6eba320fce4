"""Fetching a URL as ``imap`` does it for a user: over ``imap-urlauth``, with that user's ids and a token."""

from __future__ import annotations

import os
import socket
import stat
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from dovecot_urlauth.admin.live.failure import LOG_HINT, LiveFailure
from dovecot_urlauth.admin.live.identity import lent
from dovecot_urlauth.admin.live.token import session_token
from dovecot_urlauth.wire.login import GREETING
from dovecot_urlauth.wire.tabescape import fields, join

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from dovecot_urlauth.admin.live.account import Account

SOCKET_NAME = "imap-urlauth"
SESSION = "dovecot-urlauth"
PATIENCE = 30.0
"""Seconds that any of the three services may take for a step."""
PIECE = 65536
"""Bytes of a message that are handed on at once."""


@dataclass(frozen=True)
class Refused:
    """The worker's NO, with its text where it gives one."""

    text: str


@dataclass(frozen=True)
class Fetched:
    """The data of a URL: its size in bytes, and the bytes in pieces."""

    size: int
    pieces: Iterator[bytes]


class UrlauthSession:
    """A user's session with the three services; use it in a ``with``."""

    def __init__(
        self, base_dir: str, secret: bytes, reader: Account, service: str = "imap", patience: float = PATIENCE
    ) -> None:
        """Connect and identify as ``reader``. Raises LiveFailure, which says which of the services failed."""
        self._patience = patience
        self._socket = _connect_as(os.path.join(base_dir, SOCKET_NAME), reader, patience)
        self._file: IO[bytes] = self._socket.makefile("rb")
        try:
            self._identify(reader, session_token(secret, reader.name, os.getpid(), SESSION, service), service)
        except LiveFailure:
            self.close()
            raise

    def close(self) -> None:
        """End the session without a word."""
        self._file.close()
        self._socket.close()

    def _identify(self, reader: Account, token: str, service: str) -> None:
        auth = join(
            b"AUTH",
            service.encode(),
            b"%d" % os.getpid(),
            os.fsencode(reader.name),
            SESSION.encode(),
            token.encode(),
        )
        self._send(GREETING + auth + b"\n")
        answer = self._line("imap-urlauth-login")
        if answer.startswith(b"VERSION\t"):
            answer = self._line("imap-urlauth")
        if answer == b"FAILED":
            raise LiveFailure("auth", f"does not accept the token of {reader.name}", LOG_HINT)
        if answer != b"OK":
            raise LiveFailure("imap-urlauth", f"refuses {reader.name}", LOG_HINT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def select(self, owner: str) -> None:
        """Ask for the mail of ``owner``. Raises LiveFailure."""
        self._send(join(b"USER", os.fsencode(owner)) + b"\n")
        if self._line("imap-urlauth-worker") != b"OK":
            raise LiveFailure("imap-urlauth-worker", f"refuses the mail of {owner}", LOG_HINT)

    def fetch(self, url: str, *, decoded: bool = False) -> Fetched | Refused:
        """Fetch ``url`` as it is, or with its transfer encoding undone. Raises LiveFailure."""
        self._send(join(b"URL", os.fsencode(url), b"binary" if decoded else b"body") + b"\n")
        word, *values = fields(self._line("imap-urlauth-worker"))
        if word == b"NO":
            texts = [value.removeprefix(b"error=") for value in values if value.startswith(b"error=")]
            return Refused(texts[0].decode(errors="replace") if texts else "")
        if word != b"OK" or not values or not values[-1].isdigit():
            raise LiveFailure("imap-urlauth-worker", "does not speak its protocol", LOG_HINT)
        size = int(values[-1])
        return Fetched(size, self._pieces(size))

    def _pieces(self, size: int) -> Iterator[bytes]:
        left = size
        while left:
            piece = self._read(min(left, PIECE))
            left -= len(piece)
            yield piece
        if size:
            self._read(1)  # the LF behind the data

    def _read(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except OSError as error:
            raise LiveFailure("imap-urlauth-worker", f"no data: {error}", LOG_HINT) from error
        if not data:
            raise LiveFailure("imap-urlauth-worker", "closed the connection amid the data", LOG_HINT)
        return data

    def _line(self, stage: str) -> bytes:
        try:
            line = self._file.readline()
        except OSError as error:
            raise LiveFailure(stage, f"no answer in {self._patience:g} seconds ({error})", LOG_HINT) from error
        if not line.endswith(b"\n"):
            raise LiveFailure(stage, "closed the connection", LOG_HINT)
        return line[:-1].removesuffix(b"\r")

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise LiveFailure(
                "imap-urlauth-login", f"closed the connection: {error.strerror}", LOG_HINT
            ) from error


def _connect_as(path: str, reader: Account, patience: float) -> socket.socket:
    """Connect with the ids that the user's imap has: imap-urlauth compares them with the userdb's.

    The kernel notes the effective ids of whoever calls connect(2), so ours are lent for that call alone.
    """
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(patience)
    try:
        with lent(reader.uid, reader.gid, [reader.gid]):
            connection.connect(path)
    except PermissionError as error:
        connection.close()
        if os.geteuid() != 0 and os.getuid() != 0:
            raise LiveFailure("imap-urlauth", "only root can ask for others", "run this as root") from error
        raise LiveFailure("imap-urlauth-login", f"{path} ({_mode(path)}) is closed to {reader.name}") from error
    except OSError as error:
        connection.close()
        raise LiveFailure("imap-urlauth-login", f"{path}: {error.strerror}", "is Dovecot running?") from error
    return connection


def _mode(path: str) -> str:
    try:
        return stat.filemode(os.stat(path).st_mode)
    except OSError:
        return "not there"
