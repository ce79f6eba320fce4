"""Is an installation of ours whole and safe: the library beside its starters, as the service's user sees it."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Iterator

from dovecot_urlauth import Bundle
from dovecot_urlauth.admin.executables import Executable, changeable
from dovecot_urlauth.admin.findings import Finding, fail, note

ROOMS = {"imap-urlauth-login": "login", "imap-urlauth": "broker", "imap-urlauth-worker": "worker"}

#: what systemd's PrivateTmp hides from Dovecot, and anybody may fill
TEMPORARY = ("/tmp/", "/var/tmp/")  # noqa: S108
SYSTEMD_RUNS = "/run/systemd/system"

_LIBRARY = re.compile(rb"^sys\.path\.insert\(0, '([^']+)'\)", re.M)
_ROOM = re.compile(rb"^from dovecot_urlauth\.(\w+)\.main import main", re.M)
_BUILT_FOR = re.compile(r"^_setproctitle\.cpython-(\d)(\d+)-")

#: what each service loads, in an interpreter like its own
PROBE = "import sys; sys.path.insert(0, sys.argv[1]); import dovecot_urlauth.{room}.main"
ASK_LOADER = "import sys; sys.path.insert(0, sys.argv[1]); import dovecot_urlauth.wire as wire; " + (
    "print(type(wire.__spec__.loader).__name__)"
)


def check_library(name: str, executable: Executable, user: str) -> Iterator[Finding]:
    """What would keep service ``name`` from working, or let others into it; ``user`` is who it runs as."""
    with open(executable.path, "rb") as file:
        text = file.read()
    yield from _check_room(name, executable, text)
    if executable.path.startswith(TEMPORARY) and os.path.isdir(SYSTEMD_RUNS):
        yield fail(f"{name}: {executable.path} is where systemd's PrivateTmp hides it from Dovecot")
    library = library_of(executable)
    if library is None:
        return
    unsafe = list(_check_writable(name, library))
    yield from unsafe
    yield from _check_python(name, library, executable)
    if not unsafe:
        yield from _check_loading(name, library, executable, user)


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
    try:
        path = changeable(library, _files_below(library))
    except OSError as error:
        yield fail(f"{name}: {error.filename}: {error.strerror}")
        return
    if path is not None:
        yield fail(f"{name}: {path} may be changed by others than root, and root runs what it holds")


def _files_below(library: str) -> Iterator[str]:
    for folder, folders, files in os.walk(library):
        yield from (os.path.join(folder, entry) for entry in (*folders, *files))


def _check_python(name: str, library: str, executable: Executable) -> Iterator[Finding]:
    """The title library is machine code of one Python, and the bundle byte code: a new python3 does without."""
    try:
        files = os.listdir(os.path.join(library, "setproctitle"))
    except OSError:
        return
    built = {f"{found[1]}.{found[2]}" for file in files if (found := _BUILT_FOR.match(file))}
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = run([executable.interpreter[0], "-ISc", ask])
    running = done.stdout.strip() if done else ""
    if built and running and running not in built:
        yield note(
            f"{name}: {library} is installed for Python {', '.join(sorted(built))}, and this is {running}: "
            f"it starts slower and has no title until you run make install again"
        )


def _check_loading(name: str, library: str, executable: Executable, user: str) -> Iterator[Finding]:
    """Whether it can be loaded by root, whom a service starts as, and by the user that it becomes.

    What is imported later comes out of the bundle, which stays open; only without one it takes the user's rights.
    """
    probe = [executable.interpreter[0], "-IBS", "-c", PROBE.format(room=ROOMS[name]), library]
    done = run(probe)
    if done is not None and done.returncode:
        yield fail(f"{name}: {library} is damaged, run make install again: {_last_line(done)}")
        return
    try:
        done = run(probe, user)
    except PermissionError:
        yield note(f"{name}: its user {user} cannot run {executable.interpreter[0]}, which root starts for it")
        return
    if done is not None and done.returncode:
        text = f"{name}: its user {user} cannot read {library}"
        bundled = _has_bundle(library, executable)
        yield note(f"{text}: root loads it") if bundled else fail(f"{text}: {_last_line(done)}")


def _has_bundle(library: str, executable: Executable) -> bool:
    """Whether modules come from a bundle, which is for this interpreter then."""
    done = run([executable.interpreter[0], "-IBS", "-c", ASK_LOADER, library])
    return done is not None and done.stdout.strip() == Bundle.__name__


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]


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
