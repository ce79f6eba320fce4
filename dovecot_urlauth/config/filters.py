"""2.4's filters: what ``| upper`` and the like make of a value.

Matches expansion-filter.c of lib-var-expand where all versions of 2.4 agree; the others are not here.
"""

from __future__ import annotations

from binascii import b2a_base64

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.modifiers import HASHES, digest, truncate_bits
from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Transfer = tuple[bytes, bool]
    """A value on its way from filter to filter, and whether it shows as hexadecimal digits in the end."""
    Filter = Callable[[Transfer | None, "Arguments"], Transfer]

MOST_PADDING = 256
LONGEST_NUMBER = 18


class FilterFailed(Exception):
    """What Dovecot would say of it does not matter: somebody has a default, or the setting is an error."""


class Looked(str):
    """The value of a variable, which may be a number where a quoted text may not."""

    __slots__ = ()


@frozen
class Arguments:
    """What stands in a filter's parentheses."""

    unnamed: tuple[str | int, ...]
    named: Mapping[str, str | int]


def calculate(transfer: Transfer | None, operator: str, right: int) -> Transfer:
    """``+ 1`` and the like; what is no number fails, and what versions disagree about is unsupported."""
    value, is_binary = _given(transfer)
    if right <= 0 and operator in "/%":
        raise UnsupportedSetting(f"variable {operator} {right}")
    if is_binary:
        if operator != "%":
            raise UnsupportedSetting(f"a hash {operator} {right}")
        return b"%d" % (int.from_bytes(value[-8:], "big") % right), False
    left = _number_in(value)
    results = {"+": left + right, "-": left - right, "*": left * right}
    if operator in "/%":  # as C divides, towards zero
        quotient = abs(left) // right * (1 if left >= 0 else -1)
        results |= {"/": quotient, "%": left - quotient * right}
    result = results[operator]
    if abs(result) >= 1 << 63:
        raise UnsupportedSetting("a number that is too large")
    return b"%d" % result, False


def _given(transfer: Transfer | None) -> Transfer:
    if transfer is None:
        raise FilterFailed
    return transfer


def _number_in(value: bytes) -> int:
    digits = value.removeprefix(b"-")
    if not digits.isdigit():
        raise FilterFailed
    if len(digits) > LONGEST_NUMBER:
        raise UnsupportedSetting("a number that is too large")
    return int(value)


def _numbers(arguments: Arguments, least: int, most: int) -> list[int]:
    """The unnamed arguments where all have to be numbers; a variable's value may be one."""
    if arguments.named or not least <= len(arguments.unnamed) <= most:
        raise FilterFailed
    if any(isinstance(each, str) and not isinstance(each, Looked) for each in arguments.unnamed):
        raise FilterFailed
    return [_number_in(_bytes(each)) if isinstance(each, str) else each for each in arguments.unnamed]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _any(argument: str | int) -> bytes:
    return _bytes(argument) if isinstance(argument, str) else b"%d" % argument


def _text(argument: str | int) -> bytes:
    if isinstance(argument, int):
        raise FilterFailed
    return _bytes(argument)


def _plain(change: Callable[[bytes], bytes]) -> Filter:
    """A filter of text without arguments; what it does to a hash is left to Dovecot."""

    def apply(transfer: Transfer | None, arguments: Arguments) -> Transfer:
        if arguments.unnamed or arguments.named:
            raise FilterFailed
        value, is_binary = _given(transfer)
        if is_binary:
            raise UnsupportedSetting("a filter of a hash")
        return change(value), False

    return apply


def _default(transfer: Transfer | None, arguments: Arguments) -> Transfer:
    if transfer is not None and transfer[0]:
        return transfer
    if arguments.named or len(arguments.unnamed) > 1:
        raise FilterFailed
    return _any(arguments.unnamed[0]) if arguments.unnamed else b"", False


def _literal(transfer: Transfer | None, arguments: Arguments) -> Transfer:
    if arguments.named or len(arguments.unnamed) != 1:
        raise UnsupportedSetting("variable filter literal")
    return _any(arguments.unnamed[0]), False


def _concat(transfer: Transfer | None, arguments: Arguments) -> Transfer:
    if arguments.named or not arguments.unnamed or (transfer is not None and transfer[1]):
        raise UnsupportedSetting("variable filter concat")
    return (transfer[0] if transfer else b"") + b"".join(_any(each) for each in arguments.unnamed), False


def _hash(algorithm: str) -> Filter:
    def apply(transfer: Transfer | None, arguments: Arguments) -> Transfer:
        rounds, salt = arguments.named.get("rounds", 1), arguments.named.get("salt", "")
        if arguments.unnamed or set(arguments.named) - {"rounds", "salt"} or not isinstance(rounds, int):
            raise UnsupportedSetting(f"variable filter {algorithm}")
        return digest(algorithm, _given(transfer)[0], _text(salt), rounds), True

    return apply


