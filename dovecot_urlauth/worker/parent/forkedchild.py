"""The parent's hold on one child: its process, and both ends of the link to it.

The parent keeps a copy of the child's end, and so can take out of its queue what the child has not read.  A
descriptor that a child attaches to a word is never left to the kernel to close: the link is drained before it
goes, when nobody can send over it any more.
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.descriptor import (
    DescriptorsTruncated,
    close_all,
    receive_message,
    refuse_descriptors,
    send_message,
)
from dovecot_urlauth.service.signals import SIGKILL, SIGTERM
from dovecot_urlauth.start.cpython import (
    AF_UNIX,
    MSG_DONTWAIT,
    SHUT_RDWR,
    SOCK_CLOEXEC,
    SOCK_SEQPACKET,
    socket,
    socketpair,
)
from dovecot_urlauth.worker.parent.monitor import Monitor, State
from dovecot_urlauth.worker.parent.policy import MOST_CLIENTS, RETRY_PAUSE
from dovecot_urlauth.worker.parent.protocol import MESSAGE_LIMIT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.descriptor import Descriptor
    from dovecot_urlauth.service.loop import Loop, Promise
    from dovecot_urlauth.worker.parent.copies import Copies


def new_link() -> tuple[socket, socket]:
    """The parent's and the child's end. Raises OSError."""
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)


class Client:
    """One client as the parent knows it: what a child is told of it, and copies of its descriptors.

    There are none while a child finds out for whom it asks.
    """

    __slots__ = ("_copies", "descriptors", "gone", "key", "message", "sent_at")

    def __init__(self, message: bytes, descriptors: list[Descriptor], gone: Promise[None], copies: Copies) -> None:
        """``copies`` is told of all descriptors that are held here."""
        self.message = message
        self._copies = copies
        self.descriptors: list[Descriptor] = []
        self._hold(descriptors)
        self.gone = gone
        self.key = b""
        """What stands for the target user that it asked for, once that is known."""
        self.sent_at = 0.0
        """When it was sent to a serving child that has not accepted it yet."""

    def offered(self, key: bytes, message: bytes, descriptors: list[Descriptor]) -> None:
        """A child says who it is, and for whom it asks; the descriptors are taken over."""
        self.key, self.message = key, message
        self._hold(descriptors[:])
        descriptors.clear()

    def returned(self, message: bytes, descriptors: list[Descriptor]) -> None:
        """No child has read it; what was received is needed if we have no copy."""
        if self.descriptors:
            close_all(descriptors)
        else:
            self.message = message
            self._hold(descriptors)

    def let_go(self) -> None:
        """Close our copies of its descriptors, the control connection's last.

        As long as that is open imap-urlauth has its own copy of the others, and the kernel closes nothing that a
        peer has sent over them unread, and that may linger.
        """
        close_all(reversed(self.give_up()))

    def give_up(self) -> list[Descriptor]:
        """Its descriptors, which are the caller's to close, at once."""
        given, self.descriptors = self.descriptors, []
        self._copies.release(given)
        return given

    def _hold(self, descriptors: list[Descriptor]) -> None:
        self.descriptors = descriptors
        self._copies.hold(descriptors)


class ForkedChild:
    """One child, with the clients that it has."""

    __slots__ = (
        "_childs_end",
        "_link",
        "_loop",
        "clients",
        "is_awaited",
        "is_heard",
        "key",
        "monitor",
        "pid",
        "sent",
        "since",
    )

    def __init__(self, loop: Loop, pid: int, link: socket, childs_end: socket) -> None:
        """Take over both ends of the link; the child has its own copy of the second."""
        self._loop = loop
        self._link = link
        self._childs_end = childs_end
        self.pid = pid
        self.monitor = Monitor()
        self.key = b""
        self.clients: dict[int, Client] = {}
        """By the number that the child knows them by."""
        self.sent: list[Client] = []
        """Those that it has not accepted yet."""
        self.is_heard = True
        """Whether what it says counts: not of one that has broken the rules."""
        self.is_awaited = False
        """Whether somebody sees to it that it accepts them in time."""
        self.since = 0.0
        """When it was given its client; later, when the last one left."""

    @property
    def all_clients(self) -> list[Client]:
        return [*self.clients.values(), *self.sent]

    @property
    def is_linked(self) -> bool:
        return self._link.fileno() >= 0

    @property
    def takes_clients(self) -> bool:
        """Whether one more client would be served beside those that it has."""
        return self.monitor.state is State.SERVING and len(self.all_clients) < MOST_CLIENTS

    def send(self, message: bytes, descriptors: list[Descriptor]) -> None:
        """Send a message without waiting; the descriptors stay ours. Raises OSError."""
        fds = [descriptor.fileno() for descriptor in descriptors]
        send_message(self._link, message, fds, MSG_DONTWAIT)

    async def receive(self) -> tuple[bytes, list[Descriptor]] | None:
        """The child's next message; None when the link is closed on our side. Raises DescriptorsTruncated."""
        while self.is_linked:
            try:
                await self._loop.readable(self._link.fileno())
                return receive_message(self._link, MESSAGE_LIMIT)
            except (DescriptorsTruncated, BlockingIOError) as error:
                if isinstance(error, DescriptorsTruncated):
                    raise
            except OSError:
                await self._loop.sleep(RETRY_PAUSE)
        return None

    def heard_already(self) -> tuple[bytes, list[Descriptor]] | None:
        """The next message that is there; None when none is.  Raises DescriptorsTruncated."""
        try:
            received = receive_message(self._link, MESSAGE_LIMIT) if self.is_linked and self.is_heard else None
        except DescriptorsTruncated:
            raise
        except OSError:
            return None
        return received

    def refuse_descriptors(self) -> None:
        """From now on no word of its carries any."""
        refuse_descriptors(self._link)

    def lose(self, client: Client) -> None:
        """It has not read this client, which is another's."""
        if client in self.sent:
            self.sent.remove(client)
            self.monitor.client_taken_back()
        else:
            self.clients = {number: one for number, one in self.clients.items() if one is not client}

    def take_back(self) -> list[tuple[bytes, list[Descriptor]]]:
        """The messages that the child has not read; one that found no room here is b""."""
        unread: list[tuple[bytes, list[Descriptor]]] = []
        while self.is_linked:
            try:
                message, descriptors = receive_message(self._childs_end, MESSAGE_LIMIT)
            except DescriptorsTruncated:
                unread.append((b"", []))
                continue
            except OSError:
                break
            if not message:
                break
            unread.append((message, descriptors))
        return unread

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, SIGKILL)

    def terminate(self) -> None:
        """End it soon."""
        os.kill(self.pid, SIGTERM)

    def close(self) -> None:
        """End the link: the child goes with its last client, and hears what it was told before. Twice is once."""
        if not self.is_linked:
            return
        self._loop.forget(self._link.fileno())
        self._link.shutdown(SHUT_RDWR)
        _drain(self._link)
        self._link.close()
        self._childs_end.close()

    def leave_to_parent(self) -> None:
        """In another child: this one is not ours."""
        self._link.close()
        self._childs_end.close()


def _drain(end: socket) -> None:
    """Close harmlessly what lies in the queue; nothing is added to it any more."""
    while True:
        try:
            message, descriptors = receive_message(end, MESSAGE_LIMIT)
        except DescriptorsTruncated:
            continue
        except OSError:
            return
        close_all(descriptors)
        if not message:
            return
