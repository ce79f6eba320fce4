"""login_log_format: what is known of a client, appended to each line about it (login-common/client-common.c).

The elements are split at spaces and expanded one by one.  An element that shows nothing of a client is left
out, except where it names the user; what exactly that means, and what becomes of variables that are not known,
has changed twice.
"""

from __future__ import annotations

from dovecot_urlauth.dialect.dialect import ElementRules
from dovecot_urlauth.login.logvariables import all_values, parse_2_3, parse_2_4

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dovecot_urlauth.login.logvariables import Template

SEPARATOR = ", "


def _split(elements: str) -> list[str]:
    """At spaces, but not within ``%{user | upper}``."""
    found: list[str] = []
    within = False
    for word in elements.split():
        if within:
            found[-1] += " " + word
        else:
            found.append(word)
        within = found[-1].rfind("%{") > found[-1].rfind("}")
    return found


class LogFormat:
    """``login_log_format`` and ``login_log_format_elements``, as one version understands them."""

    __slots__ = ("_elements", "_error", "_format", "_rules")

    def __init__(self, log_format: str, elements: str, rules: ElementRules) -> None:
        self._rules = rules
        parse = parse_2_3 if rules is ElementRules.SHOWS_UNKNOWN else parse_2_4
        outer = {"$": "message", "s": "elements", "message": "message", "elements": "elements"}
        self._format = parse(log_format, outer)
        self._elements = [(element, parse(element, {})) for element in _split(elements)]
        self._error = self._first_error()

    def line(self, message: str, values: Mapping[str, str], complain: Callable[[str], None] | None = None) -> str:
        """The whole log line; ``values`` are user, mechanism, mail_pid, secured, session, absent ones empty.

        ``complain`` is told once in a process's life what in the elements is not understood.
        """
        if self._error and complain is not None:
            complain(self._error)
            self._error = ""
        return self._format.fill({"message": message, "elements": self._join(all_values(values))})

    def _join(self, values: Mapping[str, str]) -> str:
        text = ""
        last = len(self._elements) - 1
        for place, (_, template) in enumerate(self._elements):
            shown = self._show(template, values)
            if shown is None:
                continue
            text += shown
            # 2.4 does not take back the separator when nothing follows
            if text and (place < last or self._rules is ElementRules.SHOWS_UNKNOWN):
                text += SEPARATOR
        return text.removesuffix(SEPARATOR) if self._rules is ElementRules.SHOWS_UNKNOWN else text

    def _show(self, template: Template, values: Mapping[str, str]) -> str | None:
        """The element's text, or None to leave it out."""
        variables = template.variables()
        shown = template.fill(values)
        if any(variable.error for variable in variables) and self._rules is ElementRules.DROPS_UNKNOWN:
            return None
        if any(variable.is_user for variable in variables):
            return shown
        if not variables and self._rules is ElementRules.EMPTIES_UNKNOWN:
            return shown
        return shown if shown != template.fill({}) else None

    def _first_error(self) -> str:
        for element, template in self._elements:
            for variable in template.variables():
                if variable.error:
                    names_all = self._rules is not ElementRules.EMPTIES_UNKNOWN
                    where = element if names_all else variable.source
                    return f"Failed to expand log_format_elements={where}: {variable.error}"
        return ""
