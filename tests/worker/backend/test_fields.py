"""What a passdb says of a proxy, as a backend."""

from __future__ import annotations

import pytest

from dovecot_urlauth.config.imapc_settings import ImapcSettings
from dovecot_urlauth.wire.imaplogin import Credentials
from dovecot_urlauth.worker.backend.fields import (
    MOST_SECONDS,
    Backend,
    BackendUnusable,
    Encryption,
    backend_of,
    backend_of_imapc,
)

LEAST = {b"proxy": b"", b"host": b"b2", b"pass": b"secret"}


def backend(**fields: bytes) -> Backend:
    found = backend_of(b"Alice", {**LEAST, **{name.encode(): value for name, value in fields.items()}})
    assert found is not None
    return found


def test_the_mail_is_here() -> None:
    assert backend_of(b"alice", {}) is None
    assert backend_of(b"alice", {b"user": b"alice", b"host": b"b2", b"pass": b"x", b"proxy_maybe": b""}) is None


def test_the_least_that_can_be_said() -> None:
    credentials = Credentials(b"Alice", b"", b"secret")
    assert backend() == Backend("b2", "b2", 143, Encryption.NONE, False, MOST_SECONDS, credentials)


def test_who_logs_in() -> None:
    assert backend(user=b"alice").credentials.user == b"alice"
    assert backend(user=b"alice", destuser=b"a", master=b"m").credentials == Credentials(b"a", b"m", b"secret")


@pytest.mark.parametrize(
    ("fields", "encryption", "port", "anything"),
    [
        ({"ssl": b""}, Encryption.AT_ONCE, 993, False),
        ({"ssl": b"yes", "port": b"1993"}, Encryption.AT_ONCE, 1993, False),
        ({"ssl": b"any-cert"}, Encryption.AT_ONCE, 993, True),
        ({"starttls": b"yes"}, Encryption.STARTTLS, 143, False),
        ({"starttls": b"any-cert", "ssl": b"yes"}, Encryption.STARTTLS, 143, True),
    ],
)
def test_encryption(fields: dict[str, bytes], encryption: Encryption, port: int, anything: bool) -> None:
    found = backend(**fields)
    assert (found.encryption, found.port, found.any_certificate) == (encryption, port, anything)


def test_an_address_beside_the_name() -> None:
    found = backend(hostip=b"192.0.2.1")
    assert (found.name, found.address) == ("b2", "192.0.2.1")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (b"5", 5),
        (b"1500ms", 1.5),
        (b"2 secs", 2),
        (b"250 msecs", 0.25),
        (b"0", MOST_SECONDS),
        (b"99999", MOST_SECONDS),
        (b"soon", MOST_SECONDS),
    ],
)
def test_how_long_it_may_take(text: bytes, seconds: float) -> None:
    assert backend(proxy_timeout=text).seconds == seconds


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"host": b""}, "proxy without a host"),
        ({"pass": b""}, "no password"),
        ({"port": b"0"}, "invalid port"),
        ({"port": b"65536"}, "invalid port"),
        ({"port": b"imap"}, "invalid port"),
    ],
)
def test_what_is_not_enough(fields: dict[str, bytes], text: str) -> None:
    with pytest.raises(BackendUnusable, match=text):
        backend(**fields)


@pytest.mark.parametrize(
    ("port", "ssl", "verifies", "encryption", "found"),
    [
        (None, "no", True, Encryption.NONE, 143),
        (None, "imaps", True, Encryption.AT_ONCE, 993),
        (1143, "starttls", False, Encryption.STARTTLS, 1143),
    ],
)
def test_imapc(port: int | None, ssl: str, verifies: bool, encryption: Encryption, found: int) -> None:
    settings = ImapcSettings("b2", port, "alice", "m", "s\udcff", ssl, verifies)
    credentials = Credentials(b"alice", b"m", b"s\xff")
    expected = Backend("b2", "b2", found, encryption, not verifies, MOST_SECONDS, credentials)
    assert backend_of_imapc(settings) == expected


@pytest.mark.parametrize(
    ("host", "password", "text"), [("", "x", "imapc_host is not set"), ("b2", "", "imapc_password is not set")]
)
def test_what_is_not_enough_of_imapc(host: str, password: str, text: str) -> None:
    with pytest.raises(BackendUnusable, match=text):
        backend_of_imapc(ImapcSettings(host, None, "alice", "", password, "no", verifies=True))
