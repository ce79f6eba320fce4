"""Mailbox names: from the URL's UTF-8 name to the name that the mail store uses.

Matches lib-storage: mailbox_verify_name in mail-storage.c for what is refused (the texts are shown to clients),
mailbox_list_default_get_storage_name in mailbox-list.c for the conversion, lib-imap/imap-utf7.c for mUTF-7
(RFC 3501 section 5.1.3).
"""

from __future__ import annotations

from binascii import b2a_base64

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, Unsupported

LOWER_DIGITS = b"0123456789abcdef"
"""Only these are undone, so that nothing has two names (imap_escaped_utf8_hex_to_char)."""
AMPERSAND = ord("&")
NAME_LIMIT = 4096
"""Bytes; longer names cannot be paths (PATH_MAX)."""


@frozen
class NameRules:
    """How one namespace's mail store writes names."""

    separator: bytes
    """Between the parts of names in URLs: the namespace's separator."""
    storage_separator: bytes
    """Between the parts of names in the store: ``.`` for Maildir++, ``/`` for fs."""
    utf8: bool = False
    """Whether the store has UTF-8 names instead of mUTF-7."""
    escape: bytes = b""
    """What stands in the store's names before two digits for a character that they cannot have."""
    visible_escape: bytes = b""
    """What stands in names before two digits for a byte of the store's name that is not mUTF-7."""
    reserved: tuple[bytes, ...] = ()
    """Parts that the store uses for itself: DIRNAME, or a maildir's own directories below ``/``."""


def check_utf8(name: bytes) -> None:
    """Raise MailboxMissing for a name that cannot be a mailbox; Dovecot's own worker dies of some."""
    if len(name) > NAME_LIMIT or b"\0" in name:
        raise MailboxMissing("name is no path")
    try:
        name.decode()
    except UnicodeDecodeError:
        raise MailboxMissing("name is not UTF-8") from None


def normalize(name: bytes) -> bytes:
    """The name in Unicode normalization form C (mailbox_list_normalize_names_to_nfc of Dovecot 2.4.4)."""
    if name.isascii():
        return name
    from unicodedata import normalize as to_form

    return to_form("NFC", name.decode()).encode()


def storage_name(name: bytes, rules: NameRules) -> bytes:
    """Turn ``name``, without the namespace's prefix, into the store's name.

    Raises MailboxRefused or Unsupported.
    """
    _check_visible(name, rules)
    parts = [_without_visible_escapes(part, rules) for part in name.split(rules.separator)]
    if rules.escape:
        parts = [_escaped(part, rules) for part in parts]
    stored = rules.storage_separator.join(parts)
    _check_path(stored, rules)
    return stored


def _without_visible_escapes(part: bytes, rules: NameRules) -> bytes:
    """One part of a name in the store's letters, with the bytes that two digits stand for.

    Raises Unsupported for a byte that might change which directory it is.
    """
    first, *others = part.split(rules.visible_escape) if rules.visible_escape else [part]
    stored = [_letters(first, rules)]
    for piece in others:
        digits = piece[:2]
        if len(digits) == 2 and not digits.strip(LOWER_DIGITS):
            byte = int(digits, 16)
            if byte < 0x80 and byte not in (AMPERSAND, rules.visible_escape[0]):
                raise Unsupported("a mailbox name with an escaped character that needs no escape")
            stored += [bytes((byte,)), _letters(piece[2:], rules)]
        else:
            stored += [rules.visible_escape, _letters(piece, rules)]
    return b"".join(stored)


def _letters(text: bytes, rules: NameRules) -> bytes:
    return text if rules.utf8 else to_mutf7(text.decode())


def _escaped(part: bytes, rules: NameRules) -> bytes:
    """One part of a name with what the store's names cannot have as two digits.

    Matches mailbox_list_escape_name_params.  Versions differ about a part that begins like a home directory, and
    a few names are only escaped as a whole.  Raises Unsupported.
    """
    if part.startswith(b"~") or part in (b".", b"..", *rules.reserved):
        raise Unsupported("a mailbox name with a part that is escaped as a whole")
    escaped = part.replace(rules.escape, b"%s%02x" % (rules.escape, rules.escape[0]))
    for character in {rules.storage_separator, b"/"} - {rules.escape}:
        escaped = escaped.replace(character, b"%s%02x" % (rules.escape, character[0]))
    return escaped


def unescaped(stored: bytes, escape: bytes) -> bytes:
    """What :func:`storage_name` escaped."""
    first, *others = stored.split(escape)
    return first + b"".join(bytes((int(piece[:2], 16),)) + piece[2:] for piece in others)


def to_mutf7(text: str) -> bytes:
    """Modified UTF-7: printable ASCII as it is, ``&`` as ``&-``, runs of others as ``&<base64 of UTF-16>-``."""
    result = []
    run = ""
    for character in text + "&":
        if not " " <= character <= "~":
            run += character
            continue
        if run:
            result.append(b"&" + _modified_base64(run) + b"-")
            run = ""
        result.append(b"&-" if character == "&" else character.encode())
    return b"".join(result[:-1])


def _modified_base64(text: str) -> bytes:
    return b2a_base64(text.encode("utf-16-be"), newline=False).rstrip(b"=").replace(b"/", b",")


def _check_visible(name: bytes, rules: NameRules) -> None:
    if rules.separator != rules.storage_separator and rules.storage_separator in name and not rules.escape:
        raise MailboxRefused(f"Character not allowed in mailbox name: '{rules.storage_separator.decode()}'")
    if name.startswith(rules.separator):
        raise MailboxRefused("Invalid mailbox name: Begins with hierarchy separator")
    if 2 * rules.separator in name:
        raise MailboxRefused("Invalid mailbox name: Has adjacent hierarchy separators")
    if name.endswith(rules.separator):
        raise MailboxRefused("Invalid mailbox name: Ends with hierarchy separator")


def _check_path(name: bytes, rules: NameRules) -> None:
    """What would leave the mail root, or name a part of a mailbox (mailbox_list_is_valid_fs_name)."""
    if rules.storage_separator != b"/" and b"/" in name:
        raise MailboxRefused("Invalid mailbox name: Name must not have '/' characters")
    for start in (b"/", b"~"):
        if name.startswith(start):
            raise MailboxRefused(f"Invalid mailbox name: Begins with '{start.decode()}'")
    faults = {b"": "Has adjacent '/' chars", b".": "Contains '.' part", b"..": "Contains '..' part"}
    for part in name.split(b"/"):
        fault = "Contains reserved name" if part in rules.reserved else faults.get(part)
        if fault:
            raise MailboxRefused(f"Invalid mailbox name: {fault}")
