"""The system calls that Python has no name for."""

from __future__ import annotations

from struct import Struct

from dovecot_urlauth.start.cpython import Memory, call_library

PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
SFD_NONBLOCK = 0o4000
SFD_CLOEXEC = 0o2000000
SIGSET_BYTES = 128
SECCOMP_MODE_FILTER = 2
FILTER_INSTRUCTION_SIZE = 8


def prctl(option: int, argument: int = 0) -> int:
    """prctl(2) with zeros for the other arguments. Raises OSError."""
    return call_library("prctl", option, argument, 0, 0, 0)


def signalfd(signals: frozenset[int]) -> int:
    """Return a non-blocking fd that reads as one 128-byte record per signal. Raises OSError.

    The signals must be blocked by the caller.
    """
    mask = 0
    for number in signals:
        mask |= 1 << (number - 1)
    return call_library("signalfd", -1, mask.to_bytes(SIGSET_BYTES, "little"), SFD_NONBLOCK | SFD_CLOEXEC)


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """A system call that the C library has no function for; None is a null pointer. Raises OSError."""
    return call_library("syscall", number, *arguments)


def install_filter(program: bytes) -> None:
    """Let the kernel ask ``program``, in classic BPF, about each system call from now on. Raises OSError."""
    instructions = Memory(program)
    count = len(program) // FILTER_INSTRUCTION_SIZE
    # struct sock_fprog: the number of instructions, then their address, aligned as the compiler does
    header = Struct("@HP").pack(count, instructions.address)
    call_library("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0)
