"""Address lists as envelopes show them: each line was answered by the stock workers in these words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.message import address
from dovecot_urlauth.message.address import LONGEST_ADDRESS, addresses
from dovecot_urlauth.message.envelope import EnvelopeWriter
from dovecot_urlauth.message.errors import TooLarge
from dovecot_urlauth.message.idna import shown
from dovecot_urlauth.message.rules import RULES_2_3_19_DEBIAN, RULES_2_4_5, MessageRules
from dovecot_urlauth.message.steps import run_through
from tests.message.imaplist import read


def written(text: bytes) -> bytes:
    return b"".join(each.write() for each in addresses(text, RULES_2_3_19_DEBIAN))


@pytest.mark.parametrize(
    ("text", "envelope"),
    [
        (b"", b""),
        (b"a@b", b'(NIL NIL "a" "b")'),
        (b"a@b, c@d", b'(NIL NIL "a" "b")(NIL NIL "c" "d")'),
        (b"A  B\t<a@b>", b'("A B" NIL "a" "b")'),
        (b'" A  B " <a@b>', b'("A B" NIL "a" "b")'),
        (b'"A \\"q\\" B" <a@b>', b'({7}\r\nA "q" B NIL "a" "b")'),
        (b"(old) a@b (new)", b'("new" NIL "a" "b")'),
        (b"\xe4 <a@b>", b'({1}\r\n\xe4 NIL "a" "b")'),
        (b"<@x,@y:a@b>", b'(NIL "@x,@y" "a" "b")'),
        (b"<@x a@b>", b'(NIL "INVALID_ROUTE" "a" "b")'),
        (b"g: a@b, c@d;", b'(NIL NIL "g" NIL)(NIL NIL "a" "b")(NIL NIL "c" "d")(NIL NIL NIL NIL)'),
        (b"g:;", b'(NIL NIL "g" NIL)(NIL NIL NIL NIL)'),
        (b"a", b'(NIL NIL "a" "MISSING_DOMAIN")'),
        (b"a b c", b'("a b c" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")'),
        (b"<>", b'(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")'),
        (b"<a@b", b'(NIL NIL "a" "SYNTAX_ERROR")'),
        (b"a@[1.2.3.4]", b'(NIL NIL "a" "[1.2.3.4]")'),
        (b".a..b.@c", b'(NIL NIL ".a..b." "c")'),
        (b'"a b"@c', b'(NIL NIL "a b" "c")'),
        (b"a . b @ c . d", b'("a. b" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")'),
        (b"a@b c", b'(NIL NIL "a" "b")'),
        (b'"a\0b" <c@d>', b'({5}\r\na\xef\xbf\xbdb NIL "c" "d")'),
    ],
)
def test_written(text: bytes, envelope: bytes) -> None:
    assert written(text) == envelope


@given(st.text(st.sampled_from('a,:;<>@."\\() [\n')).map(str.encode))
def test_any_text_is_a_list(text: bytes) -> None:
    for each in addresses(text, RULES_2_3_19_DEBIAN):
        written = each.write()
        assert written.startswith(b"(")
        assert written.endswith(b" NIL)") == (each.domain is None)


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        (b"EXAMPLE.Com", b"example.com"),
        (b"xn--4ca.DE", "ä.de".encode()),
        ("Ä.de".encode(), "ä.de".encode()),
        (b"xn--.de", b"xn--.de"),
        (b"xn--abc-.de", b"xn--abc-.de"),
        (b"\xe4.DE", b"\xe4.DE"),
        (b"A..B", b"A..B"),
        (b"A!B", b"A!B"),
        (b"A" * 64, b"A" * 64),
    ],
)
def test_domains_for_people(domain: bytes, text: bytes) -> None:
    assert shown(domain) == text
    (address,) = addresses(b"x@" + domain, RULES_2_4_5) if b".." not in domain else (None,)
    assert address is None or address.domain == text


@given(st.text("aäÄ.-xn\xad\u3002\u0301A1_").map(str.encode) | st.binary(max_size=80))
def test_any_domain_is_shown(domain: bytes) -> None:
    text = shown(domain)
    assert text == domain or (text.decode() and len(text) <= 4 * len(domain) + 4)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"date", b"subject", b"from", b"to", b"in-reply-to", b"message-id", b"x"]),
            st.binary(max_size=30),
        )
    ),
    st.sampled_from([RULES_2_3_19_DEBIAN, RULES_2_4_5]),
)
def test_any_fields_are_an_envelope(fields: list[tuple[bytes, bytes]], rules: MessageRules) -> None:
    date, subject, *lists, in_reply_to, message_id = read(run_through(EnvelopeWriter(rules).write(fields)))
    assert len(lists) == 6
    assert all(isinstance(text, bytes | None) for text in (date, subject, in_reply_to, message_id))
    for entries in lists:
        assert entries is None or isinstance(entries, list)
        assert all(len(entry) == 4 for entry in entries or [])


@pytest.mark.parametrize("lead", [b"", b"a@b, ", b"group: ", b"group: a@b, "])
@pytest.mark.parametrize(
    ("first", "more"),
    [(b"", b'""'), (b"", b'a "b" '), (b"<", b"@a,"), (b"", b"a(a)"), (b"", b"a."), (b'"', b"\\a"), (b"", b"(a)"),
     (b"", b"a "), (b"", b"a"), (b"", b" "), (b"a@", b"a.")],
)  # fmt: skip
def test_one_address_may_not_be_endless(first: bytes, more: bytes, lead: bytes) -> None:
    """It is one step, in which nobody else has a turn."""
    with pytest.raises(TooLarge):
        list(addresses(lead + first + more * (2 * LONGEST_ADDRESS // len(more)), RULES_2_4_5))


@given(st.lists(st.sampled_from([*b'a@.,:;<>()\\" ']), max_size=60).map(bytes))
def test_the_limit_changes_no_answer(text: bytes) -> None:
    """What is read within the limit is what is read without one."""

    def read_with(limit: int) -> list[bytes] | None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(address, "LONGEST_ADDRESS", limit)
            try:
                return [each.write() for each in addresses(text, RULES_2_4_5)]
            except TooLarge:
                return None

    assert read_with(12) in (None, read_with(1000))


def test_a_list_of_addresses_may_be_long() -> None:
    one = b"(" + b"c" * 200 + b") " + b"a" * 100 + b" <a@b>"
    value = b", ".join([one] * (3 * LONGEST_ADDRESS // len(one)))
    assert len(value) > 2 * LONGEST_ADDRESS
    assert len(list(addresses(value, RULES_2_4_5))) == value.count(b"@")
    group = b"g: " + value + b";, " + one
    assert len(list(addresses(group, RULES_2_4_5))) == value.count(b"@") + 3
