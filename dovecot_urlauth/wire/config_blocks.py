"""Dovecot 2.4's configuration as ``doveconf -n`` prints it, for a parsed file whose layout we do not know.

    mail_plugins = acl quota
    protocol imap {
      mail_plugins {
        acl = no
      }
    }
    namespace inbox {
      separator = /
      @stuff = mine
    }

A header is ``name {`` or ``kind name {``.  Those of protocols and of connections are circumstances, all others
names of blocks, and what stands in them is the same as in the parsed file, but that names are short.  What is not
understood is refused, since half a configuration may be the half without the rights.
"""

from __future__ import annotations

from dovecot_urlauth.wire.config_binary import FilteredSettings, Record
from dovecot_urlauth.wire.config_filter import ConfigFileError, Filter, Term

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

CIRCUMSTANCES = ("protocol", "local", "local_name", "remote")
NAMED_KINDS = ("dict", "fs", "mailbox", "namespace")
"""Blocks whose names are told where they stand, so that they can be counted."""
EVERYWHERE = Filter((), ())


def read_blocks(text: str, lists: Collection[str]) -> dict[str, tuple[FilteredSettings, ...]]:
    """All settings, as one block under the name ``""``; ``lists`` names those that are lists.

    Raises :class:`ConfigFileError`.
    """
    found: list[_Collected] = [_Collected(EVERYWHERE)]
    stack: list[_Collected] = [found[0]]
    lines = iter(text.splitlines())
    for line in map(str.strip, lines):
        if not line or line.startswith("#"):
            continue
        if line == "}":
            if len(stack) == 1:
                raise _unknown(line)
            stack.pop()
        elif line.endswith(" {") and " = " not in line:
            header = line.removesuffix(" {")
            if header in lists:
                stack[-1].add_words(header, lines)
            else:
                inner = _Collected(_enter(stack[-1], header))
                found.append(inner)
                stack.append(inner)
        else:
            stack[-1].add(line, lists)
    if len(stack) != 1:
        raise ConfigFileError("Configuration ends within a block")
    return {"": tuple(each.settings() for each in found)}


class _Collected:
    """What stands in one block."""

    def __init__(self, filter: Filter) -> None:
        self.filter = filter
        self.records: list[Record] = []
        self._groups: list[str] = []

    def settings(self) -> FilteredSettings:
        return FilteredSettings(self.filter, "", tuple(self._groups), tuple(self.records))

    def add(self, line: str, lists: Collection[str]) -> None:
        """``key = value``; a list's whole value closes it."""
        key, value = _assignment(line)
        if key.startswith("@"):
            self._groups.append(f"{key[1:]}/{value}")
        elif key in lists:
            words = value.split()
            for word in words:
                self._add_word("$" if word is words[-1] else "+", key, word)
            if not words:
                self.records.append(Record(key, ".", "", ""))
        else:
            self.records.append(Record(key, "", "", value))

    def add_words(self, key: str, lines: Iterable[str]) -> None:
        """The words of a list, one a line, up to the brace."""
        for line in map(str.strip, lines):
            if line == "}":
                return
            word, value = _assignment(line)
            self.records.append(Record(key, "+", word, value))
        raise ConfigFileError("Configuration ends within a list")

    def _add_word(self, operation: str, key: str, word: str) -> None:
        name, equals, value = word.partition("=")
        self.records.append(Record(key, operation, name, value if equals else "yes"))


def _enter(outer: _Collected, header: str) -> Filter:
    kind, _, name = header.partition(" ")
    if '"' in header or "\\" in header:
        raise _unknown(header)
    if kind in CIRCUMSTANCES:
        negated = name.startswith("!")
        term = Term(kind, name.removeprefix("!"), negated)
        return Filter(outer.filter.names, (*outer.filter.terms, term))
    if kind == "group":
        if not name.startswith("@") or outer.filter != EVERYWHERE:
            raise _unknown(header)
        return Filter((name.replace(" ", "/"),), ())
    if kind in NAMED_KINDS:
        outer.records.append(Record(kind, "", "", name))
    path = f"{kind}/{name}" if name else kind
    return Filter((*outer.filter.names, path), outer.filter.terms)


def _assignment(line: str) -> tuple[str, str]:
    key, equals, value = line.partition(" =")
    if not equals or not key or (value and not value.startswith(" ")) or key.endswith("{"):
        raise _unknown(line)
    value = value[1:]
    if value.startswith('"'):
        if len(value) < 2 or not value.endswith('"'):
            raise _unknown(line)
        value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return key.strip('"'), value


def _unknown(line: str) -> ConfigFileError:
    return ConfigFileError(f"doveconf prints what we do not understand: {line}")
