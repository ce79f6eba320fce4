"""Variable expressions of Dovecot 2.4: ``%{user}``, ``%{user | domain | default('none') | upper}``.

Matches lib-var-expand: a lexer, a chain of filters, and arithmetic behind a filter.  What differs between 2.4's
versions, conditions, encryption, dates, and variables that we do not have are unsupported.
"""

from __future__ import annotations

import os

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.variables_2_3 import HOST_DOMAIN, SERVICE, USERDB, decode, encode, environment_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dovecot_urlauth.config.mail_user import MailUser

HOST_NAME = "DOVECOT_HOSTNAME"
"""Where master tells each process the machine's name."""


def variables_of(user: MailUser) -> Mapping[str, str]:
    """The values of the variables that we know; a home that is not known is absent."""
    values = {"user": decode(user.name), "owner_user": decode(user.name), "service": SERVICE, "protocol": "imap"}
    if user.home:
        values["home"] = values["owner_home"] = decode(user.home)
    full_name = user.settings.get("hostname") or os.environ.get(HOST_DOMAIN)
    name = os.environ.get(HOST_NAME)
    values |= {key: value for key, value in (("hostname", full_name), ("system:hostname", name)) if value}
    for field, value in user.fields.items():
        values[USERDB + field] = value
    values.update(environment_of(user.settings.blocks("import_environment")))
    return values


def expand(text: str, values: Mapping[str, str]) -> str:
    """``text`` with each ``%{...}`` replaced.  Raises UnsupportedSetting for what we do not know.

    A ``%`` before anything else stands for itself, and ``%%{`` for ``%{``.
    """
    result = []
    at = 0
    while (mark := text.find("%", at)) >= 0:
        result.append(encode(text[at:mark]))
        if text.startswith("%%{", mark):
            result.append(b"%{")
            at = mark + 3
        elif text.startswith("%{", mark):
            value, at = _evaluate(text, mark + 2, values)
            result.append(value)
        else:
            result.append(b"%")
            at = mark + 1
    result.append(encode(text[at:]))
    return decode(b"".join(result))


def _evaluate(text: str, start: int, values: Mapping[str, str]) -> tuple[bytes, int]:
    """The expression that begins at ``start``, and the place behind its brace.  Raises UnsupportedSetting.

    Most are the name of a variable and nothing more, which takes no lexer: its modules cost a start 2 ms.
    """
    end = text.find("}", start)
    name = text[start:end]
    if name in values and name.isidentifier():
        return encode(values[name]), end + 1
    from dovecot_urlauth.config.expressions import evaluate

    return evaluate(text, start, values)


__all__ = ["UnsupportedSetting", "expand", "variables_of"]
