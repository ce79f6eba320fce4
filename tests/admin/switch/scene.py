"""What enable and disable meet: a configuration that includes conf.d, an installation, a doveconf that is none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.check_services import SERVICES
from dovecot_urlauth.admin.doveconf import Block, Configuration, DoveconfError
from dovecot_urlauth.admin.live import account
from dovecot_urlauth.admin.main import main
from dovecot_urlauth.admin.switch import command, reload
from dovecot_urlauth.admin.switch.snippet import HEADING
from tests.admin.live.stand_ins import DOVEADM, program

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SERVICES_TEXT = "".join(f"service {name} {{\n  executable = @PREFIX@/{name}\n}}\n" for name in SERVICES)
STARTS = "#!/bin/sh\necho 'Fatal: Unknown argument: -?' >&2\nexit 89\n"
"""As our executables refuse an option that they do not know."""


class Scene:
    """A configuration that includes conf.d, an installation, and what doveconf says of both."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.prefix = folder / "prefix"
        self.file = folder / "etc/conf.d/90-urlauth.conf"
        self.file.parent.mkdir(parents=True)
        self.users = folder / "users.json"
        self.users.write_text('{"alice": {"uid": "1", "gid": "1", "home": "/home/alice"}}')
        self.base_dir = folder / "run"
        self.base_dir.mkdir()
        self.version = "2.4.1"
        self.as_imap = Block(
            {"imap_urlauth_host": "host"}, {"mail_attribute": Block(blocks={"dict file": Block()})}
        )
        self.as_imap_after: Block | None = None
        """What doveconf says once our file is read, if that is something else."""
        self.configuration = folder / "etc/dovecot.conf"
        self.configuration.write_text("!include conf.d/*.conf\n")
        self.broken = ""
        self.included = True
        for language in ("2.3", "2.4"):
            conf_d = self.prefix / "share/dovecot-urlauth/conf.d" / language
            conf_d.mkdir(parents=True)
            text = "# how to include it\n" + SERVICES_TEXT.replace("@PREFIX@", str(self.prefix))
            (conf_d / "90-urlauth.conf").write_text(text + "# end\nservice x {\n  client_limit = 1000\n}\n")
            (conf_d / "90-urlauth-executables.conf").write_text(text)
        for name in SERVICES:
            program(self.prefix / name, STARTS)
        doveadm = program(folder / "doveadm", DOVEADM.format(python="/usr/bin/python3", table=str(self.users)))
        monkeypatch.setattr(account, "DOVEADM", str(doveadm))
        monkeypatch.setattr(command, "installation", lambda: str(self.prefix))
        monkeypatch.setattr(command, "read_configuration", self.read)
        self.doveadm = doveadm
        self.pipes = [frozenset("abcd"), frozenset("axyz")]
        """Of the master, before a reload and from then on."""
        monkeypatch.setattr(reload, "pipes_of", lambda pid: self.pipes.pop(0) if self.pipes[1:] else self.pipes[0])
        monkeypatch.setattr(reload, "GRACE", 0.0)
        monkeypatch.setattr(reload, "PATIENCE", 0.0)

    def start(self) -> None:
        (self.base_dir / "master.pid").write_text(f"{os.getpid()}\n")

    def read(self, file: str | None) -> Configuration:
        ours = self.included and self.file.exists() and HEADING in self.file.read_text()
        if self.broken and ours:
            raise DoveconfError(self.broken)
        folder = f"{self.prefix}/" if ours else "/usr/lib/dovecot/"
        blocks = {f"service {name}": Block({"executable": folder + name}) for name in SERVICES}
        everything = Block({"base_dir": str(self.base_dir)}, blocks)
        view = self.as_imap
        if ours and self.as_imap_after and "new.example" in self.file.read_text():
            view = self.as_imap_after
        return Configuration(self.version, str(self.configuration), everything, view, view)


def run(*words: str) -> int:
    return main(["dovecot-urlauth", *words])
