r"""Sessions played without sockets: what everybody says, in order, with the time that passes between.

One line each, in the order of events; ``client`` stands for the name of any connection::

    # the session connects, is sent bytes, and answers
    client< VERSION\timap-urlauth\t2\t0     the peer sends a line; its LF is added
    client> OK                              we have sent that line
    C: ...                                  the same as ``client<``
    S: ...                                  the same as ``client>``
    login< +fd {handoff}\                   a descriptor goes along; the bytes are a value of the test's; no LF
    login< +fd=input 0\                     the descriptor is the connection that is called ``input``
    worker !connect                         we have connected to it
    worker !refuse ECONNREFUSED             our next connect will fail so
    worker !full                            our next connect will find the backlog full until its patience ends
    client !close                           the peer closes its end
    client !lost ECONNRESET                 the connection breaks
    client !stuck / client !drained         the peer (or the next one) takes nothing / everything again
    client !closed                          we have closed our copy
    client !ended                           we have ended it for our side; ``!shutdown``: for everybody who has it
    log: imap-urlauth(bob): Error: ...      what the session said to a :class:`Recorder` of that name
    ..150s                                  so many seconds pass
    !sigterm                                the test's action of that name
    ended                                   the session's task has ended

What we do is strict: each thing must stand in the transcript before the next one that happens to us, and
nothing may be left at the end.  Escapes are Python's.  Played byte by byte, each byte of a peer comes alone
and we have time to react to it.
"""

from __future__ import annotations

import ast
import errno
import os
import re
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from dovecot_urlauth.service.connection import ConnectionLost
from dovecot_urlauth.service.log import LABELS, Log, LogPipe
from dovecot_urlauth.service.loop import Task
from dovecot_urlauth.service.sockets import PeerCredentials
from tests.clock import SteppingLoop

LINE = re.compile(r"(?P<name>[\w-]+)(?P<kind>[<>:]| !)(?: ?)(?P<rest>.*)")
SHORT = {"C:": "client< ", "S:": "client> "}


class CountingLoop(SteppingLoop):
    """A stepping loop that knows when nobody has anything left to do before time passes."""

    def __init__(self) -> None:
        super().__init__()
        self._steps = 0
        self._settling: Task[Any] | None = None

    def _step(self, task: Task[Any]) -> None:
        if task is not self._settling:
            self._steps += 1
        super()._step(task)

    async def settle(self) -> None:
        """Let everybody else go on until all of them wait."""
        self._settling = self.current
        quiet = 0
        while quiet < 2:
            before = self._steps
            await self.turn()
            quiet = quiet + 1 if self._steps == before else 0


class FakeDescriptor:
    """What a peer sent beside its bytes: the connection of that name, or nothing in particular."""

    _next = 1000

    def __init__(self, name: str) -> None:
        self.name = name
        FakeDescriptor._next += 1
        self._number = FakeDescriptor._next

    @property
    def closed(self) -> bool:
        return self._number < 0

    def fileno(self) -> int:
        return self._number

    def detach(self) -> int:
        number, self._number = self._number, -1
        return number

    def close(self) -> None:
        self._number = -1


