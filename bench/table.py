"""The table on the terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.result import Comparison, Results
    from bench.startup import StartUp
    from testing.versions import Version

TITLES = {
    "executables": "only executables swapped / stock defaults",
    "conf.d": "conf.d / stock defaults",
    "tuned": "conf.d / stock tuned",
    "engine": "conf.d, --store=dovecot / stock defaults",
    "engine, tuned": "conf.d, --store=dovecot / stock tuned",
    "backend": "conf.d, mail on another backend / stock defaults, mail at home",
    "plugins": "conf.d / stock defaults, with plugins loaded",
    "plugins, tuned": "conf.d / stock tuned, with plugins loaded",
    "ours/ours": "conf.d / conf.d",
}

HEAD = f"{'':41} {'ours':>9} {'stock':>9} {'':9} {'ours/stock':>10}  {'quartiles':13} {'goal':>8}  {'runs':>4}"


START_UP_HEAD = f"{'':24} {'python':>8} {'imports':>8} {'settings':>8} {'rest':>8} {'total':>8} {'modules':>8}"


def table(results: Results, machine: dict[str, object]) -> str:
    """Everything that was measured of one version."""
    version = results.version
    day = time.strftime("%Y-%m-%d", time.localtime(results.started))
    size = f"{machine['cpus']} CPUs ({machine['model']}), {machine['memory_mb']} MB"
    lines = [f"Dovecot {version.dovecot} ({version.name}), {day}, {size}", *notes(version)]
    for profile, title in TITLES.items():
        chosen = [line for line in results.lines if line.profile == profile]
        if chosen:
            lines += ["", title, HEAD, *map(line_of, chosen)]
    if results.start_ups:
        lines += ["", "start-up of ours under stock service limits, ms", START_UP_HEAD]
        lines += map(start_up_line, results.start_ups)
    if results.skipped:
        lines += ["", "left out:", *(f"  {reason}" for reason in results.skipped)]
    return "\n".join(lines) + "\n"


def notes(version: Version) -> Iterable[str]:
    """What a reader must know of the stock side."""
    if version.language == "2.3":
        yield "stock's imap-urlauth-login dies of every request here: ours stands in front of both sides"


def line_of(line: Comparison) -> str:
    """One line of the table."""
    spread = f"{short(line.ratio.low)}-{short(line.ratio.high)}"
    return (
        f"{line.title:41} {short(line.ours.median):>9} {short(line.stock.median):>9} {line.unit:9} "
        f"{short(line.ratio.median):>10}  {spread:13} {goal(line):>8}  {line.runs:4}"
    )


def start_up_line(start_up: StartUp) -> str:
    """One executable's phases."""
    phases = (start_up.python, start_up.imports, start_up.settings, start_up.rest, start_up.total)
    return f"{start_up.executable:24} {' '.join(f'{short(phase):>8}' for phase in phases)} {start_up.modules:8}"


def goal(line: Comparison) -> str:
    """The goal and whether it is met."""
    if line.goal is None:
        return ""
    sign = ">=" if line.more_is_better else "<="
    return f"{'' if line.reached else '! '}{sign}{line.goal:g}"


def short(number: float) -> str:
    """Three digits that count, without an exponent."""
    if number >= 100:
        return f"{number:.0f}"
    if number >= 10:
        return f"{number:.1f}"
    if number >= 0.1:
        return f"{number:.2f}"
    return f"{number:.2g}" if number >= 0.0001 else f"{number:.1g}"
