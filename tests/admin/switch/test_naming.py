"""Who names an installation: services by doveconf's word, and every line of every file beside dovecot.conf."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dovecot_urlauth.admin.doveconf import Block, Configuration, parse
from dovecot_urlauth.admin.switch.naming import who_names

PREFIX = "/opt/urlauth"


def configuration(text: str) -> Configuration:
    return Configuration("2.4.1", "", parse(text), Block(), Block())


@pytest.mark.parametrize(
    ("executable", "named"),
    [
        (f"{PREFIX}/libexec/dovecot-urlauth/imap-urlauth --audit=yes", True),
        (f"{PREFIX}-2/libexec/dovecot-urlauth/imap-urlauth", False),
        ("/usr/lib/dovecot/imap-urlauth", False),
    ],
)
def test_services(tmp_path: Path, executable: str, named: bool) -> None:
    text = f"service imap-urlauth {{\n  executable = {executable}\n}}\n"
    found = who_names(PREFIX, str(tmp_path / "dovecot.conf"), configuration(text))
    assert found == ([f"service imap-urlauth runs {executable}"] if named else [])


@pytest.mark.parametrize("prefix", [PREFIX, f"{PREFIX}/"])
def test_lines_of_files_that_may_not_parse(tmp_path: Path, prefix: str) -> None:
    (tmp_path / "dovecot.conf").write_text(
        f"#!include {PREFIX}/share/dovecot-urlauth/x\n!include {PREFIX}/lib/x\n"
    )
    (tmp_path / "conf.d").mkdir()
    include = f"!include {PREFIX}/share/dovecot-urlauth/conf.d/2.4/90-urlauth.conf"
    (tmp_path / "conf.d/local.conf.ext").write_bytes(b"\xff\n\n " + include.encode() + b"  # ours\n")
    (tmp_path / "conf.d/a.conf").mkdir()
    os.mkfifo(tmp_path / "conf.d/pipe.conf")
    (tmp_path / "dovecot.conf.binary").write_text(f"{PREFIX}/libexec/dovecot-urlauth/imap-urlauth\0\n")
    found = who_names(prefix, str(tmp_path / "dovecot.conf"), None)
    assert found == [f"{tmp_path}/conf.d/local.conf.ext:3: {include}"]


def test_a_folder_that_goes_away_amid_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1/gone").mkdir(parents=True)
    (tmp_path / "2").mkdir()
    (tmp_path / "2/local.conf").write_text(f"!include {PREFIX}/share/dovecot-urlauth/x\n")
    scandir = os.scandir

    def look(path: str) -> object:
        if os.fspath(path).endswith("gone"):
            raise FileNotFoundError(2, "No such file or directory", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", look)
    assert len(who_names(PREFIX, str(tmp_path / "dovecot.conf"), None)) == 1


def test_the_kernels_folders_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    folders = ["etc", "proc", "sys", "dev"]
    monkeypatch.setattr(os, "walk", lambda folder: iter([("/", folders, [])]))
    assert who_names(PREFIX, "/dovecot.conf", None) == []
    assert folders == ["etc"]
