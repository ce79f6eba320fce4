"""Services as an administrator may have set them: what the report says of each."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dovecot_urlauth.admin import check_library
from dovecot_urlauth.admin.check_services import SERVICES, check_services
from dovecot_urlauth.admin.check_sockets import check_sockets
from dovecot_urlauth.admin.doveconf import Configuration, parse

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the programs belong to root")

INTERPRETER = os.path.realpath(sys.executable)
"""One that others may run, too: an environment of a test run may be closed to them."""
PROGRAM = f"""#!{INTERPRETER} -IBS
import sys  # in the place of dovecot_urlauth
unknown = [word for word in sys.argv[1:] if word != "--store=auto"]
sys.exit(f"Fatal: Unknown argument: {{unknown[0]}}")
"""

SERVICES_TEXT = """\
base_dir = {folder}
libexec_dir = {folder}
default_internal_user = dovecot
default_client_limit = 1000
default_process_limit = 100
default_vsz_limit = 256 M
service imap-urlauth-login {{
  executable = ours
  {count} = 0
  client_limit = 0
  process_limit = 5
  user = $default_login_user
  vsz_limit = 18446744073709551615 B
  unix_listener imap-urlauth {{
    mode = 0666
  }}
}}
service imap-urlauth {{
  executable = {folder}/ours
  {count} = unlimited
  client_limit = 500
  process_limit = 0
  user = $default_internal_user
  unix_listener token-login/imap-urlauth {{
    mode = 0666
  }}
}}
service imap-urlauth-worker {{
  executable = ours --store=auto
  {count} = 0
  client_limit = 200
  process_limit = 5
  user =
  unix_listener imap-urlauth-worker {{
    mode = 0600
    user = $default_internal_user
  }}
}}
service auth {{
  unix_listener auth-master {{
    mode = 0600
  }}
  unix_listener token-login/tokenlogin {{
    mode = 0666
  }}
  unix_listener auth-userdb {{
    mode = 0600
  }}
}}
"""


Report = Callable[..., list[str]]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Makes the report's lines, after replacements in the configuration."""
    (tmp_path / "ours").write_text(PROGRAM)
    (tmp_path / "ours").chmod(0o755)
    for name in SERVICES:
        (tmp_path / name).write_bytes(b"\x7fELF")
        (tmp_path / name).chmod(0o755)

    def make(*changes: tuple[str, str], version: str = "2.3.19.1") -> list[str]:
        count = "service_count" if version.startswith("2.3") else "restart_request_count"
        text = SERVICES_TEXT.format(folder=tmp_path, count=count)
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        configuration = Configuration(version, "file", parse(text), parse(""), parse(""))
        return [str(finding) for check in (check_services, check_sockets) for finding in check(configuration)]

    return make


PYTHON = ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize("version", ["2.3.19.1", "2.4.5"])
def test_all_is_well(report: Report, tmp_path: Path, version: str) -> None:
    assert report(version=version) == [
        f"ok    imap-urlauth-login is dovecot-urlauth's: {tmp_path}/ours (Python {PYTHON})",
        "ok    imap-urlauth-login: up to 5 processes, each for up to 1000 sessions at once",
        f"ok    imap-urlauth is dovecot-urlauth's: {tmp_path}/ours (Python {PYTHON})",
        "ok    imap-urlauth: up to 100 processes, each for up to 500 sessions at once",
        f"ok    imap-urlauth-worker is dovecot-urlauth's: {tmp_path}/ours (Python {PYTHON})",
        "ok    imap-urlauth-worker: up to 5 processes, each for up to 200 sessions at once",
        "ok    socket imap-urlauth has mode 0666",
        "ok    socket token-login/imap-urlauth has mode 0666",
        "ok    socket token-login/tokenlogin has mode 0666",
        "ok    socket auth-master has mode 0600",
        "ok    socket auth-userdb has mode 0600",
        "ok    socket imap-urlauth-worker has mode 0600",
    ]


