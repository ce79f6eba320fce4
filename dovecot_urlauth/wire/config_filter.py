"""The filters of Dovecot 2.4's parsed configuration: under which circumstances settings apply.

A filter is an event filter of the simplest kind, ``NOT`` and ``AND`` over equalities:

    protocol="imap" AND settings_filter_name="namespace/inbox"

Names of blocks stand innermost first; here they become one path, outermost first, as in
``mail_attribute/dict/file``.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.wire.lines import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NAME_FIELD = "settings_filter_name"


class ConfigFileError(ProtocolError):
    """The configuration cannot be used; ``text`` is for the log."""


@frozen
class Term:
    """``field="value"``, or its opposite."""

    field: str
    value: str
    negated: bool


@frozen
class Filter:
    """A parsed filter."""

    names: tuple[str, ...]
    """The blocks that the settings stand in, outermost first: ``("mail_attribute", "dict/file")``."""
    terms: tuple[Term, ...]

    def matches(self, circumstances: Mapping[str, str]) -> bool:
        """Whether all terms hold; a field that is not there equals nothing."""
        return all((circumstances.get(term.field) == term.value) != term.negated for term in self.terms)


def parse_filter(text: str) -> Filter:
    """Parse one filter; the empty one applies always.  Raises :class:`ConfigFileError`.

    >>> parse_filter('settings_filter_name="dict/file" AND settings_filter_name="mail_attribute"').names
    ('mail_attribute', 'dict/file')
    """
    names: list[str] = []
    terms: list[Term] = []
    at = 0
    while at < len(text):
        if terms or names:
            at = _expect(text, at, " AND ")
        term, at = _parse_term(text, at)
        if term.field == NAME_FIELD and not term.negated:
            names.insert(0, term.value)
        else:
            terms.append(term)
    return Filter(tuple(names), tuple(terms))


def _parse_term(text: str, at: int) -> tuple[Term, int]:
    negated = text.startswith("NOT ", at)
    start = at + len("NOT ") * negated
    equals = text.find('="', start)
    field = text[start:equals]
    if equals < 0 or not field.replace("_", "").isalnum():
        raise ConfigFileError(f"Unknown event filter in configuration: {text}")
    value, at = _parse_quoted(text, equals + len('="'))
    return Term(field, value, negated), at


def _parse_quoted(text: str, at: int) -> tuple[str, int]:
    """The value that starts at ``at``, behind its quote, and where the text goes on."""
    pieces = []
    while True:
        quote, escape = text.find('"', at), text.find("\\", at)
        if quote < 0:
            raise ConfigFileError(f"Unknown event filter in configuration: {text}")
        if not 0 <= escape < quote:
            pieces.append(text[at:quote])
            return "".join(pieces), quote + 1
        pieces.append(text[at:escape] + text[escape + 1 : escape + 2])
        at = escape + 2


def _expect(text: str, at: int, word: str) -> int:
    if not text.startswith(word, at):
        raise ConfigFileError(f"Unknown event filter in configuration: {text}")
    return at + len(word)
