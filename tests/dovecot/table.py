"""The table at the end of a run: version x combination x outcome, whichever process ran the tests.

A pytest plugin, which tests/conftest.py names: with pytest-xdist the process that prints the table runs no test
and reads no conftest.py of this folder.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

_outcomes: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
"""By version and combination, in the order in which they came."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note the row of the matrix, and what a pass means there, in the report, which goes to whoever counts."""
    report = yield
    callspec = getattr(item, "callspec", None)
    row = callspec.params.get("row") if callspec else None
    if row is not None and hasattr(row, "combination"):
        passed = "asserted" if item.get_closest_marker("struck_by") else "passed"
        report.__dict__["row"] = [row.version.name, row.combination.name, passed]
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    version, combination, passed = getattr(report, "row", ("", "", ""))
    if not version:
        return
    counts = _outcomes[version, combination]
    if not report.passed:
        counts[report.outcome] += 1
    elif report.when == "call":
        counts[passed] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _outcomes:
        return
    from testing.versions import COMBINATIONS, VERSIONS  # not before coverage measures

    terminalreporter.section("Dovecot: login, imap-urlauth, worker")
    terminalreporter.line(f"{'version':10} {'combination':18} {'passed':>7} {'failed':>7} {'stock defects':>14}")
    for version in VERSIONS:
        for combination in COMBINATIONS:
            counts = _outcomes.get((version, combination))
            if counts:
                terminalreporter.line(
                    f"{version:10} {combination:18} {counts['passed']:7} {counts['failed']:7} "
                    f"{counts['asserted'] or '-':>14}",
                    red=bool(counts["failed"]),
                )
