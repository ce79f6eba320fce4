"""What the worker's parent and one of its children say to each other: one letter, and what belongs to it.

::

    P: CONNECTION <credentials>  +connection   to a spare child: serve this connection of imap-urlauth
    P: CLIENT <client>           +fds          to a spare child: the same, its handshake and USER gone through by a
                                               child that passed it on; to a serving child: one more client
    C: OFFER <key> <client>      +fds          this client asks for the mail of the target user that key stands for
    P: TAKEN                                   another child has that client now; this one is spare again
    P: KEEP                                    nobody has: become that target user, and serve it
    P: KEEP_AWAKE                              the same, but say no RESTING
    C: NOT_SHARED                              instead of OFFER: become the target user, for this client alone;
                                               later: send no more clients here
    C: ACCEPTED                                a client that was sent to a serving child is being served
    C: CLIENT_GONE <number> [<format>]         a client that was being served is gone, the first being number 0;
                                               how the mail is kept that it read: the number of one of FORMATS
    C: RESTING [<format>]                      no client asks for anything: the parent has them all now, and gives
                                               each to a child when it does

The parent has copies of the descriptors of each client that was offered, until it is given to a spare child again;
if it has none of one that should be kept the child is told KEEP_AWAKE.  So a child that serves sends no descriptor
and names no client: who rested is, to the next child, who it was when it was offered, by a child that was root.

A client is its control connection, one or two descriptors of its own, the name that it said USER with (and was
told OK to), and its access.  A serving child answers each CLIENT with ACCEPTED as soon as it has read it.  Clients
that a child has not read are taken out of its queue when it does not come to it (the parent keeps a copy of the
child's end for that), and given to another.

The parent compares keys and passes on what it is given; it understands none of it.  Each message is a datagram
(SOCK_SEQPACKET), so none can be cut short or run into the next.  When the link ends the child has nothing more to
expect, and ends with its last client.  Which word is legal when is :mod:`~dovecot_urlauth.worker.parent.monitor`'s
to say.
"""

from __future__ import annotations

import struct

from dovecot_urlauth.service.sockets import CREDENTIALS, PeerCredentials
from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.wire.control import access_line, parse_access

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.wire.control import Access

KEY_SIZE = 32
"""Bytes of what stands for a target user, fetched from by one access user over one service."""
MESSAGE_LIMIT = 16384
"""Bytes of one message: an ACCESS line has 2048 at most when it comes to us, a name less than a USER line."""

CONNECTION = b"I"
CLIENT = b"C"
TAKEN = b"T"
KEEP = b"K"
KEEP_AWAKE = b"W"
OFFER = b"O"
NOT_SHARED = b"N"
ACCEPTED = b"A"
CLIENT_GONE = b"G"
RESTING = b"R"

FORMATS = ("maildir", "mbox", "mdbox", "sdbox")
"""What the next spare child may be made ready to read."""

NAMES = {
    CONNECTION: "CONNECTION",
    CLIENT: "CLIENT",
    TAKEN: "TAKEN",
    KEEP: "KEEP",
    KEEP_AWAKE: "KEEP_AWAKE",
    OFFER: "OFFER",
    NOT_SHARED: "NOT_SHARED",
    ACCEPTED: "ACCEPTED",
    CLIENT_GONE: "CLIENT_GONE",
    RESTING: "RESTING",
}
"""As the log has them."""

_LENGTH = struct.Struct("=H")
_NUMBER = struct.Struct("=I")
GONE_SIZE = 1 + _NUMBER.size
"""Bytes of a CLIENT_GONE without a format."""


@frozen
class GivenConnection:
    """A connection of imap-urlauth that nobody has read from."""

    peer: PeerCredentials


@frozen
class GivenClient:
    """A client that has said USER."""

    name: bytes
    """What it said USER with."""
    access: Access


def pack_connection(peer: PeerCredentials) -> bytes:
    """CONNECTION, to go with the connection's descriptor."""
    return CONNECTION + CREDENTIALS.pack(peer.pid, peer.uid, peer.gid)


def pack_offer(key: bytes, name: bytes, access: Access) -> bytes:
    """OFFER, to go with the client's descriptors, the control connection's first."""
    return OFFER + key + _LENGTH.pack(len(name)) + name + access_line(access)


def offer_parts(message: bytes) -> tuple[bytes, bytes]:
    """The key of an OFFER, and the CLIENT that it becomes when the parent passes it on."""
    return message[1 : 1 + KEY_SIZE], CLIENT + message[1 + KEY_SIZE :]


def pack_gone(number: int, kept_as: str = "") -> bytes:
    """CLIENT_GONE, of a target user whose mail is ``kept_as`` one of FORMATS, or anything else."""
    return CLIENT_GONE + _NUMBER.pack(number) + _pack_format(kept_as)


def parse_gone(message: bytes) -> tuple[int, str]:
    """The client's number in a CLIENT_GONE, and the format; "" when it is none that we know."""
    [number] = _NUMBER.unpack_from(message, 1)
    return number, _format(message[GONE_SIZE:])


def pack_resting(kept_as: str = "") -> bytes:
    """RESTING, likewise."""
    return RESTING + _pack_format(kept_as)


def parse_resting(message: bytes) -> str:
    """The format in a RESTING, or ""."""
    return _format(message[1:])


def parse_given(message: bytes) -> GivenConnection | GivenClient:
    """What the parent has sent to a child; raises ValueError when it is neither."""
    try:
        if message[:1] == CONNECTION:
            return GivenConnection(PeerCredentials(*CREDENTIALS.unpack(message[1:])))
        if message[:1] == CLIENT:
            [length] = _LENGTH.unpack_from(message, 1)
            behind = 1 + _LENGTH.size + length
            return GivenClient(message[1 + _LENGTH.size : behind], parse_access(message[behind:-1]))
    except struct.error as error:
        raise ValueError("a message that is too short") from error
    raise ValueError(f"{NAMES.get(message[:1], 'nothing')} gives no client")


def _pack_format(kept_as: str) -> bytes:
    return bytes([FORMATS.index(kept_as)]) if kept_as in FORMATS else b""


def _format(number: bytes) -> str:
    return FORMATS[number[0]] if number and number[0] < len(FORMATS) else ""
