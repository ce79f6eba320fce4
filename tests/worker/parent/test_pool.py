"""The parent's bookkeeping, with forked children that play their part from a script."""

from __future__ import annotations

import os
import signal

import pytest

from dovecot_urlauth.service import descriptor
from dovecot_urlauth.worker.client import IDLE_TIMEOUT
from dovecot_urlauth.worker.parent import forkedchild, policy, pool, supply
from dovecot_urlauth.worker.serving import REST_AFTER
from tests.worker.parent.children import Parent, played


@pytest.fixture
def parent() -> Parent:
    return Parent()


def count_forks(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    forks: list[None] = []
    fork = os.fork

    def counted() -> int:
        forks.append(None)
        return fork()

    monkeypatch.setattr(os, "fork", counted)
    return forks


@played
async def test_one_process_for_each_target(parent: Parent) -> None:
    first, second, other = (parent.connect(key) for key in (b"alice", b"alice", b"carol"))
    pids = [await parent.served_by(client) for client in (first, second, other)]
    assert pids[0] == pids[1] != pids[2]
    assert parent.released == 0
    for client in (first, second, other):
        client.close()
    assert await parent.until(lambda: parent.released == 3)


@played
async def test_a_process_waits_a_little_for_the_next_client(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "LINGER", 0.2)
    client = parent.connect(b"alice")
    pid = await parent.served_by(client)
    client.close()
    assert await parent.until(lambda: parent.released == 1)
    client = parent.connect(b"alice")
    assert await parent.served_by(client) == pid
    client.close()
    assert await parent.until(lambda: pid not in parent.pids)


@played
async def test_switching_forks_nothing(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    # however slow the machine is, a child that is on its way back is waited for
    for module, name in ((pool, "SELECTING_TIME"), (supply, "FORK_DELAY"), (pool, "LINGER")):
        monkeypatch.setattr(module, name, 30.0)
    for key in (b"alice", b"carol"):
        await parent.served_by(parent.connect(key))
    assert await parent.until(lambda: parent.spares == 1)
    before = parent.pids
    for key in (b"alice", b"carol") * 3:
        client = parent.connect(key)
        await parent.served_by(client)
        client.close()
    assert parent.pids == before


@played
async def test_too_many_clients_get_another_process(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forkedchild, "MOST_CLIENTS", 2)
    clients = [parent.connect(b"alice") for _ in range(5)]
    pids = [await parent.served_by(client) for client in clients]
    assert sorted(pids.count(pid) for pid in set(pids)) == [1, 2, 2]


@played
async def test_a_busy_process_loses_whom_it_has_not_come_to(parent: Parent) -> None:
    first = parent.connect(b"alice")
    busy = await parent.served_by(first)
    first.sendall(b"busy")
    sent = [parent.connect(b"alice") for _ in range(3)]
    pids = {await parent.served_by(client) for client in sent}
    assert len(pids) == 1
    assert busy not in pids
    assert {await parent.served_by(parent.connect(b"alice"))} == pids
    first.close()
    assert await parent.until(lambda: busy not in parent.pids), "it got no other client, and ends"
    assert await parent.until(lambda: parent.released == 1)


@played
async def test_a_stopped_process_keeps_only_whom_it_serves(parent: Parent) -> None:
    first = parent.connect(b"alice")
    stopped = await parent.served_by(first)
    os.kill(stopped, signal.SIGSTOP)
    clients = [parent.connect(b"alice") for _ in range(5)]
    pids = {await parent.served_by(client) for client in clients}
    assert len(pids) == 1
    assert stopped not in pids
    os.kill(stopped, signal.SIGCONT)
    first.close()
    assert await parent.until(lambda: parent.released == 1)
    assert not parent.lines


@played
async def test_a_stopped_process_without_clients_goes(parent: Parent) -> None:
    first = parent.connect(b"alice")
    stopped = await parent.served_by(first)
    first.close()
    assert await parent.until(lambda: parent.released == 1)
    os.kill(stopped, signal.SIGSTOP)
    assert await parent.served_by(parent.connect(b"alice")) != stopped
    os.kill(stopped, signal.SIGCONT)
    assert await parent.until(lambda: stopped not in parent.pids)


@played
async def test_a_process_that_dies_before_it_reads_a_client_loses_it_to_another(parent: Parent) -> None:
    stopped = await parent.served_by(parent.connect(b"alice"))
    os.kill(stopped, signal.SIGSTOP)
    second = parent.connect(b"alice")
    assert await parent.until(lambda: bool(parent.pool._children[stopped].sent))
    os.kill(stopped, signal.SIGKILL)
    assert await parent.served_by(second) != stopped
    assert await parent.until(lambda: parent.released == 1)


@played
async def test_a_spare_that_dies_before_it_reads_its_connection_loses_it_to_another(parent: Parent) -> None:
    assert await parent.until(lambda: parent.spares == 1)
    [spare] = parent.pids
    os.kill(spare, signal.SIGSTOP)
    client = parent.connect(b"alice")
    assert await parent.until(lambda: parent.spares == 0)
    os.kill(spare, signal.SIGKILL)
    assert await parent.served_by(client) != spare


@played
async def test_who_is_not_shared_gets_no_other(parent: Parent) -> None:
    first, second = parent.connect(b"alone"), parent.connect(b"alone")
    pids = {await parent.served_by(client) for client in (first, second)}
    assert len(pids) == 2
    first.close()
    second.close()
    assert await parent.until(lambda: parent.released == 2)


@played
async def test_who_is_not_shared_any_more_gets_no_other(parent: Parent) -> None:
    first, second = parent.connect(b"alice"), parent.connect(b"alice")
    pid = await parent.served_by(first)
    assert await parent.served_by(second) == pid
    first.sendall(b"unshared")
    assert await parent.until(lambda: not parent.pool._serving)
    assert await parent.served_by(parent.connect(b"alice")) != pid
    first.close()
    second.close()
    assert await parent.until(lambda: pid not in parent.pids)


@played
async def test_a_process_that_dies_takes_its_clients_along_and_no_other(parent: Parent) -> None:
    clients = [parent.connect(b"alice") for _ in range(3)]
    pid = {await parent.served_by(client) for client in clients}.pop()
    await parent.served_by(parent.connect(b"carol"))
    os.kill(pid, signal.SIGKILL)
    assert await parent.until(lambda: parent.released == 3)
    assert await parent.served_by(parent.connect(b"alice")) != pid
    assert parent.released == 3


@played
async def test_a_word_out_of_turn_is_the_childs_end(parent: Parent) -> None:
    client = parent.connect(b"wrong")
    assert await parent.until(lambda: parent.released == 1)
    assert [line.partition(" sent ")[2] for line in parent.lines] == ["CLIENT_GONE while selecting, killed"]
    assert client.recv(10) == b""


@played
async def test_a_child_that_crashes_ends_its_client_alone(parent: Parent) -> None:
    other = await parent.served_by(parent.connect(b"carol"))
    parent.connect(b"crash")
    assert await parent.until(lambda: parent.released == 1)
    assert other in parent.pids


@played
async def test_a_burst_is_served_by_few(parent: Parent) -> None:
    await parent.served_by(parent.connect(b"alice"))
    clients = [parent.connect(b"alice") for _ in range(15)]
    assert len({await parent.served_by(client) for client in clients}) == 1
    assert await parent.until(lambda: len(parent.pids) == 2), "the target user's process and one spare"


@played
async def test_who_never_says_whom_it_wants_delays_nobody(parent: Parent) -> None:
    silent = parent.connect(b"")
    assert await parent.until(lambda: parent.spares == 1), "there is a spare"
    more = [parent.connect(b"") for _ in range(3)]
    assert await parent.served_by(parent.connect(b"alice"))
    for client in [silent, *more]:
        client.ask(b"alice")
    assert len({await parent.served_by(client) for client in [silent, *more]}) == 1


@played
async def test_when_master_dies_nobody_lingers(parent: Parent) -> None:
    client = parent.connect(b"alice")
    pid = await parent.served_by(client)
    parent.dying = True
    client.close()
    assert await parent.until(lambda: pid not in parent.pids)


@played
async def test_without_a_fork_the_client_is_let_go(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", no_fork)
    client = parent.connect(b"alice")
    assert await parent.until(lambda: parent.released == 1)
    assert "fork() failed: Resource temporarily unavailable" in parent.lines
    with pytest.raises(ConnectionResetError):
        client.control.recv(10)  # closed, with what it had said unread


@played
async def test_without_a_link_the_client_is_let_go(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(pool, "new_link", no_link)
    parent.connect(b"alice")
    assert await parent.until(lambda: parent.released == 1)
    assert "socketpair() failed: Too many open files" in parent.lines


@played
async def test_a_send_that_always_fails_forks_in_no_hurry(parent: Parent, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_send(*arguments: object) -> int:
        raise OSError(109, "Too many references")

    forks = count_forks(monkeypatch)
    monkeypatch.setattr(forkedchild, "send_message", no_send)
    parent.connect(b"alice")
    await parent.turn(0.6)
    assert 1 <= len(forks) <= 3
    monkeypatch.setattr(forkedchild, "send_message", descriptor.send_message)
    assert await parent.served_by(parent.clients[0]), "it is served when the system has room again"


@played
async def test_spares_that_end_at_once_are_forked_in_no_hurry(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    forks = count_forks(monkeypatch)
    parent.pool._live = lambda link, likely_format: 1
    parent.connect(b"alice")
    for _ in range(60):
        await parent.turn()
    assert 1 <= len(forks) <= 3


@played
async def test_an_unforeseen_failure_to_fork_is_not_the_last(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [MemoryError()]
    new_link = pool.new_link

    def failing() -> object:
        if failures:
            raise failures.pop()
        return new_link()

    monkeypatch.setattr(supply, "CRASH_DELAY", 0.05)
    monkeypatch.setattr(pool, "new_link", failing)
    assert await parent.served_by(parent.connect(b"alice"))
    assert [type(error) for error in parent.crashes] == [MemoryError]


def test_a_client_that_is_given_up_leaves_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = Parent()
    parent.pool.start = lambda: None  # type: ignore[method-assign]

    async def scenario() -> None:
        client = parent.connect(b"alice")
        await parent.turn()
        parent.served[0].cancel(RuntimeError("the process ends"))
        await parent.turn()
        assert parent.released == 1
        assert not parent.pool._queue
        with pytest.raises(ConnectionResetError):
            client.control.recv(10)

    parent.run(scenario())


def test_the_numbers_make_sense_together() -> None:
    assert policy.FORK_DELAY < policy.SPARE_DELAY < policy.SELECTING_TIME < policy.PATIENCE < policy.LINGER
    assert policy.SPARE_DELAY < REST_AFTER < 5, "imap's connection is there for as long"
    assert policy.REST_LIMIT == IDLE_TIMEOUT
