"""The token: known answers, keys that are none, and no byte of a signed URL that may be changed."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dovecot_urlauth.url import token
from dovecot_urlauth.url.imapurl import parse
from dovecot_urlauth.url.rules import RULES_2_3
from dovecot_urlauth.url.uri import InvalidURL

KEY = bytes(range(64))
RUMP = b"imap://alice@imap.example.test/INBOX/;UID=1;URLAUTH=user+bob"
# what GENURLAUTH of Dovecot 2.3.19.1 printed for RUMP in a mailbox whose key had been set to KEY
STOCK_TOKEN = b"01e7c728edb2c82842dced190af507bc77596355a9"


def signed(rump: bytes = RUMP, key: bytes = KEY) -> bytes:
    return rump + b":INTERNAL:" + token.mint(key, rump).hex().encode()


def test_the_token_of_the_stock_imap() -> None:
    assert token.mint(KEY, RUMP).hex().encode() == STOCK_TOKEN


@given(st.binary(min_size=64, max_size=64), st.binary())
def test_mint_is_version_and_hmac_sha1(key: bytes, rump: bytes) -> None:
    assert token.mint(key, rump) == b"\x01" + hmac.digest(key, rump, hashlib.sha1)


@pytest.mark.parametrize("size", [0, 1, 63, 65, 128])
def test_no_token_from_a_key_of_another_size(size: int) -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        token.mint(bytes(size), RUMP)


def test_verify() -> None:
    assert token.verify(parse(signed(), RULES_2_3), KEY)
    assert token.verify(parse(signed().replace(b":INTERNAL:", b":Internal:"), RULES_2_3), KEY)


@pytest.mark.parametrize("key", [None, b"", bytes(64), KEY[:-1], KEY + b"\0", KEY[::-1]])
def test_another_key_or_none(key: bytes | None) -> None:
    assert not token.verify(parse(signed(), RULES_2_3), key)


@pytest.mark.parametrize("key", [b"", bytes(64), KEY[:-1]])
def test_a_token_made_with_a_broken_key_is_worth_nothing_without_a_key(key: bytes) -> None:
    forged = b"01" + hmac.digest(key, RUMP, hashlib.sha1).hex().encode()
    assert not token.verify(parse(RUMP + b":INTERNAL:" + forged, RULES_2_3), None)
    if len(key) != token.KEY_SIZE:
        assert not token.verify(parse(RUMP + b":INTERNAL:" + forged, RULES_2_3), key)


def test_not_even_a_token_of_the_key_that_stands_in_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token, "random_key", lambda: KEY)
    assert token.verify(parse(signed(), RULES_2_3), KEY)
    assert not token.verify(parse(signed(), RULES_2_3), None)


@pytest.mark.parametrize("digits", [b"01" * 16, b"01" * 20, b"01" * 22, b"00" * 21])
def test_tokens_of_other_length_or_version(digits: bytes) -> None:
    assert not token.verify(parse(RUMP + b":INTERNAL:" + digits, RULES_2_3), KEY)
    assert not token.verify(parse(signed() + b"00", RULES_2_3), KEY)
    assert not token.verify(parse(signed().replace(b":INTERNAL:01", b":INTERNAL:00"), RULES_2_3), KEY)


def test_an_unsigned_url() -> None:
    assert not token.verify(parse(RUMP, RULES_2_3), KEY)
    assert not token.verify(parse(b"imap://alice@h/INBOX/;UID=1", RULES_2_3), KEY)


@given(st.integers(0, len(signed()) - 1), st.integers(0, 255))
def test_every_changed_byte_is_noticed(at: int, byte: int) -> None:
    """Whatever byte of a signed URL is changed: refused, but for the letter case of mechanism and digits."""
    good = signed()
    bad = good[:at] + bytes((byte,)) + good[at + 1 :]
    if bad[: len(RUMP)] == RUMP and bad[len(RUMP) :].lower() == good[len(RUMP) :].lower():
        return
    try:
        url = parse(bad, RULES_2_3)
    except InvalidURL:
        return
    is_internal = url.mechanism is not None and url.mechanism.lower() == b"internal"
    assert not (is_internal and token.verify(url, KEY))


@given(st.integers(0, len(RUMP) - 1), st.sampled_from(["delete", "double", "percent", "case"]))
def test_every_other_spelling_of_the_rump_is_noticed(at: int, how: str) -> None:
    """The token signs the text as received: no normal form is the same URL."""
    byte = RUMP[at : at + 1]
    spelled = {"delete": b"", "double": byte * 2, "percent": b"%%%02x" % byte[0], "case": byte.swapcase()}[how]
    other = RUMP[:at] + spelled + RUMP[at + 1 :]
    if other == RUMP:
        return
    try:
        url = parse(other + signed()[len(RUMP) :], RULES_2_3)
    except InvalidURL:
        return
    assert not token.verify(url, KEY)


def test_random_keys_differ() -> None:
    keys = {token.random_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {64}
