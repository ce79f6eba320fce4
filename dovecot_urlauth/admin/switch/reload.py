"""Letting a running Dovecot read its configuration, and hearing whether it took it.

``doveadm reload`` only sends a signal, and a master that cannot use what it reads (an executable that is not
there, a user that nobody knows) goes on with what it had, says so in its log alone, and does not start the next
time.  2.4's log service keeps that line.  With any version it shows in the pipes that the master holds: with a
configuration that it takes each service gets new ones.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.live.account import doveadm
from dovecot_urlauth.admin.master import running_master
from dovecot_urlauth.admin.processes import PROC
from dovecot_urlauth.admin.switch.snippet import SwitchFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dovecot_urlauth.admin.doveconf import Configuration

PATIENCE = 10.0
"""Seconds for a master that does not answer meanwhile."""
GRACE = 1.0
"""Seconds after it has answered."""
PAUSE = 0.05
MASTERS = "Error: master: "


def reload_dovecot(configuration: Configuration) -> bool:
    """False if no Dovecot runs that needs to hear of it. Raises SwitchFailure when it does not take it."""
    master = running_master(configuration.base_dir)
    if master is None:
        return False
    pipes, errors = pipes_of(master), _errors(configuration)
    done = doveadm(configuration.file, "reload")
    if done.returncode != 0:
        raise SwitchFailure(f"doveadm reload: {done.stderr.strip()}")
    # a master that has answered two requests has gone through what the signal asked of it
    answers = all(doveadm(configuration.file, "service", "status").returncode == 0 for _ in range(2))
    said = [line for line in _errors(configuration) if line not in errors]
    if said or (pipes and not _become_new(master, pipes, GRACE if answers else PATIENCE)):
        why = (
            said[-1].partition(MASTERS)[2] if said else "its log says why ('doveadm log find' says where that is)"
        )
        raise SwitchFailure(f"the running Dovecot does not take this configuration: {why}")
    return True


def pipes_of(pid: int) -> frozenset[str]:
    """The pipes that a process holds; none where that cannot be seen."""
    return frozenset(_pipes(PROC / str(pid) / "fd"))


def _pipes(folder: Path) -> Iterator[str]:
    try:
        numbers = os.listdir(folder)
    except OSError:
        return
    for number in numbers:
        try:
            name = os.readlink(folder / number)
        except OSError:
            continue  # closed meanwhile
        if name.startswith("pipe:"):
            yield name


def _become_new(master: int, before: frozenset[str], patience: float) -> bool:
    end = time.monotonic() + patience
    while not _are_new(pipes_of(master), before) and time.monotonic() < end:
        time.sleep(PAUSE)
    return _are_new(pipes_of(master), before)


def _are_new(pipes: frozenset[str], before: frozenset[str]) -> bool:
    """Most of them; those of the log service stay."""
    return bool(pipes) and len(before & pipes) * 2 < len(before)


def _errors(configuration: Configuration) -> list[str]:
    """Those of the master that the log service keeps, each with its time."""
    lines = doveadm(configuration.file, "log", "errors").stdout.splitlines()
    return [line for line in lines if MASTERS in line]
