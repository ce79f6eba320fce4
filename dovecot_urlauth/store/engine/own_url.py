"""The names and URLs in which the engine is asked: modified UTF-7 and URLAUTH URLs of our own.

The caller's URL is checked by us and never passed on: to the engine the accessor is the target user, whom the
caller's access rule (``user+carol``, ``submit+carol``) would refuse.
"""

from __future__ import annotations

from binascii import hexlify

from dovecot_urlauth.store.native.names import to_mutf7
from dovecot_urlauth.url.token import mint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.request import Request

# RFC 3986's unreserved characters but the dot: a path loses segments that are one or two of them.
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~")
_PERCENT = tuple(bytes((byte,)) if byte in _PLAIN else b"%%%02x" % byte for byte in range(256))


def own_url(
    user: bytes, host: bytes, mailbox: bytes, uidvalidity: int, uid: int, request: Request, key: bytes
) -> bytes:
    """A signed URL (RFC 4467, 5092) of what ``request`` names, for ``user`` to fetch; uidvalidity 0: any.

    ``host`` is the one that the engine takes for its own, with the port where it has one.
    """
    parts = [b"imap://", _encode(user), b"@", host, b"/", _encode(mailbox)]
    if uidvalidity:
        parts.append(b";UIDVALIDITY=%d" % uidvalidity)
    parts.append(b"/;UID=%d" % uid)
    if request.section:
        parts.append(b"/;SECTION=" + _encode(request.section))
    if request.partial_size is not None:
        parts.append(b"/;PARTIAL=%d.%d" % (request.partial_offset, request.partial_size))
    elif request.partial_offset:
        parts.append(b"/;PARTIAL=%d" % request.partial_offset)
    parts.append(b";URLAUTH=authuser")
    rump = b"".join(parts)
    return rump + b":INTERNAL:" + hexlify(mint(key, rump))


def quoted_mailbox(name: str) -> bytes:
    """A mailbox name as a quoted string in modified UTF-7 (RFC 3501 section 5.1.3)."""
    return quoted(to_mutf7(name))


def quoted(text: bytes) -> bytes:
    """A quoted string (RFC 3501 section 4.3)."""
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _encode(text: bytes) -> bytes:
    return b"".join([_PERCENT[byte] for byte in text])
