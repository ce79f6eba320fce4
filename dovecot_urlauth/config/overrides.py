"""Settings that a userdb sets for one user.

Every field of the userdb's answer that has no meaning of its own is a setting
(lib-storage/mail-storage-service.c).  How it is written depends on the version:

    2.3      ``key=value``; ``key+=value`` appends; ``mail`` is short for ``mail_location``; what Dovecot does
             not know is an entry of ``plugin { }``
    2.4.1    any key; unknown ones do nothing
    2.4.2    ``set/key`` is explicit; a key with ``/`` is a path; any other key counts if a setting has the name

An override of a setting outside all blocks leaves blocks alone that set it themselves.
"""

from __future__ import annotations

from dovecot_urlauth.config.settings import LISTS, is_yes, short_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dovecot_urlauth.config.settings import Settings

NOT_SETTINGS = frozenset(
    (
        "uid",
        "gid",
        "home",
        "chroot",
        "system_groups_user",
        "chdir",
        "nice",
        "admin",
        "auth_mech",
        "auth_token",
        "auth_token_session_pid",
        "auth_user",
        "local_name",
    )
)
"""Fields that mean something else."""

ALIASES_2_3 = {"mail": "mail_location"}

EXPLICIT = "set/"


def override_2_3(fields: Mapping[str, str], settings: Settings) -> Settings:
    """``settings`` with the userdb's fields on top; later names in alphabetical order win, as in Dovecot.

    Only Dovecot's C tables know which names are settings and which belong to plugins.  So a plain name is kept
    as both: nobody asks for ``plugin/mail_location`` or for a bare ``quota_rule``.
    """
    overrides: dict[str, str] = {}
    for key in _in_order(fields):
        appends = key.endswith("+")
        name = key.removesuffix("+")
        name = ALIASES_2_3.get(name, name)
        for each in (name,) if "/" in name else (name, f"plugin/{name}"):
            before = overrides.get(each, settings.get(each)) if appends else ""
            overrides[each] = before + fields[key]
    return settings.merged(overrides)


def override_2_4(fields: Mapping[str, str], settings: Settings, *, takes_explicit_prefix: bool) -> Settings:
    """``settings`` with the userdb's fields on top; ``mail_plugins/acl = yes`` switches one word of a list."""
    overrides: dict[str, str] = {}
    for field in _in_order(fields):
        key, value = field, fields[field]
        if takes_explicit_prefix:
            key = key.removeprefix(EXPLICIT)
        path, slash, name = key.rpartition("/")
        if path in LISTS:
            words = overrides.get(path, settings.get(path)).split()
            overrides[path] = _switched(words, name, value)
        elif name in LISTS:
            overrides[key] = value.replace(",", " ")
        else:
            overrides[path + slash + short_name(path, name)] = value
    return settings.merged(overrides)


def _in_order(fields: Mapping[str, str]) -> list[str]:
    return sorted(name for name in fields.keys() - NOT_SETTINGS if name.isascii())


def _switched(words: list[str], word: str, value: str) -> str:
    others = [each for each in words if each != word]
    return " ".join([*others, word] if is_yes(value) else others)
