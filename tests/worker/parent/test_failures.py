"""What goes wrong between the parent and one child costs one client at most, and the parent nothing."""

from __future__ import annotations

import _socket
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from dovecot_urlauth.service.descriptor import DescriptorsTruncated, receive_message
from dovecot_urlauth.worker.parent import forkedchild
from dovecot_urlauth.worker.parent.copies import Copies
from dovecot_urlauth.worker.parent.monitor import State
from dovecot_urlauth.worker.parent.pool import Pool
from dovecot_urlauth.worker.parent.protocol import ACCEPTED, FORMATS, KEEP, KEY_SIZE, pack_gone, pack_offer
from tests.worker.parent.children import ACCESS, Parent, played, receive, say, script


@pytest.fixture
def parent() -> Parent:
    return Parent()


def failing_once(error: OSError, work: Callable[..., Any], when: Callable[[], bool]) -> Callable[..., Any]:
    """``work`` that fails once with ``error``, when it is to."""
    failures = [error]

    def failing(*arguments: Any) -> Any:
        if failures and when():
            raise failures.pop()
        return work(*arguments)

    return failing


def lingering_socket() -> tuple[int, list[socket.socket]]:
    """A TCP socket whose last close waits for 20 seconds, and what keeps its peer silent."""
    server = socket.create_server(("127.0.0.1", 0))
    made = socket.create_connection(server.getsockname())
    peer, _ = server.accept()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\x14\0\0\0")
    made.setblocking(False)
    try:
        while True:
            made.send(bytes(65536))
    except BlockingIOError:
        return made.detach(), [server, peer]


