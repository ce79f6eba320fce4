"""Whatever comes over a control connection, descriptors anywhere: each is given out or surplus."""

from __future__ import annotations

from dovecot_urlauth.wire.control import VERSION, Access, ControlOrder, ControlServer, Descriptors
from dovecot_urlauth.wire.lines import ProtocolError

FIRST_FD = 100
"""A byte of these in the input is a descriptor beside the byte behind it."""
FD = 0xFD


def seeds() -> list[bytes]:
    return [
        b"\0\xfd0" + VERSION + b"ACCESS\tbob\timap\tdebug\tapps=submit+,stream\n",
        b"\1" + VERSION + b"\xfd0ACCESS\t\timap\n",
        b"\1" + VERSION + b"\xfd1\xfd\xfd0ACCESS\tbob\tsubmission\nx",
        b"\0" + VERSION + b"0",
    ]


def _run(order: ControlOrder, pieces: list[tuple[bytes, list[int]]]) -> tuple[list[object], list[int], bool]:
    server = ControlServer(order, "peer")
    events: list[object] = []
    surplus: list[int] = []
    failed = False
    for data, fds in pieces:
        server.receive_data(data, fds)
        surplus += server.surplus_fds()
        try:
            while (event := server.next_event()) is not None:
                events.append(event)
        except ProtocolError:
            failed = True
            break
    surplus += server.surplus_fds()
    return events, surplus, failed


def check(data: bytes) -> None:
    order = ControlOrder.VERSION_FIRST if data[:1] == b"\1" else ControlOrder.FD_FIRST
    pieces: list[tuple[bytes, list[int]]] = []
    waiting: list[int] = []
    number = FIRST_FD
    for byte in data[1:]:
        if byte == FD:
            waiting.append(number)
            number += 1
        else:
            pieces.append((bytes((byte,)), waiting))
            waiting = []
    events, surplus, failed = _run(order, pieces)
    given: list[int] = []
    for event in events:
        if isinstance(event, Descriptors):
            given += dict.fromkeys((event.fd_in, event.fd_out))
        else:
            assert isinstance(event, Access)
            assert len(given) > 0, "ACCESS before a descriptor"
    assert len(set(given + surplus)) == len(given + surplus)
    assert set(given + surplus) <= set(range(FIRST_FD, number))
    assert len(events) <= 2
    if failed:
        return
    # one that waits for its second keeps its first
    assert len(given + surplus) >= number - FIRST_FD - len(waiting) - 1
