"""Dovecot's settings as one flat, immutable mapping of text.

Keys are written as ``doveconf -S`` writes them: ``mail_location``; ``namespace`` holds the blocks' names in
order and ``namespace/inbox/prefix`` a setting in one of them; ``plugin/quota`` is an entry of a dictionary.
Dovecot 2.4's named filters take the same shape: ``mail_attribute/dict`` is ``file`` and
``mail_attribute/dict/file/path`` a setting in that block.  Block names are escaped as Dovecot does in paths:
``\\s`` for ``/``, ``\\_`` for a space, ``\\e`` for ``=``, ``\\\\`` for a backslash.

Only what the administrator or a userdb set explicitly is present; each reader knows Dovecot's default.
"""

from __future__ import annotations

from dovecot_urlauth.dialect.dialect import SettingsError as SettingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

UNLIMITED = (1 << 32) - 1
"""What ``unlimited`` stands for in a number (2.4; SET_UINT_UNLIMITED)."""

LONGEST_NUMBER = 20
"""Digits of 64 bits."""

ESCAPED = {"s": "/", "e": "=", "_": " ", ".": ""}
"""What stands for what behind a backslash; ``\\.`` is the empty name (settings_section_escape)."""

SHORT_NAMES = {
    "acl": ("acl_",),
    "dict": ("dict_file_", "dict_proxy_", "dict_"),
    "fs": ("fs_posix_", "fs_"),
    "mailbox": ("mailbox_",),
    "namespace": ("namespace_",),
}
"""Kinds of blocks in which 2.4 lets a setting's name be shortened, and what is left out."""

LISTS = frozenset(
    """acl_groups import_environment listen login_plugins login_source_ips login_trusted_networks
    mail_access_groups mail_always_cache_fields mail_attachment_detection_options mail_cache_fields
    mail_never_cache_fields mail_plugins mbox_read_locks mbox_write_locks protocols valid_chroot_dirs""".split()
)
"""2.4: the settings that are lists, as far as anything reads them; the parsed configuration does not say so."""

NAMED_VALUES = frozenset(("import_environment",))
"""Those whose words have any text as their value; the others' values say whether the word counts."""


class Settings:
    """Explicit settings: text by key, with Dovecot's notations for the other types."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def get(self, name: str, default: str = "") -> str:
        """The text of ``name``, or ``default`` when nobody set it."""
        return self._values.get(name, default)

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean; ``default`` when nobody set it."""
        text = self._values.get(name)
        return default if text is None else is_yes(text)

    def number(self, name: str, default: int = 0) -> int:
        """An unsigned number; ``unlimited`` is :data:`UNLIMITED`.  Raises SettingsError for anything else."""
        text = self._values.get(name)
        if text is None:
            return default
        if text == "unlimited":
            return UNLIMITED
        if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
            raise SettingsError(f"Invalid setting {name}: Invalid number {text}: Not a valid number")
        return int(text)

    def blocks(self, name: str) -> tuple[str, ...]:
        """The names of the blocks ``name x { }``, escaped as in keys, in the configuration's order."""
        return tuple(self._values.get(name, "").split())

    def words(self, name: str) -> tuple[str, ...]:
        """A list of words with its escapes undone, such as 2.4's ``valid_chroot_dirs``."""
        return tuple(_unescape(word) for word in self.blocks(name))

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


def is_yes(text: str) -> bool:
    """A boolean's value; Dovecot looks at the first letter only: y, Y, 1 against n, N, 0 (lib-settings)."""
    return text[:1] in ("y", "Y", "1")


def _unescape(word: str) -> str:
    first, *rest = word.replace("\\\\", "\\\0").split("\\")
    plain = first + "".join(ESCAPED.get(piece[:1], piece[:1]) + piece[1:] for piece in rest)
    return plain.replace("\0", "\\")


def short_name(path: str, name: str) -> str:
    """The name of a setting as it is written inside the block ``path``.

    >>> short_name("namespace/inbox", "namespace_prefix"), short_name("", "namespace_prefix")
    ('prefix', 'namespace_prefix')
    """
    for prefix in SHORT_NAMES.get(path.rpartition("/")[0].rpartition("/")[2], ()):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name
