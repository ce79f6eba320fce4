"""The command line of ``dovecot-urlauth``.

    dovecot-urlauth check [-c FILE]            will URLAUTH across users work here?
    dovecot-urlauth status [--base-dir DIR]    which imap-urlauth processes run
    dovecot-urlauth url URL                    what a URL means
    dovecot-urlauth enable | disable           swap these executables in or out, safely
    dovecot-urlauth test [URL]                 does it work on the running Dovecot? what becomes of this URL?
    dovecot-urlauth monitor [--listen PORT]    processes, sessions and memory, live or for Prometheus
    dovecot-urlauth share|fetch|revoke|keys    hand a message to another user, and take it back

Exit status: 0 if all is well (`check`: URLAUTH across users will work and is safe), 1 if something is not, 2 for
wrong usage.
"""

from __future__ import annotations

import argparse
import os
import sys
import time

from dovecot_urlauth.admin.check import add_check_command
from dovecot_urlauth.admin.doveconf import read_configuration
from dovecot_urlauth.admin.explain import explain
from dovecot_urlauth.admin.live.commands import add_live_commands
from dovecot_urlauth.admin.live.giventext import asked_for
from dovecot_urlauth.admin.monitor.command import add_monitor_command
from dovecot_urlauth.admin.outcome import output
from dovecot_urlauth.admin.processes import find_processes
from dovecot_urlauth.admin.switch.command import add_switch_commands
from dovecot_urlauth.admin.version import full_version

MEGABYTE = 1024 * 1024


def main(argv: list[str] | None = None) -> int:
    """Run the command with these words (the first is its name); returns the exit status."""
    with output() as end:
        given = _parser().parse_args((sys.argv if argv is None else argv)[1:])
        end.status = given.run(given)
    return end.status


class _ShowVersion(argparse.Action):
    """argparse's own would ask git at every start."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"dovecot-urlauth {full_version()}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dovecot-urlauth", description="Look at URLAUTH (RFC 4467) on this machine's Dovecot."
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="show the version, and the commit")
    commands = parser.add_subparsers(required=True, metavar="command")
    add_check_command(commands)
    status = commands.add_parser("status", help="list the running imap-urlauth processes")
    whose = status.add_mutually_exclusive_group()
    whose.add_argument("--base-dir", metavar="DIR", help="only those of the Dovecot with this base_dir")
    whose.add_argument("-c", dest="file", metavar="FILE", help="only those of the Dovecot with this configuration")
    status.set_defaults(run=_run_status)
    url = commands.add_parser("url", help="explain a URL")
    url.add_argument("url", metavar="URL", help="a URL, signed or not; - to read it from standard input")
    url.set_defaults(run=_run_url)
    add_switch_commands(commands)
    add_live_commands(commands)
    add_monitor_command(commands)
    return parser


def _run_status(given: argparse.Namespace) -> int:
    processes = find_processes(read_configuration(given.file).base_dir if given.file else given.base_dir)
    print(f"{'PID':>8} {'USER':12} {'PSS':>9} {'SANDBOX':7}  TITLE")
    for process in processes:
        pss = "-" if process.pss is None else f"{process.pss / MEGABYTE:.1f} MB"
        boxed = "yes" if process.is_boxed else "-"
        print(f"{process.pid:8} {process.user:12} {pss:>9} {boxed:7}  {process.title}")
    known = [process.pss for process in processes if process.pss is not None]
    total = f"{sum(known) / MEGABYTE:.1f} MB"
    if len(known) < len(processes):
        total = f"{total} of {len(known)} of them" if known else "memory unknown"
        total = f"{total} (run this as root to see all of it)"
    print(f"{len(processes)} processes, {total}")
    return 0


def _run_url(given: argparse.Namespace) -> int:
    for name, value in explain(os.fsencode(asked_for(given.url)), int(time.time())):
        print(f"{name:12} {value}")
    return 0
