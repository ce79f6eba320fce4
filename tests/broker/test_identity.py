"""What auth says about a user against the kernel's word."""

from __future__ import annotations

import pytest

from dovecot_urlauth.broker.identity import IdentityRefused, ServiceUsers, check_identity
from dovecot_urlauth.service.sockets import PeerCredentials
from dovecot_urlauth.wire.control import Access

BOB = {b"uid": b"5002", b"gid": b"5002", b"home": b"/home/bob", b"client_service": b"imap"}
BOBS_IMAP = PeerCredentials(pid=7, uid=5002, gid=5002)
USERS = ServiceUsers(submit=b"submitsrv", stream=b"streamsrv")


def identify(
    username: bytes = b"bob",
    fields: dict[bytes, bytes] = BOB,
    peer: PeerCredentials | None = BOBS_IMAP,
    users: ServiceUsers = USERS,
) -> Access | None:
    return check_identity(username, fields, peer, users, debug=False)


@pytest.mark.parametrize(
    ("username", "fields", "access"),
    [
        (b"bob", BOB, Access(b"bob", b"imap")),
        (b"bob", {**BOB, b"client_service": b"submission"}, Access(b"bob", b"submission")),
        (b"submitsrv", BOB, Access(b"submitsrv", b"imap", (b"submit+",))),
        (b"streamsrv", BOB, Access(b"streamsrv", b"imap", (b"stream",))),
        (b"SUBMITSRV", BOB, Access(b"SUBMITSRV", b"imap")),
        (b"anonymous", {**BOB, b"anonymous": b""}, Access(None, b"imap")),
        (b"submitsrv", {**BOB, b"anonymous": b""}, Access(None, b"imap")),
    ],
)
def test_access(username: bytes, fields: dict[bytes, bytes], access: Access) -> None:
    assert identify(username, fields) == access


@pytest.mark.parametrize("username", [b"bob", b""])
def test_no_user_has_the_applications_of_an_unset_setting(username: bytes) -> None:
    access = identify(username, users=ServiceUsers(b"", b""))
    assert access
    assert access.applications == ()


def test_a_userdb_without_uid_cannot_be_compared() -> None:
    fields = {name: value for name, value in BOB.items() if name not in (b"uid", b"gid")}
    assert identify(fields=fields, peer=PeerCredentials(7, 1, 1)) == Access(b"bob", b"imap")


@pytest.mark.parametrize(
    ("fields", "peer", "text"),
    [
        (
            BOB,
            PeerCredentials(7, 5003, 5003),
            "Peer's credentials (uid=5003) do not match the user that logged in (uid=5002).",
        ),
        (BOB, None, "Peer's credentials are missing."),
        (
            {k: v for k, v in BOB.items() if k != b"client_service"},
            BOBS_IMAP,
            "Auth did not yield required client_service field (BUG).",
        ),
        ({**BOB, b"uid": b"bob"}, BOBS_IMAP, "Invalid settings in userdb: Invalid uid in reply"),
        ({**BOB, b"uid": b"4294967295"}, BOBS_IMAP, "Invalid settings in userdb: Invalid uid in reply"),
        ({**BOB, b"gid": b"-1"}, BOBS_IMAP, "Invalid settings in userdb: Invalid gid in reply"),
    ],
)
def test_refusals(fields: dict[bytes, bytes], peer: PeerCredentials | None, text: str) -> None:
    with pytest.raises(IdentityRefused) as refused:
        identify(fields=fields, peer=peer)
    assert str(refused.value) == text
