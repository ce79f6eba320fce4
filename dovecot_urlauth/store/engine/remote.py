"""Another backend's ``imap`` as the engine: somebody else has the password and logs in, we hold a pipe.

What comes over the pipe begins like a session that is logged in, ``* PREAUTH``, or ends with the reason why there
is none, ``* BYE``.  With the first the connection itself may come, which then takes the pipe's place.
"""

from __future__ import annotations

from dovecot_urlauth.service.connection import Connection, ConnectionLost
from dovecot_urlauth.service.descriptor import close_all
from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.store.engine.imap_process import EngineGone
from dovecot_urlauth.store.errors import StoreFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.start.cpython import socket


FEW, MANY = 16 * 1024, 256 * 1024
"""Bytes that are read at once: many only where a few were not all, since making room for them takes longer."""
PREAUTH = b"* PREAUTH"
"""How a session begins where the login went well."""


class RemoteImap:
    """A session at another backend; an Imap of dialogue.py."""

    is_remote = True
    last_complaint = ""

    def __init__(self, loop: Loop, pipe: socket) -> None:
        self._loop = loop
        self._pipe = Connection(loop, pipe)
        self._has_begun = False
        self._room = FEW

    def send(self, line: bytes) -> None:
        """Send a command; the pipe is empty between commands, and takes any.

        Whoever has gone may have said why, which is there to be read.
        """
        if not self._pipe.closed:
            self._pipe.send_now(line)

    async def read(self, seconds: float) -> bytes:
        """What the backend said, waiting for at most ``seconds`` (StoreFailure when they pass)."""
        try:
            data = b"" if self._pipe.closed else await self._receive(seconds)
        except TimedOut:
            raise StoreFailure(f"imap: no answer from the backend for {seconds:g} seconds") from None
        except ConnectionLost:
            data = b""
        if not data:
            raise EngineGone("connection to the backend was lost")
        return data

    async def _receive(self, seconds: float) -> bytes:
        if self._has_begun:
            data = await self._pipe.read(self._room, seconds)
            self._room = FEW if len(data) < FEW else MANY
            return data
        self._has_begun = True
        data, descriptors = await self._pipe.read_message(FEW, seconds)
        if descriptors:
            pipe, self._pipe = self._pipe, Connection(self._loop, descriptors.pop())
            pipe.close()
        close_all(descriptors)
        return data

    def has_spoken(self) -> bool:
        """Whether something, or the end, waits to be read."""
        try:
            return self._pipe.closed or self._pipe.waiting(1) is not None
        except ConnectionLost:
            return True

    def has_refused(self) -> bool:
        """Whether it is known, before anything was read, that nobody was let in."""
        if self._has_begun:
            return False
        try:
            waiting = b"" if self._pipe.closed else self._pipe.waiting(len(PREAUTH))
        except ConnectionLost:
            return True
        return waiting is not None and (not waiting or not PREAUTH.startswith(waiting))

    def close(self) -> None:
        """End the session; the backend ends with its connection."""
        self._pipe.close()

    def kill(self) -> None:
        """The same: there is no process of ours to end."""
        self._pipe.close()
