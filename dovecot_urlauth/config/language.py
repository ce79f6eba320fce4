"""The two configuration languages behind one interface; which one it is, is asked here and nowhere else."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Protocol

    from dovecot_urlauth.config.acl_settings import AclSettings
    from dovecot_urlauth.config.attribute_dict import AttributeDict
    from dovecot_urlauth.config.crypt_settings import CryptSettings
    from dovecot_urlauth.config.mail_location import Location
    from dovecot_urlauth.config.mail_user import MailUser
    from dovecot_urlauth.config.settings import Settings
    from dovecot_urlauth.config.shared_owners import Owner
    from dovecot_urlauth.dialect.dialect import Dialect

    Lookup = Callable[[str], str | None]
    """One namespace's setting, or the one outside; None when nobody set it."""
    Expand = Callable[[str], str]
else:
    Protocol = object


class Language(Protocol):
    """One configuration language: a module of this room."""

    EXPANDED: tuple[str, ...]
    """Settings of plain text that may have variables."""

    def expand(self, text: str, values: Mapping[str, str]) -> str:
        """``text`` with its variables replaced.  Raises UnsupportedSetting for what we do not know."""

    def variables_of(self, user: MailUser) -> Mapping[str, str]:
        """The variables that we know, and their values."""

    def override(self, fields: Mapping[str, str], settings: Settings, dialect: Dialect) -> Settings:
        """``settings`` with the userdb's fields on top, and the defaults that follow from them."""

    def chroot_dirs(self, settings: Settings) -> tuple[str, ...]:
        """``valid_chroot_dirs``."""

    def access_groups(self, settings: Settings) -> tuple[str, ...]:
        """``mail_access_groups``: names and numbers."""

    def driver(self, get: Lookup) -> str:
        """The mail driver's name; empty if nobody set it."""

    def location(self, get: Lookup, expand: Expand, home: bytes | None, *, is_inbox: bool) -> Location:
        """Where the mail of a namespace is.  Raises UnsupportedSetting."""

    def attribute_dict(self, user: MailUser, expand: Expand, major: int) -> AttributeDict:
        """Where the attributes of ``user``'s mailboxes are; ``major`` is the dict protocol's version.

        Raises UnsupportedSetting.
        """

    def acl(self, user: MailUser, expand: Expand) -> AclSettings | None:
        """What the acl plugin, which is loaded, goes by in own mailboxes; None when it has nothing to do.

        Raises UnsupportedSetting.
        """

    def crypt_settings(self, settings: Settings, expand: Expand) -> CryptSettings:
        """The private keys that are set for mail_crypt.  Raises UnsupportedSetting."""

    def attachments(self, settings: Settings, expand: Expand, home: bytes | None) -> bytes | None:
        """The directory of external attachments; None if there is none, or it is no directory of plain files."""

    def aliases(self, settings: Settings, expand: Expand) -> tuple[tuple[bytes, bytes], ...]:
        """The second names that mailbox_alias, which is loaded, gives to mailboxes, each with the first.

        Raises UnsupportedSetting.
        """

    def shared_prefix(self, prefix: str, expand: Expand) -> tuple[str, str]:
        """A shared namespace's prefix up to the owner's name, and what it says of the name and behind it.

        The second is blank where one place is shared, and no owner has a say.  Raises UnsupportedSetting.
        """

    def shared_names(self, names: str) -> Sequence[tuple[str, str]]:
        """What :meth:`shared_prefix` found, taken apart: ``user``, ``username`` or ``domain``; the text behind.

        Raises UnsupportedSetting.
        """

    def expand_for_owner(self, text: str, values: Mapping[str, str], owner: Owner) -> str:
        """A setting of a shared namespace; ``values`` are the target user's.  Raises UnsupportedSetting."""

    def maildir_at(self, path: str) -> dict[str, str]:
        """The settings of somebody who has a maildir and a dictionary in a file, both at ``path``."""

    def imported_variables(self, settings: Settings) -> tuple[str, ...]:
        """Names of the environment variables that ``import_environment`` lets through to every process."""


def language_of(dialect: Dialect) -> Language:
    """The language that this Dovecot is configured in."""
    if dialect.generation == "2.3":
        from dovecot_urlauth.config import language_2_3

        return language_2_3
    from dovecot_urlauth.config import language_2_4

    return language_2_4
