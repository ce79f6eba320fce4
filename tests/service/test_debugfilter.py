"""log_debug, as Dovecot 2.4.5 was seen to obey it: an event of a service has the category service:<name>."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.service.debugfilter import wants
from dovecot_urlauth.service.environment import read_environment

OURS = "category=service:imap-urlauth"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (OURS, True),
        ('category="service:imap-urlauth"', True),
        ("category=service:imap-urlauth-login", False),
        ("category=service", False),
        ("category=mail", False),
        ("category=auth", False),
        ("event=*", False),
        ("user=bob", False),
        ("NOT category=mail", True),
        (f"NOT {OURS}", False),
        (f"category=mail OR {OURS}", True),
        (f"{OURS} or category=mail", True),
        (f"{OURS} AND event=*", False),
        (f"{OURS} AND NOT category=mail", True),
        (f"category=mail OR category=auth AND {OURS}", False),
        (f"(category=mail OR {OURS}) AND NOT category=auth", True),
        (f"NOT ({OURS} OR category=mail)", False),
        ("", False),
        ("  ", False),
    ],
)
def test_filters(text: str, wanted: bool) -> None:
    assert wants(text, "imap-urlauth") is wanted
    assert read_environment({"LOG_DEBUG": text}, "imap-urlauth").log_debug is wanted


@pytest.mark.parametrize(
    "text", ["yes", "(category=mail", "category=mail)", "category=mail OR", "category=mail auth=x", "=x", "NOT"]
)
def test_what_is_not_understood_lets_everything_through(text: str) -> None:
    assert wants(text, "imap-urlauth")


@given(st.text(st.sampled_from("()= ANDORTcategoryservice:"), max_size=40))
def test_no_filter_fails(text: str) -> None:
    assert wants(text, "imap-urlauth") in (True, False)
