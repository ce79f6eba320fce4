"""Every number that the dashboard and the alert rules name is one that is exposed, by us or by Dovecot."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from dovecot_urlauth.admin.doveconf import Configuration, parse
from dovecot_urlauth.admin.monitor import watched
from dovecot_urlauth.admin.monitor.metrics import ProcessCollector
from dovecot_urlauth.admin.monitor.watched import Watched
from tests.admin.monitor.test_sample import SAMPLE

DOCS = Path(__file__).resolve().parents[3] / "docs"
NAME = re.compile(r"\bdovecot_\w+")
ENDINGS = ("_total", "_bytes_total", "_bucket")
"""What Dovecot's OpenMetrics puts behind a metric's name; tests/dovecot/test_monitoring.py sees it do so."""


def expressions() -> list[str]:
    """PromQL of both files."""
    dashboard = json.loads((DOCS / "monitoring/dashboard.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return found + re.findall(r"^ +expr: (.*)$", (DOCS / "monitoring/alerts.yml").read_text(), re.M)


def named() -> set[str]:
    return {name for expression in expressions() for name in NAME.findall(expression)}


def ours(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    monkeypatch.setattr(watched, "take_sample", lambda base_dir: SAMPLE)
    registry = CollectorRegistry()
    configuration = Configuration("2.4.1", "/x", parse("libexec_dir = /nowhere\n"), parse(""), parse(""))
    registry.register(ProcessCollector(Watched(None, configuration)))
    return set(re.findall(r"^(\w+)", generate_latest(registry).decode(), re.M))


@pytest.mark.parametrize("language", ["2.3", "2.4"])
def test_every_name_is_exposed(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    snippet = (DOCS / "STATISTICS.md").read_text().split(f"### Dovecot {language}\n\n```\n")[1].split("```")[0]
    metrics = re.findall(r"^metric (\w+) \{", snippet, re.M)
    dovecots = {f"dovecot_{metric}{ending}" for metric in metrics for ending in ENDINGS}
    assert len(named()) > 10
    assert named() <= ours(monkeypatch) | dovecots


def test_rules_are_those_that_refuse() -> None:
    """A rule that no refusal has would never alarm."""
    table = (DOCS / "STATISTICS.md").read_text().split("| rule | refuses |")[1].split("\n\n")[0]
    rules = set(re.findall(r"`(\w+)`", table))
    asked = {rule for expression in expressions() for rule in re.findall(r'rule=~?"([\w|]+)"', expression)}
    assert {word for rule in asked for word in rule.split("|")} == {"token", "access", "store"}
    assert {word for rule in asked for word in rule.split("|")} <= rules


@pytest.mark.parametrize("expression", expressions())
def test_brackets_are_closed(expression: str) -> None:
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)
