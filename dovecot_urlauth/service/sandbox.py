"""What login, imap-urlauth and a native worker give up beside root: programs, files, the network, processes.

It is done last, when the settings are read and the user is changed.  What the kernel lacks is a debug line, or
with ``--sandbox=require`` the end; ``--sandbox=off`` is for kernels that misbehave.  The interpreter may still
load modules of its own: reading below its folders and ours is what stays of the file system.
"""

from __future__ import annotations

import os
import resource
import sys

from dovecot_urlauth.service import landlock, seccomp
from dovecot_urlauth.service.libc import PR_SET_DUMPABLE, install_filter, prctl
from dovecot_urlauth.service.privileges import forbid_new_privileges
from dovecot_urlauth.service.run import Fatal
from dovecot_urlauth.start.frozen import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from dovecot_urlauth.service.log import Log

LIBRARIES = (b"/lib", b"/lib64", b"/usr/lib", b"/usr/lib64")
"""Where a module that is loaded late finds the C libraries that it is linked with."""


class Mode(Enum):
    """What ``--sandbox=`` says."""

    AUTO = "auto"
    OFF = "off"
    REQUIRE = "require"


MODES = {mode.value: mode for mode in (Mode.AUTO, Mode.OFF, Mode.REQUIRE)}
OPTION = {"sandbox": tuple(MODES)}
"""The option of the executables, as ``parse_options`` takes it."""


def enter(mode: Mode, log: Log, readable: Iterable[bytes] = ()) -> None:
    """Give up everything but UNIX sockets, and reading below the folders ``readable``. Raises Fatal."""
    if mode is Mode.OFF:
        return
    missing = shut(readable)
    if missing and mode is Mode.REQUIRE:
        raise Fatal("The sandbox is incomplete: " + ", ".join(missing))
    for text in missing:
        log.debug(f"The sandbox goes without {text}")


def shut(readable: Iterable[bytes] = ()) -> list[str]:
    """Take every step that the kernel knows, for good; the others, each with the reason. Raises PrivilegesKept."""
    forbid_new_privileges()
    missing = []
    folders = (*interpreter_folders(), *readable)
    steps = (
        ("limits", _limit),
        ("landlock", lambda: landlock.restrict(folders)),
        ("seccomp", lambda: install_filter(seccomp.program())),
    )
    for name, step in steps:
        try:
            step()
        except (OSError, seccomp.Unknown) as error:
            missing.append(f"{name}: {error}")
    return missing


def interpreter_folders() -> tuple[bytes, ...]:
    """The folders that modules are loaded from."""
    folders = [os.fsencode(path) for path in sys.path if path.startswith("/")]
    return (*folders, os.fsencode(os.path.dirname(os.path.dirname(__file__))), *LIBRARIES)


def _limit() -> None:
    prctl(PR_SET_DUMPABLE, 0)
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
        resource.setrlimit(kind, (0, 0))
