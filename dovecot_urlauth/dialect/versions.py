"""The six dialects, each as the changes it brought to the one before."""

from __future__ import annotations

from dovecot_urlauth.dialect.dialect import (
    STATUS_NEVER_AGAIN,
    ConfigSource,
    Dialect,
    ElementRules,
    LoginDetails,
    LoginTexts,
    StatsNames,
)
from dovecot_urlauth.wire.handoff import LAYOUT_2_3, LAYOUT_2_4
from dovecot_urlauth.wire.version import ControlOrder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dovecot_urlauth.message.rules import MessageRules
    from dovecot_urlauth.url.rules import URLRules


def _url_rules_2_3() -> URLRules:
    from dovecot_urlauth.url.rules import RULES_2_3

    return RULES_2_3


def _url_rules_2_4() -> URLRules:
    from dovecot_urlauth.url.rules import RULES_2_4

    return RULES_2_4


def _message_rules_2_3_13() -> MessageRules:
    from dovecot_urlauth.message.rules import RULES_2_3_13

    return RULES_2_3_13


def _message_rules_2_3_19() -> MessageRules:
    from dovecot_urlauth.message.rules import RULES_2_3_19_DEBIAN

    return RULES_2_3_19_DEBIAN


def _message_rules_2_4_1() -> MessageRules:
    from dovecot_urlauth.message.rules import RULES_2_4_1

    return RULES_2_4_1


def _message_rules_2_4_5() -> MessageRules:
    from dovecot_urlauth.message.rules import RULES_2_4_5

    return RULES_2_4_5


LOGIN_TEXTS_2_3_13 = LoginTexts(
    success="Login",
    aborted="Disconnected: ",
    closed="Disconnected",
    shutting_down="Shutting down",
    handoff_timeout="Auth request timed out",
    details=LoginDetails.NONE,
    log_format="%$: %s",
    log_format_elements="user=<%u> method=%m rip=%r lip=%l mpid=%e %c session=<%{session}>",
    element_rules=ElementRules.SHOWS_UNKNOWN,
)
LOGIN_TEXTS_2_3_19 = LoginTexts(
    success="Login",
    aborted="Disconnected: ",
    closed="Connection closed",
    shutting_down="Shutting down",
    handoff_timeout="Auth request timed out",
    details=LoginDetails.TEXT,
    log_format=LOGIN_TEXTS_2_3_13.log_format,
    log_format_elements=LOGIN_TEXTS_2_3_13.log_format_elements,
    element_rules=ElementRules.SHOWS_UNKNOWN,
)
LOGIN_TEXTS_2_4_1 = LoginTexts(
    success="Logged in",
    aborted="Login aborted: ",
    closed="Connection closed",
    shutting_down="Server shutting down",
    handoff_timeout="Login request timed out",
    details=LoginDetails.TEXT_AND_CODE,
    log_format="%{message}: %{elements}",
    log_format_elements=(
        "user=<%{user}> method=%{mechanism} rip=%{remote_ip} lip=%{local_ip} mpid=%{mail_pid} "
        "%{secured} session=<%{session}>"
    ),
    element_rules=ElementRules.DROPS_UNKNOWN,
)
LOGIN_TEXTS_2_4_2 = LoginTexts(
    **{
        **{name: getattr(LOGIN_TEXTS_2_4_1, name) for name in LoginTexts.__match_args__},
        "element_rules": ElementRules.EMPTIES_UNKNOWN,
    }
)

STATS_2_3_13 = StatsNames(
    major=3,
    bytes_fields=("bytes_in", "bytes_out"),
    has_gid=False,
    passes_clients=False,
    service_field=("service", "imap-urlauth", "imap-urlauth-worker"),
    secured="trusted",
    dict_fields=("driver",),
    dict_setting="mail_attribute_dict",
    mail_reasons=("access", "access"),
    has_namespace=False,
)
STATS_2_3_18 = StatsNames(
    **{**{name: getattr(STATS_2_3_13, name) for name in StatsNames.__match_args__}, "major": 4}
)
STATS_2_4 = StatsNames(
    major=4,
    bytes_fields=("net_in_bytes", "net_out_bytes"),
    has_gid=True,
    passes_clients=True,
    service_field=("protocol", "imap-urlauth", "imap"),
    secured="secured",
    dict_fields=("dict", "dict_driver"),
    dict_setting="mail_attribute/dict",
    mail_reasons=("full mail", "MIME part"),
    has_namespace=True,
)

