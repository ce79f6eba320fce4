"""A child's end, however it comes: one line at most, and never a way back into the parent's frames."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from dovecot_urlauth.service.forking import fork
from dovecot_urlauth.service.log import Log
from dovecot_urlauth.service.run import EXIT_FATAL
from tests.worker.parent.children import Lines


class Written(Lines):
    """Writes each line to a pipe that the parent reads."""

    def __init__(self) -> None:
        super().__init__()
        self.reader, self.writer = os.pipe()

    def write(self, severity: object, text: str, prefix: str) -> None:
        os.write(self.writer, text.encode() + b"\n")

    def read(self) -> list[bytes]:
        os.close(self.writer)
        with os.fdopen(self.reader, "rb") as end:
            return end.read().splitlines()


class Unwritable(Written):
    def write(self, severity: object, text: str, prefix: str) -> None:
        raise MemoryError


def fail(error: BaseException) -> Callable[[], int]:
    def live() -> int:
        raise error

    return live


@pytest.mark.parametrize(
    ("live", "pipe", "status", "line"),
    [
        (lambda: 0, Written, 0, None),
        (lambda: 7, Written, 7, None),
        (fail(MemoryError()), Written, EXIT_FATAL, b"Unexpected MemoryError"),
        (fail(KeyboardInterrupt()), Written, EXIT_FATAL, b"Unexpected KeyboardInterrupt"),
        (fail(SystemExit(3)), Written, EXIT_FATAL, b"Unexpected SystemExit"),
        (fail(MemoryError()), Unwritable, EXIT_FATAL, None),
    ],
    ids=["well", "a status", "no memory", "an interrupt", "an exit", "no memory for the line"],
)
def test_the_end_of_a_child(
    live: Callable[[], int],
    pipe: type[Written],
    status: int,
    line: bytes | None,
    capfd: pytest.CaptureFixture[str],
) -> None:
    log = pipe()
    pid = fork(live, Log("", log))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status
    lines = log.read()
    assert [text.startswith(line or b"") for text in lines] == ([] if line is None else [True])
    assert capfd.readouterr() == ("", "")


class Exited(BaseException):
    """In place of the end of the process."""


@pytest.mark.parametrize(("live", "status"), [(lambda: 7, 7), (fail(MemoryError()), EXIT_FATAL)])
def test_a_child_never_leaves_by_the_way_it_came(
    monkeypatch: pytest.MonkeyPatch, live: Callable[[], int], status: int
) -> None:
    exited: list[int] = []

    def leave(status: int) -> None:
        exited.append(status)
        raise Exited

    monkeypatch.setattr(os, "fork", lambda: 0)
    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(Exited):
        fork(live, Log("", Lines()))
    assert exited == [status]
