"""What variables' values are turned into: 2.3's modifiers, and hashes of both languages.

Matches the functions of lib/var-expand.c, lib/hash.c (str_hash), lib/hash-method.c and, for ``truncate``,
buffer_truncate_rshift_bits in lib/buffer.c.  Loaded when a setting uses one.
"""

from __future__ import annotations

from binascii import b2a_base64

from dovecot_urlauth.config.errors import UnsupportedSetting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HASHES = {
    "md5": "md5",
    "sha1": "sha1",
    "sha256": "sha256",
    "sha384": "sha384",
    "sha512": "sha512",
    "sha3-256": "sha3_256",
    "sha3-512": "sha3_512",
}
"""Dovecot's names and Python's; 2.3 has no sha384."""
HASHES_2_3 = frozenset(HASHES) - {"sha384"}
MOST_ROUNDS = 10_000
UINT32 = 0xFFFFFFFF
WHITE = b" \t\n\v\f\r"


def modify(letter: str, value: bytes, offset: int, width: int) -> tuple[bytes, int, int]:
    """A 2.3 modifier applied; hashes use ``offset`` and ``width`` up, as digits and as modulus."""
    if letter in PLAIN:
        return PLAIN[letter](value), offset, width
    if width < 0:
        raise UnsupportedSetting("a hash with a modulus below zero")
    number = _pjw(value) if letter == "H" else int.from_bytes(digest("md5", value)[:8], "big")
    if width:
        number %= width
    return b"%x" % (number & UINT32) if offset <= 0 else (b"%x" % (number & UINT32)).rjust(offset, b"0"), 0, 0


def hashed(call: str, value: bytes) -> str:
    """2.3's ``%{sha256;rounds=2,truncate=8,format=hex,salt=x:user}`` for the value of ``user``.

    Raises UnsupportedSetting.
    """
    algorithm, _, rest = call.partition(";")
    options = dict(word.partition("=")[::2] for word in rest.split(",")) if rest else {}
    unknown = set(options) - {"rounds", "truncate", "salt", "format"}
    salt = options.get("salt", "")
    if algorithm not in HASHES_2_3 or unknown or "%" in salt or (salt and list(options)[-1] != "salt"):
        raise UnsupportedSetting(f"variable %{{{call}:...}}")
    rounds, bits = _number(options.get("rounds", "1"), call), _number(options.get("truncate", "0"), call)
    found = digest(algorithm, value, salt.encode("utf-8", "surrogateescape"), rounds)
    if bits:
        found = truncate_bits(found, min(bits, 8 * len(found)))
    format_name = options.get("format", "hex")
    if format_name in ("hex", "hexuc"):  # the second one is a promise that Dovecot does not keep
        return found.hex()
    if format_name == "base64":
        return b2a_base64(found, newline=False).decode()
    raise UnsupportedSetting(f"variable %{{{call}:...}}")


def digest(algorithm: str, value: bytes, salt: bytes = b"", rounds: int = 1) -> bytes:
    """A hash of ``salt`` and ``value``, then ``rounds - 1`` times of the salt and the hash before."""
    import hashlib  # loads OpenSSL, which takes milliseconds

    if not 1 <= rounds <= MOST_ROUNDS:
        raise UnsupportedSetting(f"a hash with {rounds} rounds")
    for _ in range(rounds):
        value = hashlib.new(HASHES[algorithm], salt + value, usedforsecurity=False).digest()
    return value


def truncate_bits(value: bytes, bits: int) -> bytes:
    """The first ``bits`` of ``value``, moved to the end of as many bytes as they need."""
    if 8 * len(value) < bits:
        return value
    size = (bits + 7) // 8
    number = int.from_bytes(value[:size], "big") >> (8 * size - bits)
    return number.to_bytes(size, "big")


def _number(text: str, call: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise UnsupportedSetting(f"variable %{{{call}:...}}")
    return int(text)


def _pjw(value: bytes) -> int:
    """The hash that P. J. Weinberger made for a compiler."""
    number = 0
    for byte in value:
        number = ((number << 4) + byte) & UINT32
        high = number & 0xF0000000
        if high:
            number ^= high >> 24
            number ^= high
    return number


def _hexadecimal(value: bytes) -> bytes:
    number = int(value) if value.isdigit() and len(value) <= 20 else 0
    return b"%x" % (number if number < 1 << 64 else 0)


def _escaped(value: bytes) -> bytes:
    for character in (b"\\", b'"', b"'"):
        value = value.replace(character, b"\\" + character)
    return value


def _md5(value: bytes) -> bytes:
    return digest("md5", value).hex().encode()


PLAIN: Mapping[str, Callable[[bytes], bytes]] = {
    "L": bytes.lower,
    "U": bytes.upper,
    "E": _escaped,
    "X": _hexadecimal,
    "R": lambda value: value[::-1],
    "M": _md5,
    "D": lambda value: value.replace(b".", b",dc="),
    "T": lambda value: value.rstrip(WHITE),
}
"""Modifiers that know nothing of ranges; letter case is ASCII's alone, as in Dovecot."""
