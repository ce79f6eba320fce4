from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.control import (
    DISCONNECTED,
    FINISHED,
    LINE_LIMIT,
    OK,
    VERSION,
    Access,
    Active,
    ClientState,
    ControlClient,
    ControlOrder,
    ControlServer,
    Descriptors,
    Disconnected,
    Finished,
    ServerState,
    Transmission,
    access_line,
    parse_access,
)
from dovecot_urlauth.wire.lines import ProtocolError
from dovecot_urlauth.wire.readable import readable
from tests.wire.feeding import same_in_pieces, summary

FD_FIRST, VERSION_FIRST = ControlOrder
ORDERS = [FD_FIRST, VERSION_FIRST]
BOB = Access(b"bob", b"imap")
ACCESS_LINE = b"ACCESS\tbob\timap\n"
PEER = "conn unix:pid=7,uid=0"

Piece = tuple[bytes, list[int]]


def serve(order: ControlOrder, pieces: list[Piece]) -> tuple[Any, ...]:
    """Events, error summary, what the worker said, and which descriptors are to be closed."""
    server = ControlServer(order, PEER)
    events: list[object] = []
    error = None
    surplus: list[int] = []
    try:
        for data, fds in pieces:
            server.receive_data(data, fds)
            surplus += server.surplus_fds()
            while (event := server.next_event()) is not None:
                events.append(event)
    except ProtocolError as raised:
        error = summary(raised)
    return events, error, server.data_to_send(), surplus


def opening(order: ControlOrder, fds: tuple[int, ...] = (9,)) -> list[Piece]:
    """The first pieces of a well-behaved imap-urlauth."""
    passing: list[Piece] = [(b"0", [9])] if len(fds) == 1 else [(b"1", [fds[0]]), (b"0", [fds[1]])]
    version: list[Piece] = [(VERSION, [])]
    return passing + version if order is FD_FIRST else version + passing


def split(pieces: list[Piece]) -> list[Piece]:
    """The same byte by byte; descriptors stay with the last byte of their piece."""
    return [(data[i : i + 1], fds if i == len(data) - 1 else []) for data, fds in pieces for i in range(len(data))]


def greeting(order: ControlOrder) -> bytes:
    return VERSION if order is VERSION_FIRST else b""


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("fds", "descriptors"), [((9,), Descriptors(9, 9)), ((9, 10), Descriptors(9, 10))])
def test_a_good_connection(order: ControlOrder, fds: tuple[int, ...], descriptors: Descriptors) -> None:
    pieces = [*opening(order, fds), (ACCESS_LINE, [])]
    expected: tuple[Any, ...] = ([descriptors, BOB], None, greeting(order) + OK + OK, [])
    assert serve(order, pieces) == expected
    assert serve(order, split(pieces)) == expected


def test_descriptor_belongs_to_the_byte_behind_the_line_it_came_with() -> None:
    """One recvmsg of the 2.4 worker may return VERSION, the byte and the descriptor together."""
    assert serve(VERSION_FIRST, [(VERSION + b"0", [9])]) == ([Descriptors(9, 9)], None, VERSION + OK, [])


def test_everything_in_one_packet_with_2_3() -> None:
    expected: tuple[Any, ...] = ([Descriptors(9, 9), BOB], None, OK + OK, [])
    assert serve(FD_FIRST, [(b"0" + VERSION + ACCESS_LINE, [9])]) == expected


MISSING = (("Handshake is missing a file descriptor", "FD Transfer failed"), "")


@pytest.mark.parametrize("byte", [b"0", b"1"])
@pytest.mark.parametrize("order", ORDERS)
def test_descriptor_byte_without_descriptor(order: ControlOrder, byte: bytes) -> None:
    pieces: list[tuple[bytes, list[int]]] = [(byte, [])] if order is FD_FIRST else [(VERSION, []), (byte, [])]
    assert serve(order, pieces)[:2] == ([], MISSING)


def test_descriptor_with_the_wrong_byte_is_closed_not_kept() -> None:
    assert serve(VERSION_FIRST, [(VERSION, [9]), (b"0", [])]) == ([], MISSING, VERSION, [9])


def test_surplus_descriptors_are_closed() -> None:
    pieces: list[Piece] = [(b"0", [9, 10, 11]), (VERSION, [12]), (ACCESS_LINE, [13])]
    assert serve(FD_FIRST, pieces) == ([Descriptors(9, 9), BOB], None, OK + OK, [10, 11, 12, 13])


