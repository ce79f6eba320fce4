"""What stats is told of a client's session with a target user's mail."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.dialect.dialect import Dialect
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19, DOVECOT_2_4_2
from dovecot_urlauth.service.process import Terminated
from dovecot_urlauth.store.errors import MailboxMissing, ReadFailed, StoreFailure
from dovecot_urlauth.worker.session import serve_client
from dovecot_urlauth.worker.target import OpenedTarget
from tests.telling import Told
from tests.transcript import Transcript
from tests.worker import fakes

FETCHED = {
    "outcome": "sent",
    "rule": "",
    "user": "bob",
    "protocol": "imap",
    "target_user": "alice",
    "fetch": "body",
    "bytes": 3,
    "mailbox": "INBOX",
    "uid": 1,
    "section_kind": "message",
}
DRIVERS = {
    DOVECOT_2_3_19: {"mail_attribute_dict": "file:%h/dovecot-attributes"},
    DOVECOT_2_4_2: {"mail_attribute/dict": "file"},
}


def served(mailbox: fakes.Mailbox | Exception, settings: Mapping[str, str] | None = None) -> OpenedTarget:
    """alice, with this mailbox."""
    known = Settings({"imap_urlauth_host": "h", **(settings or {})})
    store: Any = fakes.Store(mailbox)
    return OpenedTarget(b"alice", known, store, b"alice")


def told(
    text: str, target: OpenedTarget | None = None, dialect: Dialect = DOVECOT_2_4_2, **values: object
) -> Told:
    """Play a session from its first URL to its end."""
    stats = Told(dialect.stats)
    transcript = Transcript(
        f"{text}\nended\n",
        values={"url": fakes.signed(), **values},
        actions={"sigterm": lambda: transcript.cancel(Terminated())},
    )
    client = fakes.client(transcript)
    client.report_to(stats)
    config: Any = SimpleNamespace(dialect=dialect, audit=False)
    userdb: Any = None
    transcript.play(
        serve_client(transcript.loop, client, target or fakes.target(), config, userdb, transcript.log, stats)
    )
    client.ended()
    return stats


GOOD = r"""
    C: URL\t{url}\tbody
    S: OK\t3
    S: abc
"""
END = r"""
    C: END
    control> FINISHED
"""
REFUSED = r"""
    C: URL\t{url}\tbody
    ..1s
    S: NO
