"""A list of the system calls that a process may still make (seccomp(2), filter mode), built by hand.

The program is classic BPF over ``struct seccomp_data``: the architecture must be ours, the number must be on
the list, and ``socket`` and ``socketpair`` may only be asked for UNIX ones.  Whatever is not on the list fails
with EPERM.  Only x86-64 and arm64 have a table of numbers here (the kernel's unistd.h).
"""

from __future__ import annotations

from os import uname
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

INSTRUCTION = Struct("=HBBI")
"""struct sock_filter: code, jump if true, jump if false, operand."""

LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
RETURN = 0x06  # BPF_RET | BPF_K

NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16
"""Offsets in struct seccomp_data; the arguments' low words come first on both architectures."""

ALLOW = 0x7FFF0000
REFUSE = 0x00050000 | 1  # SECCOMP_RET_ERRNO, EPERM
KILL = 0x80000000  # SECCOMP_RET_KILL_PROCESS
AF_UNIX = 1

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH_* by the machine's name."""

BOTH = {
    "x86_64": {
        "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11,
        "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16, "pread64": 17,
        "readv": 19, "writev": 20, "sched_yield": 24, "mremap": 25, "madvise": 28, "dup": 32, "nanosleep": 35,
        "setitimer": 38, "getpid": 39, "socket": 41, "connect": 42, "sendto": 44, "recvfrom": 45, "sendmsg": 46,
        "recvmsg": 47, "shutdown": 48, "getsockname": 51, "getpeername": 52, "socketpair": 53,
        "setsockopt": 54, "getsockopt": 55,
        "exit": 60, "uname": 63, "fcntl": 72, "flock": 73, "getcwd": 79, "getuid": 102, "getgid": 104,
        "geteuid": 107, "getegid": 108, "getppid": 110, "gettid": 186, "futex": 202, "getdents64": 217,
        "restart_syscall": 219, "clock_gettime": 228, "clock_nanosleep": 230, "exit_group": 231, "tgkill": 234,
        "openat": 257, "newfstatat": 262, "readlinkat": 267, "faccessat": 269, "ppoll": 271, "epoll_create1": 291,
        "dup3": 292, "accept4": 288, "epoll_pwait": 281, "epoll_ctl": 233, "signalfd4": 289, "prlimit64": 302,
        "getrandom": 318, "statx": 332, "rseq": 334, "faccessat2": 439,
    },
    "aarch64": {
        "getcwd": 17, "epoll_create1": 20, "epoll_ctl": 21, "epoll_pwait": 22, "dup": 23, "dup3": 24, "fcntl": 25,
        "ioctl": 29, "flock": 32, "faccessat": 48, "openat": 56, "close": 57, "getdents64": 61, "lseek": 62,
        "read": 63, "write": 64, "readv": 65, "writev": 66, "pread64": 67, "ppoll": 73, "signalfd4": 74,
        "readlinkat": 78, "newfstatat": 79, "fstat": 80, "exit": 93, "exit_group": 94, "futex": 98,
        "nanosleep": 101, "setitimer": 103, "clock_gettime": 113, "clock_nanosleep": 115, "sched_yield": 124,
        "restart_syscall": 128, "tgkill": 131, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139,
        "uname": 160, "getpid": 172, "getppid": 173, "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177,
        "gettid": 178, "socket": 198, "socketpair": 199, "connect": 203, "getsockname": 204,
        "getpeername": 205, "sendto": 206,
        "recvfrom": 207, "setsockopt": 208, "getsockopt": 209, "shutdown": 210, "sendmsg": 211, "recvmsg": 212,
        "brk": 214, "munmap": 215, "mremap": 216, "mmap": 222, "mprotect": 226, "madvise": 233, "accept4": 242,
        "prlimit64": 261, "getrandom": 278, "statx": 291, "rseq": 293, "faccessat2": 439,
    },
}  # fmt: skip
"""The list, by the machine's name: what the interpreter and the loop need, files to read, UNIX sockets."""

ONLY_X86_64 = {
    "open": 2, "stat": 4, "lstat": 6, "poll": 7, "access": 21, "dup2": 33, "readlink": 89, "getrlimit": 97,
    "epoll_wait": 232, "time": 201, "arch_prctl": 158,
}  # fmt: skip
"""Older calls that arm64 never had."""

WITH_FAMILY = ("socket", "socketpair")
"""Calls whose first argument is an address family."""


class Unknown(Exception):
    """There is no table for this machine."""


def program(machine: str | None = None) -> bytes:
    """The filter for ``machine`` (``uname -m``, ours by default). Raises Unknown."""
    machine = machine or uname().machine
    architecture = ARCHITECTURES.get(machine)
    if architecture is None:
        raise Unknown(machine)
    numbers: Mapping[str, int] = BOTH[machine] | (ONLY_X86_64 if machine == "x86_64" else {})
    sockets = [numbers[name] for name in WITH_FAMILY]
    plain = [number for name, number in numbers.items() if name not in WITH_FAMILY]
    return b"".join(INSTRUCTION.pack(*line) for line in _lines(architecture, sockets, plain))


def _lines(architecture: int, sockets: list[int], plain: list[int]) -> Iterable[tuple[int, int, int, int]]:
    """The instructions; a jump counts those that it skips."""
    yield LOAD_WORD, 0, 0, ARCHITECTURE_AT
    yield JUMP_IF_EQUAL, 1, 0, architecture
    yield RETURN, 0, 0, KILL
    yield LOAD_WORD, 0, 0, NUMBER_AT
    for left, number in zip(range(len(plain), 0, -1), plain, strict=True):
        yield JUMP_IF_EQUAL, left + 3 + len(sockets), 0, number
    for left, number in zip(range(len(sockets), 0, -1), sockets, strict=True):
        yield JUMP_IF_EQUAL, left, 0, number
    yield RETURN, 0, 0, REFUSE
    yield LOAD_WORD, 0, 0, FIRST_ARGUMENT_AT
    yield JUMP_IF_EQUAL, 1, 0, AF_UNIX
    yield RETURN, 0, 0, REFUSE
    yield RETURN, 0, 0, ALLOW
