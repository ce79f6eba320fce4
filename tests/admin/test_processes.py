"""Processes found by their titles, and by the master that they descend from."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dovecot_urlauth.admin.processes import NoMaster, find_processes, service_of
from testing.processes import wait_for

TITLES = {
    "dovecot/imap-urlauth": "imap-urlauth",
    "dovecot/imap-urlauth [bob]": "imap-urlauth",
    "dovecot-du/imap-urlauth-login [1 pre-login + 0 proxies]": "imap-urlauth-login",
    "dovecot/imap-urlauth-worker [bob->alice]": "imap-urlauth-worker",
    "dovecot/python3 -IBS /opt/x/libexec/imap-urlauth-worker --store=auto": "imap-urlauth-worker",
    "/usr/bin/python3 /opt/imap-urlauth-login": "imap-urlauth-login",
    "dovecot/imap [alice]": None,
    "dovecot/imap-urlauth-extra": None,
    "grep imap-urlauth": None,
    "vi /opt/x/libexec/imap-urlauth-worker": None,
    "": None,
}


@pytest.mark.parametrize("title", TITLES)
def test_service_of(title: str) -> None:
    assert service_of(title) == TITLES[title]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is called like a worker."""
    title = ["dovecot-test/imap-urlauth-worker", "60"]
    with subprocess.Popen(title, executable="/bin/sleep") as process:
        # exec closes Popen's pipe some moments before it writes the command line
        wait_for(lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes())
        yield process
        process.kill()


def test_a_process_is_found(sleeper: subprocess.Popen[bytes]) -> None:
    found = {process.pid: process for process in find_processes(None)}[sleeper.pid]
    assert found.title == "dovecot-test/imap-urlauth-worker 60"
    assert (found.service, found.parent) == ("imap-urlauth-worker", os.getpid())
    assert found.user == pwd.getpwuid(os.getuid()).pw_name
    assert found.pss is not None
    assert 0 < found.pss < 100_000_000
    assert not found.is_boxed


def test_others_processes_may_be_hidden(sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc with hidepid=1 lists them, and refuses everything else."""
    real = Path.read_bytes

    def refused(path: Path) -> bytes:
        if path.parent.name == "1":
            raise PermissionError(1, "Operation not permitted")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert sleeper.pid in [process.pid for process in find_processes(None)]


def test_who_is_in_a_sandbox() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from dovecot_urlauth.service import seccomp\n"
        "from dovecot_urlauth.service.libc import install_filter\n"
        "from dovecot_urlauth.service.privileges import forbid_new_privileges\n"
        "forbid_new_privileges(); install_filter(seccomp.program()); print(flush=True); sys.stdin.read()"
    )
    title = ["dovecot-test/imap-urlauth-login", "-IBc", code]
    with subprocess.Popen(
        title, executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as boxed:
        assert boxed.stdout
        boxed.stdout.readline()
        assert {process.pid: process for process in find_processes(None)}[boxed.pid].is_boxed
        boxed.kill()


def test_only_those_of_one_master(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    (tmp_path / "master.pid").write_text(f"{os.getpid()}\n")
    assert sleeper.pid in [process.pid for process in find_processes(str(tmp_path))]
    (tmp_path / "master.pid").write_text("1\n")
    assert sleeper.pid not in [process.pid for process in find_processes(str(tmp_path))]


def test_a_workers_child_belongs_to_its_master(tmp_path: Path) -> None:
    """Ours fork: the child's parent is the worker that master started."""
    fork = "import os, time; os.fork(); print(flush=True); time.sleep(60)"
    title = ["dovecot-test/python3", "-c", fork, "imap-urlauth-worker"]
    assert service_of(" ".join(title)) is None
    script = tmp_path / "imap-urlauth-worker"
    script.write_text(fork)
    (tmp_path / "master.pid").write_text(str(os.getpid()))
    command = ["dovecot-test/python3", str(script)]
    with subprocess.Popen(command, executable=sys.executable, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        parent.stdout.readline()
        parent.stdout.readline()
        found = [process for process in find_processes(str(tmp_path)) if process.title == " ".join(command)]
        for process in sorted(found, key=lambda process: process.pid == parent.pid):
            os.kill(process.pid, 9)
    assert sorted(process.parent for process in found) == sorted([os.getpid(), parent.pid])


@pytest.mark.parametrize("text", [None, "", "x"])
def test_no_master(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "master.pid").write_text(text)
    with pytest.raises(NoMaster, match="no Dovecot runs with base_dir"):
        find_processes(str(tmp_path))
