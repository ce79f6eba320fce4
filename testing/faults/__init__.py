"""Errors at system calls of each of our processes, injected by strace, and who notices (`make faults`).

A client is on its way while one call of one process fails.  What must hold: it gets its mail, a NIL or a lost
connection; the log gets lines and no exception that nobody foresaw; a session beside it goes on; the next client
is served; and no process serves anybody's mail as root.
"""

from __future__ import annotations

from dataclasses import dataclass

LOGIN, URLAUTH, PARENT, CHILD = "login", "imap-urlauth", "worker's parent", "worker's child"

SHORTAGE = ("ENOMEM", "ENFILE", "EMFILE")
PASSING = ("EINTR", "EAGAIN")
BROKEN = ("EIO", "ECONNRESET", "EPIPE")

CLIENTS_IN_ONE: dict[str, tuple[str, ...]] = {
    "accept4": (*SHORTAGE, "ECONNABORTED", *PASSING),
    "recvmsg": (*BROKEN, "ENOMEM", *PASSING),
    "sendto": (*BROKEN, "ENOBUFS", *PASSING),
    "sendmsg": (*BROKEN, "ENOBUFS", "ETOOMANYREFS", *PASSING),
    "connect": ("EACCES", "ECONNREFUSED", *PASSING),
    "socket": SHORTAGE,
    "epoll_ctl": ("ENOMEM", "ENOSPC"),
    "epoll_wait": ("EINTR",),
    "getsockopt": ("ENOBUFS",),
    "close": ("EIO", "EINTR"),
}
"""Of a process that serves many clients in one loop."""

CALLS: dict[str, dict[str, tuple[str, ...]]] = {
    LOGIN: CLIENTS_IN_ONE,
    URLAUTH: CLIENTS_IN_ONE,
    PARENT: {
        "accept4": (*SHORTAGE, "ECONNABORTED", *PASSING),
        "recvmsg": (*BROKEN, "ENOMEM", *PASSING),
        "sendmsg": (*BROKEN, "ENOBUFS", "ETOOMANYREFS", *PASSING),
        "socketpair": SHORTAGE,
        "clone": ("EAGAIN", "ENOMEM"),
        "epoll_ctl": ("ENOMEM", "ENOSPC"),
        "epoll_wait": ("EINTR",),
        "getsockopt": ("ENOBUFS",),
        "wait4": ("EINTR",),
        "close": ("EIO", "EINTR"),
    },
    CHILD: {
        "recvmsg": (*BROKEN, "ENOMEM", *PASSING),
        "sendto": (*BROKEN, "ENOBUFS", *PASSING),
        "sendmsg": (*BROKEN, "ENOBUFS", *PASSING),
        "connect": ("EACCES", "ECONNREFUSED", *PASSING),
        "socket": SHORTAGE,
        "epoll_ctl": ("ENOMEM", "ENOSPC"),
        "openat": ("EIO", "ESTALE", "EACCES", "EINTR", *SHORTAGE),
        "pread64": ("EIO", "ESTALE", "EINTR"),
        "newfstatat": ("EIO", "ESTALE", "EACCES"),
        "getdents64": ("EIO", "ESTALE"),
        "setresuid": ("EAGAIN", "EPERM"),
        "setresgid": ("EPERM",),
        "setgroups": ("EPERM", "ENOMEM"),
        "prctl": ("EINVAL", "EPERM"),
        "close": ("EIO", "EINTR"),
    },
}
"""The calls of each process on a client's way, and the errors that they may have there."""


@dataclass(frozen=True)
class Fault:
    """The `number`th `call` of a process, counted from when the client sets out, fails with `error`."""

    process: str
    call: str
    error: str
    number: int

    def __str__(self) -> str:
        return f"{self.process}: {self.call} {self.number} {self.error}"


def matrix(numbers: tuple[int, ...] = (1, 2, 3)) -> list[Fault]:
    """Every fault; of epoll_ctl the first alone, since a later one may be a removal, which has no such errors."""
    return [
        Fault(process, call, error, number)
        for process, calls in CALLS.items()
        for call, errors in calls.items()
        for error in errors
        for number in numbers
        if number == 1 or call != "epoll_ctl"
    ]


SAMPLE = [
    Fault(LOGIN, "recvmsg", "EIO", 2),
    Fault(LOGIN, "sendmsg", "ETOOMANYREFS", 1),
    Fault(URLAUTH, "accept4", "EMFILE", 1),
    Fault(URLAUTH, "socket", "ENFILE", 1),
    Fault(PARENT, "clone", "EAGAIN", 1),
    Fault(PARENT, "sendmsg", "ENOBUFS", 1),
    Fault(CHILD, "setresuid", "EAGAIN", 1),
    Fault(CHILD, "setgroups", "EPERM", 1),
    Fault(CHILD, "openat", "EMFILE", 2),
    Fault(CHILD, "pread64", "EIO", 1),
    Fault(CHILD, "sendto", "EINTR", 2),
]
"""Those of `make test`."""
