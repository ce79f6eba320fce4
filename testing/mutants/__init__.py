"""Lines that security rests on, each taken away in turn: some test must fail for each (`make mutants`).

The table says which promise of SECURITY.md a line belongs to, and what stands in its place in the mutant.
"""

from __future__ import annotations

from testing.mutants import broker, login, service, store, url, worker
from testing.mutants.mutant import Mutant, Rows

#: The rooms, in the order in which a request meets them.
ROOMS: tuple[Rows, ...] = (
    login.ROWS,
    broker.ROWS,
    worker.ROWS,
    url.ROWS,
    store.ROWS,
    service.ROWS,
)


def table() -> list[Mutant]:
    """All mutants; the third one of promise 5 has the name `5.3`."""
    counts: dict[int, int] = {}
    mutants = []
    for rows in ROOMS:
        for promise, hole, file, line, instead, *tests in rows:
            counts[promise] = counts.get(promise, 0) + 1
            name = f"{promise}.{counts[promise]}"
            mutants.append(Mutant(name, promise, hole, file, line, instead, tuple(tests)))
    return mutants
