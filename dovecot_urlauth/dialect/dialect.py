"""What can differ between Dovecot versions, as one immutable value."""

from __future__ import annotations

from dovecot_urlauth.start.frozen import Enum, frozen
from dovecot_urlauth.wire.handoff import HandoffLayout
from dovecot_urlauth.wire.version import ControlOrder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.url.rules import URLRules

STATUS_NEVER_AGAIN = 0xFFFFFFFF
"""Status "no free slot, and there will never be one" of Dovecot 2.4.2 and newer."""


class SettingsError(Exception):
    """Settings could not be read; ``text`` says why, for ``Dialect.settings_error_format``."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class ConfigSource(Enum):
    """Where a service process reads its settings."""

    TEXT_SOCKET = "key=value lines over base_dir/config"
    BINARY_BIG_ENDIAN = "a file whose fd comes over base_dir/config, integers big-endian"
    BINARY_NATIVE = "the same with native integers"


class LoginDetails(Enum):
    """How much a login process adds to the reason for a disconnect."""

    NONE = "nothing (2.3.13)"
    TEXT = "how far the client came, in parentheses (2.3.19)"
    TEXT_AND_CODE = "the same, more regular, and a machine-readable word (2.4)"


class ElementRules(Enum):
    """What becomes of login_log_format_elements whose variables are not known."""

    SHOWS_UNKNOWN = "UNSUPPORTED_VARIABLE_x (2.3)"
    DROPS_UNKNOWN = "the element is left out (2.4.1)"
    EMPTIES_UNKNOWN = "the variable is empty, and text without variables stays (since 2.4.2)"


@frozen
class LoginTexts:
    """How imap-urlauth-login words the end of a connection in the log (login-common/client-common.c)."""

    success: str
    aborted: str
    closed: str
    """The reason when the client just went away."""
    shutting_down: str
    handoff_timeout: str
    details: LoginDetails
    log_format: str
    log_format_elements: str
    element_rules: ElementRules


@frozen
class StatsNames:
    """What Dovecot's own services tell stats, and what they call it (taken from the wire)."""

    major: int
    """The major version of the protocol: with another one stats hangs up, with an error in its log."""
    bytes_fields: tuple[str, str]
    """Bytes received and sent, of a connection that is over."""
    has_gid: bool
    """Whether a peer's group is told."""
    passes_clients: bool
    """Whether the connections of imap-urlauth and its worker, and the clients', have events."""
    service_field: tuple[str, str, str]
    """How the service is named to auth: the field, its value for a login, its value for a userdb lookup."""
    secured: str
    """The transport of a login's question to auth."""
    dict_fields: tuple[str, ...]
    """Fields that say which dictionary it is."""
    dict_setting: str
    """The setting whose value begins with its name."""
    mail_reasons: tuple[str, str]
    """Why a mail was opened: for the whole of it, and for a part."""
    has_namespace: bool
    """Whether the namespace is told of an opened mail."""


@frozen
class Dialect:
    """Everything in which one family of Dovecot versions differs from another.

    Sources: lib-master/master-interface.h, master-service.c, lib-auth, login-common and imap-urlauth of
    each version; the numbers were confirmed by running them.
    """

    name: str
    generation: str
    """``"2.3"`` or ``"2.4"``: the configuration language."""

    first_listener_fd: int
    accepted_client_fd: int | None
    """Where master puts a connection that it accepted itself, when the environment announces one."""
    status_when_exhausted: int
    """available_count when the process is full and will never take another client."""

    config_source: ConfigSource
    settings_error_format: str
    auth_master_path_setting: bool
    """Whether auth-master's path is a setting; otherwise it is the ``-a`` option."""

    login_greets: bool
    auth_client_minor: int
    auth_request_parameters: tuple[bytes, ...]
    """Parameters of AUTH before ``session=`` and ``resp=``.

    Unlike Dovecot's own login, ours says ``no-penalty``: all clients have the empty IP, so that one wrong token
    would make auth wait before it answers anybody.
    """
    handoff: HandoffLayout
    login_texts: LoginTexts

    auth_master_minor: int
    userdb_minor: int
    userdb_parameter: bytes
    """What a USER lookup must say of the asking service."""
    dict_major: int
    """Major version of the dict protocol, without which dict hangs up."""

    control_order: ControlOrder

    broker_shutting_down: str
    """imap-urlauth's reason for a disconnect when the process ends."""
    client_message_prefix: str
    """What imap-urlauth writes before its messages about a client, {user} being its name."""
    worker_message_prefix: str
    """The same before messages about a client's worker."""
    worker_send_error: str
    """imap-urlauth's error when a worker does not take a client."""
    user_log_prefix: str
    """What begins the worker's lines about a target user, unless ``mail_log_prefix`` says otherwise; empty where
    they begin as those about the client do, whatever it says."""
    appends_request_to_errors: bool
    """Whether imap-urlauth adds the login request's age and ids to its errors."""

    explicit_override_prefix: bool
    """Whether a userdb field ``set/x`` is an explicit setting and ``a/b`` a setting path."""
    normalizes_names_to_nfc: bool
    index_path_lacks_directory_name: bool
    """The default of mailbox_directory_name_legacy."""

    compressions: tuple[str, ...]
    """Formats of compressed mail that the zlib or mail_compress plugin finds."""

    stats: StatsNames
    load_url_rules: Callable[[], URLRules]
    load_message_rules: Callable[[], MessageRules]
