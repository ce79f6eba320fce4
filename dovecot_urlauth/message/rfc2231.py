"""RFC 2231: parameters in numbered pieces (``name*0``), with a character set (``name*``), or both.

Two readings, one per generation of lib-mail/rfc2231-parser.c: 2.3 joins the pieces and leaves the percent
signs alone, 2.4 decodes to UTF-8.  Both fall back to showing the pieces when their numbers have a gap.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from dovecot_urlauth.message.parameters import Parameters

#: A numbered piece: name, number, whether it is percent-encoded, value.
Piece = tuple[bytes, int, bool, bytes]

_DIGITS = b"0123456789"

#: From here on digits are no number to Dovecot.
_NO_NUMBER = 1 << 64
_MAX_DIGITS = 1000


def _sequences(pieces: list[Piece]) -> Iterator[tuple[bool, list[Piece]]]:
    """Sort and group pieces by name without regard to case; tells whether the numbers are 0, 1, 2, ..."""
    pieces.sort(key=lambda piece: piece[:2])
    first = 0
    while first < len(pieces):
        name = pieces[first][0].lower()
        behind = first + 1
        while behind < len(pieces) and pieces[behind][0].lower() == name:
            behind += 1
        sequence = pieces[first:behind]
        yield all(piece[1] == number for number, piece in enumerate(sequence)), sequence
        first = behind


class Joiner:
    """2.3: pieces are joined; an encoded value is shown as ``name*``, with its character set and percents."""

    def __init__(self) -> None:
        self._result: Parameters = []
        self._pieces: list[Piece] = []
        #: ``name*`` without a number takes the number of the parameter read before it.
        self._number = 0

    def add(self, name: bytes, value: bytes) -> None:
        """Take the next parameter of the field."""
        base, star, suffix = name.partition(b"*")
        if star and suffix:
            rest = suffix.lstrip(_DIGITS)
            digits = suffix[: len(suffix) - len(rest)]
            self._number = int(digits or b"0") & 0xFFFFFFFF if len(digits) < _MAX_DIGITS else 0
        else:
            rest = star
        if star and rest in (b"", b"*"):
            self._pieces.append((base, self._number, bool(rest), value))
        else:
            self._result.append((name, value))

    def finish(self) -> Parameters:
        """All parameters: the plain ones first, then those in pieces by name."""
        for complete, sequence in _sequences(self._pieces):
            if complete:
                self._result.append(self._joined(sequence))
                continue
            for name, number, encoded, value in sequence:
                self._result.append((b"%s*%d%s" % (name, number, b"*" if encoded else b""), value))
        return self._result

    @staticmethod
    def _joined(sequence: list[Piece]) -> tuple[bytes, bytes]:
        name = sequence[0][0]
        if not any(piece[2] for piece in sequence):
            return name, b"".join(piece[3] for piece in sequence)
        values = [value if encoded else value.replace(b"%", b"%25") for _, _, encoded, value in sequence]
        return name + b"*", (b"" if sequence[0][2] else b"''") + b"".join(values)


class Decoder:
    """2.4: values are decoded to UTF-8 and shown under the plain name; of equal names the first wins."""

    def __init__(self) -> None:
        self._result: Parameters = []
        self._names: set[bytes] = set()
        self._pieces: list[Piece] = []

    def add(self, name: bytes, value: bytes) -> None:
        """Take the next parameter of the field."""
        base, star, suffix = name.partition(b"*")
        rest = suffix.lstrip(_DIGITS)
        digits = suffix[: len(suffix) - len(rest)]
        number = int(digits) if 0 < len(digits) < _MAX_DIGITS else _NO_NUMBER
        if star and not suffix:
            self._keep(base, _Decoding().decode(value))
        elif number >= _NO_NUMBER or rest not in (b"", b"*"):
            self._keep(name, value)
        elif number < 1 << 32:
            self._pieces.append((base, number, bool(rest), value))
        else:
            self._keep(base, _Decoding().decode(value) if rest else value)

    def finish(self) -> Parameters:
        """All parameters: those without pieces first, then those in pieces by name."""
        for complete, sequence in _sequences(self._pieces):
            if complete:
                decoding = _Decoding()
                values = [decoding.decode(value) if encoded else value for _, _, encoded, value in sequence]
                self._keep(sequence[0][0], b"".join(values))
                continue
            for name, number, encoded, value in sequence:
                signed = number - (1 << 32) if number >> 31 else number
                self._keep(b"%s*%d" % (name, signed), _Decoding().decode(value) if encoded else value)
        return self._result

    def _keep(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower not in self._names:
            self._names.add(lower)
            self._result.append((name, value))


class _Decoding:
    """Decodes ``charset'language'%41bc``; the pieces behind the first have no character set of their own."""

    def __init__(self) -> None:
        self._charset: bytes | None = None

    def decode(self, value: bytes) -> bytes:
        if self._charset is None:
            charset, first, rest = value.partition(b"'")
            _, second, text = rest.partition(b"'")
            if first and second:
                self._charset, value = charset, text
        if not self._charset:
            return value
        decoded = _percent_decoded(value)
        utf8 = _utf8(self._charset, value if decoded is None else decoded.partition(b"\0")[0])
        return value if utf8 is None else utf8


def _percent_decoded(value: bytes) -> bytes | None:
    from binascii import Error, unhexlify

    first, *rest = value.split(b"%")
    try:
        return first + b"".join(unhexlify(piece[:2].ljust(1, b"x")) + piece[2:] for piece in rest)
    except Error:
        return None


def _utf8(charset: bytes, value: bytes) -> bytes | None:
    """Convert to UTF-8; None if the character set is unknown or the value is not valid in it."""
    from dovecot_urlauth.message.charset import codec_name

    codec = codec_name(charset)
    if codec is None:
        return None
    try:
        return value.decode(codec).encode().partition(b"\0")[0]
    except (ValueError, LookupError):
        return None