LOGIN = "imap-urlauth-login"
WORKER_SOCKET = "unix_listener imap-urlauth-worker {\n    mode = 0600\n    user = $default_internal_user\n  }"
READS = "it reads any user's mail for whoever connects"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("service_count = unlimited", "service_count = 1"), "note  imap-urlauth starts anew for each session; "),
        (
            ("client_limit = 200", "drop_priv_before_exec = yes"),
            "FAIL  imap-urlauth-worker: with drop_priv_before",
        ),
        (("256 M", "64M"), "note  imap-urlauth: vsz_limit is 64 MB; Python may not find that enough"),
        (("18446744073709551615 B", "100 M"), "note  imap-urlauth-login: vsz_limit is 100 MB; Python may not"),
        (
            ("user =\n", "user = vmail\n"),
            "note  imap-urlauth-worker: user = vmail changes nothing: it is root until it becomes the user",
        ),
        (
            ("unix_listener auth-master", "unix_listener x"),
            "FAIL  service auth has no unix_listener auth-master: ",
        ),
        (
            ("imap-urlauth {\n    mode = 0666", "imap-urlauth {\n    mode = 0"),
            "FAIL  socket imap-urlauth is switched",
        ),
        (
            ("imap-urlauth {\n    mode = 0666", "imap-urlauth {\n    mode = 0660"),
            "FAIL  socket imap-urlauth has mode 0660",
        ),
        (
            ("imap-urlauth {\n    mode = 0666", "imap-urlauth {\n    mode = 0660\n    group = mail"),
            "note  socket imap-urlauth has mode 0660",
        ),
        (
            ("imap-urlauth {\n    mode = 0666", "imap-urlauth {\n    mode = 0600\n    user = vmail"),
            "note  socket imap-urlauth has mode 0600",
        ),
        (
            ("token-login/imap-urlauth {\n    mode = 0666", "token-login/imap-urlauth {\n    mode = 0600"),
            "FAIL  socket token-login/imap-urlauth has mode 0600",
        ),
        (
            (
                "token-login/tokenlogin {\n    mode = 0666",
                "token-login/tokenlogin {\n    mode = 0600\n    user = dovenull",
            ),
            "note  socket token-login/tokenlogin has mode 0600",
        ),
        (
            ("--store=auto", "--store=natve"),
            "FAIL  imap-urlauth-worker: {folder}/ours does not start: Unknown argument: --store=natve",
        ),
        (
            ("client_limit = 200\n  process_limit = 5", "client_limit = 1\n  process_limit = 2"),
            "note  imap-urlauth-worker: 2 processes for 1 session: the third waits",
        ),
        (
            ("user = $default_login_user\n", "user = $default_login_user\n  chroot = nowhere\n"),
            "FAIL  imap-urlauth-login: its chroot {folder}/nowhere is not there",
        ),
        (
            ("user = $default_login_user\n", "user = $default_login_user\n  chroot = .\n"),
            "FAIL  imap-urlauth-login: its chroot is {folder}/., and the sockets that it connects to are",
        ),
        (
            ("client_limit = 500\n", "client_limit = 500\n  chroot = token-login\n"),
            "FAIL  imap-urlauth: in its chroot {folder}/token-login it finds no socket to connect to",
        ),
        (
            ("auth-userdb {\n    mode = 0600", "auth-userdb {\n    mode = 0"),
            "FAIL  socket auth-userdb is switched off",
        ),
        (
            ("mode = 0600\n    user", "mode = 0666\n    user"),
            f"FAIL  socket imap-urlauth-worker is open to every local user (mode 0666): {READS}",
        ),
        (
            (WORKER_SOCKET, WORKER_SOCKET.replace("$default_internal_user", "root")),
            "FAIL  socket imap-urlauth-worker belongs to root, and imap-urlauth, which runs as dovecot, cannot",
        ),
        (("executable = ours --", "executable = missing --"), "FAIL  imap-urlauth-worker: /"),
    ],
)
def test_what_the_report_says(report: Report, tmp_path: Path, change: tuple[str, str], line: str) -> None:
    line = line.replace("{folder}", str(tmp_path))
    assert any(each.startswith(line) for each in report(change)), report(change)


def test_a_chroot_that_dovecot_makes_when_it_starts(report: Report, tmp_path: Path) -> None:
    change = ("user = $default_login_user\n", "user = $default_login_user\n  chroot = token-login\n")
    said = f"imap-urlauth-login: its chroot {tmp_path}/token-login is not there"
    assert f"note  {said}: Dovecot makes it when it starts" in report(change)
    (tmp_path / "master.pid").write_text(f"{os.getpid()}\n")
    assert f"FAIL  {said}" in report(change)


def test_dovecots_own_worker_with_limits_that_suit_it(report: Report) -> None:
    own = ("executable = ours --store=auto", "executable = imap-urlauth-worker")
    limits = ("client_limit = 200", "client_limit = 1\n  service_count = 1")
    lines = report(own, limits, ("  service_count = 0\n  client_limit = 1\n", "  client_limit = 1\n"))
    assert not [line for line in lines if "dies of a second session" in line]


