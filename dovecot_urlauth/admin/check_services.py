"""Can the three services run: their programs, users and limits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from dovecot_urlauth.admin.check_library import check_library
from dovecot_urlauth.admin.check_stores import check_stores
from dovecot_urlauth.admin.doveconf import Block, Configuration
from dovecot_urlauth.admin.executables import (
    Executable,
    Maker,
    changeable,
    file_faults,
    find_executable,
    interpreter_faults,
    python_version,
    start_complaint,
)
from dovecot_urlauth.admin.findings import Finding, Level, fail, note, ok
from dovecot_urlauth.admin.master import running_master

LOGIN, BROKER, WORKER = "imap-urlauth-login", "imap-urlauth", "imap-urlauth-worker"
SERVICES = (LOGIN, BROKER, WORKER)

LIBEXEC_DIR = "/usr/lib/dovecot"
UNSET_SIZE = 2**64 - 1
LOGIN_CHROOT = "token-login"
FEW_SESSIONS = 4
WAITS = {1: "the second", 2: "the third", 3: "the fourth"}
LEAST_MEMORY = 24 * 1024 * 1024
"""With 16 MB it does not start, or fails at the first mail (Python 3.11 and 3.14)."""
ENOUGH_MEMORY = 128 * 1024 * 1024
UNITS = {"B": 1, "k": 2**10, "M": 2**20, "G": 2**30}


@dataclass(frozen=True)
class Defect:
    """What Dovecot's own program does wrong before the version that mends it (None: in every one so far)."""

    since: tuple[int, ...]
    mended: tuple[int, ...] | None
    level: Level
    text: str


STOCK_DEFECTS = {
    LOGIN: [
        Defect((2, 3, 9), (2, 4), Level.FAIL, "it ends at every request, at an assertion about DOVECOT-TOKEN")
    ],
    BROKER: [
        Defect((2, 3), None, Level.NOTE, "it keeps root's rights"),
        Defect((2, 4), None, Level.NOTE, "a process stays behind for every session"),
    ],
    WORKER: [
        Defect((2, 3), (2, 4, 3), Level.FAIL, "user+bob in a URL lets any user in who is logged in"),
        Defect((2, 4), None, Level.NOTE, "a change of the target user breaks the connection for two seconds"),
    ],
}


def check_services(configuration: Configuration) -> Iterator[Finding]:
    """The three services' programs and limits."""
    for name in SERVICES:
        yield from _check_service(configuration, name)


def _check_service(configuration: Configuration, name: str) -> Iterator[Finding]:
    service = configuration.service(name)
    libexec_dir = configuration.everything.get("libexec_dir", LIBEXEC_DIR)
    try:
        executable = find_executable(service.get("executable", name), libexec_dir)
        faults = file_faults(executable.path)
    except OSError as error:
        yield fail(f"{name}: {error.filename}: {error.strerror}")
        return
    yield from (fail(f"{name}: {executable.path} {fault}") for fault in faults)
    if executable.maker is Maker.OURS:
        if not faults:  # what others may change is not run
            yield from _check_ours(name, executable, tuple(service.get("executable", name).split()[1:]))
        yield from check_library(name, executable, service_user(configuration, name))
        if name == WORKER:
            yield from check_stores(name, configuration, executable)
        yield from _check_limits(configuration, name, service)
    else:
        yield from _check_other(configuration, name, executable)
    user = configuration.value_of(service.get("user", "root"))
    if name == WORKER and user != "root":
        yield note(
            f"{name}: user = {user} changes nothing: it is root until it becomes the user whose mail it reads"
        )
    if name == BROKER and user == "root" and executable.maker is Maker.OURS:
        yield note(f"{name} runs as root: it needs no more rights than default_internal_user has")
    yield from _check_chroot(configuration, name, service)


def service_user(configuration: Configuration, name: str) -> str:
    """Who a service runs as; login's is set by the service's own default."""
    return configuration.value_of(configuration.service(name).get("user", "root")) or "root"


def _check_chroot(configuration: Configuration, name: str, service: Block) -> Iterator[Finding]:
    """Login's is the folder of the sockets that it needs; the others need what no chroot holds."""
    chroot = service.get("chroot")
    if not chroot:
        return
    folder = os.path.join(configuration.base_dir, chroot)
    if name != LOGIN:
        yield fail(f"{name}: in its chroot {folder} it finds no socket to connect to; set it to nothing")
    elif os.path.isdir(configuration.base_dir) and not os.path.isdir(folder):
        if os.path.normpath(chroot) == LOGIN_CHROOT and running_master(configuration.base_dir) is None:
            yield note(f"{name}: its chroot {folder} is not there: Dovecot makes it when it starts")
        else:
            yield fail(f"{name}: its chroot {folder} is not there")
    elif os.path.normpath(chroot) != LOGIN_CHROOT:
        yield fail(f"{name}: its chroot is {folder}, and the sockets that it connects to are in {LOGIN_CHROOT}")


