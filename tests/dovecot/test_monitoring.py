"""The dashboard's and the alert rules' numbers, out of a real Dovecot and our monitor beside it."""

from __future__ import annotations

import re
import socket
import urllib.request
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from dovecot_urlauth.admin.monitor.metrics import ProcessCollector
from dovecot_urlauth.admin.monitor.watched import Watched
from testing.instance import DovecotInstance
from testing.processes import wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import TUNED
from tests.admin.monitor.test_dashboard import DOCS, named

if TYPE_CHECKING:
    from collections.abc import Callable

    from testing.versions import Version
    from tests.dovecot.conftest import Installations

PATIENCE = 30.0
OF_THE_CONFIGURATION = {"dovecot_urlauth_session_limit", "dovecot_urlauth_process_limit"}
"""Only monitor -c has these, which needs doveconf beside it; the unit tests see them."""


def statistics(language: str, port: int) -> str:
    """STATISTICS.md's settings as they stand, and a place to scrape them."""
    snippet = (DOCS / "STATISTICS.md").read_text().split(f"### Dovecot {language}\n\n```\n")[1].split("```")[0]
    address = "address" if language == "2.3" else "listen"
    listener = f"inet_listener http {{\n    {address} = 127.0.0.1\n    port = {port}\n  }}"
    return f"{snippet}\nservice stats {{\n  {listener}\n}}\n"


def exposed(text: str) -> set[str]:
    return set(re.findall(r"^(\w+)", text, re.M))


def test_every_number_of_the_dashboard_is_exposed(
    version: Version, installations: Installations, starter: Callable[..., DovecotInstance]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    extra = statistics(version.language, port)
    dovecot = starter(DovecotInstance(version, TUNED, installations[version], extra))
    with Scene(dovecot) as scene:
        url = scene.sign(scene.store())
        assert scene.user("bob").fetch_url(url) == MESSAGE
        wrong = url[:-1] + (b"0" if url[-1:] != b"0" else b"1")
        assert scene.user("carol").fetch_url(scene.sign(scene.store(), "user+carol")) == MESSAGE
        assert scene.user("carol").fetch_url(wrong.replace(b"user+bob", b"user+carol")) is None
        registry = CollectorRegistry()
        registry.register(ProcessCollector(Watched(str(dovecot.folder / "run"))))
        ours = generate_latest(registry).decode()

    def scrape() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
        return text

    assert wait_for(lambda: 'rule="token"} 1' in scrape() and 'outcome="sent"} 2' in scrape(), PATIENCE), scrape()
    missing = named() - exposed(ours) - exposed(scrape()) - OF_THE_CONFIGURATION
    assert missing == ({"dovecot_urlauth_fetches_bytes_total"} if version.language == "2.3" else set())
    assert "dovecot_urlauth_up 1.0" in ours
    assert 'dovecot_urlauth_sessions{service="imap-urlauth"} 2.0' in ours


@pytest.mark.parametrize("name", ["alerts.yml", "dashboard.json", "prometheus.yml"])
def test_the_document_names_the_files(name: str) -> None:
    assert (DOCS / "monitoring" / name).is_file()
    assert f"(monitoring/{name})" in (DOCS / "MONITORING.md").read_text()
