"""Variable expressions of Dovecot 2.4: ``%{user}``, ``%{user | domain | default('none') | upper}``.

Matches lib-var-expand, as far as administrators write paths with it.  Hashes, other filters, programs and
variables that we do not have are unsupported.
"""

from __future__ import annotations

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.variables_2_3 import LOWER, SERVICE, UPPER, USERDB, decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dovecot_urlauth.config.mail_user import MailUser


def variables_of(user: MailUser) -> Mapping[str, str]:
    """The values of the variables that we know; a home that is not known is absent."""
    values = {"user": decode(user.name), "owner_user": decode(user.name), "service": SERVICE, "protocol": "imap"}
    if user.home:
        values["home"] = values["owner_home"] = decode(user.home)
    for field, value in user.fields.items():
        values[USERDB + field] = value
    return values


def expand(text: str, values: Mapping[str, str]) -> str:
    """``text`` with each ``%{...}`` replaced.  Raises UnsupportedSetting for what we do not know."""
    result = []
    at = 0
    while (mark := text.find("%", at)) >= 0:
        result.append(text[at:mark])
        if text.startswith("%%", mark):
            result.append("%")
            at = mark + 2
            continue
        end = text.find("}", mark)
        if not text.startswith("%{", mark) or end < 0:
            raise UnsupportedSetting(f"variable {text[mark : mark + 20]}")
        result.append(_evaluate(text[mark + 2 : end], values))
        at = end + 1
    result.append(text[at:])
    return "".join(result)


def _evaluate(expression: str, values: Mapping[str, str]) -> str:
    name, *filters = (word.strip() for word in expression.split("|"))
    has_default = bool(filters) and filters[0].startswith("default")
    if name not in values and not (has_default and name.startswith(USERDB)):
        # a variable that we do not know may well have a value, so that its default is none of our business
        raise UnsupportedSetting(f"variable %{{{expression}}}")
    value = values.get(name, "")
    for call in filters:
        word, _, rest = call.partition("(")
        arguments = _parse_arguments(rest, values) if rest else []
        apply = FILTERS.get(word.strip())
        if arguments is None or apply is None:
            raise UnsupportedSetting(f"variable %{{{expression}}}")
        try:
            value = apply(value, *arguments)
        except (TypeError, ValueError):
            raise UnsupportedSetting(f"variable %{{{expression}}}") from None
    return value


def _parse_arguments(rest: str, values: Mapping[str, str]) -> list[str] | None:
    """The arguments behind an open parenthesis: numbers, quoted text and variables; None for anything else."""
    inside, closing, after = rest.partition(")")
    if not closing or after.strip():
        return None
    arguments = []
    for word in inside.split(",") if inside.strip() else ():
        argument = word.strip()
        if argument[:1] in ("'", '"') and argument[-1:] == argument[:1] and len(argument) > 1:
            arguments.append(argument[1:-1])
        elif argument.lstrip("-").isdigit():
            arguments.append(argument)
        elif argument in values:
            arguments.append(values[argument])
        else:
            return None
    return arguments


def _substr(value: str, offset: str, length: str | None = None) -> str:
    start = int(offset)
    if not value.isascii():
        raise ValueError(value)
    value = value[start:] if start >= 0 or -start < len(value) else value
    if length is None:
        return value
    if int(length) < 0:
        raise ValueError(length)
    return value[: int(length)]


def _default(value: str, other: str = "") -> str:
    return value or other


FILTERS: Mapping[str, Callable[..., str]] = {
    "username": lambda value: value.partition("@")[0],
    "domain": lambda value: value.partition("@")[2],
    "lower": lambda value: value.translate(LOWER),
    "upper": lambda value: value.translate(UPPER),
    "default": _default,
    "substr": _substr,
}
