"""VERSION lines, with which both ends of most Dovecot connections begin.

``VERSION TAB name TAB major TAB minor`` names the protocol; a different major number means that the two
ends cannot talk.  auth's own protocols leave the name out: ``VERSION TAB major TAB minor``.  Two readers
exist in Dovecot: lib/master-service.c (``version_string_verify``) only says yes or no, lib/connection.c
(2.4) tells three faults apart.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum
from dovecot_urlauth.wire.number import decimal
from dovecot_urlauth.wire.readable import readable
from dovecot_urlauth.wire.tabescape import fields


class ControlOrder(Enum):
    """What opens a control connection: before 2.4 a descriptor, then VERSION.

    It is here and not in control.py because login, which speaks no control protocol, knows the dialects, too.
    """

    FD_FIRST = "fd-first"
    VERSION_FIRST = "version-first"


def version_line(name: bytes, major: int, minor: int) -> bytes:
    """The line, LF included."""
    return b"VERSION\t%s\t%d\t%d\n" % (name, major, minor)


def is_version(line: bytes, name: bytes, major: int) -> bool:
    """Whether the line announces the named protocol in this major version, whatever the minor."""
    parts = line.split(b"\t", 4)
    return (
        len(parts) == 4
        and parts[:2] == [b"VERSION", name]
        and decimal(parts[2]) == major
        and decimal(parts[3]) is not None
    )


def version_fault(line: bytes, name: bytes, major: int) -> str | None:
    """What 2.4 logs, behind the connection's name, about a line that is not this VERSION; None if it is."""
    parts = fields(line)
    if len(parts) < 4 or parts[0] != b"VERSION":
        return f"didn't reply with a valid VERSION line: {readable(line)}"
    if parts[1] != name:
        wanted, got = readable(name), readable(parts[1])
        return f"Received wrong socket type. We want '{wanted}', but received '{got}' (wrong socket path?)"
    theirs, minor = decimal(parts[2]), decimal(parts[3])
    if theirs is None or minor is None:
        return f"didn't reply with a valid VERSION line: {readable(line)}"
    if theirs != major:
        return f"Socket supports major version {theirs}, but we support only {major} (mixed old and new binaries?)"
    return None


def auth_version(line: bytes) -> tuple[int, int] | None:
    """Major and minor of auth's ``VERSION TAB major TAB minor``, or None if it is no such line."""
    parts = line.split(b"\t")
    if len(parts) != 3 or parts[0] != b"VERSION":
        return None
    major, minor = decimal(parts[1]), decimal(parts[2])
    return None if major is None or minor is None else (major, minor)


__all__ = ["ControlOrder", "auth_version", "is_version", "version_fault", "version_line"]