def _any_hash(transfer: Transfer | None, arguments: Arguments) -> Transfer:
    algorithm = arguments.unnamed[0] if len(arguments.unnamed) == 1 else ""
    if algorithm not in HASHES:
        raise UnsupportedSetting(f"variable filter hash of {algorithm}")
    return _hash(str(algorithm))(transfer, Arguments((), arguments.named))


def _base64(transfer: Transfer | None, arguments: Arguments) -> Transfer:
    if arguments.unnamed or arguments.named:
        raise UnsupportedSetting("variable filter base64 with arguments")
    return b2a_base64(_given(transfer)[0], newline=False), False


def _hex(transfer: Transfer | None, arguments: Arguments) -> Transfer:
    [width] = _numbers(arguments, 0, 1) or [0]
    value, is_binary = _given(transfer)
    if is_binary or abs(width) > MOST_PADDING:
        raise UnsupportedSetting("variable filter hex")
    if value.startswith(b"-"):
        raise FilterFailed
    digits = b"%x" % _number_in(value)
    if width > 0:
        digits = digits.rjust(width, b"0")[-width:]
    elif width < 0:
        digits = digits.ljust(-width, b"0")[:-width]
    return digits, False


def _hexlify(transfer: Transfer | None, arguments: Arguments) -> Transfer:
    [width] = _numbers(arguments, 0, 1) or [0]
    digits = _given(transfer)[0].hex().encode()
    if not 0 <= width <= MOST_PADDING:
        raise UnsupportedSetting("variable filter hexlify")
    return (digits.rjust(width, b"0")[:width] if width else digits), False


def _truncate(transfer: Transfer | None, arguments: Arguments) -> Transfer:
    value, is_binary = _given(transfer)
    if set(arguments.named) == {"bits"} and not arguments.unnamed:
        bits = arguments.named["bits"]
        if not isinstance(bits, int) or bits < 0 or not is_binary:  # a text's bits may come out as NULs
            raise UnsupportedSetting("variable filter truncate")
        return truncate_bits(value, bits) if bits else b"", is_binary
    [size] = _numbers(arguments, 1, 1)
    if not 0 <= size <= len(value):
        raise UnsupportedSetting("variable filter truncate")  # 2.4.1 shows what lies behind the value
    return value[:size], is_binary


def _substr(transfer: Transfer | None, arguments: Arguments) -> Transfer:
    offset, *rest = _numbers(arguments, 1, 2)
    value, is_binary = _given(transfer)
    size = len(value)
    length = rest[0] if rest else size
    if not -size <= offset <= size or not -size <= length <= size:
        raise FilterFailed
    if length == 0:
        return b"", is_binary
    start = offset + size if offset < 0 else offset
    end = size if not rest else start + length if length > 0 else size + length
    if not start <= end <= size:
        raise FilterFailed
    return value[start:end], is_binary


def _index(transfer: Transfer | None, arguments: Arguments) -> Transfer:
    if arguments.named or len(arguments.unnamed) != 2:
        raise FilterFailed
    separator = _text(arguments.unnamed[0])
    [place] = _numbers(Arguments(arguments.unnamed[1:], {}), 1, 1)
    value, is_binary = _given(transfer)
    if is_binary or not separator:
        raise UnsupportedSetting("variable filter index")
    pieces = value.split(separator)
    if not -len(pieces) <= place < len(pieces):
        raise FilterFailed
    return pieces[place], False


def _filled(pad: Callable[[bytes, bytes], bytes]) -> Filter:
    def apply(transfer: Transfer | None, arguments: Arguments) -> Transfer:
        if arguments.named or not 1 <= len(arguments.unnamed) <= 2:
            raise FilterFailed
        [size] = _numbers(Arguments(arguments.unnamed[:1], {}), 1, 1)
        filler = _text(arguments.unnamed[1]) if len(arguments.unnamed) > 1 else b"0"
        value, is_binary = _given(transfer)
        if is_binary or not filler or not 1 <= size <= MOST_PADDING:
            raise UnsupportedSetting("variable filter that fills")
        while len(value) < size:
            value = pad(value, filler)
        return value, False

    return apply


FILTERS: Mapping[str, Filter] = {
    "username": _plain(lambda value: value.partition(b"@")[0]),
    "domain": _plain(lambda value: value.partition(b"@")[2]),
    "lower": _plain(bytes.lower),
    "upper": _plain(bytes.upper),
    "reverse": _plain(lambda value: value[::-1]),
    "ldap_dn": _plain(lambda value: value.replace(b".", b",dc=")),
    "default": _default,
    "literal": _literal,
    "concat": _concat,
    "hash": _any_hash,
    **{name: _hash(name) for name in ("md5", "sha1", "sha256", "sha384", "sha512")},
    "base64": _base64,
    "hex": _hex,
    "hexlify": _hexlify,
    "truncate": _truncate,
    "substr": _substr,
    "index": _index,
    "lfill": _filled(lambda value, filler: filler + value),
    "rfill": _filled(lambda value, filler: value + filler),
}