def _check_ours(name: str, executable: Executable, options: tuple[str, ...]) -> Iterator[Finding]:
    faults = interpreter_faults(executable.interpreter)
    if not faults and (open_to := changeable(os.path.realpath(executable.interpreter[0]))):
        faults = [f"{open_to}, which its interpreter is or lies in, may be changed by others than root"]
    if faults:
        yield from (fail(f"{name}: {fault}") for fault in faults)
    elif complaint := start_complaint(executable.path, options):
        yield fail(f"{name}: {executable.path} does not start: {complaint}")
    else:
        version = python_version(executable.interpreter[0])
        yield ok(f"{name} is {executable.maker.value}: {executable.path} (Python {version})")


def _check_other(configuration: Configuration, name: str, executable: Executable) -> Iterator[Finding]:
    if executable.maker is Maker.UNKNOWN:
        yield fail(f"{name} is {executable.maker.value}, so nobody knows whether it works: {executable.path}")
        return
    if os.path.basename(os.path.realpath(executable.path)) != name:
        yield fail(f"{name} is another program of Dovecot's: {executable.path}: the executables are exchanged")
        return
    yield ok(f"{name} is {executable.maker.value}: {executable.path}")
    for defect in STOCK_DEFECTS[name]:
        if configuration.numbers >= defect.since and not (
            defect.mended and configuration.numbers >= defect.mended
        ):
            yield Finding(defect.level, f"{name} of Dovecot {configuration.version}: {defect.text}")
    if name == WORKER and (
        limits_of(configuration, name).clients != 1 or _session_count(configuration, name) != "1"
    ):
        count = "service_count" if configuration.is_2_3 else "restart_request_count"
        yield fail(
            f"{name} is Dovecot's own, which dies of a second session: set client_limit = 1 and {count} = 1"
        )


@dataclass(frozen=True)
class Limits:
    """How much a service may do: processes at once, and sessions in each of them."""

    processes: int
    clients: int


def limits_of(configuration: Configuration, name: str) -> Limits:
    """The limits of a service, Dovecot's defaults where it has none of its own."""
    service, defaults = configuration.service(name), configuration.everything
    return Limits(
        _number(service.get("process_limit"), defaults.get("default_process_limit", "100")),
        _number(service.get("client_limit"), defaults.get("default_client_limit", "1000")),
    )


def _session_count(configuration: Configuration, name: str) -> str:
    """How many sessions a process serves in its life."""
    return configuration.service(name).get("service_count" if configuration.is_2_3 else "restart_request_count")


def _check_limits(configuration: Configuration, name: str, service: Block) -> Iterator[Finding]:
    defaults = configuration.everything
    count = _session_count(configuration, name)
    limits = limits_of(configuration, name)
    processes, clients = limits.processes, limits.clients
    if count == "1":
        yield note(f"{name} starts anew for each session; conf.d/90-urlauth.conf has limits that suit it better")
    else:
        yield ok(f"{name}: up to {processes} processes, each for up to {clients} sessions at once")
    if processes * clients < FEW_SESSIONS:
        most = processes * clients
        yield note(f"{name}: {_count(processes, 'process')} for {_count(clients, 'session')}: {WAITS[most]} waits")
    if service.get("drop_priv_before_exec") == "yes":
        yield fail(f"{name}: with drop_priv_before_exec = yes the interpreter cannot be started")
    memory = _size(service.get("vsz_limit")) or _size(defaults.get("default_vsz_limit", "256 M"))
    if 0 < memory < LEAST_MEMORY:
        yield fail(f"{name}: vsz_limit is {memory // UNITS['M']} MB; Python needs {LEAST_MEMORY // UNITS['M']} MB")
    elif 0 < memory < ENOUGH_MEMORY:
        yield note(f"{name}: vsz_limit is {memory // UNITS['M']} MB; Python may not find that enough")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what.replace('ss', 'sse')}s"


def _number(text: str, default: str) -> int:
    """A limit; 0 and nothing mean the default."""
    return int(text) if text.isdigit() and int(text) else int(default)


def _size(text: str) -> int:
    """Bytes of ``256 M`` or ``64M``; 0 for no limit of its own."""
    digits = text.rstrip("BkMG ")
    size = int(digits) * UNITS[text[len(digits) :].strip() or "B"] if digits.isdigit() else 0
    return 0 if size == UNSET_SIZE else size