def test_imap_urlauth_needs_no_root(report: Report) -> None:
    lines = report(("user = $default_internal_user\n  unix", "user = root\n  unix"))
    assert "note  imap-urlauth runs as root: it needs no more rights than default_internal_user has" in lines


@pytest.mark.parametrize(
    ("limit", "megabytes"),
    [("64M", 64), ("127 M", 127), ("24 M", 24), ("25165824 B", 24), ("128 M", None), ("1 G", None)],
)
def test_memory(report: Report, limit: str, megabytes: int | None) -> None:
    said = [line for line in report(("256 M", limit)) if "vsz_limit" in line]
    assert len(said) == (3 if megabytes else 0)
    assert all(line.startswith("note") and f"vsz_limit is {megabytes} MB" in line for line in said)


def test_no_memory_for_python(report: Report) -> None:
    said = [line for line in report(("256 M", "1024 k")) if "vsz_limit" in line]
    assert said == [f"FAIL  {name}: vsz_limit is 1 MB; Python needs 24 MB" for name in SERVICES]


def test_the_workers_socket_may_be_shared_with_a_group(report: Report) -> None:
    shared = WORKER_SOCKET.replace("0600", "0660").replace("user = $default_internal_user", "group = dovecot")
    assert not [line for line in report((WORKER_SOCKET, shared)) if line.startswith("FAIL")]


@pytest.mark.parametrize(
    ("version", "levels"),
    [
        ("2.3.8", {"imap-urlauth-login": [], "imap-urlauth": ["note"], "imap-urlauth-worker": ["FAIL"]}),
        ("2.3.19.1", {"imap-urlauth-login": ["FAIL"], "imap-urlauth": ["note"], "imap-urlauth-worker": ["FAIL"]}),
        (
            "2.4.1-4",
            {"imap-urlauth-login": [], "imap-urlauth": ["note"] * 2, "imap-urlauth-worker": ["FAIL", "note"]},
        ),
        ("2.4.5", {"imap-urlauth-login": [], "imap-urlauth": ["note"] * 2, "imap-urlauth-worker": ["note"]}),
    ],
)
def test_dovecots_own_programs(report: Report, version: str, levels: dict[str, list[str]]) -> None:
    own = [("executable = ours --store=auto", "executable = imap-urlauth-worker"), ("/ours\n", "/imap-urlauth\n")]
    lines = report(*own, ("executable = ours\n", "executable = imap-urlauth-login\n"), version=version)
    said = {name: [line.split()[0] for line in lines if f" {name} of Dovecot" in line] for name in levels}
    assert said == levels
    assert sum("is Dovecot's own: " in line for line in lines) == 3
    dies = "is Dovecot's own, which dies of a second session: set client_limit = 1 and "
    count = "service_count" if version.startswith("2.3") else "restart_request_count"
    assert f"FAIL  imap-urlauth-worker {dies}{count} = 1" in lines


