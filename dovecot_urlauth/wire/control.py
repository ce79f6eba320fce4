r"""The control connection: imap-urlauth gives a client to imap-urlauth-worker and hears when it is done.

2.3 (ControlOrder.FD_FIRST)                          2.4 (ControlOrder.VERSION_FIRST)::

    B: 0  +fd                                            B: VERSION\timap-urlauth-worker\t2\t0
    B: VERSION\timap-urlauth-worker\t2\t0                W: VERSION\timap-urlauth-worker\t2\t0   on accept
    W: OK                                                B: 0  +fd
    B: ACCESS\tbob\timap     (need not wait for OK)      W: OK
    W: OK                                                B: ACCESS\tbob\timap
    W: FINISHED                                          W: OK
                                                         W: FINISHED

B is imap-urlauth (:class:`ControlClient`), W the worker (:class:`ControlServer`).  Byte ``0`` carries the
client's descriptor; ``1`` carries one for input only and the ``0`` after it the one for output.  ``ACCESS``
names who wants the mail (empty for anonymous), for which service, and optionally ``debug`` and
``apps=<a>,<b>``.  FINISHED means the client said END and wants another target user, DISCONNECTED that it
has gone.  (imap-urlauth-client.c, imap-urlauth-worker-client.c, imap-urlauth-worker-common.c)

States of W: the order's two, then ACCESS, ACTIVE.  Fatal: a byte that is neither ``0`` nor ``1``, a
descriptor byte without descriptor, another major version, any command but ACCESS, any input after ACCESS.
States of B: VERSION (2.4 only), INACTIVE, CONNECTED, ACTIVE, CLOSED; every line is either in the table
or fatal.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.wire.lines import LineBuffer, LineProtocol, ProtocolError
from dovecot_urlauth.wire.readable import quoted, readable
from dovecot_urlauth.wire.tabescape import fields, join
from dovecot_urlauth.wire.version import ControlOrder, is_version, version_fault, version_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PROTOCOL = b"imap-urlauth-worker"
MAJOR = 2
LINE_LIMIT = 2048  # MAX_INBUF_SIZE and MAX_CTRL_HANDSHAKE of 2.3; 2.4 has none

VERSION = version_line(PROTOCOL, MAJOR, 0)
OK = b"OK\n"
FINISHED = b"FINISHED\n"
DISCONNECTED = b"DISCONNECTED\n"

_FD_LAST = b"0"  # the (last) descriptor
_FD_INPUT = b"1"  # input only, output follows


@frozen
class Descriptors:
    """The client's descriptors, the same number twice when one serves both ways."""

    fd_in: int
    fd_out: int


@frozen
class Access:
    """Who fetches: ``user`` is None for an anonymous one; ``service`` is imap or submission."""

    user: bytes | None
    service: bytes
    applications: tuple[bytes, ...] = ()
    debug: bool = False


@frozen
class Transmission:
    """Bytes to send in one sendmsg, with a descriptor if ``fd`` is not None."""

    data: bytes
    fd: int | None


@frozen
class Active:
    """The worker now reads the client's commands."""


@frozen
class Finished:
    """The client said END: the next worker is due, then ``OK`` to the client."""


@frozen
class Disconnected:
    """The client has gone."""


class ServerState(Enum):
    """What the worker waits for."""

    FD = "fd"
    FD_OUT = "fd-out"
    VERSION = "version"
    ACCESS = "access"
    ACTIVE = "active"


_OPENING = {
    ControlOrder.FD_FIRST: (ServerState.FD, ServerState.VERSION, ServerState.ACCESS),
    ControlOrder.VERSION_FIRST: (ServerState.VERSION, ServerState.FD, ServerState.ACCESS),
}


