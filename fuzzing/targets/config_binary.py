"""Any bytes give 2.4's settings or ConfigFileError, the same however much is read at once."""

from __future__ import annotations

import gzip
from pathlib import Path

from dovecot_urlauth.config.settings import LISTS
from dovecot_urlauth.wire import config_binary
from dovecot_urlauth.wire.config_binary import BIG_ENDIAN, NATIVE, read_config, read_filters
from dovecot_urlauth.wire.config_filter import ConfigFileError

VECTORS = Path(__file__).resolve().parents[2] / "tests/wire/vectors"
WANTED = ("mail_driver", "mail_namespace", "mail_user", "mail_path", "mail_attribute")
SMALL = 16
"""Bytes read at once, the second time."""


def seeds() -> list[bytes]:
    from tests.wire.test_config_binary import build

    files = [
        gzip.decompress((VECTORS / f"dovecot-{version}.binary.gz").read_bytes()) for version in ("2.4.1", "2.4.5")
    ]
    one = (b"mail_user", [b"mail_path", b"mail_plugins"], [(0, b"\0" + bytes(4)), (1, b"\0" + bytes(8) + b"x\0")])
    built = [
        build(order, [b"", b'settings_filter_name="namespace/inbox"'], [one], paths)
        for order, paths in ((BIG_ENDIAN, 0), (NATIVE, 1))
    ]
    return [bytes((number % 2,)) + data for number, data in enumerate([*built, *files])]


def _read(data: bytes, order: str) -> object:
    def read(size: int, offset: int) -> bytes:
        return data[offset : offset + size]

    try:
        return read_config(read, WANTED, order, LISTS), read_filters(read, order)
    except ConfigFileError as error:
        return error.text


def check(data: bytes) -> None:
    order = (BIG_ENDIAN, NATIVE)[data[0] % 2 if data else 0]
    whole = _read(data[1:], order)
    usual = config_binary.CHUNK
    config_binary.CHUNK = SMALL
    try:
        assert _read(data[1:], order) == whole
    finally:
        config_binary.CHUNK = usual
