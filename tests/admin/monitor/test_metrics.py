"""The numbers of one sample, as Prometheus gets them; and the view that goes on until it is interrupted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from dovecot_urlauth.admin.monitor import metrics, view
from dovecot_urlauth.admin.monitor.metrics import ProcessCollector
from dovecot_urlauth.admin.monitor.sample import Sample
from dovecot_urlauth.admin.processes import NoMaster
from tests.admin.monitor.test_sample import SAMPLE, one

if TYPE_CHECKING:
    from collections.abc import Callable


def page(monkeypatch: pytest.MonkeyPatch, look: Callable[[str | None], Sample]) -> list[str]:
    monkeypatch.setattr(metrics, "take_sample", look)
    registry = CollectorRegistry()
    registry.register(ProcessCollector(None))
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


def test_what_is_not_known_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = Sample(0.0, (one("imap-urlauth", "", 20, pss=None),))
    lines = page(monkeypatch, lambda base_dir: sample)
    assert not [
        line
        for line in lines
        if line.startswith(("dovecot_urlauth_sessions", "dovecot_urlauth_pss"))
        and 'service="imap-urlauth"' in line
    ]


def test_no_dovecot(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(base_dir: str | None) -> Sample:
        raise NoMaster("none")

    assert page(monkeypatch, look) == ["dovecot_urlauth_up 0.0"]


def test_the_view_goes_on_until_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sleeps = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        if len(sleeps) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr(view, "take_sample", lambda base_dir: SAMPLE)
    assert view.watch(None, 2.0) == 0
    assert sleeps == [2.0, 2.0]
    assert capsys.readouterr().out.count(view.CLEAR) == 2