class ControlServer(LineProtocol):
    """The worker's end.

    Give it the bytes and descriptors of each recvmsg; take events until None; send what
    :meth:`data_to_send` returns; close what :meth:`surplus_fds` returns, also after an error.  ``peer`` is
    the connection's name for log lines, like ``conn unix:pid=7,uid=0``.
    """

    def __init__(self, order: ControlOrder, peer: str, line_limit: int = LINE_LIMIT) -> None:
        super().__init__(
            LineBuffer(line_limit, "Control session aborted: Input line too long"),
            VERSION if order is ControlOrder.VERSION_FIRST else b"",
        )
        self._order = order
        self._peer = peer
        self.state = _OPENING[order][0]
        self._fds: list[int] = []
        self._fd_in: int | None = None
        self._events: list[Descriptors | Access] = []
        self._error: ProtocolError | None = None
        self._surplus: list[int] = []

    def receive_data(self, data: bytes, fds: Sequence[int] = ()) -> None:
        """Take what one recvmsg gave.

        The kernel ends a recvmsg behind the bytes that descriptors came with, so they belong to a
        descriptor byte in this very piece or to nothing.
        """
        self._fds = list(fds)
        self._lines.append(data)
        try:
            while self._error is None and _STEPS[self.state](self):
                pass
        except ProtocolError as error:
            self._error = error
            if self._fd_in is not None:
                self._surplus.append(self._fd_in)
        self._surplus += self._fds
        self._fds = []

    def next_event(self) -> Descriptors | Access | None:
        """The next event, or None until more has come; raises ProtocolError after the last good one."""
        if self._events:
            return self._events.pop(0)
        if self._error is not None:
            raise self._error
        return None

    def surplus_fds(self) -> tuple[int, ...]:
        """Descriptors that belong to nothing, for the caller to close; consumed."""
        fds = tuple(self._surplus)
        self._surplus.clear()
        return fds

    def _step_fd(self) -> bool:
        byte = self._lines.take(1)
        if not byte:
            return False
        if byte not in (_FD_LAST, _FD_INPUT):
            raise _fd_failed(f"fd_read() returned invalid byte 0x{byte[0]:2x}")
        fd = self._claim()
        if byte == _FD_INPUT:
            self._fd_in = fd
            self.state = ServerState.FD_OUT
        else:
            self._descriptors(fd, fd)
        return True

    def _step_fd_out(self) -> bool:
        byte = self._lines.take(1)
        if not byte:
            return False
        if byte != _FD_LAST or self._fd_in is None:
            raise _fd_failed(f"fd_read() returned invalid byte 0x{byte[0]:2x}")
        fd_out = self._claim()
        fd_in, self._fd_in = self._fd_in, None
        self._descriptors(fd_in, fd_out)
        return True

    def _claim(self) -> int:
        if not self._fds:
            raise _fd_failed("Handshake is missing a file descriptor")
        return self._fds.pop(0)

    def _descriptors(self, fd_in: int, fd_out: int) -> None:
        self._events.append(Descriptors(fd_in, fd_out))
        self._opened(ServerState.FD)

    def _step_version(self) -> bool:
        line = self._lines.next_line()
        if line is None:
            return False
        _VERSION_CHECKS[self._order](line, self._peer)
        self._opened(ServerState.VERSION)
        return True

    def _opened(self, done: ServerState) -> None:
        opening = _OPENING[self._order]
        self.state = opening[opening.index(done) + 1]
        if self.state is ServerState.ACCESS:
            self._output += OK

    def _step_access(self) -> bool:
        line = self._lines.next_line()
        if line is None:
            return False
        self._events.append(parse_access(line))
        self._output += OK
        self.state = ServerState.ACTIVE
        return True

    def _step_active(self) -> bool:
        if self._lines.take(1):
            raise ProtocolError("Control session aborted: Unexpected input")
        return False


_STEPS: Mapping[ServerState, Callable[[ControlServer], bool]] = {
    ServerState.FD: ControlServer._step_fd,
    ServerState.FD_OUT: ControlServer._step_fd_out,
    ServerState.VERSION: ControlServer._step_version,
    ServerState.ACCESS: ControlServer._step_access,
    ServerState.ACTIVE: ControlServer._step_active,
}


def _fd_failed(text: str) -> ProtocolError:
    return ProtocolError(text, "FD Transfer failed")


def _check_version_2_3(line: bytes, peer: str) -> None:
    if not is_version(line, PROTOCOL, MAJOR):
        raise ProtocolError(
            "imap-urlauth-worker client not compatible with this server (mixed old and new binaries?) "
            + readable(line),
            "Control session aborted: Version mismatch",
        )


def _check_version_2_4(line: bytes, peer: str) -> None:
    fault = version_fault(line, PROTOCOL, MAJOR)
    if fault is not None:
        raise ProtocolError(f"{peer}: {fault}", "Control session aborted: Received bad VERSION line")


_VERSION_CHECKS = {
    ControlOrder.FD_FIRST: _check_version_2_3,
    ControlOrder.VERSION_FIRST: _check_version_2_4,
}


def access_line(access: Access) -> bytes:
    """The ACCESS command, LF included."""
    optional = [b"debug"] if access.debug else []
    if access.applications:
        optional.append(b"apps=" + b",".join(access.applications))
    return join(b"ACCESS", access.user or b"", access.service, *optional) + b"\n"


def parse_access(line: bytes) -> Access:
    """What an ACCESS line, without its LF, grants; raises ProtocolError."""
    word, *rest = fields(line) or [b""]
    if word != b"ACCESS":
        raise _invalid("control command", line)
    if len(rest) < 2:
        raise _invalid("ACCESS command", line)
    applications: tuple[bytes, ...] = ()
    debug = False
    for parameter in rest[2:]:
        name, _, value = parameter.partition(b"=")
        if parameter.lower() == b"debug":
            debug = True
        elif name.lower() == b"apps" and value:
            applications = tuple(application for application in value.split(b",") if application)
        else:
            raise _invalid("ACCESS parameter", parameter)
    return Access(rest[0] or None, rest[1], applications, debug)


