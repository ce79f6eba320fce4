"""A TCP connection to another machine.

Names are looked up with getaddrinfo(3), which waits without turning the loop: only a process that serves one
user's connections may ask for one.
"""

from __future__ import annotations

import os
from errno import EINPROGRESS

from dovecot_urlauth.service.connection import Connection
from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.start.cpython import (
    SO_ERROR,
    SOCK_CLOEXEC,
    SOCK_NONBLOCK,
    SOCK_STREAM,
    SOL_SOCKET,
    getaddrinfo,
    socket,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dovecot_urlauth.service.loop import Loop


async def connect_tcp(loop: Loop, host: str, port: int, seconds: float) -> Connection:
    """Connect to the first address of ``host`` that answers, within ``seconds`` in all.

    An address that is silent may use up its share of the time that is left, so that the others get theirs.
    Raises, of the last address, TimedOut or OSError.
    """
    until = loop.now() + seconds
    error: OSError | TimedOut = OSError(0, "no address")
    found = getaddrinfo(host, port, 0, SOCK_STREAM)
    for left, (family, _, _, _, address) in zip(range(len(found), 0, -1), found, strict=True):
        try:
            return await _connect(loop, family, address, max(0.0, until - loop.now()) / left)
        except (OSError, TimedOut) as failed:
            error = failed
    raise error


async def _connect(loop: Loop, family: int, address: Any, seconds: float) -> Connection:
    """Connect to one address. Raises TimedOut, OSError."""
    connecting = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
    connection = Connection(loop, connecting)
    try:
        code = connecting.connect_ex(address)
        if code == EINPROGRESS:
            await loop.writable(connecting.fileno(), seconds)
            code = connecting.getsockopt(SOL_SOCKET, SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except BaseException:
        connection.close()
        raise
    return connection
