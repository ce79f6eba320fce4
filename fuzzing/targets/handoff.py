"""Whatever login says to imap-urlauth is one client with one descriptor, or an error; no descriptor is lost."""

from __future__ import annotations

from dovecot_urlauth.wire import handoff as wire
from dovecot_urlauth.wire.lines import ProtocolError

LAYOUTS = (wire.LAYOUT_2_3, wire.LAYOUT_2_4)


def seeds() -> list[bytes]:
    good = wire.Handoff(1, 6204, 1, 6221, bytes(range(16)), 0, 0x3E90C, b"vsVVd+9gAAAAAAAA\0URL\tx\n")
    return [
        bytes((kind, fds, cut)) + wire.pack(LAYOUTS[kind], good) + more
        for kind in (0, 1)
        for fds, cut, more in ((1, 0, b""), (3, 50, b""), (0, 10, b"x"), (2, 100, b""))
    ]


def check(data: bytes) -> None:
    kind, count, cut = (*data[:3], 0, 0, 0)[:3]
    fds = list(range(100, 100 + count % 5))
    layout = LAYOUTS[kind % 2]
    reader = wire.HandoffReader(layout)
    given: list[int] = []
    surplus: list[int] = []
    try:
        for piece, its in ((data[3 : 3 + cut], fds[:2]), (data[3 + cut :], fds[2:])):
            reader.receive_data(piece, its)
            while (event := reader.next_event()) is not None:
                given.append(event.fd)
                assert len(event.handoff.data) <= wire.DATA_LIMIT
                head = wire.pack(layout, event.handoff)[: wire.size(layout)]
                assert wire.unpack(layout, head)[1] == len(event.handoff.data)
        reader.receive_eof()
    except ProtocolError:
        pass
    surplus += reader.surplus_fds()
    assert len(given) <= 1
    assert sorted(given + surplus) in (fds, fds[:2])
