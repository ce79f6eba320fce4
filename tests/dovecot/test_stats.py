"""What Dovecot's stats process counts: with docs/STATISTICS.md's metrics, and beside Dovecot's own services."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testing.instance import DovecotInstance
from testing.processes import wait_for
from testing.scene import MESSAGE, SECTIONS, Scene
from testing.versions import ALL_OURS, ALL_STOCK, PIECES, TUNED, Combination

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from testing.versions import Version
    from tests.dovecot.conftest import Installations, Row

    Starter = Callable[..., DovecotInstance]

DOCUMENT = (Path(__file__).parents[2] / "docs/STATISTICS.md").read_text()
PATIENCE = 20.0

EVENTS = (
    "server_connection_connected",
    "server_connection_disconnected",
    "client_connection_connected",
    "client_connection_disconnected",
    "auth_client_request_started",
    "auth_client_request_finished",
    "auth_master_client_login_started",
    "auth_master_client_login_finished",
    "auth_client_userdb_lookup_started",
    "auth_client_userdb_lookup_finished",
    "dict_created",
    "dict_lookup_finished",
    "dict_destroyed",
    "mail_opened",
    "mail_user_session_finished",
)


def snippet(language: str) -> str:
    """The document's configuration for a language."""
    return DOCUMENT.split(f"### Dovecot {language}\n\n```\n")[1].split("```")[0]


def counted(dovecot: DovecotInstance) -> dict[str, int]:
    """Each metric's number of events, a group's under the name and its values."""
    command = dovecot.version.command(
        "/usr/bin/doveadm", "-c", dovecot.inside / "dovecot.conf", "-f", "tab", "stats", "dump"
    )
    head, *lines = [line.split("\t") for line in dovecot.output(*command).splitlines()]
    name, count = head.index("metric_name"), head.index("count")
    return {line[name]: int(line[count]) for line in lines if len(line) == len(head)}


def wait_for_counts(dovecot: DovecotInstance, wanted: Mapping[str, int]) -> None:
    """Wait until the metrics have these numbers, and no others."""
    assert wait_for(lambda: wanted.items() <= counted(dovecot).items(), PATIENCE), counted(dovecot)


def wrong(url: bytes) -> bytes:
    """The URL with another token."""
    return url[:-1] + (b"0" if url[-1:] != b"0" else b"1")


