"""conf.d as an administrator meets it: doveconf's opinion, and swapping in and out of a running Dovecot."""

from __future__ import annotations

import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.dovecot.instance import DovecotInstance
from tests.dovecot.processes import wait_for
from tests.dovecot.scene import Scene
from tests.dovecot.versions import ALL_STOCK, PIECES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dovecot.conftest import Installations
    from tests.dovecot.versions import Version

SNIPPETS = ("90-urlauth.conf", "90-urlauth-executables.conf")


def include(installations: Installations, version: Version, snippet: str) -> str:
    prefix = installations[version].prefix
    return f"\n!include {prefix}/share/dovecot-urlauth/conf.d/{version.language}/{snippet}\n"


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_doveconf_takes_a_snippet_without_a_word(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version, snippet: str
) -> None:
    dovecot = starter(DovecotInstance(version, ALL_STOCK, extra=include(installations, version, snippet)))
    command = version.command("/usr/bin/doveconf", "-c", dovecot.inside / "dovecot.conf", "-n")
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for name in PIECES:
        assert f"executable = {installations[version].executables}/{name}\n" in done.stdout


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_reload_swaps_in_and_out_and_spares_the_session(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version, snippet: str
) -> None:
    dovecot = starter(DovecotInstance(version, ALL_STOCK), "master: Warning: SIGHUP received")
    configuration = dovecot.folder / "dovecot.conf"
    stock = configuration.read_text()
    configuration.write_text(stock + include(installations, version, snippet))
    reload(dovecot)
    with closing(Scene(dovecot)) as scene:
        stored = scene.store()
        scene.works(stored)
        configuration.write_text(stock)
        reload(dovecot)
        scene.works(stored)
    left = [name for name in PIECES if not wait_for(lambda name=name: not dovecot.processes(name))]
    assert not left, "processes of ours outlived their sessions"


def reload(dovecot: DovecotInstance) -> None:
    """Have the configuration read again, and wait until only processes started with it take connections."""
    old = {process.pid for process in dovecot.processes("imap-login")}
    dovecot.doveadm("reload")
    assert wait_for(lambda: dovecot.processes("imap-login") and not old & pids(dovecot))


def pids(dovecot: DovecotInstance) -> set[int]:
    return {process.pid for process in dovecot.processes()}
