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

from dovecot_urlauth.config.settings import short_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dovecot_urlauth.config.settings import Settings
    from dovecot_urlauth.dialect.dialect import Dialect

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

LISTS = frozenset(("mail_access_groups", "mail_plugins", "valid_chroot_dirs"))
"""2.4: settings that are lists; ``mail_plugins/acl = yes`` switches one word of them."""


def override_settings(fields: Mapping[str, str], settings: Settings, dialect: Dialect) -> Settings:
    """``settings`` with the userdb's fields on top; later names in alphabetical order win, as in Dovecot."""
    overrides: dict[str, str] = {}
    interpret = _interpret_2_3 if dialect.generation == "2.3" else _interpret_2_4
    for key in sorted(name for name in fields.keys() - NOT_SETTINGS if name.isascii()):
        interpret(key, fields[key], settings.merged(overrides), dialect, overrides)
    return settings.merged(overrides)


def _interpret_2_3(key: str, value: str, so_far: Settings, dialect: Dialect, overrides: dict[str, str]) -> None:
    """Only Dovecot's C tables know which names are settings and which belong to plugins.

    So a plain name is kept as both: nobody asks for ``plugin/mail_location`` or for a bare ``quota_rule``.
    """
    appends = key.endswith("+")
    name = key.removesuffix("+")
    name = ALIASES_2_3.get(name, name)
    names = (name,) if "/" in name else (name, f"plugin/{name}")
    for each in names:
        overrides[each] = so_far.get(each) + value if appends else value


def _interpret_2_4(key: str, value: str, so_far: Settings, dialect: Dialect, overrides: dict[str, str]) -> None:
    if dialect.explicit_override_prefix:
        key = key.removeprefix(EXPLICIT)
    path, slash, name = key.rpartition("/")
    if path in LISTS:
        overrides[path] = _switched(so_far.get(path).split(), name, value)
    elif name in LISTS:
        overrides[key] = value.replace(",", " ")
    else:
        overrides[path + slash + short_name(path, name)] = value


def _switched(words: list[str], word: str, value: str) -> str:
    others = [each for each in words if each != word]
    return " ".join([*others, word] if value[:1] in ("y", "Y", "1") else others)
