"""From 2.4's parsed configuration to flat settings, as one protocol and one service see them.

Filters count from the last to the first: the first value found for a key stands (lib-settings/settings.c).  A
block's name becomes part of the key.  Names of blocks (``namespace``) add up instead, and so do the words of a
list until one filter closes it.  What an ``@group`` brings counts just behind the filter that includes it.

Defaults of mail drivers and mailbox layouts are filters too; they appear as ``maildir/mail_path`` or
``maildir/layout_fs/mail_inbox_path``.
"""

from __future__ import annotations

from dovecot_urlauth.config.settings import NAMED_VALUES, is_yes, short_name
from dovecot_urlauth.wire.config_filter import ConfigFileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dovecot_urlauth.wire.config_binary import FilteredSettings, Record

BLOCK_NAMES = frozenset(
    ("acl", "crypt_global_private_key", "crypt_user_key_encryption_key", "dict", "fs", "mailbox", "namespace")
)
"""Keys whose values are the names of blocks."""

OWN_NAMES = frozenset(("acl_id", "crypt_private_key_name", "dict_name", "fs_name"))
"""What a block is called; the path says it already, and ``dict_proxy_name`` has the same short name."""


def flatten(blocks: Mapping[str, tuple[FilteredSettings, ...]], protocol: str, service: str) -> dict[str, str]:
    """All settings that apply.  Raises :class:`ConfigFileError` if one of them was found to be invalid."""
    values: dict[str, str] = {}
    for filtered in blocks.values():
        view = _View(filtered, protocol, f"service/{service}")
        values.update(view.values())
    return values


class _View:
    """One block's settings under the filters that match."""

    def __init__(self, filtered: tuple[FilteredSettings, ...], protocol: str, service: str) -> None:
        circumstances = {"protocol": protocol}
        self._service = service
        self._matching = [each for each in reversed(filtered) if each.filter.matches(circumstances)]
        self._values: dict[str, str] = {}
        self._words: dict[str, dict[str, str]] = {}
        self._closed: set[str] = set()

    def values(self) -> dict[str, str]:
        for settings in self._matching:
            names = settings.filter.names
            if names[:1] == (self._service,):
                self._add(settings, names[1:])
            elif not names or not names[0].startswith(("@", "service/")):
                self._add(settings, names)
        for key, words in self._words.items():
            is_named = key in NAMED_VALUES
            self._values[key] = " ".join(word for word, value in words.items() if is_named or is_yes(value))
        return self._values

    def _add(self, settings: FilteredSettings, names: tuple[str, ...]) -> None:
        if settings.error:
            raise ConfigFileError(settings.error)
        path = "/".join(names)
        closing = set()
        for record in settings.records:
            if record.key in OWN_NAMES:
                continue
            key = f"{path}/{short_name(path, record.key)}" if path else record.key
            if record.operation:
                self._add_word(key, record)
                if record.operation in ("$", "."):
                    closing.add(key)
            elif record.key in BLOCK_NAMES:
                known = self._values.get(key, "").split()
                self._values[key] = " ".join(dict.fromkeys([*known, *record.value.split()]))
            else:
                self._values.setdefault(key, record.value)
        self._closed |= closing
        for group in settings.groups:
            self._add_group(f"@{group}", names)

    def _add_word(self, key: str, record: Record) -> None:
        words = self._words.setdefault(key, {})
        if key not in self._closed and record.operation != ".":
            words.setdefault(record.word, record.value)

    def _add_group(self, group: str, names: tuple[str, ...]) -> None:
        for settings in self._matching:
            if settings.filter.names[:1] == (group,):
                self._add(settings, names + settings.filter.names[1:])
