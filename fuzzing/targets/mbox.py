"""Any bytes have a separator line or none, and a header that ends inside them."""

from __future__ import annotations

from dovecot_urlauth.store.native.mbox.header import parse_header
from dovecot_urlauth.store.native.mbox.separator import is_from_line, separator_size


def seeds() -> list[bytes]:
    return [
        b"From alice@example.test Mon Mar  2 10:00:00 2026\nX-UID: 7\nX-IMAPbase: 1 9\nStatus: RO\n\nbody\n",
        b'\nFrom "a b"@x  Mon, 02 Mar 2026 10:00:00 +0000 remote from y\r\nContent-Length: 3\r\n\r\nabc',
        b"From x Mon Mar 2 10:00 2026\nX-UID:\n 5\nno colon\n\n",
    ]


def check(data: bytes) -> None:
    for is_first in (False, True):
        size = separator_size(data, is_first=is_first)
        assert size <= len(data) + 1
        parse_header(data[max(size, 0) :], colonless_line_is_name=is_first)
    is_from_line(data.partition(b"\n")[0])
