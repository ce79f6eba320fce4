"""What enable and disable refuse, and what they say of a Dovecot that does not do what they ask."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.admin.doveconf import Block, Configuration, DoveconfError
from dovecot_urlauth.admin.switch import command, reload
from tests.admin.live.stand_ins import program
from tests.admin.switch.scene import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.admin.switch.scene import Scene


@pytest.mark.parametrize("harm", ["gone", "not executable", "damaged"])
def test_executables_that_do_not_start_are_not_given_to_dovecot(
    scene: Scene, capsys: pytest.CaptureFixture[str], harm: str
) -> None:
    executable = scene.prefix / "imap-urlauth"
    if harm == "gone":
        executable.unlink()
    elif harm == "not executable":
        executable.chmod(0o644)
    else:
        program(executable, "#!/bin/sh\necho 'Fatal: No module named x' >&2\nexit 1\n")
    assert run("enable") == 1
    assert f"{executable} does not start: " in capsys.readouterr().err
    assert not scene.file.exists()


def test_it_is_not_said_that_a_stopped_dovecot_runs_anything(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("enable") == 0
    assert f"Dovecot is not running: it will use the executables of {scene.prefix}" in capsys.readouterr().out
    assert run("disable") == 0
    assert "Dovecot is not running: it will use its own executables" in capsys.readouterr().out


@pytest.mark.parametrize(("pipes", "taken"), [("abcd", False), ("abxy", False), ("axyz", True), ("", False)])
def test_a_reload_that_dovecot_does_not_take(
    scene: Scene, capsys: pytest.CaptureFixture[str], pipes: str, taken: bool
) -> None:
    scene.start()
    scene.pipes[1] = frozenset(pipes)
    assert run("enable") == (not taken)
    shown = capsys.readouterr()
    assert scene.file.exists() == taken
    assert ("Dovecot runs the executables" in shown.out) == taken
    assert ("does not take this configuration: its log says why" in shown.err) != taken


def test_an_error_that_dovecot_logs_amid_a_reload(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.start()
    marks = "Nov 27 22:13:5"
    script = f"""#!/bin/sh
cd {scene.base_dir}
case $3 in
  reload) echo '{marks}1 Error: master: Config reload failed: service(x) access(/x) failed' >>errors;;
  log) echo '{marks}0 Error: master: of before'; cat errors 2>/dev/null;;
esac
"""
    program(scene.doveadm, script)
    assert run("enable") == 1
    shown = capsys.readouterr().err
    assert "does not take this configuration: Config reload failed: service(x)" in shown
    assert not scene.file.exists()


def test_a_reload_whose_outcome_cannot_be_seen(scene: Scene) -> None:
    scene.start()
    scene.pipes = [frozenset()]
    assert run("enable") == 0


def test_the_pipes_of_a_process() -> None:
    first, second = os.pipe()
    try:
        assert os.readlink(f"/proc/self/fd/{first}") in reload.pipes_of(os.getpid())
        assert all(name.startswith("pipe:") for name in reload.pipes_of(os.getpid()))
    finally:
        os.close(first)
        os.close(second)
    assert reload.pipes_of(2**22 + 1) == frozenset()


def test_a_file_that_is_not_there_is_no_configuration(
    scene: Scene, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("enable") == 0
    assert run("disable", "-c", str(scene.file.parent.parent / "dovcot.conf")) == 1
    shown = capsys.readouterr()
    assert "dovcot.conf: there is no such file" in shown.err
    assert "nothing to disable" not in shown.out
    assert scene.file.exists()


def test_what_dovecot_runs_is_not_said_of_an_unreadable_configuration(
    scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str | None) -> Configuration:
        raise DoveconfError("doveconf: Fatal: No matches")

    monkeypatch.setattr(command, "read_configuration", refuse)
    assert run("disable", "-c", str(scene.configuration)) == 0
    shown = capsys.readouterr().out
    assert "nothing to disable: 'enable' has written no file here, and none names" in shown
    assert "what Dovecot runs is not known" in shown
    assert "runs its own" not in shown


@pytest.mark.parametrize("host", ["", "http://x/", "a b", "a\nmail_debug = yes", "*", "-", "[::1]"])
def test_what_is_no_host(scene: Scene, capsys: pytest.CaptureFixture[str], host: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run("enable", "--host", host)
    assert ended.value.code == 2
    assert "is no host" in capsys.readouterr().err
    assert not scene.file.exists()


def test_a_host_that_another_file_sets_is_named(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("enable", "--host", "mail.example.test") == 0
    assert "imap_urlauth_host = host: --host mail.example.test is not used" in capsys.readouterr().out
    assert run("enable", "--host", "host") == 0
    assert "not used" not in capsys.readouterr().out


def test_a_changed_host_is_told(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.as_imap = Block()
    assert run("enable", "--host", "old.example.test") == 0
    scene.as_imap = Block({"imap_urlauth_host": "old.example.test"})
    scene.as_imap_after = Block({"imap_urlauth_host": "new.example.test"})
    capsys.readouterr()
    assert run("enable", "--host", "new.example.test") == 0
    shown = capsys.readouterr().out
    assert "imap_urlauth_host was old.example.test: URLs that were signed with it are refused" in shown


def test_a_host_stands_in_the_file_once(scene: Scene) -> None:
    scene.as_imap = Block({}, scene.as_imap.blocks)
    assert run("enable", "--host", "mail.example.test") == 0
    scene.file.write_text(scene.file.read_text().replace("= mail.example.test", "="))
    assert run("enable", "--host", "mail.example.test") == 0
    assert scene.file.read_text().count("imap_urlauth_host") == 1
    assert "imap_urlauth_host = mail.example.test\n" in scene.file.read_text()


def test_the_file_says_where_to_change_it_and_a_change_in_it_is_told(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("enable") == 0
    text = scene.file.read_text()
    source = scene.prefix / "share/dovecot-urlauth/conf.d/2.4/90-urlauth.conf"
    assert text.splitlines()[1] == f"# To change a limit or an option, change it in {source}"
    scene.file.write_text(text.replace("client_limit = 1000", "client_limit = 77"))
    capsys.readouterr()
    assert run("enable") == 0
    assert f"these lines of {scene.file} are gone:\n  client_limit = 77\n" in capsys.readouterr().out
    assert scene.file.read_text() == text
    assert run("enable") == 0
    assert "are gone" not in capsys.readouterr().out


def test_nothing_stays_of_what_cannot_be_written(
    scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert run("enable") == 1
    assert "cannot be written: No space left" in capsys.readouterr().err
    assert list(scene.file.parent.iterdir()) == []
