"""What begins the worker's lines about clients and target users."""

from __future__ import annotations

import pytest

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19, DOVECOT_2_4_1, DOVECOT_2_4_2
from dovecot_urlauth.wire.control import Access
from dovecot_urlauth.worker import client
from dovecot_urlauth.worker.client import client_prefix, new_session, user_prefix

BOB = Access(b"bob", b"imap")


@pytest.fixture(autouse=True)
def _pid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.os, "getpid", lambda: 7)


@pytest.mark.parametrize(
    ("setting", "prefix"),
    [
        (None, "imap-urlauth-worker(alice@a.test)<7><S>: "),
        ("%u: ", "alice@a.test: "),
        ("%s[%n,%d]%{session} ", "imap-urlauth-worker[alice,a.test]S "),
        ("%Us%%%20u|", "IMAP-URLAUTH-WORKER%alice@a.test|"),
        ("%r: ", "imap-urlauth-worker(alice@a.test)<7><S>: "),
        ("%{unknown}", "imap-urlauth-worker(alice@a.test)<7><S>: "),
        ("", ""),
    ],
)
def test_2_3_lets_the_administrator_say(setting: str | None, prefix: str) -> None:
    settings = Settings({} if setting is None else {"mail_log_prefix": setting})
    assert user_prefix(b"alice@a.test", BOB, DOVECOT_2_3_19, settings, "S") == prefix


@pytest.mark.parametrize("dialect", [DOVECOT_2_4_1, DOVECOT_2_4_2])
def test_in_2_4_they_begin_as_the_clients(dialect: object) -> None:
    settings = Settings({"mail_log_prefix": "x"})
    prefix = user_prefix(b"alice", BOB, dialect, settings, "S")  # type: ignore[arg-type]
    assert prefix == client_prefix(BOB) == "imap-urlauth[7](bob): "


def test_no_two_sessions_have_one_name() -> None:
    names = {new_session() for _ in range(100)}
    assert len(names) == 100
    assert {len(name) for name in names} == {22}
