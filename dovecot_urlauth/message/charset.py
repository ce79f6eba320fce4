"""Names of character sets that iconv knows too, as Python's codecs.

Python has codecs that are no character sets (``rot13``, ``hex``); a message must not be able to choose them.
"""

from __future__ import annotations

_ASCII = frozenset(("usascii", "ascii", "utf8", "ansix3.41968", "646"))
_PREFIXES = (
    "iso8859", "iso2022", "windows125", "cp", "ibm", "koi8", "gb", "hz", "big5", "euc", "shiftjis", "sjis",
    "utf16", "utf32", "utf7", "latin", "tis620", "mac", "johab", "uhc", "ksc5601",
)  # fmt: skip


def codec_name(charset: bytes) -> str | None:
    """The codec for a character set's name, None for an unknown one; US-ASCII is taken as UTF-8."""
    name = charset.decode("latin-1").lower()
    plain = name.replace("-", "").replace("_", "")
    if plain in _ASCII:
        return "utf-8"
    if not plain.startswith(_PREFIXES) or not plain.isascii():
        return None
    return name
