"""The mail that is fetched: one folder of homes that all instances of one Dovecot share.

It is written as Maildir files before any Dovecot runs, or stored by imap in a format of its own; the first SELECT
of each mailbox then makes the indexes, and the first GENURLAUTH the keys, so that no measured fetch has to.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.client import FetchFailed
from bench.stores import OTHERS, STORES
from testing.instance import HOST, USERS

if TYPE_CHECKING:
    from pathlib import Path

    from bench.client import FetchClient

MEGABYTE = 1_000_000
DECODED = 57
LINE = base64.b64encode(bytes(range(DECODED))) + b"\n"
"""One line of base64 as mail programs write it: 76 letters."""

LINKS = 50_000
"""So many links of one file; file systems allow 65,000 and less."""


@dataclass(frozen=True)
class Mailbox:
    """A mailbox of copies of one message; `count` of them."""

    owner: str
    name: str
    message: bytes
    count: int = 1
    section: str = ""

    @property
    def size(self) -> int:
        """The message's size as IMAP counts it, with CRLF line ends."""
        return len(self.message) + self.message.count(b"\n")

    @property
    def rumps(self) -> list[str]:
        """The URL of the message three quarters into the mailbox, and of the one before, without their tokens."""
        uid = max(1, self.count * 3 // 4)
        section = f"/;SECTION={self.section}" if self.section else ""
        uids = (uid, uid - 1) if uid > 1 else (uid,)
        return [f"imap://{self.owner}@{HOST}/{self.name}/;UID={uid}{section};URLAUTH=user+bob" for uid in uids]


def text_message(size: int) -> bytes:
    """A message of about `size` bytes, without MIME."""
    head = b"From: Alice <alice@example.test>\nTo: Bob <bob@example.test>\nSubject: %d bytes\n\n" % size
    return head + b"The quick brown fox jumps over the lazy dog, and again, and once more.\n" * (size // 71)


def multipart_message(parts: int, lines: int) -> bytes:
    """A message of `parts` base64 parts, each of so many lines."""
    part = (
        b"--boundary\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n" + LINE * lines
    )
    head = b"From: alice@example.test\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=boundary\n\n"
    return head + part * parts + b"--boundary--\n"


SMALL = text_message(2_000)

#: key -> mailbox; the large Maildirs are made only for the rows that ask for them
MAILBOXES = {
    "small": Mailbox("alice", "INBOX", SMALL),
    "other": Mailbox("carol", "INBOX", SMALL),
    "25m": Mailbox("alice", "25m", text_message(25 * MEGABYTE)),
    "100m": Mailbox("alice", "100m", text_message(100 * MEGABYTE)),
    "parts": Mailbox("alice", "parts", multipart_message(20, 25 * MEGABYTE // 20 // len(LINE))),
    "part": Mailbox("alice", "part", multipart_message(1, 5 * MEGABYTE // DECODED), section="1"),
    "100": Mailbox("alice", "m100", SMALL, 100),
    "10k": Mailbox("alice", "m10000", SMALL, 10_000),
    "200k": Mailbox("alice", "m200000", SMALL, 200_000),
    **{name: Mailbox(name, "INBOX", SMALL, 100) for name in STORES},
    **{f"{name}-25m": Mailbox(name, "25m", text_message(25 * MEGABYTE)) for name in STORES},
    **{user: Mailbox(user, "INBOX", SMALL) for users in OTHERS.values() for user in users},
}


def fill(mailbox: Mailbox, owner: FetchClient) -> None:
    """Let imap store the mailbox of an owner whose mail is not Maildir."""
    if mailbox.name != "INBOX":
        owner.command(b"CREATE " + mailbox.name.encode())
    for _ in range(mailbox.count):
        owner.append(mailbox.name, mailbox.message.replace(b"\n", b"\r\n"))


def store(mailbox: Mailbox, homes: Path) -> None:
    """Write the mailbox below its owner's home in `homes`."""
    folder = homes / mailbox.owner / "Maildir"
    if mailbox.name != "INBOX":
        folder = folder / f".{mailbox.name}"
    uid = USERS[mailbox.owner]
    for made in (folder, *(folder / name for name in ("cur", "new", "tmp"))):
        made.mkdir(parents=True, exist_ok=True)
        os.chown(made, uid, uid)
    cur = os.fsencode(folder / "cur")
    first = b""
    for number in range(mailbox.count):
        path = cur + b"/" + _file_name(number, mailbox)
        if number % LINKS:
            os.link(first, path)
            continue
        first = path
        with open(path, "wb") as file:
            file.write(mailbox.message)
        os.chown(path, uid, uid)


def _file_name(number: int, mailbox: Mailbox) -> bytes:
    """A name as Dovecot makes them, of a message that was read.

    Microseconds and pid are scattered: Dovecot's hash table of names takes regular ones badly.
    """
    microseconds = number * 7_368_787 % 1_000_000
    pid = 1_000 + number * 15_485_863 % 30_000
    sizes = (len(mailbox.message), mailbox.size)
    return b"%d.M%06dP%d.bench,S=%d,W=%d:2,S" % (1_700_000_000 + number, microseconds, pid, *sizes)


def sign(mailbox: Mailbox, owner: FetchClient) -> list[bytes]:
    """Let the owner's session index the mailbox and sign its URLs."""
    reply = owner.command(f"SELECT {mailbox.name}".encode())
    if not reply.ok:
        raise FetchFailed(f"SELECT {mailbox.name}: {reply.text!r}")
    return owner.genurlauth(*mailbox.rumps)
