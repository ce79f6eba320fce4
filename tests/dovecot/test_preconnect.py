"""Under stock service settings login calls imap-urlauth, and that the worker, before it knows its client.

Whoever has no token must not keep them, nor make them say anything in the log, be they ours or stock.
"""

from __future__ import annotations

import os
import re
import signal
import time
from functools import partial

import pytest

from dovecot_urlauth.login.stage import PRECONNECT_PATIENCE
from testing.instance import DovecotInstance
from testing.processes import wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import PIECES

LOGIN, URLAUTH, WORKER = PIECES
OF_A_USER = re.compile(r"imap-urlauth(\[\d+\])?\(")

pytestmark = pytest.mark.only("ours-ours-ours", "ours-ours-stock", "ours-stock-ours", "ours-stock-stock")


def _called(dovecot: DovecotInstance) -> list[int]:
    return [process.pid for name in (URLAUTH, WORKER) for process in dovecot.processes(name)]


def _has_only(dovecot: DovecotInstance, before: set[int]) -> bool:
    return before.issuperset(_called(dovecot))


def _said(dovecot: DovecotInstance, mark: int) -> list[str]:
    """What the three said but of users: sessions of imap that earlier scenarios left may still be ending."""
    return [line for line in dovecot.log.since(mark) if "imap-urlauth" in line and not OF_A_USER.search(line)]


@pytest.fixture
def dovecot(scene: Scene) -> DovecotInstance:
    """A Dovecot in which nothing of earlier sessions is left but what stock executables leave."""
    wait_for(lambda: not scene.dovecot.processes(LOGIN))
    wait_for(lambda: not _called(scene.dovecot), 2)
    return scene.dovecot


def test_a_silent_client_calls_nobody(dovecot: DovecotInstance) -> None:
    before = set(_called(dovecot))
    mark = dovecot.log.mark()
    with dovecot.connect("imap-urlauth"):
        assert wait_for(lambda: len(dovecot.processes(LOGIN)) == 1)
        time.sleep(1)
        assert not set(_called(dovecot)) - before
    dovecot.log.wait_for("imap-urlauth-login: Info: ", mark)
    assert len(_said(dovecot, mark)) == 1


def test_a_client_that_falls_silent_does_not_keep_the_other_processes(dovecot: DovecotInstance) -> None:
    mark = dovecot.log.mark()
    clients = 0
    while clients < 3:
        clients += 1
        before = set(_called(dovecot))
        with dovecot.connect("imap-urlauth") as client:
            client.sendall(b"V")
            # a stock imap-urlauth that an earlier session left takes the call, too, and one that is just
            # ending may be what master counts on
            if not before and not wait_for(partial(_called, dovecot), PRECONNECT_PATIENCE):
                continue
            assert wait_for(partial(_has_only, dovecot, before), PRECONNECT_PATIENCE + 3)
            assert len(dovecot.processes(LOGIN)) == 1
            break
    else:
        pytest.fail("login called nobody")
    dovecot.log.wait_for("imap-urlauth-login: Info: ", mark)
    dovecot.log.settle()
    assert len(_said(dovecot, mark)) == clients


def test_a_client_that_leaves_takes_the_other_processes_along(dovecot: DovecotInstance) -> None:
    before = set(_called(dovecot))
    mark = dovecot.log.mark()
    for _ in range(5):
        with dovecot.connect("imap-urlauth") as client:
            client.sendall(b"V")
    assert wait_for(lambda: len(_said(dovecot, mark)) == 5)
    assert wait_for(lambda: not dovecot.processes(LOGIN))
    assert wait_for(lambda: not set(_called(dovecot)) - before)
    dovecot.log.settle()
    assert len([line for line in dovecot.log.since(mark) if "imap-urlauth-login: Info: " in line]) == 5
    assert len(_said(dovecot, mark)) == 5


def test_a_client_whom_auth_kept_waiting_is_served_all_the_same(scene: Scene, dovecot: DovecotInstance) -> None:
    url = scene.sign(scene.store())
    bob = scene.user("bob")
    [auth] = dovecot.processes("auth")
    before = set(_called(dovecot))
    os.kill(auth.pid, signal.SIGSTOP)
    try:
        tag = bob.send(b'URLFETCH "%s"' % url)
        time.sleep(PRECONNECT_PATIENCE + 1)
        assert not set(_called(dovecot)) - before
    finally:
        os.kill(auth.pid, signal.SIGCONT)
    assert bob.reply(tag).all(b"URLFETCH") == [[url, MESSAGE]]
