"""Dovecot's ``imap`` as a child process on three pipes.

It runs as whoever we are when it starts: root, whom it leaves by itself, or the target user.  It gets stdin and
stdout for the dialogue, stderr for its log, the configuration's descriptor where there is one, and nothing else of
ours.  What it logs has no header that Dovecot's log service could read, so it never meets our own stderr: its
complaints are handed to a callback, its informational lines are dropped.  Both outputs are waited for at once,
through an epoll that holds the two: a log that nobody takes would stop the engine.
"""

from __future__ import annotations

import errno
import os
from select import EPOLLIN, epoll
from time import monotonic, sleep

from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.engine.program import path_of, unreadable_copy
from dovecot_urlauth.store.errors import StoreFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dovecot_urlauth.service.loop import Loop

SIGKILL = 9
SIGPIPE = 13

PIPE_SIZE = 64 * 1024
"""All that a pipe holds; a larger buffer would be mapped and unmapped for each read."""
FAREWELL_SECONDS = 0.05
"""How long an engine may take to end by itself once its stdin is closed, or killed; others wait meanwhile."""
LONGEST_BURIAL = 5.0
"""Seconds that a killed engine is waited for when no task runs, and nobody waits meanwhile."""
BURIAL_PAUSE = 0.5
"""Seconds until a task looks again whether one has ended."""
COMPLAINT_BYTES = 1000
COMPLAINTS = 20
"""How much one engine may write to our log; a panic is three lines, one of them long."""

CONFIG_FD = 3
"""Where the engine finds the configuration (2.4)."""

_SILENT = (b": Info: ", b": Debug: ")


class EngineGone(StoreFailure):
    """The engine has ended, and not because we wanted it to."""


class SessionLost(EngineGone):
    """A session at another backend that had been good is over: the next one may be as good, and still in time."""


OUR_HOST = b"localhost"
"""The host in the URLs that the engine is asked for, whatever the site's own URLs say."""


@frozen
class Command:
    """What is executed, and the file that holds the configuration, if it does."""

    program: bytes
    arguments: tuple[bytes, ...]
    environment: Mapping[bytes, bytes]
    config_fd: int | None

    @property
    def host(self) -> bytes:
        return OUR_HOST

    def start(self, log: Callable[[str], None], loop: Loop) -> EngineProcess:
        """Start an engine, whose complaints ``log`` gets.  Raises StoreFailure."""
        return EngineProcess(self, log, loop)


