"""The AppArmor profiles allow what the three executables do; no kernel here asks them, so strace is compared."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testing.instance import DovecotInstance
from testing.processes import wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import PIECES, TUNED, Version
from tests.dovecot.conftest import Installations
from tests.dovecot.test_confd import AT_A_RELOAD

pytestmark = pytest.mark.in_turns

ABSTRACTIONS = {
    "base": re.compile(
        r"/etc/(ld\.so\.cache|localtime)|(/usr)?/lib(32|64)?/?|(/usr)?/lib(32|64)?/[^/]*-linux-gnu/.*"
        r"|/usr/(lib|share)/locale/.*|/dev/null"
    ),
    "nameservice": re.compile(r"/etc/(nsswitch\.conf|passwd|group)"),
}
"""What a profile may read that includes these, as far as our processes do it."""
CALLS = "trace=execve,openat,connect,clone,clone3,fork,vfork"
RULE = re.compile(r"(?m)^  ([/@]\S*) ([a-zA-Z]+),$")
INCLUDE = re.compile(r"(?m)^  include <abstractions/(\w+)>$")
PROFILE = re.compile(r"(?ms)^profile (\S+) (\S+) flags=\([a-z_,]+\) \{\n(.*?)^\}")
CALL = re.compile(r"(?m)^(\w+)\((.*)\) += (\d+)")
PARTS = re.compile(r'(?:<([^>]*)>, )?(?:\{sa_family=AF_UNIX, sun_path=)?"([^"]*)"')
GLOB = (("**", ".*"), ("*", "[^/]*"), ("[0-9]", "[0-9]"), ("{", "(?:"), ("}", ")"), (",", "|"))


def rules(text: str, variables: dict[str, str]) -> dict[str, list[tuple[re.Pattern[str], str]]]:
    """The path rules of each profile, by the file that it is for: pattern and permissions."""
    for name, value in variables.items():
        text = text.replace(f"@{{{name}}}", value)
    found = {}
    for _, attached, body in PROFILE.findall(text):
        found[attached] = [(_pattern(path), permissions) for path, permissions in RULE.findall(body)]
        found[attached] += [(ABSTRACTIONS[name], "r") for name in INCLUDE.findall(body)]
    return found


def _pattern(glob: str) -> re.Pattern[str]:
    words = re.split(r"(\*\*|\*|\[0-9\]|[{},])", glob)
    known = dict(GLOB)
    return re.compile("".join(known.get(word, re.escape(word)) for word in words))


def done(traces: Path, pid: str, executable: str = "") -> Iterator[tuple[str, str, str]]:
    """Executable of ours, permission and path of each successful call that a path rule is about.

    `pid` is a process that was `executable` when it was forked; its children are looked at, too.
    """
    trace = traces / f"trace.{pid}"
    for call, arguments, result in CALL.findall(trace.read_text(errors="replace") if trace.exists() else ""):
        found = PARTS.search(arguments)
        folder, path = found.groups() if found else (None, "")
        if call in ("clone", "clone3", "fork", "vfork"):
            yield from done(traces, result, executable)
        elif call == "execve":
            executable = path if path.endswith(PIECES) else ""
        elif executable and call == "openat" and "O_PATH" not in arguments:
            whole = path if path.startswith("/") else f"{folder}/{path}"
            if "O_DIRECTORY" in arguments:
                whole = whole.rstrip("/") + "/"  # so AppArmor writes folders
            yield executable, "r" if "O_RDONLY" in arguments else "w", whole
        elif executable and call == "connect":
            yield executable, "w", path


def test_nothing_is_done_that_a_profile_does_not_allow(
    starter: Callable[..., DovecotInstance], version: Version, installations: Installations, tmp_path: Path
) -> None:
    dovecot = starter(DovecotInstance(version, TUNED, installations[version]), *AT_A_RELOAD)
    assert dovecot.ours
    file = dovecot.ours.outside / "share/dovecot-urlauth/apparmor/dovecot-urlauth"
    run = f"{dovecot.inside}/run"
    allowed = rules(
        file.read_text(),
        {
            "urlauth_prefix": str(dovecot.ours.prefix),
            "urlauth_run": run,
            "urlauth_mail": str(dovecot.inside),
            "PROC": "/proc",
            "pid": "self",
        },
    )
    master = dovecot.master_pid
    command = [
        "strace",
        "-ff",
        "-qq",
        "-y",
        "-s",
        "300",
        "-e",
        CALLS,
        "-o",
        f"{tmp_path}/trace",
        "-p",
        str(master),
    ]
    with Scene(dovecot) as scene:
        url = scene.sign(scene.store())
        tracer = subprocess.Popen(command)
        try:
            status = Path(f"/proc/{master}/status")
            wait_for(lambda: f"TracerPid:\t{tracer.pid}\n" in status.read_text())
            dovecot.reload()
            assert scene.user("bob").fetch_url(url) == MESSAGE
        finally:
            tracer.terminate()
            tracer.wait(10)
    root = str(dovecot.version.root).rstrip("/")
    seen = {(ours, kind, path.removeprefix(root)) for ours, kind, path in done(tmp_path, str(master))}
    assert {Path(ours).name for ours, _, _ in seen} == set(PIECES)
    assert {Path(path).name for _, kind, path in seen if kind == "w"} >= {
        "auth-master",
        "auth-userdb",
        "tokenlogin",
    }
    home = {"imap-urlauth-login": f"{run}/token-login"}  # where a name without a folder is connected to
    for ours, kind, path in seen:
        whole = path if path.startswith("/") else f"{home.get(Path(ours).name, run)}/{path}"
        matching = [permissions for pattern, permissions in allowed[ours] if pattern.fullmatch(whole)]
        assert any(kind in permissions for permissions in matching), (ours, kind, whole)


def test_a_rule_that_is_missing_is_missed() -> None:
    text = "profile x /p/libexec/imap-urlauth flags=(complain) {\n  /p/{a,b.[0-9]*}/{,**} rm,\n}\n"
    [(pattern, permissions)] = rules(text, {})["/p/libexec/imap-urlauth"]
    assert permissions == "rm"
    assert [bool(pattern.fullmatch(path)) for path in ("/p/a/", "/p/b.12/c/d", "/p/c/", "/p/b.x/")] == [
        True,
        True,
        False,
        False,
    ]
