"""Status messages: what a service process tells the master on fd 5.

One message is twelve bytes in native byte order, written with one ``write`` (lib-master/master-interface.h)::

    int32   pid          the process that master started, not a child of it
    uint32  generation   GENERATION from the environment; master ignores others
    uint32  available    how many more clients this process would take now

Since 2.4.2 a process that will never take a client again says ``NEVER_AGAIN`` in place of 0.
"""

from __future__ import annotations

import struct

NEVER_AGAIN = 0xFFFFFFFF
STATUS_SIZE = 12

_STATUS = struct.Struct("=iII")


def pack_status(pid: int, generation: int, available: int) -> bytes:
    """The message; raises struct.error for numbers that do not fit their fields."""
    return _STATUS.pack(pid, generation, available)


__all__ = ["NEVER_AGAIN", "STATUS_SIZE", "pack_status"]