class EngineProcess:
    """A running engine.  Every method may raise EngineGone; ``close`` and ``kill`` never do."""

    is_remote = False

    def __init__(self, command: Command, log: Callable[[str], None], loop: Loop) -> None:
        self._log = log
        self._loop = loop
        self._complaints = 0
        self._unfinished = b""
        self.last_complaint = ""
        self._close_on_exec()
        child_in, self._stdin = os.pipe()
        self._stdout, child_out = os.pipe()
        self._stderr, child_err = os.pipe()
        try:
            self.pid = _spawn(command, child_in, child_out, child_err)
        except OSError as error:
            for fd in (self._stdin, self._stdout, self._stderr):
                os.close(fd)
            raise StoreFailure(f"execve({os.fsdecode(command.program)}) failed: {error.strerror}") from None
        finally:
            for fd in (child_in, child_out, child_err):
                os.close(fd)
        os.set_blocking(self._stdin, False)
        os.set_blocking(self._stderr, False)
        self._outputs = epoll()
        self._outputs.register(self._stdout, EPOLLIN)
        self._outputs.register(self._stderr, EPOLLIN)
        self._hears = True
        self._running = True
        self._holds_more = True
        """Whether the last read was of a full pipe, or none has been; after an answer the next waits anyway."""

    def send(self, line: bytes) -> None:
        """Writes a command; the pipe takes 64 KiB at once and is empty between commands."""
        try:
            written = os.write(self._stdin, line)
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise self._gone() from None
            written = 0
        if written != len(line):
            raise StoreFailure("imap: command line too long")

    async def read(self, seconds: float) -> bytes:
        """Output that has come, waiting for at most ``seconds`` (StoreFailure when they pass)."""
        if not self._running:
            raise EngineGone("imap has been stopped")
        deadline = self._loop.now() + seconds
        data = self._take(0) if self._holds_more else None
        while data is None:
            try:
                await self._loop.readable(self._outputs.fileno(), max(0.0, deadline - self._loop.now()))
            except TimedOut:
                raise StoreFailure(f"imap: no answer for {seconds:g} seconds") from None
            data = self._take(0)
        if not data:
            raise self._gone()
        self._holds_more = len(data) == PIPE_SIZE
        return data

    def has_spoken(self) -> bool:
        """Whether output (or its end) waits to be read."""
        return any(fd == self._stdout for fd, _ in self._outputs.poll(0))

    def has_refused(self) -> bool:
        """Never known before it is read: nobody logs in, and what it says of its end is worth reading."""
        return False

    def close(self) -> None:
        """Lets the engine end by itself, which it does at the end of its input, or kills it."""
        if not self._running:
            return
        self._end_input()
        deadline = monotonic() + FAREWELL_SECONDS
        while (left := deadline - monotonic()) > 0 and self._take(left) != b"":
            continue
        while monotonic() < deadline and not self._has_ended():
            sleep(0.0005)
        self.kill()

    def kill(self) -> None:
        """Ends the engine at once."""
        if not self._running:
            return
        try:
            os.kill(self.pid, SIGKILL)
        except (PermissionError, ProcessLookupError):
            pass  # it was started by root and is not the user yet; it ends with its input
        self._end_input()
        self._bury()
        self._forget()

    def _end_input(self) -> None:
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    def _bury(self) -> None:
        """Waits for the end of what was killed, but not for long: a call to a file server may keep it."""
        is_alone = self._loop.running is None
        deadline = monotonic() + (LONGEST_BURIAL if is_alone else FAREWELL_SECONDS)
        while not self._is_buried():
            if monotonic() >= deadline:
                if not is_alone:
                    self._loop.spawn(self._bury_later(), "burial")
                return
            sleep(0.0005)

    async def _bury_later(self) -> None:
        while not self._is_buried():
            await self._loop.sleep(BURIAL_PAUSE)

    def _is_buried(self) -> bool:
        """Whether it has ended, and its status has been taken."""
        try:
            return os.waitpid(self.pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            self.last_complaint = self.last_complaint or "somebody else has waited for it"
            return True

    def _take(self, seconds: float) -> bytes | None:
        """Output that comes within so many seconds, empty at its end, None when there is none."""
        ready = dict(self._outputs.poll(seconds))
        if self._stderr in ready:
            self._hear()
        return os.read(self._stdout, PIPE_SIZE) if self._stdout in ready else None

    def _has_ended(self) -> bool:
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _gone(self) -> EngineGone:
        """The engine has closed its output: hears its last words, then buries it."""
        self.kill()
        return EngineGone(f"imap died: {self.last_complaint}" if self.last_complaint else "imap died")

    def _forget(self) -> None:
        self._running = False
        self._hear()
        self._loop.forget(self._outputs.fileno())
        self._outputs.close()
        for fd in (self._stdin, self._stdout, self._stderr):
            if fd >= 0:
                os.close(fd)

    def _hear(self) -> None:
        """Takes what waits on stderr."""
        while self._hears:
            try:
                data = os.read(self._stderr, PIPE_SIZE)
            except BlockingIOError:
                return
            if not data:
                self._hears = False
                self._outputs.unregister(self._stderr)
                self._complain(self._unfinished)
                return
            *lines, self._unfinished = (self._unfinished + data).split(b"\n")
            self._unfinished = self._unfinished[:COMPLAINT_BYTES]
            for line in lines:
                self._complain(line)

    def _complain(self, line: bytes) -> None:
        if not line or any(word in line for word in _SILENT):
            return
        text = line[:COMPLAINT_BYTES].decode("utf-8", "backslashreplace")
        if "Raw backtrace" not in text:
            self.last_complaint = text
        self._complaints += 1
        if self._complaints <= COMPLAINTS:
            self._log(text)

    @staticmethod
    def _close_on_exec() -> None:
        """Keeps master's descriptors, and those received from other processes, from the engine."""
        try:
            open_fds = [int(name) for name in os.listdir("/proc/self/fd")]
        except OSError:
            open_fds = list(range(256))
        for fd in open_fds:
            if fd > 2:
                try:
                    os.set_inheritable(fd, False)
                except OSError:
                    continue


def _spawn(command: Command, child_in: int, child_out: int, child_err: int) -> int:
    copy = unreadable_copy(command.program)
    actions = [
        (os.POSIX_SPAWN_DUP2, child_in, 0),
        (os.POSIX_SPAWN_DUP2, child_out, 1),
        (os.POSIX_SPAWN_DUP2, child_err, 2),
    ]
    if command.config_fd is not None:
        actions.append((os.POSIX_SPAWN_DUP2, command.config_fd, CONFIG_FD))
    try:
        # This shares our memory until the exec, where a fork would copy the page tables first.
        return os.posix_spawn(
            command.program if copy is None else path_of(copy),
            command.arguments,
            command.environment,
            file_actions=actions,
            setsigmask=(),
            setsigdef=(SIGPIPE,),
        )
    finally:
        if copy is not None:
            os.close(copy)
