"""From settings to the native store's plan, or to the reason why there can be none.

Each setting that changes what is read is either understood or Unsupported; a plugin that we have never heard of
is Unsupported too.  Defaults are those of lib-storage/mail-storage-settings.c.
"""

from __future__ import annotations

from dovecot_urlauth.config import variables_2_3, variables_2_4
from dovecot_urlauth.config.mail_location import SEPARATORS, from_mail_settings, parse_mail_location, to_path
from dovecot_urlauth.store.errors import Unsupported
from dovecot_urlauth.store.native.attributes.file_dict import FileDict
from dovecot_urlauth.store.native.mailbox import Dictionary, Plan
from dovecot_urlauth.store.native.namespace import Namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.config.mail_location import Location
    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.store.store import MailUser

HARMLESS_PLUGINS = frozenset(
    """charset_alias expire fts fts_flatcurve fts_lucene fts_solr fts_squat imap_filter_sieve imap_quota
    imap_sieve imap_stats last_login lazy_expunge mail_log notify notify_status push_notification quota
    quota_clone replication sieve stats trash welcome""".split()
)
"""Plugins that never change what a reader finds under a mailbox's name and a UID."""

HOME_VARIABLE = "%{home}"


def make_plan(user: MailUser, dialect: Dialect) -> Plan:
    """The plan for reading ``user``'s mail.  Raises Unsupported."""
    return _Planner(user, dialect).plan()


class _Planner:
    def __init__(self, user: MailUser, dialect: Dialect) -> None:
        self._user = user
        self._settings = user.settings
        self._dialect = dialect
        self._old = dialect.generation == "2.3"
        language = variables_2_3 if self._old else variables_2_4
        values = language.variables_of(user)
        self._expand: Callable[[str], str] = lambda text: language.expand(text, values)

    def plan(self) -> Plan:
        if self._user.chroot:
            raise Unsupported("user has a chroot")
        for plugin in self._settings.get("mail_plugins").split():
            if plugin not in HARMLESS_PLUGINS:
                raise Unsupported(f"mail_plugins has {plugin}")
        if self._settings.flag("mail_full_filesystem_access"):
            raise Unsupported("mail_full_filesystem_access is on")
        return Plan(
            uid=self._user.uid,
            namespaces=self._namespaces(),
            attributes=self._attributes(),
            message_rules=self._dialect.load_message_rules(),
            normalizes_names_to_nfc=self._dialect.normalizes_names_to_nfc
            and self._settings.flag("mailbox_list_normalize_names_to_nfc", True),
            trusts_sizes_in_names=not self._settings.flag("maildir_broken_filename_sizes"),
        )

    def _namespaces(self) -> tuple[Namespace, ...]:
        found = [
            self._namespace(block)
            for block in self._settings.blocks("namespace")
            if not self._of(block, "disabled").startswith(("y", "Y", "1"))
        ]
        if not found:
            found = [self._own_namespace()]
        if sum(namespace.inbox for namespace in found) != 1:
            raise Unsupported("there is not one namespace with inbox=yes")
        return tuple(found)

    def _own_namespace(self) -> Namespace:
        """The namespace of a configuration without any."""
        location = self._location("", is_inbox=True)
        return Namespace(b"", SEPARATORS[location.layout], location, inbox=True)

    def _namespace(self, block: str) -> Namespace:
        inbox = self._of(block, "inbox").startswith(("y", "Y", "1"))
        separator = self._of(block, "separator").encode()
        kind = self._of(block, "type") or "private"
        if kind == "shared":
            fixed = self._of(block, "prefix").partition("%")[0]
            return Namespace(fixed.encode(), separator or b"/", None, inbox, "namespace type is shared")
        prefix = self._expand(self._of(block, "prefix")).encode("utf-8", "surrogateescape")
        try:
            location = self._location(block, is_inbox=inbox)
        except Unsupported as error:
            return Namespace(prefix, separator or prefix[-1:], None, inbox, error.reason)
        own = separator or SEPARATORS[location.layout]
        if len(own) != 1 or (prefix and not prefix.endswith(own)):
            raise Unsupported(f"namespace prefix {prefix!r} does not end with the separator")
        return Namespace(prefix, own, location, inbox)

    def _of(self, block: str, name: str) -> str:
        """A namespace's own setting."""
        return self._settings.get(f"namespace/{block}/{name}")

    def _location(self, block: str, *, is_inbox: bool) -> Location:
        home = self._user.home
        if self._old:
            text = (block and self._of(block, "location")) or self._settings.get("mail_location")
            if not text:
                raise Unsupported("mail_location is not set")
            return parse_mail_location(self._expand(text), home, is_inbox=is_inbox)

        def get(name: str, default: str) -> str:
            outside = self._settings.get(name, default)
            return self._expand(self._settings.get(f"namespace/{block}/{name}", outside) or default)

        return from_mail_settings(get, home, is_inbox=is_inbox)

    def _attributes(self) -> Dictionary:
        driver, path = self._dictionary()
        if driver != "file":
            raise Unsupported(
                f"mail attributes are in a dictionary {driver}:" if driver else "no mail_attribute_dict"
            )
        return FileDict(to_path(self._expand(path), self._user.home), self._user.uid)

    def _dictionary(self) -> tuple[str, str]:
        """Driver and driver's text of the attribute dictionary."""
        if self._old:
            driver, _, text = self._settings.get("mail_attribute_dict").partition(":")
            return driver, text.partition(":")[0] if driver == "file" else text
        name = self._settings.get("mail_attribute/dict")
        path = f"mail_attribute/dict/{name}"
        return self._settings.get(f"{path}/driver", name), self._settings.get(f"{path}/path")
