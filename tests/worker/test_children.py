"""The parent's bookkeeping, with forked children that play their part from a script."""

from __future__ import annotations

import _socket
import os
import select
import signal
import socket
import time

import pytest

from dovecot_urlauth.service.callbacks import Loop
from dovecot_urlauth.service.fdpass import receive_fds
from dovecot_urlauth.service.sockets import PeerCredentials
from dovecot_urlauth.worker import children as children_module
from dovecot_urlauth.worker.children import Children
from dovecot_urlauth.worker.link import ADMITTED, ALONE, KEEP, KEY_SIZE, LEFT, OFFER, TAKEN, send_message

PEER = PeerCredentials(pid=7, uid=102, gid=105)


def script(link):
    """A child: what its client writes is the key, or a command to the target user's process.

    Every client is told which process serves it; at the client's end the parent is told LEFT.
    """
    while True:
        _, fds = receive_blocking(link)
        if not fds:
            return 0
        client = socket.socket(fileno=fds[0])
        wish = client.recv(100)
        if wish == b"alone":
            send_message(link, ALONE)
            tell(client)
            client.recv(1)
            return 0
        if wish == b"wrong":
            send_message(link, LEFT)
            time.sleep(10)
        send_message(link, OFFER + wish.ljust(KEY_SIZE) + b"access\n", (client.fileno(),))
        if link.recv(1) == TAKEN:
            client.close()
            continue
        return keep_house(link, client)


def keep_house(link, client):
    clients = [client]
    tell(client)
    while clients or link:
        for ready in wait_for_any([*clients, *([link] if link else [])]):
            if ready is link:
                _, fds = receive_blocking(link)
                if not fds:
                    link = None
                    continue
                send_message(link, ADMITTED)
                clients.append(socket.socket(fileno=fds[0]))
                tell(clients[-1])
            elif ready.recv(10) == b"busy":
                time.sleep(0.6)
            else:
                clients.remove(ready)
                ready.close()
                if link:
                    send_message(link, LEFT)
    return 0


def tell(client):
    client.sendall(b"%d" % os.getpid())


def wait_for_any(sockets):
    poll = select.poll()
    for waiting in sockets:
        poll.register(waiting, select.POLLIN)
    ready = {fd for fd, _ in poll.poll()}
    return [waiting for waiting in sockets if waiting.fileno() in ready]


def receive_blocking(link):
    wait_for_any([link])
    return receive_fds(link, 1000)


class Process:
    """What Children needs of a service process."""

    def __init__(self):
        self.loop = Loop()
        self.dying = False
        self.log = self
        self.lines = []
        self.released = 0

    def error(self, text):
        self.lines.append(text)

    def release(self):
        self.released += 1


class Parent:
    """Runs the loop in small steps."""

    def __init__(self):
        self.process = Process()
        self.counts = []
        self.clients = []
        self.children = Children(self.process, self.live, self.counts.append)

    def live(self, link):
        for client in self.clients:
            client.close()
        try:
            return script(link)
        except BaseException:
            return 1  # a child must never go on as the test run

    def connect(self, wish):
        ours, theirs = socket.socketpair()
        self.children.serve(_socket.socket(fileno=theirs.detach()), PEER)
        ours.sendall(wish)
        self.clients.append(ours)
        return ours

    def turn(self, seconds=0.01):
        self.process.loop.after(seconds, self.process.loop.stop)
        self.process.loop._stopped = False
        self.process.loop.run()
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self.children.ended(pid)

    def served_by(self, client):
        """The pid that serves the client."""
        client.setblocking(False)
        for _ in range(500):
            self.turn()
            try:
                return int(client.recv(100))
            except BlockingIOError:
                continue
        raise AssertionError("nobody serves it")

    def until(self, condition):
        for _ in range(500):
            if condition():
                return True
            self.turn()
        return False

    @property
    def pids(self):
        return set(self.children._by_pid)


@pytest.fixture
def parent():
    made = Parent()
    yield made
    for client in made.clients:
        client.close()
    made.children.terminate()
    for child in list(made.children._by_pid.values()):
        os.waitpid(child.pid, 0)
        made.children.ended(child.pid)
    made.process.loop.close()


def test_one_process_for_each_target(parent):
    first, second, other = (parent.connect(key) for key in (b"alice", b"alice", b"carol"))
    pids = [parent.served_by(client) for client in (first, second, other)]
    assert pids[0] == pids[1] != pids[2]
    assert parent.children.clients == 3
    for client in (first, second, other):
        client.close()
    assert parent.until(lambda: parent.process.released == 3)
    assert parent.children.clients == 0
    assert max(parent.counts) == 3


