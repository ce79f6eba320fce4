"""`check` and `status` beside real Dovecots, run where these live, from an installation of ours there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.admin.check_services import SERVICES
from dovecot_urlauth.admin.processes import service_of
from testing import executables
from testing.instance import DovecotInstance
from testing.versions import ALL_OURS, ALL_STOCK, CHOSEN, TUNED, Combination

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testing.versions import Version

pytestmark = [
    pytest.mark.dovecot,
    pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot's master runs as root"),
]

WILL_WORK = "URLAUTH across users will work."


class Place:
    """A Dovecot's version with our installation there."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self.installation = executables.install(version, version.folder())

    def start(self, combination: Combination, extra: str = "") -> DovecotInstance:
        return DovecotInstance(self.version, combination, self.installation, extra).start()

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the installed `dovecot-urlauth`."""
        command = self.version.command(self.installation.prefix / "bin/dovecot-urlauth", *words)
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(
    scope="module",
    params=CHOSEN,
    ids=lambda version: version.name,
)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    place = Place(request.param)
    yield place
    shutil.rmtree(place.installation.outside.parent)


Check = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def check(place: Place) -> Iterator[Check]:
    """Runs `check` on the configuration of a combination; gives back its status and lines."""
    started = []

    def run(combination: Combination, extra: str = "") -> tuple[int, list[str]]:
        dovecot = place.start(combination, extra)
        started.append(dovecot)
        done = place.run("check", "-c", dovecot.inside / "dovecot.conf")
        assert done.stderr == ""
        return done.returncode, done.stdout.splitlines()

    yield run
    for dovecot in started:
        dovecot.stop()


def levels(lines: list[str]) -> set[str]:
    return {line.split()[0] for line in lines[1:-1]}


def test_our_limits(place: Place, check: Check) -> None:
    status, lines = check(TUNED)
    assert (status, lines[-1]) == (0, WILL_WORK)
    assert lines[0].startswith(f"Dovecot {place.version.dovecot}")
    assert levels(lines) == {"ok"}
    assert sum("is dovecot-urlauth's" in line for line in lines) == 3


def test_dovecots_limits(check: Check) -> None:
    status, lines = check(ALL_OURS)
    assert (status, lines[-1]) == (0, WILL_WORK)
    assert levels(lines) == {"ok", "note"}
    assert sum("starts anew for each session" in line for line in lines) == 3


def test_dovecots_programs(place: Place, check: Check) -> None:
    status, lines = check(ALL_STOCK)
    assert sum("is Dovecot's own" in line for line in lines) == 3
    unsafe = place.version.number < (2, 4, 3)
    assert status == unsafe, "the login of 2.3 never works, and up to 2.4.2 user+bob lets anybody in"


def test_without_a_host(check: Check) -> None:
    status, lines = check(TUNED, "imap_urlauth_host =\n")
    assert status == 1
    assert [line for line in lines if line.startswith("FAIL  imap_urlauth_host is not set")]


def test_a_host_for_imap_only(place: Place, check: Check) -> None:
    status, lines = check(TUNED, "protocol imap {\n  imap_urlauth_host = other.test\n}\n")
    assert ("FAIL" in levels(lines)) == (place.version.language == "2.3"), "2.4's worker is protocol imap, too"
    assert status == (place.version.language == "2.3")


def test_an_open_worker_socket(check: Check) -> None:
    listener = "unix_listener imap-urlauth-worker {\n    mode = 0666\n  }"
    status, lines = check(TUNED, f"service imap-urlauth-worker {{\n  {listener}\n}}\n")
    assert status == 1
    assert [
        line for line in lines if line.startswith("FAIL  socket imap-urlauth-worker is open to every local user")
    ]


def test_a_configuration_that_is_not_there(place: Place) -> None:
    done = place.run("check", "-c", "/nowhere/dovecot.conf")
    assert (done.returncode, done.stdout) == (1, "")
    assert "/nowhere/dovecot.conf" in done.stderr


def test_status_lists_what_waits(place: Place) -> None:
    """Seen from outside a tree, which has no /proc."""
    dovecot = place.start(TUNED)
    command = [sys.executable, "-m", "dovecot_urlauth.admin", "status", "--base-dir", str(dovecot.folder / "run")]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    finally:
        dovecot.stop()
    heading, *processes, total = done.stdout.splitlines()
    assert heading.split() == ["PID", "USER", "PSS", "SANDBOX", "TITLE"]
    titles = [line.split(maxsplit=5)[5] for line in processes]
    standing = [title for title in titles if "[spare]" not in title]
    assert [service_of(title) for title in standing] == list(SERVICES)
    assert len(titles) - len(standing) <= 1  # the worker's spare child, if it was forked already
    assert total.startswith(f"{len(titles)} processes, ")
