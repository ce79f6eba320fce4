"""The grammar as two tables: what each URL means, and with which words each bad one is refused."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.url.imapurl import ImapURL, parse
from dovecot_urlauth.url.rules import RULES_2_3, RULES_2_4, URLRules
from dovecot_urlauth.url.uri import InvalidURL

SERVER = b"imap://alice@h"
TOKEN = b"01" * 21


def url_of(tail: bytes, **parts: object) -> tuple[bytes, ImapURL]:
    """A URL of alice at h, and what it means."""
    return SERVER + tail, ImapURL(user=b"alice", auth_type=None, host=b"h", port=0, **parts)  # type: ignore[arg-type]


def server_of(server: bytes, **parts: object) -> tuple[bytes, ImapURL]:
    """A URL of a whole server, and what it means."""
    defaults: dict[str, object] = {"user": None, "auth_type": None, "port": 0}
    return server, ImapURL(**{**defaults, **parts})  # type: ignore[arg-type]


def signed(
    tail: bytes, *, application: bytes = b"authuser", user: bytes | None = None, expire: int | None = None
) -> tuple[bytes, ImapURL]:
    """A signed URL of INBOX, uid 1."""
    rump = SERVER + b"/INBOX/;UID=1" + tail
    return rump + b":INTERNAL:" + TOKEN, ImapURL(
        user=b"alice",
        auth_type=None,
        host=b"h",
        port=0,
        mailbox=b"INBOX",
        uid=1,
        expire=expire,
        access_application=application,
        access_user=user,
        rump=rump,
        mechanism=b"INTERNAL",
        token=bytes.fromhex(TOKEN.decode()),
    )


VALID = [
    # servers
    server_of(b"imap://h", host=b"h"),
    server_of(b"IMAP://h", host=b"h"),
    server_of(b"//h", host=b"h"),
    server_of(b"imap://@h", host=b"h"),
    server_of(b"imap://h:143", host=b"h", port=143),
    server_of(b"imap://h:", host=b"h"),
    server_of(b"imap://h:065535", host=b"h", port=65535),
    server_of(b"imap://mail.example.org./", host=b"mail.example.org"),
    server_of(b"imap://xn--a.b-c.0d", host=b"xn--a.b-c.0d"),
    server_of(b"imap://a%62%2dc.d", host=b"ab-c.d"),
    server_of(b"imap://192.168.0.1/", host=b"192.168.0.1"),
    server_of(b"imap://0000010.1.1.1", host=b"0000010.1.1.1"),
    server_of(b"imap://300.1.1.1/", host=b"300.1.1.1"),
    server_of(b"imap://12.34", host=b"12.34"),
    server_of(b"imap://[::1]:993/", host=b"[::1]", port=993),
    server_of(b"imap://a%40b;AUTH=%2A@h", user=b"a@b", auth_type=b"*", host=b"h"),
    server_of(b"imap://;auth=PLAIN@h", auth_type=b"PLAIN", host=b"h"),
    # mailboxes
    url_of(b""),
    url_of(b"/"),
    url_of(b"/INBOX", mailbox=b"INBOX"),
    url_of(b"/a/b", mailbox=b"a/b"),
    url_of(b"/a//b/", mailbox=b"a/b"),
    url_of(b"//a", mailbox=b"/a"),
    url_of(b"/a/./b/../c", mailbox=b"a/c"),
    url_of(b"/../a/..", mailbox=None),
    url_of(b"/a/..b/.c", mailbox=b"a/..b/.c"),
    url_of(b"/%2e%2E/a%3bb%2Fc", mailbox=b"../a;b/c"),
    url_of(b"/a@b:c,d", mailbox=b"a@b:c,d"),
    url_of(b"/a;UIDVALIDITY=385759045", mailbox=b"a", uidvalidity=385759045),
    url_of(b"/a/;uidvalidity=01/", mailbox=b"a", uidvalidity=1),
    url_of(b"/a?SUBJECT%20x", mailbox=b"a", search=b"SUBJECT x"),
    # messages
    url_of(b"/a/;UID=4294967295", mailbox=b"a", uid=4294967295),
    url_of(b"/a/;uId=20/", mailbox=b"a", uid=20),
    url_of(b"/a;UIDVALIDITY=7/;UID=20/;SECTION=1.2", mailbox=b"a", uidvalidity=7, uid=20, section=b"1.2"),
    url_of(
        b"/a/;UID=20/;section=HEADER.FIELDS%20(x/y)/z",
        mailbox=b"a",
        uid=20,
        section=b"HEADER.FIELDS (x/y)/z",
    ),
    url_of(b"/a/;UID=2/;SECTION=/1//2/", mailbox=b"a", uid=2, section=b"1//2/"),
    url_of(b"/a/;UID=2/;PARTIAL=0", mailbox=b"a", uid=2, has_partial=True),
    url_of(
        b"/a/;UID=2/;SECTION=1/;PARTIAL=18446744073709551615.1024/",
        mailbox=b"a",
        uid=2,
        section=b"1",
        has_partial=True,
        partial_offset=2**64 - 1,
        partial_size=1024,
    ),
    # URLAUTH
    url_of(
        b"/a/;UID=2;URLAUTH=anonymous",
        mailbox=b"a",
        uid=2,
        access_application=b"anonymous",
        rump=SERVER + b"/a/;UID=2;URLAUTH=anonymous",
    ),
    signed(b";urlauth=authuser"),
    signed(b";URLAUTH=User+b%6Fb", application=b"User", user=b"bob"),
    signed(b";URLAUTH=submit+a+b", application=b"submit", user=b"a+b"),
    signed(b";EXPIRE=2030-01-01T00:00:00Z;URLAUTH=authuser", expire=1893456000),
]

INVALID = [
    # schemes
    (b"", "Relative URL not allowed"),
    (b"/INBOX/;UID=1", "Relative URL not allowed"),
    (b"//", "Relative URL not allowed"),
    (b"imap", "Relative URL not allowed"),
    (b"1map://h", "Relative URL not allowed"),
    (b"i" * 65 + b"://h", "Relative URL not allowed"),
    (b"i" * 64 + b"://h", "Not an IMAP URL"),
    (b"imaps://h", "Not an IMAP URL"),
    (b"http://h/", "Not an IMAP URL"),
    (b"imap:", "Absolute IMAP URL requires `//' after `imap:'"),
    (b"imap://", "Absolute IMAP URL requires `//' after `imap:'"),
    (b"imap:/a/b", "Absolute IMAP URL requires `//' after `imap:'"),
    # servers
    (b"imap:///a", "IMAP URL does not allow empty host identifier"),
    (b"imap://a@", "IMAP URL does not allow empty host identifier"),
    (b"imap://:143/", "IMAP URL does not allow empty host identifier"),
    (b"imap://a:b@h", "Stray ':' in userinfo `a:b'"),
    (b"imap://a;b@h", "Stray ';' in userinfo `a;b'"),
    (b"imap://a;AUTH=x:y@h", "Stray ':' in userinfo `a;AUTH=x:y'"),
    (b"imap://a;AUTH=x;y:z@h", "Stray ';' in userinfo `a;AUTH=x;y:z'"),
    (b"imap://a;AUTH=@h", "Empty auth-type value after ';AUTH='"),
    (b"imap://a%@h", "Unexpected URI boundary after '%'"),
    (b"imap://a%4@h", "Unexpected URI boundary after '%'"),
    (b"imap://a%4;AUTH=x@h", "Expecting hex digit after '%4', but found ';'"),
    (b"imap://%g0@h", "Expecting hex digit after '%', but found 'g'"),
    (b"imap://a;AUTH=%g0@h", "Expecting hex digit after '%', but found 'g'"),
    (b"imap://a%00@h", "Percent encoding is not allowed to encode NUL character"),
    (b"imap://-h/", "Invalid host identifier"),
    (b"imap://h_i/", "Invalid host identifier"),
    (b"imap://a..b/", "Invalid host identifier"),
    (b"imap://1.2.3.4.example/", "Invalid host identifier"),
    (b"imap://h\xff/", "Invalid host identifier"),
    (b"imap://h-", "Invalid domain label in hostname"),
    (b"imap://h-/", "Invalid domain label in hostname"),
    (b"imap://h-.x/", "Invalid domain label in hostname"),
    (b"imap://%68.x/", "Invalid domain label in hostname"),
    (b"imap://h:0", "Invalid port number"),
    (b"imap://h:65536/", "Invalid port number"),
    (b"imap://h:72817/", "Invalid port number"),
    (b"imap://h:99999999999999999999999/", "Invalid port number"),
    (b"imap://h:14x/", "Invalid host port"),
    (b"imap://[::1", "Expecting ']' at end of IP-literal"),
    (b"imap://[]", "Empty IPv6 host address"),
    (b"imap://[v1.x]", "Future IP host address 'v1.x' not supported"),
    (b"imap://[g::1]", "Invalid IPv6 host address 'g::1'"),
    # paths
    (SERVER + b"/%", "Unexpected URI boundary after '%'"),
    (SERVER + b"/%4", "Unexpected URI boundary after '%'"),
    (SERVER + b"/%4/x", "Expecting hex digit after '%4', but found '/'"),
    (SERVER + b"/%x4", "Expecting hex digit after '%', but found 'x'"),
    (SERVER + b"/%00", "Percent encoding is not allowed to encode NUL character"),
    (b"imap://alice@[::1\0]/", "Invalid IPv6 host address '::1\0'"),
    # mailboxes
    (SERVER + b"/a;b/;UID=1", "Encountered stray ';' in mailbox reference"),
    (SERVER + b"/a;UID=1", "Encountered stray ';' in mailbox reference"),
    (SERVER + b"/a;UIDVALIDITY=1;UID=2", "Encountered stray ';' after UIDVALIDITY"),
    (SERVER + b"/a;UIDVALIDITY=/;UID=2", "Empty UIDVALIDITY value"),
    (SERVER + b"/a;UIDVALIDITY=0/;UID=2", "UIDVALIDITY cannot be zero"),
    (SERVER + b"/a;UIDVALIDITY=x/;UID=2", "Value 'x' is not a valid IMAP number"),
    (SERVER + b"/a;UIDVALIDITY=4772185884", "IMAP number is too high"),
    (SERVER + b"/a;UIDVALIDITY=1/b", "Unexpected IMAP URL path segment: `b'"),
    (SERVER + b"/a;UIDVALIDITY=1//", "Unexpected IMAP URL path segment: `'"),
    # messages
    (SERVER + b"/a/;UID=", "Empty UID value"),
    (SERVER + b"/a/;UID=;URLAUTH=x", "Empty UID value"),
    (SERVER + b"/a/;UID=0", "UID cannot be zero"),
    (SERVER + b"/a/;UID=-1", "Value '-1' is not a valid IMAP number"),
    (SERVER + b"/a/;UID=4294967296", "IMAP number is too high"),
    (SERVER + b"/a/;UID=4772185884", "IMAP number is too high"),
    (SERVER + b"/a/;UID=12x", "IMAP number is too high"),
    (SERVER + b"/a/;UID=1;x/", "Encountered stray ';' in UID path segment"),
    (SERVER + b"/a/;UID=1/b", "Unexpected IMAP URL path segment: `b'"),
    (SERVER + b"/a/;X=" + b"y" * 78, "Unexpected IMAP URL path segment: `;X=" + "y" * 74 + "...'"),
    (SERVER + b"/a/;UID=1/;SECTION=", "Empty SECTION value"),
    (SERVER + b"/a/;UID=1/;SECTION=/", "Empty SECTION value"),
    (SERVER + b"/a/;UID=1/;SECTION=;URLAUTH=x", "Empty SECTION value"),
    (SERVER + b"/a/;UID=1/;SECTION=1;x/", "Encountered stray ';' in SECTION path segment"),
    (SERVER + b"/a/;UID=1/;SECTION=1/;X=", "Unexpected IMAP URL path segment: `;X='"),
    (SERVER + b"/a/;SECTION=1", "Unexpected IMAP URL path segment: `;SECTION=1'"),
    (SERVER + b"/a/;UID=1/;PARTIAL=", "Empty PARTIAL value"),
    (SERVER + b"/a/;UID=1/;PARTIAL=;x", "Empty PARTIAL value"),
    (SERVER + b"/a/;UID=1/;PARTIAL=1.", "Empty PARTIAL size"),
    (SERVER + b"/a/;UID=1/;PARTIAL=.1", "Empty PARTIAL offset"),
    (SERVER + b"/a/;UID=1/;PARTIAL=x.0", "PARTIAL size cannot be zero"),
    (SERVER + b"/a/;UID=1/;PARTIAL=x", "Value 'x' is not a valid IMAP number"),
    (SERVER + b"/a/;UID=1/;PARTIAL=1.2.3", "IMAP number is too high"),
    (SERVER + b"/a/;UID=1/;PARTIAL=18446744073709551616", "IMAP number is too high"),
    (SERVER + b"/a/;UID=1/;PARTIAL=1;x/b", "Unexpected IMAP URL path segment: `b'"),
    # extensions
    (SERVER + b"/a/;UID=1;x", "Unrecognized IMAP URL extension: ;x"),
    (SERVER + b"/a/;UID=1;" + b"x" * 80, "Unrecognized IMAP URL extension: ;" + "x" * 76 + "..."),
    (SERVER + b"/a/;UID=1;EXPIRE=2030-01-01", "Unrecognized IMAP URL extension: ;EXPIRE=2030-01-01"),
    (SERVER + b"/a/;UID=1;EXPIRE=2030-01-01T00:00:00Z;x", "`;EXPIRE=' without `;URLAUTH='"),
    (SERVER + b"/a/;UID=1;EXPIRE=2030;URLAUTH=x", "invalid date-time for `;EXPIRE='"),
    (SERVER + b"/a/;UID=1;URLAUTH=", "Missing URLAUTH access specifier"),
    (SERVER + b"/a/;UID=1;URLAUTH=:INTERNAL:" + TOKEN, "Empty URLAUTH access specifier"),
    (SERVER + b"/a/;UID=1;URLAUTH=+bob", "Empty URLAUTH access application"),
    (SERVER + b"/a/;UID=1;URLAUTH=User+", "Empty URLAUTH access user for `User' application"),
    (SERVER + b"/a/;UID=1;URLAUTH=user+:", "Empty URLAUTH access user for `user' application"),
    (SERVER + b"/a/;UID=1;URLAUTH=x:", "Missing URLAUTH verifier"),
    (SERVER + b"/a/;UID=1;URLAUTH=x:INTERNAL", "Missing URLAUTH token"),
    (SERVER + b"/a/;UID=1;URLAUTH=x:INTERNAL:", "Missing URLAUTH token"),
    (SERVER + b"/a/;UID=1;URLAUTH=x::", "Missing URLAUTH token"),
    (SERVER + b"/a/;UID=1;URLAUTH=x::" + TOKEN, "Missing URLAUTH mechanism"),
    (SERVER + b"/a/;UID=1;URLAUTH=x:INTERNAL:" + b"g" * 31, "Too short URLAUTH token"),
    (SERVER + b"/a/;UID=1;URLAUTH=x:INTERNAL:" + b"g" * 32, "Invalid URLAUTH token"),
    (SERVER + b"/a/;UID=1;URLAUTH=x:INTERNAL:" + b"0" * 33, "Invalid URLAUTH token"),
    (SERVER + b"/a/;UID=1;URLAUTH=x:INTERNAL:" + TOKEN + b":x", "Invalid URLAUTH token"),
    (SERVER + b"/a/;UID=1;URLAUTH=x:INTERNAL:" + TOKEN[:-1] + b"+", "Invalid URLAUTH token"),
    # query and fragment
    (SERVER + b"?x", "Search query part only valid for messagelist-type IMAP URL"),
    (SERVER + b"/a/;UID=1?x", "Search query part only valid for messagelist-type IMAP URL"),
    (SERVER + b"/a?", "Empty IMAP URL search query not allowed"),
    (SERVER + b"/a?%", "Unexpected URI boundary after '%'"),
    (SERVER + b"/a#", "Fragment component not allowed in IMAP URL"),
    (SERVER + b"/a?x#y", "Fragment component not allowed in IMAP URL"),
]

BAD_HEX = "Expecting hex digit after '%', but found "
BAD_BYTE = "{} component contains invalid character"

# The same URL, refused in other words since 2.4.
CHANGED = [
    (b"/a b", BAD_BYTE.format("Path"), BAD_BYTE.format("Path") + " ' '"),
    (SERVER + b"/a b", BAD_BYTE.format("Path"), BAD_BYTE.format("Path") + " ' '"),
    (SERVER + b"/a\0", BAD_BYTE.format("Path"), BAD_BYTE.format("Path") + " <0x00>"),
    (SERVER + b"/a\xe4", BAD_BYTE.format("Path"), BAD_BYTE.format("Path") + " <0xe4>"),
    (SERVER + b"/a?b^", BAD_BYTE.format("Query"), BAD_BYTE.format("Query") + " '^'"),
    (SERVER + b"/a#b#", BAD_BYTE.format("Fragment"), BAD_BYTE.format("Fragment") + " '#'"),
    (SERVER + b"/%\x01x", BAD_HEX + "'\x01'", BAD_HEX + "<0x01>"),
    (b"imap://%5f/", "(null)", "Invalid percent encoding in hostname"),
    (b"imap://a%5f/b c", BAD_BYTE.format("Path"), "Invalid percent encoding in hostname"),
    (b"imap://[1.2.3.4]/b c", "Invalid IPv6 host address '1.2.3.4'", BAD_BYTE.format("Path") + " ' '"),
]


@pytest.mark.parametrize("rules", [RULES_2_3, RULES_2_4], ids=["2.3", "2.4"])
@pytest.mark.parametrize(("url", "meaning"), VALID)
def test_valid(url: bytes, meaning: ImapURL, rules: URLRules) -> None:
    assert parse(url, rules) == meaning


@pytest.mark.parametrize("rules", [RULES_2_3, RULES_2_4], ids=["2.3", "2.4"])
@pytest.mark.parametrize(("url", "text"), INVALID)
def test_invalid(url: bytes, text: str, rules: URLRules) -> None:
    with pytest.raises(InvalidURL) as refused:
        parse(url, rules)
    assert refused.value.text == text


@pytest.mark.parametrize(("url", "old", "new"), CHANGED)
def test_words_changed_with_2_4(url: bytes, old: str, new: str) -> None:
    for rules, text in (RULES_2_3, old), (RULES_2_4, new):
        with pytest.raises(InvalidURL) as refused:
            parse(url, rules)
        assert refused.value.text == text


@pytest.mark.parametrize(
    ("url", "host"), [(b"imap://a%5f/", b"a%5f"), (b"imap://a%2eb/", b"a%2e.b"), (b"imap://a%2e", b"a%2e")]
)
def test_2_3_takes_other_encoded_bytes_in_a_host_as_they_are(url: bytes, host: bytes) -> None:
    assert parse(url, RULES_2_3).host == host
    with pytest.raises(InvalidURL, match="Invalid percent encoding in hostname"):
        parse(url, RULES_2_4)


@pytest.mark.parametrize("address", [b"1.2.3.4", b"08.1.1.1", b"1", b"0x7f.1", b"fe80::1%25"])
def test_2_4_takes_any_numeric_address_in_brackets(address: bytes) -> None:
    url = b"imap://[%s]/" % address
    assert parse(url, RULES_2_4).host == b"[%s]" % address
    with pytest.raises(InvalidURL, match="Invalid IPv6 host address"):
        parse(url, RULES_2_3)


NAMES = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name)


def encoded(name: bytes) -> bytes:
    return b"".join(b"%%%02X" % byte for byte in name)


@given(
    user=NAMES,
    mailbox=NAMES,
    uidvalidity=st.integers(0, 2**32 - 1),
    uid=st.integers(1, 2**32 - 1),
    section=st.none() | NAMES,
    partial=st.none() | st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1)),
    access_user=st.none() | NAMES,
    token=st.binary(min_size=16, max_size=40),
    rules=st.sampled_from([RULES_2_3, RULES_2_4]),
)
def test_what_is_written_is_read(
    user: bytes,
    mailbox: bytes,
    uidvalidity: int,
    uid: int,
    section: bytes | None,
    partial: tuple[int, int] | None,
    access_user: bytes | None,
    token: bytes,
    rules: URLRules,
) -> None:
    """Any name, percent-encoded, and any number come back from a URL as they were put in."""
    offset, size = partial or (0, 0)
    rump = b"imap://%s@h/%s" % (encoded(user), encoded(mailbox))
    rump += b";UIDVALIDITY=%d" % uidvalidity if uidvalidity else b""
    rump += b"/;UID=%d" % uid
    rump += b"/;SECTION=" + encoded(section) if section else b""
    rump += (b"/;PARTIAL=%d" % offset + (b".%d" % size if size else b"")) if partial else b""
    rump += b";URLAUTH=app" + (b"+" + encoded(access_user) if access_user else b"")
    assert parse(rump + b":INTERNAL:" + token.hex().encode(), rules) == ImapURL(
        user=user,
        auth_type=None,
        host=b"h",
        port=0,
        mailbox=mailbox,
        uidvalidity=uidvalidity,
        uid=uid,
        section=section,
        has_partial=partial is not None,
        partial_offset=offset,
        partial_size=size,
        access_application=b"app",
        access_user=access_user,
        rump=rump,
        mechanism=b"INTERNAL",
        token=token,
    )


@given(
    st.lists(
        st.sampled_from([*b"imap:// /;UID=1 ;URLAUTH= /;SECTION= /;PARTIAL= %41 %".split(), b"?", b"#", b"@"])
    )
)
def test_any_pieces_give_a_url_or_the_documented_error(pieces: list[bytes]) -> None:
    try:
        assert isinstance(parse(b"".join(pieces), RULES_2_3), ImapURL)
    except InvalidURL:
        pass


@pytest.mark.parametrize(
    "piece", [b"%41", b"/", b"/..", b"a/", b"%", b";", b"/;UID=1", b".", b"1.", b"a.", b"@", b"["]
)
@pytest.mark.parametrize("head", [b"", b"imap://", b"imap://h/", b"imap://h/a/;UID=1/;SECTION=", b"imap://h/a?"])
def test_a_long_url_takes_no_time(head: bytes, piece: bytes) -> None:
    """64 KiB of any piece is read in far less than the second that a quadratic step would take."""
    url = head + piece * (65536 // len(piece))
    start = time.process_time()
    try:
        parse(url, RULES_2_4)
    except InvalidURL:
        pass
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("host", [b"1", b"1.2", b"1.2.3"])
def test_a_url_that_ends_within_an_address(host: bytes) -> None:
    assert parse(b"imap://a@" + host, RULES_2_3).host == host


@pytest.mark.parametrize("host", [b"1x.example", b"1.2x", b"1-2.3"])
def test_a_host_name_that_begins_as_an_address(host: bytes) -> None:
    assert parse(b"imap://a@" + host + b"/INBOX", RULES_2_3).host == host