def test_a_process_waits_a_little_for_the_next_client(parent, monkeypatch):
    monkeypatch.setattr(children_module, "LINGER", 0.2)
    client = parent.connect(b"alice")
    pid = parent.served_by(client)
    client.close()
    assert parent.until(lambda: parent.process.released == 1)
    client = parent.connect(b"alice")
    assert parent.served_by(client) == pid
    client.close()
    assert parent.until(lambda: pid not in parent.pids)


def test_switching_forks_nothing(parent):
    for key in (b"alice", b"carol"):
        parent.served_by(parent.connect(key))
    assert parent.until(lambda: len(parent.children._spares) == 1)
    before = parent.pids
    for key in (b"alice", b"carol") * 3:
        client = parent.connect(key)
        parent.served_by(client)
        client.close()
    assert parent.pids == before


def test_too_many_clients_get_another_process(parent, monkeypatch):
    monkeypatch.setattr(children_module, "MOST_CLIENTS", 2)
    clients = [parent.connect(b"alice") for _ in range(5)]
    pids = [parent.served_by(client) for client in clients]
    assert sorted(pids.count(pid) for pid in set(pids)) == [1, 2, 2]


def test_a_busy_process_gets_no_more(parent):
    first = parent.connect(b"alice")
    pid = parent.served_by(first)
    first.sendall(b"busy")
    second = parent.connect(b"alice")
    assert parent.until(lambda: parent.children._hosts[next(iter(parent.children._hosts))].unanswered)
    parent.turn(children_module.PATIENCE + 0.05)
    third = parent.connect(b"alice")
    assert parent.served_by(third) != pid
    assert parent.served_by(second) == pid


def test_who_is_alone_gets_no_other(parent):
    first, second = parent.connect(b"alone"), parent.connect(b"alone")
    pids = {parent.served_by(client) for client in (first, second)}
    assert len(pids) == 2
    first.close()
    second.close()
    assert parent.until(lambda: parent.process.released == 2)


def test_a_process_that_dies_takes_its_clients_along_and_no_other(parent):
    clients = [parent.connect(b"alice") for _ in range(3)]
    pid = {parent.served_by(client) for client in clients}.pop()
    other = parent.connect(b"carol")
    parent.served_by(other)
    os.kill(pid, signal.SIGKILL)
    assert parent.until(lambda: parent.process.released == 3)
    assert parent.children.clients == 1
    assert parent.served_by(parent.connect(b"alice")) != pid


def test_a_word_out_of_turn_is_the_childs_end(parent):
    client = parent.connect(b"wrong")
    assert parent.until(lambda: parent.process.released == 1)
    assert "unexpected message" in parent.process.lines[0]
    assert client.recv(10) == b""


def test_a_burst_is_served_by_few(parent):
    parent.served_by(parent.connect(b"alice"))
    clients = [parent.connect(b"alice") for _ in range(15)]
    assert len({parent.served_by(client) for client in clients}) == 1
    assert parent.until(lambda: len(parent.pids) == 2), "the target user's process and one spare"


def test_who_never_says_whom_it_wants_delays_nobody(parent):
    silent = parent.connect(b"")
    assert parent.until(lambda: len(parent.children._spares) == 1), "there is a spare again"
    more = [parent.connect(b"") for _ in range(3)]
    assert parent.served_by(parent.connect(b"alice"))
    for client in [silent, *more]:
        client.close()
    assert parent.until(lambda: parent.process.released == 4)


def test_when_master_dies_the_idle_go(parent):
    client = parent.connect(b"alice")
    pid = parent.served_by(client)
    parent.process.dying = True
    parent.children.dismiss_idle()
    assert parent.until(lambda: parent.pids == {pid})
    client.close()
    assert parent.until(lambda: not parent.pids)


def test_without_a_fork_the_client_is_let_go(parent, monkeypatch):
    def no_fork():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", no_fork)
    client = parent.connect(b"alice")
    assert parent.until(lambda: parent.process.released == 1)
    assert "fork() failed: Resource temporarily unavailable" in parent.process.lines
    with pytest.raises(ConnectionResetError):
        client.recv(10)  # closed, with what it had said unread


def test_keep_is_not_taken():
    assert len({KEEP, TAKEN, OFFER, LEFT, ADMITTED, ALONE}) == 6
