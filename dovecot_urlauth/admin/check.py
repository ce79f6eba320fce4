"""``dovecot-urlauth check``: every finding about a configuration, for people, for programs, and for Nagios."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.check_mail import check_mail
from dovecot_urlauth.admin.check_running import check_running
from dovecot_urlauth.admin.check_sandbox import check_sandbox
from dovecot_urlauth.admin.check_services import LIBEXEC_DIR, SERVICES, check_services
from dovecot_urlauth.admin.check_settings import check_settings
from dovecot_urlauth.admin.check_sockets import check_sockets
from dovecot_urlauth.admin.doveconf import DoveconfError, read_configuration
from dovecot_urlauth.admin.executables import Maker, find_executable
from dovecot_urlauth.admin.findings import Level, fail
from dovecot_urlauth.admin.master import running_master
from dovecot_urlauth.admin.nagios import Health, one_line, state_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from dovecot_urlauth.admin.doveconf import Configuration
    from dovecot_urlauth.admin.findings import Finding


def add_check_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add it to the command line."""
    what = "say whether URLAUTH across users will work, and what hinders it"
    check = commands.add_parser("check", help=what, description=f"{what[0].upper()}{what[1:]}.")
    check.add_argument("-c", dest="file", metavar="FILE", help="the configuration file, instead of doveconf's own")
    check.add_argument("--user", metavar="NAME", help="whose mail is looked at; the first that the userdb lists")
    form = check.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the findings as one JSON object")
    form.add_argument("--monitor", action="store_true", help="one line and an exit status for Nagios")
    check.set_defaults(run=_run_check)


def all_findings(configuration: Configuration, user: str | None) -> Iterator[Finding]:
    """What is to be said about a configuration, and about the Dovecot that runs with it."""
    for check in (check_settings, check_services, check_sandbox, check_sockets, check_running):
        yield from check(configuration)
    yield from check_mail(configuration, user)


def _run_check(given: argparse.Namespace) -> int:
    began = time.monotonic()
    if given.monitor:
        return _monitor(given, began)
    if given.json:
        return _print_json(given)
    configuration = read_configuration(given.file)
    print(f"Dovecot {configuration.version}, {configuration.file}")
    failed = 0
    for finding in all_findings(configuration, given.user):
        print(finding)
        failed += finding.level is Level.FAIL
    if failed:
        print(f"URLAUTH across users will not work as it should: see the {failed} marked {Level.FAIL.value}.")
        if remedy := _remedy(configuration):
            print(f"To begin with, run: {remedy}")
        return 1
    print("URLAUTH across users will work.")
    return 0


def _print_json(given: argparse.Namespace) -> int:
    """``works`` is what the exit status says; what doveconf cannot read is one more finding."""
    whole: dict[str, object] = {"dovecot": None, "file": given.file}
    try:
        configuration = read_configuration(given.file)
        whole = {"dovecot": configuration.version, "file": configuration.file}
        listed = [(finding.level, finding.text) for finding in all_findings(configuration, given.user)]
    except DoveconfError as error:
        listed = [(Level.FAIL, str(error))]
    works = all(level is not Level.FAIL for level, _ in listed)
    findings = [{"level": level.value, "text": text} for level, text in listed]
    print(json.dumps({**whole, "works": works, "findings": findings}, indent=2))
    return int(not works)


def _remedy(configuration: Configuration) -> str:
    """The command that mends most, where it was never given; "" where it was."""
    libexec_dir = configuration.everything.get("libexec_dir", LIBEXEC_DIR)
    host = configuration.as_imap.get("imap_urlauth_host")
    makers = set()
    for name in SERVICES:
        with suppress(OSError):
            setting = configuration.service(name).get("executable", name)
            makers.add(find_executable(setting, libexec_dir).maker)
    return "" if makers == {Maker.OURS} and host else f"dovecot-urlauth enable --host {host or 'imap.example.com'}"


def _monitor(given: argparse.Namespace, began: float) -> int:
    if os.geteuid() != 0:
        print(one_line(Health.UNKNOWN, "run it as root: others do not see whether URLAUTH works", {}))
        return Health.UNKNOWN.status
    try:
        configuration = read_configuration(given.file)
        findings = list(all_findings(configuration, given.user))
        if running_master(configuration.base_dir) is None:
            findings.insert(0, fail(f"no Dovecot runs with base_dir {configuration.base_dir}"))
    except DoveconfError as error:
        print(one_line(Health.UNKNOWN, str(error), {}))
        return Health.UNKNOWN.status
    state, text = state_of(findings)
    counts = {level.name.lower(): sum(finding.level is level for finding in findings) for level in Level}
    print(one_line(state, text, {**counts, "time": f"{time.monotonic() - began:.2f}s"}))
    return state.status