def test_held_descriptor_is_closed_after_an_error() -> None:
    server = ControlServer(FD_FIRST, PEER)
    server.receive_data(b"1", [9])
    assert server.surplus_fds() == ()
    server.receive_data(b"1", [10])
    with pytest.raises(ProtocolError, match="invalid byte 0x31"):
        server.next_event()
    assert sorted(server.surplus_fds()) == [9, 10]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"V", "fd_read() returned invalid byte 0x56"),
        (b"\x05", "fd_read() returned invalid byte 0x 5"),
        (VERSION, "fd_read() returned invalid byte 0x56"),
    ],
)
def test_invalid_descriptor_byte(data: bytes, text: str) -> None:
    assert serve(FD_FIRST, [(data, [9])]) == ([], ((text, "FD Transfer failed"), ""), b"", [9])


def test_fd_first_where_version_is_due() -> None:
    events, error, _, surplus = serve(VERSION_FIRST, [(b"0", [9]), (VERSION, [])])
    assert events == []
    assert error is not None
    assert error[0][0] == f"{PEER}: didn't reply with a valid VERSION line: 0{readable(VERSION.rstrip())}"
    assert surplus == [9]


BAD_VERSIONS = [
    (
        b"HELLO\n",
        "imap-urlauth-worker client not compatible with this server (mixed old and new binaries?) HELLO",
        f"{PEER}: didn't reply with a valid VERSION line: HELLO",
    ),
    (
        b"VERSION\timap-urlauth\t2\t0\n",
        "imap-urlauth-worker client not compatible with this server (mixed old and new binaries?) "
        "VERSION?imap-urlauth?2?0",
        f"{PEER}: Received wrong socket type. We want 'imap-urlauth-worker', but received 'imap-urlauth' "
        "(wrong socket path?)",
    ),
    (
        b"VERSION\timap-urlauth-worker\t1\t0\n",
        "imap-urlauth-worker client not compatible with this server (mixed old and new binaries?) "
        "VERSION?imap-urlauth-worker?1?0",
        f"{PEER}: Socket supports major version 1, but we support only 2 (mixed old and new binaries?)",
    ),
]


@pytest.mark.parametrize(("line", "text_2_3", "text_2_4"), BAD_VERSIONS)
def test_bad_version(line: bytes, text_2_3: str, text_2_4: str) -> None:
    events, error, said, _ = serve(FD_FIRST, [(b"0", [9]), (line, [])])
    assert (events, said) == ([Descriptors(9, 9)], b"")
    assert error == ((text_2_3, "Control session aborted: Version mismatch"), "")
    events, error, said, _ = serve(VERSION_FIRST, [(line + b"0", [9])])
    assert (events, said) == ([], VERSION)
    assert error == ((text_2_4, "Control session aborted: Received bad VERSION line"), "")


GRANTED = [
    (b"ACCESS\tbob\timap", BOB),
    (b"ACCESS\t\timap", Access(None, b"imap")),
    (b"ACCESS\tb\x01tob\tsubmission\tDEBUG", Access(b"b\tob", b"submission", (), True)),
    (
        b"ACCESS\tbob\timap\tapps=submit+,stream\tdebug",
        Access(b"bob", b"imap", (b"submit+", b"stream"), True),
    ),
    (b"ACCESS\tbob\timap\tApps=,stream,", Access(b"bob", b"imap", (b"stream",))),
]
REFUSED = [
    (b"", "Invalid control command: "),
    (b"FOO\tx\ty", "Invalid control command: FOO?x?y"),
    (b"access\tbob\timap", "Invalid control command: access?bob?imap"),
    (b"X" * 200, "Invalid control command: " + "X" * 77 + "..."),
    (b"ACCESS", "Invalid ACCESS command: ACCESS"),
    (b"ACCESS\tbob", "Invalid ACCESS command: ACCESS?bob"),
    (b"ACCESS\tbob\timap\tapps=", "Invalid ACCESS parameter: apps="),
    (b"ACCESS\tbob\timap\tapps", "Invalid ACCESS parameter: apps"),
    (b"ACCESS\tbob\timap\tdebug=1", "Invalid ACCESS parameter: debug=1"),
    (b"ACCESS\tbob\timap\t", "Invalid ACCESS parameter: "),
]


@pytest.mark.parametrize(("line", "access"), GRANTED)
def test_access(line: bytes, access: Access) -> None:
    assert parse_access(line) == access
    assert parse_access(access_line(access)[:-1]) == access


