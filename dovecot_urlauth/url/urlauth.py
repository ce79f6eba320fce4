"""The URLAUTH extension of an IMAP URL (RFC 4467, section 9).

    [;EXPIRE=date-time];URLAUTH=access[:mechanism:token]

Texts and order of errors are those of lib-imap/imap-url.c.
"""

from __future__ import annotations

from binascii import Error as NotHex
from binascii import unhexlify

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.url.expire import InvalidDateTime, parse_date_time
from dovecot_urlauth.url.path import shorten
from dovecot_urlauth.url.uri import InvalidURL, decode, show

EXPIRE = b";EXPIRE="
URLAUTH = b";URLAUTH="
TOKEN_DIGITS_MIN = 32  # enc-urlauth = 32*HEXDIG


@frozen
class Verifier:
    """The mechanism and the token (binary) that it signed the rump URL with."""

    mechanism: bytes
    token: bytes


@frozen
class URLAuth:
    """Until when (Unix time), for whom, and the proof; ``unsigned`` counts the bytes after the rump URL."""

    expire: int | None = None
    application: bytes | None = None
    user: bytes | None = None
    unsigned: int = 0
    verifier: Verifier | None = None


NO_URLAUTH = URLAuth()


def parse_urlauth(extension: bytes) -> URLAuth:
    """Read the extension with its leading ``;``; raises :class:`InvalidURL`."""
    expire, rest = _parse_expire(extension)
    if rest[: len(URLAUTH)].upper() != URLAUTH:
        if expire is not None:
            raise InvalidURL("`;EXPIRE=' without `;URLAUTH='")
        raise InvalidURL(f"Unrecognized IMAP URL extension: {shorten(extension)}")
    access, colon, verifier = rest[len(URLAUTH) :].partition(b":")
    application, user = _parse_access(access, bool(colon))
    if not colon:
        return URLAuth(expire, application, user, 0, None)
    return URLAuth(expire, application, user, len(colon + verifier), _parse_verifier(verifier))


def _parse_expire(extension: bytes) -> tuple[int | None, bytes]:
    if extension[: len(EXPIRE)].upper() != EXPIRE:
        return None, extension
    date_time, semicolon, rest = extension[len(EXPIRE) :].partition(b";")
    if not semicolon:
        return None, b""  # nobody looks at a date that stands alone
    try:
        return parse_date_time(date_time), semicolon + rest
    except InvalidDateTime as error:
        raise InvalidURL("invalid date-time for `;EXPIRE='") from error


def _parse_access(access: bytes, has_verifier: bool) -> tuple[bytes, bytes | None]:
    if not access:
        raise InvalidURL(f"{'Empty' if has_verifier else 'Missing'} URLAUTH access specifier")
    application, plus, user = access.partition(b"+")
    if not plus:
        return application, None
    if not application:
        raise InvalidURL("Empty URLAUTH access application")
    if not user:
        raise InvalidURL(f"Empty URLAUTH access user for `{show(application)}' application")
    return application, decode(user)


def _parse_verifier(text: bytes) -> Verifier:
    if not text:
        raise InvalidURL("Missing URLAUTH verifier")
    mechanism, _, digits = text.partition(b":")
    if not digits:
        raise InvalidURL("Missing URLAUTH token")
    if not mechanism:
        raise InvalidURL("Missing URLAUTH mechanism")
    if len(digits) < TOKEN_DIGITS_MIN:
        raise InvalidURL("Too short URLAUTH token")
    try:
        return Verifier(mechanism, unhexlify(digits))
    except NotHex as error:
        raise InvalidURL("Invalid URLAUTH token") from error
