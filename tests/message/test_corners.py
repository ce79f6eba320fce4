"""What few messages have: limits, long tokens, and parts that end where nobody would end them."""

from __future__ import annotations

import pytest

from dovecot_urlauth.message import binary, body, contentfields, structure, tree
from dovecot_urlauth.message.address import addresses
from dovecot_urlauth.message.errors import ReadError, TooLarge, Undecodable
from dovecot_urlauth.message.fetch import Request, fetch
from dovecot_urlauth.message.idna import shown as shown_domain
from dovecot_urlauth.message.rules import RULES_2_4_5
from dovecot_urlauth.message.source import BytesSource
from dovecot_urlauth.message.steps import run_through
from dovecot_urlauth.message.tokens import Tokenizer
from tests.message.asking import ask, body_of, decoded, structure_of

ENCODED = b"Content-Transfer-Encoding: base64\n\n" + b"QUFB\n" * 10
DIGEST = b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\ny\n--b--\n"


def written(value: bytes) -> bytes:
    return b"".join(address.write() for address in addresses(value, RULES_2_4_5))


def test_a_group_that_breaks_off_behind_a_comma() -> None:
    assert written(b"g: a@b, (c") == b'(NIL NIL "g" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL)'


@pytest.mark.parametrize("route", [b"<@a, ", b"<@[a", b"<@"])
def test_a_route_that_breaks_off(route: bytes) -> None:
    assert b"INVALID_ROUTE" in written(route)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"<a@[b", b'(NIL NIL "a" "SYNTAX_ERROR")'),
        (b"<a@>", b'(NIL NIL "a" "SYNTAX_ERROR")'),
        (b"<a..", b'(NIL NIL "a.." "SYNTAX_ERROR")'),
        (b"a.", b'(NIL NIL "a." "MISSING_DOMAIN")'),
    ],
)
def test_an_address_that_breaks_off(value: bytes, shown: bytes) -> None:
    assert written(value) == shown


def test_a_domain_whose_label_is_too_long_stays_as_it_is() -> None:
    domain = b"xn--mnchen-3ya." + b"a" * 64
    assert shown_domain(domain) == domain


def test_a_line_end_that_two_pieces_share(monkeypatch: pytest.MonkeyPatch) -> None:
    assert b"".join(body.crlf([b"a\r", b"\nb\n"])) == b"a\r\nb\r\n"
    monkeypatch.setattr(body, "CHUNK", 1)
    text = b"a\r\nb\n"
    assert run_through(body.virtual_size(BytesSource(text), 0, len(text))) == len(b"a\r\nb\r\n")


@pytest.mark.parametrize("behind", [b"YQ==", b"x", b"==="])
def test_padding_is_the_end(monkeypatch: pytest.MonkeyPatch, behind: bytes) -> None:
    monkeypatch.setattr(body, "CHUNK", 4)
    with pytest.raises(Undecodable):
        decoded(b"Content-Transfer-Encoding: base64\n\nYQ==" + behind)


@pytest.mark.parametrize("blank", [b" ", b"\t", b"\r\n "])
def test_a_name_of_many_words(blank: bytes) -> None:
    words = [b"word%d." % number for number in range(1200)]
    (address,) = addresses(blank.join(words) + b' "q" <a@b>', RULES_2_4_5)
    assert address.name == b" ".join([*words, b"q"])
    assert (address.mailbox, address.domain) == (b"a", b"b")


def test_a_name_of_one_long_word_among_many() -> None:
    words = [b"short"] * 300 + [b"x" * 10_000] + [b"short"] * 300
    (address,) = addresses(b" ".join(words) + b" <a@b>", RULES_2_4_5)
    assert address.name == b" ".join(words)


@pytest.mark.parametrize("inside", [b"x", b"(y)", b"\\)", b"\r\n", b"\0"])
@pytest.mark.parametrize("place", [0, 1, 1023, 1024, 5000, 9998])
def test_long_comments_and_what_stands_in_them(inside: bytes, place: int) -> None:
    around = (b"(a)" * 4000)[:9999]
    text = around[: place - place % 3] + inside + around[place - place % 3 :]
    comment = bytearray()
    tokens = Tokenizer(b"(" + text + b") word", nul=b"?", comment=comment)
    into = bytearray()
    tokens.skip()
    tokens.atom(into)
    assert into == b"word"
    shown = {b"\\)": b")", b"\r\n": b"", b"\0": b"?"}.get(inside, inside)
    assert comment == around[: place - place % 3] + shown + around[place - place % 3 :]