@pytest.mark.parametrize(("line", "text"), REFUSED)
@pytest.mark.parametrize("order", ORDERS)
def test_refused_access(order: ControlOrder, line: bytes, text: str) -> None:
    events, error, said, _ = serve(order, [*opening(order), (line + b"\n", [])])
    assert events == [Descriptors(9, 9)]
    assert error == ((text, "Control session aborted: Invalid command"), "")
    assert said == greeting(order) + OK


@pytest.mark.parametrize("more", [b"x", b"\n", ACCESS_LINE])
@pytest.mark.parametrize("order", ORDERS)
def test_input_after_access(order: ControlOrder, more: bytes) -> None:
    tails: list[list[tuple[bytes, list[int]]]] = [[(ACCESS_LINE + more, [])], [(ACCESS_LINE, []), (more, [])]]
    for tail in tails:
        events, error, *_ = serve(order, opening(order) + tail)
        assert events == [Descriptors(9, 9), BOB]
        assert error == (("Control session aborted: Unexpected input",), "")


@pytest.mark.parametrize("order", ORDERS)
def test_line_limit(order: ControlOrder) -> None:
    line = b"ACCESS\t" + b"u" * (LINE_LIMIT - 13) + b"\timap\n"
    assert len(line) == LINE_LIMIT
    assert serve(order, [*opening(order), (line, [])])[1] is None
    error = serve(order, [*opening(order), (b"x" + line, [])])[1]
    assert error == (("Control session aborted: Input line too long",), "")


MESSAGES: list[Piece] = [(b"0", [9]), (b"1", [10]), (b"0", []), (VERSION, []), (ACCESS_LINE, []), (b"\n", [])]


@pytest.mark.parametrize("order", ORDERS)
def test_every_message_in_every_state(order: ControlOrder) -> None:
    """Only the good dialogues get as far as ACCESS; any other four messages end in the error.

    The LF at the end completes what was only part of a line, and comes after ACCESS where all was good.
    """
    reached = set()
    for pieces in product(range(len(MESSAGES)), repeat=4):
        events, error, *_ = serve(order, [*(MESSAGES[i] for i in pieces), (b"\n", [])])
        assert error is not None
        if BOB in events:
            reached.add(pieces)
            assert error == (("Control session aborted: Unexpected input",), "")
    if order is FD_FIRST:
        good = {(0, 3, 4, i) for i in range(len(MESSAGES))} | {(1, 0, 3, 4)}
    else:
        good = {(3, 0, 4, i) for i in range(len(MESSAGES))} | {(3, 1, 0, 4)}
    assert reached == good


PIECES = st.lists(
    st.tuples(
        st.one_of(st.sampled_from([b"0", b"1", VERSION, ACCESS_LINE, b"ACCESS\t", b"\n"]), st.binary(max_size=9)),
        st.booleans(),
    ),
    max_size=8,
)


@given(st.sampled_from(ORDERS), PIECES)
def test_no_descriptor_is_lost_or_used_twice(order: ControlOrder, drawn: list[tuple[bytes, bool]]) -> None:
    server = ControlServer(order, PEER)
    accounted: list[int] = []
    given_fds = 0
    failed = False
    for data, with_fd in drawn:
        given_fds += with_fd
        server.receive_data(data, [100 + given_fds] if with_fd else [])
        try:
            while (event := server.next_event()) is not None:
                if isinstance(event, Descriptors):
                    accounted += {event.fd_in, event.fd_out}
        except ProtocolError:
            failed = True
        accounted += server.surplus_fds()
    held = [] if failed or server.state is not ServerState.FD_OUT else [None]
    assert len(accounted) == len(set(accounted))
    assert len(accounted) + len(held) == given_fds


@given(st.sampled_from(ORDERS), st.binary(max_size=60))
def test_any_bytes_after_the_descriptor(order: ControlOrder, data: bytes) -> None:
    whole: list[Piece] = [*opening(order), (data, [])]
    pieces = opening(order) + [(data[i : i + 1], []) for i in range(len(data))]
    assert serve(order, whole) == serve(order, pieces)


def _client(order: ControlOrder) -> Callable[..., Any]:
    def make() -> tuple[Callable[..., Any], Callable[..., Any]]:
        client = ControlClient(order, BOB, "conn unix:/run/imap-urlauth-worker")
        return client.receive_data, client.next_event

    return make


