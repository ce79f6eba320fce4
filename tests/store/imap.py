"""Dovecot's own `imap`, pre-authenticated over pipes, as the judge of what the native store reads."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path
    from typing import IO

IMAP = "/usr/lib/dovecot/imap"
UID = 12345

needs_dovecot = [
    pytest.mark.dovecot,
    pytest.mark.skipif(not os.path.exists(IMAP), reason="no Dovecot on this machine"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the mail belongs to a user of its own"),
]

CONFIG = """
base_dir = {base}/run
state_dir = {base}/run
log_path = {base}/log
ssl = no
first_valid_uid = 1000
mail_fsync = never
imap_metadata = yes
imap_urlauth_host = imap.example.test
mail_attribute_dict = file:%h/attributes
mail_location = {location}
namespace inbox {{
  inbox = yes
  {namespace}
}}
{more}
"""


@dataclass
class Dovecot:
    """A private Dovecot of one user, bob."""

    base: Path
    location: str
    namespace: str = ""
    more: str = ""

    def __post_init__(self) -> None:
        self.home = self.base / "home"
        self.home.mkdir()
        os.chown(self.home, UID, UID)
        self.config = self.base / "dovecot.conf"
        self.config.write_text(
            CONFIG.format(base=self.base, location=self.location, namespace=self.namespace, more=self.more)
        )

    def imap(self, *commands: bytes, check: bool = True) -> list[bytes]:
        """Run commands in a session; returns each one's output, its tagged line last, which must be OK."""
        script = b"".join(b"t%d %s\r\n" % item for item in enumerate(commands))
        last_tag = b"t%d " % (len(commands) - 1)
        with subprocess.Popen(
            [IMAP, "-c", str(self.config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"USER": "bob", "HOME": str(self.home)},
            cwd=self.home,
            user=UID,
            group=UID,
            extra_groups=[],
        ) as process:
            assert process.stdin
            assert process.stdout
            writer = Thread(target=_write, args=(process.stdin, script))
            writer.start()
            # At LOGOUT, and at the end of its input, imap forgets what it has not yet written.
            rest = b""
            for line in process.stdout:
                rest += line
                if line.startswith(last_tag):
                    break
            writer.join()
        answers = []
        for number in range(len(commands)):
            tag = b"\r\nt%d " % number
            end = rest.index(tag) + len(tag)
            end = rest.index(b"\r\n", end) + 2
            answers.append(rest[:end])
            rest = b"\r\n" + rest[end:]
        for command, answer in zip(commands, answers):
            last = answer.rstrip(b"\r\n").rpartition(b"\r\n")[2]
            assert not check or b" OK" in last, (command[:80], last)
        return answers

    def doveadm(self, *arguments: str) -> str:
        """Run doveadm as bob; what it says."""
        command = ["doveadm", "-c", str(self.config), *arguments]
        environment = {"USER": "bob", "HOME": str(self.home), "PATH": os.environ["PATH"]}
        done = subprocess.run(
            command, env=environment, cwd=self.home, user=UID, group=UID, extra_groups=[], capture_output=True,
            check=True, text=True,
        )  # fmt: skip
        return done.stdout

    def mails(self, mailbox: bytes) -> dict[int, bytes]:
        """Every message of a mailbox: BODY[] by UID, after Dovecot has synchronized it."""
        answer = self.imap(b'EXAMINE "%s"' % mailbox, b"UID FETCH 1:* BODY.PEEK[]")[1]
        found = {}
        at = 0
        while (at := answer.find(b"(UID ", at)) >= 0:
            uid = int(answer[at + 5 : answer.index(b" ", at + 5)])
            start = answer.index(b"{", at)
            end = answer.index(b"}\r\n", start)
            size = int(answer[start + 1 : end])
            found[uid] = answer[end + 3 : end + 3 + size]
            at = end + 3 + size
        return found

    def key(self, mailbox: bytes) -> bytes:
        """The mailbox key, made if there is none yet."""
        url = b'"imap://bob@imap.example.test/%s/;UID=1;URLAUTH=authuser"'
        self.imap(b"GENURLAUTH " + url % mailbox + b" INTERNAL")
        answer = self.imap(b'GETMETADATA "%s" (/private/vendor/vendor.dovecot/imap-urlauth)' % mailbox)[0]
        return bytes.fromhex(answer.partition(b"{128}\r\n")[2][:128].decode() or answer.split(b'"')[-2].decode())


def append(mailbox: bytes, mail: bytes, flags: bytes = b"") -> bytes:
    """The APPEND command."""
    return b'APPEND "%s" (%s) {%d+}\r\n%s' % (mailbox, flags, len(mail), mail)


def _write(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(data)
    pipe.flush()