def test_an_unknown_program(report: Report, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("#!/bin/sh\n")
    (tmp_path / "other").chmod(0o757)
    lines = report(("executable = ours\n", "executable = other\n"))
    assert f"FAIL  imap-urlauth-login: {tmp_path}/other may be changed by others than root" in lines
    assert (
        "FAIL  imap-urlauth-login is neither Dovecot's own nor dovecot-urlauth's, so nobody knows whether it works"
        f": {tmp_path}/other"
    ) in lines


def test_dovecots_own_exchanged(report: Report, tmp_path: Path) -> None:
    path = f"{tmp_path}/imap-urlauth-worker"
    said = f"imap-urlauth is another program of Dovecot's: {path}: the executables are exchanged"
    assert f"FAIL  {said}" in report((f"executable = {tmp_path}/ours\n", "executable = imap-urlauth-worker\n"))


def test_an_interpreter_that_others_may_change(report: Report, tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\nexec {INTERPRETER} "$@"\n')
    python.chmod(0o777)
    (tmp_path / "ours").write_text(PROGRAM.replace(INTERPRETER, str(python)))
    said = f"FAIL  imap-urlauth: {python}, which its interpreter is or lies in, may be changed by others than root"
    assert said in report()


def test_executables_exchanged(report: Report, tmp_path: Path) -> None:
    (tmp_path / "ours").write_text(PROGRAM + "from dovecot_urlauth.login.main import main\n")
    exchanged = f"{tmp_path}/ours is imap-urlauth-login: the executables are exchanged"
    assert [line for line in report() if "are exchanged" in line] == [
        f"FAIL  imap-urlauth: {exchanged}",
        f"FAIL  imap-urlauth-worker: {exchanged}",
    ]


@pytest.fixture
def installed(tmp_path: Path, report: Report) -> Iterator[Path]:
    """A library beside the starters, in folders that root alone may change and everybody may read."""
    with tempfile.TemporaryDirectory(prefix="urlauth-", dir="/var/lib") as folder:
        library = Path(folder)
        library.chmod(0o755)
        for room in ("login", "broker", "worker"):
            package = library / "dovecot_urlauth" / room
            package.mkdir(parents=True)
            (package / "main.py").write_text("")
        (tmp_path / "ours").write_text(PROGRAM + f"sys.path.insert(0, '{library}')\n")
        yield library


FRONT = ("imap-urlauth-login", "imap-urlauth")
DOVECOT = ("default_internal_user = dovecot", "default_internal_user = nobody\ndefault_login_user = nobody")


def test_a_library_that_is_whole(report: Report, installed: Path) -> None:
    assert not [line for line in report(DOVECOT) if line.startswith("FAIL")]


def test_a_library_that_the_service_cannot_read(report: Report, installed: Path) -> None:
    installed.chmod(0o700)
    said = [line for line in report(DOVECOT) if line.startswith("FAIL")]
    assert [line.split(": ")[0] for line in said] == ["FAIL  imap-urlauth-login", "FAIL  imap-urlauth"]
    assert all(f"its user nobody cannot read {installed}: ModuleNotFoundError" in line for line in said)


def test_a_library_that_root_loads_from_its_bundle(report: Report, installed: Path) -> None:
    package = installed / "dovecot_urlauth"
    (package / "wire").mkdir()
    (package / "wire/__init__.py").write_text("class Bundle: pass\n__spec__.loader = Bundle()\n")
    installed.chmod(0o700)
    said = [line for line in report(DOVECOT) if "cannot read" in line]
    assert said == [f"note  {name}: its user nobody cannot read {installed}: root loads it" for name in FRONT]


def test_a_library_that_is_damaged(report: Report, installed: Path) -> None:
    (installed / "dovecot_urlauth/broker/main.py").write_text("impotr os\n")
    said = [line for line in report(DOVECOT) if line.startswith("FAIL")]
    assert said == [
        f"FAIL  imap-urlauth: {installed} is damaged, run make install again: SyntaxError: invalid syntax"
    ]


def test_an_interpreter_that_the_service_cannot_run(report: Report, installed: Path, tmp_path: Path) -> None:
    closed = installed / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python3").symlink_to(INTERPRETER)
    starter = (tmp_path / "ours").read_text().replace(INTERPRETER, f"{closed}/python3")
    (tmp_path / "ours").write_text(starter)
    said = [line for line in report(DOVECOT) if "python3" in line and not line.startswith("ok")]
    assert said == [
        f"note  {name}: its user nobody cannot run {closed}/python3, which root starts for it" for name in FRONT
    ]


@pytest.mark.parametrize("place", ["", "dovecot_urlauth", "dovecot_urlauth/worker/main.py"])
def test_a_library_that_others_may_change(report: Report, installed: Path, place: str) -> None:
    (installed / place).chmod(0o777)
    assert sum(f"{installed / place} may be changed by others than root" in line for line in report(DOVECOT)) == 3


def test_a_library_of_another_python(report: Report, installed: Path) -> None:
    (installed / "setproctitle").mkdir()
    (installed / "setproctitle" / "_setproctitle.cpython-39-x86_64-linux-gnu.so").write_bytes(b"")
    running = ".".join(PYTHON.split(".")[:2])
    said = f": {installed} is installed for Python 3.9, and this is {running}: it starts slower"
    assert sum(said in line and line.startswith("note") for line in report(DOVECOT)) == 3


def test_a_library_that_systemd_hides(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_library, "SYSTEMD_RUNS", str(tmp_path))
    monkeypatch.setattr(check_library, "TEMPORARY", (f"{tmp_path}/",))
    assert sum("where systemd's PrivateTmp hides it" in line for line in report()) == 3


def test_a_broken_installation(report: Report, tmp_path: Path) -> None:
    (tmp_path / "ours").write_text(PROGRAM.replace("sys.exit(", "import nothing_of_that_name; ("))
    assert any(
        line.startswith(f"FAIL  imap-urlauth: {tmp_path}/ours does not start: ModuleNotFoundError")
        for line in report()
    )
    (tmp_path / "ours").write_text(PROGRAM.replace(" -IBS", ""))
    assert any("without -I" in line for line in report())
