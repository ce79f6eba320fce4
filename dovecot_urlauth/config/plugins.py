"""What each ``mail_plugins`` plugin does to somebody who reads a message by its mailbox's name and its UID.

A plugin that is not here may do anything: the native store leaves it to Dovecot's own imap, which then loads
the whole list as it is configured.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from dovecot_urlauth.config.settings import Settings


class Effect(Enum):
    """A plugin's effect on reading."""

    NONE = "commands, changes, logins or searches are what it is for; the engine starts without it"
    CONFINES = "it takes rights from the process; the engine keeps it"
    STORES = "it decides how mail is stored; what is compressed or encrypted is read natively"
    NAMES = "it gives mailboxes second names; the engine reads what has such a name"
    CHANGES = "it decides which mailbox or which bytes are found"
    RIGHTS = "it decides whether they may be read"


PLUGINS = {
    **dict.fromkeys(
        """antispam autocreate charset_alias expire fts fts_flatcurve fts_lucene fts_solr fts_squat fts_xapian
        imap_acl imap_filter_sieve imap_old_stats imap_quota imap_sieve imap_stats imap_zlib last_login
        lazy_expunge mail_crypt_acl mail_log notify notify_status old_stats pop3_migration push_notification
        quota quota_clone replication sieve stats trash welcome""".split(),
        Effect.NONE,
    ),
    "apparmor": Effect.CONFINES,
    **dict.fromkeys(
        "fs_compress fs_crypt mail_filter var_expand_crypt virtual".split(),
        Effect.CHANGES,
    ),
    "mail_compress": Effect.STORES,
    "mail_crypt": Effect.STORES,
    "zlib": Effect.STORES,
    "listescape": Effect.STORES,
    "mailbox_alias": Effect.NAMES,
    "acl": Effect.RIGHTS,
}

RIGHTS_SETTINGS = ("acl", "plugin/acl")
"""What the settings of a plugin that decides rights begin with: 2.4's and 2.3's."""
BLOCKS = ("acl",)
"""Names of blocks among them."""
ADDED = "rights/added"
"""A setting of our own: that blocks of another protocol's are among the settings (:func:`with_rights`)."""

COMPRESSING = ("zlib", "mail_compress")
"""2.3's and 2.4's name of the plugin that compresses mail, and finds what is compressed."""
ENCRYPTING = "mail_crypt"
"""The plugin that encrypts mail, and finds what is encrypted."""
ALIASES = "mailbox_alias"
"""The plugin that gives mailboxes second names."""

READ_BY_US = (Effect.NONE, Effect.CONFINES, Effect.STORES, Effect.NAMES, Effect.RIGHTS)
"""Plugins that the native store can do without, or does the work of."""


def words(mail_plugins: str) -> list[str]:
    """The plugins of a setting; 2.3 takes commas too."""
    return mail_plugins.replace(",", " ").split()


def not_native(plugins: Iterable[str]) -> str | None:
    """The first plugin that the native store cannot do without, None if there is none."""
    return next((plugin for plugin in plugins if PLUGINS.get(plugin) not in READ_BY_US), None)


def matters_to_readers(plugins: Iterable[str]) -> str | None:
    """The first plugin that somebody who reads without any of them would notice, None if there is none."""
    harmless = (Effect.NONE, Effect.CONFINES)
    return next((plugin for plugin in plugins if PLUGINS.get(plugin) not in harmless), None)


def needed_by_engine(plugins: Iterable[str]) -> list[str]:
    """What the engine has to load: not what reading can do without, unless an unknown plugin may depend on it."""
    wanted = list(plugins)
    if any(plugin not in PLUGINS for plugin in wanted):
        return wanted
    return [plugin for plugin in wanted if PLUGINS[plugin] is not Effect.NONE]


def with_rights(settings: Settings, others: Settings) -> Settings:
    """``settings``, and of ``others`` the plugins that decide rights, with what is missing of their settings."""
    mine = words(settings.get("mail_plugins"))
    added = [plugin for plugin in rights(words(others.get("mail_plugins"))) if plugin not in mine]
    if not added:
        return settings
    theirs = {
        key: others.get(key)
        for key in others
        if key.startswith(RIGHTS_SETTINGS) and (key not in settings or _is_of_block(key))
    }
    if any(_is_of_block(key) for key in theirs):
        theirs[ADDED] = "yes"
    return settings.merged({**theirs, "mail_plugins": " ".join([*mine, *added])})


def rights_settings(settings: Settings) -> list[str]:
    """2.4: names of the settings that plugins deciding rights go by, and the engine has to be told.

    What stands in blocks it finds for itself, unless it is from another protocol's configuration.
    """
    names = [
        key for key in settings if key.startswith(RIGHTS_SETTINGS) and not _is_of_block(key) and "/" not in key
    ]
    if settings.flag(ADDED):
        names += [key for key in settings if _is_of_block(key)]
    return names


def _is_of_block(key: str) -> bool:
    return key.partition("/")[0] in BLOCKS


def rights(plugins: Iterable[str]) -> list[str]:
    """Those that decide who may read."""
    return [plugin for plugin in plugins if PLUGINS.get(plugin) is Effect.RIGHTS]
