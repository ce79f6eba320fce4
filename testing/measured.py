"""A pytest plugin (`-p testing.measured`): every process that runs tests notes which lines it ran, for the gate.

pytest-xdist's processes take their plugins from the one that started them.  What to measure stands in
pyproject.toml, where to write it in COVERAGE_FILE.  No variable makes the interpreters that tests start measure
themselves: they would be slower, and what they take at start is measured.
"""

from __future__ import annotations

import os

import coverage
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # the process that started them runs no test
    measuring = coverage.Coverage()
    measuring.start()

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure() -> None:
        measuring.stop()
        measuring.save()