@pytest.mark.parametrize("state", ["a spare", "a serving child", "a serving child that says much"])
def test_a_socket_that_lingers_holds_nobody(state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where the kernel lets it come, nor in the queue of a link that goes."""
    monkeypatch.setattr(forkedchild, "refuse_descriptors", lambda connection: None)  # before Linux 6.16
    lingering = [lingering_socket() for _ in range(3 if "much" in state else 1)]  # clearing it is for each one

    parent: Parent

    def live(link: _socket.socket) -> int:
        if parent.pool._children:
            return script(link)  # forked when the parent has no copy any more
        if state != "a spare":
            _, [control] = receive(link)
            [own] = socket.recv_fds(socket.socket(fileno=os.dup(control)), 100, 1)[1]
            say(link, pack_offer(b"alice".ljust(KEY_SIZE), b"alice", ACCESS), control, own)
            assert receive(link)[0] == KEEP
            os.write(own, b"%d" % os.getpid())
        time.sleep(0.1)
        for fd, _ in lingering:
            say(link, ACCEPTED, fd)
            os.close(fd)
        time.sleep(10)
        return 0

    parent = Parent(live)

    async def scenario() -> None:
        if state == "a spare":
            assert await parent.until(lambda: parent.spares == 1)
        else:
            await parent.served_by(parent.connect(b"alice"))
        for fd, _ in lingering:
            os.close(fd)
        time.sleep(0.3)  # all of it is said before the parent looks
        began = time.monotonic()
        assert await parent.until(lambda: bool(parent.lines))
        [child] = {line.split()[1] for line in parent.lines[:1]}
        assert await parent.until(lambda: int(child) not in parent.pids)
        assert time.monotonic() - began < 5

    parent.run(scenario())
    assert "killed" in parent.lines[0]
    for _, kept in lingering:
        for end in kept:
            end.close()


@played
async def test_an_offer_whose_descriptors_find_no_room_is_kept(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await parent.served_by(parent.connect(b"alice"))
    full = failing_once(DescriptorsTruncated(24, "Too many open files"), receive_message, lambda: True)

    def no_room(connection: _socket.socket, size: int) -> Any:
        try:
            return full(connection, size)
        except DescriptorsTruncated:
            receive_message(connection, size)
            raise

    client = parent.connect(b"alice")
    monkeypatch.setattr(forkedchild, "receive_message", no_room)
    second = await parent.served_by(client)
    assert second != first
    assert f"recvmsg(child {second}) failed: Too many open files" in parent.lines
    client.close()
    assert await parent.until(lambda: second not in parent.pids), "it is nobody's for the next client"
    assert first in parent.pids


def test_a_full_table_and_a_word_that_has_no_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forkedchild, "refuse_descriptors", lambda connection: None)

    def live(link: _socket.socket) -> int:
        time.sleep(0.3)
        for _ in range(3):
            say(link, pack_gone(0), *range(3))
        time.sleep(10)
        return 0

    parent = Parent(live)

    async def scenario() -> None:
        assert await parent.until(lambda: parent.spares == 1)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            assert await parent.until(lambda: bool(parent.lines))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    parent.run(scenario())
    assert "failed: Too many open files" in parent.lines[0]
    assert "sent descriptors beside a word that has none, killed" in parent.lines[1]


@played
async def test_a_receive_that_fails_once_is_tried_again(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = failing_once(OSError(12, "Cannot allocate memory"), receive_message, lambda: True)
    monkeypatch.setattr(forkedchild, "receive_message", failing)
    assert await parent.served_by(parent.connect(b"alice"))
    assert not parent.crashes


@played
async def test_an_unforeseen_failure_ends_one_child(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    other = await parent.served_by(parent.connect(b"carol"))

    def fail(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Pool, "_pass_on", fail)
    parent.connect(b"carol")
    assert await parent.until(lambda: parent.released == 1)
    assert [type(error) for error in parent.crashes] == [MemoryError]
    assert other in parent.pids


@played
async def test_a_client_that_finds_no_room_on_its_way_back_is_here_already(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = parent.connect(b"alice")
    busy = await parent.served_by(first)
    first.sendall(b"busy")
    followers = [parent.connect(b"alice"), parent.connect(b"alice")]
    child = parent.pool._children[busy]
    assert await parent.until(lambda: len(child.sent) == 2)
    monkeypatch.setattr(forkedchild, "receive_message", no_room_for_one(child))
    pids = {await parent.served_by(client) for client in followers}
    assert busy not in pids
    assert parent.released == 0


@played
async def test_a_connection_that_finds_no_room_on_its_way_back_is_lost(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await parent.until(lambda: parent.spares == 1)
    [spare] = parent.pids
    os.kill(spare, signal.SIGSTOP)
    parent.connect(b"alice")
    assert await parent.until(lambda: parent.spares == 0)
    monkeypatch.setattr(forkedchild, "receive_message", no_room_for_one(parent.pool._children[spare]))
    os.kill(spare, signal.SIGKILL)
    assert await parent.until(lambda: parent.released == 1)


def no_room_for_one(child: forkedchild.ForkedChild) -> Callable[[_socket.socket, int], Any]:
    """Receives, but for the first message that the child has not read."""
    end = child._childs_end.fileno()
    failures = [DescriptorsTruncated(24, "Too many open files")]

    def no_room(connection: _socket.socket, size: int) -> Any:
        received = receive_message(connection, size)
        if connection.fileno() == end and failures:
            raise failures.pop()
        return received

    return no_room


@played
async def test_who_cannot_be_answered_is_dismissed(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    send = forkedchild.send_message

    def no_answer(connection: _socket.socket, data: bytes, *rest: Any) -> int:
        if data == KEEP:
            raise OSError(105, "No buffer space available")
        return send(connection, data, *rest)

    monkeypatch.setattr(forkedchild, "send_message", no_answer)
    client = parent.connect(b"alice")
    pid = await parent.served_by(client)
    child = parent.pool._children[pid]
    assert child.monitor.state is State.SERVING
    assert not child.is_linked
    client.close()
    assert await parent.until(lambda: parent.released == 1)


@played
async def test_who_is_killed_gets_no_client_more(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    """From that moment on, and not only when it is dead."""
    pid = await parent.served_by(parent.connect(b"alice"))
    child = parent.pool._children[pid]
    assert child in parent.pool._serving.values()
    kill = forkedchild.ForkedChild.kill
    monkeypatch.setattr(forkedchild.ForkedChild, "kill", lambda child: None)
    parent.pool._kill(child)
    assert child not in parent.pool._serving.values()
    kill(child)


def test_a_send_to_a_serving_child_that_fails_keeps_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = Parent(script)
    send = forkedchild.send_message
    stuck: list[int] = []

    def no_send(connection: _socket.socket, data: bytes, *rest: Any) -> int:
        if connection.fileno() in stuck:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return send(connection, data, *rest)

    async def scenario() -> None:
        first = await parent.served_by(parent.connect(b"alice"))
        monkeypatch.setattr(forkedchild, "send_message", no_send)
        stuck.append(parent.pool._children[first]._link.fileno())
        assert await parent.served_by(parent.connect(b"alice")) != first
        parent.pool.ended(1)  # none of ours

    parent.run(scenario())


@played
async def test_a_new_child_holds_nothing_of_the_others(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither their links nor the clients that wait."""
    await parent.served_by(parent.connect(b"alice"))
    others = list(parent.pool._children.values())
    monkeypatch.setattr(parent.pool, "_supply", Idle())
    for _ in range(2):
        parent.connect(b"")
        await parent.turn()
    waiting = parent.pool._queue[0].descriptors[0].fileno()
    left: list[int] = []
    monkeypatch.setattr(Copies, "leave_to_parent", lambda copies: left.extend(copies._is_held))
    held = [_socket.socket(fileno=os.dup(child._link.fileno())) for child in others]
    ours, theirs = forkedchild.new_link()
    lived: list[bool] = []

    def live(link: _socket.socket, likely_format: str) -> int:
        lived.append(left[waiting] == 1 and ours.fileno() < 0 and not any(child.is_linked for child in others))
        return 7

    monkeypatch.setattr(parent.pool, "_live", live)
    assert parent.pool._begin_child(ours, theirs) == 7
    assert lived == [True]
    for child in others:
        child.kill()
    theirs.close()
    for link in held:
        link.close()


@played
async def test_a_new_child_is_made_ready_for_what_was_read_last(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = parent.connect(b"alice")
    await parent.served_by(client)
    monkeypatch.setattr(parent.pool, "_supply", Idle())
    client.send(b"mdbox")  # as which the child says that the mail was kept
    assert await parent.until(lambda: parent.pool._last_format != "")
    others = list(parent.pool._children.values())
    monkeypatch.setattr(parent.pool, "_live", lambda link, likely_format: FORMATS.index(likely_format))
    ours, theirs = forkedchild.new_link()
    assert parent.pool._begin_child(ours, theirs) == FORMATS.index("mdbox")
    for child in others:
        child.kill()
    theirs.close()


class Idle:
    """Forks nobody."""

    def want_for_client(self) -> None: ...

    def want_spare(self, seconds: float) -> None: ...

    def failed(self) -> None: ...
