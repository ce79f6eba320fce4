"""The engine's configuration: what holds for the worker's service holds in it for imap."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from dovecot_urlauth.config.engine_config import config_for_engine, exchange_services
from dovecot_urlauth.config.settings import SettingsError
from dovecot_urlauth.dialect.dialect import ConfigSource
from tests.wire.test_config_binary import build

VECTORS = Path(__file__).parents[1] / "wire" / "vectors"
FORMATS = [("2.4.1", ConfigSource.BINARY_BIG_ENDIAN), ("2.4.5", ConfigSource.BINARY_NATIVE)]


def opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY)


@pytest.mark.parametrize(("version", "source"), FORMATS)
def test_a_real_file(version: str, source: ConfigSource, tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(gzip.decompress((VECTORS / f"dovecot-{version}.binary.gz").read_bytes()))
    original = opened(path)
    changed = config_for_engine(original, source)
    assert changed != original
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(original)
    with os.fdopen(changed, "rb") as file:
        content = os.pread(file.fileno(), 1 << 20, 0)
    assert content == exchange_services(path.read_bytes())
    assert b'protocol="imap"\0' not in content


def test_nobody_can_change_the_copy(tmp_path: Path) -> None:
    """Each serving process holds it, and the engines of other users read it as root."""
    path = tmp_path / "binary"
    path.write_bytes(build("=", [b"", b'protocol="imap"'], []))
    changed = config_for_engine(opened(path), ConfigSource.BINARY_NATIVE)
    for change in (lambda: os.pwrite(changed, b"x", 0), lambda: os.ftruncate(changed, 0)):
        with pytest.raises(PermissionError):
            change()
    os.close(changed)


def test_a_file_that_tells_no_services_apart_is_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(build("=", [b"", b'protocol="lmtp"'], []))
    fd = opened(path)
    assert config_for_engine(fd, ConfigSource.BINARY_NATIVE) == fd
    os.close(fd)


def test_a_file_of_another_layout(tmp_path: Path) -> None:
    """Dovecot's own imap can read it, and must find in it what holds for the worker."""
    path = tmp_path / "binary"
    path.write_bytes(b'DOVECOT-CONFIG\t3.0\n new protocol="imap" things')
    changed = config_for_engine(opened(path), ConfigSource.BINARY_NATIVE)
    assert os.pread(changed, 99, 0) == b'DOVECOT-CONFIG\t3.0\n new protocol="imaq" things'
    os.close(changed)


def test_a_descriptor_that_cannot_be_read() -> None:
    reader, writer = os.pipe()
    with pytest.raises(SettingsError, match="Failed to parse config from fd"):
        config_for_engine(reader, ConfigSource.BINARY_NATIVE)
    os.close(reader)
    os.close(writer)


def test_filters_keep_their_length() -> None:
    before = (
        b'protocol="imap"\0NOT protocol="imap-urlauth-worker" AND settings_filter_name="service/imap"\0'
        b'settings_filter_name="service/imap-urlauth-worker"\0protocol="imap-urlauth"\0'
    )
    after = exchange_services(before)
    assert len(after) == len(before)
    assert after.split(b"\0") == [
        b'protocol="imaq"',
        b'NOT protocol="imap"                AND settings_filter_name="service/imaq"',
        b'settings_filter_name="service/imap"               ',
        b'protocol="imap-urlauth"',
        b"",
    ]
