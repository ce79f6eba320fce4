"""Asking the config process over its UNIX socket (lib-master/master-service-settings.c).

Both generations keep the socket at ``base_dir/config``, readable by root only.  2.3 answers with text, 2.4
with an open file: the whole configuration, parsed.
"""

from __future__ import annotations

import os
from errno import ETIMEDOUT
from select import POLLIN, poll
from time import monotonic

from dovecot_urlauth.service.descriptor import Descriptor, close_all, receive_message
from dovecot_urlauth.service.sockets import connect_unix
from dovecot_urlauth.wire.config_text import ConfigRefused, ConfigReply, request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.config.wanted import Wanted
    from dovecot_urlauth.start.cpython import socket

TIME_LIMIT = 10.0
"""Seconds for the whole conversation, as in Dovecot."""

READ_SIZE = 64 * 1024

FILE_REQUEST = b"VERSION\tconfig\t3\t0\nREQ\n"
LONGEST_REPLY = 64 * 1024


class ConfigUnreachable(Exception):
    """The config process could not be asked; ``text`` says why, in Dovecot's words."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def ask_for_values(path: bytes, wanted: Wanted) -> dict[str, str]:
    """2.3: the explicit settings of ``wanted``.  Raises ConfigUnreachable, or ConfigRefused by the server."""
    deadline = monotonic() + TIME_LIMIT
    connection = _connect(path)
    try:
        connection.sendall(request(wanted.modules, wanted.service))
        return _read_reply(connection, deadline, path)
    except TimeoutError:
        raise ConfigUnreachable(f"Timeout reading config from {os.fsdecode(path)}") from None
    except OSError as error:
        raise ConfigUnreachable(f"read({os.fsdecode(path)}) failed: {error.strerror}") from None
    finally:
        connection.close()


def _read_reply(connection: socket, deadline: float, path: bytes) -> dict[str, str]:
    reply = ConfigReply()
    while True:
        connection.settimeout(max(deadline - monotonic(), 0.001))
        data = connection.recv(READ_SIZE)
        if not data:
            name = os.fsdecode(path)
            raise ConfigUnreachable(f"read({name}) disconnected before receiving end-of-settings line")
        reply.receive_data(data)
        values = reply.next_event()
        if values is not None:
            return values


def ask_for_file(path: bytes) -> int:
    """2.4: an fd of the parsed configuration, owned by the caller; its offset is shared with others' fds.

    Raises ConfigUnreachable, or ConfigRefused with the server's text.
    """
    connection = _connect(path)
    try:
        connection.sendall(FILE_REQUEST)
        data, files = _receive_file(connection, monotonic() + TIME_LIMIT)
    except OSError as error:
        raise ConfigUnreachable(f"recv({os.fsdecode(path)}) failed: {error.strerror}") from None
    finally:
        connection.close()
    close_all(files[1:])
    if data.startswith(b"+") and files:
        return files[0].detach()
    close_all(files)
    text = data.decode("utf-8", "replace").rstrip("\n")
    if text.startswith("-"):
        raise ConfigRefused(f"Failed to read config: {text[1:]}")
    if text.startswith("+"):
        raise ConfigUnreachable("Failed to read config: FD not received")
    raise ConfigUnreachable(f"Failed to read config: Unexpected reply '{text}'")


def _receive_file(connection: socket, deadline: float) -> tuple[bytes, list[Descriptor]]:
    data, files = b"", list[Descriptor]()
    waiting = poll()
    waiting.register(connection.fileno(), POLLIN)
    while not data.endswith(b"\n"):
        if not waiting.poll(max(deadline - monotonic(), 0) * 1000):
            raise TimeoutError(ETIMEDOUT, os.strerror(ETIMEDOUT))
        piece, more = receive_message(connection, READ_SIZE)
        data += piece
        files += more
        if not piece or len(data) > LONGEST_REPLY:
            break
    return data, files


def _connect(path: bytes) -> socket:
    try:
        connection = connect_unix(path, patience=TIME_LIMIT, blocking=True)
    except OSError as error:
        raise ConfigUnreachable(f"net_connect_unix({os.fsdecode(path)}) failed: {error.strerror}") from None
    connection.settimeout(TIME_LIMIT)
    return connection


__all__ = ["ConfigRefused", "ConfigUnreachable", "ask_for_values"]
