"""Running doveconf, whose place a script takes here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dovecot_urlauth.config.run_doveconf import dump_file
from dovecot_urlauth.config.settings import SettingsError


def doveconf(folder: Path, script: str) -> None:
    program = folder / "doveconf"
    program.write_text(f"#!/bin/bash\n{script}\n")
    program.chmod(0o755)


@pytest.mark.parametrize("number", [3, 9, 10, 17])
def test_the_parsed_file_is_copied_from_any_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "parsed").write_bytes(b"DOVECOT-CONFIG\0\n\t1")
    doveconf(
        tmp_path,
        f'[ "$1 $2 $3" = "-c /etc/a.conf -F" ] || exit 9\n'
        f'export DOVECOT_CONFIG_FD={number}\nshift 3\nexec "$@" {number}<"{tmp_path}/parsed"',
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    fd = dump_file(b"/etc/a.conf")
    try:
        assert os.pread(fd, 100, 0) == b"DOVECOT-CONFIG\0\n\t1"
    finally:
        os.close(fd)


def test_what_doveconf_complains_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doveconf(tmp_path, "echo 'Error: line 7' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(SettingsError, match="line 7"):
        dump_file(b"/etc/a.conf")
    assert len(os.listdir("/proc/self/fd")) == before
