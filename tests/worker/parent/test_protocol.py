"""What parent and child say: packed on one side, and understood on the other."""

from __future__ import annotations

import pytest

from dovecot_urlauth.service.sockets import PeerCredentials
from dovecot_urlauth.wire.control import Access
from dovecot_urlauth.worker.parent import protocol
from dovecot_urlauth.worker.parent.protocol import (
    CLIENT,
    CONNECTION,
    FORMATS,
    KEEP,
    KEY_SIZE,
    MESSAGE_LIMIT,
    NAMES,
    RESTING,
    GivenClient,
    GivenConnection,
    offer_parts,
    pack_connection,
    pack_gone,
    pack_offer,
    pack_resting,
    parse_given,
    parse_gone,
    parse_resting,
)

PEER = PeerCredentials(pid=7, uid=102, gid=105)
KEY = bytes(range(KEY_SIZE))
BOB = Access(b"bob", b"imap", (b"stream",), True)


def test_a_connection_goes_with_its_peer() -> None:
    assert parse_given(pack_connection(PEER)) == GivenConnection(PEER)


@pytest.mark.parametrize("name", [b"alice", b"", b"a\nb\tc", b"\xff" * 1000])
@pytest.mark.parametrize("access", [BOB, Access(None, b"submission")], ids=["bob", "anonymous"])
def test_an_offer_becomes_a_client(name: bytes, access: Access) -> None:
    offer = pack_offer(KEY, name, access)
    assert len(offer) < MESSAGE_LIMIT
    key, client = offer_parts(offer)
    assert key == KEY
    assert parse_given(client) == GivenClient(name, access)


@pytest.mark.parametrize("message", [b"", KEEP, CONNECTION, CONNECTION + b"x" * 11, CLIENT, CLIENT + b"\0"])
def test_anything_else_gives_no_client(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"too short|gives no client"):
        parse_given(message)


@pytest.mark.parametrize("kept_as", FORMATS)
def test_a_client_that_is_gone_leaves_a_format(kept_as: str) -> None:
    assert parse_gone(pack_gone(7, kept_as)) == (7, kept_as)
    assert parse_resting(pack_resting(kept_as)) == kept_as


def test_or_none() -> None:
    assert [parse_gone(pack_gone(7, other)) for other in ("", "imapc")] == [(7, ""), (7, "")]
    assert [parse_gone(pack_gone(7) + bytes([kept_as])) for kept_as in (len(FORMATS), 255)] == [(7, ""), (7, "")]
    assert [parse_resting(RESTING + kept_as) for kept_as in (b"", bytes([len(FORMATS)]))] == ["", ""]


def test_no_letter_is_used_twice() -> None:
    words = {name: value for name, value in vars(protocol).items() if name in NAMES.values()}
    assert {value: name for name, value in words.items()} == NAMES
    assert {len(word) for word in NAMES} == {1}
