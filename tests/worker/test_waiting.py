"""Conversations side by side, and what ends them."""

from __future__ import annotations

import os
import select
import socket
import time

import pytest

from dovecot_urlauth.worker.waiting import READABLE, ConnectionOver, Watch


@pytest.fixture
def pairs():
    made = [socket.socketpair() for _ in range(3)]
    yield made
    for pair in made:
        for end in pair:
            end.close()


def echo(ours, seen, seconds=5.0):
    """Answer each piece until the peer is gone; note how it ended."""
    try:
        while True:
            if not (yield ours.fileno(), READABLE, seconds):
                seen.append("late")
                return
            data = ours.recv(100)
            if not data:
                seen.append("end")
                return
            ours.sendall(data.upper())
    except ConnectionOver as over:
        seen.append(over.text)


def test_conversations_take_turns(pairs):
    watch, seen = Watch(), []
    for ours, _ in pairs:
        watch.begin(echo(ours, seen))
    for _, theirs in pairs:
        theirs.sendall(b"hello")
        theirs.shutdown(socket.SHUT_WR)
    watch.run()
    assert [theirs.recv(100) for _, theirs in pairs] == [b"HELLO"] * 3
    assert seen == ["end"] * 3


def test_one_that_waits_does_not_keep_the_others(pairs):
    watch, seen = Watch(), []
    watch.begin(echo(pairs[0][0], seen))
    talk = watch.begin(echo(pairs[1][0], seen))
    pairs[1][1].close()
    pairs[0][1].sendall(b"x")

    def over():
        watch.interrupt(talk_of_first, ConnectionOver("enough"))

    talk_of_first = next(other for other in watch._talks.values() if other is not talk)
    watch.add(pairs[2][0].fileno(), over)
    pairs[2][1].sendall(b"x")
    watch.run()
    assert sorted(seen) == ["end", "enough"]


def test_each_has_its_own_time(pairs):
    watch, seen = Watch(), []
    watch.begin(echo(pairs[0][0], seen, 0.05))
    watch.begin(echo(pairs[1][0], seen, 0.2))
    started = time.monotonic()
    watch.run()
    assert seen == ["late", "late"]
    assert 0.2 <= time.monotonic() - started < 2


def test_a_deadline_ends_all(pairs):
    watch, seen = Watch(), []
    for ours, _ in pairs:
        watch.begin(echo(ours, seen))
    watch.end_within(0.05)
    watch.run(lambda: True)
    assert seen == ["", "", ""]


def test_an_alarm_may_begin_another(pairs):
    watch, seen = Watch(), []
    more = [pairs[1]]

    def admit():
        watch.remove(pairs[0][0].fileno())
        watch.begin(echo(more.pop()[0], seen))

    watch.add(pairs[0][0].fileno(), admit)
    pairs[0][1].sendall(b"x")
    pairs[1][1].sendall(b"y")
    pairs[1][1].shutdown(socket.SHUT_WR)
    watch.run(lambda: bool(more))
    assert (pairs[1][1].recv(10), seen) == (b"Y", ["end"])


def test_a_conversation_may_end_before_it_waits():
    def short():
        return
        yield

    watch = Watch()
    watch.begin(short())
    watch.run()
    assert watch.converse(short()) is None


def test_what_goes_wrong_in_one_comes_out(pairs):
    def broken():
        yield pairs[0][0].fileno(), READABLE, 5.0
        raise KeyError("broken")

    watch = Watch()
    watch.begin(broken())
    pairs[0][1].sendall(b"x")
    with pytest.raises(KeyError):
        watch.run()


def test_an_alarm_ends_a_wait_and_its_conversation(pairs):
    watch = Watch()

    def end():
        raise ConnectionOver("the other one")

    reader, writer = os.pipe()
    watch.add(reader, end)
    os.write(writer, b"x")
    with pytest.raises(ConnectionOver, match="the other one"):
        watch.converse(echo(pairs[0][0], []))
    os.close(reader)
    os.close(writer)


def test_a_deadline_ends_a_wait(pairs):
    watch = Watch()
    watch.end_within(0.05)
    with pytest.raises(ConnectionOver):
        watch.wait(pairs[0][0].fileno(), select.POLLIN, 10.0)


def test_wait_says_when_the_time_is_up(pairs):
    assert not Watch().wait(pairs[0][0].fileno(), select.POLLIN, 0.01)
