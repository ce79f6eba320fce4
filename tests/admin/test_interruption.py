"""Signals that end a program while it has something to put away."""

from __future__ import annotations

import os
import signal

import pytest

from dovecot_urlauth.admin.interruption import ENDING, Interrupted, interruptible


def work(number: signal.Signals, done: list[str]) -> None:
    with interruptible():
        try:
            os.kill(os.getpid(), number)
            done.append("never")
        finally:
            for later in ENDING:
                os.kill(os.getpid(), later)
            done.append("put away")


@pytest.mark.parametrize("number", ENDING)
def test_the_first_one_counts(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in ENDING]
    done: list[str] = []
    with pytest.raises(Interrupted) as interrupted:
        work(number, done)
    assert done == ["put away"]
    assert interrupted.value.status == 128 + number
    assert [signal.getsignal(each) for each in ENDING] == before


def test_nothing_comes() -> None:
    with interruptible():
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