def test_a_long_domain_in_brackets_ends_at_a_second_bracket() -> None:
    tokens = Tokenizer(b"@[" + b"x" * 6000 + b"[" + b"x" * 6000 + b"]")
    assert tokens.domain(bytearray()) < 0
    assert tokens.position == 6002


def test_headers_that_run_on_are_given_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binary, "OVERRUN_LIMIT", -1000)
    with pytest.raises(TooLarge):
        decoded(ENCODED)


def test_what_is_decoded_twice_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = decoded(ENCODED)
    monkeypatch.setattr(binary, "KEPT_LIMIT", 5)
    assert decoded(ENCODED) == kept
    assert kept.endswith(b"AAA" * 10)


class CutSource(BytesSource):
    """A message that is shorter than its store says."""

    @property
    def size(self) -> int:
        return 1000


def test_a_message_that_ends_too_soon() -> None:
    content = fetch(CutSource(b"x\n"), Request(b""), RULES_2_4_5, virtual_size=1000)
    with pytest.raises(ReadError):
        list(content.chunks)


def test_of_fields_that_come_twice_the_first_counts() -> None:
    fields = b"Content-Disposition: inline; a=b\nContent-Disposition: attachment\n"
    languages = b"Content-Language: en, de\nContent-Language: fr\n"
    described = structure_of(b"MIME-Version: 1.0\n" + fields + languages + b"\nx\n")
    assert b'("inline" ("a" "b")) ("en" "de")' in described


def test_limits_of_a_structure(monkeypatch: pytest.MonkeyPatch) -> None:
    message = b"MIME-Version: 1.0\nContent-Language: a, b, c, d\n\nx\n"
    with monkeypatch.context() as patched:
        patched.setattr(contentfields, "_MAX_LANGUAGES", 2)
        with pytest.raises(TooLarge):
            ask(message, structure=True)
    with monkeypatch.context() as patched:
        patched.setattr(structure, "STRUCTURE_LIMIT", 10)
        with pytest.raises(TooLarge):
            ask(message, structure=True)
    with monkeypatch.context() as patched:
        patched.setattr(tree, "KEPT_LIMIT", 100)
        with pytest.raises(TooLarge):
            ask(message, structure=True)
    assert b'("a" "b" "c" "d")' in structure_of(message)


def test_a_digest_that_lies_too_deep(monkeypatch: pytest.MonkeyPatch) -> None:
    assert structure_of(DIGEST).startswith(b'("message" "rfc822"')
    monkeypatch.setattr(tree, "MAX_NESTED", 2)
    assert structure_of(DIGEST).startswith(b'("application" "octet-stream"')


def test_a_line_end_across_two_pieces() -> None:
    message = b"Subject: x\r\n\r\n"
    message += b"y" * (4095 - len(message)) + b"\r\nz\r\n"
    assert message.index(b"\n", 100) == 4096
    assert b'"7bit" %d 2 ' % (len(message) - 14) in structure_of(message)


def test_a_carriage_return_in_much_white_space() -> None:
    text = b"Content-Transfer-Encoding: quoted-printable\n\nx" + b" " * 300 + b"\r" + b" " * 300
    with pytest.raises(Undecodable):
        decoded(text)


@pytest.mark.parametrize("size", [1, 2, 8, 9, 100])
def test_a_name_is_cut_at_its_nul_wherever_pieces_end(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(body, "CHUNK", size)
    assert body_of(b"Subject\0x: y\n\n", b"HEADER.FIELDS (subject)") == b"Subject: y\r\n\r\n"


def test_a_whole_message_with_its_structure() -> None:
    content = ask(b"Subject: x\n\ny\n", body=True, structure=True)
    assert b"".join(content.chunks) == b"Subject: x\r\n\r\ny\r\n"
    assert content.structure == structure_of(b"Subject: x\n\ny\n")


@pytest.mark.parametrize("domain", ["\u0301x.example", "x.\u0301.example", "\xe9!.example", "\xe9\u2028.example"])
def test_a_domain_of_letters_that_it_must_not_have_stays_as_it_is(domain: str) -> None:
    (address,) = addresses(b"a@" + domain.encode(), RULES_2_4_5)
    assert address.domain == domain.encode()


def test_fields_of_a_part_that_is_not_there() -> None:
    assert body_of(b"Subject: x\n\ny\n", b"2.HEADER.FIELDS (subject)") == b""


def test_nothing_is_asked() -> None:
    content = ask(b"Subject: x\n\ny\n")
    assert (content.size, content.structure, list(content.chunks)) == (0, None, [])
