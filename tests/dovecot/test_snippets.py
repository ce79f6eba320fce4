"""What doveconf says of conf.d's files: nothing."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from testing.instance import DovecotInstance
from testing.versions import ALL_STOCK, PIECES

if TYPE_CHECKING:
    from collections.abc import Callable

    from testing.versions import Version
    from tests.dovecot.conftest import Installations

SNIPPETS = ("90-urlauth.conf", "90-urlauth-executables.conf")


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_doveconf_takes_a_snippet_without_a_word(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version, snippet: str
) -> None:
    ours = installations[version]
    include = f"!include {ours.prefix}/share/dovecot-urlauth/conf.d/{version.language}/{snippet}\n"
    dovecot = starter(DovecotInstance(version, ALL_STOCK, extra=include))
    command = version.command("/usr/bin/doveconf", "-c", dovecot.inside / "dovecot.conf", "-n")
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for name in PIECES:
        assert f"executable = {ours.executables}/{name}\n" in done.stdout
