from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.wire.config_filter import ConfigFileError, Filter, Term, parse_filter

IMAP = Term("protocol", "imap", negated=False)
NOT_IMAP = Term("protocol", "imap", negated=True)


@pytest.mark.parametrize(
    ("text", "names", "terms"),
    [
        ("", (), ()),
        ('protocol="imap"', (), (IMAP,)),
        ('NOT protocol="imap"', (), (NOT_IMAP,)),
        (
            'protocol="imap" AND remote_ip="10.0.0.0/8"',
            (),
            (IMAP, Term("remote_ip", "10.0.0.0/8", negated=False)),
        ),
        ('settings_filter_name="maildir"', ("maildir",), ()),
        (
            'settings_filter_name="dict/file" AND settings_filter_name="mail_attribute"',
            ("mail_attribute", "dict/file"),
            (),
        ),
        (
            'settings_filter_name="namespace/inbox" AND NOT protocol="imap"',
            ("namespace/inbox",),
            (NOT_IMAP,),
        ),
        ('settings_filter_name="namespace/we\\\\_ird\\\\sna\\\\eme"', ("namespace/we\\_ird\\sna\\eme",), ()),
        ('local_name="a\\"b AND c"', (), (Term("local_name", 'a"b AND c', negated=False),)),
    ],
)
def test_filters_that_dovecot_writes(text: str, names: tuple[str, ...], terms: tuple[Term, ...]) -> None:
    assert parse_filter(text) == Filter(names, terms)


@pytest.mark.parametrize(
    "text",
    [
        "protocol",
        'protocol="imap',
        'protocol="imap" OR protocol="pop3"',
        '(protocol="imap")',
        'protocol="a"protocol="b"',
        'protocol="imap" AND ',
        'NOT NOT protocol="imap"',
        '="imap"',
        'protocol="\\',
    ],
)
def test_filters_that_we_do_not_know(text: str) -> None:
    with pytest.raises(ConfigFileError, match="Unknown event filter"):
        parse_filter(text)


def test_matching() -> None:
    assert parse_filter("").matches({})
    assert parse_filter('protocol="imap"').matches({"protocol": "imap"})
    assert not parse_filter('protocol="imap"').matches({"protocol": "pop3"})
    assert not parse_filter('protocol="imap" AND local_name="x"').matches({"protocol": "imap"})
    assert parse_filter('NOT protocol="pop3"').matches({"protocol": "imap"})
    assert not parse_filter('NOT protocol="imap"').matches({"protocol": "imap"})
    assert not parse_filter('remote_ip="10.0.0.0/8"').matches({"protocol": "imap"})


@given(st.text(alphabet='NOT AD"\\=x_'))
def test_garbage(text: str) -> None:
    with suppress(ConfigFileError):
        parse_filter(text)
