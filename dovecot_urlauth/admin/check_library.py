"""Is an installation of ours whole and safe: the library beside its starters, as the service's user sees it."""

from __future__ import annotations

import os
import pwd
import re
import stat
import subprocess
from collections.abc import Iterator

from dovecot_urlauth.admin.executables import Executable
from dovecot_urlauth.admin.findings import Finding, fail

ROOMS = {"imap-urlauth-login": "login", "imap-urlauth": "broker", "imap-urlauth-worker": "worker"}
STORES = ("auto", "native", "dovecot")

#: what systemd's PrivateTmp hides from Dovecot, and anybody may fill
TEMPORARY = ("/tmp/", "/var/tmp/")  # noqa: S108
SYSTEMD_RUNS = "/run/systemd/system"

_LIBRARY = re.compile(rb"^sys\.path\.insert\(0, '([^']+)'\)", re.M)
_ROOM = re.compile(rb"^from dovecot_urlauth\.(\w+)\.main import main", re.M)
_BUILT_FOR = re.compile(r"^_setproctitle\.cpython-(\d)(\d+)-")

#: what each service loads, in an interpreter like its own
PROBE = "import sys; sys.path.insert(0, sys.argv[1]); import dovecot_urlauth.{room}.main"


def check_library(name: str, executable: Executable, options: tuple[str, ...], user: str) -> Iterator[Finding]:
    """What would keep service ``name`` from working, or let others into it; ``user`` is who it runs as."""
    with open(executable.path, "rb") as file:
        text = file.read()
    yield from _check_room(name, executable, text)
    for option in options:
        store = option.removeprefix("--store=")
        if store != option and store not in STORES:
            yield fail(f"{name}: --store={store} is none of {', '.join(STORES)}")
    if executable.path.startswith(TEMPORARY) and os.path.isdir(SYSTEMD_RUNS):
        yield fail(f"{name}: {executable.path} is where systemd's PrivateTmp hides it from Dovecot")
    library = library_of(executable)
    if library is not None:
        yield from _check_writable(name, library)
        yield from _check_python(name, library, executable)
        yield from _check_readable(name, library, executable, user)


def library_of(executable: Executable) -> str | None:
    """The folder that an executable of ours loads from."""
    with open(executable.path, "rb") as file:
        found = _LIBRARY.search(file.read())
    return None if found is None else os.fsdecode(found[1])


def _check_room(name: str, executable: Executable, text: bytes) -> Iterator[Finding]:
    found = _ROOM.search(text)
    if found is not None and found[1].decode() != ROOMS[name]:
        theirs = next((other for other, room in ROOMS.items() if room == found[1].decode()), "another program")
        yield fail(f"{name}: {executable.path} is {theirs}: the executables are exchanged")


def _check_writable(name: str, library: str) -> Iterator[Finding]:
    """Root imports what is here: nobody else may change it, or put another in its place."""
    parents = [library]
    while parents[-1] != "/":
        parents.append(os.path.dirname(parents[-1]))
    for path in (*parents, *_files_below(library)):
        try:
            found = os.lstat(path)
        except OSError as error:
            yield fail(f"{name}: {path}: {error.strerror}")
            return
        sticky = found.st_mode & stat.S_ISVTX and path != library
        is_open = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not stat.S_ISLNK(found.st_mode)
        if found.st_uid != 0 or (is_open and not sticky):
            yield fail(f"{name}: {path} may be changed by others than root, and root runs what it holds")
            return


def _files_below(library: str) -> Iterator[str]:
    for folder, folders, files in os.walk(library):
        yield from (os.path.join(folder, entry) for entry in (*folders, *files) if not entry.endswith(".pyc"))


def _check_python(name: str, library: str, executable: Executable) -> Iterator[Finding]:
    """The title library is machine code of one Python; a new python3 finds none, and goes on without titles."""
    try:
        files = os.listdir(os.path.join(library, "setproctitle"))
    except OSError:
        return
    built = {f"{found[1]}.{found[2]}" for file in files if (found := _BUILT_FOR.match(file))}
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = run([executable.interpreter[0], "-ISc", ask])
    running = done.stdout.strip() if done else ""
    if built and running and running not in built:
        yield fail(
            f"{name}: {library} is installed for Python {', '.join(sorted(built))}, "
            f"and {executable.interpreter[0]} is {running}: run make install again"
        )


def _check_readable(name: str, library: str, executable: Executable, user: str) -> Iterator[Finding]:
    """Whether the service's own user can load it all."""
    probe = [executable.interpreter[0], "-IBS", "-c", PROBE.format(room=ROOMS[name]), library]
    try:
        done = run(probe, user)
    except PermissionError:
        yield fail(f"{name}: its user {user} cannot run {executable.interpreter[0]}")
        return
    if done is not None and done.returncode:
        said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        yield fail(f"{name}: its user {user} cannot load {library}: {said}")


def run(command: list[str], user: str | None = None) -> subprocess.CompletedProcess[str] | None:
    """Run it, as ``user`` when root can; None if that cannot be tried.

    Raises PermissionError when that user may not.
    """
    changed = user not in (None, "root")
    if changed and os.geteuid() != 0:
        return None
    try:
        return subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            cwd="/",
            user=user if changed else None,
            group=pwd.getpwnam(user).pw_gid if changed and user else None,
            extra_groups=[] if changed else None,
        )
    except PermissionError:
        if not changed:
            return None
        raise
    except (OSError, subprocess.TimeoutExpired, KeyError, ValueError):
        return None
