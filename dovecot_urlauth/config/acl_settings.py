"""What the settings say of access rights: 2.3's ``plugin { acl = vfile }``, 2.4's ``acl_driver`` and ``acl { }``.

Matches plugins/acl/acl-backend.c and acl-storage.c.  A setting that nobody has heard of, or one that makes the
user somebody else's guest, is unsupported: the acl plugin itself then decides.
"""

from __future__ import annotations

import os

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.config.mail_user import MailUser
    from dovecot_urlauth.config.settings import Settings

    Expand = Callable[[str], str]

VFILE = "vfile"
CACHE_OPTION = "cache_secs="
MASTER_USER = "master_user"
"""Somebody else who is logged in as the user; the name is then that one's."""
DICTIONARIES = "dict_server"
"""A block with names of its owner's choice in it."""
WITH_A_DIRECTORY = frozenset(("maildir", "sdbox", "mdbox"))
"""Drivers whose mailboxes are directories, which an ACL file lies in."""

HARMLESS_2_3 = frozenset(
    """plugin/acl plugin/acl_anyone plugin/acl_defaults_from_inbox plugin/acl_groups
    plugin/acl_shared_dict plugin/acl_user""".split()
)
"""Obeyed, or about listing."""
HARMLESS_2_4 = frozenset(
    """acl acl_cache_ttl acl_defaults_from_inbox acl_dict_index acl_driver acl_global_path acl_globals_only
    acl_groups acl_user""".split()
)


@frozen
class AclSettings:
    """Whose rights count, and where they are written."""

    user: bytes
    groups: frozenset[bytes]
    global_path: bytes = b""
    """A file, or 2.3's directory, with the rights that hold for all users."""
    takes_global_folder: bool = False
    has_local_files: bool = True
    configured: tuple[tuple[bytes, bytes], ...] = ()
    """2.4: identifiers and rights in the settings."""
    takes_defaults_from_inbox: bool = False
    """In a shared namespace what holds for INBOX holds where nothing else is said."""


def acl_settings_2_3(user: MailUser, expand: Expand) -> AclSettings | None:
    """None when rights are not looked at at all.  Raises UnsupportedSetting."""
    settings = user.settings
    text = expand(settings.get("plugin/acl"))
    if not text:
        return None
    _check_guest(user, expand(settings.get("plugin/acl_user")), expand(settings.get(f"plugin/{MASTER_USER}")))
    for key in settings:
        if key.startswith("plugin/acl") and key not in HARMLESS_2_3:
            raise UnsupportedSetting(f"{key} is set")
    driver, _, rest = text.partition(":")
    path, *options = rest.split(":")
    if driver != VFILE or not all(option.startswith(CACHE_OPTION) for option in options):
        raise UnsupportedSetting(f"acl is {text}")
    groups = expand(settings.get("plugin/acl_groups"))
    return AclSettings(
        user.name,
        frozenset(os.fsencode(group) for group in groups.split(",") if group),
        _global_path(path),
        takes_global_folder=True,
        takes_defaults_from_inbox=settings.flag("plugin/acl_defaults_from_inbox"),
    )


def acl_settings_2_4(user: MailUser, expand: Expand) -> AclSettings | None:
    """None when rights are not looked at at all.  Raises UnsupportedSetting."""
    settings = user.settings
    driver = expand(settings.get("acl_driver"))
    if not driver:
        return None
    if driver != VFILE:
        raise UnsupportedSetting(f"acl_driver is {driver}")
    _check_guest(user, expand(settings.get("acl_user")))
    _check_all(settings)
    return AclSettings(
        user.name,
        frozenset(os.fsencode(group) for group in settings.words("acl_groups")),
        _global_path(expand(settings.get("acl_global_path"))),
        has_local_files=not settings.flag("acl_globals_only"),
        configured=tuple(_configured(settings)),
        takes_defaults_from_inbox=settings.flag("acl_defaults_from_inbox"),
    )


def _check_guest(user: MailUser, *names: str) -> None:
    """The user may be named as somebody who looks on; mail servers with one database for both do so."""
    looking_on = (*names, user.fields.get(MASTER_USER, ""))
    if any(name and os.fsencode(name) != user.name for name in looking_on):
        raise UnsupportedSetting("acl is asked about another user than the owner")


def _global_path(text: str) -> bytes:
    if text and not text.startswith("/"):
        raise UnsupportedSetting(f"global ACLs are in {text}")
    return os.fsencode(text)


def check_namespace(settings: Settings, block: str) -> None:
    """2.4: what the plugin is told of one namespace or its mailboxes alone is for Dovecot to obey.

    Raises UnsupportedSetting.
    """
    for key in settings:
        if key.startswith(f"namespace/{block}/") and any(name.startswith("acl") for name in key.split("/")[2:]):
            raise UnsupportedSetting(f"{key} is set")


def _check_all(settings: Settings) -> None:
    """2.4: every setting of the plugin's, in blocks too, but for those of namespaces."""
    for key in settings:
        first, *rest = key.split("/")
        if first == "namespace":
            continue
        if first.startswith("acl") and not first.startswith("acl_sharing_map"):
            if first not in HARMLESS_2_4:
                raise UnsupportedSetting(f"{first} is set")
        elif first != DICTIONARIES and any(name.startswith("acl") for name in rest):
            raise UnsupportedSetting(f"{key} is set")


def _configured(settings: Settings) -> list[tuple[bytes, bytes]]:
    found = []
    for block, identifier in zip(settings.blocks("acl"), settings.words("acl"), strict=True):
        rights = settings.get(f"acl/{block}/rights")
        if "%" in identifier + rights:
            raise UnsupportedSetting(f"acl {identifier} has variables")
        found.append((os.fsencode(identifier), os.fsencode(rights)))
    return found
