"""Lines of ACL files: what they mean, and what is garbage."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.store.native.acl.entries import (
    ALL,
    AclSyntaxError,
    Entry,
    Kind,
    matches,
    parse_entry,
    parse_file,
    parse_global_file,
)

LR = frozenset((b"lookup", b"read"))

LINES = [
    (b"owner lr", Entry(Kind.OWNER, b"", LR, None)),
    (b"owner", Entry(Kind.OWNER, b"", frozenset(), None)),
    (b"-owner lr", Entry(Kind.OWNER, b"", None, LR)),
    (b"anyone lrwstipekxa", Entry(Kind.ANYONE, b"", ALL, None)),
    (b"anonymous ", Entry(Kind.ANYONE, b"", frozenset(), None)),
    (b"authenticated l", Entry(Kind.AUTHENTICATED, b"", frozenset((b"lookup",)), None)),
    (b"user=alice \t lr\t", Entry(Kind.USER, b"alice", LR, None)),
    (b"user= lr", Entry(Kind.USER, b"", LR, None)),
    (b"group=a=b lr", Entry(Kind.GROUP, b"a=b", LR, None)),
    (b"group-override=a lr", Entry(Kind.GROUP_OVERRIDE, b"a", LR, None)),
    (b'"user=a b" lr', Entry(Kind.USER, b"a b", LR, None)),
    (b'"-user=a\\"\\\\b" lr', Entry(Kind.USER, b'a"\\b', None, LR)),
    (b'"owner"', Entry(Kind.OWNER, b"", frozenset(), None)),
    (b"owner :lookup read", Entry(Kind.OWNER, b"", LR, None)),
    (b"owner l:read", Entry(Kind.OWNER, b"", LR, None)),
    (b"owner l :read,\tx y", Entry(Kind.OWNER, b"", LR | {b"x", b"y"}, None)),
    (b"owner :", Entry(Kind.OWNER, b"", frozenset(), None)),
]


@pytest.mark.parametrize(("line", "entry"), LINES)
def test_entries(line: bytes, entry: Entry) -> None:
    assert parse_entry(line) == entry
    assert parse_file(b"# comment\n\n" + line + b"\r\n" + line) == [entry, entry]
    [(pattern, found)] = parse_global_file(b"Box* " + line)
    assert (pattern, found.kind, found.name, found.is_global) == (b"Box*", entry.kind, entry.name, True)


GARBAGE = [
    (b"owner z", "Unknown ACL 'z'"),
    (b"owner \xc3\xa4", "Unknown ACL '\udcc3'"),
    (b"owner l r", "Missing ':' prefix in ACL extensions"),
    (b"nobody l", "Unknown ID 'nobody'"),
    (b" owner l", "Unknown ACL 'o'"),
    (b"--owner l", "Unknown ID '-owner'"),
    (b'"owner l', "Invalid quoted ID"),
    (b'"owner"l', "Invalid quoted ID"),
    (b'"owner\\', "Invalid quoted ID"),
]


@pytest.mark.parametrize(("line", "text"), GARBAGE)
def test_garbage(line: bytes, text: str) -> None:
    with pytest.raises(AclSyntaxError, match=f"^{re.escape(text)}$"):
        parse_entry(line)
    with pytest.raises(AclSyntaxError, match=f"^line 3: {re.escape(text)}$"):
        parse_file(b"\n#\n" + line)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"Box", "Missing ACL rights"),
        (b" owner l", "Empty ACL pattern"),
        (b'"Box owner l', "Missing '\"'"),
        (b'"Box"', "Expecting space after '\"'"),
    ],
)
def test_garbage_before_an_entry(line: bytes, text: str) -> None:
    with pytest.raises(AclSyntaxError, match=f"^line 1: {re.escape(text)}$"):
        parse_global_file(line)


def test_quoted_patterns() -> None:
    [(pattern, entry)] = parse_global_file(b'"a \\"b*" owner lr')
    assert (pattern, entry.rights) == (b'a "b*', LR)


@given(
    st.binary()
    | st.lists(st.sampled_from([b"owner", b"user=", b" ", b"lr", b":", b'"', b"-", b"\n"])).map(b"".join)
)
def test_anything(data: bytes) -> None:
    for parse in (parse_file, parse_global_file):
        with suppress(AclSyntaxError):
            parse(data)


@given(st.text("ab", max_size=8), st.text("ab*?", max_size=8))
def test_patterns(name: str, pattern: str) -> None:
    regex = "".join({"*": ".*", "?": "."}.get(char, char) for char in pattern)
    assert matches(name.encode(), pattern.encode()) is bool(re.fullmatch(regex, name))


def test_a_pattern_takes_no_time() -> None:
    assert not matches(b"a" * 1000, b"*a" * 100 + b"b")
