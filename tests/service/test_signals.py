"""Signals with their sender, and the C calls that make it possible."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from dovecot_urlauth.service.libc import PR_GET_NO_NEW_PRIVS, PR_SET_NO_NEW_PRIVS, prctl
from dovecot_urlauth.service.signals import SIGTERM, SignalReader, restore
from tests.service.test_privileges import in_child


def test_the_sender_is_known() -> None:
    def action() -> Any:
        reader = SignalReader()
        os.kill(os.getpid(), signal.SIGTERM)
        (arrived,) = reader.read()
        return (
            arrived.number,
            arrived.pid == os.getpid(),
            arrived.uid == os.getuid(),
            arrived.code,
            reader.read(),
        )

    assert in_child(action) == (SIGTERM, True, True, "kill", [])


def test_a_child_dies_of_signals_again() -> None:
    def action() -> Any:
        restore(SignalReader())
        pid = os.fork()
        if pid == 0:
            time.sleep(30)
            os._exit(0)
        os.kill(pid, signal.SIGTERM)
        return os.WTERMSIG(os.waitpid(pid, 0)[1])

    assert in_child(action) == signal.SIGTERM


def test_prctl() -> None:
    assert in_child(lambda: (prctl(PR_SET_NO_NEW_PRIVS, 1), prctl(PR_GET_NO_NEW_PRIVS))) == (0, 1)


def test_prctl_refuses_an_unknown_option() -> None:
    assert isinstance(in_child(lambda: prctl(99999)), OSError)