class FakeConnection:
    """A Connection whose peer is the transcript."""

    def __init__(self, transcript: Transcript, name: str) -> None:
        self._transcript = transcript
        self._loop = transcript.loop
        self._input: deque[tuple[bytes, list[FakeDescriptor]]] = deque()
        self._waiting: list[Task[Any]] = []
        self._number = FakeDescriptor(name).fileno()
        self.name = name
        self.credentials: PeerCredentials | None = PeerCredentials(4711, 1000, 1000)
        self.ended = False
        self.broken: OSError | None = None
        self.stuck = False
        self.closed = False
        self.received = self.sent = 0

    def fileno(self) -> int:
        return -1 if self.closed else self._number

    async def read(self, size: int = 8192, seconds: float | None = None) -> bytes:
        data, descriptors = await self.read_message(size, seconds)
        for descriptor in descriptors:
            descriptor.close()
        return data

    async def read_message(
        self, size: int = 8192, seconds: float | None = None
    ) -> tuple[bytes, list[FakeDescriptor]]:
        await self._until(lambda: bool(self._input) or self.ended or self.broken is not None, seconds)
        if self._input:
            data, descriptors = self._input.popleft()
            if len(data) > size:
                self._input.appendleft((data[size:], []))
            return data[:size], descriptors
        self._raise_if_broken()
        return b"", []

    def waiting(self, size: int = 4096) -> bytes | None:
        self._raise_if_broken()
        if self._input:
            return self._input[0][0][:size]
        return b"" if self.ended else None

    async def read_line(self, seconds: float | None = None) -> bytes:
        data = await self.read(seconds=seconds)
        end = data.find(b"\n") + 1 or len(data)
        if data[end:]:
            self._input.appendleft((data[end:], []))
        return data[:end]

    async def write(self, data: bytes, seconds: float | None = None) -> None:
        await self.send_descriptors(data, (), seconds)

    async def send_descriptors(
        self, data: bytes, descriptors: Sequence[int], seconds: float | None = None
    ) -> None:
        if not data:
            return
        await self._until(lambda: not self.stuck or self.ended or self.broken is not None, seconds)
        self._raise_if_broken()
        if self.ended:
            raise ConnectionLost(os.strerror(errno.EPIPE))
        self._transcript.sent(self.name, data, len(descriptors))

    def widen(self) -> None:
        """A transcript takes as much as comes."""

    def send_now(self, data: bytes) -> bool:
        if self.closed or self.ended or self.stuck or self.broken is not None:
            return False
        self._transcript.sent(self.name, data, 0)
        return True

    async def hung_up(self, seconds: float | None = None) -> None:
        await self._until(lambda: self.ended or self.broken is not None, seconds)

    def peer(self) -> PeerCredentials:
        if self.credentials is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return self.credentials

    def inode(self) -> int:
        return 77

    def shutdown(self) -> None:
        if not self.ended:
            self._transcript.happened(self.name, "!shutdown")

    def detach(self) -> FakeConnection:
        return self

    def close(self) -> None:
        self._close("!closed")

    def end(self) -> None:
        self._close("!ended")

    def _close(self, how: str) -> None:
        if not self.closed:
            self.closed = True
            self._transcript.happened(self.name, how)

    def receive(self, data: bytes, descriptors: list[FakeDescriptor]) -> None:
        self._input.append((data, descriptors))
        self.wake()

    def wake(self) -> None:
        for task in self._waiting:
            self._loop._wake(task)

    async def _until(self, ready: Callable[[], bool], seconds: float | None) -> None:
        if self.closed:
            raise ConnectionLost(os.strerror(errno.EBADF))
        task = self._loop.current
        self._waiting.append(task)
        try:
            while not ready():
                await self._loop.pause(seconds)
        finally:
            self._waiting.remove(task)

    def _raise_if_broken(self) -> None:
        if self.broken is not None:
            raise ConnectionLost(str(self.broken.strerror)) from self.broken


class Recorder:
    """Puts what is said through it into the transcript, as ``name: text``: a title, for one."""

    def __init__(self, transcript: Transcript, name: str) -> None:
        self._transcript = transcript
        self._name = name

    def show(self, text: str) -> None:
        self._transcript.happened(self._name, text)


class _RecordingPipe(LogPipe):
    def __init__(self, transcript: Transcript) -> None:
        super().__init__(to_master=False)
        self._recorder = Recorder(transcript, "log")

    def write(self, severity: Any, text: str, prefix: str) -> None:
        self._recorder.show(f"{prefix}{LABELS[severity]}{text}")


