"""Which child is spare, and which is whom.

A child begins as a spare.  Given a connection of imap-urlauth it finds out, as root, which target user is asked
for.  If another child is that user already, for the same access user and service, the client is passed on and
the child is a spare again; if none is it becomes that user, and takes the clients that ask for the same later.
So a user whose mail is asked for often has one process that is warm, and switching between two users costs no
fork.  A process that does not come to a client in time loses it, and every later one, to another.  One whose
clients ask for nothing ends, and they rest with the parent until they do.

The parent never takes a client's bytes, nor a connection's: it compares keys and hands on descriptors.
"""

from __future__ import annotations

from dovecot_urlauth.service.descriptor import Descriptor, DescriptorsTruncated, close_all
from dovecot_urlauth.service.forking import fork
from dovecot_urlauth.service.stats import SILENT, Stats
from dovecot_urlauth.worker.parent.copies import Copies
from dovecot_urlauth.worker.parent.forkedchild import Client, ForkedChild, new_link
from dovecot_urlauth.worker.parent.monitor import OutOfTurn, State
from dovecot_urlauth.worker.parent.policy import FAREWELL, LINGER, PATIENCE, SELECTING_TIME, SPARE_DELAY, SPARES
from dovecot_urlauth.worker.parent.protocol import (
    ACCEPTED,
    CLIENT_GONE,
    KEEP,
    KEEP_AWAKE,
    NOT_SHARED,
    OFFER,
    RESTING,
    TAKEN,
    offer_parts,
    pack_connection,
    parse_gone,
    parse_resting,
)
from dovecot_urlauth.worker.parent.resting import RestingClients
from dovecot_urlauth.worker.parent.supply import Supply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.service.connection import Connection
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.service.sockets import PeerCredentials
    from dovecot_urlauth.start.cpython import socket

    Live = Callable[[socket, str], int]
    """What a child does with its end of the link, made ready for mail of a format; returns the exit status."""


