"""The words of enable and disable, and the order of their steps: look, write, look again, reload, or all back."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.check_services import SERVICES
from dovecot_urlauth.admin.doveconf import DEFAULT_FILE, DoveconfError, parse, read_configuration
from dovecot_urlauth.admin.executables import start_complaint
from dovecot_urlauth.admin.host import host_fault
from dovecot_urlauth.admin.live.failure import LiveFailure
from dovecot_urlauth.admin.switch.naming import who_names
from dovecot_urlauth.admin.switch.reload import reload_dovecot
from dovecot_urlauth.admin.switch.snippet import (
    FILE_NAME,
    HEADING,
    SwitchFailure,
    Wish,
    advice,
    compose,
    installation,
    news_of_host,
)

if TYPE_CHECKING:
    from dovecot_urlauth.admin.doveconf import Configuration

FOLDER = "conf.d"


def add_switch_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add both to the command line."""
    what = "let Dovecot run these executables: writes one file in conf.d, and reloads"
    enabling = commands.add_parser("enable", help=what, description=what)
    enabling.add_argument("--executables-only", action="store_true", help="leave every service limit as it is")
    enabling.add_argument(
        "--host", metavar="NAME", type=_host, help="and add the settings of URLAUTH that are missing"
    )
    enabling.set_defaults(run=_run_enable)
    what = "let Dovecot run its own executables again: removes that file, and reloads"
    disabling = commands.add_parser("disable", help=what, description=what)
    disabling.set_defaults(run=_run_disable)
    for command in (enabling, disabling):
        command.add_argument("-c", dest="file", metavar="FILE", help="Dovecot's configuration file")
        command.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")


def _host(text: str) -> str:
    if fault := host_fault(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no host: {fault}")
    return text


def _run_enable(given: argparse.Namespace) -> int:
    configuration = read_configuration(given.file)
    prefix = installation()
    wish = Wish(given.executables_only, given.host)
    path = _path(configuration.file)
    old = _read(path)
    _expect_free(path, old)
    text = compose(configuration, prefix, wish, old)
    _expect_startable(text, prefix)
    if given.dry_run:
        _show_difference(path, text)
        return 0
    _write(path, text)
    try:
        after = read_configuration(given.file)
        _expect_ours(after, prefix)
        runs = reload_dovecot(after)
    except (SwitchFailure, DoveconfError, LiveFailure) as error:
        _restore(path, old)
        raise SwitchFailure(f"{error}\nnothing has been changed: {path} is as it was") from error
    if runs:
        print(f"{path} is written: Dovecot runs the executables of {prefix}.")
    else:
        print(
            f"{path} is written. Dovecot is not running: it will use the executables of {prefix} when it starts."
        )
    for line in (*_lost(path, old, text), *news_of_host(configuration, after, wish), *advice(after)):
        print(line)
    return 0


def _run_disable(given: argparse.Namespace) -> int:
    """Exit status 0 exactly when nothing that Dovecot reads names this installation any more."""
    if given.file is not None and not os.path.isfile(given.file):
        raise SwitchFailure(f"{given.file}: there is no such file; -c takes Dovecot's own, such as {DEFAULT_FILE}")
    configuration = None
    try:
        configuration = read_configuration(given.file)
    except DoveconfError as error:
        print(f"{error}\nThis configuration cannot be read; what 'enable' wrote is removed all the same.")
    file = configuration.file if configuration else given.file or DEFAULT_FILE
    path = _path(file)
    old = _read(path)
    if old is None or not old.startswith(HEADING):
        _expect_unnamed(file, configuration)
        print(f"nothing to disable: {_state(configuration)}")
        return 0
    if given.dry_run:
        _show_difference(path, "")
        return 0
    os.unlink(path)
    try:
        after = read_configuration(given.file) if configuration else None
        runs = reload_dovecot(after) if after else False
    except (SwitchFailure, DoveconfError, LiveFailure) as error:
        _restore(path, old)
        raise SwitchFailure(f"{error}\nnothing has been changed: {path} is as it was") from error
    _expect_unnamed(file, after, f"{path} is removed, but ")
    if runs:
        print(f"{path} is removed: Dovecot runs its own executables again.")
    elif after:
        print(f"{path} is removed. Dovecot is not running: it will use its own executables when it starts.")
    else:
        print(f"{path} is removed, and no file beside {file} names these executables any more.")
    return 0


def _state(configuration: Configuration | None) -> str:
    """Why there is nothing to disable, as far as that is known."""
    if configuration is None:
        return (
            "'enable' has written no file here, and none names these executables; what Dovecot runs is not known"
        )
    return "Dovecot's configuration names none of these executables"


def _expect_unnamed(file: str, configuration: Configuration | None, but: str = "") -> None:
    """Raises SwitchFailure when somebody else's line names this installation."""
    named = who_names(installation(), file, configuration)
    if named:
        lines = "".join(f"\n  {one}" for one in named)
        raise SwitchFailure(
            f"{but}lines that 'enable' did not write name these executables: remove them yourself{lines}"
        )


def _path(file: str) -> str:
    return os.path.join(os.path.dirname(file), FOLDER, FILE_NAME)


def _expect_free(path: str, old: str | None) -> None:
    """A file of the administrator's own is not overwritten, unless there are only comments in it."""
    if old is not None and not old.startswith(HEADING) and _said(old):
        raise SwitchFailure(f"{path} was not written by 'enable': move it away, or keep it and include it by hand")


def _expect_ours(configuration: Configuration, prefix: str) -> None:
    """The file must be read, and nothing behind it may take the executables back."""
    for name in SERVICES:
        executable = configuration.service(name).get("executable")
        if not executable.startswith(f"{prefix}/"):
            raise SwitchFailure(
                f"service {name} still runs {executable}: does {configuration.file} say "
                f"'!include {FOLDER}/*.conf', and does nothing behind that set the executable?"
            )


def _expect_startable(text: str, prefix: str) -> None:
    """Dovecot does not start with an executable that is not there, and no service with one that does not start."""
    services = parse(text)
    for name in SERVICES:
        executable, *options = services.block(f"service {name}").get("executable", name).split()
        ours = executable.startswith(f"{prefix}/")
        if ours and (complaint := start_complaint(executable, tuple(options))):
            raise SwitchFailure(
                f"{executable} does not start: {complaint}\n"
                "nothing has been changed: install dovecot-urlauth again, and then this"
            )


def _lost(path: str, old: str | None, text: str) -> list[str]:
    """What stood in our file and does not any more: somebody may have changed it by hand."""
    before = [] if old is None or not old.startswith(HEADING) else _said(old)
    gone = [line[2:] for line in difflib.ndiff(before, _said(text)) if line.startswith("- ")]
    return [f"these lines of {path} are gone:", *(f"  {line}" for line in gone)] if gone else []


def _said(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _write(path: str, text: str) -> None:
    """In one step, so that a Dovecot that starts meanwhile sees the old file or the new. Raises SwitchFailure."""
    fresh = f"{path}.new"
    try:
        with open(fresh, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        os.chmod(fresh, 0o644)
        os.replace(fresh, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(fresh)
        raise SwitchFailure(f"{path} cannot be written: {error.strerror}") from error


def _restore(path: str, old: str | None) -> None:
    if old is None:
        os.unlink(path)
    else:
        _write(path, old)


def _show_difference(path: str, text: str) -> None:
    old = (_read(path) or "").splitlines(keepends=True)
    sys.stdout.writelines(difflib.unified_diff(old, text.splitlines(keepends=True), path, f"{path} (new)"))
