"""Dovecot 2.3's configuration: ``mail_location``, lists in one text, dictionaries as ``driver:text``."""

from __future__ import annotations

import os

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.mail_location import parse_mail_location, to_path
from dovecot_urlauth.config.overrides import override_2_3
from dovecot_urlauth.config.plugins import words
from dovecot_urlauth.config.variables_2_3 import IMPORTED, decode, imported
from dovecot_urlauth.config.variables_2_3 import expand as expand
from dovecot_urlauth.config.variables_2_3 import variables_of as variables_of

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

EXPANDED: tuple[str, ...] = ()
SINGLE_INSTANCES = "sis posix"
"""The default of mail_attachment_fs."""
LISTESCAPE_CHAR = "\\"
OWNERS_LETTERS = {"u": "user", "n": "username", "d": "domain"}


def override(fields: Mapping[str, str], settings: Settings, dialect: Dialect) -> Settings:
    """See Language.override."""
    return override_2_3(fields, settings)


def chroot_dirs(settings: Settings) -> tuple[str, ...]:
    """See Language.chroot_dirs."""
    return tuple(settings.get("valid_chroot_dirs").split(":"))


def access_groups(settings: Settings) -> tuple[str, ...]:
    """See Language.access_groups."""
    return tuple(settings.get("mail_access_groups").replace(",", " ").split())


def driver(get: Lookup) -> str:
    """See Language.driver."""
    return (get("location") or get("mail_location") or "").partition(":")[0]


def location(get: Lookup, expand: Expand, home: bytes | None, *, is_inbox: bool) -> Location:
    """See Language.location; a namespace's blank location means mail_location (mail-namespace.c)."""
    text = get("location") or get("mail_location")
    if not text:
        raise UnsupportedSetting("mail_location is not set")
    return parse_mail_location(expand(text), home, is_inbox=is_inbox, escape=_listescape(get))


def _listescape(get: Lookup) -> str:
    """The plugin's character, "" without the plugin; of a longer text Dovecot takes the first."""
    if "listescape" not in words(get("mail_plugins") or ""):
        return ""
    return (get("plugin/listescape_char") or LISTESCAPE_CHAR)[0]


def attribute_dict(user: MailUser, expand: Expand, major: int) -> AttributeDict:
    """See Language.attribute_dict."""
    from dovecot_urlauth.config.attribute_dict import parse_attribute_dict

    return parse_attribute_dict(expand(user.settings.get("mail_attribute_dict")), user, major)


def acl(user: MailUser, expand: Expand) -> AclSettings | None:
    """See Language.acl."""
    from dovecot_urlauth.config.acl_settings import acl_settings_2_3

    return acl_settings_2_3(user, expand)


def crypt_settings(settings: Settings, expand: Expand) -> CryptSettings:
    """See Language.crypt_settings."""
    from dovecot_urlauth.config.crypt_settings import crypt_settings_2_3

    return crypt_settings_2_3(settings, expand)


def attachments(settings: Settings, expand: Expand, home: bytes | None) -> bytes | None:
    """See Language.attachments; ``posix``, ``sis posix`` or ``sis-queue <directory>:posix``."""
    path = settings.get("mail_attachment_dir")
    filesystem, _, rest = settings.get("mail_attachment_fs", SINGLE_INSTANCES).replace(":", " ").partition(" ")
    plain = {"posix": rest == "", "sis": rest == "posix", "sis-queue": rest.partition(" ")[2] == "posix"}
    if not path or not plain.get(filesystem):
        return None
    try:
        return to_path(expand(path), home)
    except UnsupportedSetting:
        return None


def aliases(settings: Settings, expand: Expand) -> tuple[tuple[bytes, bytes], ...]:
    """See Language.aliases; counted from 2 on, up to the first that lacks one of its two names."""
    found: list[tuple[bytes, bytes]] = []
    number = ""
    while all(f"plugin/mailbox_alias_{which}{number}" in settings for which in ("old", "new")):
        new, old = (expand(settings.get(f"plugin/mailbox_alias_{which}{number}")) for which in ("new", "old"))
        found.append((os.fsencode(new), os.fsencode(old)))
        number = str(len(found) + 1)
    return tuple(found)


def shared_prefix(prefix: str, expand: Expand) -> tuple[str, str]:
    """See Language.shared_prefix; written ``shared/%%u/``, where expanding leaves one sign."""
    fixed, sign, rest = expand(prefix).partition("%")
    return fixed, sign + rest


def shared_names(names: str) -> list[tuple[str, str]]:
    """See Language.shared_names."""
    found = []
    for piece in names.split("%")[1:]:
        if piece[:1] not in OWNERS_LETTERS:
            raise UnsupportedSetting(f"shared namespace is for {names}")
        found.append((OWNERS_LETTERS[piece[:1]], piece[1:]))
    return found


def expand_for_owner(text: str, values: Mapping[str, str], owner: Owner) -> str:
    """See Language.expand_for_owner; ``%%h`` is the owner's home, once the target user's own are replaced."""
    owners = {"user": decode(owner.name), "username": decode(owner.username), "domain": decode(owner.domain)}
    if owner.home:
        owners["home"] = decode(owner.home)
    return expand(expand(text, values), owners)


def maildir_at(path: str) -> dict[str, str]:
    """See Language.maildir_at."""
    return {"mail_location": f"maildir:{path}", "mail_attribute_dict": f"file:{path}"}


def imported_variables(settings: Settings) -> tuple[str, ...]:
    """See Language.imported_variables; a word is a name, or ``name=value``."""
    return imported(settings.get("import_environment", IMPORTED).split())
