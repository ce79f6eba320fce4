"""A disk of a soak's own, so that it can be full: a tmpfs in a mount namespace that ends with this process."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from testing.versions import Version

SIZE = "192m"
CLONE_NEWNS = 0x20000
STEP = b"\0" * (1 << 20)


@dataclass(frozen=True)
class OnSmallDisk(Version):
    """A Dovecot whose folders, with mail, indexes, sockets and log, are all on the small disk."""

    disk: Path = Path("/nonexistent")

    def folder(self) -> Path:
        made = Path(tempfile.mkdtemp(prefix="du-", dir=self.disk))
        made.chmod(0o755)
        return made


def on_small_disk(version: Version) -> OnSmallDisk:
    """Mount the disk where `version` sees it; nobody else sees it, and nothing of it outlives this process."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")
    disk = version.folder()
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=755", "none", disk], check=True)
    return OnSmallDisk(version.name, version.dovecot, version.suite, version.installed, disk)


def fill(disk: Path) -> None:
    """Leave not a byte on it."""
    with suppress(OSError), (disk / "filler").open("ab", buffering=0) as file:
        while True:
            file.write(STEP)


def free(disk: Path) -> None:
    """Give it all back."""
    (disk / "filler").unlink(missing_ok=True)


def remove(disk: Path) -> None:
    """Unmount it and remove its folder."""
    subprocess.run(["umount", disk], check=True)
    disk.rmdir()
