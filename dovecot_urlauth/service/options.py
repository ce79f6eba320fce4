"""Command-line options, in the way of getopt(3).

Master passes none of its own: what is there was written behind ``executable =`` by the administrator.
"""

from __future__ import annotations

from dovecot_urlauth.service.run import EXIT_FATAL, Fatal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.run import Start


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


def parse_options(start: Start, known: str) -> tuple[Options, list[str]]:
    """Return the options (``"yes"`` for a flag) and the remaining arguments.

    ``known`` is getopt's option string.  ``--store=x`` style long options appear under their name.
    Raises Fatal for an unknown option.
    """
    options = Options()
    pending = list(start.arguments)
    while pending and pending[0].startswith("-") and pending[0] != "-":
        argument = pending.pop(0)
        if argument == "--":
            break
        if argument.startswith("--"):
            name, _, value = argument[2:].partition("=")
            options.add(name, value)
            continue
        _take_letters(argument[1:], known, options, pending)
    return options, pending


def _take_letters(letters: str, known: str, options: Options, pending: list[str]) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        at = known.find(letter)
        if at < 0 or letter == ":":
            raise Fatal(f"Unknown argument: -{letter}", EXIT_FATAL)
        if known[at + 1 : at + 2] != ":":
            options.add(letter, "yes")
            continue
        if not letters and not pending:
            raise Fatal(f"Missing value for argument: -{letter}", EXIT_FATAL)
        options.add(letter, letters or pending.pop(0))
        return
