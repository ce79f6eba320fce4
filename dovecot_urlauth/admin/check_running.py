"""Are the processes that run those of the configuration, and of the installation as it is now?"""

from __future__ import annotations

import os
from collections.abc import Iterator

from dovecot_urlauth.admin.check_services import LIBEXEC_DIR, SERVICES
from dovecot_urlauth.admin.doveconf import Configuration
from dovecot_urlauth.admin.executables import Maker, find_executable
from dovecot_urlauth.admin.findings import Finding, warn
from dovecot_urlauth.admin.monitor.sample import Running, take_sample
from dovecot_urlauth.admin.processes import NoMaster

REMEDY = "doveadm reload"
SLACK = 2.0
"""Seconds by which the clocks of files and of processes may differ."""


def check_running(configuration: Configuration) -> Iterator[Finding]:
    """A warning for each service with processes of another program, or older than its program."""
    try:
        sample = take_sample(configuration.base_dir)
    except NoMaster:
        return
    for service in SERVICES:
        yield from compare(configuration, service, sample.of(service), sample.taken)


def compare(configuration: Configuration, service: str, running: list[Running], now: float) -> Iterator[Finding]:
    """``service`` beside its processes, at ``now`` (Unix time)."""
    try:
        executable = find_executable(
            configuration.service(service).get("executable", service),
            configuration.everything.get("libexec_dir", LIBEXEC_DIR),
        )
        changed = os.stat(executable.path).st_ctime
    except OSError:
        return
    is_ours = executable.maker is Maker.OURS
    foreign = [one for one in running if one.ours is not None and one.ours is not is_ours]
    if foreign and executable.maker is not Maker.UNKNOWN:
        theirs = "Dovecot's own" if is_ours else "dovecot-urlauth's"
        yield warn(
            f"{service}: {len(foreign)} of {len(running)} processes are {theirs}, and the configuration has "
            f"another executable: {REMEDY}"
        )
    old = [one for one in running if one not in foreign and now - one.age < changed - SLACK]
    if old:
        yield warn(
            f"{service}: {len(old)} of {len(running)} processes were started before {executable.path} was "
            f"installed: {REMEDY}"
        )
