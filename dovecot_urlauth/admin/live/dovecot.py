"""The running Dovecot that the command speaks to: what its configuration says, and the ways in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.doveconf import read_configuration
from dovecot_urlauth.admin.live.account import find_account
from dovecot_urlauth.admin.live.backend import asks_backends, backend_of, is_imapc
from dovecot_urlauth.admin.live.failure import LiveFailure
from dovecot_urlauth.admin.live.fetch import PATIENCE, UrlauthSession
from dovecot_urlauth.admin.live.ownimap import OwnImap
from dovecot_urlauth.admin.live.token import read_secret
from dovecot_urlauth.admin.master import Master

if TYPE_CHECKING:
    from dovecot_urlauth.admin.doveconf import Configuration

DEFAULT_PORT = "143"


@dataclass(frozen=True)
class LiveDovecot:
    """One Dovecot, by its configuration."""

    configuration: Configuration
    patience: float = PATIENCE
    """Seconds that each step may take."""

    @classmethod
    def find(cls, file: str | None, patience: float = PATIENCE) -> LiveDovecot:
        """The Dovecot of this configuration file, which runs. Raises LiveFailure, DoveconfError, NoMaster."""
        if os.geteuid() != 0:
            raise LiveFailure("not root", "this asks in other users' names", "run it as root")
        configuration = read_configuration(file)
        Master(configuration.base_dir).pid()
        return cls(configuration, patience)

    @property
    def file(self) -> str:
        return self.configuration.file

    @property
    def base_dir(self) -> str:
        return self.configuration.base_dir

    @property
    def server(self) -> str:
        """Host and port as URLs have them. Raises LiveFailure."""
        host = self.configuration.as_imap.get("imap_urlauth_host")
        if not host:
            raise LiveFailure("settings", "imap_urlauth_host is not set", "set it to the name that clients use")
        port = self.configuration.as_imap.get("imap_urlauth_port", DEFAULT_PORT)
        return host if port == DEFAULT_PORT else f"{host}:{port}"

    @property
    def serves_submission(self) -> bool:
        return self.configuration.serves("submission")

    def imap(self, user: str) -> OwnImap:
        """Dovecot's imap for ``user``. Raises LiveFailure, also when there is no such user, or not its mail."""
        find_account(user, self.file)
        if place := self.elsewhere(user):
            raise LiveFailure("imap", f"the mail of {user} is on {place}, and its keys are", "run this there")
        libexec = self.configuration.everything.get("libexec_dir", "/usr/lib/dovecot")
        return OwnImap(os.path.join(libexec, "imap"), self.file, user, self.patience)

    def elsewhere(self, user: str) -> str:
        """On which backend the user's mail is; empty where it is here. Raises LiveFailure."""
        if asks_backends(self.configuration) and is_imapc(self.configuration):
            return self.configuration.everything.get("imapc_host") or "the backend that imapc reads"
        backend = backend_of(user, self.file)
        return "" if backend is None else f"backend {backend.host}"

    def urlauth(self, reader: str, service: str = "imap") -> UrlauthSession:
        """A session of ``reader`` with the three services. Raises LiveFailure."""
        account = find_account(reader, self.file)
        return UrlauthSession(self.base_dir, read_secret(self.base_dir), account, service, self.patience)
