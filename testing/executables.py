"""Our three executables, installed where a Dovecot of some version sees them and its own python3 runs them.

It is the installation that an administrator makes, in a folder of the test run's own: inside a tree for a
tree's Dovecot, since that sees nothing outside.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testing.versions import Version

CHECKOUT = Path(__file__).resolve().parents[1]

#: What an installation needs of the checkout.
SOURCES = (
    "install.py",
    "requirements.txt",
    "requirements.lock",
    "requirements-stores.txt",
    "dovecot_urlauth",
    "compat",
    "bin",
    "conf.d",
    "docs",
    "completion",
    "systemd",
    "apparmor",
)


@dataclass(frozen=True)
class Installation:
    """An installation: `prefix` as Dovecot sees it, `outside` as the tests do."""

    prefix: Path
    outside: Path

    @property
    def executables(self) -> Path:
        return self.prefix / "libexec" / "dovecot-urlauth"

    def snippet(self, language: str, name: str) -> str:
        """The text of conf.d's file `name` for a configuration language."""
        return (self.outside / "share/dovecot-urlauth/conf.d" / language / name).read_text()


def copy_sources(target: Path, names: Iterable[str]) -> None:
    """Copy these files and folders of the checkout into the folder `target`."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in names:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, target / name, ignore=ignore)
        else:
            shutil.copy(CHECKOUT / name, target / name)


def install(version: Version, folder: Path) -> Installation:
    """Install below `folder`, a path outside, with the python3 that lives beside this Dovecot."""
    source = folder / "source"
    source.mkdir()
    copy_sources(source, SOURCES)
    inside = Path("/") / folder.relative_to(version.root)
    command = version.command(
        "/usr/bin/python3", "-IB", inside / "source/install.py", "--prefix", inside / "prefix"
    )
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    return Installation(inside / "prefix", folder / "prefix")
