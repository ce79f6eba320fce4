"""Namespaces of type ``shared``: below one prefix everybody's mail, at a place that depends on the owner.

Matches index/shared/shared-storage.c, which makes a namespace for each owner when a mailbox of his is asked for:
with the target user's settings, whatever the userdb says of the owner apart from his home.
"""

from __future__ import annotations

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.config.language import Language, Lookup
    from dovecot_urlauth.config.mail_location import Location
    from dovecot_urlauth.config.mail_user import MailUser

USER, USERNAME, DOMAIN = "user", "username", "domain"
PATHS = ("mail_path", "mail_inbox_path", "mail_index_path", "mail_control_path", "mail_alt_path")
"""2.4's settings of paths; whether ``~`` is the owner's home or the target user's may depend on the version."""


@frozen
class Owner:
    """Somebody whose mail is shared; ``domain`` is empty if there is none."""

    name: bytes
    username: bytes
    domain: bytes
    home: bytes = b""


@frozen
class SharedOwners:
    """How owners' names stand in mailboxes' names, and where an owner's mail is."""

    names: tuple[tuple[str, bytes], ...]
    """Each part of the owner's name, and the text between it and what follows; the last text ends the prefix."""
    own_name: bytes
    """The target user's."""
    locate: Callable[[Owner], Location]
    """Raises UnsupportedSetting."""


def shared_owners(language: Language, user: MailUser, names: str, separator: bytes, get: Lookup) -> SharedOwners:
    """The owners of the namespace whose settings ``get`` looks up.  Raises UnsupportedSetting."""
    parts = tuple((name, text.encode("utf-8", "surrogateescape")) for name, text in language.shared_names(names))
    kinds = [name for name, _ in parts]
    if not {USER, USERNAME} & set(kinds) or len(kinds) > len(set(kinds)):
        raise UnsupportedSetting(f"shared namespace is for {names}")
    if len(separator) != 1 or not all(text for _, text in parts) or parts[-1][1] != separator:
        raise UnsupportedSetting(f"shared namespace prefix {names!r} does not end with the separator")
    for name in PATHS:
        if (get(name) or "").startswith("~"):
            raise UnsupportedSetting(f"{name} of a shared namespace is {get(name)}")
    values = language.variables_of(user)

    def locate(owner: Owner) -> Location:
        def expand(text: str) -> str:
            return language.expand_for_owner(text, values, owner)

        found = language.location(get, expand, user.home, is_inbox=True)
        _check(found)
        return found

    return SharedOwners(parts, user.name, locate)


def _check(location: Location) -> None:
    from dovecot_urlauth.config.acl_settings import WITH_A_DIRECTORY

    if location.driver not in WITH_A_DIRECTORY:
        raise UnsupportedSetting(f"shared namespace of {location.driver}")
    if location.escape or location.visible_escape:
        raise UnsupportedSetting("shared namespace with escaped names")
