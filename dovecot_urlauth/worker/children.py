"""The parent's view of its children: which of them is spare, and which is whom.

A child begins as a spare.  With a connection of imap-urlauth it finds out, as root, which target user is asked
for.  If another child is that user already it passes the client on and is a spare again; if none is it becomes
that user, and takes the clients that ask for the same user later.  So a user whose mail is asked for often has
one process that is warm, and switching between two users costs no fork.

The parent never reads a client's bytes, nor a connection's: it compares keys and hands on descriptors.
"""

from __future__ import annotations

import os
from time import monotonic

from dovecot_urlauth.service.fdpass import close_fds, receive_fds
from dovecot_urlauth.service.signals import SIGKILL, SIGTERM
from dovecot_urlauth.service.sockets import CREDENTIALS
from dovecot_urlauth.start.cpython import MSG_DONTWAIT
from dovecot_urlauth.start.frozen import Enum
from dovecot_urlauth.worker.link import (
    ADMITTED,
    ALONE,
    KEEP,
    KEY_SIZE,
    LEFT,
    MESSAGE_LIMIT,
    OFFER,
    TAKEN,
    link,
    send_message,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.service.callback_process import ServiceProcess
    from dovecot_urlauth.service.sockets import PeerCredentials
    from dovecot_urlauth.start.cpython import socket

    Live = Callable[[socket], int]
    """What a child does with its end of the link; returns the exit status."""

SPARES = 1
"""Children that wait for a connection when there is nothing to do."""
SPARE_DELAY = 0.02
"""Seconds before a used-up spare child is replaced: the client that it serves goes first."""
CRASH_DELAY = 1.0
"""The same for one that was not used up: whatever ended it may well end the next."""
RECEPTION_TIME = 0.1
"""Seconds that a child takes at most, usually, to find out who is asked for."""
FORK_DELAY = 0.005
"""Seconds that a connection waits for a child that is likely to be spare again before one is forked for it."""
LINGER = 1.0
"""Seconds that a target user's process waits for the next client after its last."""
MOST_CLIENTS = 20
"""Clients in one process: what one user's decoded parts may take of 256 MiB, and what one crash may cost."""
PATIENCE = 0.25
"""Seconds after which a process that has not admitted a client is busy with something long, and gets no other."""


class Role(Enum):
    """What a child is doing."""

    SPARE = "spare"
    RECEPTION = "reception"
    HOUSEHOLD = "household"


class Child:
    """One forked child."""

    __slots__ = ("clients", "key", "link", "pid", "role", "since", "unanswered")

    def __init__(self, pid: int, parents_end: socket) -> None:
        self.pid = pid
        self.link = parents_end
        self.role = Role.SPARE
        self.key = b""
        self.clients = 0
        self.unanswered = 0
        """Clients that it was sent and has not admitted yet."""
        self.since = 0.0
        """When it got its connection; later, when the first of those came, or the last client left."""

    def is_free(self, now: float) -> bool:
        """Whether one more client would be served at once."""
        return self.clients < MOST_CLIENTS and not (self.unanswered and now - self.since > PATIENCE)

    def admit_soon(self, now: float) -> None:
        """One more client was sent to it."""
        self.clients += 1
        if not self.unanswered:
            self.since = now
        self.unanswered += 1


class Children:
    """Gives each connection to a child, and clients to the child that is their target user."""

    def __init__(self, process: ServiceProcess, live: Live, on_change: Callable[[int], None]) -> None:
        """``live(link)`` is a child's life; ``on_change(clients)`` is told how many clients there are."""
        self._process = process
        self._live = live
        self._on_change = on_change
        self._by_pid: dict[int, Child] = {}
        self._spares: list[Child] = []
        self._hosts: dict[bytes, Child] = {}
        """By key: the child that is a target user, and takes more clients."""
        self._queue: list[tuple[socket, PeerCredentials]] = []
        self._forking = False
        process.loop.after(0, self._refill)

    @property
    def clients(self) -> int:
        return len(self._queue) + sum(child.clients for child in self._by_pid.values())

    def serve(self, connection: socket, peer: PeerCredentials) -> None:
        """See that a child serves ``connection``, which is theirs from now on."""
        self._queue.append((connection, peer))
        self._on_change(self.clients)
        self._serve_queue()

    def dismiss_idle(self) -> None:
        """No new client will come: whoever has none may go."""
        while self._spares:
            self._dismiss(self._spares.pop())
        for child in list(self._hosts.values()):
            if not child.clients:
                self._dismiss(child)

    def terminate(self) -> None:
        """Give up all clients now."""
        for child in self._by_pid.values():
            os.kill(child.pid, SIGTERM)

    def ended(self, pid: int) -> None:
        """A child is no more, and nor are its clients."""
        child = self._by_pid.pop(pid, None)
        if child is None:
            return
        self._dismiss(child)
        clients, child.clients = child.clients, 0
        for _ in range(clients):
            self._release()
        self._process.loop.after(CRASH_DELAY if child.role is Role.SPARE else SPARE_DELAY, self._refill)

    def _serve_queue(self) -> None:
        while self._queue and self._spares:
            self._give(self._spares.pop())
        if self._queue and not self._forking:
            self._forking = True
            self._process.loop.after(FORK_DELAY if self._is_one_returning() else 0, self._fork_for_queue)

    def _give(self, spare: Child) -> None:
        connection, peer = self._queue[0]
        try:
            send_message(spare.link, CREDENTIALS.pack(peer.pid, peer.uid, peer.gid), (connection.fileno(),))
        except OSError:
            self._dismiss(spare)  # it is gone; the next one gets the connection
            return
        del self._queue[0]
        connection.close()
        spare.role = Role.RECEPTION
        spare.clients = 1
        spare.since = monotonic()
        self._process.loop.after(SPARE_DELAY, self._refill)

    def _fork_for_queue(self) -> None:
        self._forking = False
        if self._queue and not self._spares and not self._fork():
            self._queue.pop(0)[0].close()
            self._release()
        self._serve_queue()

    def _refill(self) -> None:
        if self._process.dying or len(self._spares) >= SPARES:
            return
        if self._is_one_returning():
            self._process.loop.after(RECEPTION_TIME, self._refill)
        else:
            self._fork()
            self._serve_queue()

    def _is_one_returning(self) -> bool:
        """Whether a child is likely to be spare again soon; a client may well keep one for minutes."""
        late = monotonic() - RECEPTION_TIME
        return any(child.role is Role.RECEPTION and child.since > late for child in self._by_pid.values())

    def _fork(self) -> bool:
        """Fork a spare child; False when there cannot be one."""
        try:
            ours, theirs = link()
        except OSError as error:
            self._process.log.error(f"socketpair() failed: {error.strerror}")
            return False
        try:
            pid = os.fork()
        except OSError as error:
            self._process.log.error(f"fork() failed: {error.strerror}")
            ours.close()
            theirs.close()
            return False
        if pid == 0:
            for child in self._by_pid.values():
                child.link.close()
            for connection, _ in self._queue:
                connection.close()
            ours.close()
            os._exit(self._live(theirs))
        theirs.close()
        ours.setblocking(False)
        child = self._by_pid[pid] = Child(pid, ours)
        self._spares.append(child)
        self._process.loop.watch(ours.fileno(), lambda events: self._on_message(child))
        return True

    def _on_message(self, child: Child) -> None:
        try:
            data, fds = receive_fds(child.link, MESSAGE_LIMIT)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        handler = self._HANDLERS.get((child.role, data[:1]))
        if handler is not None:
            handler(self, child, data, fds)
        elif data:
            self._process.log.error(f"child {child.pid} sent an unexpected message, killed")
            os.kill(child.pid, SIGKILL)
        if not data or handler is None:
            self._dismiss(child)
        close_fds(fds)

    def _on_offer(self, child: Child, data: bytes, fds: list[int]) -> None:
        key, access = data[1 : 1 + KEY_SIZE], data[1 + KEY_SIZE :]
        now = monotonic()
        host = self._hosts.get(key)
        if host is not None and host.is_free(now) and _pass_on(host, access, fds):
            host.admit_soon(now)
            child.clients = 0
            self._answer(child, TAKEN)
            self._on_spare_again(child)
            return
        self._answer(child, KEEP)
        child.key = key
        self._hosts[key] = child
        self._on_kept(child, data, fds)

    def _on_kept(self, child: Child, data: bytes, fds: list[int]) -> None:
        child.role = Role.HOUSEHOLD
        self._process.loop.after(SPARE_DELAY, self._refill)

    def _on_spare_again(self, child: Child) -> None:
        child.role = Role.SPARE
        self._spares.append(child)
        self._serve_queue()
        while len(self._spares) > SPARES:
            self._dismiss(self._spares.pop(0))

    def _on_admitted(self, child: Child, data: bytes, fds: list[int]) -> None:
        child.unanswered = max(child.unanswered - 1, 0)
        child.since = monotonic()

    def _on_left(self, child: Child, data: bytes, fds: list[int]) -> None:
        if not child.clients:
            return
        child.clients -= 1
        if not child.clients:
            child.since = monotonic()
            if self._process.dying or self._hosts.get(child.key) is not child:
                self._dismiss(child)
            else:
                self._process.loop.after(LINGER, lambda: self._dismiss_unused(child))
        self._release()

    def _on_alone(self, child: Child, data: bytes, fds: list[int]) -> None:
        if self._hosts.get(child.key) is child:
            del self._hosts[child.key]

    def _dismiss_unused(self, child: Child) -> None:
        if not child.clients and monotonic() - child.since >= LINGER:
            self._dismiss(child)

    def _dismiss(self, child: Child) -> None:
        """Close the link: the child ends as soon as it has no client any more."""
        if child.link.fileno() >= 0:
            self._process.loop.forget(child.link.fileno())
            child.link.close()
        if child in self._spares:
            self._spares.remove(child)
        if self._hosts.get(child.key) is child:
            del self._hosts[child.key]

    def _answer(self, child: Child, word: bytes) -> None:
        try:
            send_message(child.link, word)
        except OSError:
            self._dismiss(child)

    def _release(self) -> None:
        self._on_change(self.clients)
        self._process.release()

    _HANDLERS = {
        (Role.RECEPTION, OFFER): _on_offer,
        (Role.RECEPTION, ALONE): _on_kept,
        (Role.HOUSEHOLD, ADMITTED): _on_admitted,
        (Role.HOUSEHOLD, LEFT): _on_left,
        (Role.HOUSEHOLD, ALONE): _on_alone,
    }


def _pass_on(host: Child, access: bytes, fds: list[int]) -> bool:
    """Send a client to its target user's process; False when that has gone or does not read."""
    try:
        send_message(host.link, access, tuple(fds), MSG_DONTWAIT)
    except OSError:
        return False
    return True
