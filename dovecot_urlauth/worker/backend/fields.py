"""A backend to log in at: the passdb's proxy fields (login-common/client-common-auth.c), or imapc's settings."""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.wire.imaplogin import Credentials
from dovecot_urlauth.wire.number import decimal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dovecot_urlauth.config.imapc_settings import ImapcSettings

IMAP_PORT, IMAPS_PORT = 143, 993
MOST_SECONDS = 30.0
"""What a backend gets to answer where the fields name no time: Dovecot's proxies wait as long."""
ANY_CERTIFICATE = b"any-cert"


class Encryption(Enum):
    """When the connection is encrypted."""

    NONE = "never"
    AT_ONCE = "at once (imaps)"
    STARTTLS = "after STARTTLS"


IMAPC_SSL = {"no": Encryption.NONE, "imaps": Encryption.AT_ONCE, "starttls": Encryption.STARTTLS}
"""The values of imapc_ssl."""


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


def backend_of_imapc(settings: ImapcSettings) -> Backend:
    """The backend that the driver imapc reads.  Raises BackendUnusable."""
    if not settings.host:
        raise BackendUnusable("imapc_host is not set")
    if not settings.password:
        raise BackendUnusable(f"imapc_password is not set for backend {settings.host}")
    encryption = IMAPC_SSL[settings.encryption]
    return Backend(
        name=settings.host,
        address=settings.host,
        port=settings.port or (IMAPS_PORT if encryption is Encryption.AT_ONCE else IMAP_PORT),
        encryption=encryption,
        any_certificate=not settings.verifies,
        seconds=MOST_SECONDS,
        credentials=Credentials(_bytes(settings.user), _bytes(settings.master), _bytes(settings.password)),
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


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
