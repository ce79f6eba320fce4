"""Giving root up for good, and proving it (lib/restrict-access.c; OpenSSH's permanently_set_uid).

The order is Dovecot's: group, supplementary groups, chroot, user; then we try to come back, and must fail.
"""

from __future__ import annotations

import os
import time

from dovecot_urlauth.service.libc import PR_GET_NO_NEW_PRIVS, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, prctl
from dovecot_urlauth.start.frozen import frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.service.environment import Restrictions


class PrivilegesKept(Exception):
    """Privileges could not be dropped, or could be taken back: the process must end."""


@frozen
class Identity:
    """Who the process becomes."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    """Supplementary groups, the primary one included."""
    chroot: bytes | None = None


def drop_privileges(identity: Identity) -> None:
    """Become ``identity`` for good. Raises PrivilegesKept.

    A process that is not root may only "become" who it is already.  Afterwards no process of the same user can
    look into this one's memory: the user's own programs run under the same uid.
    """
    if identity.uid == 0:
        raise PrivilegesKept("We couldn't drop root privileges: the wanted user is root")
    _close_memory()  # now as well: what it takes may not be found behind the chroot
    if os.getuid() == 0 or os.geteuid() == 0:
        _change(identity)
    _verify(identity)
    _close_memory()


def _close_memory() -> None:
    try:
        prctl(PR_SET_DUMPABLE, 0)
    except OSError as error:
        raise PrivilegesKept(f"prctl(PR_SET_DUMPABLE) failed: {error}") from error


def _change(identity: Identity) -> None:
    try:
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setgroups(identity.groups)
        if identity.chroot is not None:
            time.localtime()  # loads the time zone, which the chroot does not hold
            os.chroot(identity.chroot)
            os.chdir(b"/")
        os.setresuid(identity.uid, identity.uid, identity.uid)
    except OSError as error:
        where = f"chroot({os.fsdecode(identity.chroot)}): " if identity.chroot and error.filename else ""
        raise PrivilegesKept(f"We couldn't drop root privileges: {where}{error.strerror}") from error


def drop_to_restrictions(restrictions: Restrictions) -> None:
    """Become what master's RESTRICT_* variables ask for; without a uid there is nothing to drop.

    Raises PrivilegesKept.
    """
    if restrictions.uid is None:
        return
    gid = restrictions.gid if restrictions.gid is not None else os.getgid()
    groups = (gid, *restrictions.extra_groups)
    if restrictions.user is not None:
        groups = (*groups, *os.getgrouplist(restrictions.user, gid))
    unique = tuple(dict.fromkeys(groups))
    drop_privileges(Identity(restrictions.uid, gid, unique, restrictions.chroot))


def forbid_new_privileges() -> None:
    """No program that is executed from here on gains anything by its set-uid bit. Raises PrivilegesKept."""
    try:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        if prctl(PR_GET_NO_NEW_PRIVS) == 1:
            return
    except OSError as error:
        raise PrivilegesKept(f"prctl(PR_SET_NO_NEW_PRIVS) failed: {error}") from error
    raise PrivilegesKept("prctl(PR_SET_NO_NEW_PRIVS) had no effect")


def _verify(identity: Identity) -> None:
    for regain, ids in ((os.setuid, (0,)), (os.seteuid, (0,)), (os.setresuid, (0, 0, 0))):
        if not _is_forbidden(regain, ids):
            raise PrivilegesKept("We couldn't drop root privileges")
    if identity.gid != 0 and not _is_forbidden(os.setgid, (0,)):
        raise PrivilegesKept(
            f"We couldn't drop root group privileges (wanted={identity.gid}, "
            f"gid={os.getgid()}, egid={os.getegid()})"
        )
    if os.getresuid() != (identity.uid,) * 3 or os.getresgid() != (identity.gid,) * 3:
        raise PrivilegesKept(f"wrong ids after the drop: uid={os.getresuid()} gid={os.getresgid()}")
    if not set(os.getgroups()) <= {identity.gid, *identity.groups}:
        raise PrivilegesKept(f"groups kept after the drop: {os.getgroups()}")


def _is_forbidden(regain: Callable[..., None], ids: tuple[int, ...]) -> bool:
    """Whether the kernel forbids it. Raises PrivilegesKept when it fails otherwise, which proves nothing."""
    try:
        regain(*ids)
    except PermissionError:
        return True
    except OSError as error:
        raise PrivilegesKept(f"We couldn't drop root privileges: not proven: {error.strerror}") from error
    return False
