"""enable and disable step by step; doveconf is a stand-in, tests/dovecot has the real one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.admin.doveconf import Block
from dovecot_urlauth.admin.switch import snippet
from dovecot_urlauth.admin.switch.snippet import HEADING
from tests.admin.live.stand_ins import program
from tests.admin.switch.scene import run

if TYPE_CHECKING:
    from tests.admin.switch.scene import Scene


def test_there_and_back(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("enable", "--dry-run") == 0
    assert "+  client_limit = 1000" in capsys.readouterr().out
    assert not scene.file.exists()
    assert run("enable") == 0
    assert scene.file.read_text().startswith(HEADING)
    assert "how to include" not in scene.file.read_text()
    assert run("enable", "--executables-only") == 0
    assert "client_limit" not in scene.file.read_text()
    assert run("disable", "--dry-run") == 0
    assert scene.file.exists()
    assert run("disable") == 0
    assert not scene.file.exists()
    assert run("disable") == 0
    assert "nothing to disable: Dovecot's configuration names none of" in capsys.readouterr().out


def test_a_failure_restores_what_was_there(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.broken = "doveconf: Fatal: Error in configuration file"
    assert run("enable") == 1
    assert not scene.file.exists()
    scene.file.write_text("# another's\n")
    assert run("enable") == 1
    assert scene.file.read_text() == "# another's\n"
    assert "Error in configuration file" in capsys.readouterr().err


def test_a_file_that_is_not_included(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.included = False
    assert run("enable") == 1
    assert "still runs /usr/lib/dovecot/imap-urlauth-login" in capsys.readouterr().err
    assert not scene.file.exists()


def test_another_ones_file_stays(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"# another's\nservice x {{\n  executable = {scene.prefix}/libexec/dovecot-urlauth/imap-urlauth\n}}\n"
    scene.file.write_text(text)
    assert run("disable") == 1
    assert f"remove them yourself\n  {scene.file}:3: executable = " in capsys.readouterr().err
    assert run("enable") == 1
    assert "was not written by 'enable'" in capsys.readouterr().err
    assert scene.file.read_text() == text


def test_another_ones_file_that_does_not_name_us_is_no_matter(scene: Scene) -> None:
    scene.file.write_text("service imap-urlauth {\n  client_limit = 1\n}\n")
    assert run("disable") == 0
    assert scene.file.exists()


def test_what_others_wrote_is_told_after_our_file_is_gone(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("enable") == 0
    (scene.file.parent.parent / "local.conf").write_text(
        f"!include {scene.prefix}/share/dovecot-urlauth/conf.d/x\n"
    )
    assert run("disable") == 1
    assert not scene.file.exists()
    assert f"{scene.file} is removed, but lines that 'enable' did not write" in capsys.readouterr().err


def test_a_configuration_that_cannot_be_read_lets_our_file_go(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("enable") == 0
    scene.broken = "doveconf: Fatal: Error in configuration file"
    assert run("disable", "-c", str(scene.file.parent.parent / "dovecot.conf")) == 0
    assert not scene.file.exists()
    shown = capsys.readouterr().out
    assert "cannot be read; what 'enable' wrote is removed all the same" in shown
    assert "no file beside" in shown
    assert "runs its own" not in shown


def test_a_folder_that_is_not_there(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.file.parent.rmdir()
    assert run("enable") == 1
    assert "cannot be written: No such file" in capsys.readouterr().err


def test_a_running_dovecot_is_told_and_its_no_is_heard(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.start()
    assert run("enable") == 0
    program(scene.doveadm, "#!/bin/sh\necho no such process >&2\nexit 75\n")
    assert run("disable") == 1
    assert scene.file.exists()
    assert "doveadm reload: no such process" in capsys.readouterr().err


@pytest.mark.parametrize("version", ["2.3.19.1", "2.4.1"])
def test_missing_settings(scene: Scene, capsys: pytest.CaptureFixture[str], version: str) -> None:
    scene.version, scene.as_imap = version, Block()
    assert run("enable") == 0
    shown = capsys.readouterr().out
    assert "imap_urlauth_host is not set" in shown
    assert "nowhere to keep a key" in shown
    assert "imap_urlauth_host" not in scene.file.read_text()
    assert run("enable", "--host", "mail.example.test") == 0
    text = scene.file.read_text()
    assert "imap_urlauth_host = mail.example.test\n" in text
    assert "dovecot-attributes" in text
    assert ("imap_capability" in text) == (version == "2.4.1")


def test_settings_that_enable_wrote_stay_when_it_is_run_again(scene: Scene) -> None:
    configured, scene.as_imap = scene.as_imap, Block()
    assert run("enable", "--host", "mail.example.test") == 0
    scene.as_imap = replace(configured, blocks=configured.blocks | {"imap_capability": Block({"URLAUTH": "yes"})})
    text = scene.file.read_text()
    assert run("enable") == 0
    assert scene.file.read_text() == text
    assert run("enable", "--host", "other.example.test", "--executables-only") == 0
    assert "imap_urlauth_host = other.example.test\n" in scene.file.read_text()
    assert scene.file.read_text().count("imap_urlauth_host") == 1
    assert "dovecot-attributes" in scene.file.read_text()


def test_settings_that_are_there_stay(scene: Scene) -> None:
    capability = {"imap_capability": Block({"URLAUTH": "yes"})}
    scene.as_imap = replace(scene.as_imap, blocks=scene.as_imap.blocks | capability)
    assert run("enable", "--host", "mail.example.test") == 0
    text = scene.file.read_text()
    assert "mail.example.test" not in text
    assert "dict" not in text
    assert "imap_capability" not in text


@pytest.mark.parametrize(
    ("users", "runs", "complaint"),
    [
        ('{"alice": {"uid": "1", "gid": "1"}}', True, "alice has no home"),
        ("{}", True, "the userdb lists no user, so whether users have a home is not known: set the attribute "),
        ("{}", False, "Dovecot does not run, so whether users have a home is not known: start it, or set the "),
    ],
)
def test_no_dictionary_below_a_home_that_may_not_be_there(
    scene: Scene, capsys: pytest.CaptureFixture[str], users: str, runs: bool, complaint: str
) -> None:
    scene.as_imap = Block()
    scene.users.write_text(users)
    if runs:
        scene.start()
    assert run("enable", "--host", "mail.example.test") == 1
    assert complaint in capsys.readouterr().err
    assert not scene.file.exists()


def test_a_checkout_is_no_installation() -> None:
    with pytest.raises(snippet.SwitchFailure, match="make install"):
        snippet.installation()
