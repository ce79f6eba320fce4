"""From a target user's settings to what the native store needs to know, or the reason why it cannot serve.

Each setting that changes what is read is either understood or unsupported (known.py), and so is each plugin
(plugins.py).  Defaults are those of lib-storage/mail-storage-settings.c.
"""

from __future__ import annotations

import os

from dovecot_urlauth.config import known, plugins
from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.language import language_of
from dovecot_urlauth.config.mail_location import LISTED, MBOX, MDBOX, SEPARATORS
from dovecot_urlauth.config.settings import SettingsError
from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.config.acl_settings import AclSettings
    from dovecot_urlauth.config.attribute_dict import AttributeDict
    from dovecot_urlauth.config.crypt_settings import CryptSettings
    from dovecot_urlauth.config.mail_location import Location
    from dovecot_urlauth.config.mail_user import MailUser
    from dovecot_urlauth.config.mbox_rules import MboxRules
    from dovecot_urlauth.config.shared_owners import SharedOwners
    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.message.rules import MessageRules

PRIVATE, SHARED, PUBLIC = "private", "shared", "public"
TYPES = {"": PRIVATE, PRIVATE: PRIVATE, SHARED: SHARED, PUBLIC: PUBLIC}

ATTACHMENTS = ("mail_attachment_dir", "mail_attachment_fs", "mail_ext_attachment_path")
LIST_INDEX_SETTINGS = {
    "mailbox_list_index": ("yes",),
    "mailbox_list_index_prefix": (),
    "mailbox_list_iter_from_index_dir": ("no",),
}
"""Settings that move the index of the mailbox list, or do away with it, and their harmless values."""


@frozen
class Namespace:
    """One ``namespace { }``, or what one of type ``shared`` comes to for one owner."""

    prefix: bytes
    separator: bytes
    location: Location | None
    """None when the native store cannot read it."""
    inbox: bool = False
    why_not: str = ""
    """The reason for having no location."""
    kind: str = PRIVATE
    """Only in a private one the target user is the owner."""
    owners: SharedOwners | None = None
    """Whose namespaces are below the prefix."""
    is_owners: bool = False
    """One owner's: its own name is that of the owner's INBOX."""


@frozen
class NativeSettings:
    """Everything that the settings say about a user's mail."""

    namespaces: tuple[Namespace, ...]
    attributes: AttributeDict
    message_rules: MessageRules
    normalizes_names_to_nfc: bool
    """2.4.4 and newer: names are composed before they are looked up."""
    trusts_sizes_in_names: bool
    """Not with maildir_broken_filename_sizes."""
    acl: AclSettings | None = None
    """Who may read; None where everything of the user's own may be."""
    compressions: tuple[str, ...] = ()
    """Formats of compressed mail that are looked for; none without the plugin."""
    crypt: CryptSettings | None = None
    """The keys for encrypted mail; None without the plugin."""
    mbox: MboxRules | None = None
    """None without an mbox storage."""
    attachments: bytes | None = None
    """Where dbox has external attachments; None where they are not, or only Dovecot knows how to read them."""
    aliases: tuple[tuple[bytes, bytes], ...] = ()
    """Second names of mailboxes, each with the first; of two that are the same the first counts."""

    def folders(self) -> tuple[bytes, ...]:
        """Every folder below which something may have to be read."""
        from dovecot_urlauth.config.attribute_dict import FileDictSettings, FsDictSettings

        locations = [namespace.location for namespace in self.namespaces if namespace.location is not None]
        paths = [path for location in locations for path in location.folders()]
        attributes = self.attributes
        if isinstance(attributes, FileDictSettings):
            paths.append(os.path.dirname(attributes.path))
        elif isinstance(attributes, FsDictSettings):
            paths.append(os.path.dirname(attributes.prefix))
        if self.acl is not None and self.acl.global_path:
            paths.append(os.path.dirname(self.acl.global_path))
        if self.attachments is not None:
            paths.append(self.attachments)
        if any(namespace.owners is not None for namespace in self.namespaces):
            paths.append(b"/")  # nobody knows yet where the owners live
        return tuple(dict.fromkeys(paths))


def native_settings(user: MailUser, dialect: Dialect) -> NativeSettings:
    """The settings for reading ``user``'s mail ourselves.  Raises UnsupportedSetting."""
    try:
        return _Resolver(user, dialect).resolve()
    except SettingsError as error:
        raise UnsupportedSetting(error.text) from None