class Transcript:
    """Plays a transcript against a session; see the module."""

    def __init__(
        self,
        text: str,
        *,
        values: Mapping[str, object] | None = None,
        actions: Mapping[str, Callable[[], object]] | None = None,
        bytewise: bool = False,
    ) -> None:
        self.loop = CountingLoop()
        self.values = dict(values or {})
        self.actions = dict(actions or {})
        self.paths: dict[bytes, str] = {}
        """Which connection a connect to this path is; else the last part of the path is its name."""
        self.connections: dict[str, FakeConnection] = {}
        self.log = Log("", _RecordingPipe(self))
        self.task: Task[Any] | None = None
        self._bytewise = bytewise
        self._lines = [line.strip() for line in text.splitlines()]
        self._done: dict[str, deque[tuple[str | bytes, int]]] = defaultdict(deque)
        self._failures: dict[str, deque[str]] = defaultdict(deque)

    def connection(self, name: str = "client") -> FakeConnection:
        """A new connection of that name, as a session may be given it."""
        self.connections[name] = FakeConnection(self, name)
        return self.connections[name]

    async def connect(
        self, loop: Any, path: bytes, *, patience: float = 0.0, pause: float = 0.01
    ) -> FakeConnection:
        """To be put in the place of ``service.connection.connect``."""
        name = self.paths.get(path) or os.fsdecode(path.rpartition(b"/")[2])
        failure = self._failures[name].popleft() if self._failures[name] else None
        if failure == "full":
            await loop.sleep(patience)
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        if failure not in (None, "stuck"):
            number = getattr(errno, failure)
            raise OSError(number, os.strerror(number))
        self.happened(name, "!connect")
        connection = self.connection(name)
        connection.stuck = failure == "stuck"
        return connection

    def adopt(self, loop: Any, descriptor: Any) -> FakeConnection:
        """To be put in the place of the class Connection, where it takes a descriptor that came."""
        if descriptor.name == "file":
            descriptor.close()
            raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK))
        descriptor.detach()
        return self.connection(descriptor.name)

    def sent(self, name: str, data: bytes, descriptors: int) -> None:
        """We have sent bytes; those that need no descriptor join those before them."""
        done = self._done[name]
        if done and not descriptors and isinstance(done[-1][0], bytes):
            before, count = done.pop()
            done.append((bytes(before) + data, count))  # type: ignore[arg-type]
        else:
            done.append((data, descriptors))

    def happened(self, name: str, what: str) -> None:
        self._done[name].append((what, 0))

    def cancel(self, reason: Exception) -> None:
        """What the process may do to a session."""
        assert self.task is not None
        self.task.cancel(reason)

    def play(self, session: Coroutine[Any, Any, Any]) -> None:
        """Run ``session`` through the whole transcript. Raises AssertionError where it does otherwise."""
        self.loop.run(self._play(session))

    async def _play(self, session: Coroutine[Any, Any, Any]) -> None:
        self.task = self.loop.spawn(session, "session")
        await self.loop.settle()
        lines = deque(line for line in self._lines if line and not line.startswith("#"))
        while lines:
            line = lines.popleft()
            for short, full in SHORT.items():
                if line.startswith(short):
                    line = full + line[len(short) :].lstrip()
            await self._step(line, lines)
        self._expect_nothing("at the end")

    async def _step(self, line: str, following: deque[str]) -> None:
        if line.startswith(".."):
            self._expect_nothing(line)
            await self.loop.sleep(float(line[2:].removesuffix("s")))
        elif line == "ended":
            assert self.task is not None
            assert self.task.ended, "the session goes on"
        elif line.startswith("!"):
            self._expect_nothing(line)
            self.actions[line[1:]]()
        else:
            match = LINE.fullmatch(line)
            assert match is not None, f"no such line: {line}"
            name, kind, rest = match.group("name", "kind", "rest")
            await self._KINDS[kind.strip()](self, name, rest, line)
        await self.loop.settle()

    async def _hear(self, name: str, rest: str, line: str) -> None:
        self._expect_nothing(line)
        data, descriptors = self._parse(rest)
        connection = self.connections[name]
        assert not connection.closed, f"{line}: the connection is closed"
        if not self._bytewise:
            connection.receive(data, descriptors)
            return
        for position in range(len(data)):
            connection.receive(data[position : position + 1], descriptors)
            descriptors = []
            await self.loop.settle()

    async def _say(self, name: str, rest: str, line: str) -> None:
        expected, descriptors = self._parse(rest)
        done = self._done[name]
        assert done, f"not sent: {line}"
        said, count = done.popleft()
        assert isinstance(said, bytes), f"{line}, not {said!r}"
        assert said[: len(expected)] == expected, f"{line}: {said!r}"
        assert count == len(descriptors), f"{line}: {count} descriptors"
        if said[len(expected) :]:
            done.appendleft((said[len(expected) :], 0))

    async def _do(self, name: str, rest: str, line: str) -> None:
        word, _, argument = rest.partition(" ")
        if word in ("connect", "closed", "ended", "shutdown"):
            self._pop(name, f"!{word}", line)
            return
        if word in ("refuse", "full") or name not in self.connections:
            self._failures[name].append(argument or word)
            return
        self._expect_nothing(line)
        connection = self.connections[name]
        if word == "close":
            connection.ended = True
        elif word == "lost":
            number = getattr(errno, argument)
            connection.broken = OSError(number, os.strerror(number))
        else:
            connection.stuck = {"stuck": True, "drained": False}[word]
        connection.wake()

    async def _note(self, name: str, rest: str, line: str) -> None:
        self._pop(name, self._filled(rest), line)

    _KINDS = {"<": _hear, ">": _say, "!": _do, ":": _note}

    def _pop(self, name: str, expected: str, line: str) -> None:
        done = self._done[name]
        assert done, f"not done: {line}"
        happened, _ = done.popleft()
        assert happened == expected, f"{line}: {happened!r}"

    def _expect_nothing(self, where: str) -> None:
        left = {name: [what for what, _ in done] for name, done in self._done.items() if done}
        assert not left, f"{where}: not in the transcript: {left}"

    def _parse(self, text: str) -> tuple[bytes, list[FakeDescriptor]]:
        descriptors = []
        while text.startswith("+fd"):
            word, _, text = text.partition(" ")
            descriptors.append(FakeDescriptor(word.partition("=")[2] or "client"))
        line_feed = b"" if text.endswith("\\") else b"\n"
        text = text.removesuffix("\\")
        data = b"".join(self._piece(piece) for piece in re.split(r"(\{\w+\})", text))
        return data + line_feed, descriptors

    def _piece(self, piece: str) -> bytes:
        name = piece[1:-1]
        if piece.startswith("{") and name in self.values:
            value = self.values[name]
            return value if isinstance(value, bytes) else str(value).encode()
        quoted = piece.replace('"', '\\"')
        return bytes(ast.literal_eval(f'b"{quoted}"'))

    def _filled(self, text: str) -> str:
        for name, value in self.values.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text
