"""A dictionary file of any bytes has the last value of each key, however large the blocks that are read."""

from __future__ import annotations

from dovecot_urlauth.store.native.attributes import file_dict
from dovecot_urlauth.wire.tabescape import escape, unescape
from fuzzing.memory import MemoryFile

KEY = b"priv/vendor/vendor.dovecot/pvt/imap-urlauth"
KEYS = (KEY, b"a\tb", b"", b"x")


def seeds() -> list[bytes]:
    return [
        KEY + b"\n" + b"0123456789abcdef\n",
        b"x\n1\n" + KEY + b"\nfirst\n" + KEY + b"\nsecond\r\n",
        b"a\1tb\nv\1nw\n\n\n\nempty\n",
        KEY + b"\nno end",
        b"x\n" * 20,
    ]


def check(data: bytes) -> None:
    lines = data.split(b"\n")[:-1]
    known = dict(zip(lines[0::2], lines[1::2]))
    before = file_dict.BLOCK
    try:
        for size in (before, 7, 1):
            file_dict.BLOCK = size
            for key in KEYS:
                value = known.get(escape(key))
                expected = None if value is None else unescape(value.removesuffix(b"\r"))
                assert file_dict.search(MemoryFile(data), key) == expected  # type: ignore[arg-type]
    finally:
        file_dict.BLOCK = before
