"""What auth says about a user, checked against the kernel's word (imap-urlauth.c, login_client_connected)."""

from __future__ import annotations

import os

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.wire.control import Access

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dovecot_urlauth.service.sockets import PeerCredentials

SUBMIT_APPLICATION = b"submit+"
STREAM_APPLICATION = b"stream"


class IdentityRefused(Exception):
    """The client may not be served; the text is the error line."""


@frozen
class ServiceUsers:
    """imap_urlauth_submit_user and imap_urlauth_stream_user; empty means nobody."""

    submit: bytes
    stream: bytes


def check_identity(
    username: bytes,
    fields: Mapping[bytes, bytes],
    peer: PeerCredentials | None,
    users: ServiceUsers,
    *,
    debug: bool,
) -> Access:
    """Return what the worker is told of the client.

    ``fields`` are those of auth's USER reply, ``peer`` the credentials of the client's socket.
    Raises IdentityRefused.
    """
    uid = _number(fields, b"uid")
    _number(fields, b"gid")
    if uid is not None:
        _check_peer(peer, uid)
    service = fields.get(b"client_service")
    if not service:
        raise IdentityRefused("Auth did not yield required client_service field (BUG).")
    if b"anonymous" in fields:
        return Access(None, service, (), debug)
    return Access(username, service, _applications(username, users), debug)


def _check_peer(peer: PeerCredentials | None, uid: int) -> None:
    if peer is None:
        raise IdentityRefused("Peer's credentials are missing.")
    if peer.uid != uid:
        raise IdentityRefused(
            f"Peer's credentials (uid={peer.uid}) do not match the user that logged in (uid={uid})."
        )


def _applications(username: bytes, users: ServiceUsers) -> tuple[bytes, ...]:
    applications = []
    if users.submit and username == users.submit:
        applications.append(SUBMIT_APPLICATION)
    if users.stream and username == users.stream:
        applications.append(STREAM_APPLICATION)
    return tuple(applications)


def _number(fields: Mapping[bytes, bytes], name: bytes) -> int | None:
    text = fields.get(name)
    if text is None:
        return None
    if not text.isdigit() or int(text) > 0xFFFFFFFE:
        raise IdentityRefused(f"Invalid settings in userdb: Invalid {os.fsdecode(name)} in reply")
    return int(text)
