r"""Log records: what a service process writes to fd 2 for Dovecot's log process.

A record is one line, or several when its text is long (lib/failures.c)::

    0x01  type  pid in decimal  SP  text  LF

    \x01\x086221 prefix=imap-urlauth-login: \n      from now on this pid's records carry this prefix
    \x01\x026221 Logged in: user=<bob>, ...\n       one record at severity info

The pipe is shared by all processes of the service, so each line must go out in one atomic write and may not
exceed PIPE_BUF.  Whatever the text holds, it is made readable here: a LF of a client would start a line that
nobody wrote, a NUL would hide the rest of the line from the log process, which reads C strings.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum
from dovecot_urlauth.wire.readable import readable

RECORD_LIMIT = 4096  # PIPE_BUF: head, text and LF
_OPTION = 0x08


class Severity(Enum):
    """The type byte of a record."""

    DEBUG = 1
    INFO = 2
    WARNING = 3
    ERROR = 4
    FATAL = 5
    PANIC = 6


def encode(severity: Severity, pid: int, text: str) -> list[bytes]:
    """The record as lines to be written with one ``write`` each."""
    head = b"\x01%c%d " % (severity.value, pid)
    room = RECORD_LIMIT - len(head) - 1
    line = readable(text).encode()
    return [b"%s%s\n" % (head, line[start : start + room]) for start in range(0, max(len(line), 1), room)]


def encode_prefix(pid: int, prefix: str) -> bytes:
    """The line that sets the log prefix of a process, cut to one record if need be."""
    head = b"\x01%c%d prefix=" % (_OPTION, pid)
    return b"%s%s\n" % (head, readable(prefix).encode()[: RECORD_LIMIT - len(head) - 1])


__all__ = ["RECORD_LIMIT", "Severity", "encode", "encode_prefix"]
