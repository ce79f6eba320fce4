"""Strict decoders for quoted-printable and base64 (RFC 2045 sections 6.7 and 6.8).

They accept what lib-mail/qp-decoder.c and lib/base64.c accept, and refuse the rest: a client that asked for
decoded bytes must not get guessed ones.  Both work on large chunks with the interpreter's string functions.
"""

from __future__ import annotations

from binascii import a2b_base64, a2b_qp

from dovecot_urlauth.message.errors import Undecodable
from dovecot_urlauth.start.frozen import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Encoding(Enum):
    """What a Content-Transfer-Encoding means for the bytes."""

    IDENTITY = "identity"
    QUOTED_PRINTABLE = "quoted-printable"
    BASE64 = "base64"


def decoded(chunks: Iterable[bytes], encoding: Encoding) -> Iterator[bytes]:
    """Decode a part's stored bytes, chunk by chunk, though some are empty; raises Undecodable."""
    return base64(chunks) if encoding is Encoding.BASE64 else quoted_printable(chunks)


def _invalid() -> Undecodable:
    return Undecodable("Invalid data in MIME part")


# --- base64

_BASE64_BLANKS = b" \t\r\n"
_BASE64_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decode base64: white space anywhere, padding required, nothing behind it."""
    rest = b""
    chunks = iter(chunks)
    for chunk in chunks:
        text = rest + chunk
        others = text.translate(None, _BASE64_ALPHABET)
        if others.strip(_BASE64_BLANKS):
            yield from _base64_end(text, chunks)
            return
        cut = _group_cut(text, (len(text) - len(others)) % 4)
        rest = text[cut:]
        yield a2b_base64(text[:cut])
    if rest.strip(_BASE64_BLANKS):
        raise _invalid()


def _group_cut(text: bytes, surplus: int) -> int:
    """Where to cut off the last ``surplus`` letters of a text of letters and blanks."""
    cut = len(text)
    while surplus:
        cut -= 1
        surplus -= text[cut] not in _BASE64_BLANKS
    return cut


def _base64_end(text: bytes, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decode the piece with the padding; behind it there may only be padding and blanks."""
    text = text.translate(None, _BASE64_BLANKS)
    for chunk in chunks:
        more = chunk.translate(None, _BASE64_BLANKS)
        if more.strip(b"=") or len(text) % 4 + len(more) > 4:
            raise _invalid()
        text += more
        yield b""
    letters = text.rstrip(b"=")
    if len(text) % 4 or len(text) - len(letters) > 2 or letters.translate(None, _BASE64_ALPHABET):
        raise _invalid()
    yield a2b_base64(text)


# --- quoted-printable

#: A line with more white space in a row than this, and something behind it, is broken.
_QP_MAX_SPACES = 76

_TAB_TO_SPACE = bytes.maketrans(b"\t", b" ")
#: For counting well-formed escapes: hexadecimal digits become ``0``, ``=`` and LF stay, the rest is ``x``.
_ESCAPE_CLASSES = bytes(
    0x30 if byte in b"0123456789ABCDEFabcdef" else byte if byte in b"=\n" else 0x78 for byte in range(256)
)


def quoted_printable(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decode quoted-printable: line ends become CRLF, white space before them is dropped."""
    rest = b""
    for chunk in chunks:
        text = rest + chunk
        cut = text.rfind(b"\n") + 1
        if cut:
            rest = text[cut:]
        else:
            cut = _safe_cut(text)
            rest = _shortened(text[cut:])
        yield _decode_lines(text[:cut])
    if rest:
        yield _decode_lines(rest.rstrip(b" \t"))


def _safe_cut(text: bytes) -> int:
    """Where a line can be divided: not in an escape, before white space that may be dropped, or after a CR."""
    cut = len(text.rstrip(b" \t\r"))
    escape = text.rfind(b"=", max(cut - 2, 0), cut)
    return cut if escape < 0 else escape


def _shortened(spaces: bytes) -> bytes:
    """Shorten white space whose end is not yet seen, so that no more of it is kept than decides its fate."""
    if len(spaces) <= 4 * _QP_MAX_SPACES:
        return spaces
    if b"\r" in spaces[:-1]:
        raise _invalid()
    return spaces[: 2 * _QP_MAX_SPACES] + spaces[-1:]


def _decode_lines(text: bytes) -> bytes:
    """Decode text that is not cut inside a line end, an escape or a run of white space."""
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
        if b"\r" in text:
            raise _invalid()
    if b" \n" in text or b"\t\n" in text:
        text = b"\n".join(line.rstrip(b" \t") for line in text.split(b"\n"))
    _check_spaces(text)
    if b"=" in text:
        classes = text.translate(_ESCAPE_CLASSES)
        if classes.count(b"=00") + classes.count(b"=\n") != classes.count(b"="):
            raise _invalid()
        text = text.replace(b"=\n", b"").replace(b"\n", b"\r\n")
        return a2b_qp(text)
    return text.replace(b"\n", b"\r\n")


def _check_spaces(text: bytes) -> None:
    if b"\t" in text:
        text = text.translate(_TAB_TO_SPACE)
    if b" " * (_QP_MAX_SPACES + 1) in text:
        raise _invalid()
