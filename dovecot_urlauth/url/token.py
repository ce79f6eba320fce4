"""The INTERNAL mechanism's token: HMAC-SHA1 of the rump URL under the mailbox key (RFC 4467, RFC 2104)."""

from __future__ import annotations

import os

from dovecot_urlauth.start.digest import compare_digest, sha1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.url.imapurl import ImapURL

VERSION = b"\x01"  # IMAP_URLAUTH_MECH_INTERNAL_VERSION
KEY_SIZE = 64  # IMAP_URLAUTH_KEY_LEN; also SHA-1's block size, so HMAC uses the key as it is
TOKEN_SIZE = 21  # the version and 20 bytes of SHA-1

INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))


def random_key() -> bytes:
    """A key that no mailbox has."""
    return os.urandom(KEY_SIZE)


def mint(key: bytes, rump: bytes) -> bytes:
    """The token of the rump URL, :data:`TOKEN_SIZE` bytes: a version byte and the HMAC."""
    if len(key) != KEY_SIZE:
        raise ValueError(f"a mailbox key has {KEY_SIZE} bytes")
    inner = sha1(key.translate(INNER_PAD) + rump)
    return VERSION + sha1(key.translate(OUTER_PAD) + inner)


def verify(url: ImapURL, key: bytes | None) -> bool:
    """Whether the URL's token was minted with this mailbox key (64 raw bytes).

    With no key, or one of another size, the answer is False after the same work, so that time does
    not tell a missing mailbox from a wrong token (RFC 4467, section 8).
    """
    stored = key if key is not None and len(key) == KEY_SIZE else None
    expected = mint(stored or random_key(), url.rump or b"")
    return compare_digest(expected, url.token or b"") and stored is not None
