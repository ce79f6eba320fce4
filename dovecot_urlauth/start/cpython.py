"""CPython's own modules in place of the public ones above them, which stand behind them all the same.

==================  =================  ==================================================================
private             public             what the private one saves
==================  =================  ==================================================================
``_socket``         ``socket``         6 ms: enum and selectors
``_signal``         ``signal``         5 ms: enum
``_ctypes``         ``ctypes``         1 ms
==================  =================  ==================================================================

A private module may be missing from another Python than CPython 3.11 to 3.14; then the public one is taken.
``socket.socket`` is a subclass of ``_socket.socket``, and can take its place.  Digests are in digest.py.
"""

# ruff: noqa: F401, F403 - what is imported here is for the others
TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import *
    from signal import ITIMER_PROF as ITIMER_PROF
    from signal import ITIMER_REAL as ITIMER_REAL
    from signal import SIG_BLOCK as SIG_BLOCK
    from signal import SIG_DFL as SIG_DFL
    from signal import SIG_IGN as SIG_IGN
    from signal import SIG_UNBLOCK as SIG_UNBLOCK
    from signal import pthread_sigmask as pthread_sigmask
    from signal import setitimer as setitimer
    from signal import signal as signal
else:
    try:
        from _socket import *
    except ImportError:
        from socket import *
    try:
        from _signal import (
            ITIMER_PROF,
            ITIMER_REAL,
            SIG_BLOCK,
            SIG_DFL,
            SIG_IGN,
            SIG_UNBLOCK,
            pthread_sigmask,
            setitimer,
            signal,
        )
    except ImportError:
        from signal import (
            ITIMER_PROF,
            ITIMER_REAL,
            SIG_BLOCK,
            SIG_DFL,
            SIG_IGN,
            SIG_UNBLOCK,
            pthread_sigmask,
            setitimer,
            signal,
        )


def call_library(name: str, *arguments: int | bytes | None) -> int:
    """What the C library's function answers; None is a null pointer, bytes the address of their copy.

    Raises OSError if the answer is negative.
    """
    try:
        import _ctypes

        library: int = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # None is the process itself
        result: int = _ctypes.call_function(_ctypes.dlsym(library, name), arguments)
    except (ImportError, AttributeError):
        import ctypes

        result = ctypes.CDLL(None)[name](*arguments)
    if result < 0:
        raise OSError(f"{name} failed")
    return result


class Memory:
    """A copy of some bytes that stays where it is; ``address`` is for a C structure that points to it."""

    def __init__(self, content: bytes) -> None:
        try:
            from _ctypes import Array, _SimpleCData, addressof
        except ImportError:
            from ctypes import addressof, create_string_buffer

            self._copy: object = create_string_buffer(content, len(content))
            self.address = addressof(self._copy)
            return

        class Byte(_SimpleCData):  # type: ignore[type-arg]
            _type_ = "B"

        class Bytes(Array):  # type: ignore[type-arg]
            _type_ = Byte
            _length_ = len(content)

        self._copy = Bytes.from_buffer_copy(content)
        self.address = addressof(self._copy)
