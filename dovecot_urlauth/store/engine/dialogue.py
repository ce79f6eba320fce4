"""One conversation with the engine: commands out, events in, in the commands' order.

Commands may be sent together, which spares an engine that is a process its switching to and fro.

Whether the engine is a process here or a connection to another backend makes no difference to it.

A transfer that the consumer gives up, a time limit, an answer that makes no sense: each leaves a dialogue
whose place nobody knows, so the engine is killed and the session is over.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.engine.imap_process import EngineGone, SessionLost
from dovecot_urlauth.store.errors import StoreFailure
from dovecot_urlauth.wire.imapdialogue import RESPONSE_LIMIT, Event, ImapDialogue, Piece, State, Status
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

        def has_refused(self) -> bool:
            """Whether it can be seen, while no greeting was read, that there will be none."""

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
"""Seconds of silence that end a session: a huge mailbox with a cold index, or a lock, may take its time.

Seconds of waiting in which only remarks come (``* OK Still here``) count as silence.
"""

MOST_BYTES = 2 * RESPONSE_LIMIT
"""Bytes that may come of one command apart from content."""

MOST_EVENTS = 10_000
"""Events of one command: GETMETADATA of a name with ``*`` in it has one for each mailbox."""

SOON_SECONDS = 10.0
"""A session that is lost later than that after its command is no reason to begin the same anew."""

LOOK_SECONDS = 0.02
"""So long what the engine has seen of a mailbox is taken for what is there.

A mail that was expunged in this time may still be given, as if the URL had come before.
"""


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
        self._waited = 0.0
        self._unanswered = 0
        self._commands = 0
        self._greeted = False
        self._tags: list[bytes] = []
        self._looked_into = b""
        self._looked_at = 0.0
        self._proven: set[int] | None = None
        """The UIDVALIDITYs that URLs of the open mailbox may name; None if another one may be open."""

    @property
    def usable(self) -> bool:
        """Whether a command can be sent: nothing is under way, and the engine has not gone meanwhile.

        A login that failed before the first command came says nothing of one that is tried now.
        """
        if self._tags:
            return False
        return not (self._process.has_spoken() if self._greeted else self._process.has_refused())

    @property
    def is_asked(self) -> bool:
        """Whether something is under way."""
        return bool(self._tags)

    @property
    def is_fresh(self) -> bool:
        """Whether it has had no command yet, and so has nothing open."""
        return not self._commands

    def has_just_looked_into(self, mailbox: bytes) -> bool:
        """Whether it has seen a mailbox, as commands name it, a moment ago."""
        return self._looked_into == mailbox and self._loop.now() - self._looked_at < LOOK_SECONDS

    def looks_into(self, mailbox: bytes) -> None:
        """What was sent last makes it look into a mailbox."""
        self._looked_into, self._looked_at, self._proven = mailbox, self._sent_at, set()

    def has_fetched_from(self, mailbox: bytes, uidvalidity: int) -> None:
        """A URL has brought something of this mailbox, with this UIDVALIDITY, 0 if it names none."""
        if self._proven is not None and mailbox == self._looked_into:
            self._proven.add(uidvalidity)

    def has_open(self, mailbox: bytes, uidvalidity: int) -> bool:
        """Whether it has a mailbox open, as it was a moment ago, of which such a URL has brought something."""
        return self._proven is not None and uidvalidity in self._proven and self.has_just_looked_into(mailbox)

    @property
    def last_complaint(self) -> str:
        """What the engine last wrote to its log that was worth it; empty if nothing was."""
        return self._process.last_complaint

    @property
    def is_late(self) -> bool:
        """Whether what is under way was sent so long ago that it is not to be begun anew."""
        return self._loop.now() - self._sent_at >= SOON_SECONDS

    def send(self, *commands: bytes) -> None:
        """Sends commands, without tags and line ends, at once.  Raises StoreFailure."""
        tags = [b"u%d" % (self._commands + number) for number in range(1, len(commands) + 1)]
        self._commands += len(commands)
        self._tags += tags
        if any(command.startswith(b"EXAMINE ") for command in commands):
            self._proven = None
        self._sent_at = self._loop.now()
        self._process.send(b"".join([b"%s %s\r\n" % each for each in zip(tags, commands)]))

    async def next_event(self) -> Event:
        """The next event of the first command under way; a Status with a tag is its last.

        Raises StoreFailure when the engine cannot be understood or is silent, EngineGone when it says BYE or is
        gone: SessionLost if it was logged in at another backend, and has not kept us waiting.
        """
        event = await self._receive()
        if not self._greeted:
            if not isinstance(event, Status) or event.condition != b"PREAUTH":
                raise self._refused(event)
            self._greeted = True
            self._has_got_on()
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
        self._has_got_on()

    def _has_got_on(self) -> None:
        self._waited = 0.0
        self._unanswered = 0

    async def call(self, command: bytes) -> Answer:
        """Sends a command and collects its answer."""
        self.send(command)
        return await self.answer()

    async def answer(self) -> Answer:
        """The whole answer of the first command under way."""
        events: list[Event] = []
        while True:
            event = await self.next_event()
            if isinstance(event, Status) and event.tag != b"*":
                return Answer(tuple(events), event)
            events.append(event)
            if len(events) > MOST_EVENTS:
                raise StoreFailure("imap: IMAP response too long")

    async def skip(self) -> None:
        """Let pass what is still under way."""
        while self._tags:
            await self.next_event()

    async def content(self, size: int) -> AsyncIterator[bytes]:
        """The pieces of the content that the last event announced.

        Before the last piece is handed out, whatever is under way is read to its end, so that the session can be
        used again.  One that is given up before is killed.
        """
        try:
            while size:
                event = await self.next_event()
                if not isinstance(event, Piece):
                    raise StoreFailure("imap: content ended too early")
                size -= len(event.data)
                if not size:
                    await self.skip()
                yield event.data
        finally:
            if self._tags:
                self.kill()

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
                if self._dialogue.state is State.STRUCTURE:
                    await self._loop.turn()
                else:
                    await self._wait_for_more()
        except ProtocolError as error:
            raise StoreFailure(f"imap: {error.text}") from None
        except EngineGone as gone:
            raise self._gone(gone.text) from None
        if isinstance(event, Piece):
            self._has_got_on()
        return event

    async def _wait_for_more(self) -> None:
        if self._unanswered > MOST_BYTES:
            raise ProtocolError("IMAP response too long")
        if self._waited >= self._seconds:
            raise StoreFailure(f"imap: no answer for {self._seconds:g} seconds")
        began = self._loop.now()
        data = await self._process.read(self._seconds)
        self._waited += self._loop.now() - began
        self._unanswered += len(data)
        self._dialogue.receive_data(data)

    def _gone(self, text: str) -> EngineGone:
        was_good = self._greeted and self._process.is_remote
        return SessionLost(text) if was_good and not self.is_late else EngineGone(text)

    def _refused(self, event: Event) -> StoreFailure:
        said = event.text if isinstance(event, Status) else b"not logged in"
        return StoreFailure(f"imap: {said.decode('utf-8', 'backslashreplace')}")
