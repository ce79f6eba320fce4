"""Two Dovecots as two backends with the same mail: homes that both reach, and one dictionary of mailbox keys."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from testing.instance import PASSWORD, DovecotInstance
from testing.versions import TUNED

if TYPE_CHECKING:
    from testing.executables import Installation
    from testing.versions import Version

IN_THE_HOME = {
    "2.3": "file:%h/dovecot-attributes",
    "2.4": "dict file {\n    path = %{home}/dovecot-attributes\n  }",
}
"""What stands in the tests' configuration."""
ASKED = {
    "2.3": "proxy:{socket}:attributes",
    "2.4": "dict proxy {{\n    dict_proxy_name = attributes\n    dict_proxy_socket_path = {socket}\n  }}",
}
SERVICE = {
    "2.3": "dict {{\n  attributes = file:{file}\n}}\n",
    "2.4": "dict_server {{\n  dict attributes {{\n    driver = file\n    dict_file_path = {file}\n  }}\n}}\n",
}
LISTENER = "service dict {\n  unix_listener dict {\n    mode = 0666\n  }\n}\n"


class Keys(Enum):
    """Where the mailboxes' keys are."""

    HOME = "home"
    """In each user's home, as the mail."""
    SERVICE = "service"
    """With one backend's dict service, which both ask."""


@dataclass
class SharingInstance(DovecotInstance):
    """One of the backends."""

    homes: Path = field(default_factory=Path)
    """Where it sees the homes, as a path outside."""
    keys: Keys = Keys.HOME
    dict_socket: Path | None = None
    """The other one's dict service; None: its own."""

    @property
    def own_socket(self) -> Path:
        """Its dict service, as a path inside."""
        return self.inside / "run" / "dict"

    def home(self, user: str) -> Path:
        """The user's home, as a path outside."""
        return self.homes / user

    def _write_users(self) -> None:
        inside = "/" / self.homes.relative_to(self.version.root)
        lines = []
        for user, uid in self.users.items():
            home = self.home(user)
            if not home.is_dir():
                home.mkdir(parents=True)
                os.chown(home, uid, uid)
                home.chmod(0o700)
            lines.append(f"{user}:{{PLAIN}}{PASSWORD}:{uid}:{uid}::{inside}/{user}::\n")
        (self.folder / "users").write_text("".join(lines))

    def _configuration(self) -> str:
        text, language = super()._configuration(), self.version.language
        if self.keys is Keys.HOME:
            return text
        before = IN_THE_HOME[language]
        if before not in text:
            raise ValueError(f"no dictionary in the home: {before}")
        text = text.replace(before, ASKED[language].format(socket=self.dict_socket or self.own_socket))
        return text + SERVICE[language].format(file=self.inside / "tmp" / "attributes") + LISTENER


def two_backends(
    version: Version, ours: Installation, homes: tuple[Path, Path], keys: Keys, extra: str = ""
) -> tuple[SharingInstance, SharingInstance]:
    """Two backends that see the same homes in two places, or in one; the first has the dict service."""
    first = SharingInstance(version, TUNED, ours, extra, homes=homes[0], keys=keys)
    second = SharingInstance(version, TUNED, ours, extra, homes=homes[1], keys=keys)
    second.dict_socket = first.own_socket
    return first, second
