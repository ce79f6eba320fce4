"""What the engine is asked for, in the words of its commands.

``URLFETCH`` opens the mailbox of its URL anew, each time, and proves the key: it is always right, and takes
Dovecot 0.1 to 0.7 ms.  ``UID FETCH`` reads from the mailbox that is open already, in 0.04 ms, and both get the
content from the same function (imap_msgpart_open in lib-imap-storage/imap-msgpart.c), to the byte.
"""

from __future__ import annotations

from dovecot_urlauth.message.section import parse_section
from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.message.request import Request


@frozen
class Asked:
    """A fetch from a mailbox that has this key."""

    uid: int
    request: Request
    key: bytes

    def urlfetch(self, url: bytes) -> bytes:
        """The command that asks for it by a URL of our own, which the key has signed."""
        return b'URLFETCH ("%s" %s)' % (url, items(self.request))


def asks(request: Request) -> bool:
    """Whether anything is asked for."""
    return request.body or request.binary or request.structure


def items(request: Request) -> bytes:
    """The items of URLFETCH; what is asked for decoded and as it is gets decoded, as in the stock worker."""
    named = [b"BODYPARTSTRUCTURE"] if request.structure else []
    if request.binary:
        named.append(b"BINARY")
    elif request.body:
        named.append(b"BODY")
    return b" ".join(named)


def uid_fetch(uid: int, request: Request) -> bytes | None:
    """The command that reads the same from the open mailbox.

    None where it has no word for it, as for BODYPARTSTRUCTURE, or none as simple.
    """
    section = request.section
    if request.structure or not asks(request) or (section and not section.replace(b".", b"").isalnum()):
        return None
    if request.partial_size is not None:
        cut = b"<%d.%d>" % (request.partial_offset, request.partial_size)
    elif request.partial_offset:
        return None
    else:
        cut = b""
    return b"UID FETCH %d %s.PEEK[%s]%s" % (uid, b"BINARY" if request.binary else b"BODY", section, cut)


def part(request: Request) -> bytes:
    """The part number whose decoding decides about a section."""
    section = request.parsed or parse_section(request.section)
    return b".".join(b"%d" % number for number in section.path)
