"""Dovecot's settings as one flat, immutable mapping of text.

Keys are written as ``doveconf -S`` writes them: ``mail_location``; ``namespace`` holds the blocks' names in
order and ``namespace/inbox/prefix`` a setting in one of them; ``plugin/quota`` is an entry of a dictionary.
Dovecot 2.4's named filters take the same shape: ``mail_attribute/dict`` is ``file`` and
``mail_attribute/dict/file/path`` a setting in that block.  Block names are escaped as Dovecot does in paths:
``\\s`` for ``/``, ``\\_`` for a space, ``\\e`` for ``=``, ``\\\\`` for a backslash.

Only what the administrator or a userdb set explicitly is present; each reader knows Dovecot's default.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UNLIMITED = (1 << 32) - 1
"""What ``unlimited`` stands for in a number (2.4; SET_UINT_UNLIMITED)."""

ESCAPES = (("\\", "\\\\"), ("/", "\\s"), ("=", "\\e"), (" ", "\\_"))


class SettingsError(Exception):
    """Settings could not be read; ``text`` is what Dovecot would write to the log."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Settings:
    """Explicit settings: text by key, with Dovecot's notations for the other types."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def get(self, name: str, default: str = "") -> str:
        """The text of ``name``, or ``default`` when nobody set it."""
        return self._values.get(name, default)

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean; Dovecot looks at the first letter only: y, Y, 1 against n, N, 0 (lib-settings)."""
        text = self._values.get(name, "")
        return text[0] in "yY1" if text else default

    def number(self, name: str, default: int = 0) -> int:
        """An unsigned number; ``unlimited`` is :data:`UNLIMITED`.  Raises SettingsError for anything else."""
        text = self._values.get(name)
        if text is None:
            return default
        if text == "unlimited":
            return UNLIMITED
        if not (text.isascii() and text.isdigit()):
            raise SettingsError(f"Invalid setting {name}: Invalid number {text}: Not a valid number")
        return int(text)

    def blocks(self, name: str) -> tuple[str, ...]:
        """The names of the blocks ``name x { }``, escaped as in keys, in the configuration's order."""
        return tuple(self._values.get(name, "").split())

    def merged(self, overrides: Mapping[str, str]) -> Settings:
        """These settings with ``overrides`` on top."""
        return Settings({**self._values, **overrides})

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self._values == other._values

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return f"Settings({self._values!r})"


def escape_block_name(name: str) -> str:
    """A block's name as it is written inside a key (settings_section_escape in lib-settings)."""
    for plain, escaped in ESCAPES:
        name = name.replace(plain, escaped)
    return name or "\\."