class _Resolver:
    def __init__(self, user: MailUser, dialect: Dialect) -> None:
        self._user = user
        self._settings = user.settings
        self._dialect = dialect
        self._language = language_of(dialect)
        self._values = self._language.variables_of(user)
        self._asks_rights = False
        self._acl: AclSettings | None = None
        self._crypt: CryptSettings | None = None

    def resolve(self) -> NativeSettings:
        if self._user.chroot:
            raise UnsupportedSetting("user has a chroot")
        if self._user.not_understood:
            raise UnsupportedSetting(self._user.not_understood)
        loaded = plugins.words(self._settings.get("mail_plugins"))
        plugin = plugins.not_native(loaded)
        if plugin is not None:
            raise UnsupportedSetting(f"mail_plugins has {plugin}")
        known.check_outside(self._settings)
        self._asks_rights = bool(plugins.rights(loaded))
        if self._asks_rights:
            self._acl = self._language.acl(self._user, self._expand)
        if plugins.ENCRYPTING in loaded:
            self._crypt = self._language.crypt_settings(self._settings, self._expand)
        namespaces = self._namespaces()
        rules = self._dialect.load_message_rules()
        return NativeSettings(
            namespaces=namespaces,
            attributes=self._language.attribute_dict(self._user, self._expand, self._dialect.dict_major),
            message_rules=rules,
            normalizes_names_to_nfc=self._dialect.normalizes_names_to_nfc
            and self._settings.flag("mailbox_list_normalize_names_to_nfc", True),
            trusts_sizes_in_names=not self._settings.flag("maildir_broken_filename_sizes"),
            acl=self._acl,
            compressions=self._dialect.compressions if set(loaded) & set(plugins.COMPRESSING) else (),
            crypt=self._crypt,
            mbox=self._mbox(namespaces, rules),
            attachments=self._language.attachments(self._settings, self._expand, self._user.home),
            aliases=self._language.aliases(self._settings, self._expand) if plugins.ALIASES in loaded else (),
        )

    def _mbox(self, namespaces: tuple[Namespace, ...], rules: MessageRules) -> MboxRules | None:
        if not any(each.location is not None and each.location.driver == MBOX for each in namespaces):
            return None
        from dovecot_urlauth.config.mbox_rules import mbox_rules

        return mbox_rules(self._settings, colonless_line_is_name=rules.colonless_line_is_name)

    def _namespaces(self) -> tuple[Namespace, ...]:
        blocks = self._settings.blocks("namespace")
        enabled = [block for block in blocks if not self._settings.flag(f"namespace/{block}/disabled")]
        found = [self._namespace(block) for block in enabled] or [self._own_namespace()]
        if sum(namespace.inbox for namespace in found) != 1:
            raise UnsupportedSetting("there is not one namespace with inbox=yes")
        locations = [namespace.location for namespace in found]
        return tuple(_without_shared_storage(namespace, locations) for namespace in found)

    def _own_namespace(self) -> Namespace:
        """The namespace of a configuration without any."""
        location = self._location("", is_inbox=True)
        self._check_acl(location)
        return Namespace(b"", SEPARATORS[location.layout], location, inbox=True)

    def _namespace(self, block: str) -> Namespace:
        inbox = self._settings.flag(f"namespace/{block}/inbox")
        separator = self._of(block, "separator").encode()
        if self._of(block, "type") == SHARED:
            fixed, names = self._language.shared_prefix(self._of(block, "prefix"), self._expand)
            if names:
                return self._shared_namespace(block, fixed, names, separator or b"/")
        prefix = self._expand(self._of(block, "prefix")).encode("utf-8", "surrogateescape")
        try:
            kind = self._kind(block)
            if inbox and kind != PRIVATE:
                raise UnsupportedSetting(f"namespace type is {kind}")
            location = self._location(block, is_inbox=inbox)
            self._check_outside(block, location)
            self._check_acl(location)
        except UnsupportedSetting as error:
            return Namespace(prefix, separator or prefix[-1:] or b"/", None, inbox, error.reason)
        own = separator or SEPARATORS[location.layout]
        if location.layout == LISTED and own == location.escape:
            reason = "namespace separator is the escape character"
            return Namespace(prefix, own, None, inbox, reason)
        if len(own) != 1 or (prefix and not prefix.endswith(own)):
            raise UnsupportedSetting(f"namespace prefix {prefix!r} does not end with the separator")
        return Namespace(prefix, own, location, inbox, kind=kind)

    def _kind(self, block: str) -> str:
        """The namespace's type, when everything else is understood, too.  Raises UnsupportedSetting."""
        if self._asks_rights:
            from dovecot_urlauth.config import acl_settings

            acl_settings.check_namespace(self._settings, block)
        known.check_namespace(self._settings, block)
        if f"namespace/{block}/alias_for" in self._settings:  # blank is the namespace without a prefix
            raise UnsupportedSetting("namespace has alias_for")
        kind = TYPES.get(self._of(block, "type"))
        if kind is None:
            raise UnsupportedSetting(f"namespace type is {self._of(block, 'type')}")
        return kind

    def _shared_namespace(self, block: str, fixed: str, names: str, separator: bytes) -> Namespace:
        """The namespace below which the owners' are."""
        from dovecot_urlauth.config.shared_owners import shared_owners

        prefix = fixed.encode("utf-8", "surrogateescape")
        inbox = self._settings.flag(f"namespace/{block}/inbox")
        try:
            self._kind(block)
            if self._crypt is not None:
                raise UnsupportedSetting("mail_crypt in a shared namespace")
            if inbox or self._settings.flag("mail_shared_explicit_inbox"):
                raise UnsupportedSetting("INBOX in a shared namespace has a name of its own")
            owners = shared_owners(
                self._language, self._user, names, separator, lambda name: self._get(block, name)
            )
        except UnsupportedSetting as error:
            return Namespace(prefix, separator, None, inbox, error.reason, SHARED)
        return Namespace(prefix, separator, None, kind=SHARED, owners=owners)

    def _check_outside(self, block: str, location: Location) -> None:
        """What is looked for outside of namespaces must not be said in one."""
        if location.has_attachments:
            inside = [name for name in ATTACHMENTS if f"namespace/{block}/{name}" in self._settings]
            if inside:
                raise UnsupportedSetting(f"namespace has {inside[0]}")
        if location.driver == MBOX:
            from dovecot_urlauth.config.mbox_rules import SETTINGS

            inside = [name for name in SETTINGS if f"namespace/{block}/{name}" in self._settings]
            if inside:
                raise UnsupportedSetting(f"namespace has {inside[0]}")

    def _check_acl(self, location: Location) -> None:
        """The acl plugin's files have to lie in a directory of each mailbox's own."""
        if self._acl is None:
            return
        from dovecot_urlauth.config.acl_settings import WITH_A_DIRECTORY

        if location.driver not in WITH_A_DIRECTORY:
            raise UnsupportedSetting(f"acl with {location.driver}")

    def _of(self, block: str, name: str) -> str:
        """A namespace's own setting."""
        return self._settings.get(f"namespace/{block}/{name}")

    def _expand(self, text: str) -> str:
        return self._language.expand(text, self._values)

    def _location(self, block: str, *, is_inbox: bool) -> Location:
        def get(name: str) -> str | None:
            return self._get(block, name)

        found = self._language.location(get, self._expand, self._user.home, is_inbox=is_inbox)
        if found.layout == LISTED:
            for name, value in LIST_INDEX_SETTINGS.items():
                if self._get(block, name) not in (None, *value):
                    raise UnsupportedSetting(f"{name} is set")
        return found

    def _get(self, block: str, name: str) -> str | None:
        """A namespace's setting, or the one outside; None when nobody set it."""
        inside = f"namespace/{block}/{name}"
        if inside in self._settings:
            return self._settings.get(inside)
        if name == "mailbox_directory_name_legacy" and name not in self._settings:
            return "yes" if self._dialect.index_path_lacks_directory_name else "no"
        return self._settings.get(name) if name in self._settings else None


def _without_shared_storage(namespace: Namespace, all_locations: list[Location | None]) -> Namespace:
    """Of mdbox there is one storage for each root, with the index of the namespace that Dovecot opened first
    (mail_storage_match_class in mail-storage.c).
    """
    own = namespace.location
    if own is None or own.driver != MDBOX:
        return namespace
    same = [each for each in all_locations if each is not None and (each.driver, each.root) == (MDBOX, own.root)]
    if all((each.index, each.alt) == (own.index, own.alt) for each in same):
        return namespace
    reason = "two namespaces share an mdbox storage"
    return Namespace(namespace.prefix, namespace.separator, None, namespace.inbox, reason)
