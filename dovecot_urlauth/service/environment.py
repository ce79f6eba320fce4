"""What master tells a service process in its environment (master/service-process.c)."""

from __future__ import annotations

import os

from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

UNLIMITED = 0xFFFFFFFF
"""SERVICE_COUNT's other way to say "no limit" (restart_request_count = unlimited)."""

STATUS_FD = 5
DEAD_PIPE_FD = 6
LOGIN_NOTIFY_FD = 4
LAST_INHERITED_FD = 9


class EnvironmentInvalid(ValueError):
    """A variable that master always sets well does not make sense."""


@frozen
class Restrictions:
    """RESTRICT_*: what the process shall become (lib/restrict-access.c). Ids are numbers; None means unchanged."""

    uid: int | None = None
    gid: int | None = None
    extra_groups: tuple[int, ...] = ()
    user: str | None = None
    """The user whose supplementary groups apply (initgroups)."""
    chroot: bytes | None = None


@frozen
class Environment:
    """The contract between master and one process."""

    service_name: str
    under_master: bool
    client_limit: int
    service_count: int | None
    """How many clients in the process's whole life; None means no limit."""
    generation: int
    listener_count: int
    log_debug: bool
    """Whether the filter ``log_debug`` lets our lines through."""
    verbose_proctitle: bool | None
    """None when only the settings know (2.3)."""
    accepted_listener_fd: int | None
    config_socket: bytes | None
    config_file: bytes | None
    stats_path: bytes | None
    """Where stats-writer is, from base_dir on for a service with a chroot; None where there is no stats."""
    restrictions: Restrictions


def read_environment(variables: Mapping[str, str], default_service: str) -> Environment:
    """Read the contract; without DOVECOT_CHILD_PROCESS the process stands alone and serves one client.

    Raises EnvironmentInvalid with the variable's name.
    """
    under_master = "DOVECOT_CHILD_PROCESS" in variables
    service_name = variables.get("SERVICE_NAME", default_service)
    service_count = _number(variables, "SERVICE_COUNT", 0)
    socket = variables.get("CONFIG_FILE_SOCKET")
    file = variables.get("CONFIG_FILE")
    if socket is None and under_master:
        socket, file = file, None
    return Environment(
        service_name=service_name,
        under_master=under_master,
        client_limit=max(1, _number(variables, "CLIENT_LIMIT", 1)),
        service_count=None if service_count in (0, UNLIMITED) else service_count,
        generation=_number(variables, "GENERATION", 0),
        listener_count=_number(variables, "SOCKET_COUNT", 0),
        log_debug=_wants_debug(variables.get("LOG_DEBUG", ""), service_name),
        verbose_proctitle=_flag(variables, "VERBOSE_PROCTITLE", "CONFIG_FILE_SOCKET" in variables),
        accepted_listener_fd=(
            _number(variables, "DOVECOT_ACCEPTED_CLIENT_LISTENER_FD", 0)
            if "DOVECOT_ACCEPTED_CLIENT_LISTENER_FD" in variables
            else None
        ),
        config_socket=os.fsencode(socket) if socket else None,
        config_file=os.fsencode(file) if file else None,
        stats_path=os.fsencode(variables.get("STATS_WRITER_SOCKET_PATH", "")) or None,
        restrictions=_restrictions(variables),
    )


def _wants_debug(text: str, service: str) -> bool:
    if not text:
        return False
    from dovecot_urlauth.service.debugfilter import wants

    return wants(text, service)


def _restrictions(variables: Mapping[str, str]) -> Restrictions:
    chroot = variables.get("RESTRICT_CHROOT", "").rstrip("/")
    groups = variables.get("RESTRICT_SETEXTRAGROUPS", "")
    return Restrictions(
        uid=_number(variables, "RESTRICT_SETUID", 0) or None,
        gid=_number(variables, "RESTRICT_SETGID", 0) or None,
        extra_groups=tuple(_group(name) for name in groups.split(",") if name),
        user=variables.get("RESTRICT_USER") or None,
        chroot=os.fsencode(chroot) if chroot else None,
    )


def _group(name: str) -> int:
    if name.isdigit():
        return int(name)
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise EnvironmentInvalid(f"RESTRICT_SETEXTRAGROUPS: Unknown group {name}") from None


def _number(variables: Mapping[str, str], name: str, default: int) -> int:
    text = variables.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit()):
        raise EnvironmentInvalid(f"{name}: not a number: {text!r}")
    return int(text)


def _flag(variables: Mapping[str, str], name: str, absent_means_no: bool) -> bool | None:
    if name in variables:
        return True
    return False if absent_means_no else None
