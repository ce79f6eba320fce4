"""One CPU for everything: waking another virtual CPU costs 0.1 or 1 ms by chance, more than a warm fetch."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.sides import Side


@contextmanager
def one_cpu(sides: list[Side]) -> Iterator[None]:
    """Keep ourselves and all processes of `sides`, present and future, on one CPU."""
    everywhere = os.sched_getaffinity(0)
    _move(sides, {max(everywhere)})
    try:
        yield
    finally:
        _move(sides, everywhere)


def _move(sides: list[Side], cpus: set[int]) -> None:
    instances = [each for side in sides for each in (side.dovecot, side.home) if each is not None]
    pids = [process.pid for each in instances for process in each.processes()]
    for pid in (0, *pids):
        try:
            os.sched_setaffinity(pid, cpus)
        except ProcessLookupError:
            continue
