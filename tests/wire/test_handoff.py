from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.handoff import (
    DATA_LIMIT,
    LAYOUT_2_3,
    LAYOUT_2_4,
    STATUS_INTERNAL_ERROR,
    STATUS_OK,
    Handoff,
    HandoffLayout,
    HandoffReader,
    HandoffReceived,
    HandoffReply,
    pack,
    pack_reply,
    size,
    unpack,
    unpack_reply,
)
from dovecot_urlauth.wire.lines import ProtocolError
from tests.wire.feeding import bytewise

COOKIE = bytes.fromhex("50086f573c289b30700fd2a5bd2bf733")
DATA = b"vsVVd+9gAAAAAAAA\0"
START = bytes.fromhex("01000000 3c180000 01000000 4d180000") + COOKIE
END = bytes.fromhex("11000000 00000000 0ce9030000000000") + DATA
RECORDED = [
    (LAYOUT_2_3, START + bytes(40) + bytes.fromhex("0000 0000 02000000") + END, 113),
    (LAYOUT_2_4, START + bytes(48) + bytes.fromhex("0000 0000 00000000") + END, 121),
]
LAYOUTS = [LAYOUT_2_3, LAYOUT_2_4]
CLIENT_FD = 30


def handoff(layout: HandoffLayout, data: bytes = DATA) -> Handoff:
    return Handoff(1, 6204, 1, 6221, COOKIE, layout.flags, 0x3E90C, data)


@pytest.mark.parametrize(("layout", "wire", "total"), RECORDED)
def test_recorded_structs(layout: HandoffLayout, wire: bytes, total: int) -> None:
    assert pack(layout, handoff(layout)) == wire
    assert len(wire) == total
    head, data_size = unpack(layout, wire[: size(layout)])
    assert head == handoff(layout, b"")
    assert data_size == len(DATA)


def test_sizes() -> None:
    assert [size(layout) for layout in LAYOUTS] == [96, 104]


def test_session_is_the_data_up_to_its_nul() -> None:
    assert handoff(LAYOUT_2_3, b"id\0more\0").session == b"id"
    assert handoff(LAYOUT_2_3, b"id").session == b"id"


def test_reply() -> None:
    assert pack_reply(1, STATUS_OK, 6224) == bytes.fromhex("01000000 00000000 50180000")
    assert unpack_reply(pack_reply(7, STATUS_INTERNAL_ERROR, 5)) == HandoffReply(7, STATUS_INTERNAL_ERROR, 5)


def test_data_limit_when_packing() -> None:
    pack(LAYOUT_2_4, handoff(LAYOUT_2_4, b"x" * DATA_LIMIT))
    with pytest.raises(ValueError, match="1219 bytes"):
        pack(LAYOUT_2_4, handoff(LAYOUT_2_4, b"x" * (DATA_LIMIT + 1)))


def test_cookie_size_when_packing() -> None:
    with pytest.raises(ValueError, match="cookie"):
        pack(LAYOUT_2_4, Handoff(1, 2, 3, 4, b"short", 0, 5, b""))


def read(layout: HandoffLayout, pieces: list[tuple[bytes, list[int]]]) -> tuple[Any, ...]:
    """What the reader made of the pieces and which descriptors it left to close."""
    reader = HandoffReader(layout)
    for data, fds in pieces:
        reader.receive_data(data, fds)
    result = reader.next_event()
    return result, reader.surplus_fds()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("data", [b"", DATA, b"x" * DATA_LIMIT])
def test_reader_in_any_pieces(layout: HandoffLayout, data: bytes) -> None:
    wire = pack(layout, handoff(layout, data))
    expected = (HandoffReceived(handoff(layout, data), CLIENT_FD), ())
    assert read(layout, [(wire, [CLIENT_FD])]) == expected
    reader = HandoffReader(layout)
    for i in range(len(wire)):
        assert reader.next_event() is None
        reader.receive_data(wire[i : i + 1], [CLIENT_FD] if i == 0 else [])
    assert (reader.next_event(), reader.surplus_fds()) == expected
    reader.receive_eof()


def test_surplus_descriptors_are_to_be_closed() -> None:
    wire = pack(LAYOUT_2_4, handoff(LAYOUT_2_4))
    result, surplus = read(LAYOUT_2_4, [(wire[:10], [CLIENT_FD, 31]), (wire[10:], [32])])
    assert result == HandoffReceived(handoff(LAYOUT_2_4), CLIENT_FD)
    assert surplus == (31, 32)


def test_data_size_above_the_limit() -> None:
    wire = bytearray(pack(LAYOUT_2_4, handoff(LAYOUT_2_4)))
    wire[88:92] = (DATA_LIMIT + 1).to_bytes(4, "little")
    reader = HandoffReader(LAYOUT_2_4)
    reader.receive_data(bytes(wire), [CLIENT_FD])
    with pytest.raises(ProtocolError, match="Too large auth data_size sent"):
        reader.next_event()
    assert reader.surplus_fds() == (CLIENT_FD,)


def test_no_descriptor() -> None:
    reader = HandoffReader(LAYOUT_2_3)
    reader.receive_data(pack(LAYOUT_2_3, handoff(LAYOUT_2_3)), [])
    with pytest.raises(ProtocolError, match="Auth request missing a file descriptor"):
        reader.next_event()


def test_more_than_one_request() -> None:
    reader = HandoffReader(LAYOUT_2_3)
    reader.receive_data(pack(LAYOUT_2_3, handoff(LAYOUT_2_3)) + b"x", [CLIENT_FD])
    assert reader.next_event() is not None
    with pytest.raises(ProtocolError, match="more than one auth request"):
        reader.next_event()


ENDS = [
    (0, None),
    (1, "fd_read() partial input (1/104)"),
    (103, "fd_read() partial input (103/104)"),
    (104, "Login client disconnected too early (while reading data)"),
    (105, "Data read partially 1/17"),
    (121, None),
]


@pytest.mark.parametrize(("count", "text"), ENDS)
def test_end_of_input(count: int, text: str | None) -> None:
    reader = HandoffReader(LAYOUT_2_4)
    reader.receive_data(pack(LAYOUT_2_4, handoff(LAYOUT_2_4))[:count], [CLIENT_FD] if count else [])
    taken = reader.next_event()
    if text is None:
        reader.receive_eof()
    else:
        with pytest.raises(ProtocolError) as raised:
            reader.receive_eof()
        assert raised.value.text == text
    assert reader.surplus_fds() == ((CLIENT_FD,) if count and taken is None else ())


@given(st.sampled_from(LAYOUTS), st.binary(max_size=200))
def test_any_bytes_give_a_handoff_or_the_error(layout: HandoffLayout, data: bytes) -> None:
    whole = read_pieces(layout, [data])
    assert whole[0] is None or whole[0].fd == CLIENT_FD
    # once the struct is there, what is said of it does not depend on how it came
    head = pack(layout, handoff(layout))[: len(data)]
    for start in (data, head + data):
        assert read_pieces(layout, bytewise(start)) == read_pieces(layout, [start])


def read_pieces(layout: HandoffLayout, pieces: list[bytes]) -> tuple[Any, str, tuple[int, ...]]:
    """The handoff, if there is one, or the error's text, and the descriptors left."""
    reader = HandoffReader(layout)
    for number, piece in enumerate(pieces):
        reader.receive_data(piece, [] if number else [CLIENT_FD])
        try:
            taken = reader.next_event()
        except ProtocolError as error:
            return None, error.text, reader.surplus_fds()
        if taken is not None:
            return taken, "", reader.surplus_fds()
    return None, "", reader.surplus_fds()
