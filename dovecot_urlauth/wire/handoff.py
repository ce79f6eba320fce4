"""The hand-off: imap-urlauth-login gives an authenticated client to imap-urlauth.

Login connects to ``token-login/imap-urlauth`` and sends, in one sendmsg, the client's descriptor and::

    head   which request of which auth process succeeded (the cookie proves it), the client's inode
    data   login's session id, NUL, and what the client sent beyond its AUTH line

imap-urlauth answers with twelve bytes (tag, status, its own pid) and only then speaks to the client.  One
connection carries one hand-off.  Addresses and ports are zero, since clients come over a UNIX socket; the
two layouts differ only in the size of an address (lib-master/master-auth.h, lib-login/login-interface.h).

States of the receiver: HEAD (96 or 104 bytes), DATA, DONE.  Fatal: a data size above the limit, an end in
the middle, no descriptor, more bytes than announced.  Whether the inode is the descriptor's own is for the
caller to see.
"""

from __future__ import annotations

import struct

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

DATA_LIMIT = 1218  # MASTER_AUTH_MAX_DATA_SIZE, LOGIN_REQUEST_MAX_DATA_SIZE
COOKIE_SIZE = 16
REPLY_SIZE = 12

STATUS_OK = 0
STATUS_INTERNAL_ERROR = 1

FLAG_CONN_SECURED = 2  # 2.3 only; 2.4 has no word for a client on a UNIX socket

_REPLY = struct.Struct("=Iii")
_PORTS = "HH"


@frozen
class HandoffLayout:
    """One generation's struct: the bytes per IP address and the flags that login sets."""

    address_size: int
    flags: int


LAYOUT_2_3 = HandoffLayout(address_size=20, flags=FLAG_CONN_SECURED)
LAYOUT_2_4 = HandoffLayout(address_size=24, flags=0)


@frozen
class Handoff:
    """One authenticated client; ``auth_pid``, ``client_pid`` and ``cookie`` come from the auth handshake."""

    tag: int
    auth_pid: int
    auth_id: int
    client_pid: int
    cookie: bytes
    flags: int
    ino: int
    data: bytes

    @property
    def session(self) -> bytes:
        """Login's session id: the data up to its first NUL."""
        return self.data.partition(b"\0")[0]


@frozen
class HandoffReceived:
    """A complete hand-off and its client's descriptor, which the caller now owns."""

    handoff: Handoff
    fd: int


@frozen
class HandoffReply:
    """imap-urlauth's answer; ``mail_pid`` is the process that took the client."""

    tag: int
    status: int
    mail_pid: int


def _head(layout: HandoffLayout) -> struct.Struct:
    return struct.Struct(f"=IiIi{COOKIE_SIZE}s{2 * layout.address_size}x{_PORTS}II4xQ")


def size(layout: HandoffLayout) -> int:
    """Bytes of the head: 96 or 104."""
    return _head(layout).size


def pack(layout: HandoffLayout, handoff: Handoff) -> bytes:
    """Head and data for the sendmsg; raises ValueError when the data exceed DATA_LIMIT."""
    if len(handoff.data) > DATA_LIMIT:
        raise ValueError(f"hand-off data of {len(handoff.data)} bytes, at most {DATA_LIMIT} fit")
    if len(handoff.cookie) != COOKIE_SIZE:
        raise ValueError(f"cookie of {len(handoff.cookie)} bytes")
    head = _head(layout).pack(
        handoff.tag,
        handoff.auth_pid,
        handoff.auth_id,
        handoff.client_pid,
        handoff.cookie,
        0,
        0,
        handoff.flags,
        len(handoff.data),
        handoff.ino,
    )
    return head + handoff.data


def unpack(layout: HandoffLayout, head: bytes) -> tuple[Handoff, int]:
    """The hand-off of a complete head, still without data, and the size of its data."""
    tag, auth_pid, auth_id, client_pid, cookie, _, _, flags, data_size, ino = _head(layout).unpack(head)
    if data_size > DATA_LIMIT:
        raise ProtocolError("Too large auth data_size sent")
    return Handoff(tag, auth_pid, auth_id, client_pid, cookie, flags, ino, b""), data_size


def _with_data(head: Handoff, data: bytes) -> Handoff:
    return Handoff(
        tag=head.tag,
        auth_pid=head.auth_pid,
        auth_id=head.auth_id,
        client_pid=head.client_pid,
        cookie=head.cookie,
        flags=head.flags,
        ino=head.ino,
        data=data,
    )