@pytest.mark.parametrize("combination", [ALL_OURS, TUNED], ids=lambda combination: combination.name)
def test_the_documents_metrics_count(
    version: Version, combination: Combination, installations: Installations, starter: Starter
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    listening = f"service stats {{\n  inet_listener http {{\n    port = {port}\n  }}\n}}\n"
    extra = snippet(version.language) + listening
    dovecot = starter(DovecotInstance(version, combination, installations[version], extra=extra))
    with Scene(dovecot) as scene:
        stored = scene.store()
        bob = scene.user("bob")
        url = scene.sign(stored, section="2")
        assert bob.fetch_url(url) == SECTIONS["2"]
        assert bob.fetch_url(scene.sign(stored)) == MESSAGE
        assert bob.fetch_url(wrong(url)) is None
        for command in (b"SELECT INBOX", b"UID STORE %d +FLAGS (\\Deleted)" % stored.uid, b"EXPUNGE"):
            assert scene.user("alice").command(command).ok
        assert bob.fetch_url(url) is None
    wait_for_counts(
        dovecot,
        {
            "urlauth_sessions": 1,
            "urlauth_fetches": 4,
            "urlauth_fetches_sent": 2,
            "urlauth_fetches_refused": 2,
            "urlauth_refusals": 2,
            "urlauth_refusals_token": 1,
            "urlauth_refusals_message": 1,
        },
    )
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as page:
        text = page.read().decode()
    assert re.search(r"^dovecot_urlauth_sessions_total 1$", text, re.M), text
    assert re.search(r'^dovecot_urlauth_fetches_total\{outcome="sent"\} 2$', text, re.M), text
    assert re.search(r'^dovecot_urlauth_refusals_total\{rule="message"\} 1$', text, re.M), text
    exported = [line for line in dovecot.log.lines() if '"urlauth_fetch_finished"' in line]
    assert len(exported) == 2
    [refused] = [fields for line in exported if (fields := _fields(line))["rule"] == "token"]
    assert (
        refused.items()
        >= {
            "outcome": "refused",
            "user": "bob",
            "target_user": "alice",
            "section_kind": "part",
            "fetch": "body",
            "mailbox": "INBOX",
        }.items()
    )
    assert url[-40:-1].decode() not in "\n".join(dovecot.log.lines())


def _fields(line: str) -> dict[str, object]:
    event: dict[str, dict[str, object]] = json.loads(line[line.index("{") :])
    return event["fields"]


@pytest.mark.only(ALL_OURS.name)
def test_the_same_metrics_count_the_same(row: Row, installations: Installations, starter: Starter) -> None:
    """Where login or imap-urlauth have a defect that is in the way, ours stands in for Dovecot's."""
    metrics = "".join(
        f"metric {_short(service)}_{event} {{\n  filter = event={event} AND category=service:{service}\n}}\n"
        for service in PIECES
        for event in EVENTS
    )
    broken = row.version.language == "2.3"
    theirs = Combination(True, False, False) if broken else ALL_STOCK
    counts = []
    for combination in (theirs, row.combination):
        ours = installations[row.version] if combination.ours() else None
        expected = () if combination is row.combination else (r"imap-urlauth", r"killed with signal")
        dovecot = starter(DovecotInstance(row.version, combination, ours, extra=metrics), *expected)
        with Scene(dovecot) as scene:
            stored = scene.store()
            bob = scene.user("bob")
            url = scene.sign(stored)
            assert bob.fetch_url(url) == MESSAGE
            assert bob.fetch_url(wrong(url)) is None
        wait_for_counts(dovecot, {"worker_mail_user_session_finished": 1, "login_auth_client_request_finished": 1})
        counts.append(_settled(dovecot))
    stock, own = counts
    for name in set(stock) | set(own):
        if name in ("broker_client_connection_disconnected", "broker_server_connection_disconnected"):
            continue  # 2.4's own imap-urlauth does not end
        assert own.get(name, 0) == stock.get(name, 0), name
    assert sum(own.values()) > 15


def _short(service: str) -> str:
    return {"imap-urlauth-login": "login", "imap-urlauth": "broker", "imap-urlauth-worker": "worker"}[service]


def _settled(dovecot: DovecotInstance) -> dict[str, int]:
    """The numbers when they do not change any more."""
    seen: list[dict[str, int]] = []

    def same() -> bool:
        seen.append(counted(dovecot))
        return len(seen) > 4 and seen[-1] == seen[-5]

    assert wait_for(same, PATIENCE)
    return seen[-1]


def test_nobody_notices_when_stats_is_gone(
    version: Version, installations: Installations, starter: Starter
) -> None:
    """Stopped it takes no connection and reads nothing; dead it is started again; we serve all the same."""
    dovecot = starter(
        DovecotInstance(version, TUNED, installations[version], extra=snippet(version.language)),
        r"stats",
    )
    [stats] = [process for process in dovecot.processes() if "stats" in process.title]
    with Scene(dovecot) as scene:
        stored = scene.store()
        scene.works(stored)
        os.kill(stats.pid, signal.SIGSTOP)
        try:
            scene.works(stored)
            url = scene.sign(stored)
            for _ in range(2000):
                assert scene.user("bob").fetch_url(url) == MESSAGE
        finally:
            os.kill(stats.pid, signal.SIGCONT)
        wait_for(lambda: counted(dovecot).get("urlauth_fetches_sent", 0) > 1000, PATIENCE)
        os.kill(stats.pid, signal.SIGKILL)
        scene.works(stored)
