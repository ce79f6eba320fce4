"""The INTERNAL mechanism's token: HMAC-SHA1 of the rump URL under the mailbox key (RFC 4467, RFC 2104)."""

from __future__ import annotations

import os
from _operator import _compare_digest as equal_in_constant_time

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
    # hmac and hashlib load OpenSSL, 6 ms in a process that lives for one request; the interpreter's
    # own SHA-1 takes 0.06 ms.
    from _sha1 import sha1  # type: ignore[import-not-found]

    if len(key) != KEY_SIZE:
        raise ValueError(f"a mailbox key has {KEY_SIZE} bytes")
    inner = sha1(key.translate(INNER_PAD) + rump).digest()
    return VERSION + bytes(sha1(key.translate(OUTER_PAD) + inner).digest())


def verify(url: ImapURL, key: bytes | None) -> bool:
    """Whether the URL's token was minted with this mailbox key (64 raw bytes).

    With no key, or one of another size, the answer is False after the same work, so that time does
    not tell a missing mailbox from a wrong token (RFC 4467, section 8).
    """
    stored = key if key is not None and len(key) == KEY_SIZE else None
    expected = mint(stored or random_key(), url.rump or b"")
    return equal_in_constant_time(expected, url.token or b"") and stored is not None
