"""Private Dovecots side by side, each of which knows where everybody's mail is."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from testing import processes
from testing.backends import MASTER, PROXY, asking, masters
from testing.instance import PASSWORD, USERS, DovecotInstance
from testing.versions import TUNED, Version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.dovecot.conftest import Installations

SERVER_TLS = {
    "2.3": "ssl = yes\nssl_cert = <{0}\nssl_key = <{0}\n",
    "2.4": "ssl = yes\nssl_server_cert_file = {0}\nssl_server_key_file = {0}\n",
}
IMAPC = {
    "2.3": "mail_location = imapc:~/imapc\n",
    "2.4": "mail_driver = imapc\nmail_path = ~/imapc\n",
}
IMAPC_LOGIN = """
imapc_host = 127.0.0.1
imapc_port = {port}
imapc_master_user = master
imapc_password = mastersecret
"""


@dataclass
class Backend(DovecotInstance):
    """A Dovecot that sends users who are not ``locals`` to another one."""

    locals: frozenset[str] = frozenset(USERS)
    ports: dict[str, int] = field(default_factory=dict)
    """Where the others' mail is."""
    password: str = "mastersecret"
    more: str = ""
    """Further proxy fields."""
    masters_are_looked_up: bool = False
    """Whether the user's own fields count for a master user's login, too."""

    def die(self) -> None:
        """All of it at once; it may be launched again."""
        assert self._master
        self._master.kill()
        for process in self.processes():
            process.kill()
        self._master.wait()
        assert processes.wait_for(lambda: not self.processes(), 8)

    def _configuration(self) -> str:
        result = "continue" if self.masters_are_looked_up else "return-ok"
        self.extra += masters(self.version.language, self.inside, result)
        return super()._configuration()

    def _services(self) -> str:
        return asking(super()._services())

    def _write_users(self) -> None:
        super()._write_users()
        (self.folder / "masters").write_text(MASTER)
        lines = []
        for user, uid in USERS.items():
            line = f"{user}:{{PLAIN}}{PASSWORD}:{uid}:{uid}::{self.inside}/home/{user}::"
            if user not in self.locals:
                line += PROXY.format(port=self.ports[user], password=self.password, more=self.more)
            lines.append(line + "\n")
        (self.folder / "users").write_text("".join(lines))


@contextmanager
def running(*backends: DovecotInstance) -> Iterator[None]:
    started = []
    try:
        for backend in backends:
            backend.start()
            started.append(backend)
        yield
    finally:
        for backend in reversed(started):
            backend.stop()


def ring(versions: tuple[Version, Version], installations: Installations) -> tuple[Backend, Backend]:
    """Two backends: alice's mail is on the first, everybody else's on the second."""
    first, second = (Backend(version, TUNED, installations[version]) for version in versions)
    first.locals = frozenset({"alice"})
    second.locals = frozenset(USERS) - first.locals
    first.ports = dict.fromkeys(second.locals, second.imap_port)
    second.ports = {"alice": first.imap_port}
    return first, second


def ring_of_three(
    versions: tuple[Version, Version, Version], installations: Installations
) -> tuple[Backend, Backend, Backend]:
    """Two backends, and a proxy that sends everybody to one of them."""
    first, second = ring((versions[0], versions[1]), installations)
    proxy = Backend(versions[2], TUNED, installations[versions[2]])
    proxy.locals = frozenset()
    proxy.ports = {user: (first if user in first.locals else second).imap_port for user in USERS}
    return first, second, proxy


def certificate(folder: Path, name: str = "IP:127.0.0.1") -> Path:
    """A certificate for ``name`` that has signed itself, with its key."""
    path = folder / "backend.pem"
    subprocess.run(
        [
            *"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(),
            *f"-subj /CN=backend -addext subjectAltName={name} -keyout".split(),
            path,
            "-out",
            folder / "certificate",
        ],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + (folder / "certificate").read_text())
    return path