class Pool:
    """Gives each connection to a child, and clients to the child that is their target user."""

    def __init__(
        self, loop: Loop, log: Log, live: Live, needs_spares: Callable[[], bool], stats: Stats = SILENT
    ) -> None:
        """``needs_spares()`` is whether new clients may come; ``stats`` hears of those whose end is seen here."""
        self._loop = loop
        self._log = log
        self._live = live
        self._children: dict[int, ForkedChild] = {}
        """By pid."""
        self._spares: list[ForkedChild] = []
        self._serving: dict[bytes, ForkedChild] = {}
        """By key: the child that is a target user, and takes more clients."""
        self._copies = Copies()
        self._queue: list[Client] = []
        self._resting = RestingClients(loop, self._wake, stats)
        self._last_format = ""
        """How the mail is kept that was asked for last, as a child says; the next may well be kept so, too."""
        self._supply = Supply(loop, self._missing, self._is_one_returning, self._add_spare)
        self._needs_spares = needs_spares

    def start(self) -> None:
        """Have spare children from now on."""
        self._loop.spawn(self._supply.keep(), "supply")

    async def serve(self, connection: Connection, peer: PeerCredentials) -> None:
        """See that a child serves ``connection``, which is theirs from now on; return when it is over."""
        descriptors = [Descriptor(connection.detach().detach())]
        client = Client(pack_connection(peer), descriptors, self._loop.promise(), self._copies)
        self._queue.append(client)
        self._serve_queue()
        try:
            await client.gone.wait()
        finally:
            if client in self._queue:
                self._queue.remove(client)
            self._resting.remove(client)
            client.let_go()

    def terminate(self) -> None:
        """Give up all clients now."""
        for child in self._children.values():
            child.terminate()

    def ended(self, pid: int) -> None:
        """A child is no more, and nor are its clients, but for those that it had not come to."""
        child = self._children.pop(pid, None)
        if child is None:
            return
        was_dismissed = not child.is_linked
        self._hear_out(child)
        self._take_back(child)
        self._dismiss(child)
        for client in child.all_clients:
            client.gone.set(None)
        is_unused = child.monitor.state in (State.SPARE, State.SELECTING) and not child.clients
        if is_unused and not was_dismissed:
            self._supply.failed()
        self._supply.want_spare(SPARE_DELAY)
        self._serve_queue()

    def leave_to_parent(self) -> None:
        """In a forked child: let go of the others, and of all clients."""
        for child in self._children.values():
            child.leave_to_parent()
        self._copies.leave_to_parent()

    def _serve_queue(self) -> None:
        while self._queue and self._spares:
            self._give(self._queue[0], self._spares.pop())
        if self._queue:
            self._supply.want_for_client()

    def _give(self, client: Client, spare: ForkedChild) -> None:
        try:
            spare.send(client.message, client.descriptors)
        except OSError as error:
            self._log.error(f"sendmsg(child {spare.pid}) failed: {error.strerror}")
            self._supply.failed()
            self._dismiss(spare)  # the next one gets the client
            return
        self._queue.remove(client)
        client.let_go()
        client.key = b""  # the child finds out anew for whom it asks
        spare.monitor.given()
        spare.clients[0] = client
        spare.since = self._loop.now()
        self._supply.want_spare(SPARE_DELAY)

    def _missing(self) -> tuple[bool, bool]:
        """Whether a client waits for a child, and whether a spare child is missing."""
        is_waiting = bool(self._queue) and not self._spares
        return is_waiting, len(self._spares) < SPARES and self._needs_spares()

    def _is_one_returning(self) -> bool:
        """Whether a child is likely to be spare again soon; a client may well keep one for minutes."""
        late = self._loop.now() - SELECTING_TIME
        return any(
            child.monitor.state is State.SELECTING and child.since > late for child in self._children.values()
        )

    def _add_spare(self) -> None:
        """Fork a spare child; when there cannot be one the client that has waited longest is let go."""
        try:
            ours, theirs = new_link()
        except OSError as error:
            self._give_up(f"socketpair() failed: {error.strerror}")
            return
        try:
            pid = fork(lambda: self._begin_child(ours, theirs), self._log)
        except OSError as error:
            ours.close()
            theirs.close()
            self._give_up(f"fork() failed: {error.strerror}")
            return
        child = self._children[pid] = ForkedChild(self._loop, pid, ours, theirs)
        self._spares.append(child)
        self._loop.spawn(self._hear(child), f"child {pid}")
        self._serve_queue()

    def _begin_child(self, ours: socket, theirs: socket) -> int:
        ours.close()
        self.leave_to_parent()
        return self._live(theirs, self._last_format)

    def _give_up(self, why: str) -> None:
        self._log.error(why)
        if self._queue:
            client = self._queue.pop(0)
            client.let_go()
            client.gone.set(None)
        self._serve_queue()

    async def _hear(self, child: ForkedChild) -> None:
        """A child's words, until the link ends or one is out of turn."""
        try:
            while await self._hear_one(child):
                pass
        except OutOfTurn as error:
            self._log.error(f"child {child.pid} sent {error}, killed")
            self._kill(child)
        except Exception:
            self._kill(child)  # nobody would hear it any more
            raise

    async def _hear_one(self, child: ForkedChild) -> bool:
        """One word. False at the end of the link. Raises OutOfTurn."""
        try:
            received = await child.receive()
        except DescriptorsTruncated as error:
            self._log.error(f"recvmsg(child {child.pid}) failed: {error.strerror}")
            if child.monitor.state is not State.SELECTING:
                raise OutOfTurn("descriptors beside a word that has none") from error
            self._keep(child, is_awake=True)
            return True
        if received is None:
            return False
        self._heed(child, *received)
        return True

    def _hear_out(self, child: ForkedChild) -> None:
        """Heed what a child has said before it ended."""
        try:
            while (received := child.heard_already()) is not None and received[0]:
                self._heed(child, *received)
        except (OutOfTurn, DescriptorsTruncated) as error:
            self._log.error(f"child {child.pid} sent {error}, and has ended")

    def _heed(self, child: ForkedChild, message: bytes, descriptors: list[Descriptor]) -> None:
        """Raises OutOfTurn."""
        try:
            word = child.monitor.received(message, len(descriptors))
            self._HANDLERS[word](self, child, message, descriptors)
        finally:
            close_all(descriptors)

    def _on_offer(self, child: ForkedChild, message: bytes, descriptors: list[Descriptor]) -> None:
        client = child.clients[0]
        client.offered(*offer_parts(message), descriptors)
        if not self._pass_on(client):
            self._keep(child)
            return
        del child.clients[0]
        child.monitor.answered_taken()
        self._answer(child, TAKEN)
        self._add_returned(child)

    def _pass_on(self, client: Client) -> bool:
        """Give a client to the child that is its target user; False when there is none that takes it now."""
        serving = self._serving.get(client.key)
        if serving is None or not serving.takes_clients:
            return False
        try:
            serving.send(client.message, client.descriptors)
        except OSError:
            return False  # it has gone or does not read
        client.sent_at = self._loop.now()
        serving.sent.append(client)
        serving.monitor.client_sent()
        if not serving.is_awaited:
            serving.is_awaited = True
            self._loop.spawn(self._await_accepted(serving), "patience")
        return True

    def _keep(self, child: ForkedChild, *, is_awake: bool = False) -> None:
        """Let a child become its client's target user, and take more clients, if it was heard who that is."""
        child.monitor.answered_keep(is_awake=is_awake)
        child.refuse_descriptors()
        child.key = child.clients[0].key
        if child.key:
            self._serving[child.key] = child
        self._answer(child, KEEP_AWAKE if is_awake else KEEP)
        self._supply.want_spare(SPARE_DELAY)

    def _wake(self, client: Client) -> None:
        """A client that rested asks for something."""
        if not self._pass_on(client):
            self._queue.append(client)
            self._serve_queue()

    def _add_returned(self, child: ForkedChild) -> None:
        self._spares.append(child)
        self._serve_queue()
        while len(self._spares) > SPARES:
            self._dismiss(self._spares.pop(0))

    def _on_not_shared(self, child: ForkedChild, message: bytes, descriptors: list[Descriptor]) -> None:
        child.refuse_descriptors()
        self._exclude(child)
        self._supply.want_spare(SPARE_DELAY)

    def _on_accepted(self, child: ForkedChild, message: bytes, descriptors: list[Descriptor]) -> None:
        child.clients[child.monitor.newest] = child.sent.pop(0)

    def _on_resting(self, child: ForkedChild, message: bytes, descriptors: list[Descriptor]) -> None:
        self._last_format = parse_resting(message) or self._last_format
        clients, child.clients = child.clients, {}
        for client in clients.values():
            self._resting.add(client)
        self._take_back(child)
        self._dismiss(child)
        self._loop.spawn(self._see_off(child), "farewell")

    async def _see_off(self, child: ForkedChild) -> None:
        """A child without clients ends; one that does not would be one more with each URL."""
        await self._loop.sleep(FAREWELL)
        if self._children.get(child.pid) is child:
            self._log.error(f"child {child.pid} has no clients and does not end, killed")
            self._kill(child)

    def _on_client_gone(self, child: ForkedChild, message: bytes, descriptors: list[Descriptor]) -> None:
        number, kept_as = parse_gone(message)
        self._last_format = kept_as or self._last_format
        child.clients.pop(number).gone.set(None)
        if child.all_clients:
            return
        child.since = self._loop.now()
        if self._needs_spares() and self._serving.get(child.key) is child:
            self._loop.spawn(self._dismiss_unused(child), "linger")
        else:
            self._dismiss(child)

    async def _dismiss_unused(self, child: ForkedChild) -> None:
        await self._loop.sleep(LINGER)
        if not child.all_clients and self._loop.now() - child.since >= LINGER:
            self._dismiss(child)

    async def _await_accepted(self, child: ForkedChild) -> None:
        """A child that was sent clients says ACCEPTED in time, for each of them."""
        while child.sent:
            first = child.sent[0]
            await self._loop.sleep(first.sent_at + PATIENCE - self._loop.now())
            if child.sent and child.sent[0] is first:
                self._exclude(child)
                self._take_back(child)
                if not child.all_clients:
                    self._dismiss(child)
                break
        child.is_awaited = False

    def _take_back(self, child: ForkedChild) -> None:
        """What a child has not read is another's to serve; those that came last are the unread ones."""
        taken = child.take_back()
        for word in (message for message, _ in taken if message in (KEEP, KEEP_AWAKE)):
            self._answer(child, word)  # that it has still to hear
        unread = [given for given in taken if given[0] not in (TAKEN, KEEP, KEEP_AWAKE)]
        source = child.sent or [*child.clients.values()]
        for _, descriptors in unread[len(source) :]:
            close_all(descriptors)  # of a client that it said it had read
        returned = source[max(0, len(source) - len(unread)) :]
        for client, (message, descriptors) in zip(returned, unread):
            child.lose(client)
            client.returned(message, descriptors)
            if not client.descriptors:
                client.gone.set(None)  # lost on its way back
        self._queue[:0] = [client for client in returned if client.descriptors]
        self._serve_queue()

    def _kill(self, child: ForkedChild) -> None:
        """End a child at once; what it has not read is not lost."""
        child.is_heard = False
        child.kill()
        self._exclude(child)
        self._take_back(child)

    def _exclude(self, child: ForkedChild) -> None:
        """Give a child no more clients."""
        if child in self._spares:
            self._spares.remove(child)
        if self._serving.get(child.key) is child:
            del self._serving[child.key]

    def _dismiss(self, child: ForkedChild) -> None:
        """End the link: the child ends as soon as it has no client any more."""
        self._exclude(child)
        child.close()

    def _answer(self, child: ForkedChild, word: bytes) -> None:
        try:
            child.send(word, [])
        except OSError:
            self._dismiss(child)

    _HANDLERS = {
        OFFER: _on_offer,
        NOT_SHARED: _on_not_shared,
        ACCEPTED: _on_accepted,
        CLIENT_GONE: _on_client_gone,
        RESTING: _on_resting,
    }
