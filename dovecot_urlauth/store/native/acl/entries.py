"""Lines of ACL files: ``user=bob lr``, ``-anyone w``, ``"group=two words" l :read``.

Matches acl_rights_parse_line and acl_right_names_parse (plugins/acl/acl-api.c, in 2.4 acl-rights.c) and, for
files that begin each line with a pattern of mailbox names, acl-global-file.c.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum, frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    Result = TypeVar("Result")


class Kind(Enum):
    """What an identifier is, in the order in which a later one replaces an earlier one."""

    ANYONE = 0
    AUTHENTICATED = 1
    GROUP = 2
    OWNER = 3
    USER = 4
    GROUP_OVERRIDE = 5


LETTERS: Mapping[str, bytes] = {
    "l": b"lookup",
    "r": b"read",
    "w": b"write",
    "s": b"write-seen",
    "t": b"write-deleted",
    "i": b"insert",
    "p": b"post",
    "e": b"expunge",
    "k": b"create",
    "x": b"delete",
    "a": b"admin",
}
"""RFC 4314's rights by letter, as Dovecot names them."""
ALL = frozenset(LETTERS.values())

NAMED = {
    b"owner": Kind.OWNER,
    b"authenticated": Kind.AUTHENTICATED,
    b"anyone": Kind.ANYONE,
    b"anonymous": Kind.ANYONE,
}
PREFIXED = ((b"user=", Kind.USER), (b"group=", Kind.GROUP), (b"group-override=", Kind.GROUP_OVERRIDE))

BLANKS = b" \t"


class AclSyntaxError(Exception):
    """A line is none; ``text`` is what Dovecot says of it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@frozen
class Entry:
    """One line: rights that are given, and rights that are taken away; None is other than none at all."""

    kind: Kind
    name: bytes
    """Of the user or the group."""
    rights: frozenset[bytes] | None
    negative: frozenset[bytes] | None
    is_global: bool = False
    """From a file for all users, which weighs more than the mailbox's own."""


def parse_file(data: bytes, *, is_global: bool = False) -> list[Entry]:
    """All entries of a mailbox's ACL file.  Raises AclSyntaxError, which names the line."""
    return _each_line(data, lambda line: parse_entry(line, is_global=is_global))


def parse_global_file(data: bytes) -> list[tuple[bytes, Entry]]:
    """All entries of a file for all mailboxes, each with its pattern.  Raises AclSyntaxError."""
    return _each_line(data, _parse_with_pattern)


def parse_entry(line: bytes, *, is_global: bool = False) -> Entry:
    """One entry.  Raises AclSyntaxError."""
    if line.startswith(b'"'):
        identifier, rest = _quoted(line[1:], "Invalid quoted ID")
        if rest[:1] not in (b"", b" "):
            raise AclSyntaxError("Invalid quoted ID")
        rest = rest[1:]
    else:
        identifier, _, rest = line.partition(b" ")
    rights = parse_rights(rest)
    is_negative = identifier.startswith(b"-")
    kind, name = parse_identifier(identifier.removeprefix(b"-"))
    return Entry(kind, name, None if is_negative else rights, rights if is_negative else None, is_global)


def parse_identifier(text: bytes) -> tuple[Kind, bytes]:
    """What and who.  Raises AclSyntaxError."""
    if text in NAMED:
        return NAMED[text], b""
    for prefix, kind in PREFIXED:
        if text.startswith(prefix):
            return kind, text.removeprefix(prefix)
    raise AclSyntaxError(f"Unknown ID '{_shown(text)}'")


def parse_rights(text: bytes) -> frozenset[bytes]:
    """Letters, and names behind a colon.  Raises AclSyntaxError."""
    text = text.lstrip(BLANKS)
    end = next((at for at, letter in enumerate(text) if letter in b" \t:"), len(text))
    letters, rest = text[:end].decode("latin-1"), text[end:].lstrip(BLANKS)
    unknown = next((letter for letter in letters if letter not in LETTERS), None)
    if unknown is not None:
        raise AclSyntaxError(f"Unknown ACL '{_shown(unknown.encode('latin-1'))}'")
    if rest and not rest.startswith(b":"):
        raise AclSyntaxError("Missing ':' prefix in ACL extensions")
    names = rest[1:].replace(b",", b" ").replace(b"\t", b" ").split(b" ")
    return frozenset([LETTERS[letter] for letter in letters] + [name for name in names if name])


def matches(name: bytes, pattern: bytes) -> bool:
    """Whether ``pattern`` stands for ``name``: ``*`` for any bytes, ``?`` for one (lib/wildcard-match.c)."""
    at = mark = 0
    star, behind = -1, 0
    while at < len(name):
        if mark < len(pattern) and pattern[mark : mark + 1] == b"*":
            star, behind = mark, at
            mark += 1
        elif mark < len(pattern) and pattern[mark : mark + 1] in (b"?", name[at : at + 1]):
            at += 1
            mark += 1
        elif star >= 0:
            behind += 1
            at, mark = behind, star + 1
        else:
            return False
    return not pattern[mark:].strip(b"*")


def _parse_with_pattern(line: bytes) -> tuple[bytes, Entry]:
    if line.startswith(b'"'):
        pattern, rest = _quoted(line[1:], "Missing '\"'")
        if not rest.startswith(b" "):
            raise AclSyntaxError("Expecting space after '\"'")
        rest = rest[1:]
    else:
        pattern, space, rest = line.partition(b" ")
        if not space:
            raise AclSyntaxError("Missing ACL rights")
        if not pattern:
            raise AclSyntaxError("Empty ACL pattern")
    return pattern, parse_entry(rest, is_global=True)


def _quoted(text: bytes, fault: str) -> tuple[bytes, bytes]:
    """What stands before the closing quote, backslashes undone, and what behind it."""
    plain = bytearray()
    at = 0
    while at < len(text) and text[at : at + 1] != b'"':
        if text[at : at + 1] == b"\\":
            at += 1
        plain += text[at : at + 1]
        at += 1
    if at >= len(text):
        raise AclSyntaxError(fault)
    return bytes(plain), text[at + 1 :]


def _each_line(data: bytes, parse: Callable[[bytes], Result]) -> list[Result]:
    """The lines that say something, parsed; the last may lack its LF.  Raises AclSyntaxError with the number."""
    found = []
    for number, line in enumerate(data.split(b"\n"), 1):
        text = line.removesuffix(b"\r")
        if text and not text.startswith(b"#"):
            try:
                found.append(parse(text))
            except AclSyntaxError as error:
                raise AclSyntaxError(f"line {number}: {error.text}") from None
    return found


def _shown(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
