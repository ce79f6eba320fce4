"""make uninstall: everything goes, nothing else does, and not while Dovecot's configuration names it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import install
from dovecot_urlauth.admin.doveconf import DoveconfError
from tests.packaging.conftest import CHECKOUT


@pytest.fixture
def installed(prefix: Path, tmp_path: Path) -> Path:
    """A copy of the installation, as its files are, in a PREFIX of its own."""
    shutil.copytree(prefix, tmp_path / "opt/urlauth")
    return tmp_path / "opt/urlauth"


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dovecot.conf that doveconf cannot read, so that its lines alone are looked at."""
    (tmp_path / "etc/conf.d").mkdir(parents=True)
    file = tmp_path / "etc/dovecot.conf"
    file.write_text("!include conf.d/*.conf\n")

    def unreadable(_: str | None) -> None:
        raise DoveconfError("no doveconf here")

    monkeypatch.setattr(install, "read_configuration", unreadable)
    return file


def test_all_goes_and_the_prefix_too(installed: Path, configuration: Path) -> None:
    install.uninstall(installed, str(configuration))
    assert not installed.exists()
    assert installed.parent.parent.exists()


def test_what_others_put_there_stays(installed: Path, configuration: Path) -> None:
    (installed / "bin/another").touch()
    install.uninstall(installed, str(configuration))
    assert [path for path in installed.rglob("*") if path.is_file()] == [installed / "bin/another"]


def test_a_systems_own_folders_stay(installed: Path, configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "SYSTEM_FOLDERS", (str(installed),))
    install.uninstall(installed, str(configuration))
    assert (installed / "bin").is_dir()
    assert not [path for path in installed.rglob("*") if path.is_file()]


def test_not_while_the_configuration_names_it(installed: Path, configuration: Path) -> None:
    snippet = configuration.parent / "conf.d/90-urlauth.conf"
    snippet.write_text(f"  executable = {installed}/libexec/dovecot-urlauth/imap-urlauth\n")
    before = sorted(installed.rglob("*"))
    with pytest.raises(install.InstallError) as refused:
        install.uninstall(installed, str(configuration))
    assert str(refused.value).splitlines() == [
        f"Dovecot's configuration still names {installed}, and without it Dovecot would not start:",
        f"  {snippet}:1: executable = {installed}/libexec/dovecot-urlauth/imap-urlauth",
        "Run",
        f"  {installed}/bin/dovecot-urlauth disable -c {configuration}",
        "or take those lines out, and then this again.",
    ]
    assert sorted(installed.rglob("*")) == before


@pytest.mark.parametrize("name", ["etc/dovcot.conf", "ect/dovecot.conf", "etc"])
def test_not_by_a_configuration_that_is_not_there(installed: Path, configuration: Path, name: str) -> None:
    file = configuration.parent.parent / name
    with pytest.raises(install.InstallError, match=f"{file}: there is no such file"):
        install.uninstall(installed, str(file))
    assert (installed / "bin/dovecot-urlauth").exists()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (PermissionError(13, "Permission denied", "/opt/x"), "/opt/x: Permission denied"),
        (OSError(28, "No space left on device"), "writing: No space left on device"),
        (
            shutil.Error([("/a", "/b", "[Errno 28] No space left on device: '/a' -> '/b'")] * 100),
            "/a could not be copied to /b: No space left on device",
        ),
    ],
)
@pytest.mark.parametrize("words", [[], ["--uninstall"]])
def test_what_the_system_refuses_is_one_line(
    harm: OSError,
    said: str,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise harm

    monkeypatch.setattr(install, "install", refuse)
    monkeypatch.setattr(install, "uninstall", refuse)
    monkeypatch.setattr(install, "_check", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["install.py", "--prefix", str(tmp_path), *words])
    assert install.main() == 1
    assert capsys.readouterr().err == f"dovecot-urlauth is not {'un' * len(words)}installed: {said}\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes nobody")
def test_who_is_not_root_is_told(open_folder: Path, tmp_path: Path) -> None:
    (open_folder / "roots").mkdir(mode=0o755)
    code, said = as_nobody(["install.py", "--prefix", str(open_folder / "roots")], tmp_path / "said")
    assert code == 1
    assert said.splitlines() == [
        f"dovecot-urlauth is not installed: {open_folder}/roots/lib: Permission denied: run this as root"
    ]


def as_nobody(words: list[str], said: Path) -> tuple[int, str]:
    """Exit status and error output of install.py as nobody, who need not be let into this checkout."""
    with said.open("wb") as output:
        pid = os.fork()
        if not pid:
            os.dup2(output.fileno(), 2)
            os.setgroups([])
            os.setgid(pwd.getpwnam("nobody").pw_gid)
            os.setuid(pwd.getpwnam("nobody").pw_uid)
            sys.argv = words
            sys.stderr = os.fdopen(2, "w")
            code = install.main()
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.read_text()


def test_there_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(install.InstallError, match="there is no installation in"):
        install.uninstall(tmp_path, None)


def test_by_make(installed: Path, configuration: Path) -> None:
    command = ["make", "-s", "uninstall", f"PREFIX={installed}", f"CONFIG={configuration}"]
    include = configuration.parent / "local.conf"
    include.write_text(f"!include {installed}/share/dovecot-urlauth/conf.d/2.4/90-urlauth.conf\n")
    refused = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr.startswith("dovecot-urlauth is not uninstalled: Dovecot's configuration still names")
    include.unlink()
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"dovecot-urlauth is removed from {installed}.\n")
    assert not installed.exists()
