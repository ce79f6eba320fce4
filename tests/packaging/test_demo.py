"""make demo where it may not simply install what it lacks: not root, or a Dovecot of the system's runs."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.packaging.conftest import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

DPKG_QUERY = """#!/bin/sh
case $* in *submissiond*) exit 1;; *) echo installed;; esac
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A Debian that has no dovecot-submissiond, and whose apt and python3 say what they were asked for."""
    (tmp_path / "bin").mkdir()
    said = "#!/bin/sh\necho ${0##*/} $*\n"
    for name, text in (("dpkg-query", DPKG_QUERY), ("apt-get", said), ("python3", said)):
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path / "bin"


def make(programs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    variables = (f"PYTHON={programs}/python3", f"SYSTEM_DOVECOT={programs.parent}/master.pid")
    path = {"PATH": f"{programs}:{os.environ['PATH']}"}
    command = ["make", "-s", *words, *variables]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, env=path)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may install")
def test_a_dovecot_that_runs_is_not_restarted(programs: Path) -> None:
    (programs.parent / "master.pid").write_text(f"{os.getpid()}\n")
    done = make(programs, "demo")
    assert (done.returncode, done.stdout) == (2, "")
    assert "a Dovecot runs here, and these packages are missing: dovecot-submissiond\n" in done.stderr
    assert "apt-get install dovecot-submissiond\n" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may install")
@pytest.mark.parametrize("pid", ["", "4194305\n"])
def test_where_none_runs_apt_is_asked(programs: Path, pid: str) -> None:
    if pid:
        (programs.parent / "master.pid").write_text(pid)
    done = make(programs, "demo")
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "installing",
        "apt-get",
        "apt-get",
        "python3",
    ]
    assert "install dovecot-submissiond" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone may install")
def test_what_developers_need_is_installed_all_the_same(programs: Path) -> None:
    (programs.parent / "master.pid").write_text(f"{os.getpid()}\n")
    assert "install dovecot-submissiond" in make(programs, "debian").stdout


def test_who_is_not_root_installs_nothing(programs: Path) -> None:
    (programs / "id").write_text("#!/bin/sh\necho 1000\n")
    (programs / "id").chmod(0o755)
    done = make(programs, "demo")
    assert (done.returncode, done.stdout) == (2, "")
    assert "these packages are missing: dovecot-submissiond; run this as root" in done.stderr


def test_who_is_not_root_is_told(tmp_path: Path) -> None:
    program = "import os; os.geteuid = lambda: 1000; import demo; raise SystemExit(demo.main())"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-Bc", program]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("run it as root.\n")
    assert list(tmp_path.iterdir()) == []
