"""The header of an encrypted mail, versions 1 and 2 (lib-dcrypt/istream-decrypt.c); integers are big-endian.

1   magic 0x01 u16 size  and four fields, each with its u16 size: ephemeral key, digest of the public key (old
    style), SHA-256 of the content key, content key
2   magic 0x02 u32 flags, u32 size of the whole header, cipher and digest as DER OIDs, u32 rounds, u32 size of
    what follows, u8 count of keys, and for each: u8 kind, 32 bytes digest of the public key, and with their u32
    sizes: ephemeral key, content key, digest of the content key
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen

MAGIC = b"CRYPTED\x03\x07"
LARGEST = 64 * 1024
"""Bytes of a header; a key takes some 200."""
DIGEST = 32

AEAD = 0x2
SAME_CIPHER = 0x10
"""Flags: the content is authenticated by its cipher; content keys are encrypted by that cipher as well."""

RSA, EC = 1, 2


class BadHeader(Exception):
    """It is cut, or its numbers do not fit."""


@frozen
class KeySlot:
    """The content key, encrypted for one private key."""

    kind: int
    digest: bytes
    """Of the public key; what the private key is found by."""
    ephemeral: bytes
    """The other side's point for ECDH."""
    encrypted: bytes


@frozen
class Header:
    """Everything in front of the ciphertext."""

    version: int
    size: int
    slots: tuple[KeySlot, ...]
    flags: int = 0
    cipher: bytes = b""
    """DER; version 1 knows AES-256-CTR only."""
    digest: bytes = b""
    rounds: int = 0
    content_key_digest: bytes = b""
    """Version 1: SHA-256 of the content key."""


def parse(data: bytes) -> Header:
    """The header that ``data`` begins with.  Raises BadHeader."""
    cursor = _Cursor(data, len(MAGIC))
    version = cursor.number(1)
    if version == 1:
        return _parse_1(cursor)
    if version == 2:
        return _parse_2(cursor)
    raise BadHeader


def _parse_1(cursor: _Cursor) -> Header:
    size = cursor.number(2)
    end = cursor.offset + size
    ephemeral, digest, check, key = (cursor.take(cursor.number(2)) for _ in range(4))
    if cursor.offset != end:
        raise BadHeader
    return Header(1, end, (KeySlot(EC, digest, ephemeral, key),), content_key_digest=check)


def _parse_2(cursor: _Cursor) -> Header:
    flags, size = cursor.number(4), cursor.number(4)
    cipher, digest = cursor.der(), cursor.der()
    rounds, _ = cursor.number(4), cursor.number(4)
    slots = []
    for _ in range(cursor.number(1)):
        kind, owner = cursor.number(1), cursor.take(DIGEST)
        ephemeral, key, _ = (cursor.take(cursor.number(4)) for _ in range(3))
        slots.append(KeySlot(kind, owner, ephemeral, key))
    if not cursor.offset <= size <= LARGEST:
        raise BadHeader
    return Header(2, size, tuple(slots), flags, cipher, digest, rounds)


class _Cursor:
    """Reads on, and no further than the data goes."""

    def __init__(self, data: bytes, offset: int) -> None:
        self._data = data
        self.offset = offset

    def take(self, size: int) -> bytes:
        end = self.offset + size
        if end > len(self._data):
            raise BadHeader
        taken = self._data[self.offset : end]
        self.offset = end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def der(self) -> bytes:
        """An OID with its tag and length."""
        start = self.offset
        tag, length = self.take(2)
        if tag != 6 or length & 0x80:
            raise BadHeader
        self.take(length)
        return self._data[start : self.offset]
