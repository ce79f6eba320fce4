"""Who a user is to Dovecot: asked of ``doveadm user``, which asks auth."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from dovecot_urlauth.admin.live.failure import LiveFailure

DOVEADM = "/usr/bin/doveadm"
PATIENCE = 30.0
"""Seconds for one run of doveadm."""


@dataclass(frozen=True)
class Account:
    """A user and the ids that its processes run under."""

    name: str
    uid: int
    gid: int


def find_account(name: str, file: str) -> Account:
    """Look ``name`` up. Raises LiveFailure when there is no such user, or auth does not answer."""
    done = doveadm(file, "user", name)
    fields = dict(line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)
    try:
        return Account(name, int(fields["uid"]), int(fields["gid"]))
    except (KeyError, ValueError):
        said = done.stderr.strip().splitlines()
        raise LiveFailure("userdb", said[-1] if said else f"no such user: {name}") from None


def all_users(file: str) -> list[str]:
    """The users that the userdb can list, sorted; none where it cannot."""
    done = doveadm(file, "user", "*")
    return sorted(line for line in done.stdout.splitlines() if line) if done.returncode == 0 else []


def doveadm(file: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run doveadm on this configuration. Raises LiveFailure when it cannot be run or hangs."""
    try:
        return subprocess.run(  # noqa: S603
            [DOVEADM, "-c", file, *words], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LiveFailure("doveadm", str(error)) from error
