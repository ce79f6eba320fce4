"""Dovecot 2.4's configuration: ``mail_driver``, ``mail_path`` and companions, named blocks, real lists."""

from __future__ import annotations

from dovecot_urlauth.config.driver_defaults import with_driver_defaults
from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.mail_location import from_mail_settings, to_path
from dovecot_urlauth.config.overrides import override_2_4
from dovecot_urlauth.config.variables_2_3 import decode
from dovecot_urlauth.config.variables_2_4 import expand as expand
from dovecot_urlauth.config.variables_2_4 import variables_of as variables_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dovecot_urlauth.config.acl_settings import AclSettings
    from dovecot_urlauth.config.attribute_dict import AttributeDict
    from dovecot_urlauth.config.crypt_settings import CryptSettings
    from dovecot_urlauth.config.language import Expand, Lookup
    from dovecot_urlauth.config.mail_location import Location
    from dovecot_urlauth.config.mail_user import MailUser
    from dovecot_urlauth.config.settings import Settings
    from dovecot_urlauth.config.shared_owners import Owner
    from dovecot_urlauth.dialect.dialect import Dialect

EXPANDED: tuple[str, ...] = ("imap_urlauth_host", "mail_gid", "mail_uid")
PLAIN_FILES = (["posix"], ["sis", "posix"])
"""Filesystems in which a file has its own name."""
OWNERS_NAMES = ("username", "user", "domain")
"""Of two that fit, the longer one counts."""


def override(fields: Mapping[str, str], settings: Settings, dialect: Dialect) -> Settings:
    """See Language.override."""
    explicit = dialect.explicit_override_prefix
    return with_driver_defaults(override_2_4(fields, settings, takes_explicit_prefix=explicit))


def chroot_dirs(settings: Settings) -> tuple[str, ...]:
    """See Language.chroot_dirs."""
    return settings.words("valid_chroot_dirs")


def access_groups(settings: Settings) -> tuple[str, ...]:
    """See Language.access_groups."""
    return settings.words("mail_access_groups")


def driver(get: Lookup) -> str:
    """See Language.driver."""
    return get("mail_driver") or ""


def location(get: Lookup, expand: Expand, home: bytes | None, *, is_inbox: bool) -> Location:
    """See Language.location."""

    def expanded(name: str) -> str | None:
        text = get(name)
        if text is None:
            return None
        path = expand(text)
        if path.startswith("~") and not text.startswith("~"):
            raise UnsupportedSetting(f"{name} expands to {path}")  # Dovecot then takes the ~ for a letter
        return path

    return from_mail_settings(expanded, home)


def attribute_dict(user: MailUser, expand: Expand, major: int) -> AttributeDict:
    """See Language.attribute_dict."""
    from dovecot_urlauth.config.attribute_dict import attribute_dict_of

    return attribute_dict_of(user, expand, major)


def acl(user: MailUser, expand: Expand) -> AclSettings | None:
    """See Language.acl."""
    from dovecot_urlauth.config.acl_settings import acl_settings_2_4

    return acl_settings_2_4(user, expand)


def crypt_settings(settings: Settings, expand: Expand) -> CryptSettings:
    """See Language.crypt_settings."""
    from dovecot_urlauth.config.crypt_settings import crypt_settings_2_4

    return crypt_settings_2_4(settings, expand)


def attachments(settings: Settings, expand: Expand, home: bytes | None) -> bytes | None:
    """See Language.attachments; ``mail_ext_attachment { fs posix { } }``, perhaps with ``fs sis { }`` before."""
    path = settings.get("mail_ext_attachment_path")
    blocks = [f"mail_ext_attachment/fs/{name}" for name in settings.blocks("mail_ext_attachment/fs")]
    drivers = [settings.get(f"{block}/driver", block.rpartition("/")[2]) for block in blocks]
    has_prefix = any(settings.get(f"{block}/prefix") for block in blocks)
    if not path or drivers not in PLAIN_FILES or has_prefix or "owner_" in path:
        return None
    try:
        return to_path(expand(path), home)
    except UnsupportedSetting:
        return None


def aliases(settings: Settings, expand: Expand) -> tuple[tuple[bytes, bytes], ...]:
    """See Language.aliases; blocks, which nobody is known to use."""
    raise UnsupportedSetting("mail_plugins has mailbox_alias")


def shared_prefix(prefix: str, expand: Expand) -> tuple[str, str]:
    """See Language.shared_prefix; written ``shared/$user/``."""
    fixed, sign, rest = prefix.partition("$")
    return expand(fixed), sign + rest


def shared_names(names: str) -> list[tuple[str, str]]:
    """See Language.shared_names."""
    found = []
    for piece in names.split("$")[1:]:
        name = next((each for each in OWNERS_NAMES if piece.startswith(each)), None)
        if name is None or "%" in piece:
            raise UnsupportedSetting(f"shared namespace is for {names}")
        found.append((name, piece.removeprefix(name)))
    return found


def expand_for_owner(text: str, values: Mapping[str, str], owner: Owner) -> str:
    """See Language.expand_for_owner; ``%{owner_user}`` and ``%{owner_home}`` are the owner's."""
    owners = {name: value for name, value in values.items() if name != "owner_home"}
    owners["owner_user"] = decode(owner.name)
    if owner.home:
        owners["owner_home"] = decode(owner.home)
    return expand(text, owners)


def maildir_at(path: str) -> dict[str, str]:
    """See Language.maildir_at."""
    return {
        "mail_driver": "maildir",
        "mail_path": path,
        "mail_attribute/dict": "file",
        "mail_attribute/dict/file/path": path,
    }


def imported_variables(settings: Settings) -> tuple[str, ...]:
    """See Language.imported_variables."""
    return settings.blocks("import_environment")
