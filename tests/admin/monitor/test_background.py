"""Going to the background: what whoever starts a daemon learns of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from dovecot_urlauth.admin.monitor.background import READY, _live, in_background
from dovecot_urlauth.admin.monitor.failure import MonitorFailure
from testing.processes import wait_for


@pytest.fixture(autouse=True)
def real_input(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """python-daemon redirects it; pytest's has no descriptor."""
    with open(os.devnull, encoding="utf-8") as null:
        monkeypatch.setattr(sys, "stdin", null)
        yield


def test_it_runs_elsewhere_and_lets_its_pid_file_go(tmp_path: Path) -> None:
    pid_file, written = tmp_path / "pid", tmp_path / "written"

    def run() -> None:
        new = tmp_path / "new"
        new.write_text(f"{os.getsid(0)} {pid_file.read_text().strip()} {os.getpid()}")
        new.rename(written)

    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    pid_file.write_text(f"{gone.pid}\n")  # of one that was killed
    in_background(run, [], str(pid_file), "root" if os.geteuid() == 0 else None)
    assert wait_for(written.exists)
    session, locked, pid = written.read_text().split()
    assert locked == pid
    assert session != str(os.getsid(0))
    assert wait_for(lambda: not pid_file.exists())


@pytest.mark.parametrize(
    ("pid_file", "user", "said"),
    [
        ("/nonexistent/pid", None, "cannot go to the background: .*/nonexistent/pid"),
        (None, "nobody-of-this-name", "--user=nobody-of-this-name: no such user"),
    ],
)
def test_it_cannot(pid_file: str | None, user: str | None, said: str) -> None:
    with pytest.raises(MonitorFailure, match=said):
        in_background(lambda: None, [], pid_file, user)


@pytest.mark.parametrize("holder", [1, os.getpid()], ids=["init", "ourselves"])
def test_another_one_runs(tmp_path: Path, holder: int) -> None:
    (tmp_path / "pid").write_text(f"{holder}\n")
    with pytest.raises(MonitorFailure, match=f"pid is locked: process {holder} runs already"):
        in_background(lambda: None, [], str(tmp_path / "pid"), None)


def test_it_ends_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{_live.__module__}._live", lambda *_: 1)
    with pytest.raises(MonitorFailure, match="the daemon ended before it began to listen"):
        in_background(lambda: None, [], None, None)


def test_what_goes_wrong_later_is_not_told_to_who_has_gone() -> None:
    def fail() -> None:
        raise OSError("later")

    reading, writing = os.pipe()
    assert _live(fail, nullcontext(), writing) == 1
    with open(reading, "rb") as pipe:
        assert pipe.read() == READY.encode()


def test_all_goes_well() -> None:
    reading, writing = os.pipe()
    assert _live(lambda: None, nullcontext(), writing) == 0
    with open(reading, "rb") as pipe:
        assert pipe.read() == READY.encode()
