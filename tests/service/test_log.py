"""The log writes what it is told as one readable record each, to master or to stderr."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

import pytest

from dovecot_urlauth.service import log as module
from dovecot_urlauth.service.log import EXIT_WRITE_FAILED, Log, LogPipe

FORGED = "user=<eve\n\x01\x026221 Logged in: user=<root>>\udcff\0\t\x1b"
CLEANED = "user=<eve???6221 Logged in: user=<root>>????"


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The reading end of what the log writes to."""
    reader, writer = os.pipe()
    monkeypatch.setattr(module, "LOG_FD", writer)
    yield reader
    os.close(reader)
    os.close(writer)


def records(pipe: int) -> list[bytes]:
    return os.read(pipe, 1 << 16).splitlines(keepends=True)


def test_a_user_name_cannot_forge_a_line(pipe: int) -> None:
    Log("login: ", LogPipe(to_master=True)).info(FORGED)
    pid = os.getpid()
    assert records(pipe) == [
        b"\x01\x08%d prefix=login: \n" % pid,
        b"\x01\x02%d %s\n" % (pid, CLEANED.encode()),
    ]


def test_nor_can_a_prefix(pipe: int) -> None:
    Log("worker(e\nve): ", LogPipe(to_master=True)).error("x")
    assert records(pipe)[0] == b"\x01\x08%d prefix=worker(e?ve): \n" % os.getpid()


def test_alone_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    Log("w\x1borker: ", LogPipe(to_master=False)).fatal(FORGED)
    assert capsys.readouterr().err == f"w?orker: Fatal: {CLEANED}\n"


def test_each_severity_and_each_prefix(pipe: int) -> None:
    log = Log("a: ", LogPipe(to_master=True))
    log.debug("unheard")
    log.pipe.debugging = True
    log.debug("d")
    log.info("i")
    other = log.with_prefix("b: ")
    other.warning("w")
    other.error("e")
    other.forked()
    other.fatal("f")
    seen = [(record[1], record.partition(b" ")[2].rstrip()) for record in records(pipe)]
    assert seen == [
        (8, b"prefix=a:"), (1, b"d"), (2, b"i"), (8, b"prefix=b:"), (3, b"w"), (4, b"e"),
        (8, b"prefix=b:"), (5, b"f"),
    ]  # fmt: skip


def test_a_full_pipe_is_waited_for(pipe: int) -> None:
    os.set_blocking(module.LOG_FD, False)
    log = Log("", LogPipe(to_master=True))
    log.pipe.sent_prefix = ""
    while True:
        try:
            os.write(module.LOG_FD, b"x" * 4096)
        except BlockingIOError:
            break
    reading = threading.Timer(0.05, lambda: os.read(pipe, 1 << 20))
    reading.start()
    log.info("late")
    reading.join()
    assert os.read(pipe, 1 << 16).endswith(b"late\n")


def test_a_master_that_is_gone_hears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(module, "LOG_FD", writer)
    Log("", LogPipe(to_master=True)).info("x")
    os.close(writer)


def test_a_log_that_fails_ends_the_process_unless_master_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOG_FD", 999_999)
    log = Log("", LogPipe(to_master=True))
    monkeypatch.setattr(os, "_exit", lambda status: sys.exit(status))
    with pytest.raises(SystemExit) as left:
        log.info("x")
    assert left.value.code == EXIT_WRITE_FAILED
    log.pipe.master_gone = True
    log.info("x")
