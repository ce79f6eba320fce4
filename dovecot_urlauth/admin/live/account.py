"""Who a user is to Dovecot: asked of ``doveadm user``, which asks auth."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from dovecot_urlauth.admin.live.failure import LiveFailure

DOVEADM = "doveadm"
DEBIANS = "/usr/bin/doveadm"
HEADING = "field\tvalue\n"
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
    found = _user(file, name)
    fields = dict(line.split("\t", 1) for line in found if "\t" in line)
    try:
        return Account(name, int(fields["uid"]), int(fields["gid"]))
    except (KeyError, ValueError):
        raise LiveFailure("userdb", f"has no uid and gid for {name}") from None


def userdb_fields(name: str, file: str) -> dict[str, str]:
    """What the userdb itself says of ``name``, nothing added from the settings. Raises LiveFailure."""
    fields = {}
    for line in _user(file, "-u", name):
        field, colon, value = line.partition(": ")
        if colon and line.startswith(" "):
            fields[field.strip()] = value
    return fields


def _user(file: str, *words: str) -> list[str]:
    """The lines of ``doveadm user``. Raises LiveFailure when there is no such user, or auth does not answer."""
    done = doveadm(file, "user", *words)
    if done.returncode != 0:
        printed = done.stdout.removeprefix(HEADING).strip()  # 2.3 says there that a user does not exist
        said = (
            done.stderr.strip() or printed or f"gives nothing for {words[-1]}: has the user a home?"
        ).splitlines()
        raise LiveFailure("userdb", said[-1].rpartition("Error: ")[2].removeprefix("userdb lookup: "))
    return done.stdout.splitlines()


def all_users(file: str) -> list[str]:
    """The users that the userdb can list, sorted; none where it cannot."""
    done = doveadm(file, "user", "*")
    return sorted(line for line in done.stdout.splitlines() if line) if done.returncode == 0 else []


def doveadm(file: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the doveadm in PATH on this configuration. Raises LiveFailure when it cannot be run or hangs."""
    program = shutil.which(DOVEADM) or DEBIANS
    try:
        return subprocess.run(  # noqa: S603
            [program, "-c", file, *words],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            process_group=0,  # what is typed at the terminal to interrupt is for us
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LiveFailure("doveadm", str(error)) from error
