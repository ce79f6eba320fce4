"""Signals as events in the loop, with the sender's pid (which Python's handlers do not tell).

Each signal that master sends is blocked and read from a signalfd, so no handler ever interrupts anything.
A forked child calls :func:`restore` to get the ordinary behaviour back.
"""

from __future__ import annotations

import os
import struct

from dovecot_urlauth.service.libc import signalfd
from dovecot_urlauth.start.cpython import SIG_BLOCK, SIG_DFL, SIG_IGN, SIG_UNBLOCK, pthread_sigmask, signal
from dovecot_urlauth.start.frozen import frozen

SIGINT = 2
SIGQUIT = 3
SIGUSR1 = 10
SIGALRM = 14
SIGPIPE = 13
SIGKILL = 9
SIGTERM = 15
SIGCHLD = 17

BLOCKED = frozenset((SIGINT, SIGQUIT, SIGUSR1, SIGTERM, SIGCHLD))
IGNORED = (SIGALRM, SIGPIPE)

SIGINFO = struct.Struct("=IiiII108x")
"""struct signalfd_siginfo: signo, errno, code, pid, uid, and what we do not need."""

CODE_NAMES = {0: "kill", 0x80: "kernel", -1: "queue", -2: "timer", -3: "mesgq", -4: "asyncio", -6: "tkill"}
"""si_code in Dovecot's words (lib/lib-signals.c)."""


@frozen
class Signal:
    """One signal that arrived."""

    number: int
    pid: int
    uid: int
    code: str


class SignalReader:
    """Owns the signalfd."""

    __slots__ = ("fd",)

    def __init__(self) -> None:
        for number in IGNORED:
            signal(number, SIG_IGN)
        pthread_sigmask(SIG_BLOCK, BLOCKED)
        self.fd = signalfd(BLOCKED)

    def read(self) -> list[Signal]:
        """Return the signals that arrived since the last call."""
        arrived: list[Signal] = []
        while True:
            try:
                data = os.read(self.fd, SIGINFO.size)
            except BlockingIOError:
                return arrived
            number, _, code, pid, uid = SIGINFO.unpack(data)
            arrived.append(Signal(number, pid, uid, CODE_NAMES.get(code, f"unknown {code}")))


def restore(reader: SignalReader) -> None:
    """In a forked child: let signals end the process again, as for any program."""
    os.close(reader.fd)
    for number in BLOCKED:
        signal(number, SIG_DFL)
    pthread_sigmask(SIG_UNBLOCK, BLOCKED)
