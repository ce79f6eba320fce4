"""A mail server as Debian lays it out, to live through a package's whole life: a tree's copy with dpkg's database.

Dovecot has Debian's stock configuration, in the places and with the words that its maintainer scripts would have
used, and system users.  The only files of the administrator's own are `local.conf`, which moves every listener to
free ports of loopback, and the certificate.  The copy is the caller's to remove: nothing is mounted in it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from testing import processes, trees
from testing.imapclient import ImapClient
from testing.ports import free_ports

if TYPE_CHECKING:
    from testing.versions import Version

#: which of /usr/share/dovecot's files the maintainer scripts of core, imapd and submissiond copy to /etc/dovecot
STOCK = {
    "2.3": """
        dovecot.conf dovecot-dict-auth.conf.ext dovecot-dict-sql.conf.ext dovecot-sql.conf.ext conf.d/10-auth.conf
        conf.d/10-director.conf conf.d/10-logging.conf conf.d/10-mail.conf conf.d/10-master.conf conf.d/10-ssl.conf
        conf.d/10-tcpwrapper.conf conf.d/15-lda.conf conf.d/15-mailboxes.conf conf.d/90-acl.conf
        conf.d/90-plugin.conf conf.d/90-quota.conf conf.d/auth-checkpassword.conf.ext conf.d/auth-deny.conf.ext
        conf.d/auth-dict.conf.ext conf.d/auth-master.conf.ext conf.d/auth-passwdfile.conf.ext
        conf.d/auth-sql.conf.ext conf.d/auth-static.conf.ext conf.d/auth-system.conf.ext conf.d/20-imap.conf
        conf.d/20-submission.conf
    """,
    "2.4": """
        dovecot.conf conf.d/10-auth.conf conf.d/10-logging.conf conf.d/10-mail.conf conf.d/10-master.conf
        conf.d/10-metrics.conf conf.d/10-ssl.conf conf.d/15-lda.conf conf.d/15-mailboxes.conf
        conf.d/30-dict-server.conf conf.d/90-acl.conf conf.d/90-fts.conf conf.d/90-quota.conf
        conf.d/auth-deny.conf.ext conf.d/auth-master.conf.ext conf.d/auth-oauth2.conf.ext
        conf.d/auth-passwdfile.conf.ext conf.d/auth-sql.conf.ext conf.d/auth-static.conf.ext
        conf.d/auth-system.conf.ext conf.d/20-imap.conf conf.d/20-submission.conf
    """,
}

#: what the maintainer scripts write into /usr/share/dovecot/protocols.d
PROTOCOL = {"2.3": "protocols = $protocols {name}\n", "2.4": "protocols {{\n  {name} = yes\n}}\n"}

LOCAL = """\
listen = 127.0.0.1
verbose_proctitle = yes
log_path = /var/log/dovecot.log
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service submission-login {{
  inet_listener submission {{
    port = {submission}
  }}
  inet_listener submissions {{
    port = 0
  }}
}}
"""
#: made anew in the copy
TRANSIENT = {"tmp": 0o1777, "run": 0o755}

USERS = {"alice": 1001, "bob": 1002, "carol": 1003}

STANZA = """\
Package: {}
Status: install ok installed
Architecture: all
Version: {}
Maintainer: Debian
Description: in the tree
"""

#: what the package depends on, and the tree has
DEPENDENCIES = ("dovecot-core", "dovecot-imapd", "python3", "python3-setproctitle")


class DebianServer:
    """The server in `folder`, which is made; its Dovecot is that of `version`."""

    def __init__(self, version: Version, folder: Path) -> None:
        self.version = version
        self.root = folder
        self.log = folder / "var/log/dovecot.log"
        self._master: subprocess.Popen[bytes] | None = None
        self._copy_tree(trees.tree(version.suite or version.name))
        self.imap_port, submission_port = free_ports(2)
        self._add_users()
        self._lay_out_dovecot(submission_port)
        self._lay_out_dpkg()

    def _copy_tree(self, tree: Path) -> None:
        """All but what other tests, which may run at the same time, have in it."""
        kept = [path for path in tree.iterdir() if path.name not in TRANSIENT]
        subprocess.run(["cp", "-a", "--reflink=auto", *kept, self.root], check=True)
        for name, mode in TRANSIENT.items():
            (self.root / name).mkdir()
            (self.root / name).chmod(mode)

    def _add_users(self) -> None:
        with (self.root / "etc/passwd").open("a") as passwd, (self.root / "etc/group").open("a") as group:
            for name, number in USERS.items():
                passwd.write(f"{name}:x:{number}:{number}::/home/{name}:/bin/sh\n")
                group.write(f"{name}:x:{number}:\n")
                home = self.root / "home" / name
                home.mkdir(parents=True, mode=0o700)
                os.chown(home, number, number)
        mail = self.root / "var/mail"  # base-files makes it so
        mail.mkdir(exist_ok=True)
        os.chown(mail, 0, 8)
        mail.chmod(0o2775)

    def _lay_out_dovecot(self, submission_port: int) -> None:
        share, etc = self.root / "usr/share/dovecot", self.root / "etc/dovecot"
        for name in STOCK[self.version.language].split():
            (etc / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(share / name, etc / name)
        for name, protocol in (("imapd", "imap"), ("submissiond", "submission")):
            text = PROTOCOL[self.version.language].format(name=protocol)
            (share / f"protocols.d/{name}.protocol").write_text(text)
        (etc / "local.conf").write_text(LOCAL.format(imap=self.imap_port, submission=submission_port))
        words = "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=imap.example.test".split()
        private = "/etc/dovecot/private/dovecot"
        self.run("openssl", *words, "-keyout", f"{private}.key", "-out", f"{private}.pem").check_returncode()

    def _lay_out_dpkg(self) -> None:
        database = self.root / "var/lib/dpkg"
        for name in ("info", "updates", "triggers"):
            (database / name).mkdir(parents=True, exist_ok=True)
        versions = {
            "python3": self.run("python3", "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])").stdout,
            "dovecot-core": f"1:{self.version.dovecot}",
            "dovecot-imapd": f"1:{self.version.dovecot}",
        }
        stanzas = [STANZA.format(name, versions.get(name, "1").strip()) for name in DEPENDENCIES]
        (database / "status").write_text("\n".join(stanzas))
        for name in DEPENDENCIES:
            (database / f"info/{name}.list").touch()

    # -- what an administrator does

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the server's as its root."""
        return subprocess.run(
            ["chroot", str(self.root), *words],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            timeout=120,
        )

    def dpkg(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the machine's dpkg on the server; maintainer scripts run inside it."""
        command = ["dpkg", f"--root={self.root}", f"--log={self.root}/var/log/dpkg.log", *map(str, words)]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment, timeout=120
        )

    def start_dovecot(self) -> None:
        """Start it in the foreground, and wait until it greets."""
        self._master = subprocess.Popen(
            ["chroot", str(self.root), "/usr/sbin/dovecot", "-F"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            cwd="/",
            start_new_session=True,
        )
        if not processes.wait_for(self._greets, 30):
            self.stop_dovecot()
            raise AssertionError(f"Dovecot did not start:\n{self.log_text()}")

    def _greets(self) -> bool:
        try:
            with ImapClient(self.imap_port, timeout=5):
                return True
        except OSError:
            return False

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def processes(self) -> list[processes.Process]:
        """What Dovecot started and still runs."""
        return processes.of_session(self._master.pid) if self._master else []

    def stop_dovecot(self) -> None:
        """End it, and whatever is left of it."""
        if self._master is None:
            return
        self._master.send_signal(signal.SIGTERM)
        try:
            self._master.wait(45)
        except subprocess.TimeoutExpired:
            self._master.kill()
            self._master.wait()
        processes.wait_for(lambda: not self.processes(), 8)
        for process in self.processes():
            process.kill()
