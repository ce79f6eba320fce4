"""Any bytes of a dbox file give a message that lies inside the file, or an error of the store's."""

from __future__ import annotations

from dovecot_urlauth.store.errors import StoreError
from dovecot_urlauth.store.native.dbox.dbox_file import read_message
from fuzzing.memory import MemoryFile


def seeds() -> list[bytes]:
    text = b"Subject: a\n\nb\n"
    message = b"\1\2N          %016x\n%s\n\1\3\nGb0c3\nR5f\nZ%x\nV%x\n\n" % (
        len(text),
        text,
        len(text),
        len(text) + 3,
    )
    return [b"2 M1e C65f2a1b0\n" + message, b"1 M1e\n" + message * 2, b"2 M1e C0\n" + message.replace(b"Z", b"X")]


def check(data: bytes) -> None:
    for offset in (0, 16, data[0] if data else 0):
        try:
            message = read_message(MemoryFile(data), offset)  # type: ignore[arg-type]
            content = message.source.read(0, message.source.size)
        except StoreError:
            continue
        assert len(content) == message.source.size
        assert content in data
        assert message.virtual_size is None or message.virtual_size >= 0
