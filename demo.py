"""``make demo``: a message goes from user to user by URL, in a private Dovecot with our three executables.

It all happens on loopback and in temporary folders; the system's own Dovecot is neither asked nor touched.
"""

from __future__ import annotations

import base64
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from testing import executables
from testing.instance import HOST, DovecotInstance
from testing.processes import Process, wait_for
from testing.versions import PIECES, TUNED, Version

#: what travels as base64: a red square of 16 x 16 pixels, as a PNG file
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABAAAAAQAQMAAAAlPW0iAAAAA1BMVEX/AAAZ4gk3AAAADElEQVR42mNgIA0AAAAw"
    "AAEodEl9AAAAAElFTkSuQmCC"
)
MESSAGE = b"""\
From: Alice <alice@example.test>\r
To: Bob <bob@example.test>\r
Subject: The square you asked for\r
Date: Mon, 02 Mar 2026 10:00:00 +0000\r
Message-ID: <square@example.test>\r
MIME-Version: 1.0\r
Content-Type: multipart/mixed; boundary="next"\r
\r
--next\r
Content-Type: text/plain\r
\r
Here it is, Bob.\r
--next\r
Content-Type: image/png; name="square.png"\r
Content-Transfer-Encoding: base64\r
\r
%s\r
--next--\r
""" % base64.encodebytes(PICTURE).strip().replace(b"\n", b"\r\n")


class DemoFailed(Exception):
    """What went otherwise than it should."""


def expect(holds: bool, what: str) -> None:
    """Go on only if it ``holds``."""
    if not holds:
        raise DemoFailed(what)


def say(speaker: str, *lines: str) -> None:
    """One turn of the dialogue: who, and the lines."""
    for line in lines:
        print(f"{speaker:>8}  {line}", flush=True)
        speaker = ""


def show(dovecot: DovecotInstance) -> None:
    """Alice stores and signs, Bob fetches, Carol is refused."""
    alice, bob, carol = (dovecot.imap(user) for user in ("alice", "bob", "carol"))
    uidvalidity, uid = alice.append("INBOX", MESSAGE)
    say("alice", f"stores a message of {len(MESSAGE)} bytes: a text, and a picture in base64")
    message = f"imap://alice@{HOST}/INBOX;UIDVALIDITY={uidvalidity}/;UID={uid}"
    whole, part = alice.genurlauth(f"{message};URLAUTH=user+bob", f"{message}/;SECTION=2;URLAUTH=user+bob")
    say("", "GENURLAUTH, for bob, of the whole and of part 2:", f"  {whole.decode()}", f"  {part.decode()}")

    content = bob.fetch_url(whole)
    expect(content == MESSAGE, f"bob's URLFETCH of the message gave {content!r}")
    say("bob", f"URLFETCH of the first URL: {len(MESSAGE)} bytes, just those that alice stored")
    items = bob.fetch_items(part, "BINARY")
    expect(items == {b"BINARY": PICTURE}, f"bob's URLFETCH of the picture gave {items!r}")
    say("", f"URLFETCH BINARY of the second: {len(PICTURE)} bytes, the picture itself, decoded")

    answer = carol.fetch_url(whole)
    expect(answer is None, f"carol's URLFETCH gave {answer!r}")
    say("carol", "URLFETCH of the first URL: NIL, it is not for her")

    say("ps", *(f"{name_of(process.uids[1], dovecot):>8}  {process.title}" for process in ours(dovecot)))
    for client in (alice, bob, carol):
        client.close()
    ended = wait_for(lambda: not serving(dovecot))
    expect(ended, f"a session outlived its client: {[process.title for process in serving(dovecot)]}")


def ours(dovecot: DovecotInstance) -> list[Process]:
    """The processes that run one of the three executables."""
    return [process for name in PIECES for process in dovecot.processes(name)]


def serving(dovecot: DovecotInstance) -> list[Process]:
    """Those of them that have become a user of the demo."""
    return [process for process in ours(dovecot) if process.uids[1] in dovecot.users.values()]


def name_of(uid: int, dovecot: DovecotInstance) -> str:
    """The user's name: the demo's own users are in no passwd file."""
    for name, number in dovecot.users.items():
        if number == uid:
            return name
    return pwd.getpwuid(uid).pw_name


def main() -> int:
    """Run it all; 0 if every answer was the right one."""
    if os.geteuid() != 0:
        print("The demo starts a Dovecot, whose processes become several users: run it as root.", file=sys.stderr)
        return 1
    dovecot_version = subprocess.run(
        ["/usr/sbin/dovecot", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    version = Version("here", dovecot_version.partition("-")[0])
    folder = Path(tempfile.mkdtemp(prefix="dovecot-urlauth-demo-"))
    folder.chmod(0o755)
    try:
        dovecot = DovecotInstance(version, TUNED, executables.install(version, folder)).start()
        try:
            python = sys.version.split()[0]
            print(f"Dovecot {dovecot_version} at 127.0.0.1:{dovecot.imap_port}, Python {python}\n")
            show(dovecot)
            say("log", *(line for line in dovecot.log.lines() if "urlauth" in line))
        finally:
            dovecot.stop()
    except (DemoFailed, AssertionError, OSError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder)
    print("\nDovecot is stopped; no process, socket or file of it is left.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
