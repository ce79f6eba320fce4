"""Ports of loopback that no other process of the tests takes between being chosen and being listened at.

A port that is free when it is looked for is taken a second later, when its Dovecot listens, by another test
process that looked in the meantime.  So each process has a block of ports of its own.
"""

from __future__ import annotations

import itertools
import os
import random
import socket
from contextlib import suppress
from functools import cache

#: below those that Linux gives to outgoing connections
PORTS = range(10_000, 32_000)

#: the ports of one process; those that it has used are free again long before it comes back to them
BLOCK = 500


def free_ports(number: int) -> list[int]:
    """Ports that are free now, that no other process gets from here, nor an outgoing connection.

    Raises OSError if the process's own block has not so many.
    """
    one_round = itertools.islice(_own_block(os.getpid()).ports, BLOCK)
    ports = list(itertools.islice(filter(_is_free, one_round), number))
    if len(ports) < number:
        raise OSError(f"{number} free ports are wanted, {len(ports)} are left")
    return ports


class _Block:
    """A process's own ports, in turn, as long as it lives."""

    def __init__(self) -> None:
        blocks = range(0, len(PORTS), BLOCK)
        for start in random.sample(blocks, len(blocks)):
            if self._is_ours(start):
                self.ports = itertools.cycle(PORTS[start : start + BLOCK])
                return
        raise OSError("every block of ports has a process that tests")

    def _is_ours(self, start: int) -> bool:
        """A name in the abstract namespace is bound once, and is free again when its process ends."""
        with socket.socket(socket.AF_UNIX) as name, suppress(OSError):
            name.bind(f"\0dovecot-urlauth-ports-{PORTS[start]}")
            name.detach()  # it stays open to the end
            return True
        return False


@cache
def _own_block(process: int) -> _Block:
    """The block of `process`: a forked child has inherited its parent's, and takes another."""
    return _Block()


def _is_free(port: int) -> bool:
    with suppress(OSError):
        socket.create_server(("127.0.0.1", port)).close()
        return True
    return False
