"""fds and timers in the loop, and the stream on top of it."""

from __future__ import annotations

import socket

import pytest

from dovecot_urlauth.service.callbacks import Loop
from dovecot_urlauth.service.sockets import from_fd
from dovecot_urlauth.service.stream import Stream


@pytest.fixture
def loop():
    loop = Loop()
    guard = loop.after(10, loop.stop)
    yield loop
    guard.cancel()
    loop.close()


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    adopted = from_fd(ours.detach())
    yield adopted, theirs
    adopted.close()
    theirs.close()


def test_timers_run_in_the_order_of_their_times(loop):
    ran = []
    loop.after(0.02, lambda: (ran.append("late"), loop.stop()))
    loop.after(0.0, lambda: ran.append("early"))
    loop.after(0.01, lambda: ran.append("cancelled")).cancel()
    loop.run()
    assert ran == ["early", "late"]


def test_a_callback_may_close_what_is_ready_next(loop):
    first, second = socket.socketpair(), socket.socketpair()
    called = []

    def on_ready(name, other):
        def ready(events):
            called.append(name)
            loop.forget(other.fileno())
            loop.stop()

        return ready

    loop.watch(first[0].fileno(), on_ready("first", second[0]))
    loop.watch(second[0].fileno(), on_ready("second", first[0]))
    first[1].send(b"x")
    second[1].send(b"x")
    loop.run()
    assert len(called) == 1
    for end in (*first, *second):
        end.close()


def collect(loop, connection, **options):
    got, ends = [], []
    stream = Stream(loop, connection, got.append, lambda why: (ends.append(why), loop.stop()), **options)
    return stream, got, ends


def test_stream_reads_until_the_end(loop, pair):
    _stream, got, ends = collect(loop, pair[0])
    pair[1].sendall(b"some lines\n")
    pair[1].shutdown(socket.SHUT_WR)
    loop.run()
    assert (b"".join(got), ends) == (b"some lines\n", [""])


def test_stream_keeps_what_the_peer_does_not_take(loop, pair):
    stream, _, _ = collect(loop, pair[0])
    sent = bytes(1_000_000)
    stream.write(sent)
    received = bytearray()

    def drain():
        received.extend(pair[1].recv(100_000))
        if len(received) < len(sent):
            loop.after(0, drain)
        else:
            loop.stop()

    drain()
    loop.run()
    assert received == sent


def test_stream_that_does_not_read_notices_a_hangup_but_leaves_the_bytes(loop, pair):
    _stream, got, ends = collect(loop, pair[0], reading=False)
    pair[1].close()
    loop.run()
    assert got == []
    assert ends == ["Connection closed"]


def test_stream_reads_no_more_at_once_than_it_was_told(loop, pair):
    _stream, got, _ = collect(loop, pair[0], read_size=4)
    pair[1].sendall(b"123456")
    loop.after(0.05, loop.stop)
    loop.run()
    assert got == [b"1234", b"56"]


def test_stream_with_nothing_to_send_does_not_notice_that_the_peer_is_gone(loop, pair):
    """What the peer said before it went is still to be read."""
    stream, got, ends = collect(loop, pair[0])
    pair[1].sendall(b"the answer")
    pair[1].close()
    stream.write(b"")
    assert ends == []
    loop.run()
    assert (got, ends) == ([b"the answer"], [""])
