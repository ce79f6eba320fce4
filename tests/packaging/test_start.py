"""How the executables start: from a read-only place, isolated, and without modules that cost milliseconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.conftest import CHECKOUT

EXECUTABLES = ("imap-urlauth-login", "imap-urlauth", "imap-urlauth-worker")

#: what three starts in each request would pay for; measured: 19, 9, 6, 7, 4.5 ms and so on
COSTLY = {
    "dataclasses", "typing", "re", "socket", "enum", "logging", "inspect", "functools", "contextlib",
    "pathlib", "subprocess", "tempfile", "base64", "hmac", "email", "datetime", "traceback", "json", "shutil",
    "random", "uuid", "asyncio", "selectors", "argparse", "collections", "site",
}  # fmt: skip


def start(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, umask=0o077
    )


@pytest.mark.parametrize("name", EXECUTABLES)
def test_a_starter_is_a_start_up_line_and_nothing_else(name: str) -> None:
    path = CHECKOUT / "compat" / name
    assert os.access(path, os.X_OK)
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith('"""')]
    room = {"imap-urlauth-login": "login", "imap-urlauth": "broker", "imap-urlauth-worker": "worker"}[name]
    assert lines == [
        "#!/usr/bin/python3 -IBS",
        "import gc",
        "import os",
        "import sys",
        'sys.path.insert(0, os.path.realpath(f"{__file__}/../../.venv/run"))',
        "gc.disable()  # what is imported is here to stay; service/run.py enables it again",
        f"from dovecot_urlauth.{room}.main import main  # noqa: E402",
        "sys.exit(main(sys.argv))",
    ]


@pytest.mark.parametrize("name", EXECUTABLES)
def test_starts_without_costly_modules(prefix: Path, name: str) -> None:
    starter = prefix / "libexec/dovecot-urlauth" / name
    done = start(sys.executable, "-IBS", "-X", "importtime", starter, cwd=prefix)
    assert "Traceback" not in done.stderr
    timed = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    imported = {line.rpartition("|")[2].strip() for line in timed}
    assert "os" in imported
    assert not imported & COSTLY


@pytest.mark.parametrize("name", EXECUTABLES)
def test_imports_nothing_from_where_a_user_can_write(prefix: Path, tmp_path: Path, name: str) -> None:
    for module in ("os", "dovecot_urlauth", "setproctitle", "sitecustomize", "usercustomize"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('the intruder ran')\n")
    reach = {"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "os.py"), "HOME": str(tmp_path)}
    done = start(prefix / "libexec/dovecot-urlauth" / name, cwd=tmp_path, **reach)
    assert done.returncode in (0, 1, 89)
    assert "intruder" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", EXECUTABLES)
def test_starting_writes_no_file(prefix: Path, name: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in prefix.rglob("*")}
    start(prefix / "libexec/dovecot-urlauth" / name, cwd=prefix)
    assert {path: path.stat().st_mtime_ns for path in prefix.rglob("*")} == before
