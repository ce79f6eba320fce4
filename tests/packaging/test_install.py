"""install.py: what an installation holds, whom it admits, and what it refuses to do."""

from __future__ import annotations

import importlib.util
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import install
from dovecot_urlauth.admin.version import full_version
from tests.packaging.conftest import CHECKOUT, run_install

STARTERS = {
    "libexec/dovecot-urlauth/imap-urlauth-login",
    "libexec/dovecot-urlauth/imap-urlauth",
    "libexec/dovecot-urlauth/imap-urlauth-worker",
    "bin/dovecot-urlauth",
}
OPTIONAL = {"zstandard", "lz4", "cryptography"}
SNIPPETS = {
    f"share/dovecot-urlauth/conf.d/{language}/{name}"
    for language in ("2.3", "2.4")
    for name in ("90-urlauth.conf", "90-urlauth-executables.conf")
}

DOVECOT_UNIT = Path("/lib/systemd/system/dovecot.service")
DOCUMENTS = {
    "share/man/man5/dovecot-urlauth.5",
    "share/man/man8/dovecot-urlauth.8",
    "share/bash-completion/completions/dovecot-urlauth",
    "share/dovecot-urlauth/systemd/hardening.conf",
    "share/dovecot-urlauth/apparmor/dovecot-urlauth",
}


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_holds_the_executables_the_library_and_the_snippets(prefix: Path) -> None:
    outside_the_library = {name for name in files(prefix) if not name.startswith("lib/dovecot-urlauth/")}
    assert outside_the_library == STARTERS | SNIPPETS | DOCUMENTS
    library = {path.name for path in (prefix / "lib/dovecot-urlauth").iterdir() if path.suffix == ""}
    assert library - {"COMMIT"} - OPTIONAL == {"dovecot_urlauth", "setproctitle"}


def test_every_user_may_read_it_and_only_the_owner_write(prefix: Path) -> None:
    for path in (prefix, *prefix.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        runs = path.is_dir() or str(path.relative_to(prefix)) in STARTERS
        assert mode & 0o055 == (0o055 if runs else 0o044), f"{path} has mode {mode:o}"
        assert not mode & 0o022


def test_every_module_has_byte_code_that_needs_no_look_at_its_source(prefix: Path) -> None:
    sources = list((prefix / "lib/dovecot-urlauth/dovecot_urlauth").rglob("*.py"))
    assert len(sources) > 20
    for source in sources:
        [compiled] = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")
        assert compiled.read_bytes()[4:8] == b"\1\0\0\0"  # PEP 552: by hash, unchecked


@pytest.mark.parametrize("name", sorted(SNIPPETS))
def test_a_snippet_names_executables_that_are_there(prefix: Path, name: str) -> None:
    text = (prefix / name).read_text()
    assert "@" not in text
    named = re.findall(r"^ *executable = (\S+)$", text, re.MULTILINE)
    assert {Path(path) for path in named} == set((prefix / "libexec/dovecot-urlauth").iterdir())
    included = re.findall(r"!include (\S+)", text)
    assert included == [str(prefix / name)]


def test_an_update_leaves_nothing_of_the_old_library(open_folder: Path) -> None:
    prefix = open_folder / "updated"
    assert run_install("--prefix", str(prefix)).returncode == 0
    before = files(prefix)
    (prefix / "lib/dovecot-urlauth/dovecot_urlauth/gone.py").write_text("")
    assert run_install("--prefix", str(prefix)).returncode == 0
    assert files(prefix) == before


def test_destdir_is_written_to_and_never_named(tmp_path: Path) -> None:
    done = run_install("--prefix", "/opt/urlauth", "--destdir", str(tmp_path / "staged"))
    assert done.returncode == 0, done.stderr
    installed = tmp_path / "staged/opt/urlauth"
    for name in STARTERS | SNIPPETS:
        text = (installed / name).read_text()
        assert "/opt/urlauth/" in text
        assert str(tmp_path) not in text
    for compiled in installed.rglob("__pycache__/*"):
        assert bytes(tmp_path) not in compiled.read_bytes()


@pytest.mark.parametrize(
    ("given", "reason"),
    [("some/dir", "absolute path"), ("/opt/our dovecot", "splits a service's executable at spaces")],
)
def test_refuses_a_prefix_that_dovecot_could_not_use(given: str, reason: str) -> None:
    done = run_install("--prefix", given)
    assert done.returncode == 1
    assert reason in done.stderr


def test_the_commit_is_written_down(prefix: Path) -> None:
    done = subprocess.run([prefix / "bin/dovecot-urlauth", "--version"], capture_output=True, text=True)
    assert done.stdout == f"dovecot-urlauth {full_version()}\n"


def test_pypi_may_give_only_files_whose_hash_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: commands.append(command))
    install._pip_install(tmp_path)
    [command] = commands
    assert command[-3:] == ["--require-hashes", "--requirement", str(CHECKOUT / "requirements.lock")]
    locked = (CHECKOUT / "requirements.lock").read_text().replace("\\\n", "").splitlines()
    lines = [line.split() for line in locked if not line.startswith("#")]
    named = {line[0].partition("==")[0] for line in lines}
    wanted = {line.partition(">")[0] for line in (CHECKOUT / "requirements.txt").read_text().split()}
    assert named == wanted
    for _, *hashes in lines:
        assert len(hashes) > 1
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in hashes)


