"""Any bytes are the header of an encrypted mail, with keys that lie inside it, or BadHeader."""

from __future__ import annotations

from dovecot_urlauth.store.native.decode.crypt.header import LARGEST, MAGIC, BadHeader, parse

OID = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x01\x2e"
DIGEST = b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"


def _sized(size: int, *fields: bytes) -> bytes:
    return b"".join(len(field).to_bytes(size, "big") + field for field in fields)


def seeds() -> list[bytes]:
    old = _sized(2, b"e" * 67, b"d" * 32, b"c" * 32, b"k" * 32)
    slot = b"\2" + b"d" * 32 + _sized(4, b"e" * 65, b"k" * 64, b"c" * 32)
    slots = b"\2" + slot + slot
    fixed = OID + DIGEST + (2048).to_bytes(4, "big") + len(slots).to_bytes(4, "big")
    size = len(MAGIC) + 1 + 4 + 4 + len(fixed) + len(slots)
    new = (2).to_bytes(4, "big") + size.to_bytes(4, "big") + fixed + slots
    return [
        MAGIC + b"\1" + len(old).to_bytes(2, "big") + old + b"ciphertext",
        MAGIC + b"\2" + new + b"ciphertext",
        MAGIC + b"\3",
        MAGIC,
    ]


def check(data: bytes) -> None:
    try:
        header = parse(data)
    except BadHeader:
        return
    assert header.version in (1, 2)
    assert len(MAGIC) < header.size <= LARGEST + len(MAGIC) + 3
    assert header.version == 2 or header.size <= len(data)
    for slot in header.slots:
        for part in (slot.digest, slot.ephemeral, slot.encrypted):
            assert part in data[: header.size]
