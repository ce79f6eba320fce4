"""The log: records for master's log process on fd 2, plain lines on stderr when standing alone.

Format and rules: lib/failures.c, log/log-connection.c.
"""

from __future__ import annotations

import errno
import os
import select
import sys

from dovecot_urlauth.wire.logrecord import Severity, encode, encode_prefix
from dovecot_urlauth.wire.readable import readable

LOG_FD = 2
LABELS = {
    Severity.DEBUG: "Debug: ",
    Severity.INFO: "Info: ",
    Severity.WARNING: "Warning: ",
    Severity.ERROR: "Error: ",
    Severity.FATAL: "Fatal: ",
    Severity.PANIC: "Panic: ",
}

EXIT_WRITE_FAILED = 81


class LogPipe:
    """Where a process's records go; it knows which prefix the log process was told last."""

    __slots__ = ("debugging", "master_gone", "sent_prefix", "to_master")

    def __init__(self, *, to_master: bool) -> None:
        self.to_master = to_master
        self.debugging = False
        self.master_gone = False
        self.sent_prefix: str | None = None

    def write(self, severity: Severity, text: str, prefix: str) -> None:
        """One record; nothing in prefix or text can end it or forge another one."""
        if not self.to_master:
            sys.stderr.write(f"{readable(prefix)}{LABELS[severity]}{readable(text)}\n")
            sys.stderr.flush()
            return
        pid = os.getpid()
        if prefix != self.sent_prefix:
            self.sent_prefix = prefix
            self._send(encode_prefix(pid, prefix))
        for line in encode(severity, pid, text):
            self._send(line)

    def _send(self, line: bytes) -> None:
        """One write per record: all processes of the service share the pipe, and its O_NONBLOCK flag."""
        while True:
            try:
                os.write(LOG_FD, line)
                return
            except BlockingIOError:
                writable = select.poll()
                writable.register(LOG_FD, select.POLLOUT)
                writable.poll()
            except OSError as error:
                if self.master_gone or error.errno == errno.EPIPE:
                    return
                os._exit(EXIT_WRITE_FAILED)


class Log:
    """Writes records that begin with one prefix."""

    __slots__ = ("pipe", "prefix")

    def __init__(self, prefix: str, pipe: LogPipe) -> None:
        self.prefix = prefix
        self.pipe = pipe

    def with_prefix(self, prefix: str) -> Log:
        """The same log under another prefix, for one of many clients."""
        return Log(prefix, self.pipe)

    def debug(self, text: str) -> None:
        """Only written with mail_debug or log_debug."""
        if self.pipe.debugging:
            self.pipe.write(Severity.DEBUG, text, self.prefix)

    def info(self, text: str) -> None:
        self.pipe.write(Severity.INFO, text, self.prefix)

    def warning(self, text: str) -> None:
        self.pipe.write(Severity.WARNING, text, self.prefix)

    def error(self, text: str) -> None:
        self.pipe.write(Severity.ERROR, text, self.prefix)

    def fatal(self, text: str) -> None:
        """Master then leaves out its own report of the exit status."""
        self.pipe.write(Severity.FATAL, text, self.prefix)

    def forked(self) -> None:
        """In a child: the log process knows prefixes by pid, so the child must say its own."""
        self.pipe.sent_prefix = None
