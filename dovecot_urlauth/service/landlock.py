"""Which files a process may still reach (landlock(7)), for itself and for whatever it may be made to run.

Rights that a kernel does not know are left out; one without Landlock says ENOSYS or EOPNOTSUPP.
"""

from __future__ import annotations

import os
from struct import Struct

from dovecot_urlauth.service.libc import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""System call numbers, the same on every architecture."""
VERSION_FLAG = 1
PATH_BENEATH = 1

RULESET = Struct("=QQQ")
"""struct landlock_ruleset_attr: files, network, scopes that are handled."""
RULE = Struct("=Qi")
"""struct landlock_path_beneath_attr, packed: rights, the folder's descriptor."""

READ_FILE = 1 << 2
READ_DIR = 1 << 3
READ = READ_FILE | READ_DIR

FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights on files, by the version that first had so many."""
NETWORK_RIGHTS = {4: 0b11}
"""TCP bind and connect."""
SCOPES = {6: 0b11}
"""Abstract UNIX sockets and signals of processes outside."""


def version() -> int:
    """The kernel's version of Landlock. Raises OSError where there is none."""
    return syscall(CREATE_RULESET, None, 0, VERSION_FLAG)


def restrict(readable: Iterable[bytes]) -> int:
    """Leave nothing but reading below the folders ``readable``; return Landlock's version.

    ``no_new_privs`` must be set.  A folder that is not there is left out.  Raises OSError.
    """
    kernel = version()
    handled = [_of(rights, kernel) for rights in (FILE_RIGHTS, NETWORK_RIGHTS, SCOPES)]
    attributes = RULESET.pack(*handled)
    size = 24 if handled[2] else 16 if handled[1] else 8
    ruleset = syscall(CREATE_RULESET, attributes, size, 0)
    try:
        for folder in readable:
            _allow(ruleset, folder)
        syscall(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return kernel


def _of(rights: dict[int, int], kernel: int) -> int:
    known = [mask for since, mask in rights.items() if since <= kernel]
    return max(known, default=0)


def _allow(ruleset: int, folder: bytes) -> None:
    try:
        fd = os.open(folder, os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
    except OSError:
        return
    try:
        syscall(ADD_RULE, ruleset, PATH_BENEATH, RULE.pack(READ, fd), 0)
    finally:
        os.close(fd)
