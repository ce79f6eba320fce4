"""Mail that Dovecot's driver ``imapc`` reads: where it is, and who logs in there (imapc-settings.c).

The backend is asked itself, under the names that mailboxes have there; so a frontend that gives them other names,
or has plugins that decide who may read or what is found, is not understood, and Dovecot's own imap reads its mail.
"""

from __future__ import annotations

from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.language import language_of
from dovecot_urlauth.config.plugins import matters_to_readers, words
from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.config.language import Lookup
    from dovecot_urlauth.config.mail_user import MailUser
    from dovecot_urlauth.config.settings import Settings
    from dovecot_urlauth.dialect.dialect import Dialect

IMAPC = "imapc"
WITHIN = "imapc/"
"""2.4: what stands in the block ``imapc { }``."""
ENCRYPTIONS = ("no", "imaps", "starttls")
VERIFICATION = ("imapc_ssl_verify", "ssl_client_require_valid_cert")
"""Either turns the verification of certificates off; the first is 2.3's."""


@frozen
class ImapcSettings:
    """What ``imapc_*`` say."""

    host: str
    port: int | None
    """None is the usual one."""
    user: str
    master: str
    """Empty where the user logs in by itself."""
    password: str
    encryption: str
    """One of ENCRYPTIONS."""
    verifies: bool
    """Whether a certificate has to be good."""


def imapc_settings(user: MailUser, tls: Settings, dialect: Dialect) -> ImapcSettings | None:
    """None where the user's driver is another one; ``tls`` are the settings of :func:`tls_settings`.

    Raises UnsupportedSetting for one that Dovecot alone can serve, SettingsError.
    """
    settings, language = user.settings, language_of(dialect)
    if language.driver(settings.get) != IMAPC:
        return None
    blocks = [block for block in settings.blocks("namespace") if not settings.flag(f"namespace/{block}/disabled")]
    for prefix in ("", *(f"namespace/{block}/" for block in blocks)):
        plugin = matters_to_readers(words(settings.get(prefix + "mail_plugins")))
        if plugin is not None:
            raise UnsupportedSetting(f"mail_plugins has {plugin} with imapc")
        for name in ("imapc_list_prefix", "prefix", "separator"):
            if settings.get(prefix + name):
                raise UnsupportedSetting(f"{name} is set with imapc")
        if prefix and language.driver(_inside(settings, prefix)) != IMAPC:
            raise UnsupportedSetting("a namespace is not imapc's")
    values = language.variables_of(user)

    def expanded(name: str) -> str:
        return language.expand(settings.get(name), values)

    encryption = settings.get("imapc_ssl", "no")
    if encryption not in ENCRYPTIONS:
        raise UnsupportedSetting(f"imapc_ssl is {encryption}")
    return ImapcSettings(
        host=expanded("imapc_host"),
        port=settings.number("imapc_port") or None,
        user=expanded("imapc_user") or values["user"],
        master=expanded("imapc_master_user"),
        password=expanded("imapc_password"),
        encryption=encryption,
        verifies=all(settings.flag(name, tls.flag(name, default=True)) for name in VERIFICATION),
    )


def tls_settings(backends: Settings) -> Settings:
    """The settings of TLS as imapc sees them: 2.4's block counts before what stands outside."""
    inside = {name.removeprefix(WITHIN): backends.get(name) for name in backends if name.startswith(WITHIN)}
    return backends.merged(inside)


def _inside(settings: Settings, prefix: str) -> Lookup:
    def get(name: str) -> str | None:
        for key in (prefix + name, name):
            if key in settings:
                return settings.get(key)
        return None

    return get