def _invalid(what: str, data: bytes) -> ProtocolError:
    return ProtocolError(f"Invalid {what}: {quoted(data)}", "Control session aborted: Invalid command")


class ClientState(Enum):
    """How far the worker is."""

    VERSION = "version"
    INACTIVE = "inactive"
    CONNECTED = "connected"
    ACTIVE = "active"
    CLOSED = "closed"


_FIRST_STATE = {
    ControlOrder.FD_FIRST: ClientState.INACTIVE,
    ControlOrder.VERSION_FIRST: ClientState.VERSION,
}
_EXPECTED: Mapping[tuple[ClientState, bytes], tuple[ClientState, Active | Finished | Disconnected | None]] = {
    (ClientState.INACTIVE, b"OK"): (ClientState.CONNECTED, None),
    (ClientState.CONNECTED, b"OK"): (ClientState.ACTIVE, Active()),
    (ClientState.ACTIVE, b"FINISHED"): (ClientState.CLOSED, Finished()),
    (ClientState.ACTIVE, b"DISCONNECTED"): (ClientState.CLOSED, Disconnected()),
}
_UNEXPECTED = {
    ClientState.INACTIVE: "Worker handshake failed",
    ClientState.CONNECTED: "Failed to negotiate access parameters",
    ClientState.ACTIVE: "Worker finished with unknown response",
}


class ControlClient(LineProtocol):
    """imap-urlauth's end of a connection to one worker, for one client.

    Send :meth:`opening` on connect; give it what the worker answers, take events until None, send
    :meth:`data_to_send`.  A ProtocolError ends the client's session: its ``reason`` is that of the line
    about the disconnect.
    """

    def __init__(self, order: ControlOrder, access: Access, peer: str, line_limit: int = LINE_LIMIT) -> None:
        self._order = order
        self._access = access
        self._peer = peer
        super().__init__(LineBuffer(line_limit))
        self.state = _FIRST_STATE[order]

    def opening(self, fd_in: int, fd_out: int) -> list[Transmission]:
        """What to send first, each in a sendmsg of its own.

        2.3's worker reads the descriptor's byte alone, and VERSION and ACCESS from one packet: all of it is there
        when it looks.  2.4's has been seen with ACCESS behind its OK alone.
        """
        is_whole = self._order is ControlOrder.FD_FIRST
        rest = VERSION + access_line(self._access) if is_whole else b""
        passing = [Transmission(_FD_LAST + rest, fd_out)]
        if fd_in != fd_out:
            passing.insert(0, Transmission(_FD_INPUT, fd_in))
        return passing if is_whole else [Transmission(VERSION, None), *passing]

    def next_event(self) -> Active | Finished | Disconnected | None:
        """The next event, or None until more has come; raises ProtocolError."""
        while self.state is not ClientState.CLOSED:
            try:
                line = self._lines.next_line()
            except ProtocolError:
                raise ProtocolError(reason="Worker sent too large input") from None
            if line is None:
                return None
            event = self._read(line)
            if event is not None:
                return event
        return None

    def _read(self, line: bytes) -> Active | Finished | Disconnected | None:
        if self.state is ClientState.VERSION:
            fault = version_fault(line, PROTOCOL, MAJOR)
            if fault is not None:
                raise ProtocolError(
                    f"{self._peer}: {fault}", reason="Handshake with imap-urlauth-worker service failed"
                )
            self.state = ClientState.INACTIVE
            return None
        word = line.partition(b"\t")[0].upper()
        expected = _EXPECTED.get((self.state, word))
        if expected is None:
            raise ProtocolError(reason=_UNEXPECTED[self.state])
        self.state, event = expected
        if self.state is ClientState.CONNECTED and self._order is ControlOrder.VERSION_FIRST:
            self._output += access_line(self._access)
        return event

    def receive_eof(self) -> None:
        """The worker closed its end: the end of the session unless it had said goodbye."""
        if self.state is not ClientState.CLOSED:
            raise ProtocolError(reason="Worker disconnected unexpectedly")


__all__ = [
    "DISCONNECTED",
    "FINISHED",
    "LINE_LIMIT",
    "OK",
    "VERSION",
    "Access",
    "Active",
    "ClientState",
    "ControlClient",
    "ControlOrder",
    "ControlServer",
    "Descriptors",
    "Disconnected",
    "Finished",
    "ServerState",
    "Transmission",
    "access_line",
    "parse_access",
]
