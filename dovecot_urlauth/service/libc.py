"""The system calls that Python has no name for, and a frugal way to them.

``import ctypes`` takes 4 ms, half as long as starting Python; its C half ``_ctypes`` takes 0.6 ms and is all
that calls with plain integers need.
"""

from __future__ import annotations

from struct import Struct

TYPE_CHECKING = False

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
    return _call("prctl", option, argument, 0, 0, 0)


def signalfd(signals: frozenset[int]) -> int:
    """Return a non-blocking fd that reads as one 128-byte record per signal. Raises OSError.

    The signals must be blocked by the caller.
    """
    mask = 0
    for number in signals:
        mask |= 1 << (number - 1)
    return _call("signalfd", -1, mask.to_bytes(SIGSET_BYTES, "little"), SFD_NONBLOCK | SFD_CLOEXEC)


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """A system call that the C library has no function for; None is a null pointer. Raises OSError."""
    return _call("syscall", number, *arguments)


def install_filter(program: bytes) -> None:
    """Let the kernel ask ``program``, in classic BPF, about each system call from now on. Raises OSError."""
    import _ctypes

    class Byte(_ctypes._SimpleCData):  # type: ignore[type-arg]
        _type_ = "B"

    class Program(_ctypes.Array):  # type: ignore[type-arg]
        _type_ = Byte
        _length_ = len(program)

    instructions = Program.from_buffer_copy(program)
    count = len(program) // FILTER_INSTRUCTION_SIZE
    # struct sock_fprog: the number of instructions, then their address, aligned as the compiler does
    header = Struct("@HP").pack(count, _ctypes.addressof(instructions))
    _call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0)


def _call(name: str, *arguments: int | bytes | None) -> int:
    import _ctypes

    address = _ctypes.dlsym(_library(), name)
    result: int = _ctypes.call_function(address, arguments)
    if result < 0:
        raise OSError(f"{name} failed")
    return result


def _library() -> int:
    import _ctypes

    handle: int = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # None is the process itself
    return handle
