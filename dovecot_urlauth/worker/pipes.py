"""A client whose descriptors are no connected socket: pipes, files, a terminal, as stand-alone use has them."""

from __future__ import annotations

import os
from errno import EIO

from dovecot_urlauth.service.connection import Connection, ConnectionLost
from dovecot_urlauth.start.cpython import AF_UNIX, SOCK_STREAM, socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.descriptor import Descriptor
    from dovecot_urlauth.service.loop import Loop


class Pipes:
    """What :class:`Connection` is for a socket, for one descriptor that is read and one that is written."""

    __slots__ = ("_input", "_loop", "_output")

    def __init__(self, loop: Loop, fd_in: Descriptor, fd_out: Descriptor) -> None:
        """Take both over, which may be the same."""
        self._loop = loop
        self._input = fd_in
        self._output = fd_out
        for descriptor in (fd_in, fd_out):
            os.set_blocking(descriptor.fileno(), False)

    @property
    def fds(self) -> tuple[int, int]:
        """The numbers, the input's first; they stay ours."""
        return self._input.fileno(), self._output.fileno()

    async def read_line(self, seconds: float | None = None) -> bytes:
        """One byte of a line, since what follows the line may be another reader's; b"" at the end.

        Raises TimedOut, ConnectionLost.
        """
        while True:
            try:
                await self._readable(seconds)
                return os.read(self._input.fileno(), 1)
            except BlockingIOError:
                continue
            except OSError as error:
                raise _lost(error) from error

    async def write(self, data: bytes, seconds: float | None = None) -> None:
        """Send all of ``data``; ``seconds`` bound each wait. Raises TimedOut, ConnectionLost."""
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._output.fileno(), view) :]
            except BlockingIOError:
                await self._loop.writable(self._output.fileno(), seconds)
            except OSError as error:
                raise _lost(error) from error

    def widen(self) -> None:
        """See Connection.widen: pipes are as they are."""

    def close(self) -> None:
        """Close both. Twice is once."""
        for descriptor in (self._input, self._output):
            if descriptor.fileno() >= 0:
                self._loop.forget(descriptor.fileno())
                descriptor.close()

    async def _readable(self, seconds: float | None) -> None:
        try:
            await self._loop.readable(self._input.fileno(), seconds)
        except PermissionError:
            await self._loop.turn()  # a file: epoll does not take it, and it is always ready


def open_connection(loop: Loop, fd_in: Descriptor, fd_out: Descriptor) -> Connection | Pipes:
    """A client's connection from its descriptors, which are the same object when one serves both ways."""
    if fd_in is fd_out:
        try:
            client = socket(AF_UNIX, SOCK_STREAM, 0, fd_in.fileno())
        except OSError:
            return Pipes(loop, fd_in, fd_out)
        fd_in.detach()
        return Connection(loop, client)
    return Pipes(loop, fd_in, fd_out)


def _lost(error: OSError) -> ConnectionLost:
    return ConnectionLost(os.strerror(error.errno or EIO))
