"""How the engine is started: everything that only root can find out, found out before root is given up.

``imap -u <user>`` asks auth-userdb about the user itself, so that all of the userdb's fields apply as in a
login; auth answers a peer whose uid is the user's.  What it cannot read as that user is the configuration.
Dovecot 2.3 takes it from the environment, as ``doveconf -e`` would leave it there: upper-case names and
``DOVECONF_ENV``.  2.4 takes an open file, ``DOVECOT_CONFIG_FD``; its offset is shared by all who hold it, but
Dovecot maps it and never seeks.  So neither doveconf (15-25 ms) nor a readable dovecot.conf is needed.

Plugins that change nothing of what is read are left out, if all others are known: their start takes 3 ms, and
last_login or fts would take note of a login that is none.

2.3's configuration is what the stock worker sees, service imap-urlauth-worker: ``protocol imap { }`` does not
apply to it, neither its mail_plugins nor anything else.  2.4's has everything, and ``imap`` picks what
``protocol imap { }`` says, as the stock worker does.
"""

from __future__ import annotations

import os

from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.engine.imap_process import CONFIG_FD, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dovecot_urlauth.config.settings import Settings

OUR_HOST = b"localhost"
"""The host in the URLs that the engine is asked for, whatever the site's own URLs say."""

OPTIONS = (
    b"imap_urlauth_host=" + OUR_HOST,
    b"imap_urlauth_port=143",
    b"imap_metadata=yes",
    b"imap_fetch_failure=no-after",
)
"""``-o`` settings; they win over the configuration and over the userdb."""

NEEDED_PLUGINS = frozenset(
    "acl charset_alias listescape mail_compress mail_crypt mail_filter mailbox_alias var_expand_crypt virtual"
    " zlib".split()
)
"""Plugins that decide what is read, or whether it may be."""

SPARED_PLUGINS = frozenset(
    "fts fts_flatcurve fts_lucene fts_solr fts_squat imap_acl imap_filter_sieve imap_quota imap_sieve"
    " imap_stats imap_zlib last_login lazy_expunge mail_log notify notify_status push_notification quota"
    " quota_clone replication stats trash".split()
)
"""Plugins that commands of a mail client, changes or logins are for."""

KEPT_VARIABLES = (b"TZ", b"DOVECOT_HOSTNAME", b"DOVECOT_HOSTDOMAIN")
"""Variables of ours that the engine gets too; without the host names it asks the DNS for them."""


@frozen
class EngineStart:
    """A way to start the engine for any user.

    ``generation`` is ``"2.3"`` or ``"2.4"``; ``config_fd`` is 2.4's configuration, open in this process.
    """

    generation: str
    program: bytes
    environment: Mapping[bytes, bytes]
    config_fd: int | None

    def command(self, user: bytes, settings: Settings | None = None) -> Command:
        """The command that starts the engine for ``user``, a name as the userdb gave it.

        ``settings`` are the user's own, the userdb's overrides applied; they spare the engine some plugins.
        """
        options: tuple[bytes, ...] = OPTIONS
        plugins = None if settings is None else needed_plugins(settings.get("mail_plugins"))
        if plugins is not None:
            options = (*OPTIONS, b"mail_plugins=" + os.fsencode(plugins))
        words = tuple(word for option in options for word in (b"-o", option))
        return Command(self.program, (b"imap", b"-u", user, *words), self.environment, self.config_fd)


def prepare_engine(
    generation: str,
    settings: Settings,
    libexec_dir: bytes,
    config_fd: int | None,
    variables: Mapping[bytes, bytes] = os.environb,
) -> EngineStart:
    """Makes an EngineStart.

    ``settings`` are 2.3's explicit ones as the config service gives them (2.4 does not look at them);
    ``config_fd`` is the file that 2.4's config service gave out; ``variables`` is our environment.
    """
    environment = {name: variables[name] for name in KEPT_VARIABLES if name in variables}
    # No statistics: the socket is not ours to write to once root is gone.
    environment[b"STATS_WRITER_SOCKET_PATH"] = b""
    if generation == "2.3":
        environment.update(_as_doveconf_does(settings))
    else:
        environment[b"DOVECOT_CONFIG_FD"] = str(CONFIG_FD).encode()
    return EngineStart(generation, os.path.join(libexec_dir, b"imap"), environment, config_fd)


def needed_plugins(mail_plugins: str) -> str | None:
    """The plugins of a list that the engine needs; None if it has one that may need any of the others."""
    plugins = mail_plugins.replace(",", " ").split()
    if not NEEDED_PLUGINS | SPARED_PLUGINS >= set(plugins):
        return None
    return " ".join(plugin for plugin in plugins if plugin in NEEDED_PLUGINS)


def _as_doveconf_does(settings: Settings) -> dict[bytes, bytes]:
    environment = {name.upper().encode(): os.fsencode(settings.get(name)) for name in settings}
    environment[b"DOVECONF_ENV"] = b"1"
    return environment
