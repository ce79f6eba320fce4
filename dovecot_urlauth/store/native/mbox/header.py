"""The fields of a header that Dovecot keeps for itself in an mbox file, and does not show.

mbox_hide_headers in index/mbox/mbox-storage.c, removed as lib-mail/istream-header-filter.c does it: with their
continuation lines, and every line of the header that stays ends with LF alone.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen

HIDDEN = frozenset((b"content-length", b"status", b"x-imap", b"x-imapbase", b"x-keywords", b"x-status", b"x-uid"))
_UID = b"x-uid"
_BLANKS = b" \t"
_NAME_LIMIT = 1000
"""Bytes; a longer name is none (message-header-parser.c)."""


@frozen
class Header:
    """A header block as it is in the file."""

    shown: bytes
    """What Dovecot shows of it, the empty line included."""
    size: int
    """Bytes in the file."""
    is_complete: bool
    """Whether the empty line was there; without it more may follow."""
    uid: int
    """The number in the first X-UID field that has one, 0 without."""


def parse_header(data: bytes, *, colonless_line_is_name: bool = False) -> Header:
    """The header that ``data`` begins with.

    ``colonless_line_is_name``: as Dovecot 2.3.13 reads it, a line without a colon is a field's name.
    """
    shown = []
    uid = at = 0
    hides = False
    while at < len(data):
        behind = data.find(b"\n", at) + 1 or len(data)
        text = data[at:behind]
        line = text.removesuffix(b"\n")
        end = text[len(line) :]
        if end:
            line = line.removesuffix(b"\r")
            if not line:
                shown.append(b"\n")
                return Header(b"".join(shown), behind, True, uid)
        if at == 0 or line[:1] not in (b" ", b"\t"):
            name, value = _split(line, colonless_line_is_name)
            hides = name in HIDDEN
            if name == _UID and not uid:
                uid = _leading_number(_unfolded(value, data, behind))
        if not hides:
            shown += line, end
        at = behind
    return Header(b"".join(shown), len(data), False, uid)


def _split(line: bytes, colonless_line_is_name: bool) -> tuple[bytes, bytes]:
    """The name in lower case, and what stands behind the colon."""
    name, colon, value = line.partition(b":")
    if not colon:
        return (line.partition(b"\0")[0].lower() if colonless_line_is_name else b""), b""
    name = name.rstrip(_BLANKS)
    return (b"" if len(name) > _NAME_LIMIT else name.partition(b"\0")[0].lower()), value


def _unfolded(value: bytes, data: bytes, at: int) -> bytes:
    """``value`` with the continuation lines that stand at ``at``."""
    lines = [value]
    while data[at : at + 1] in (b" ", b"\t"):
        behind = data.find(b"\n", at) + 1 or len(data)
        lines.append(data[at:behind])
        at = behind
    return b"\n".join(lines)


def _leading_number(value: bytes) -> int:
    """The number in a field; 0 if there is anything else in it (parse_x_uid in mbox-sync-parse.c)."""
    if value[:1] in (b" ", b"\t"):
        value = value[1:]
    digits = value.rstrip(b" \t\n")
    return int(digits) if len(digits) <= 10 and digits.isdigit() else 0
