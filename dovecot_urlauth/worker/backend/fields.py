"""The passdb's proxy fields (doc: Proxies; login-common/client-common-auth.c) as a backend to log in at."""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.wire.imaplogin import Credentials
from dovecot_urlauth.wire.number import decimal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

IMAP_PORT, IMAPS_PORT = 143, 993
MOST_SECONDS = 30.0
"""What a backend gets to answer where the fields name no time: Dovecot's proxies wait as long."""
ANY_CERTIFICATE = b"any-cert"


class Encryption(Enum):
    """When the connection is encrypted."""

    NONE = "never"
    AT_ONCE = "at once (imaps)"
    STARTTLS = "after STARTTLS"


class BackendUnusable(Exception):
    """The mail is elsewhere, and it is not said how to get there; ``str()`` says what is missing."""


@frozen
class Backend:
    """Where a user's mail is."""

    name: str
    """The host as it is named: what a certificate has to be for."""
    address: str
    """What is connected to."""
    port: int
    encryption: Encryption
    any_certificate: bool
    seconds: float
    credentials: Credentials


def backend_of(name: bytes, fields: Mapping[bytes, bytes]) -> Backend | None:
    """The backend of user ``name``, None when the mail is here.  Raises BackendUnusable.

    ``proxy_maybe`` is auth's to resolve: it leaves ``proxy`` behind, or takes it away.
    """
    if b"proxy" not in fields:
        return None
    user = fields.get(b"destuser") or fields.get(b"user") or name
    host = _text(fields.get(b"host", b""))
    if not host:
        raise BackendUnusable("the passdb returned proxy without a host")
    password = fields.get(b"pass")
    if not password:
        raise BackendUnusable(f"the passdb returned no password (pass) for backend {host}")
    encryption, any_certificate = _encryption(fields)
    usual = IMAPS_PORT if encryption is Encryption.AT_ONCE else IMAP_PORT
    return Backend(
        name=host,
        address=_text(fields.get(b"hostip") or b"") or host,
        port=_number(fields, b"port", usual, 65535),
        encryption=encryption,
        any_certificate=any_certificate,
        seconds=_seconds(fields.get(b"proxy_timeout", b"")),
        credentials=Credentials(user, fields.get(b"master", b""), password),
    )


def _encryption(fields: Mapping[bytes, bytes]) -> tuple[Encryption, bool]:
    """As in Dovecot the field itself counts, with one special value."""
    for name, encryption in ((b"starttls", Encryption.STARTTLS), (b"ssl", Encryption.AT_ONCE)):
        if name in fields:
            return encryption, fields[name] == ANY_CERTIFICATE
    return Encryption.NONE, False


def _number(fields: Mapping[bytes, bytes], name: bytes, usual: int, most: int) -> int:
    text = fields.get(name)
    if text is None:
        return usual
    number = decimal(text, most)
    if not number:
        raise BackendUnusable(f"the passdb returned an invalid {_text(name)}")
    return number


def _seconds(text: bytes) -> float:
    """``proxy_timeout``: seconds, or milliseconds with ``ms``."""
    unit = 1.0
    for suffix, factor in ((b"msecs", 0.001), (b"ms", 0.001), (b"secs", 1.0), (b"s", 1.0)):
        if text.endswith(suffix):
            text, unit = text.removesuffix(suffix).rstrip(), factor
            break
    number = decimal(text, 1_000_000)
    return min(number * unit, MOST_SECONDS) if number else MOST_SECONDS


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
