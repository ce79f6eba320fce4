"""Which doveadm is asked: a Dovecot that somebody built stands in /usr/local, and in PATH."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.admin.live import account
from dovecot_urlauth.admin.live.failure import LiveFailure
from tests.admin.live.stand_ins import program

if TYPE_CHECKING:
    from pathlib import Path

SAYS_ITS_NAME = """\
#!/bin/sh
echo "$0 $*"
"""


def test_the_doveadm_in_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = program(tmp_path / "doveadm", SAYS_ITS_NAME)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert account.doveadm("/d.conf", "user", "*").stdout == f"{own} -c /d.conf user *\n"


def test_without_one_in_path_it_is_where_packages_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(account, "DEBIANS", str(program(tmp_path / "elsewhere", SAYS_ITS_NAME)))
    assert account.doveadm("/d.conf", "reload").stdout.endswith("elsewhere -c /d.conf reload\n")


def test_without_any_the_failure_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(account, "DEBIANS", str(tmp_path / "doveadm"))
    with pytest.raises(LiveFailure, match=r"No such file or directory: .*/doveadm"):
        account.doveadm("/d.conf", "reload")