"""


@pytest.mark.parametrize("dialect", DRIVERS, ids=lambda dialect: dialect.name)
def test_a_session(dialect: Dialect) -> None:
    target = served(fakes.Mailbox(3, lambda: [b"abc"]), DRIVERS[dialect])
    stats = told(GOOD + GOOD + END, target, dialect)
    names = [name for name, _, _ in stats.events]
    looked_up = ["dict_lookup_finished", "mail_opened", "urlauth_fetch_finished"]
    connections = 2 * dialect.stats.passes_clients
    assert names == (
        ["client_connection_connected"] * connections
        + ["dict_created", *looked_up, *looked_up, "dict_destroyed", "mail_user_session_finished"]
        + ["client_connection_disconnected"] * connections
    )
    session = {"user": "alice", "service": "imap-urlauth-worker"}
    assert stats.fields("mail_user_session_finished") == [session]
    assert stats.fields("dict_created") == [session | dict.fromkeys(dialect.stats.dict_fields, "file")]
    opened = session | {"reason": dialect.stats.mail_reasons[0], "mailbox": "INBOX", "uid": 1}
    assert stats.fields("mail_opened")[0] == opened | ({"namespace": ""} if dialect.stats.has_namespace else {})
    assert stats.fields("urlauth_fetch_finished") == [FETCHED, FETCHED]
    assert all("imap-urlauth" in categories for name, categories, _ in stats.events if name.startswith("urlauth"))


@pytest.mark.parametrize(
    ("failure", "rule", "error"),
    [
        (MailboxMissing("gone"), "mailbox", "URLAUTH verification failed"),
        (StoreFailure("broken"), "store", "broken"),
    ],
)
def test_what_is_not_there(failure: Exception, rule: str, error: str) -> None:
    text = REFUSED + END
    if rule == "store":
        line = r"log: imap-urlauth[{pid}](bob->alice): Error: Failed to fetch URLAUTH "
        text = "C: URL\\t{url}\\tbody\n" + line + '"{shown}": broken\nS: NO\n' + END
    stats = told(text, served(failure), pid=os.getpid(), shown=_shown())
    [fields] = stats.fields("urlauth_fetch_finished")
    assert fields == FETCHED | {"outcome": "refused", "rule": rule, "error": error, "bytes": 0}
    assert not stats.fields("mail_opened")


def _shown() -> str:
    return fakes.signed().rpartition(b":")[0].decode() + ":..."


def test_a_wrong_token() -> None:
    spoiled = fakes.signed()[:-1] + (b"0" if fakes.signed()[-1:] != b"0" else b"1")
    stats = told(REFUSED + END, url=spoiled)
    [fields] = stats.fields("urlauth_fetch_finished")
    assert (fields["outcome"], fields["rule"]) == ("refused", "token")
    assert spoiled[-20:].decode() not in repr(stats.events)


def test_a_key_that_is_not_there() -> None:
    class Keyless(fakes.Mailbox):
        async def key(self) -> bytes | None:
            return None

    stats = told(REFUSED + END, served(Keyless(3, list)))
    assert stats.fields("dict_lookup_finished")[0]["key_not_found"] == "yes"
    assert stats.fields("urlauth_fetch_finished")[0]["rule"] == "token"


def test_what_breaks_off() -> None:
    stats = told("client !stuck\nC: URL\\t{url}\\tbinary\nclient !close\ncontrol> DISCONNECTED")
    assert stats.fields("urlauth_fetch_finished") == [
        FETCHED | {"outcome": "aborted", "fetch": "binary", "bytes": 0}
    ]


@pytest.mark.parametrize(
    ("url", "rule", "kind", "why"),
    [
        ("imap://alice@h/INBOX/;UID=1/;SECTION=1.MIME;EXPIRE=2001-01-01T00:00:00Z;URLAUTH=user+bob:internal",
         "expired", "mime", "URLAUTH has expired"),
        ("imap://alice@h/INBOX/;UID=1/;SECTION=1.HEADER;URLAUTH=user+carol:internal",
         "access", "header", "No 'user+carol' access allowed for user bob"),
        ("imap://alice@other/INBOX/;UID=1/;SECTION=HEADER.FIELDS%20(a);URLAUTH=user+bob:internal",
         "server", "fields", "Invalid URL: Inappropriate host name"),
        ("imap://alice@h/INBOX/;UID=1/;SECTION=HEADER;URLAUTH=user+bob:other",
         "mechanism", "header", "Unsupported URLAUTH mechanism: other"),
    ],
)  # fmt: skip
def test_rules(url: str, rule: str, kind: str, why: str) -> None:
    url += ":01" + "ab" * 20
    refused = f'C: URL\\t{{url}}\\tbody\nS: NO\\terror=Failed to fetch URLAUTH "{{url}}": {why}\n'
    [fields] = told(refused + END, url=url).fields("urlauth_fetch_finished")
    assert (fields["rule"], fields["section_kind"], fields["error"]) == (rule, kind, why)


@pytest.mark.parametrize(("section", "rule"), [("1.X", "section"), ("", "empty")])
def test_what_there_is_nothing_of(section: str, rule: str) -> None:
    url = fakes.signed() if not section else fakes.signed(b"INBOX", f"/;SECTION={section}")
    [fields] = told(REFUSED.replace("..1s", "") + END, fakes.target(0, list), url=url).fields(
        "urlauth_fetch_finished"
    )
    assert (fields["rule"], fields["section_kind"]) == (rule, "" if section else "message")


def test_messages_that_cannot_be_read() -> None:
    class Broken(fakes.Mailbox):
        async def fetch(self, uid: int, request: object) -> Any:
            raise ReadFailed("Message not found")

    text = r"C: URL\t{url}\tbody" + "\n" + r'S: NO\terror=Failed to read URLAUTH "{shown}": Message not found'
    stats = told(text + "\n" + END, served(Broken(3, list)), shown=fakes.signed().decode())
    assert stats.fields("urlauth_fetch_finished")[0]["rule"] == "message"
    assert not stats.fields("mail_opened")
