"""One private Dovecot: its own base_dir, loopback, free ports, its own users; nothing of the system's is
touched.

`DovecotInstance` starts it in the foreground, waits until it greets, and `stop` proves that nothing of it
is left: no process, no bound socket, no mount. The log is read by `logs.py`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from testing import processes
from testing.imapclient import ConnectionLost, ImapClient
from testing.logs import Log
from testing.ports import free_ports
from testing.relay import RelaySink
from testing.versions import PIECES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testing.executables import Installation
    from testing.versions import Combination, Version

#: The host in every URL; nothing resolves it.
HOST = "imap.example.test"

#: user -> uid (and gid); nobody on the machine has these numbers
USERS = {
    "alice": 5001,
    "bob": 5002,
    "carol": 5003,
    "submitsrv": 5004,
    "streamsrv": 5005,
    "anonymous": 5006,
}

PASSWORD = "secret"
CONFIGS = Path(__file__).with_name("configs")


@dataclass
class DovecotInstance:
    """A Dovecot of `version`.

    `ours` is our installation there, `extra` is appended to the configuration in its own language.  When all
    three executables are ours, they come in as an administrator gets them: through one of conf.d's two files.
    """

    version: Version
    combination: Combination
    ours: Installation | None = None
    extra: str = ""
    users: dict[str, int] = field(default_factory=lambda: dict(USERS))

    def __post_init__(self) -> None:
        self.folder = self.version.folder()
        self.inside = Path("/") / self.folder.relative_to(self.version.root)
        # what each of our processes says of a Dovecot that somebody built from a later commit
        unknown = f"Dovecot {self.version.dovecot} is not known" if self.version.installed else ""
        self.log = Log(self.folder / "dovecot.log", unknown)
        self.relay = RelaySink()
        self.imap_port, self.submission_port = free_ports(2)
        self._master: subprocess.Popen[bytes] | None = None

    # -- life

    def start(self) -> DovecotInstance:
        """Write the configuration, start, and wait for the IMAP greeting."""
        self.write()
        return self.launch()

    def launch(self) -> DovecotInstance:
        """Start from what was written."""
        command = self.version.command("/usr/sbin/dovecot", "-F", "-c", self.inside / "dovecot.conf")
        with (self.folder / "console").open("w") as console:
            self._master = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                cwd="/",
                start_new_session=True,
            )
        if not processes.wait_for(lambda: self._is_over() or self._greets(), 60) or self._is_over():
            said = (self.folder / "console").read_text() + "\n".join(self.log.lines())
            self.stop(check=False)
            raise AssertionError(f"Dovecot did not start:\n{said}")
        return self

    def write(self) -> None:
        """Write everything that it starts from."""
        self._write_users()
        (self.folder / "tmp").mkdir()
        (self.folder / "tmp").chmod(0o1777)
        (self.folder / "dovecot.conf").write_text(self._configuration())

    def stop(self, check: bool = True) -> None:
        """Stop it and remove its folder; with `check`, fail if a process, socket or mount outlives it."""
        left = self._stop_master()
        sockets = self._bound_sockets()
        mounts = [line for line in _mounts() if str(self.folder) in line]
        self.relay.close()
        if not mounts:
            shutil.rmtree(self.folder)
        if check:
            assert not left, f"processes are left: {[process.title for process in left]}"
            assert not sockets, f"sockets are left: {sockets}"
            assert not mounts, f"mounts are left: {mounts}"

    def _stop_master(self) -> list[processes.Process]:
        """End the master by its pid; what outlives it by more than a second is returned, and then killed."""
        assert self._master
        self._end_leaked_stock_processes()
        self._master.send_signal(signal.SIGTERM)
        try:
            self._master.wait(45)
        except subprocess.TimeoutExpired:
            self._master.kill()
            self._master.wait()
        processes.wait_for(lambda: not self.processes(), 8)
        left = self.processes()
        for process in left:
            process.kill()
        # what is removed next may not be written to any more
        processes.wait_for(lambda: not self.processes(), 8)
        return left

    def _end_leaked_stock_processes(self) -> None:
        """2.4's stock executables may outlive a session by half a minute: not to be waited for."""
        if self.version.language == "2.3":
            return
        for name in set(PIECES) - set(self.combination.ours()):
            for process in self.processes(name):
                process.kill()

    def _is_over(self) -> bool:
        return self._master is None or self._master.poll() is not None

    def _greets(self) -> bool:
        try:
            with ImapClient(self.imap_port, timeout=5):
                return True
        except OSError:
            return False

    # -- configuration

    def _configuration(self) -> str:
        template = Template((CONFIGS / f"{self.version.language}.conf").read_text())
        return template.substitute(
            base=self.inside,
            host=HOST,
            dollar="$",
            heading=self.version.heading,
            imap_port=self.imap_port,
            submission_port=self.submission_port,
            relay_port=self.relay.port,
            services=self._services(),
            extra=self.extra,
        )

    def _services(self) -> str:
        if self.ours is None:
            return ""
        if self.combination.all_ours:
            name = "90-urlauth.conf" if self.combination.tuned else "90-urlauth-executables.conf"
            return self.ours.snippet(self.version.language, name)
        services = ""
        for name in self.combination.ours():
            services += f"service {name} {{\n  executable = {self.ours.executables}/{name}\n}}\n"
        return services

    def _write_users(self) -> None:
        lines = []
        for user, uid in self.users.items():
            home = self.folder / "home" / user
            home.mkdir(parents=True)
            os.chown(home, uid, uid)
            home.chmod(0o700)
            lines.append(f"{user}:{{PLAIN}}{PASSWORD}:{uid}:{uid}::{self.inside}/home/{user}::\n")
        (self.folder / "users").write_text("".join(lines))

    # -- what a test asks

    def imap(self, user: str | None = None, timeout: float = 15.0) -> ImapClient:
        """A connection to imap, logged in as `user` when one is given.

        Dovecot may refuse logins for a moment while it starts, as temporarily unavailable.
        """
        deadline = time.monotonic() + 5
        while True:
            client = ImapClient(self.imap_port, timeout)
            try:
                return client.login(user, PASSWORD) if user else client
            except AssertionError as refused:
                client.close()
                if "[UNAVAILABLE]" not in str(refused) or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            except BaseException:
                client.close()
                raise

    def home(self, user: str) -> Path:
        """The user's home, as a path outside."""
        return self.folder / "home" / user

    def processes(self, title: str | None = None) -> list[processes.Process]:
        """Its living processes; with `title`, those whose executable has this name."""
        assert self._master
        found = processes.of_session(self._master.pid)
        return [process for process in found if title is None or executable_name(process.title) == title]

    def deliver(self, user: str, content: bytes | Iterable[bytes], name: str, folder: str = "") -> None:
        """Put a file of this content into the user's Maildir, as a local delivery does."""
        maildir = self.home(user) / "Maildir" / folder
        path = maildir / "tmp" / f"{name}.test"
        with path.open("wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
        os.chown(path, self.users[user], self.users[user])
        path.rename(maildir / "new" / path.name)

    def output(self, *command: str) -> str:
        """What a command says that must succeed."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def doveadm(self, command: str, user: str, *arguments: str) -> str:
        """Run a command of doveadm for one user; what it says."""
        configuration = str(self.inside / "dovecot.conf")
        words = ("/usr/bin/doveadm", "-c", configuration, *command.split(), "-u", user, *arguments)
        return self.output(*self.version.command(*words))

    @property
    def master_pid(self) -> int:
        """Raises RuntimeError when it does not run."""
        if self._master is None:
            raise RuntimeError("not started")
        return self._master.pid

    def signal(self, number: signal.Signals) -> None:
        """Signal Dovecot's master."""
        assert self._master
        self._master.send_signal(number)

    def reload(self) -> None:
        """Let it read its configuration again, and wait until it has."""
        mark = self.log.mark()
        self.signal(signal.SIGHUP)
        self.log.wait_for("SIGHUP received", mark)
        assert processes.wait_for(self._lets_in, 10)

    def _lets_in(self) -> bool:
        """Whether imap is there again: those of before a reload drop or refuse whom they have just let in."""
        try:
            with self.imap() as client:
                return client.command(f"LOGIN alice {PASSWORD}".encode()).ok
        except ConnectionLost:
            return False

    def connect(self, name: str) -> socket.socket:
        """A connection to the UNIX socket `name` below base_dir, as root."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        # a tree's path may be longer than a socket's name can be
        folder = os.open(self.folder / "run", os.O_PATH)
        try:
            connection.connect(f"/proc/self/fd/{folder}/{name}")
        except OSError:
            connection.close()
            raise
        finally:
            os.close(folder)
        return connection

    def _bound_sockets(self) -> list[str]:
        lines = Path("/proc/net/unix").read_text().splitlines()
        return [line for line in lines if f"{self.inside}/" in line]


def executable_name(title: str) -> str:
    """The executable that a process title shows: the title's own, or the script that an interpreter runs."""
    for word in title.split()[:4]:
        name = os.path.basename(word)
        if not name.startswith(("python", "-")):
            return name
    return title


def _mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()
