"""Writers of Dovecot's files, made from the format's description and independent of the readers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

INDEX_ID = 77
EXTERNAL = 0x10000000


def index(
    records: Iterable[tuple[int, int]],
    *,
    uid_validity: int = 1000,
    next_uid: int = 0,
    log: tuple[int, int] = (1, 40),
    flags: int = 0,
    index_id: int = INDEX_ID,
    record_size: int = 8,
    extensions: Iterable[tuple[bytes, int, bytes, Mapping[int, bytes]]] = (),
) -> bytes:
    """`dovecot.index` of (uid, flags) records; `log` is the log's sequence and the offset that is included.

    An extension is its name, its reset id, its header, and what it has for each UID.
    """
    headers, pieces, record_size = _extensions(list(extensions), record_size)
    records = list(records)
    next_uid = next_uid or (records[-1][0] + 1 if records else 1)
    header = bytearray(120)
    struct.pack_into("<BBHII", header, 0, 7, 3, 120, 120 + len(headers), record_size)
    struct.pack_into("<B", header, 12, 1)
    struct.pack_into("<IIIII", header, 16, index_id, flags, uid_validity, next_uid, len(records))
    struct.pack_into("<III", header, 60, log[0], log[1], log[1])
    written = (
        (struct.pack("<IB", *item).ljust(8, b"\0") + pieces(item[0])).ljust(record_size, b"\0") for item in records
    )
    return bytes(header) + headers + b"".join(written)


def _extensions(
    extensions: list[tuple[bytes, int, bytes, Mapping[int, bytes]]], record_size: int
) -> tuple[bytes, Callable[[int], bytes], int]:
    """The extensions' headers, what goes into the record of a UID, and the size of a record."""
    headers = b""
    sizes = []
    for name, reset_id, header, records in extensions:
        size = max(map(len, records.values()), default=0)
        entry = struct.pack("<IIHHHH", len(header), reset_id, record_size if size else 0, size, 4, len(name))
        headers += _padded(entry + name, 8) + _padded(header, 8)
        record_size += size
        sizes.append(size)

    def pieces(uid: int) -> bytes:
        return b"".join(each[3].get(uid, b"").ljust(size, b"\0") for each, size in zip(extensions, sizes))

    return headers, pieces, record_size


def _padded(data: bytes, to: int) -> bytes:
    return data + bytes(-len(data) % to)


def log_header(sequence: int = 1, previous: tuple[int, int] = (0, 0), index_id: int = INDEX_ID) -> bytes:
    """The 40 bytes in front of a log's records."""
    return struct.pack("<BBHIIIII", 1, 3, 40, index_id, sequence, *previous, 0) + bytes(16)


def log_record(kind: int, data: bytes) -> bytes:
    """A complete record; `kind` is the type with its flags."""
    units = (8 + len(data)) // 4
    assert (8 + len(data)) % 4 == 0
    size = bytes(0x80 | (units >> shift & 0x7F) for shift in (21, 14, 7, 0))
    return size + struct.pack("<I", kind) + data


def append(*records: tuple[int, int]) -> bytes:
    """New messages (uid, flags)."""
    return log_record(0x2, b"".join(struct.pack("<IB3x", *item) for item in records))


def expunge(*ranges: tuple[int, int], external: bool = True) -> bytes:
    """Messages that are gone, or that somebody wants to be gone."""
    kind = 0xCD91 | (EXTERNAL if external else 0)
    return log_record(kind, b"".join(struct.pack("<II", *item) for item in ranges))


def expunge_guid(*uids: int, external: bool = True) -> bytes:
    """The same with GUIDs, as Dovecot writes it today."""
    kind = 0xED90 | (EXTERNAL if external else 0)
    return log_record(kind, b"".join(struct.pack("<I16x", uid) for uid in uids))


def update_flags(first: int, last: int, add: int = 0, remove: int = 0) -> bytes:
    """Flags that change for a range of UIDs."""
    return log_record(0x4, struct.pack("<IIBBBx", first, last, add, remove, 0))


def update_keyword(what: int, name: bytes, *ranges: tuple[int, int]) -> bytes:
    """A keyword that is added (0) to, removed (1) from, or becomes the only one (2) of ranges of UIDs."""
    padded = name + bytes(-len(name) % 4)
    data = struct.pack("<BxH", what, len(name)) + padded
    return log_record(0x400, data + b"".join(struct.pack("<II", *item) for item in ranges))


def intro(
    name: bytes | int, *, reset_id: int = 0, header: int = 0, record: int = 0, shrinks: bool = False
) -> bytes:
    """What the following records are about: an extension by its name or by its number, with its sizes."""
    number, text = (name, b"") if isinstance(name, int) else (0xFFFFFFFF, name)
    flags = 0 if shrinks else 1
    entry = struct.pack("<IIIHHHH", number, reset_id, header, record, 4, flags, len(text)) + text
    return log_record(0x40, _padded(entry, 4))


def reset_extension(reset_id: int, *, keeps: bool = False) -> bytes:
    """An extension that starts anew."""
    return log_record(0x80, struct.pack("<IB3x", reset_id, keeps))


def update_extension(*pieces: tuple[int, bytes], wide: bool = False) -> bytes:
    """Patched pieces of an extension's header."""
    layout = "<II" if wide else "<HH"
    data = b"".join(_padded(struct.pack(layout, offset, len(data)) + data, 4) for offset, data in pieces)
    return log_record(0x10000 if wide else 0x100, data)


def update_records(records: Mapping[int, bytes]) -> bytes:
    """What an extension has for UIDs from now on."""
    return log_record(0x200, b"".join(_padded(struct.pack("<I", uid) + data, 4) for uid, data in records.items()))


def update_header(offset: int, data: bytes) -> bytes:
    """A patched piece of the base header."""
    padded = data + bytes(-len(data) % 4)
    return log_record(0x20, struct.pack("<HH", offset, len(data)) + padded)


def uid_validity(value: int) -> bytes:
    """The header update that gives a mailbox its UIDVALIDITY."""
    return update_header(24, struct.pack("<I", value))


def boundary(size: int) -> bytes:
    """The start of a transaction of `size` bytes, this record included."""
    return log_record(0x80000, struct.pack("<I", size))


def uidlist(
    entries: Iterable[tuple[int, str]], *, uid_validity: int = 1000, guid: str = "0123456789abcdef" * 2
) -> bytes:
    """A `dovecot-uidlist` of version 3; an entry is its UID and the rest of its line."""
    lines = [f"3 V{uid_validity} N1 G{guid}", *(f"{uid} {rest}" for uid, rest in entries)]
    return ("\n".join(lines) + "\n").encode()
