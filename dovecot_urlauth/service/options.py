"""Command-line options, in the way of getopt(3).

Master passes none of its own: what is there was written behind ``executable =`` by the administrator.
"""

from __future__ import annotations

from dovecot_urlauth.service.run import EXIT_USAGE, Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dovecot_urlauth.service.run import Start


NOT_OBEYED = {
    "c": "the configuration is the running Dovecot's",
    "i": "the configuration is the running Dovecot's",
    "o": "write the setting into the configuration, for this protocol",
    "O": "the configuration is the running Dovecot's",
    "R": "no raw logs are written",
}
"""Options of Dovecot's own services that would change what we do: to pass them over in silence would be wrong."""


class Options:
    """What was given: each option's values in order."""

    def __init__(self) -> None:
        self._values: dict[str, list[str]] = {}

    def add(self, name: str, value: str) -> None:
        self._values.setdefault(name, []).append(value)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a repeatable option."""
        return tuple(self._values.get(name, ()))

    def last(self, name: str, default: str) -> str:
        """The value that counts where only one can."""
        return self._values.get(name, [default])[-1]


def parse_options(
    start: Start, known: str, known_long: Mapping[str, tuple[str, ...]], *, obeyed: str = ""
) -> tuple[Options, list[str]]:
    """Return the options (``"yes"`` for a flag) and the remaining arguments.

    ``known`` is getopt's option string.  ``known_long`` has the options that are written like ``--store=x``, each
    with the values that it may have; ``obeyed`` those letters of :data:`NOT_OBEYED` that this service does obey.
    Raises Fatal for an unknown option or value, and for one that is known but cannot be obeyed.
    """
    options = Options()
    pending = list(start.arguments)
    while pending and pending[0].startswith("-") and pending[0] != "-":
        argument = pending.pop(0)
        if argument == "--":
            break
        if argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            if name not in known_long:
                raise Fatal(f"Unknown argument: {argument}", EXIT_USAGE)
            if not equals:
                raise Fatal(
                    f"Missing value for argument: {argument} (write {argument}={'|'.join(known_long[name])})",
                    EXIT_USAGE,
                )
            if value not in known_long[name]:
                raise Fatal(f"Unknown argument: {argument} ({', '.join(known_long[name])})", EXIT_USAGE)
            options.add(name, value)
            continue
        _take_letters(argument[1:], known, options, pending, obeyed)
    return options, pending


def _take_letters(letters: str, known: str, options: Options, pending: list[str], obeyed: str) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        at = known.find(letter)
        if at < 0 or letter == ":":
            raise Fatal(f"Unknown argument: -{letter}", EXIT_USAGE)
        if letter in NOT_OBEYED and letter not in obeyed:
            raise Fatal(f"Argument not supported: -{letter} ({NOT_OBEYED[letter]})", EXIT_USAGE)
        if known[at + 1 : at + 2] != ":":
            options.add(letter, "yes")
            continue
        if not letters and not pending:
            raise Fatal(f"Missing value for argument: -{letter}", EXIT_USAGE)
        options.add(letter, letters or pending.pop(0))
        return
