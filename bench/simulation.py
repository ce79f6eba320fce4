"""Many sessions over several backends, from what one backend was measured to cost: a simulation by events.

Every session is at one backend and fetches, at random moments, URLs of some users whose mail is anywhere.  A URL
takes a core of the backend that asks, then one of the mail's own; whoever finds all cores busy waits in line.  The
first URL of a pair of users costs a process, a dialer and a login, which stay for some seconds.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass

IDLE_SECONDS = 1.5
"""How long a pair's process and dialer stay that nobody uses: 1 to 2, before the session rests with the parent."""
WARM_UP = 20.0
"""Simulated seconds of which nothing is counted."""


@dataclass(frozen=True)
class Figures:
    """What one backend was measured to cost: CPU seconds, and bytes."""

    first_asking: float
    first_home: float
    repeat_asking: float
    repeat_home: float
    memory_asking: float
    """Of the processes that serve one pair of a target and an access user."""
    memory_home: float
    """Of the imap that is logged in for them."""
    per_second: float = 0.0
    """Fresh sessions a second that this machine managed, with both backends and the clients on it."""


@dataclass(frozen=True)
class Site:
    """How large the site is, and what its users do."""

    sessions: int = 10_000
    backends: int = 20
    cores: int = 2
    friends: int = 10
    """Users whose mail one session fetches from."""
    seconds: float = 60.0
    seed: int = 15


@dataclass(frozen=True)
class Outcome:
    """What came of one rate of URLs."""

    rate: float
    """URLs a second, of the whole site."""
    median: float
    slowest: float
    """Seconds within which half, and 95 of 100, of the URLs were served."""
    first_share: float
    busy: float
    """Share of the cores' time that was used."""
    connections: float
    most_connections: int
    """To one backend from all others: on average, and at most."""
    memory: float
    """Bytes on one backend for its part in all this, on average."""


class _Cores:
    """One backend's cores, taken in the order of arrival."""

    def __init__(self, number: int) -> None:
        self._free_at = [0.0] * number

    def run(self, now: float, cost: float) -> float:
        """When work that comes now is done."""
        start = max(now, heapq.heappop(self._free_at))
        heapq.heappush(self._free_at, start + cost)
        return start + cost


def simulate(figures: Figures, site: Site, rate: float) -> Outcome:
    """The site under ``rate`` URLs a second."""
    chance = random.Random(site.seed)  # noqa: S311 - nobody's secret
    cores = [_Cores(site.cores) for _ in range(site.backends)]
    place = [chance.randrange(site.backends) for _ in range(site.sessions)]
    friends = [[chance.randrange(site.sessions) for _ in range(site.friends)] for _ in range(site.sessions)]
    last_use: dict[tuple[int, int], float] = {}
    waits: list[float] = []
    firsts, used, counted_from = 0, 0.0, WARM_UP
    arrivals: list[tuple[float, int, int, float, float]] = []
    """At the mail's own backend: when, which, the pair's target, its cost, and when the URL was asked for."""
    now, end = 0.0, WARM_UP + site.seconds
    while now < end:
        now += chance.expovariate(rate)
        while arrivals and arrivals[0][0] <= now:
            _arrive(heapq.heappop(arrivals), cores, waits, counted_from)
        asker = chance.randrange(site.sessions)
        target = chance.choice(friends[asker])
        here, home = place[asker], place[target]
        if here == home:
            continue
        is_first = now - last_use.get((asker, target), -IDLE_SECONDS) >= IDLE_SECONDS
        last_use[asker, target] = now
        costs = (
            (figures.first_asking, figures.first_home)
            if is_first
            else (figures.repeat_asking, figures.repeat_home)
        )
        if now >= counted_from:
            firsts += is_first
            used += sum(costs)
        heapq.heappush(arrivals, (cores[here].run(now, costs[0]), home, target, costs[1], now))
    while arrivals:
        _arrive(heapq.heappop(arrivals), cores, waits, counted_from)
    open_at = [0] * site.backends
    for (_, target), since in last_use.items():
        open_at[place[target]] += now - since < IDLE_SECONDS
    mean = sum(open_at) / site.backends
    waits.sort()
    return Outcome(
        rate=rate,
        median=waits[len(waits) // 2],
        slowest=waits[len(waits) * 95 // 100],
        first_share=firsts / len(waits),
        busy=used / (site.seconds * site.backends * site.cores),
        connections=mean,
        most_connections=max(open_at),
        memory=mean * (figures.memory_asking + figures.memory_home),
    )


def _arrive(
    event: tuple[float, int, int, float, float], cores: list[_Cores], waits: list[float], counted_from: float
) -> None:
    when, home, _, cost, asked = event
    done = cores[home].run(when, cost)
    if asked >= counted_from:
        waits.append(done - asked)


def picture(outcomes: list[Outcome], site: Site) -> str:
    """The waits over the rate, as SVG; the upright axis is logarithmic."""
    width, height, left, bottom, top = 720, 360, 70, 310, 50
    low, high = 0.001, 10.0
    most = max(outcome.rate for outcome in outcomes)

    def x(rate: float) -> float:
        return round(left + rate / most * (width - left - 40), 1)

    def y(seconds: float) -> float:
        from math import log10

        share = (log10(min(max(seconds, low), high)) - log10(low)) / (log10(high) - log10(low))
        return round(bottom - share * (bottom - top), 1)

    title = f"{site.sessions:,} sessions, {site.backends} backends of {site.cores} cores: how long a URL takes"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img">',
        "<style>text{font:12px sans-serif;fill:#222}.grid{stroke:#ddd}path{fill:none;stroke-width:2}</style>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="24" font-weight="bold">{title}</text>',
    ]
    for exponent in range(-3, 2):
        seconds = 10.0**exponent
        label = f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"
        parts.append(f'<line class="grid" x1="{left}" y1="{y(seconds)}" x2="{width - 40}" y2="{y(seconds)}"/>')
        parts.append(f'<text x="{left - 8}" y="{y(seconds) + 4}" text-anchor="end">{label}</text>')
    for outcome in outcomes:
        parts.append(f'<text x="{x(outcome.rate)}" y="{bottom + 18}" text-anchor="middle">{outcome.rate:g}</text>')
    parts.append(f'<text x="{width / 2}" y="{bottom + 38}" text-anchor="middle">URLs a second, whole site</text>')
    for colour, name, shift, values in (
        ("#3a7d44", "median", 28, [outcome.median for outcome in outcomes]),
        ("#b5483a", "95 of 100", -14, [outcome.slowest for outcome in outcomes]),
    ):
        points = [f"{x(outcome.rate)},{y(value)}" for outcome, value in zip(outcomes, values, strict=True)]
        parts.append(f'<path stroke="{colour}" d="M{" L".join(points)}"/>')
        place = f'x="{x(outcomes[-3].rate)}" y="{y(values[-3]) + shift}" text-anchor="end"'
        parts.append(f'<text {place} style="fill:{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])