def pack_reply(tag: int, status: int, mail_pid: int) -> bytes:
    """The twelve bytes that imap-urlauth answers; status is STATUS_OK or STATUS_INTERNAL_ERROR."""
    return _REPLY.pack(tag, status, mail_pid)


def unpack_reply(reply: bytes) -> HandoffReply:
    """The answer; raises struct.error unless it has REPLY_SIZE bytes."""
    return HandoffReply(*_REPLY.unpack(reply))


class State(Enum):
    """What the receiver waits for."""

    HEAD = "head"
    DATA = "data"
    DONE = "done"


class HandoffReader:
    """imap-urlauth's end of a login connection.

    Give it each recvmsg's bytes and descriptors.  The first descriptor is the client; any other is in
    :meth:`surplus_fds`, and so is the client's after an error, for the caller to close.
    """

    def __init__(self, layout: HandoffLayout) -> None:
        self.state = State.HEAD
        self._layout = layout
        self._wanted = size(layout)
        self._bytes = bytearray()
        self._head: Handoff | None = None
        self._fds: list[int] = []
        self._surplus: list[int] = []

    def receive_data(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Append what one recvmsg gave."""
        self._bytes += data
        room = 1 if not self._fds and self.state is not State.DONE else 0
        self._fds += fds[:room]
        self._surplus += fds[room:]

    def next_event(self) -> HandoffReceived | None:
        """The hand-off and its client's descriptor once they are complete, else None."""
        try:
            return self._advance()
        except ProtocolError:
            self._surplus += self._fds
            self._fds = []
            raise

    def _advance(self) -> HandoffReceived | None:
        """Go on from state to state as far as the bytes reach."""
        while True:
            before = self.state
            event = _STEPS[before](self)
            if event is not None or self.state is before:
                return event

    def _read_head(self) -> None:
        if len(self._bytes) >= self._wanted:
            self._head, self._wanted = unpack(self._layout, self._take(self._wanted))
            self.state = State.DATA

    def _read_data(self) -> HandoffReceived | None:
        if len(self._bytes) < self._wanted or self._head is None:
            return None
        data = self._take(self._wanted)
        if not self._fds:
            raise ProtocolError("Auth request missing a file descriptor")
        self.state = State.DONE
        return HandoffReceived(_with_data(self._head, data), self._fds.pop())

    def _read_more(self) -> None:
        if self._bytes:
            raise ProtocolError("Login client sent more than one auth request")

    def _take(self, count: int) -> bytes:
        taken = bytes(self._bytes[:count])
        del self._bytes[:count]
        return taken

    def receive_eof(self) -> None:
        """Login closed its end: fine before the first byte and after the last, else ProtocolError."""
        self._surplus += self._fds
        self._fds = []
        got = len(self._bytes)
        complaint = _CUT_OFF.get((self.state, bool(got)))
        if complaint is not None:
            raise ProtocolError(complaint.format(got=got, wanted=self._wanted))

    def surplus_fds(self) -> tuple[int, ...]:
        """Descriptors that nobody wants, handed out once, for the caller to close."""
        fds = tuple(self._surplus)
        self._surplus.clear()
        return fds


_STEPS: Mapping[State, Callable[[HandoffReader], HandoffReceived | None]] = {
    State.HEAD: HandoffReader._read_head,
    State.DATA: HandoffReader._read_data,
    State.DONE: HandoffReader._read_more,
}
_CUT_OFF = {
    (State.HEAD, True): "fd_read() partial input ({got}/{wanted})",
    (State.DATA, False): "Login client disconnected too early (while reading data)",
    (State.DATA, True): "Data read partially {got}/{wanted}",
}
"""Where login's end may not come: state, whether bytes are there, and what the log says."""


__all__ = [
    "COOKIE_SIZE",
    "DATA_LIMIT",
    "FLAG_CONN_SECURED",
    "LAYOUT_2_3",
    "LAYOUT_2_4",
    "REPLY_SIZE",
    "STATUS_INTERNAL_ERROR",
    "STATUS_OK",
    "Handoff",
    "HandoffLayout",
    "HandoffReader",
    "HandoffReceived",
    "HandoffReply",
    "pack",
    "pack_reply",
    "size",
    "unpack",
    "unpack_reply",
]
