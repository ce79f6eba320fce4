"""The names and URLs in which the engine is asked: modified UTF-7 and URLAUTH URLs of our own.

The caller's URL is checked by us and never passed on: to the engine the accessor is the target user, whom the
caller's access rule (``user+carol``, ``submit+carol``) would refuse.
"""

from __future__ import annotations

from binascii import b2a_base64, hexlify

from dovecot_urlauth.store.engine_start import OUR_HOST
from dovecot_urlauth.url.token import mint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.fetch import Request

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PERCENT = tuple(bytes((byte,)) if byte in _UNRESERVED else b"%%%02x" % byte for byte in range(256))


def own_url(user: bytes, mailbox: bytes, uidvalidity: int, uid: int, request: Request, key: bytes) -> bytes:
    """A signed URL (RFC 4467, 5092) of what ``request`` names, for ``user`` to fetch; uidvalidity 0: any."""
    parts = [b"imap://", _encode(user), b"@", OUR_HOST, b"/", _encode(mailbox)]
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
    encoded = bytearray()
    run = ""
    for character in name:
        if " " <= character <= "~":
            encoded += _shifted(run) + (b"&-" if character == "&" else character.encode())
            run = ""
        else:
            run += character
    encoded += _shifted(run)
    return b'"' + bytes(encoded).replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def _shifted(run: str) -> bytes:
    if not run:
        return b""
    # Not by the utf-16 codec: it is loaded on first use, from files that a chroot may have taken away.
    base64 = b2a_base64(b"".join(map(_utf16, run)), newline=False)
    return b"&" + base64.rstrip(b"=").replace(b"/", b",") + b"-"


def _utf16(character: str) -> bytes:
    code = ord(character)
    if code < 0x10000:
        return code.to_bytes(2, "big")
    high, low = divmod(code - 0x10000, 0x400)
    return (0xD800 + high).to_bytes(2, "big") + (0xDC00 + low).to_bytes(2, "big")


def _encode(text: bytes) -> bytes:
    return b"".join([_PERCENT[byte] for byte in text])
