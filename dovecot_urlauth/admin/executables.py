"""Which program stands behind a service, and whether it can run: the file, its maker, its interpreter."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cache

HEAD_SIZE = 4096
OLDEST_PYTHON = (3, 11)
ASK_VERSION = "import sys; print('.'.join(map(str, sys.version_info[:3])))"


class Maker(Enum):
    """Whose program it is."""

    OURS = "dovecot-urlauth's"
    DOVECOT = "Dovecot's own"
    UNKNOWN = "neither Dovecot's own nor dovecot-urlauth's"


@dataclass(frozen=True)
class Executable:
    """The program of a service's ``executable`` setting."""

    path: str
    maker: Maker
    interpreter: tuple[str, ...] = ()


def find_executable(setting: str, libexec_dir: str) -> Executable:
    """The program that master would start; raises OSError if it cannot be read.

    Master splits the setting at spaces and looks for a relative name in ``libexec_dir``.
    """
    path = os.path.join(libexec_dir, setting.split(" ")[0])
    with open(path, "rb") as file:
        head = file.read(HEAD_SIZE)
    if head.startswith(b"#!"):
        interpreter = tuple(os.fsdecode(head[2:].partition(b"\n")[0]).split())
        maker = Maker.OURS if b"dovecot_urlauth" in head else Maker.UNKNOWN
        return Executable(path, maker, interpreter)
    is_binary = head.startswith(b"\x7fELF")
    in_place = os.path.dirname(os.path.realpath(path)) == os.path.realpath(libexec_dir)
    return Executable(path, Maker.DOVECOT if is_binary and in_place else Maker.UNKNOWN)


def file_faults(path: str) -> list[str]:
    """What is wrong with the file of a program that root will run. Raises OSError."""
    found = os.stat(path)
    faults = []
    if not stat.S_ISREG(found.st_mode):
        faults.append("is no file")
    elif not found.st_mode & stat.S_IXUSR:
        faults.append("is not executable")
    if found.st_uid != 0:
        faults.append("does not belong to root")
    if _is_open(found):
        faults.append("may be changed by others than root")
    elif open_to := changeable(os.path.realpath(path)):
        faults.append(f"may be replaced: {open_to} may be changed by others than root")
    return faults


def changeable(path: str, below: Iterable[str] = ()) -> str | None:
    """The first of ``path``, what leads to it, and ``below``, that others than root may change; None if none.

    A folder with the sticky bit, such as ``/tmp``, only lets others add to it. Raises OSError.
    """
    way = [path]
    while way[-1] != "/":
        way.append(os.path.dirname(way[-1]))
    for each in (*way, *below):
        found = os.lstat(each)
        sticky = found.st_mode & stat.S_ISVTX and each != path
        if found.st_uid != 0 or (_is_open(found) and not sticky):
            return each
    return None


def _is_open(found: os.stat_result) -> bool:
    """Whether anybody but root may write; a group without members, as Debian's staff is, lets nobody."""
    if stat.S_ISLNK(found.st_mode):
        return False
    return bool(found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and _has_members(found.st_gid)))


@cache
def _has_members(gid: int) -> bool:
    try:
        members = set(grp.getgrgid(gid).gr_mem)
    except KeyError:
        return True  # nobody knows
    members.update(one.pw_name for one in pwd.getpwall() if one.pw_gid == gid)
    return bool(members - {"root"})


def interpreter_faults(interpreter: tuple[str, ...]) -> list[str]:
    """What is wrong with the words behind a program's ``#!``."""
    path, *options = interpreter or ("",)
    if not os.path.isabs(path):
        return [f"{path or 'nothing'} is no absolute path, and Dovecot's services have no PATH"]
    faults = []
    if not any(option.startswith("-") and "I" in option for option in options):
        faults.append(f"{path} is started without -I, so that others could make it import their files")
    version = python_version(path)
    if version is None:
        faults.append(f"{path} does not run as Python" if os.path.exists(path) else f"{path} is not there")
    elif tuple(map(int, version.split("."))) < OLDEST_PYTHON:
        faults.append(f"{path} is Python {version}; {'.'.join(map(str, OLDEST_PYTHON))} or newer is needed")
    return faults


def start_complaint(path: str, options: tuple[str, ...]) -> str:
    """Why one of our programs does not start with ``options``; "" if it does.

    It does if it gets so far as to refuse one more option, which none of them has.
    """
    command = [path, *options, "-?"]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, stdin=subprocess.DEVNULL, text=True, timeout=30, check=False
        )
    except OSError as error:
        return error.strerror or "cannot be run"
    except subprocess.TimeoutExpired:
        return "no sign of life within 30 seconds"
    said = done.stderr.strip().splitlines()
    if said and said[-1].endswith("Unknown argument: -?"):
        return ""
    if not said or (options and not options[-1].startswith("-")):
        return f"it takes no arguments such as {' '.join(options)!r}" if options else f"status {done.returncode}"
    return said[-1].rpartition("Fatal: ")[2]


@cache
def python_version(path: str) -> str | None:
    """The version of this Python, None if it is none."""
    try:
        done = subprocess.run([path, "-ISc", ASK_VERSION], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = done.stdout.strip()
    return version if done.returncode == 0 and version.replace(".", "").isdigit() else None
