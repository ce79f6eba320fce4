"""What process titles tell, and what is made of it."""

from __future__ import annotations

import pytest

from dovecot_urlauth.admin.check_services import SERVICES
from dovecot_urlauth.admin.monitor.sample import Running, Sample, State, read_title, take_sample
from dovecot_urlauth.admin.monitor.view import render, span
from dovecot_urlauth.admin.processes import Process

LOGIN, BROKER, WORKER = SERVICES


@pytest.mark.parametrize(
    ("service", "title", "expected"),
    [
        (LOGIN, "dovecot/imap-urlauth-login", (State.IDLE, 0, None)),
        (LOGIN, "dovecot/imap-urlauth-login [pre-login]", (State.BUSY, 1, None)),
        (LOGIN, "dovecot/imap-urlauth-login [3 pre-login]", (State.BUSY, 3, None)),
        (LOGIN, "dovecot/imap-urlauth-login [2 pre-login + 0 proxies]", (State.BUSY, 2, None)),
        (BROKER, "dovecot/imap-urlauth", (State.UNKNOWN, None, None)),
        (BROKER, "dovecot/imap-urlauth [idling]", (State.IDLE, 0, None)),
        (BROKER, "dovecot/imap-urlauth [bob]", (State.BUSY, 1, None)),
        (BROKER, "dovecot/imap-urlauth [12 connections]", (State.BUSY, 12, None)),
        (WORKER, "dovecot/imap-urlauth-worker [spare]", (State.SPARE, 0, None)),
        (WORKER, "dovecot/imap-urlauth-worker [bob->alice]", (State.BUSY, 1, "alice")),
        (WORKER, "dovecot/imap-urlauth-worker [4 connections->alice]", (State.BUSY, 4, "alice")),
        (WORKER, "dovecot/imap-urlauth-worker [idling->alice]", (State.IDLE, 0, "alice")),
    ],
)
def test_titles(service: str, title: str, expected: tuple[State, int | None, str | None]) -> None:
    assert read_title(service, title) == expected


def one(
    service: str, title: str, pid: int, parent: int = 1, *, ours: bool = True, pss: int | None = 1024
) -> Running:
    process = Process(pid, parent, "dovecot", pss, service, f"dovecot/{service} {title}")
    state, sessions, target = read_title(service, process.title)
    return Running(process, state, sessions, target, ours, 90.0, 4096)


SAMPLE = Sample(
    0.0,
    (
        one(LOGIN, "[pre-login]", 10),
        one(BROKER, "[5 connections]", 20, ours=False),
        one(WORKER, "[5 connections]", 30),
        one(WORKER, "[2 connections->alice]", 31, 30),
        one(WORKER, "[bob->carol]", 32, 30),
        one(WORKER, "[idling->dora]", 33, 30),
        one(WORKER, "[spare]", 34, 30),
    ),
)


def test_a_parent_is_not_counted_with_its_children() -> None:
    assert [SAMPLE.sessions(service) for service in SERVICES] == [1, 5, 3]


def test_whose_mail_is_being_read() -> None:
    assert SAMPLE.targets() == {"alice", "carol"}


def test_memory_that_may_not_be_read_is_not_guessed() -> None:
    unreadable = Sample(0.0, (*SAMPLE.running, one(WORKER, "[spare]", 35, 30, pss=None)))
    assert SAMPLE.memory(WORKER) == 5 * 1024
    assert unreadable.memory(WORKER) is None


def test_processes_of_dovecot_are_pointed_out() -> None:
    assert SAMPLE.warnings() == ["imap-urlauth: 1 of 1 processes are Dovecot's own"]


def test_the_view() -> None:
    lines = list(render(SAMPLE, SAMPLE.warnings()))
    assert lines[4].split() == [WORKER, "5", "3", "0.0", "MB", "3", "busy,", "1", "idle,", "1", "spare"]
    assert lines[5] == "mail being read: alice, carol"
    assert lines[-1] == "warning: imap-urlauth: 1 of 1 processes are Dovecot's own"


def test_whose_mail_is_read_is_not_known_where_no_title_tells() -> None:
    untold = Sample(0.0, (one(WORKER, "", 30), one(WORKER, "", 31, 30)))
    assert untold.targets() is None
    assert list(render(untold, ()))[5] == "mail being read: unknown (verbose_proctitle = no)"
    assert Sample(0.0, (*untold.running, one(WORKER, "[spare]", 34, 30))).targets() == set()


def test_nothing_runs() -> None:
    lines = list(render(Sample(0.0, ()), ()))
    assert [line.split()[-2:] for line in lines[2:5]] == [["not", "running"]] * 3
    assert lines[5] == "mail being read: none"


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0s"), (59.9, "59s"), (60, "1m"), (7200, "2h"), (1e6, "11d")])
def test_spans(seconds: float, shown: str) -> None:
    assert span(seconds) == shown


def test_a_real_look() -> None:
    assert take_sample(None).taken > 0
