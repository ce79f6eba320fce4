"""What `check` says of the sandbox."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.admin import check_sandbox
from dovecot_urlauth.admin.check_sandbox import check_sandbox as check
from dovecot_urlauth.admin.check_sandbox import what_is_missing
from dovecot_urlauth.admin.doveconf import Configuration, parse
from dovecot_urlauth.service import landlock, sandbox

if TYPE_CHECKING:
    from pathlib import Path

LOGIN, BROKER, WORKER = "imap-urlauth-login", "imap-urlauth", "imap-urlauth-worker"
LACK = "landlock: [Errno 38] Function not implemented"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ours").write_text("#!/usr/bin/python3 -IBS\n# dovecot_urlauth\n")
    (tmp_path / WORKER).write_bytes(b"\x7fELF")
    return tmp_path


@pytest.fixture(autouse=True)
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 4)
    monkeypatch.setattr(check_sandbox, "what_is_missing", lambda: [])


def report(folder: Path, **options: str) -> list[str]:
    """With these options behind our executable, by login, broker and worker; a service without is Dovecot's."""
    names = {"login": LOGIN, "broker": BROKER, "worker": WORKER}
    services = "".join(
        f"service {names[which]} {{\n  executable = {folder}/ours {text}\n}}\n" for which, text in options.items()
    )
    text = f"libexec_dir = {folder}\n{services}"
    return [str(finding) for finding in check(Configuration("2.4.1", "/x", parse(text), parse(""), parse("")))]


def test_what_the_kernel_gives(folder: Path) -> None:
    assert report(folder, login="", broker="--sandbox=auto", worker="--store=auto") == [
        f"ok    in a sandbox: {LOGIN}, {BROKER} (Landlock 4, seccomp, no core files)"
    ]


def test_a_native_worker_has_one(folder: Path) -> None:
    assert report(folder, worker="--store=native --sandbox=require") == [
        f"ok    in a sandbox: {WORKER} (Landlock 4, seccomp, no core files)"
    ]


def test_nothing_is_said_of_dovecots_own(folder: Path) -> None:
    assert report(folder) == []


def test_one_that_is_turned_off(folder: Path) -> None:
    assert report(folder, login="--sandbox=require --sandbox=off") == [
        f"note  {LOGIN} has no sandbox: --sandbox=off"
    ]


def test_a_kernel_without(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough to serve, unless the administrator requires more."""
    monkeypatch.setattr(check_sandbox, "what_is_missing", lambda: [LACK, "seccomp: no table for m68k"])
    assert report(folder, login="", broker="--sandbox=require") == [
        f"note  {LOGIN}: its sandbox goes without {LACK}, seccomp: no table for m68k",
        f"FAIL  {BROKER}: --sandbox=require, and the sandbox is incomplete: {LACK}, seccomp: no table for m68k",
    ]


def test_what_is_missing_is_tried_by_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """And by nobody else: this process may still do everything."""
    for lacking in ([], [LACK], [LACK, "seccomp: no table for m68k"]):
        parent = os.getpid()

        def shut(lacking: list[str] = lacking, parent: int = parent) -> list[str]:
            assert os.getpid() != parent
            return lacking

        monkeypatch.setattr(sandbox, "shut", shut)
        assert what_is_missing() == lacking


def test_a_child_that_does_not_survive_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "shut", lambda: os.kill(os.getpid(), signal.SIGKILL))
    [said] = what_is_missing()
    assert said.startswith("anything: a process that entered it ended with status ")


def test_here() -> None:
    """A real child, and this process goes on as before."""
    assert all(text.startswith(("limits: ", "landlock: ", "seccomp: ")) for text in what_is_missing())
    os.close(os.open("/etc/passwd", os.O_RDONLY))
