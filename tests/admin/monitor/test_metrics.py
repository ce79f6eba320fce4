"""The numbers of one sample, as Prometheus gets them; and the view that goes on until it is interrupted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from dovecot_urlauth.admin.doveconf import Configuration, parse
from dovecot_urlauth.admin.master import MasterUnknown, NoMaster
from dovecot_urlauth.admin.monitor import view, watched
from dovecot_urlauth.admin.monitor.metrics import ProcessCollector
from dovecot_urlauth.admin.monitor.sample import Sample
from dovecot_urlauth.admin.monitor.watched import Watched
from tests.admin.monitor.test_sample import SAMPLE, one

if TYPE_CHECKING:
    from collections.abc import Callable


def page(
    monkeypatch: pytest.MonkeyPatch,
    look: Callable[[str | None], Sample],
    configuration: Configuration | None = None,
) -> list[str]:
    monkeypatch.setattr(watched, "take_sample", look)
    registry = CollectorRegistry()
    registry.register(ProcessCollector(Watched(None, configuration)))
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_every_number(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = page(monkeypatch, lambda base_dir: SAMPLE)
    assert "dovecot_urlauth_up 1.0" in lines
    assert 'dovecot_urlauth_sessions{service="imap-urlauth-worker"} 3.0' in lines
    assert (
        'dovecot_urlauth_processes{program="dovecot-urlauth",service="imap-urlauth-worker",state="busy"} 3.0'
        in lines
    )
    assert 'dovecot_urlauth_processes{program="dovecot",service="imap-urlauth",state="busy"} 1.0' in lines
    assert "dovecot_urlauth_targets 2.0" in lines
    assert 'dovecot_urlauth_pss_bytes{service="imap-urlauth-worker"} 5120.0' in lines
    assert 'dovecot_urlauth_oldest_process_seconds{service="imap-urlauth"} 90.0' in lines


def test_a_start_is_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for taken in (1000.0, 1000.4):
        sample = replace(SAMPLE, taken=taken)
        lines = page(monkeypatch, lambda base_dir, sample=sample: sample)  # type: ignore[misc]
        assert 'dovecot_urlauth_start_time_seconds{service="imap-urlauth"} 910.0' in lines


def test_what_the_configuration_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "libexec_dir = /nowhere\ndefault_process_limit = 100\ndefault_client_limit = 1000\n"
        "service imap-urlauth {\n  process_limit = 5\n  client_limit = 200\n}\n"
    )
    configuration = Configuration("2.4.1", "/x", parse(text), parse(""), parse(""))
    lines = page(monkeypatch, lambda base_dir: SAMPLE, configuration)
    assert 'dovecot_urlauth_process_limit{service="imap-urlauth"} 5.0' in lines
    assert 'dovecot_urlauth_session_limit{service="imap-urlauth"} 1000.0' in lines
    assert 'dovecot_urlauth_session_limit{service="imap-urlauth-worker"} 100000.0' in lines
    assert "dovecot_urlauth_warnings 0.0" in lines


def test_foreign_processes_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = page(monkeypatch, lambda base_dir: SAMPLE)
    assert "dovecot_urlauth_warnings 1.0" in lines
    assert not [line for line in lines if "_limit" in line], "without a configuration"


def test_what_is_not_known_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = Sample(0.0, (one("imap-urlauth", "", 20, pss=None),))
    lines = page(monkeypatch, lambda base_dir: sample)
    assert not [
        line
        for line in lines
        if line.startswith(("dovecot_urlauth_sessions", "dovecot_urlauth_pss"))
        and 'service="imap-urlauth"' in line
    ]
    untold = Sample(0.0, (one("imap-urlauth-worker", "", 20),))
    lines = page(monkeypatch, lambda base_dir: untold)
    assert not [line for line in lines if line.startswith("dovecot_urlauth_targets")]


def test_no_dovecot(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(base_dir: str | None) -> Sample:
        raise NoMaster("none")

    assert page(monkeypatch, look) == ["dovecot_urlauth_up 0.0"]


def test_a_dovecot_that_only_root_may_know_about_is_neither_up_nor_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(base_dir: str | None) -> Sample:
        raise MasterUnknown("nobody knows")

    assert page(monkeypatch, look) == []


def test_the_view_goes_on_until_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sleeps = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        if len(sleeps) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr(watched, "take_sample", lambda base_dir: SAMPLE)
    assert view.watch(Watched(), 2.0) == 0
    assert sleeps == [2.0, 2.0]
    assert capsys.readouterr().out.count(view.CLEAR) == 2
