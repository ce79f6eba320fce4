"""``%`` variables of Dovecot 2.3: ``%u``, ``%Ln``, ``%2.1d``, ``%2.256Nu``, ``%{home}``, ``%{sha256:user}``.

Matches lib/var-expand.c with the table of lib-storage/mail-user.c; texts are settings' (surrogateescape), and are
cut between bytes, as there.  Conditions, PKCS#5, and the variables of a login that we do not have (addresses,
session) are unsupported.
"""

from __future__ import annotations

import os

from dovecot_urlauth.config.errors import UnsupportedSetting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dovecot_urlauth.config.mail_user import MailUser

LETTERS = {"u": "user", "n": "username", "d": "domain", "s": "service", "h": "home", "i": "uid"}
"""One-letter names and the long names they stand for."""

DIGITS = frozenset("0123456789")
MODIFIERS = frozenset("LUEXRHNMDT")
"""What modifiers.py knows."""
MOST_MODIFIERS = 10

SERVICE = "imap-urlauth-worker"

USERDB = "userdb:"
"""``%{userdb:x}`` is a field of the userdb's answer; ``y`` in ``%{userdb:x:y}`` is for one that is not there."""
ENVIRONMENT = "env:"
HOST_DOMAIN = "DOVECOT_HOSTDOMAIN"
"""Where master tells each process the machine's full name, the default of ``hostname``."""
IMPORTED = "TZ CORE_OUTOFMEM CORE_ERROR LISTEN_PID LISTEN_FDS NOTIFY_SOCKET"
"""The default of import_environment, as ``doveconf -a`` shows it."""


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
    host = user.settings.get("hostname") or os.environ.get(HOST_DOMAIN)
    if host:
        values["hostname"] = host
    for field, value in user.fields.items():
        values[USERDB + field] = value
    values.update(environment_of(imported(user.settings.get("import_environment", IMPORTED).split())))
    return values


def imported(words: Iterable[str]) -> tuple[str, ...]:
    """The names in a list of names and ``name=value``."""
    return tuple(word.partition("=")[0] for word in words)


def environment_of(names: Iterable[str]) -> dict[str, str]:
    """``env:x`` of what every process of this Dovecot gets; master has put it into ours, or it is not there."""
    return {ENVIRONMENT + name: os.environ.get(name, "") for name in names}


def expand(text: str, values: Mapping[str, str]) -> str:
    """``text`` with every variable replaced.  Raises UnsupportedSetting for one that is not in ``values``."""
    result = []
    at = 0
    while (mark := text.find("%", at)) >= 0:
        result.append(encode(text[at:mark]))
        value, at = _expand_one(text, mark + 1, values)
        result.append(value)
    result.append(encode(text[at:]))
    return decode(b"".join(result))


def _expand_one(text: str, at: int, values: Mapping[str, str]) -> tuple[bytes, int]:
    """The value of the variable that starts behind the ``%`` at ``at``, and where the text goes on."""
    start = at
    offset, width, pads, at = _parse_range(text, at)
    letters = ""
    while text[at : at + 1] in MODIFIERS and text[at : at + 1] and len(letters) < MOST_MODIFIERS:
        letters += text[at]
        at += 1
    if at >= len(text):
        raise UnsupportedSetting(f"variable %{text[start : start + 20]}")
    if text[at] == "{":
        end = _end_of_name(text, at)
        value = _value(text[at + 1 : end], values)
    else:
        end = at
        value = "%" if text[at] == "%" else values.get(LETTERS.get(text[at], ""))
    if value is None:
        raise UnsupportedSetting(f"variable %{text[at : at + 20]}")
    found = encode(value)
    for letter in letters:
        from dovecot_urlauth.config.modifiers import modify

        found, offset, width = modify(letter, found, offset, width)
    return _cut(found, offset, width, pads=pads), end + 1


def _end_of_name(text: str, at: int) -> int:
    """Where the name that begins with the brace at ``at`` ends; names in names are only of conditions."""
    end = text.find("}", at)
    if end < 0 or "{" in text[at + 1 : end] or "\\" in text[at:end]:
        raise UnsupportedSetting(f"variable %{text[at : at + 20]}")
    return end


def _value(name: str, values: Mapping[str, str]) -> str | None:
    if name in values:
        return values[name]
    if name.startswith(USERDB):
        field, _, default = name.removeprefix(USERDB).partition(":")
        return values.get(USERDB + field, default)
    function, colon, field = name.partition(":")
    if colon and function not in ("env", "if"):
        from dovecot_urlauth.config.modifiers import hashed

        value = _value(field, values)
        return None if value is None else hashed(function, encode(value))
    return None


def _cut(value: bytes, offset: int, width: int, *, pads: bool) -> bytes:
    """The part from ``offset`` (below 0: from the end); a width of 0 is all, one below 0 leaves so many out."""
    value = value[offset:] if offset >= 0 or -offset < len(value) else value
    if width == 0:
        return value
    if pads:
        return b"0" * (width - len(value)) + value
    if width < 0:
        width += len(value)
        return value if width < 0 else value[:width]
    return value[:width]


def _parse_range(text: str, at: int) -> tuple[int, int, bool, int]:
    """``[-][0]width`` or ``[-]offset.[0][-]width``: offset, width, whether zeros are put before, the end."""
    negative = text[at : at + 1] == "-"
    at += negative
    pads = text[at : at + 1] == "0"
    first, at = _parse_number(text, at)
    if text[at : at + 1] != ".":
        return 0, first, pads, at
    at += 1
    pads = text[at : at + 1] == "0"
    at += pads
    from_end = text[at : at + 1] == "-"
    width, at = _parse_number(text, at + from_end)
    return (-first if negative else first), (-width if from_end else width), pads, at


def _parse_number(text: str, at: int) -> tuple[int, int]:
    end = at
    while end - at < 9 and text[end : end + 1] in DIGITS and text[end : end + 1]:
        end += 1
    return int(text[at:end] or "0"), end


def decode(name: bytes) -> str:
    """Bytes as settings have them."""
    return name.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """A setting's bytes."""
    return text.encode("utf-8", "surrogateescape")
