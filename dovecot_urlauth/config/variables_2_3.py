"""``%`` variables of Dovecot 2.3: ``%u``, ``%Ln``, ``%2.1d``, ``%{home}``.

Matches lib/var-expand.c with the table of lib-storage/mail-user.c; texts are settings' (surrogateescape).
Hashes, conditions and the variables of a login that we do not have (addresses, session) are unsupported.
"""

from __future__ import annotations

from dovecot_urlauth.config.errors import UnsupportedSetting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dovecot_urlauth.config.mail_user import MailUser

LETTERS = {"u": "user", "n": "username", "d": "domain", "s": "service", "h": "home", "i": "uid"}
"""One-letter names and the long names they stand for."""

DIGITS = frozenset("0123456789")
LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
UPPER = {small: large for large, small in LOWER.items()}
"""Letter case of ASCII only, as Dovecot changes it."""

MODIFIERS: Mapping[str, Callable[[str], str]] = {
    "L": lambda text: text.translate(LOWER),
    "U": lambda text: text.translate(UPPER),
    "R": lambda text: text[::-1],
    "D": lambda text: text.replace(".", ",dc="),
    "T": lambda text: text.rstrip(" \t\n\v\f\r"),
}
SERVICE = "imap-urlauth-worker"

USERDB = "userdb:"
"""``%{userdb:x}`` is a field of the userdb's answer; ``y`` in ``%{userdb:x:y}`` is for one that is not there."""


def variables_of(user: MailUser) -> Mapping[str, str]:
    """The values of the variables that we know, by long name; a home that is not known is absent."""
    name = decode(user.name)
    local, _, domain = name.partition("@")
    values = {
        "user": name,
        "username": local,
        "domain": domain,
        "service": SERVICE,
        "uid": str(user.uid),
        "gid": str(user.gid),
    }
    if user.home:
        values["home"] = decode(user.home)
    for field, value in user.fields.items():
        values[USERDB + field] = value
    return values


def expand(text: str, values: Mapping[str, str]) -> str:
    """``text`` with every variable replaced.  Raises UnsupportedSetting for one that is not in ``values``."""
    result = []
    at = 0
    while (mark := text.find("%", at)) >= 0:
        result.append(text[at:mark])
        value, at = _expand_one(text, mark + 1, values)
        result.append(value)
    result.append(text[at:])
    return "".join(result)


def _expand_one(text: str, at: int, values: Mapping[str, str]) -> tuple[str, int]:
    """The value of the variable that starts behind the ``%`` at ``at``, and where the text goes on."""
    offset, width, at = _parse_range(text, at)
    modifiers = []
    while text[at : at + 1] in MODIFIERS:
        modifiers.append(MODIFIERS[text[at]])
        at += 1
    if text[at : at + 1] == "%":
        return "%", at + 1
    if text[at : at + 1] == "{":
        end = text.find("}", at)
        name = text[at + 1 : end] if end >= 0 else ""
    else:
        end, name = at, LETTERS.get(text[at : at + 1], "")
    value = _userdb_field(name, values) if name.startswith(USERDB) else values.get(name)
    if value is None:
        raise UnsupportedSetting(f"variable %{text[at : at + 20]}")
    for modify in modifiers:
        value = modify(value)
    if (offset or width) and not value.isascii():
        raise UnsupportedSetting(f"a part of {value!r}")
    value = value[offset:] if offset >= 0 or -offset < len(value) else value
    return value[:width] if width else value, end + 1


def _userdb_field(name: str, values: Mapping[str, str]) -> str:
    field, _, default = name.removeprefix(USERDB).partition(":")
    return values.get(USERDB + field, default)


def _parse_range(text: str, at: int) -> tuple[int, int, int]:
    """``[-][offset.]width``: offset (below 0: from the end), width (0: all) and where they end."""
    start = at
    negative = text[at : at + 1] == "-"
    first, at = _parse_number(text, at + negative)
    if text[at : at + 1] != ".":
        if negative or text[start : start + 1] == "0":
            raise UnsupportedSetting(f"variable %{text[start : start + 20]}")
        return 0, first, at
    if text[at + 1 : at + 2] in ("0", "-"):
        # padding, and widths counted from the end
        raise UnsupportedSetting(f"variable %{text[start : start + 20]}")
    width, at = _parse_number(text, at + 1)
    return (-first if negative else first), width, at


def _parse_number(text: str, at: int) -> tuple[int, int]:
    end = at
    while end - at < 9 and text[end : end + 1] in DIGITS:
        end += 1
    return int(text[at:end] or "0"), end


def decode(name: bytes) -> str:
    """Bytes as settings have them."""
    return name.decode("utf-8", "surrogateescape")
