"""Usage: python -m bench.scaling [--version NAME] [--figures FILE] [--output DIR]

Measures what one backend pays for mail that another asks it for, and what the other pays, then simulates a site of
10,000 sessions over 20 backends from that.  ``--figures`` takes an earlier run's file and measures nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench import footprint
from bench.arena import Arena, say
from bench.client import plain
from bench.samplers import fetch_at_once
from bench.simulation import Figures, Outcome, Site, picture, simulate
from testing.versions import VERSIONS, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.client import FetchClient
    from bench.samplers import Target
    from bench.sides import Side
    from testing.instance import DovecotInstance

SIDE = "ours, backend"
FIRSTS, REPEATS, AT_ONCE = 40, 400, 32
LOADS = (0.1, 0.3, 0.5, 0.7, 0.85, 1.0, 1.1, 1.2)
"""Rates of URLs, as shares of what all cores could serve if each were the first of a pair of users."""
MEGABYTE = 1e6


def main(words: list[str] | None = None) -> int:
    """Measure, simulate, print, write."""
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description="One backend, and twenty.")
    parser.add_argument("--version", choices=VERSIONS, default="bookworm")
    parser.add_argument("--figures", type=Path, help="what was measured before")
    parser.add_argument("--output", type=Path, default=Path("bench-results"), help="folder of JSON and SVG")
    options = parser.parse_args(words)
    figures = (
        Figures(**json.loads(options.figures.read_text()))
        if options.figures
        else measure(VERSIONS[options.version])
    )
    site = Site()
    outcomes = outcomes_of(figures, site)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "scaling.json").write_text(json.dumps(asdict(figures), indent=1) + "\n")
    (options.output / "scaling.svg").write_text(picture(outcomes, site))
    print(report(figures, outcomes))
    return 0


def measure(version: Version) -> Figures:
    """One backend that asks and one that is asked, on this machine."""
    with Arena(version, 1, 1.0) as arena:
        side, target = arena.side(SIDE), arena.target("small")
        if side.home is None:
            raise ValueError(f"{SIDE} has one Dovecot only")
        both = side.dovecot, side.home
        idle = footprint.proportional_memory(side.services())
        say("logins alone")
        alone = _spent(both, lambda: _log_in(side, None))
        say("first fetches")
        first = _spent(both, lambda: _log_in(side, target))
        with side.session() as bob:
            bob.timed(plain(target.url), target.size)
            say("repeated fetches")
            repeat = _spent(both, lambda: _repeat(bob, target))
            asking = footprint.proportional_memory(side.services()) - idle
            imaps = {process.pid: "imap" for process in side.home.processes("imap")}
            home = footprint.proportional_memory(imaps) / len(imaps)
        side.settle()
        say("sessions at once")
        rate = _at_once(side, target)
    return Figures(
        first_asking=(first[0] - alone[0]) / FIRSTS,
        first_home=(first[1] - alone[1]) / FIRSTS,
        repeat_asking=repeat[0] / REPEATS,
        repeat_home=repeat[1] / REPEATS,
        memory_asking=asking,
        memory_home=home,
        per_second=rate,
    )


def outcomes_of(figures: Figures, site: Site) -> list[Outcome]:
    """The site at several rates, up to more than what its cores can serve."""
    most = site.backends * site.cores / (figures.first_asking + figures.first_home)
    return [simulate(figures, site, float(f"{share * most:.3g}")) for share in LOADS]


def report(figures: Figures, outcomes: list[Outcome]) -> str:
    """Both as tables in Markdown."""
    rows = (
        ("first URL of a pair of users", figures.first_asking, figures.first_home, 1e3, "ms of CPU"),
        ("each further one", figures.repeat_asking, figures.repeat_home, 1e3, "ms of CPU"),
        ("memory of a pair", figures.memory_asking, figures.memory_home, 1 / MEGABYTE, "MB"),
    )
    lines = ["| | backend that asks | backend that has the mail | |", "|---|---|---|---|"]
    lines += [f"| {name} | {one * unit:.2f} | {two * unit:.2f} | {word} |" for name, one, two, unit, word in rows]
    lines += [f"\nfresh sessions a second, everything on this machine: {figures.per_second:.0f}\n"]
    lines += ["| URLs/s | cores busy | median | 95 of 100 | firsts | connections (most) | memory |"]
    lines += ["|---|---|---|---|---|---|---|"]
    lines += [
        f"| {each.rate:g} | {each.busy:.0%} | {each.median * 1e3:.1f} ms | {each.slowest * 1e3:.0f} ms | "
        f"{each.first_share:.0%} | {each.connections:.0f} ({each.most_connections}) | "
        f"{each.memory / MEGABYTE:.0f} MB |"
        for each in outcomes
    ]
    return "\n".join(lines)


def _spent(instances: tuple[DovecotInstance, DovecotInstance], work: Callable[[], None]) -> tuple[float, float]:
    """CPU seconds that either instance used for it."""
    before = [footprint.cpu_of_tree(process.pid for process in each.processes()) for each in instances]
    work()
    after = [footprint.cpu_of_tree(process.pid for process in each.processes()) for each in instances]
    return after[0] - before[0], after[1] - before[1]


def _log_in(side: Side, target: Target | None) -> None:
    """Sessions one behind the other, each of which finds nothing that is warm."""
    for _ in range(FIRSTS):
        with side.session() as bob:
            if target is not None:
                bob.timed(plain(target.url), target.size)
        side.settle()


def _repeat(bob: FetchClient, target: Target) -> None:
    for _ in range(REPEATS):
        bob.timed(plain(target.url), target.size)


def _at_once(side: Side, target: Target) -> float:
    with ExitStack() as stack:
        sessions = [stack.enter_context(side.session()) for _ in range(AT_ONCE)]
        started = time.perf_counter()
        fetch_at_once(sessions, target)
        return AT_ONCE / (time.perf_counter() - started)


if __name__ == "__main__":
    sys.exit(main())
