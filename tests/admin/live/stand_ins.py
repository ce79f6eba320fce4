"""Stand-ins for what the live commands speak to: Dovecot's imap, doveadm, and the three services."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.doveconf import Block, Configuration
from dovecot_urlauth.admin.live.dovecot import LiveDovecot
from dovecot_urlauth.admin.live.token import SECRET_NAME, session_token

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedRWPair

    Answer = Callable[[str, str, str, str, bool], bytes | None]
    """Reader, service, owner, URL, decoded -> the data, or None for NO."""

SECRET = bytes(range(32))
UIDVALIDITY = 17

IMAP = """\
#!{python}
import json, re, sys
replies = json.load(open({table!r}))
read, write = sys.stdin.buffer, sys.stdout.buffer
def say(text):
    write.write(text.encode()); write.flush()
say(replies["greeting"])
if not replies["greeting"].startswith("* PREAUTH"):
    sys.stderr.write("imap: Fatal: Unknown user\\n")
    sys.exit(89)
log = open({table!r} + ".log", "a", buffering=1)
for line in read:
    log.write(line.decode())
    literal = re.search(rb"\\{{(\\d+)\\+\\}}\\r\\n$", line)
    if literal:
        read.read(int(literal[1])); read.readline()
    tag, _, rest = line.decode().strip().partition(" ")
    for pattern, reply in replies["commands"]:
        found = re.match(pattern, rest)
        if found:
            if reply is None:
                sys.exit(1)
            say(found.expand(reply).replace("TAG", tag))
            break
    else:
        say(tag + " OK done\\r\\n")
"""

DOVEADM = """\
#!{python}
import json, sys
users = json.load(open({table!r}))
words = sys.argv[3:]
if words[0] == "reload":
    sys.exit(0)
if words[-1] == "*":
    print("\\n".join(users))
elif words[-1] in users:
    alone = "-u" in words or words[0] == "auth"
    print(f"userdb: {{words[-1]}}" if alone else "field\\tvalue")
    for name, value in users[words[-1]].items():
        print(f"  {{name:10}}: {{value}}" if alone else f"{{name}}\\t{{value}}")
else:
    if words[-1] == "nohome":
        print("field\\tvalue\\n")
        sys.exit(67)
    print(f"Error: user {{words[-1]}} doesn't exist", file=sys.stderr)
    sys.exit(67)
"""

COMMANDS: list[tuple[str, str | None]] = [
    (r"NAMESPACE", r'* NAMESPACE (("INBOX." ".")) NIL NIL' + "\r\nTAG OK done\r\n"),
    (r"APPEND", f"TAG OK [APPENDUID {UIDVALIDITY} 5] done\r\n"),
    (r'GENURLAUTH "(.*)" INTERNAL', r'* GENURLAUTH "\1:internal:01' + "ab" * 20 + '"\r\nTAG OK done\r\n'),
    (r'STATUS "nowhere"', "TAG NO [NONEXISTENT] there is none\r\n"),
    (r"STATUS (\S+)", rf"* STATUS \1 (UIDVALIDITY {UIDVALIDITY})" + "\r\nTAG OK done\r\n"),
    (r"UID FETCH 5 .*\[9.MIME\]", "* 1 FETCH (UID 5 BODY[9.MIME]<0> {0}\r\n)\r\nTAG OK done\r\n"),
    (r"UID FETCH 5 ", "* 1 FETCH (UID 5)\r\nTAG OK done\r\n"),
    (
        r"LIST",
        '* LIST (\\\\Noselect) "." folder\r\n* LIST () "." "INBOX"\r\n* LIST () "." Sent\r\nTAG OK done\r\n',
    ),
]
"""What imap answers unless a test says otherwise: a pattern of the command, the reply."""


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


class StandIn:
    """A Dovecot that is none, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        libexec = folder / "libexec"
        libexec.mkdir()
        self.configure_imap(COMMANDS)
        self.configure_users({name: {"uid": "0", "gid": "0", "home": "/"} for name in ("alice", "bob", "carol")})
        program(libexec / "imap", IMAP.format(python=sys.executable, table=str(folder / "imap.json")))
        self.doveadm = program(
            folder / "doveadm", DOVEADM.format(python=sys.executable, table=str(folder / "users.json"))
        )
        (folder / SECRET_NAME).write_bytes(SECRET)
        (folder / "master.pid").write_text(f"{os.getpid()}\n")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "imap-urlauth"))
        self._listener.listen()
        self.answer: Answer = lambda *words: None
        self.refusal = "not for you"
        self.first_line = self.select_line = b"OK\n"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def configure_imap(
        self, commands: list[tuple[str, str | None]], greeting: str = "* PREAUTH hello\r\n"
    ) -> None:
        table = {"greeting": greeting, "commands": commands}
        (self.folder / "imap.json").write_text(json.dumps(table))

    def commands(self) -> list[str]:
        """What imap was told, each without its tag."""
        lines = (self.folder / "imap.json.log").read_text().splitlines()
        return [line.partition(" ")[2] for line in lines]

    def configure_users(self, users: dict[str, dict[str, str]]) -> None:
        (self.folder / "users.json").write_text(json.dumps(users))

    def dovecot(self, host: str = "imap.example.test", port: str = "143", protocols: str = "imap") -> LiveDovecot:
        everything = Block(
            {"base_dir": str(self.folder), "libexec_dir": str(self.folder / "libexec"), "protocols": protocols}
        )
        as_imap = Block({"imap_urlauth_host": host, "imap_urlauth_port": port})
        file = str(self.folder / "dovecot.conf")
        return LiveDovecot(Configuration("2.4.1", file, everything, as_imap, as_imap))

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with suppress(OSError), connection, connection.makefile("rwb") as file:  # who asked may have gone
                self._serve(file)

    def _serve(self, file: BufferedRWPair) -> None:
        file.write(b"VERSION\timap-urlauth\t2\t0\n")
        file.flush()
        file.readline()
        word, service, pid, reader, session, token = file.readline().decode().rstrip("\n").split("\t")
        assert (word, int(pid)) == ("AUTH", os.getpid())
        genuine = token == session_token(SECRET, reader, int(pid), session, service)
        file.write(self.first_line if genuine else b"FAILED\n")
        file.flush()
        owner = file.readline().decode().rstrip("\n").partition("\t")[2]
        if not owner:
            return
        file.write(self.select_line)
        file.flush()
        while line := file.readline():
            _, url, form = line.decode().rstrip("\n").split("\t")
            data = self.answer(reader, service, owner, url, form == "binary")
            if data is None:
                file.write(f"NO\terror={self.refusal}\n".encode() if "user+" in url else b"NO\n")
            elif data == b"garbage":
                file.write(b"HELLO\n")
            elif data == b"cut":
                file.write(b"OK\t10\nabc")
                file.flush()
                return
            else:
                file.write(b"OK\t%d\n%s\n" % (len(data), data) if data else b"OK\t0\n")
            file.flush()
