"""A Dovecot that somebody built and installed into a folder, in a tree of its own, entered with chroot.

The folder is what `make install` with DESTDIR leaves: `usr/sbin/dovecot`, all else of it below `usr` and `etc`.
It is laid over a copy of the tree of the machine's own suite, from which Dovecot is taken away first; so it must
have been built on this machine, or on one with the same libraries.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from functools import cache
from pathlib import Path

from testing import trees

#: What a suite's Dovecot is, below the tree's root.
DEBIANS_OWN = (
    "etc/dovecot",
    "usr/bin/doveadm",
    "usr/bin/doveconf",
    "usr/bin/dsync",
    "usr/lib/dovecot",
    "usr/libexec/dovecot",
    "usr/sbin/dovecot",
    "usr/share/dovecot",
)

#: Nothing is run from these.
UNREAD = ("usr/include", "usr/share/doc", "usr/share/man", "usr/share/aclocal")

#: What other tests have in the suite's tree at the moment, and its mode.
TRANSIENT = {"tmp": 0o1777, "run": 0o755}


@cache
def tree(installed: Path) -> Path:
    """The finished tree of what is in `installed`, made first if it is missing or of an older build."""
    program = installed / "usr/sbin/dovecot"
    if not program.exists():
        raise trees.TreeError(f"{program} is missing: {installed} holds no Dovecot")
    base = trees.tree(trees.own_suite())
    folder = base.with_name(f"next-{hashlib.sha256(str(installed.resolve()).encode()).hexdigest()[:8]}")
    build = f"{base.name} {program.stat().st_mtime_ns}"
    with trees.one_maker(base.with_name(".next.lock")):
        made_of = folder / ".build"
        if not made_of.exists() or made_of.read_text() != build:
            trees.remove(folder)
            _lay_over(installed, base, folder)
            made_of.write_text(build)
    return folder


@cache
def version(installed: Path) -> str:
    """What it calls itself: `2.3.21.1`, or `0.0.0-37075+f28b5a92ec` if it was built from git."""
    return trees.run("chroot", tree(installed), "/usr/sbin/dovecot", "--version").split()[0]


def _lay_over(installed: Path, base: Path, folder: Path) -> None:
    folder.mkdir()
    kept = [path for path in base.iterdir() if path.name not in TRANSIENT]
    trees.run("cp", "-a", "--reflink=auto", *kept, folder)
    for name, mode in TRANSIENT.items():
        (folder / name).mkdir()
        (folder / name).chmod(mode)
    for name in DEBIANS_OWN:
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).unlink(missing_ok=True)
    left_out = [f"--exclude=./{name}" for name in UNREAD]
    with subprocess.Popen(["tar", "-c", "-C", installed, *left_out, "."], stdout=subprocess.PIPE) as packed:
        into = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(folder)]
        subprocess.run(into, stdin=packed.stdout, check=True)
    if packed.returncode:
        raise trees.TreeError(f"{installed} cannot be read")
    trees.run("ldconfig", "-r", folder)
