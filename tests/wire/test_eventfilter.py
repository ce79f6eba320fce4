"""Filters of events, as Dovecot reads them (lib/test-event-filter*.c have the same cases in other words)."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.eventfilter import DEEPEST, EventFilter, Facts, FilterError, matches

EVENT = Facts(
    "mail_opened",
    {"mail", "mailbox", "storage", "service:imap", "debug"},
    {"user": "Bob", "bytes": 84, "reason": "a*b", "empty": ""},
)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ('(event="*")', True),
        ("event=mail_opened", True),
        ("event=MAIL_OPENED", False),
        ('event="mail_*" AND NOT event=mail_opened', False),
        ("event=mail?opened", True),
        ("event=mail_open", False),
        ("category=storage", True),
        ("category=stor*", False),
        ('category="service:imap"', True),
        ("category=debug", True),
        ("category=error", False),
        ("user=bob", True),
        ("user=b*", True),
        ("user=alice", False),
        (r'reason="a\*b"', True),
        (r'reason="a\*c"', False),
        ('missing=""', True),
        ('empty=""', True),
        ('user=""', False),
        ("missing=*", False),
        ("bytes=84", True),
        ("bytes>83", True),
        ("bytes > 84", False),
        ("bytes>=84 AND bytes<=84", True),
        ("bytes<84", False),
        ("bytes=-84", False),
        ("bytes>1k", None),
        ("bytes=8*", None),
        ("user<bob", None),
        ("duration > 1000", None),
        ("source_location=mail.c:716", None),
        ("NOT duration>1", None),
        ("duration>1 OR user=bob", True),
        ("duration>1 AND user=bob", None),
        ("duration>1 AND user=alice", False),
        ("duration>1 OR user=alice", None),
        ("user=alice AND user=bob OR user=bob", True),
        ("user=bob OR user=bob AND user=alice", False),  # from left to right, whatever it is
        ("user=bob OR (user=bob AND user=alice)", True),
        ("NOT user=alice AND user=bob", True),
        ("NOT (user=alice OR user=bob)", False),
        ("user=alice OR user=carol OR user=bob", True),
        ('"user"="bob"', True),
        (r'"us\er"=bob', True),
        ("user=and", False),
        ("", False),
        (" \n", False),
    ],
)
def test_verdicts(text: str, verdict: bool | None) -> None:
    assert EventFilter(text).wants(EVENT) is verdict


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("event=mail_opened", True),
        ("event=mail_opened AND user=bob", None),
        ("event=mail_opened AND category=mail", None),
        ("event=other AND user=bob", False),
        ("event=other OR NOT category=mail", None),
    ],
)
def test_what_the_name_alone_decides(text: str, verdict: bool | None) -> None:
    assert EventFilter(text).wants(Facts("mail_opened")) is verdict


def test_an_event_without_a_name_has_none() -> None:
    assert EventFilter("event=*").wants(Facts("", (), {})) is False


@pytest.mark.parametrize(
    "text",
    [
        "(", ")", "user", "user=", "=bob", "user=bob)", "(user=bob", "user=bob user=bob", "NOT", "user=bob AND",
        '"user=bob', 'user="bob', 'user="bob\\', "user==bob", "user=(bob)", "event", '""', "user = < bob",
        "(" * 100 + "a=b" + ")" * 100, "NOT " * 100 + "a=b", "a=b " + "AND a=b OR a=b " * 60,
    ],
)  # fmt: skip
def test_what_is_no_filter(text: str) -> None:
    with pytest.raises(FilterError):
        EventFilter(text)


def test_many_of_one_kind_are_not_deep() -> None:
    assert EventFilter(" OR ".join(["(event=a)"] * 20 * DEEPEST)).wants(Facts("a")) is True


def test_nobody_wants_anything() -> None:
    assert EventFilter("").is_empty
    assert not EventFilter("a=b").is_empty


@given(st.text(st.sampled_from("ab*?"), max_size=12), st.text(st.sampled_from("ab"), max_size=12))
def test_patterns_are_the_shells(pattern: str, text: str) -> None:
    assert matches(pattern, text) is fnmatch.fnmatchcase(text, pattern)


def test_many_stars_take_no_time() -> None:
    assert not matches("*a" * 60 + "b", "a" * 3000)


@pytest.mark.parametrize(("pattern", "text"), [(r"\*", "*"), (r"a\?", "a?"), ("a\\", "a\\"), ("*", ""), ("", "")])
def test_escapes(pattern: str, text: str) -> None:
    assert matches(pattern, text)


PIECES = ["(", ")", "=", "<", ">", '"', "\\", " ", "AND ", "OR ", "NOT ", "event", "a", "*", "1"]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_no_filter_fails(text: str) -> None:
    try:
        verdict = EventFilter(text).wants(EVENT)
    except FilterError:
        return
    assert verdict in (True, False, None)
