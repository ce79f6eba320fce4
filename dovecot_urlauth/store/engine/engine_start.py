"""How the engine is started: it never knows less than we do, and never has fewer rights than Dovecot's own has.

Where native does not understand a user's settings, the engine is started while we are root, as Dovecot starts
its own: ``imap -u <user>`` asks auth-userdb itself, so that all of the userdb's fields apply as in a login, and
becomes the user itself, whatever says who that is (``mail_uid``, a chroot).  Later, and for a single mailbox of a
user whose settings are understood, root is gone, and auth may answer nobody but root: the engine is then told
everything, who it serves and what the userdb overrode, and asks nobody.

Dovecot 2.3 takes its configuration from the environment, as ``doveconf -e`` would leave it there: upper-case
names and ``DOVECONF_ENV``.  2.4 takes an open file, ``DOVECOT_CONFIG_FD``; its offset is shared by all who hold
it, but Dovecot maps it and never seeks.  So neither doveconf (15-25 ms) nor a readable dovecot.conf is needed.

Plugins that change nothing of what is read are left out, if all others are known: their start takes 3 ms, and
last_login or fts would take note of a login that is none.  A raw log would have the mailbox key in it.

2.3's configuration is what the stock worker sees, service imap-urlauth-worker: ``protocol imap { }`` does not
apply to it.  2.4's is a copy in which imap finds the same (config/engine_config.py).
"""

from __future__ import annotations

import os

from dovecot_urlauth.config import plugins
from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.store.engine.imap_process import CONFIG_FD, OUR_HOST, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dovecot_urlauth.config.mail_user import MailUser
    from dovecot_urlauth.config.settings import Settings

OPTIONS = (
    b"imap_urlauth_host=" + OUR_HOST,
    b"imap_urlauth_port=143",
    b"imap_metadata=yes",
    b"imap_fetch_failure=no-after",
    b"rawlog_dir=",
)
"""``-o`` settings; they win over the configuration and over the userdb."""

KEPT_VARIABLES = (b"TZ", b"DOVECOT_HOSTNAME", b"DOVECOT_HOSTDOMAIN", b"RESTRICT_SETEXTRAGROUPS")
"""Variables of ours that the engine gets too; without the host names it asks the DNS for them."""

USER_VARIABLE = "%{user}"
ASKS_USERDB = "userdb:"
"""In a setting: a variable whose value only the userdb's answer has."""


@frozen
class EngineStart:
    """A way to start the engine for any user.

    ``settings`` are those of all users; ``config_fd`` is 2.4's configuration, open in this process, None in 2.3.
    """

    program: bytes
    environment: Mapping[bytes, bytes]
    config_fd: int | None
    settings: Settings
    overrides: tuple[bytes, ...] = ()
    """What the worker's own ``-o`` says of settings, for an engine that would not know it otherwise."""

    def asking(self, user: bytes, settings: Settings | None = None) -> Command:
        """The command of an engine that asks the userdb about ``user``, a name as the userdb gave it.

        ``settings`` are the user's own, the userdb's overrides applied; they spare the engine some plugins.
        """
        options = OPTIONS if settings is None else _options(settings, user)
        return self._command((b"-u", user), options, self.environment)

    def told(self, account: MailUser) -> Command:
        """The command of an engine that asks nobody, to be started with the user's rights.

        Some settings need the userdb's answer as it is; then the engine asks after all.
        """
        settings = account.settings
        if any(ASKS_USERDB in settings.get(name) for name in settings):
            return self.asking(account.name, settings)
        home = account.home or b"/"
        environment = {**self.environment, b"USER": account.name, b"HOME": home}
        own = [b"mail_uid=%d" % account.uid, b"mail_gid=%d" % account.gid]
        own.append(b"mail_home=" + home.replace(b"%", b"%%"))
        if self.config_fd is None:
            environment.update(_as_doveconf_does(settings))
        else:
            own += [_option(name, settings) for name in settings if self._is_overridden(name, settings)]
        fixed = _options(settings, account.name)
        names = {option.partition(b"=")[0] for option in fixed}
        own = [option for option in own if option.partition(b"=")[0] not in names]
        return self._command((), (*own, *fixed), environment)

    def _is_overridden(self, name: str, settings: Settings) -> bool:
        return name not in self.settings or self.settings.get(name) != settings.get(name)

    def _command(
        self, who: tuple[bytes, ...], options: tuple[bytes, ...], environment: Mapping[bytes, bytes]
    ) -> Command:
        names = {option.partition(b"=")[0] for option in options}
        overrides = [each for each in self.overrides if each.partition(b"=")[0] not in names]
        words = tuple(word for option in (*overrides, *options) for word in (b"-o", option))
        return Command(self.program, (b"dovecot/imap", *who, *words), environment, self.config_fd)


def prepare_engine(
    settings: Settings,
    libexec_dir: bytes,
    config_fd: int | None,
    imported: Iterable[str] = (),
    variables: Mapping[bytes, bytes] = os.environb,
    overrides: Mapping[str, str] | None = None,
) -> EngineStart:
    """Makes an EngineStart.

    ``settings`` are the explicit ones as the config service gives them; ``config_fd`` is the file that 2.4's
    gave out; ``imported`` are the names that ``import_environment`` has; ``variables`` is our environment.
    """
    kept = {*KEPT_VARIABLES, *(os.fsencode(name) for name in imported)}
    environment = {name: variables[name] for name in sorted(kept) if name in variables}
    # No statistics: the socket is not ours to write to once root is gone.
    environment[b"STATS_WRITER_SOCKET_PATH"] = b""
    if config_fd is None:
        environment.update(_as_doveconf_does(settings))
    else:
        environment[b"DOVECOT_CONFIG_FD"] = str(CONFIG_FD).encode()
    given = tuple(os.fsencode(f"{name}={value}") for name, value in (overrides or {}).items())
    return EngineStart(os.path.join(libexec_dir, b"imap"), environment, config_fd, settings, given)


def _options(settings: Settings, user: bytes) -> tuple[bytes, ...]:
    """Our own settings, the plugins that this user's engine needs, and the settings of those that decide rights.

    They are given in any case: acl may stand where the engine's own configuration has none.  2.4's acl does not
    expand ``acl_user`` in an option, and would find no rights of somebody called ``%{user}``.
    """
    needed = plugins.needed_by_engine(plugins.words(settings.get("mail_plugins")))
    rights = [
        name.encode() + b"=" + user if settings.get(name) == USER_VARIABLE else _option(name, settings)
        for name in plugins.rights_settings(settings)
    ]
    return (*OPTIONS, b"mail_plugins=" + os.fsencode(" ".join(needed)), *rights)


def _option(name: str, settings: Settings) -> bytes:
    return os.fsencode(f"{name}={settings.get(name)}")


def _as_doveconf_does(settings: Settings) -> dict[bytes, bytes]:
    environment = {name.upper().encode(): os.fsencode(settings.get(name)) for name in settings}
    environment[b"DOVECONF_ENV"] = b"1"
    return environment
