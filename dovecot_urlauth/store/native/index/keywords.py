"""IMAP keywords, which are letters in a maildir file's name.

The index knows each message's keywords by name (lib-index/mail-index.h: the extension ``keywords``, and keyword
updates in the log); ``dovecot-keywords`` beside the uidlist gives 26 of the names a letter
(index/maildir/maildir-keywords.c).  A wrong guess costs a listing of the maildir and nothing else, so whatever
is broken here counts as absent.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError

from dovecot_urlauth.store.errors import StoreFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.store.native.files import Directory
    from dovecot_urlauth.store.native.index.main_index import MainIndex

KEYWORDS_NAME = b"dovecot-keywords"
LIMIT_FILE = 64 * 1024
"""Bytes of ``dovecot-keywords`` that are looked at: 26 short lines."""
LETTERS = 26

EXTENSION_NAME = b"keywords"
COUNT = Struct("<I")
ENTRY = Struct("<II")
"""unused, and the offset of the name behind the entries."""

UPDATE = Struct("<BxH")
"""What to do, and the size of the name that follows, padded to 4 bytes, before the UID ranges."""
ADD, REMOVE, REPLACE = 0, 1, 2


def in_record(index: MainIndex, record: bytes) -> set[bytes]:
    """The names of the keywords that a message's record in the main index has."""
    extension = index.extension(EXTENSION_NAME)
    if extension is None:
        return set()
    header, offset = extension.header, extension.record_offset
    bits = int.from_bytes(record[offset : offset + extension.record_size], "little")
    found = set()
    try:
        (count,) = COUNT.unpack_from(header)
        names = header[COUNT.size + count * ENTRY.size :]
        while bits:
            lowest = bits & -bits
            bits ^= lowest
            (_, at) = ENTRY.unpack_from(header, COUNT.size + (lowest.bit_length() - 1) * ENTRY.size)
            found.add(names[at : names.index(b"\0", at)])
    except (StructError, ValueError):
        pass
    return found


def parse_update(data: bytes) -> tuple[int, bytes, bytes] | None:
    """What to do, the keyword's name and the packed UID ranges of a log's keyword update; None if broken."""
    try:
        what, size = UPDATE.unpack_from(data)
    except StructError:
        return None
    return what, data[UPDATE.size : UPDATE.size + size], data[UPDATE.size + (size + 3 & ~3) :]


def letters(control: Directory, names: set[bytes]) -> bytes:
    """The letters of keywords, as a file's name has them."""
    if not names:
        return b""
    try:
        with control.file(KEYWORDS_NAME) as file:
            text = file.read(0, LIMIT_FILE)
    except (FileNotFoundError, StoreFailure):
        return b""
    found = []
    for line in text.split(b"\n"):
        number, _, name = line.partition(b" ")
        if name in names and number.isdigit() and len(number) < 3 and int(number) < LETTERS:
            found.append(b"a"[0] + int(number))
    return bytes(sorted(found))
