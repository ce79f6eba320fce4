"""Whose program a file is, and what would keep it from running."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from dovecot_urlauth.admin import executables
from dovecot_urlauth.admin.executables import (
    Executable,
    Maker,
    changeable,
    file_faults,
    find_executable,
    interpreter_faults,
    python_version,
    start_complaint,
)

OURS = b"#!/usr/bin/python3 -IBS\nfrom dovecot_urlauth.worker.main import main\n"


@pytest.fixture
def libexec(tmp_path: Path) -> Path:
    folder = tmp_path / "libexec"
    folder.mkdir()
    (folder / "own").write_bytes(b"\x7fELF...")
    (tmp_path / "elsewhere").write_bytes(b"\x7fELF...")
    (folder / "ours").write_bytes(OURS)
    (folder / "script").write_bytes(b"#!/bin/sh\n")
    (folder / "text").write_bytes(b"")
    (tmp_path / "linked").symlink_to(folder / "own")
    return folder


@pytest.mark.parametrize(
    ("setting", "maker", "interpreter"),
    [
        ("own", Maker.DOVECOT, ()),
        ("../linked", Maker.DOVECOT, ()),
        ("../elsewhere", Maker.UNKNOWN, ()),
        ("ours", Maker.OURS, ("/usr/bin/python3", "-IBS")),
        ("ours --store=native -a x", Maker.OURS, ("/usr/bin/python3", "-IBS")),
        ("script", Maker.UNKNOWN, ("/bin/sh",)),
        ("text", Maker.UNKNOWN, ()),
    ],
)
def test_makers(libexec: Path, setting: str, maker: Maker, interpreter: tuple[str, ...]) -> None:
    path = f"{libexec}/{setting.split(' ')[0]}"
    assert find_executable(setting, str(libexec)) == Executable(path, maker, interpreter)


def test_an_absolute_path_stands_alone(libexec: Path) -> None:
    assert find_executable(f"{libexec}/ours", "/nowhere").maker is Maker.OURS


def test_a_missing_program(libexec: Path) -> None:
    with pytest.raises(FileNotFoundError):
        find_executable("missing", str(libexec))


@pytest.mark.skipif(os.geteuid() != 0, reason="makes files of root's")
def test_file_faults(libexec: Path) -> None:
    path = libexec / "ours"
    path.chmod(0o755)
    assert file_faults(str(path)) == []
    path.chmod(0o664)
    os.chown(path, 65534, 65534)
    assert file_faults(str(path)) == [
        "is not executable",
        "does not belong to root",
        "may be changed by others than root",
    ]


@pytest.mark.parametrize(
    ("interpreter", "faults"),
    [
        ((sys.executable, "-IBS"), []),
        ((sys.executable, "-E", "-I"), []),
        (("python3", "-I"), ["python3 is no absolute path, and Dovecot's services have no PATH"]),
        ((), ["nothing is no absolute path, and Dovecot's services have no PATH"]),
        (("/nowhere/python3", "-I"), ["/nowhere/python3 is not there"]),
        (("/bin/cat", "-I"), ["/bin/cat does not run as Python"]),
        (
            (sys.executable, "-B"),
            [f"{sys.executable} is started without -I, so that others could make it import their files"],
        ),
    ],
)
def test_interpreter_faults(interpreter: tuple[str, ...], faults: list[str]) -> None:
    assert interpreter_faults(interpreter) == faults


@pytest.mark.parametrize(("version", "is_old"), [("3.9.2", True), ("3.10.13", True), ("3.11.0", False)])
def test_an_old_interpreter(tmp_path: Path, version: str, is_old: bool) -> None:
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\necho {version}\n")
    path.chmod(0o755)
    faults = [f"{path} is Python {version}; 3.11 or newer is needed"]
    assert interpreter_faults((str(path), "-I")) == (faults if is_old else [])


def test_python_version() -> None:
    assert python_version(sys.executable) == ".".join(map(str, sys.version_info[:3]))


REFUSES_THE_LAST = 'for last; do :; done; echo "x: Fatal: Unknown argument: $last" >&2; exit 64'


@pytest.mark.parametrize(
    ("body", "options", "complaint"),
    [
        (REFUSES_THE_LAST, (), ""),
        (REFUSES_THE_LAST, ("--store=auto",), ""),
        (
            'echo "x: Fatal: Unknown argument: $1 (yes, no)" >&2',
            ("--audit=1",),
            "Unknown argument: --audit=1 (yes, no)",
        ),
        ("echo 'ModuleNotFoundError' >&2; exit 1", (), "ModuleNotFoundError"),
        ("exit 7", (), "status 7"),
        ("exit 0", ("bob", "carol"), "it takes no arguments such as 'bob carol'"),
        ("cat", (), "status 0"),
    ],
)
def test_what_a_program_says_at_its_start(
    tmp_path: Path, body: str, options: tuple[str, ...], complaint: str
) -> None:
    path = tmp_path / "program"
    path.write_text(f"#!{shutil.which('sh')}\n{body}\n")
    path.chmod(0o755)
    assert start_complaint(str(path), options) == complaint


def test_a_program_that_cannot_start(tmp_path: Path) -> None:
    assert start_complaint(str(tmp_path / "missing"), ()) == "No such file or directory"
    assert start_complaint(str(tmp_path), ()) == "Permission denied"


@pytest.mark.skipif(os.geteuid() != 0, reason="makes files of root's")
def test_what_others_may_change(tmp_path: Path) -> None:
    below = tmp_path / "folder/file"
    below.parent.mkdir()
    below.write_text("")
    assert changeable(str(below)) is None
    below.parent.chmod(0o777)
    assert changeable(str(below)) == str(below.parent)
    below.parent.chmod(0o1777)
    assert changeable(str(below)) is None, "a sticky folder lets others only add"
    assert changeable(str(below.parent)) == str(below.parent), "but not where it is looked for itself"
    below.parent.chmod(0o755)
    os.chown(below, 65534, 0)
    assert changeable(str(tmp_path), [str(below)]) == str(below)
    assert file_faults(str(tmp_path))[0] == "is no file"


@pytest.mark.skipif(os.geteuid() != 0, reason="makes files of root's")
@pytest.mark.parametrize(
    ("gid", "members", "primary", "is_open"),
    [
        (50, [], [], False),
        (50, ["root"], [], False),
        (50, ["alice"], [], True),
        (50, [], ["alice"], True),
        (50, None, [], True),
    ],
)
def test_a_group_without_members_lets_nobody_write(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gid: int,
    members: list[str] | None,
    primary: list[str],
    is_open: bool,
) -> None:
    """Debian's /usr/local belonged to the group staff, and may be written to by it."""

    def group(number: int) -> SimpleNamespace:
        if members is None:
            raise KeyError(number)
        return SimpleNamespace(gr_mem=members)

    executables._has_members.cache_clear()
    monkeypatch.setattr(executables.grp, "getgrgid", group)
    accounts = [SimpleNamespace(pw_name=name, pw_gid=gid) for name in primary]
    monkeypatch.setattr(executables.pwd, "getpwall", lambda: accounts)
    os.chown(tmp_path, 0, gid)
    tmp_path.chmod(0o2775)
    assert changeable(str(tmp_path)) == (str(tmp_path) if is_open else None)
    executables._has_members.cache_clear()
