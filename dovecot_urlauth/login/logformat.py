"""login_log_format: what is known of a client, appended to each line about it (login-common/client-common.c).

The elements are split at spaces and expanded one by one.  An element that contains a variable but shows
nothing of it is left out, except where it names the user.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SHORT_NAMES = {
    "u": "user",
    "m": "mechanism",
    "r": "remote_ip",
    "l": "local_ip",
    "e": "mail_pid",
    "c": "secured",
    "s": "message_or_elements",
    "p": "pid",
}
"""2.3's one-letter variables; all of them have the long name in 2.4."""

USER_NAMES = frozenset(("user", "username", "domain", "u", "n", "d"))


class LogFormat:
    """``login_log_format`` and ``login_log_format_elements``, of either generation."""

    __slots__ = ("_elements", "_format")

    def __init__(self, log_format: str, elements: str) -> None:
        self._format = log_format
        self._elements = elements.split()

    def line(self, message: str, values: Mapping[str, str]) -> str:
        """The whole log line. ``values`` by 2.4's names; an absent value is empty."""
        shown = []
        for element in self._elements:
            text, names = expand(element, values)
            empty, _ = expand(element, {})
            if not names or text != empty or names & USER_NAMES:
                shown.append(text)
        elements = ", ".join(shown)
        outer = {"message": message, "elements": elements, "$": message, "s": elements}
        return expand(self._format, outer)[0]


def expand(template: str, values: Mapping[str, str]) -> tuple[str, set[str]]:
    """Expand ``%x``, ``%{name}`` and ``%%``; return the text and the names met.

    A filter behind ``|`` is ignored but for the name in front of it; an unknown name is empty.
    """
    pieces = []
    names: set[str] = set()
    position = 0
    while True:
        percent = template.find("%", position)
        if percent < 0 or percent + 1 >= len(template):
            pieces.append(template[position:])
            return "".join(pieces), names
        pieces.append(template[position:percent])
        name = template[percent + 1]
        position = percent + 2
        if name == "%":
            pieces.append("%")
            continue
        if name == "{":
            end = template.find("}", position)
            if end < 0:
                pieces.append(template[percent:])
                return "".join(pieces), names
            name = template[position:end].partition("|")[0].strip()
            position = end + 1
        names.add(name)
        pieces.append(values.get(name, values.get(SHORT_NAMES.get(name, ""), "")))
