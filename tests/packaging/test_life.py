"""Debian's package from its installation to its purge, the way of somebody who meets it for the first time.

The server is a copy of a suite's tree with Debian's stock configuration (testing/debian.py).  Everything is done
by the words of README.md, in their order, and at the end nothing is left.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testing import packages
from testing.debian import DebianServer
from testing.processes import wait_for
from testing.versions import USUAL, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

WANTED = set(os.environ.get("DOVECOT_URLAUTH_VERSIONS", "").split() or [version.name for version in USUAL])
NEXT_VERSION = "9.0"
EXECUTABLES = "/usr/libexec/dovecot-urlauth/"
ENABLED = "etc/dovecot/conf.d/90-urlauth.conf"
OWN = "etc/dovecot/conf.d/99-own.conf"
BYTE_CODE = "usr/lib/dovecot-urlauth/dovecot_urlauth/__pycache__"

MESSAGE = "Subject: minutes\n\nWe met.\n"
MBOX = f"From alice Thu Jan  1 00:00:00 2026\n{MESSAGE}\n"

MONITOR = """
import sys
sys.path.insert(0, sys.argv[1])
from dovecot_urlauth.admin.main import main
sys.exit(main(sys.argv[1:]))
"""

#: where running and reading leave files that are no package's
NOT_OURS = ("var/lib/dpkg/", "var/log/", "var/lib/dovecot/", "var/mail/", "run/", "home/", "tmp/", "dev/")

pytestmark = [
    pytest.mark.dovecot,
    pytest.mark.skipif(os.geteuid() != 0, reason="Dovecot's master runs as root"),
    pytest.mark.skipif(shutil.which("dh") is None, reason="the package cannot be built without debhelper"),
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "suite" in metafunc.fixturenames:
        metafunc.parametrize(
            "suite", [version.name for version in USUAL if version.name in WANTED], scope="module"
        )


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """This version's package, and one of a version to come."""
    folder = tmp_path_factory.mktemp("debs")
    return packages.build(folder), packages.build(folder, NEXT_VERSION)


@contextmanager
def laid_out(suite: str, mail_of: DebianServer | None = None) -> Iterator[DebianServer]:
    """A server with one message for alice, or with another server's mail; its Dovecot runs."""
    folder = Path(tempfile.mkdtemp(prefix="dovecot-urlauth-server-"))
    folder.chmod(0o755)
    try:
        server = DebianServer(VERSIONS[suite], folder)
        if mail_of is None:
            (folder / "var/mail/alice").write_text(MBOX)
            os.chown(folder / "var/mail/alice", 1001, 8)
        else:
            for place in ("home", "var/mail"):
                subprocess.run(["cp", "-a", f"{mail_of.root}/{place}/.", f"{folder}/{place}/"], check=True)
        try:
            server.start_dovecot()
            yield server
        finally:
            server.stop_dovecot()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def debian(suite: str) -> Iterator[DebianServer]:
    """One server a suite: it is a few hundred megabytes of files."""
    with laid_out(suite) as server:
        yield server


@pytest.fixture
def server(debian: DebianServer) -> Iterator[DebianServer]:
    """It as it was before any package."""
    yield debian
    for name in (ENABLED, OWN):
        (debian.root / name).unlink(missing_ok=True)
    debian.dpkg("--purge", "dovecot-urlauth")
    debian.run("doveadm", "reload")


def good(done: subprocess.CompletedProcess[str]) -> str:
    """What a program printed that ended well."""
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def files(server: DebianServer) -> set[str]:
    found = set()
    for folder, folders, names in os.walk(server.root):
        found |= {os.path.relpath(os.path.join(folder, name), server.root) for name in (*folders, *names)}
    return {name for name in found if not name.startswith(NOT_OURS)}


def works(server: DebianServer) -> bool:
    """Whether `test` is content; a reload may lose what came amid it."""
    return server.run("dovecot-urlauth", "test").stdout.endswith("URLAUTH works.\n")


def test_a_whole_life(server: DebianServer, debs: tuple[Path, Path]) -> None:
    before = files(server), (server.root / "etc/passwd").read_text()

    assert EXECUTABLES not in server.run("doveconf", "-n").stdout
    good(server.dpkg("--install", debs[0]))
    assert "SIGHUP" not in server.log_text()  # the running Dovecot was not touched
    assert EXECUTABLES not in server.run("doveconf", "-n").stdout
    refused = server.run("dovecot-urlauth", "test")
    assert refused.returncode == 1
    assert "imap_urlauth_host is not set" in refused.stdout

    good(server.run("dovecot-urlauth", "enable", "--host", "imap.example.test"))
    assert good(server.run("doveconf", "-n")).count(EXECUTABLES) == 3
    assert wait_for(lambda: works(server), 60)
    printed = good(server.run("dovecot-urlauth", "test"))
    assert "bob fetched what BURL fetches" in printed

    url = good(
        server.run("dovecot-urlauth", "share", "alice", "INBOX", "1", "--for", "bob", "--expire", "7d")
    ).strip()
    assert server.run("dovecot-urlauth", "fetch", "--as", "bob", url).stdout == MESSAGE
    assert server.run("dovecot-urlauth", "fetch", "--as", "carol", url).returncode == 1
    assert "INBOX" in good(server.run("dovecot-urlauth", "keys", "alice"))
    look_at_the_monitor(server)

    upgrade(server, debs[1])
    assert wait_for(lambda: works(server), 60)
    good(server.run("dovecot-urlauth", "revoke", "alice", "INBOX"))
    assert server.run("dovecot-urlauth", "fetch", "--as", "bob", url).returncode == 1

    good(server.run("dovecot-urlauth", "disable"))
    assert EXECUTABLES not in server.run("doveconf", "-n").stdout
    good(server.dpkg("--purge", "dovecot-urlauth"))
    assert wait_for(lambda: not [one for one in server.processes() if "imap-urlauth" in one.title], 60)
    assert (files(server), (server.root / "etc/passwd").read_text()) == before


