"""One conversation with the engine: commands out, events in, one command at a time.

Whether the engine is a process here or a connection to another backend makes no difference to it.

A transfer that the consumer gives up, a time limit, an answer that makes no sense: each leaves a dialogue
whose place nobody knows, so the engine is killed and the session is over.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.engine.imap_process import EngineGone, SessionLost
from dovecot_urlauth.store.errors import StoreFailure
from dovecot_urlauth.wire.imapdialogue import Event, ImapDialogue, Piece, Status
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import Protocol

    from dovecot_urlauth.service.loop import Loop

    class Imap(Protocol):
        """Somebody who speaks IMAP and has logged in; every method but the last two may raise EngineGone."""

        @property
        def is_remote(self) -> bool:
            """Whether it is on another machine, and may be lost for reasons that lie between."""

        @property
        def last_complaint(self) -> str:
            """What it last said of its troubles beside the dialogue; empty if nothing."""

        def send(self, line: bytes) -> None:
            """Send a command."""

        async def read(self, seconds: float) -> bytes:
            """What it has said, waiting for at most ``seconds`` (StoreFailure when they pass)."""

        def has_spoken(self) -> bool:
            """Whether something it said, or its end, waits to be read."""

        def close(self) -> None:
            """Let it end by itself."""

        def kill(self) -> None:
            """End it at once."""

    class ImapStart(Protocol):
        """How an engine comes to be, and by which host it knows its own URLs."""

        @property
        def host(self) -> bytes:
            """With the port behind a colon, where it is not IMAP's own."""

        def start(self, log: Callable[[str], None], loop: Loop) -> Imap:
            """Start one without waiting for it.  Raises StoreFailure."""


ANSWER_SECONDS = 120.0
"""Seconds of silence that end a session: a huge mailbox with a cold index, or a lock, may take its time."""

SOON_SECONDS = 10.0
"""A session that is lost later than that after its command is no reason to begin the same anew."""


@frozen
class Answer:
    """All events that a command without content brought, and its tagged response."""

    events: tuple[Event, ...]
    status: Status


class EngineSession:
    """An engine that has been started and is spoken to."""

    def __init__(
        self, command: ImapStart, log: Callable[[str], None], loop: Loop, seconds: float = ANSWER_SECONDS
    ) -> None:
        self._process = command.start(log, loop)
        self._dialogue = ImapDialogue()
        self._loop = loop
        self._seconds = seconds
        self._sent_at = 0.0
        self._commands = 0
        self._greeted = False
        self._tags: list[bytes] = []

    @property
    def usable(self) -> bool:
        """Whether a command can be sent: nothing is under way, and the engine has not gone meanwhile."""
        return not self._tags and not (self._greeted and self._process.has_spoken())

    @property
    def is_fresh(self) -> bool:
        """Whether it has had no command yet, and so has nothing open."""
        return not self._commands

    @property
    def last_complaint(self) -> str:
        """What the engine last wrote to its log that was worth it; empty if nothing was."""
        return self._process.last_complaint

    def send(self, *commands: bytes) -> None:
        """Sends commands at once, without tags and line ends.  Raises StoreFailure."""
        first, self._commands = self._commands + 1, self._commands + len(commands)
        self._tags = [b"u%d" % number for number in range(first, self._commands + 1)]
        self._sent_at = self._loop.now()
        self._process.send(b"".join([b"%s %s\r\n" % each for each in zip(self._tags, commands)]))

    async def next_event(self) -> Event:
        """The next event of the command that was sent; a Status with a tag is its last.

        Raises StoreFailure when the engine cannot be understood or is silent, EngineGone when it says BYE or is
        gone: SessionLost if it was logged in at another backend, and has not kept us waiting.
        """
        event = await self._receive()
        if not self._greeted:
            if not isinstance(event, Status) or event.condition != b"PREAUTH":
                raise self._refused(event)
            self._greeted = True
            event = await self._receive()
        if isinstance(event, Status):
            if event.condition == b"BYE":
                raise self._gone(self._refused(event).text)
            if event.tag != b"*":
                self._done(event.tag)
        return event

    def _done(self, tag: bytes) -> None:
        if self._tags[:1] != [tag]:
            raise StoreFailure("imap: answered another command than was sent")
        del self._tags[0]

    async def call(self, *commands: bytes) -> Answer:
        """Sends commands at once and collects the last one's answer."""
        self.send(*commands)
        events: list[Event] = []
        while self._tags:
            left = len(self._tags)
            events.append(await self.next_event())
            if 0 < len(self._tags) < left:
                events.clear()  # they were another command's
        status = events.pop()
        assert isinstance(status, Status)  # noqa: S101 - only a Status takes a tag away
        return Answer(tuple(events), status)

    async def content(self, size: int) -> AsyncIterator[bytes]:
        """The pieces of the content that the last event announced; the command ends with the last one."""
        try:
            while size:
                event = await self.next_event()
                if not isinstance(event, Piece):
                    raise StoreFailure("imap: content ended too early")
                size -= len(event.data)
                if not size:
                    await self._finish()
                yield event.data
        finally:
            if self._tags:
                self.kill()

    async def _finish(self) -> None:
        while self._tags:
            await self.next_event()

    def close(self) -> None:
        """Ends the engine; one that is in the middle of something is killed."""
        if self._tags:
            self._process.kill()
        else:
            self._process.close()

    def kill(self) -> None:
        """Ends the engine at once."""
        self._process.kill()

    async def _receive(self) -> Event:
        try:
            while (event := self._dialogue.next_event()) is None:
                self._dialogue.receive_data(await self._process.read(self._seconds))
        except ProtocolError as error:
            raise StoreFailure(f"imap: {error.text}") from None
        except EngineGone as gone:
            raise self._gone(gone.text) from None
        return event

    def _gone(self, text: str) -> EngineGone:
        was_good = self._greeted and self._process.is_remote
        soon = self._loop.now() - self._sent_at < SOON_SECONDS
        return SessionLost(text) if was_good and soon else EngineGone(text)

    def _refused(self, event: Event) -> StoreFailure:
        said = event.text if isinstance(event, Status) else b"not logged in"
        return StoreFailure(f"imap: {said.decode('utf-8', 'backslashreplace')}")
