"""Names of character sets, as iconv understands them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from dovecot_urlauth.message import charset
from dovecot_urlauth.message.charset import codec_name

EVERY_BYTE = bytes(range(256))
OF_MORE_BYTES = ("utf", "iso2022", "csiso2022", "csshiftjis", "ms93")
"""What the names of those begin with that are not of one byte for each character."""
ALIASES = [name for name in charset._ALIASES.split() if not name.startswith(OF_MORE_BYTES)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        (b"UTF-8", "utf-8"),
        (b"us-ascii", "utf-8"),
        (b"ISO-8859-1", "iso-8859-1"),
        (b"utf16", "utf16"),
        (b"utf\xd616", "utf16"),
        (b'"utf 16"', "utf16"),
        (b"utf/16", None),
        (b"rot13", None),
        (b"", None),
        (b"\0", None),
    ],
)
def test_names(name: bytes, codec: str | None) -> None:
    assert codec_name(name) == codec


def decoded_by_iconv(name: str, data: bytes) -> str:
    program = shutil.which("iconv")
    assert program
    done = subprocess.run([program, "-c", "-f", name, "-t", "utf-8"], input=data, capture_output=True, check=False)
    return done.stdout.decode()


@pytest.mark.parametrize("name", ALIASES)
def test_another_name_means_the_same_to_iconv(name: str) -> None:
    assert decoded_by_iconv(name, EVERY_BYTE) == EVERY_BYTE.decode(name, "ignore")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("utf16", b"%0"),
        ("utf32", b"a\0\0\0"),
        ("utf7", b"+ICY-"),
        ("ms932", b"\x82\xa0"),
        ("ms936", b"\xc4\xe3"),
        ("csshiftjis", b"\x82\xa0"),
        ("iso2022jp", b'\x1b$B$"\x1b(B'),
        ("csiso2022jp", b'\x1b$B$"\x1b(B'),
        ("iso2022kr", b"\x1b$)C\x0e1!\x0f"),
        ("csiso2022kr", b"\x1b$)C\x0e1!\x0f"),
    ],
)
def test_another_name_of_more_bytes_means_the_same_to_iconv(name: str, data: bytes) -> None:
    assert decoded_by_iconv(name, data) == data.decode(name)
