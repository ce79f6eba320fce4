"""enable and disable on a Dovecot that is laid out as Debian's: dovecot.conf includes conf.d."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from testing.imapclient import ConnectionLost
from testing.instance import HOST, DovecotInstance
from testing.processes import wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import ALL_STOCK, TUNED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testing.executables import Installation
    from tests.dovecot.conftest import Installations, Row

pytestmark = pytest.mark.only(TUNED.name)


@pytest.fixture
def ours(row: Row, installations: Installations) -> Installation:
    return installations[row.version]


@pytest.fixture
def dovecot(row: Row) -> Iterator[DovecotInstance]:
    made = DovecotInstance(row.version, ALL_STOCK, extra="!include_try conf.d/*.conf\n")
    (made.folder / "conf.d").mkdir()
    made.start()
    yield made
    made.stop(check=False)  # it may have been started with Dovecot's own, which leak


@pytest.fixture
def switch(dovecot: DovecotInstance, ours: Installation) -> Callable[..., tuple[int, str, str]]:
    def call(*words: str) -> tuple[int, str, str]:
        name, *rest = words
        command = dovecot.version.command(
            ours.prefix / "bin/dovecot-urlauth", name, "-c", dovecot.inside / "dovecot.conf", *rest
        )
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    return call


def executables(dovecot: DovecotInstance) -> str:
    command = dovecot.version.command("/usr/bin/doveconf", "-c", dovecot.inside / "dovecot.conf", "service")
    return dovecot.output(*command)


def serves(dovecot: DovecotInstance, host: str) -> bool:
    """Whether a message goes from user to user; a reload loses connections that come amid it."""
    try:
        with Scene(dovecot) as scene:
            return scene.user("bob").fetch_url(scene.sign(scene.store(), host=host)) == MESSAGE
    except (ConnectionLost, ConnectionError, AssertionError):  # a login's NO, too
        return False


def test_there_and_back(
    dovecot: DovecotInstance, ours: Installation, switch: Callable[..., tuple[int, str, str]]
) -> None:
    before = executables(dovecot)
    file = dovecot.folder / "conf.d/90-urlauth.conf"
    inside = dovecot.inside / "conf.d/90-urlauth.conf"

    status, shown, _ = switch("enable", "--dry-run")
    assert status == 0
    assert f"+  executable = {ours.executables}/imap-urlauth-worker" in shown.splitlines()
    assert not file.exists()

    assert switch("enable")[0] == 0
    assert file.stat().st_mode & 0o777 == 0o644
    assert executables(dovecot).count(str(ours.executables)) == 3
    assert wait_for(lambda: serves(dovecot, HOST), 20)

    assert switch("enable", "--executables-only")[0] == 0
    assert "client_limit" not in file.read_text()

    assert switch("disable") == (0, f"{inside} is removed: Dovecot runs its own executables again.\n", "")
    assert not file.exists()
    assert executables(dovecot) == before
    assert "nothing to disable" in switch("disable")[1]


def test_what_does_not_parse_is_taken_back(
    dovecot: DovecotInstance, switch: Callable[..., tuple[int, str, str]]
) -> None:
    file = dovecot.folder / "conf.d/90-urlauth.conf"
    file.write_text("# the administrator's own\n")
    (dovecot.folder / "conf.d/91-broken.conf").write_text("no_such_setting = yes\n")
    status, _, complaint = switch("enable")
    assert status == 1
    assert "no_such_setting" in complaint
    assert file.read_text() == "# the administrator's own\n"


def test_executables_that_are_taken_back_behind_it(
    dovecot: DovecotInstance, switch: Callable[..., tuple[int, str, str]]
) -> None:
    (dovecot.folder / "conf.d/95-later.conf").write_text(
        "service imap-urlauth {\n  executable = imap-urlauth\n}\n"
    )
    status, _, complaint = switch("enable")
    assert status == 1
    assert "service imap-urlauth still runs" in complaint
    assert not (dovecot.folder / "conf.d/90-urlauth.conf").exists()


@pytest.mark.in_turns
def test_what_a_running_dovecot_does_not_take_is_taken_back(
    dovecot: DovecotInstance, switch: Callable[..., tuple[int, str, str]]
) -> None:
    """doveconf takes it; the master looks for each executable."""
    own = dovecot.folder / "conf.d/91-own.conf"
    own.write_text("service imap {\n  executable = /nonexistent/imap\n}\n")
    status, shown, complaint = switch("enable")
    assert (status, shown) == (1, "")
    assert "the running Dovecot does not take this configuration: " in complaint
    assert not (dovecot.folder / "conf.d/90-urlauth.conf").exists()
    own.unlink()
    assert switch("enable")[0] == 0


def test_somebody_elses_file_is_left_alone(
    dovecot: DovecotInstance, ours: Installation, switch: Callable[..., tuple[int, str, str]]
) -> None:
    file = dovecot.folder / "conf.d/90-urlauth.conf"
    text = f"service imap-urlauth {{\n  executable = {ours.executables}/imap-urlauth\n}}\n"
    file.write_text(text)
    for command in ("disable", "enable"):
        status, _, complaint = switch(command)
        assert status == 1
        assert "'enable'" in complaint
    assert file.read_text() == text


def test_missing_settings_are_added_with_a_host(
    row: Row, ours: Installation, switch: Callable[..., tuple[int, str, str]], dovecot: DovecotInstance
) -> None:
    main = dovecot.folder / "dovecot.conf"
    text = main.read_text()
    main.write_text("".join(line for line in text.splitlines(keepends=True) if "imap_urlauth_host" not in line))
    status, shown, _ = switch("enable")
    assert status == 0
    assert "imap_urlauth_host is not set" in shown
    status, shown, _ = switch("enable", "--host", "mail.example.test")
    assert status == 0
    assert "not set" not in shown
    assert wait_for(lambda: serves(dovecot, "mail.example.test"), 20)
    for words in ((), ("--host", "other.example.test")):
        assert switch("enable", *words)[0] == 0  # again, and nothing is lost
        host = words[-1] if words else "mail.example.test"
        assert wait_for(lambda host=host: serves(dovecot, host), 20)  # type: ignore[misc]