def look_at_the_monitor(server: DebianServer) -> None:
    """The package's own monitor, run beside the tree, in which there is no /proc."""
    library = str(server.root / "usr/lib/dovecot-urlauth")
    base_dir = str(server.root / "run/dovecot")
    command = [sys.executable, "-IBS", "-c", MONITOR, library, "monitor", "--once", "--base-dir", base_dir]
    printed = good(subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL))
    shown = [line.split()[:2] for line in printed.splitlines() if line.startswith("imap-urlauth")]
    assert [name for name, _ in shown] == ["imap-urlauth-login", "imap-urlauth", "imap-urlauth-worker"]
    assert all(int(number) for _, number in shown)


def upgrade(server: DebianServer, deb: Path) -> None:
    """What enable wrote stays, what the administrator changed in the package's configuration, too."""
    changed = server.root / f"etc/dovecot-urlauth/conf.d/{server.version.language}/90-urlauth.conf"
    changed.write_text(changed.read_text().replace("process_limit = 5", "process_limit = 6"))
    enabled = (server.root / ENABLED).read_text()
    hangups = server.log_text().count("SIGHUP")
    assert "until 'doveadm reload'" in good(server.dpkg("--install", deb))
    assert server.log_text().count("SIGHUP") == hangups
    assert (server.root / ENABLED).read_text() == enabled
    assert works(server)  # by the processes of before
    good(server.run("dovecot-urlauth", "enable"))
    assert "process_limit = 6" in (server.root / ENABLED).read_text()


def test_removing_what_is_enabled_switches_it_off_first(server: DebianServer, debs: tuple[Path, Path]) -> None:
    good(server.dpkg("--install", debs[0]))
    good(server.run("dovecot-urlauth", "enable", "--host", "imap.example.test"))
    own = server.root / OWN
    own.write_text(f"service imap-urlauth {{\n  executable = {EXECUTABLES}imap-urlauth\n}}\n")

    refused = server.dpkg("--remove", "dovecot-urlauth")
    assert refused.returncode == 1
    assert "/etc/dovecot/conf.d/99-own.conf:2: executable = " in refused.stderr
    assert "not removed, since Dovecot would not start" in refused.stderr
    assert server.run(f"{EXECUTABLES}imap-urlauth", "-?").stderr.endswith("Unknown argument: -?\n")

    own.unlink()
    good(server.run("dovecot-urlauth", "enable"))
    assert "90-urlauth.conf is removed" in good(server.dpkg("--remove", "dovecot-urlauth"))
    assert EXECUTABLES not in good(server.run("doveconf", "-n"))
    assert not (server.root / "usr/lib/dovecot-urlauth").exists()


def test_a_damaged_library_can_be_removed(server: DebianServer, debs: tuple[Path, Path]) -> None:
    good(server.dpkg("--install", debs[0]))
    good(server.run("dovecot-urlauth", "enable", "--host", "imap.example.test"))
    shutil.rmtree(server.root / BYTE_CODE)
    (server.root / "usr/lib/dovecot-urlauth/dovecot_urlauth/admin/main.py").write_text("not python at all\n")
    good(server.dpkg("--purge", "dovecot-urlauth"))
    assert not (server.root / ENABLED).exists()
    assert not (server.root / "usr/lib/dovecot-urlauth").exists()


def test_another_python3_gets_its_byte_code(server: DebianServer, debs: tuple[Path, Path]) -> None:
    good(server.dpkg("--install", debs[0]))
    made = sorted(path.name for path in (server.root / BYTE_CODE).iterdir())
    assert len(made) == 2
    for name in made:
        (server.root / BYTE_CODE / name).rename(server.root / BYTE_CODE / name.replace("cpython-3", "cpython-2"))
    database = f"--admindir={server.root}/var/lib/dpkg"
    command = ["dpkg-trigger", database, "--by-package=python3", "/usr/bin/python3"]
    subprocess.run(command, check=True)  # as dpkg does when it unpacks another python3-minimal
    good(server.dpkg("--configure", "--pending"))
    assert sorted(path.name for path in (server.root / BYTE_CODE).iterdir()) == made


@pytest.mark.skipif(not {"bookworm", "trixie"} <= WANTED, reason="needs both Debians")
def test_from_debian_12_to_13(debs: tuple[Path, Path]) -> None:
    """What enable wrote in 2.3's language keeps 2.4 from starting; disable helps, and old URLs are honoured."""
    with laid_out("bookworm") as old:
        good(old.dpkg("--install", debs[0]))
        good(old.run("dovecot-urlauth", "enable", "--host", "imap.example.test"))
        assert wait_for(lambda: works(old), 60)
        url = good(old.run("dovecot-urlauth", "share", "alice", "INBOX", "1", "--for", "bob")).strip()
        with laid_out("trixie", mail_of=old) as new:
            good(new.dpkg("--install", debs[0]))
            shutil.copy(old.root / ENABLED, new.root / ENABLED)
            assert new.run("doveconf", "-n").returncode != 0
            said = good(new.run("dovecot-urlauth", "disable"))
            assert "cannot be read; what 'enable' wrote is removed all the same" in said
            good(new.run("dovecot-urlauth", "enable", "--host", "imap.example.test"))
            assert wait_for(lambda: works(new), 60)
            assert "This URL is honoured." in good(new.run("dovecot-urlauth", "test", url))
            assert good(new.run("dovecot-urlauth", "fetch", "--as", "bob", url)) == MESSAGE