DOVECOT_2_3_13 = Dialect(
    name="2.3.13",
    generation="2.3",
    first_listener_fd=7,
    accepted_client_fd=None,
    status_when_exhausted=0,
    config_source=ConfigSource.TEXT_SOCKET,
    settings_error_format="Error reading configuration: {error}",
    auth_master_path_setting=False,
    login_greets=False,
    auth_client_minor=2,
    auth_request_parameters=(b"service=imap-urlauth", b"secured", b"no-penalty"),
    handoff=LAYOUT_2_3,
    login_texts=LOGIN_TEXTS_2_3_13,
    auth_master_minor=1,
    userdb_minor=0,
    userdb_parameter=b"service=imap-urlauth-worker",
    dict_major=2,
    control_order=ControlOrder.FD_FIRST,
    broker_shutting_down="Server shutting down.",
    client_message_prefix="",
    worker_message_prefix="",
    worker_send_error="fd_send({path}, {fd}) failed: {error}",
    user_log_prefix="%s(%u)<%{pid}><%{session}>: ",
    appends_request_to_errors=False,
    explicit_override_prefix=False,
    normalizes_names_to_nfc=False,
    index_path_lacks_directory_name=True,
    compressions=("gz", "bz2", "xz", "lz4", "zstd"),
    stats=STATS_2_3_13,
    load_url_rules=_url_rules_2_3,
    load_message_rules=_message_rules_2_3_13,
)


def _changed(dialect: Dialect, **changes: object) -> Dialect:
    fields: dict[str, Any] = {name: getattr(dialect, name) for name in Dialect.__match_args__}
    unknown = changes.keys() - fields.keys()
    if unknown:
        raise TypeError(f"no such field: {unknown}")
    return Dialect(**{**fields, **changes})


DOVECOT_2_3_17 = _changed(DOVECOT_2_3_13, name="2.3.17", dict_major=3)

DOVECOT_2_3_18 = _changed(DOVECOT_2_3_17, name="2.3.18", stats=STATS_2_3_18)

DOVECOT_2_3_19 = _changed(
    DOVECOT_2_3_18,
    name="2.3.19",
    login_texts=LOGIN_TEXTS_2_3_19,
    client_message_prefix="user {user}: ",
    worker_message_prefix="user {user}: ",
    load_message_rules=_message_rules_2_3_19,
)

DOVECOT_2_4_1 = _changed(
    DOVECOT_2_3_19,
    name="2.4.1",
    generation="2.4",
    first_listener_fd=8,
    config_source=ConfigSource.BINARY_BIG_ENDIAN,
    settings_error_format="{error}",
    login_greets=True,
    auth_client_minor=3,
    auth_request_parameters=(b"protocol=imap-urlauth", b"final-resp-ok", b"secured", b"no-penalty"),
    handoff=LAYOUT_2_4,
    login_texts=LOGIN_TEXTS_2_4_1,
    auth_master_minor=3,
    userdb_minor=3,
    userdb_parameter=b"protocol=imap",
    dict_major=4,
    control_order=ControlOrder.VERSION_FIRST,
    broker_shutting_down="Server shutting down",
    worker_message_prefix="user {user}: worker: ",
    worker_send_error="write({path}) failed: {error}",
    user_log_prefix="",
    appends_request_to_errors=True,
    compressions=("gz", "bz2", "lz4", "zstd"),
    stats=STATS_2_4,
    load_url_rules=_url_rules_2_4,
    load_message_rules=_message_rules_2_4_1,
)

DOVECOT_2_4_2 = _changed(
    DOVECOT_2_4_1,
    name="2.4.2",
    first_listener_fd=9,
    accepted_client_fd=8,
    status_when_exhausted=STATUS_NEVER_AGAIN,
    config_source=ConfigSource.BINARY_NATIVE,
    auth_master_path_setting=True,
    auth_client_minor=4,
    auth_master_minor=4,
    userdb_minor=4,
    login_texts=LOGIN_TEXTS_2_4_2,
    explicit_override_prefix=True,
    normalizes_names_to_nfc=True,
    index_path_lacks_directory_name=False,
    load_message_rules=_message_rules_2_4_5,
)
