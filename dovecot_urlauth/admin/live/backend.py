"""Where a user's mail is: asked of ``doveadm auth lookup``, which asks the passdb as the worker's dialer does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dovecot_urlauth.admin.live.account import doveadm

if TYPE_CHECKING:
    from dovecot_urlauth.admin.doveconf import Configuration

OPTION = "--backends=ask"
IMAPC = "imapc"


@dataclass(frozen=True)
class Backend:
    """What proxies, and our worker, are told of a user whose mail is elsewhere."""

    host: str
    master: str
    has_password: bool


def backend_of(name: str, file: str) -> Backend | None:
    """None where the mail is here, or nobody can tell. Raises LiveFailure when doveadm cannot be run."""
    fields = {}
    for line in doveadm(file, "auth", "lookup", "-x", "service=imap", name).stdout.splitlines():
        field, colon, value = line.partition(":")
        if colon and line.startswith(" "):
            fields[field.strip()] = value.strip()
    if "proxy" not in fields:
        return None
    host = fields.get("host", "") + (f":{fields['port']}" if "port" in fields else "")
    return Backend(host, fields.get("master", ""), bool(fields.get("pass")))


def asks_backends(configuration: Configuration) -> bool:
    """Whether the worker is told to ask."""
    return OPTION in configuration.service("imap-urlauth-worker").get("executable").split()


def is_imapc(configuration: Configuration) -> bool:
    """Whether the mail of users is imapc's, unless the userdb says otherwise."""
    everything = configuration.everything
    return IMAPC in (everything.get("mail_driver"), everything.get("mail_location").partition(":")[0])
