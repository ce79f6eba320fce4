"""What this kernel gives for the sandbox of our services, tried by a child that enters it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dovecot_urlauth.admin.check_services import LIBEXEC_DIR, SERVICES, WORKER
from dovecot_urlauth.admin.doveconf import Configuration
from dovecot_urlauth.admin.executables import Maker, find_executable
from dovecot_urlauth.admin.findings import Finding, fail, note, ok
from dovecot_urlauth.service import landlock, sandbox
from dovecot_urlauth.service.sandbox import Mode

MOST = 4096
"""Bytes that the child may say."""


def check_sandbox(configuration: Configuration) -> Iterator[Finding]:
    """Of the services that have one: login, imap-urlauth, and a worker with ``--store=native``."""
    modes = {name: mode for name in SERVICES if (mode := _mode_of(configuration, name))}
    yield from (note(f"{name} has no sandbox: --sandbox=off") for name in modes if modes[name] is Mode.OFF)
    boxed = [name for name, mode in modes.items() if mode is not Mode.OFF]
    if not boxed:
        return
    missing = ", ".join(what_is_missing())
    if not missing:
        names = ", ".join(boxed)
        yield ok(f"in a sandbox: {names} (Landlock {landlock.version()}, seccomp, no core files)")
        return
    for name in boxed:
        if modes[name] is Mode.REQUIRE:
            yield fail(f"{name}: --sandbox=require, and the sandbox is incomplete: {missing}")
        else:
            yield note(f"{name}: its sandbox goes without {missing}")


def _mode_of(configuration: Configuration, name: str) -> Mode | None:
    """What a service was told; None if it has no sandbox, or is not ours."""
    setting = configuration.service(name).get("executable", name)
    try:
        executable = find_executable(setting, configuration.everything.get("libexec_dir", LIBEXEC_DIR))
    except OSError:
        return None
    options = setting.split()[1:]
    if executable.maker is not Maker.OURS or (name == WORKER and "--store=native" not in options):
        return None
    given = [option.partition("=")[2] for option in options if option.startswith("--sandbox=")]
    return sandbox.MODES.get(given[-1]) if given else Mode.AUTO


def what_is_missing() -> list[str]:
    """What a process that enters the sandbox here would go without, each with the reason."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        status = 1
        try:
            text = "\n".join(sandbox.shut())
            os.write(writer, text.encode()[:MOST])
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = pipe.read(MOST).decode()
    _, ended = os.waitpid(pid, 0)
    if ended:
        return [f"anything: a process that entered it ended with status {ended}"]
    return said.splitlines()