@pytest.mark.parametrize(
    ("order", "fds", "sent"),
    [
        (FD_FIRST, (9, 9), [(b"0" + VERSION + ACCESS_LINE, 9)]),
        (VERSION_FIRST, (9, 9), [(VERSION, None), (b"0", 9)]),
        (FD_FIRST, (0, 1), [(b"1", 0), (b"0" + VERSION + ACCESS_LINE, 1)]),
        (VERSION_FIRST, (0, 1), [(VERSION, None), (b"1", 0), (b"0", 1)]),
    ],
)
def test_opening(order: ControlOrder, fds: tuple[int, int], sent: list[tuple[bytes, int | None]]) -> None:
    client = ControlClient(order, BOB, "")
    assert client.opening(*fds) == [Transmission(data, fd) for data, fd in sent]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("word", "event"), [(FINISHED, Finished()), (DISCONNECTED, Disconnected())])
def test_a_good_worker(order: ControlOrder, word: bytes, event: object) -> None:
    data = greeting(order) + OK + OK.lower() + word
    assert same_in_pieces(_client(order), data) == ([Active(), event], None)


@pytest.mark.parametrize("order", ORDERS)
def test_access_is_sent_once_in_2_4_after_the_first_ok(order: ControlOrder) -> None:
    client = ControlClient(order, BOB, "")
    assert client.data_to_send() == b""
    client.receive_data(greeting(order) + OK)
    assert client.next_event() is None
    assert client.data_to_send() == (ACCESS_LINE if order is VERSION_FIRST else b"")
    assert client.data_to_send() == b""
    client.receive_data(OK + b"FINISHED\textra\nmore\n")
    assert client.next_event() == Active()
    assert client.next_event() == Finished()
    assert client.next_event() is None
    client.receive_eof()


BAD_WORKERS = [
    (b"NO\n", "Worker handshake failed"),
    (b"\n", "Worker handshake failed"),
    (FINISHED, "Worker handshake failed"),
    (OK + b"NO\n", "Failed to negotiate access parameters"),
    (OK + DISCONNECTED, "Failed to negotiate access parameters"),
    (OK + OK + OK, "Worker finished with unknown response"),
    (OK + OK + b"\n", "Worker finished with unknown response"),
    (OK + b"x" * LINE_LIMIT, "Worker sent too large input"),
]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("data", "reason"), BAD_WORKERS)
def test_a_bad_worker(order: ControlOrder, data: bytes, reason: str) -> None:
    _, error = same_in_pieces(_client(order), greeting(order) + data)
    assert summary(error) == ((), reason)


def test_a_worker_of_another_version() -> None:
    _, error = same_in_pieces(_client(VERSION_FIRST), b"VERSION\timap-urlauth-worker\t3\t0\n")
    assert summary(error) == (
        (
            "conn unix:/run/imap-urlauth-worker: Socket supports major version 3, "
            "but we support only 2 (mixed old and new binaries?)",
        ),
        "Handshake with imap-urlauth-worker service failed",
    )


@pytest.mark.parametrize("data", [b"", OK, OK + OK])
def test_a_worker_that_goes_without_a_word(data: bytes) -> None:
    client = ControlClient(FD_FIRST, BOB, "")
    client.receive_data(data)
    while client.next_event() is not None:
        pass
    assert client.state is not ClientState.CLOSED
    with pytest.raises(ProtocolError, match="Worker disconnected unexpectedly"):
        client.receive_eof()


@given(st.sampled_from(ORDERS), st.lists(st.sampled_from([OK, FINISHED, DISCONNECTED, VERSION, b"x", b"\n"])))
def test_any_words_of_a_worker(order: ControlOrder, words: list[bytes]) -> None:
    same_in_pieces(_client(order), b"".join(words))


@pytest.mark.parametrize("order", ORDERS)
def test_both_ends_understand_each_other(order: ControlOrder) -> None:
    access = Access(None, b"submission", (b"submit+",), True)
    client, server = ControlClient(order, access, ""), ControlServer(order, PEER)
    for sent in client.opening(5, 6):
        server.receive_data(sent.data, [] if sent.fd is None else [sent.fd])
    client.receive_data(server.data_to_send())
    said = [client.next_event()]
    server.receive_data(client.data_to_send(), [])
    assert [server.next_event() for _ in range(3)] == [Descriptors(5, 6), access, None]
    client.receive_data(server.data_to_send() + FINISHED)
    said += [client.next_event(), client.next_event()]
    assert [event for event in said if event is not None] == [Active(), Finished()]
    assert client.data_to_send() == b""
