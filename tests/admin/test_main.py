"""The command line: exit statuses, and that what it prints is complete."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from dovecot_urlauth.admin import VERSION, main
from dovecot_urlauth.admin.doveconf import Block, Configuration
from dovecot_urlauth.admin.processes import Process
from dovecot_urlauth.admin.version import full_version

ROOT = Path(__file__).parents[2]
GOOD_URL = "imap://alice@h/INBOX/;UID=1"


def run(*words: str) -> int:
    return main.main(["dovecot-urlauth", *words])


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("--version")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"dovecot-urlauth {full_version()}\n"


def test_the_version_number_stands_in_one_place() -> None:
    command = [sys.executable, "setup.py", "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if "No module named 'setuptools'" in done.stderr:
        pytest.skip("no setuptools here")
    assert done.stdout.splitlines()[-1] == VERSION
    sources = subprocess.run(["git", "grep", "-lF", f'"{VERSION}"'], cwd=ROOT, capture_output=True, text=True)
    assert sources.stdout.split() in ([], ["dovecot_urlauth/admin/__init__.py"])


@pytest.mark.parametrize("words", [[], ["nothing"], ["url"], ["check", "x"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == 2
    assert "usage: dovecot-urlauth" in capsys.readouterr().err


def test_url(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("url", GOOD_URL) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["user         alice", "host         h"]
    assert run("url", "http://h/") == 1
    assert capsys.readouterr().err.startswith("dovecot-urlauth: not an IMAP URL: Not an IMAP URL (cut off? quote")


def test_a_url_as_it_is_pasted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("url", f" <{GOOD_URL}>\n") == 0
    pasted = capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO(GOOD_URL + "\n"))
    assert run("url", "-") == 0
    assert capsys.readouterr().out == pasted
    assert run("url", "") == 1
    assert "url: is empty; cut off? quote the URL" in capsys.readouterr().err


def test_status(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run("status") == 0
    assert capsys.readouterr().out.startswith("     PID USER")
    assert run("status", "--base-dir", str(tmp_path)) == 1
    assert "no Dovecot runs with base_dir" in capsys.readouterr().err


def test_status_prints_what_it_found(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        Process(7, 1, "dovenull", 3 * 1024 * 1024, "imap-urlauth-login", "dovecot/imap-urlauth-login", True),
        Process(123456, 7, "alice", None, "imap-urlauth-worker", "dovecot/imap-urlauth-worker [bob->alice]"),
    ]
    monkeypatch.setattr(main, "find_processes", lambda base_dir: found)
    assert run("status") == 0
    assert capsys.readouterr().out.splitlines() == [
        "     PID USER               PSS SANDBOX  TITLE",
        "       7 dovenull        3.0 MB yes      dovecot/imap-urlauth-login",
        "  123456 alice                - -        dovecot/imap-urlauth-worker [bob->alice]",
        "2 processes, 3.0 MB of 1 of them (run this as root to see all of it)",
    ]
    monkeypatch.setattr(main, "find_processes", lambda base_dir: found[:1])
    assert run("status") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 processes, 3.0 MB"
    monkeypatch.setattr(main, "find_processes", lambda base_dir: found[1:])
    assert run("status") == 0
    assert "1 processes, memory unknown (run this as root" in capsys.readouterr().out


def test_status_by_a_configuration(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    read = Configuration("2.4.1", "/x", Block({"base_dir": "/the/base"}), Block(), Block())
    monkeypatch.setattr(main, "read_configuration", lambda file: {"/x": read}[file])
    asked: list[str | None] = []
    monkeypatch.setattr(main, "find_processes", lambda base_dir: asked.append(base_dir) or [])  # type: ignore[func-returns-value]
    assert run("status", "-c", "/x") == 0
    assert run("status") == 0
    assert asked == ["/the/base", None]


def test_as_a_module() -> None:
    command = [sys.executable, "-m", "dovecot_urlauth.admin", "url", GOOD_URL]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "mailbox      INBOX" in done.stdout
