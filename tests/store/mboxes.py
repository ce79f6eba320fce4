"""An mbox mailbox made without Dovecot, from the description of the format, and somebody else who locks it."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

from dovecot_urlauth.config.mbox_rules import MboxRules
from dovecot_urlauth.store.native.layout import Place
from dovecot_urlauth.store.native.mbox.opened_mbox import OpenedMbox
from dovecot_urlauth.store.native.mbox.places import MboxPlaces
from tests.store import ondisk

if TYPE_CHECKING:
    from pathlib import Path

    from dovecot_urlauth.store.native.driver import Located

FROM = b"From alice@example.test  Thu Nov 26 10:00:00 2026\n"
GUID = bytes(range(16))
MAILS = {
    1: b"A: first\nStatus: RO\nX-UID: 1   \n\none\n",
    4: b"A: second\nX-UID: 4\n\nFrom me to you\n\ntwo",
    9: b"A: third\nX-UID: 9\n\nthree\n",
}
SHOWN = {1: b"A: first\n\none\n", 4: b"A: second\n\nFrom me to you\n\ntwo", 9: b"A: third\n\nthree\n"}
LONG = b"A: long\nX-UID: 4\n\n" + b"line of a long message\n" * 20_000
EXTENSION = b"mbox"
RULES = MboxRules(lock_seconds=1)


class Mbox:
    """A file and its index."""

    def __init__(self, folder: Path, mails: dict[int, bytes] = MAILS) -> None:
        self.path = folder / "box"
        self.folder = folder / ".imap" / "box"
        self.folder.mkdir(parents=True)
        self.write(mails)

    def write(
        self, mails: dict[int, bytes], *, dirty: bool = False, guid: bytes = GUID, uid_validity: int = 1000
    ) -> None:
        """File and index, one like the other."""
        self.offsets: dict[int, int] = {}
        data = b""
        for uid, mail in mails.items():
            self.offsets[uid] = max(len(data) - 1, 0)
            data += FROM + mail + b"\n"
        self.path.write_bytes(data)
        self.sync(dirty=dirty, guid=guid, uid_validity=uid_validity)

    def sync(self, *, dirty: bool = False, guid: bytes = GUID, uid_validity: int = 1000) -> None:
        """An index that knows the file as it is."""
        status = self.path.stat()
        header = struct.pack("<QIB3x16s", status.st_size, int(status.st_mtime), dirty, guid)
        records = {uid: struct.pack("<Q", offset) for uid, offset in self.offsets.items()}
        data = ondisk.index(
            [(uid, 0) for uid in self.offsets],
            uid_validity=uid_validity,
            extensions=[(EXTENSION, 0, header, records)],
        )
        new = self.folder / "new"
        new.write_bytes(data)
        new.rename(self.folder / "dovecot.index")
        (self.folder / "dovecot.index.log").write_bytes(ondisk.log_header())

    def add(self, *mails: bytes) -> None:
        """What a delivery agent does."""
        with self.path.open("ab") as file:
            for mail in mails:
                file.write(FROM + mail + b"\n")

    @property
    def places(self) -> MboxPlaces:
        root = os.fsencode(self.path.parent)
        return MboxPlaces(Place(root, ()), b"box", Place(root, (b".imap", b"box")))

    def opened(self, rules: MboxRules = RULES) -> OpenedMbox:
        driver = OpenedMbox(self.places, rules)
        assert driver.refresh() == 1000
        return driver


def content(mail: Located) -> bytes:
    data = mail.source.read(0, mail.source.size)
    assert len(data) == mail.source.size
    return data


def lock_of_another(path: Path, how: str = "fcntl") -> subprocess.Popen[bytes]:
    """A process that has a lock for writing, until its standard input ends."""
    script = f"import fcntl, sys; f = open({str(path)!r}, 'r+b'); "
    script += "fcntl.lockf(f, fcntl.LOCK_EX); " if how == "fcntl" else "fcntl.flock(f, fcntl.LOCK_EX); "
    script += "print(flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    return process


def is_free(path: Path) -> bool:
    """Whether somebody else could write."""
    script = f"import fcntl; fcntl.lockf(open({str(path)!r}, 'r+b'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    return subprocess.run([sys.executable, "-c", script], check=False, stderr=subprocess.DEVNULL).returncode == 0
