"""A loop that does not turn: in Python, in the kernel, in C; and one that does, or rests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dovecot_urlauth.service.run import EXIT_FATAL
from dovecot_urlauth.service.watchdog import Watchdog

CHECKOUT = Path(__file__).resolve().parents[2]
LIMIT = 0.4

PROGRAM = f"""
import os, sys
sys.path.insert(0, {str(CHECKOUT)!r})
from dovecot_urlauth.service.log import Log, LogPipe
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.service.watchdog import Watchdog

loop = Loop()

def hang():
    {{hang}}

async def serve():
    {{serve}}

with Watchdog(loop, Log("a: ", LogPipe(to_master={{to_master}})), {LIMIT}):
    loop.run(serve())
"""


def run(serve: str = "hang()", hang: str = "", to_master: bool = False) -> subprocess.CompletedProcess[str]:
    code = PROGRAM.format(serve=serve, hang=hang or "return", to_master=to_master)
    return subprocess.run([sys.executable, "-IB", "-c", code], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "hang",
    ["while True: len('')", "os.read(os.pipe()[0], 1)"],
    ids=["computes", "waits for something"],
)
def test_who_hangs_is_ended_and_named(hang: str) -> None:
    done = run(hang=hang)
    assert done.returncode == EXIT_FATAL
    [line] = done.stderr.splitlines()
    said = f"a: Fatal: Has served nobody for {LIMIT:g} seconds: hangs at <string>:"
    assert line.startswith(said)
    assert " (hang) < <string>:" in line
    assert " (serve) < " in line


def test_what_computes_in_c_is_ended_by_the_kernel() -> None:
    assert run(hang="sum(range(10 ** 15))").returncode == -signal.SIGPROF


def test_a_log_that_takes_nothing_does_not_keep_it() -> None:
    """Both ends of the log's pipe are ours, and it is full."""
    full = (
        "r, w = os.pipe(); os.set_blocking(w, False); os.dup2(w, 2)\n"
        "    try:\n        while True: os.write(2, bytes(4096))\n    except BlockingIOError: os.read(r, 0)\n"
        "    os.read(os.pipe()[0], 1)"
    )
    assert run(hang=full, to_master=True).returncode == EXIT_FATAL


@pytest.mark.parametrize(
    "serve",
    [
        f"await loop.sleep({4 * LIMIT})",
        f"end = loop.now() + {4 * LIMIT}\n    while loop.now() < end: await loop.turn()",
        f"end = loop.now() + {4 * LIMIT}\n    while loop.now() < end: await loop.sleep(0.001)",
    ],
    ids=["rests", "computes and gives turns", "waits often"],
)
def test_who_turns_or_rests_is_left_alone(serve: str) -> None:
    done = run(serve=serve)
    assert (done.returncode, done.stderr) == (0, "")


class Loop:
    """A loop whose turns the test counts."""

    def __init__(self) -> None:
        self.turns = 7
        self.is_resting = False


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def fatal(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    statuses: list[int] = []
    monkeypatch.setattr(os, "_exit", statuses.append)
    return statuses


def look(watchdog: Watchdog) -> None:
    os.kill(os.getpid(), signal.SIGALRM)


def test_it_takes_three_looks_at_the_same_turn(ended: list[int]) -> None:
    loop, log = Loop(), Log()
    watchdog = Watchdog(loop, log, 100.0)  # type: ignore[arg-type]
    with watchdog:
        for _ in range(3):  # an end of rest is no turn
            loop.is_resting = True
            look(watchdog)
            loop.is_resting = False
            look(watchdog)
            look(watchdog)
        assert ended == []
        loop.turns += 1
        look(watchdog)
        look(watchdog)
        assert ended == []
        look(watchdog)
        assert ended == [EXIT_FATAL]
        [line] = log.lines
        assert line.startswith("Has served nobody for 100 seconds: hangs at ")
        look(watchdog)
        assert ended == [EXIT_FATAL] * 2
        assert len(log.lines) == 1


def test_behind_it_nobody_looks(ended: list[int]) -> None:
    with Watchdog(Loop(), Log(), 100.0):  # type: ignore[arg-type]
        assert signal.getitimer(signal.ITIMER_REAL)[1] == 50.0
        assert signal.getitimer(signal.ITIMER_PROF)[0] > 100.0
    assert signal.getitimer(signal.ITIMER_REAL) == signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_IGN
