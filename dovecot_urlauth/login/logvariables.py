"""The variables of login_log_format and its elements, of either configuration language.

A template is taken apart once, at start; each line of the log then puts its values in.  What each version knows
was found by asking it; names and modifiers that it does not know, or that we do not (hashes), are told apart from
text so that the caller can do what the version does.
"""

from __future__ import annotations

import os

from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SERVICE = "imap-urlauth"
NO_PORT = "0"
"""What Dovecot shows as port of a client on a UNIX socket; its addresses are empty."""

LETTERS = {
    "u": "user", "n": "username", "d": "domain", "s": "service", "h": "home", "p": "pid",
    "l": "local_ip", "r": "remote_ip", "a": "local_port", "b": "remote_port",
    "m": "mechanism", "c": "secured", "k": "ssl_security", "e": "mail_pid",
}  # fmt: skip
OTHER_NAMES = {
    "lip": "local_ip", "rip": "remote_ip", "lport": "local_port", "rport": "remote_port", "mech": "mechanism",
    "real_lip": "local_ip", "real_rip": "remote_ip", "real_lport": "local_port", "real_rport": "remote_port",
    "auth_user": "user", "auth_username": "username", "auth_domain": "domain",
    "orig_user": "user", "orig_username": "username", "orig_domain": "domain", "listener": "service",
}  # fmt: skip
NAMES_2_3 = (frozenset(LETTERS.values()) | frozenset(("session", "local_name"))) - {"local_ip", "remote_ip"}
"""2.3's long names that need no translation."""

NAMES_2_4 = {
    "user": "user", "protocol": "service", "listener": "service", "mechanism": "mechanism", "secured": "secured",
    "mail_pid": "mail_pid", "session": "session", "ssl_security": "ssl_security", "local_name": "local_name",
    "home": "home", "auth_user": "user", "original_user": "user",
    "local_ip": "local_ip", "remote_ip": "remote_ip", "local_port": "local_port", "remote_port": "remote_port",
    "real_local_ip": "local_ip", "real_remote_ip": "remote_ip",
    "real_local_port": "local_port", "real_remote_port": "remote_port",
}  # fmt: skip

MODIFIERS = "ULRTXM"
"""``%Uu`` is in capitals, L in small letters, R from behind, T without blanks at its end, X in hexadecimal, M
as MD5."""


@frozen
class Variable:
    """One variable of a template."""

    name: str
    """Ours; empty for one that is not known."""
    change: Callable[[str], str]
    source: str
    """The variable as written, for an error."""
    error: str
    """Why it cannot be expanded; empty if it can."""
    instead: str
    """What then stands in its place."""
    is_user: bool
    """Whether it counts as the user's name: such an element is shown even when it is empty."""


@frozen
class Template:
    """Text and variables by turns."""

    pieces: Sequence[str | Variable]

    def variables(self) -> list[Variable]:
        return [piece for piece in self.pieces if isinstance(piece, Variable)]

    def fill(self, values: Mapping[str, str]) -> str:
        """The text; a value that is not there is empty, a variable with an error is its ``instead``."""
        return "".join(piece if isinstance(piece, str) else _value(piece, values) for piece in self.pieces)


def _value(variable: Variable, values: Mapping[str, str]) -> str:
    return variable.instead if variable.error else variable.change(values.get(variable.name, ""))


def all_values(values: Mapping[str, str]) -> Mapping[str, str]:
    """What is known of a client, with what is the same for each of them."""
    local, _, domain = values.get("user", "").partition("@")
    constant = {
        "username": local,
        "domain": domain,
        "service": SERVICE,
        "pid": str(os.getpid()),
        "local_port": NO_PORT,
        "remote_port": NO_PORT,
    }
    return {**constant, **values}


def parse_2_3(text: str, extra: Mapping[str, str]) -> Template:
    """A template of 2.3: ``%u``, ``%Ln``, ``%-2.1u``, ``%{session}``, ``%%``; ``extra`` are letters of its own."""
    pieces: list[str | Variable] = []
    at = 0
    while 0 <= (mark := text.find("%", at)) < len(text) - 1:
        pieces.append(text[at:mark])
        start, at = mark, mark + 1
        while text[at : at + 1] in set("-.0123456789"):
            at += 1
        cut = text[start + 1 : at]
        letters = at
        while text[at : at + 1] in set(MODIFIERS):
            at += 1
        modifiers = text[letters:at]
        letter = text[at : at + 1]
        at += 1
        if letter == "%":
            pieces.append("%")
            continue
        name = extra.get(letter) or LETTERS.get(letter, "")
        shown = letter
        if letter == "{":
            end = text.find("}", at)
            if end < 0:
                at = start
                break
            shown = text[at:end]
            at = end + 1
            name = shown if shown in NAMES_2_3 else OTHER_NAMES.get(shown, "")
        error = "" if name else f"Unknown variable '%{shown}'"
        instead = f"UNSUPPORTED_VARIABLE_{shown}"
        change = _changes_2_3(cut, modifiers)
        pieces.append(Variable(name, change, text[start:at], error, instead, letter in ("u", "n")))
    return Template([*pieces, text[at:]])


def _changes_2_3(cut: str, modifiers: str) -> Callable[[str], str]:
    if not cut and not modifiers:
        return str
    offset, dot, width = cut.partition(".")
    try:
        start, size = (int(offset or 0), int(width or 0)) if dot else (0, int(cut or 0))
    except ValueError:
        start = size = 0

    def change(value: str) -> str:
        for letter in modifiers:
            value = _modify(letter, value)
        value = value[start:] if start >= 0 or -start < len(value) else value
        return value[:size] if size > 0 else value

    return change


def _modify(letter: str, value: str) -> str:
    if letter == "M":
        import hashlib

        return hashlib.md5(value.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
    if letter == "X":
        return f"{int(value):x}" if value.isdigit() else "0"
    changed = {"U": value.upper(), "L": value.lower(), "R": value[::-1], "T": value.rstrip()}
    return changed[letter]


def parse_2_4(text: str, extra: Mapping[str, str]) -> Template:
    """A template of 2.4: ``%{user}``, ``%{user | domain | upper}``, ``%%{``; ``extra`` are names of its own."""
    pieces: list[str | Variable] = []
    at = 0
    while (mark := text.find("%{", at)) >= 0:
        end = text.find("}", mark)
        if end < 0:
            break
        if text[mark - 1 : mark] == "%" and mark > at:
            pieces.append(text[at : mark - 1] + text[mark : end + 1])
        else:
            pieces += [text[at:mark], _variable_2_4(text[mark + 2 : end], extra)]
        at = end + 1
    return Template([*pieces, text[at:]])


def _variable_2_4(expression: str, extra: Mapping[str, str]) -> Variable:
    word, *filters = (part.strip() for part in expression.split("|"))
    name = extra.get(word) or NAMES_2_4.get(word, "")
    error = "" if name else f"Unknown variable '{word}'"
    change: Callable[[str], str] = str
    if name and filters:
        from dovecot_urlauth.config.errors import UnsupportedSetting
        from dovecot_urlauth.config.variables_2_4 import expand

        piped = "%{x | " + " | ".join(filters) + "}"
        try:
            expand(piped, {"x": ""})
            change = lambda value: expand(piped, {"x": value})  # noqa: E731
        except UnsupportedSetting:
            error = f"No such function '{filters[0].partition('(')[0]}'"
    # the version writes the variable back from what it has understood
    source = "%{" + " | ".join((word, *filters)) + "}"
    return Variable(name, change, source, error, "", word == "user")
