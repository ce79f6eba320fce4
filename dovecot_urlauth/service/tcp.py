"""A TCP connection to another machine.

Names are looked up with getaddrinfo(3), which waits without turning the loop: only a process that serves one
user's connections may ask for one.
"""

from __future__ import annotations

import os
from errno import EINPROGRESS

from dovecot_urlauth.service.connection import Connection
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
    from dovecot_urlauth.service.loop import Loop


async def connect_tcp(loop: Loop, host: str, port: int, seconds: float) -> Connection:
    """Connect to the first address of ``host`` that answers; ``seconds`` for each.

    Raises TimedOut, OSError.
    """
    error: OSError = OSError(0, "no address")
    for family, _, _, _, address in getaddrinfo(host, port, 0, SOCK_STREAM):
        connecting = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
        connection = Connection(loop, connecting)
        try:
            code = connecting.connect_ex(address)
            if code == EINPROGRESS:
                await loop.writable(connecting.fileno(), seconds)
                code = connecting.getsockopt(SOL_SOCKET, SO_ERROR)
            if code == 0:
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        error = OSError(code, os.strerror(code))
    raise error