def test_refuses_a_prefix_in_a_folder_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    done = run_install("--prefix", str(tmp_path / "prefix"))
    assert done.returncode == 1
    assert "is closed to other users" in done.stderr
    assert not (tmp_path / "prefix").exists()


def test_says_which_package_helps_when_a_requirement_cannot_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise subprocess.CalledProcessError(1, "pip", b"", b"no network\n")

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(install, "_pip_install", offline)
    with pytest.raises(install.InstallError, match=r"(?s)no network.*apt-get install python3-setproctitle"):
        install.install(tmp_path, "")
    assert not files(tmp_path)


@pytest.mark.parametrize("name", sorted(OPTIONAL))
def test_a_library_for_encoded_mail_comes_along_if_it_is_there(prefix: Path, name: str) -> None:
    """As the services see it: no folder but the library's is looked in."""
    assert importlib.util.find_spec(name) is not None
    library = prefix / "lib/dovecot-urlauth"
    modules = {"lz4": "lz4.block", "cryptography": "cryptography.hazmat.primitives.ciphers.aead"}
    program = f"import sys; sys.path.insert(0, {str(library)!r}); import {modules.get(name, name)}"
    subprocess.run([sys.executable, "-IBS", "-c", program], check=True)


def test_a_starter_without_its_two_lines_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "compat").mkdir()
    (tmp_path / "compat/imap-urlauth").write_text("#!/usr/bin/python3\n")
    monkeypatch.setattr(install, "STARTERS", {"libexec": tmp_path / "compat"})
    with pytest.raises(install.InstallError, match="has no line #!/usr/bin/python3 -IBS"):
        install.install(tmp_path / "prefix", "")


def test_the_source_is_left_as_it_was(prefix: Path) -> None:
    assert prefix.exists()
    assert not list((CHECKOUT / "compat").glob("__pycache__"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.skipif(not DOVECOT_UNIT.exists(), reason="no Dovecot here")
def test_systemd_understands_the_drop_in(tmp_path: Path) -> None:
    """That Dovecot works under it was tried by hand: docs/HARDENING.md."""
    units = tmp_path / "etc/systemd/system"
    (units / "dovecot.service.d").mkdir(parents=True)
    shutil.copy(DOVECOT_UNIT, units)
    shutil.copy(CHECKOUT / "systemd/hardening.conf", units / "dovecot.service.d")
    command = ["systemd-analyze", f"--root={tmp_path}", "security", "--offline=true", "dovecot.service"]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin", "LC_ALL": "C.UTF-8"})
    assert "hardening.conf" not in done.stderr  # no word about any of its lines
    [exposure] = re.findall(r"Overall exposure level for dovecot.service: ([0-9.]+) ", done.stdout)
    assert f"| with hardening.conf | {exposure} OK |" in (CHECKOUT / "docs/HARDENING.md").read_text()
