"""What a process in the sandbox can still do, tried from inside."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from dovecot_urlauth.service import landlock, seccomp
from dovecot_urlauth.service.libc import PR_GET_NO_NEW_PRIVS, prctl

CHECKOUT = Path(__file__).resolve().parents[2]

PROLOGUE = f"""
import os, sys
sys.path.insert(0, {str(CHECKOUT)!r})
from dovecot_urlauth.service import sandbox
from dovecot_urlauth.service.log import Log, LogPipe
sandbox.enter(sandbox.Mode.REQUIRE, Log("", LogPipe(to_master=False)))
"""

REFUSED = {
    "reads a file of the system": "open('/etc/passwd')",
    "lists a folder": "os.listdir('/')",
    "writes a file": "open('/tmp/sandbox-test', 'w')",
    "writes below its own folder": "open(sys.path[0] + '/sandbox-test', 'w')",
    "runs a program": "os.execv('/bin/true', ['true'])",
    "forks": "os.fork()",
    "makes an IP socket": "__import__('_socket').socket(2, 1, 0)",
    "makes a pair of sockets that are not UNIX's": "__import__('_socket').socketpair(30, 1, 0)",
    "makes a netlink socket": "__import__('_socket').socket(16, 3, 0)",
    "signals another process": "os.kill(os.getppid(), 0)",
    "changes a mode": "os.chmod('/tmp', 0o1777)",
    "makes a link": "os.symlink('/', '/tmp/sandbox-link')",
    "takes a file away": "os.unlink('/tmp/none')",
    "changes its root": "os.chroot('/')",
    "changes its user": "os.setuid(os.getuid())",
}

ALLOWED = {
    "a module that is loaded late": "import colorsys",
    "a module in C that is loaded late": "import _bz2",
    "a UNIX socket": "import _socket; _socket.socket(1, 1, 0).close()",
    "a pair of UNIX sockets": "import _socket; [each.close() for each in _socket.socketpair(1, 1, 0)]",
    "descriptors in messages": (
        "import _socket, array; a, b = open_pair; "
        "a.sendmsg([b'x'], [(1, 1, array.array('i', [0]))]); b.recvmsg(1, 64)"
    ),
    "our loop": ("from dovecot_urlauth.service.loop import Loop; loop = Loop(); loop.run(loop.sleep(0.01))"),
    "a watchdog": (
        "from dovecot_urlauth.service.watchdog import Watchdog; from dovecot_urlauth.service.loop import Loop; "
        "loop = Loop(); dog = Watchdog(loop, None, 0.6); dog.__enter__(); loop.run(loop.sleep(0.5))"
    ),
    "a log line": "os.write(2, b'')",
    "random bytes": "os.urandom(16)",
    "the end": "sys.exit(0)",
}


def run(code: str) -> subprocess.CompletedProcess[str]:
    before = "import _socket; open_pair = _socket.socketpair()\n"
    return subprocess.run(
        [sys.executable, "-IB", "-c", before + PROLOGUE + code],
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(autouse=True)
def _kernel_can() -> None:
    try:
        landlock.version()
    except OSError:
        pytest.skip("this kernel has no Landlock")


@pytest.mark.parametrize("code", REFUSED.values(), ids=REFUSED)
def test_refused(code: str) -> None:
    done = run(f"try:\n    {code}\nexcept (PermissionError, BlockingIOError): sys.exit(42)\nsys.exit(1)")
    assert (done.returncode, done.stderr) == (42, "")


@pytest.mark.parametrize("code", ALLOWED.values(), ids=ALLOWED)
def test_allowed(code: str) -> None:
    done = run(code)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("limit", ["CORE", "NPROC", "FSIZE"])
def test_limits(limit: str) -> None:
    kind = getattr(resource, f"RLIMIT_{limit}")
    if resource.getrlimit(kind)[1] == 0:
        pytest.skip("there is nothing to take away here")
    done = run(f"import resource; print(resource.getrlimit(resource.RLIMIT_{limit}))")
    assert done.stdout == "(0, 0)\n"


def test_no_debugger() -> None:
    get_dumpable = 3
    unfiltered = PROLOGUE.replace("sandbox.enter", "sandbox.install_filter = len\nsandbox.enter")
    code = unfiltered + f"print(sandbox.prctl({get_dumpable}))"
    done = subprocess.run([sys.executable, "-IB", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "0\n"


@pytest.mark.parametrize("mode", ["REQUIRE", "AUTO"])
def test_what_the_kernel_lacks(mode: str) -> None:
    lacking = PROLOGUE.replace(
        "sandbox.enter(sandbox.Mode.REQUIRE",
        "def lack(folders): raise OSError('no such call')\n"
        f"sandbox.landlock.restrict = lack\nsandbox.enter(sandbox.Mode.{mode}",
    )
    done = subprocess.run([sys.executable, "-IB", "-c", lacking], capture_output=True, text=True, timeout=60)
    assert ("Fatal: The sandbox is incomplete: landlock: no such call" in done.stderr) == (mode == "REQUIRE")
    assert (done.returncode == 0) == (mode == "AUTO")


def test_every_table_has_the_same_calls() -> None:
    assert set(seccomp.BOTH["x86_64"]) == set(seccomp.BOTH["aarch64"])


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_every_jump_lands_inside_the_program(machine: str) -> None:
    code = seccomp.program(machine)
    lines = [seccomp.INSTRUCTION.unpack_from(code, at) for at in range(0, len(code), seccomp.INSTRUCTION.size)]
    for at, (operation, if_true, if_false, _) in enumerate(lines):
        if operation == seccomp.JUMP_IF_EQUAL:
            assert at + 1 + max(if_true, if_false) < len(lines)
    assert lines[-1][0] == seccomp.RETURN


@pytest.mark.parametrize(
    ("machine", "number", "argument", "verdict"),
    [
        ("x86_64", 0, 0, seccomp.ALLOW),
        ("x86_64", 59, 0, seccomp.REFUSE),  # execve
        ("x86_64", 56, 0, seccomp.REFUSE),  # clone
        ("x86_64", 41, 1, seccomp.ALLOW),
        ("x86_64", 41, 2, seccomp.REFUSE),
        ("x86_64", 53, 1, seccomp.ALLOW),
        ("x86_64", 53, 30, seccomp.REFUSE),
        ("aarch64", 63, 0, seccomp.ALLOW),
        ("aarch64", 221, 0, seccomp.REFUSE),  # execve
        ("aarch64", 198, 10, seccomp.REFUSE),
        ("aarch64", 199, 1, seccomp.ALLOW),
        ("aarch64", 199, 30, seccomp.REFUSE),
        ("i686", 0, 0, seccomp.KILL),
    ],
)
def test_verdicts(machine: str, number: int, argument: int, verdict: int) -> None:
    code = seccomp.program(machine if machine in seccomp.ARCHITECTURES else "x86_64")
    architecture = seccomp.ARCHITECTURES.get(machine, 0x40000003)
    data = {seccomp.NUMBER_AT: number, seccomp.ARCHITECTURE_AT: architecture, seccomp.FIRST_ARGUMENT_AT: argument}
    lines = list(seccomp.INSTRUCTION.iter_unpack(code))
    at = accumulator = 0
    while True:
        operation, if_true, if_false, operand = lines[at]
        at += 1
        if operation == seccomp.LOAD_WORD:
            accumulator = data[operand]
        elif operation == seccomp.JUMP_IF_EQUAL:
            at += if_true if accumulator == operand else if_false
        else:
            assert operand == verdict
            return


def test_a_machine_without_a_table() -> None:
    with pytest.raises(seccomp.Unknown, match="riscv64"):
        seccomp.program("riscv64")


def test_off_changes_nothing() -> None:
    from dovecot_urlauth.service import sandbox
    from dovecot_urlauth.service.log import Log, LogPipe

    sandbox.enter(sandbox.Mode.OFF, Log("", LogPipe(to_master=False)))
    assert prctl(PR_GET_NO_NEW_PRIVS) == 0
    assert os.listdir("/")


def test_reading_below_named_folders_only(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail/file").write_text("mail")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "mail/link").symlink_to(tmp_path / "secret")
    before = PROLOGUE.replace("to_master=False)))", f"to_master=False)), [{os.fsencode(tmp_path / 'mail')!r}])")
    code = (
        f"base = {str(tmp_path)!r}\n"
        + """
assert open(base + '/mail/file').read() == 'mail'
assert sorted(os.listdir(base + '/mail')) == ['file', 'link']
for path in ('/secret', '/mail/link', '/mail/../secret'):
    try:
        open(base + path)
    except PermissionError:
        continue
    sys.exit(1)
try:
    open(base + '/mail/file', 'a')
except PermissionError:
    sys.exit(42)
"""
    )
    done = subprocess.run([sys.executable, "-IB", "-c", before + code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (42, "")
