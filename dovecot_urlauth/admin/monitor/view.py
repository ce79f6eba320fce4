"""A sample as text for a terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.check_services import SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dovecot_urlauth.admin.monitor.sample import Running, Sample, State
    from dovecot_urlauth.admin.monitor.watched import Watched

CLEAR = "\x1b[H\x1b[J"
MEGABYTE = 1024 * 1024
UNTOLD = "unknown (verbose_proctitle = no)"
SPANS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def render(sample: Sample, warnings: Iterable[str]) -> Iterator[str]:
    """The lines: one a service, the users being read, one a process, and what should not be so."""
    yield time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(sample.taken))
    yield f"{'SERVICE':20} {'PROCESSES':>9} {'SESSIONS':>8} {'PSS':>9}  STATES"
    for service in SERVICES:
        states = ", ".join(f"{count} {state.value}" for state, count in _states(sample, service))
        yield (
            f"{service:20} {len(sample.of(service)):9} {_number(sample.sessions(service)):>8} "
            f"{_size(sample.memory(service)):>9}  {states or 'not running'}"
        )
    targets = sample.targets()
    yield f"mail being read: {UNTOLD if targets is None else ', '.join(sorted(targets)) or 'none'}"
    yield ""
    yield f"{'PID':>8} {'USER':12} {'AGE':>5} {'RSS':>9} {'PSS':>9}  TITLE"
    for one in sample.running:
        yield _line(one)
    for warning in warnings:
        yield f"warning: {warning}"


def _states(sample: Sample, service: str) -> list[tuple[State, int]]:
    """The states of a service's processes in the order of their names."""
    return sorted(sample.states(service).items(), key=lambda item: item[0].value)


def picture(watched: Watched) -> str:
    """What there is to see now. Raises NoMaster."""
    sample = watched.sample()
    return "\n".join(render(sample, watched.warnings(sample)))


def watch(watched: Watched, interval: float) -> int:
    """Show it again and again, until interrupted. Raises NoMaster."""
    try:
        while True:
            sys.stdout.write(CLEAR + picture(watched) + "\n")
            sys.stdout.flush()
            time.sleep(interval)
    except KeyboardInterrupt:
        return 0


def span(seconds: float) -> str:
    """A time in its largest whole unit: ``3m``, ``12d``."""
    size, unit = next((pair for pair in SPANS if seconds >= pair[0]), SPANS[-1])
    return f"{int(seconds // size)}{unit}"


def _line(one: Running) -> str:
    process = one.process
    return (
        f"{process.pid:8} {process.user:12} {span(one.age):>5} {_size(one.resident):>9} {_size(process.pss):>9}  "
        f"{process.title}"
    )


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


def _size(value: int | None) -> str:
    return "-" if value is None else f"{value / MEGABYTE:.1f} MB"
