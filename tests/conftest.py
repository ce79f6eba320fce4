"""What all tests share."""

from __future__ import annotations

import gc
import sys
import warnings

import pytest
from hypothesis import settings

# two busy cores say nothing about a parser
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.import_plugin("tests.dovecot.table")
    if not config.pluginmanager.hasplugin("xdist"):
        config.addinivalue_line("markers", "xdist_group(name): runs in the same process as others of this name")


_failed: set[str] = set()


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What a failed test left open is not found in, and laid to, one that comes later: warnings are errors."""
    if report.failed:
        _failed.add(report.nodeid)
    if report.when != "teardown" or report.nodeid not in _failed:
        return
    for name in ("last_exc", "last_type", "last_value", "last_traceback"):  # pytest's, for a debugger
        sys.__dict__.pop(name, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
