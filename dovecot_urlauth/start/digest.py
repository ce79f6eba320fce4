"""SHA-1, BLAKE2b and the comparison of digests without OpenSSL, which hashlib and hmac load (3 ms each).

CPython's private modules, with the public ones behind them for another Python than CPython 3.11 to 3.14.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha1 as _new_sha1
    from hmac import compare_digest
else:
    try:
        from _operator import _compare_digest as compare_digest
    except ImportError:
        from hmac import compare_digest
    try:
        from _sha1 import sha1 as _new_sha1
    except ImportError:
        from hashlib import sha1 as _new_sha1


def sha1(data: bytes) -> bytes:
    """The 20 bytes of SHA-1."""
    return _new_sha1(data).digest()  # noqa: S324 - what RFC 4467's INTERNAL mechanism is made of


def blake2b(data: bytes, size: int) -> bytes:
    """``size`` bytes (64 at most) of BLAKE2b."""
    try:
        from _blake2 import blake2b as new
    except ImportError:
        from hashlib import blake2b as new
    return bytes(new(data, digest_size=size).digest())


__all__ = ["blake2b", "compare_digest", "sha1"]
