"""Which settings each stage asks for: names of modules, services and protocols in Dovecot's own registers.

2.3 filters on the server by one service name.  2.4 hands out the whole configuration; the reader names blocks,
and a protocol and a service that ``protocol x { }`` and ``service x { }`` are matched against.  Either way
``protocol imap-urlauth-worker { }`` applies to the target user and ``protocol imap { }`` does not, as in Dovecot's
own worker; plugins that decide rights are looked for in both, since a site that denies mail means to deny it.
"""

from __future__ import annotations

from dovecot_urlauth.start.frozen import frozen


@frozen
class Wanted:
    """One stage's share of the configuration."""

    service: str
    """Name of the service; in 2.3 the only filter."""
    modules: tuple[str, ...]
    """2.3: registered setting modules, each with those that it depends on."""
    protocol: str
    """2.4: what ``protocol x { }`` is matched against."""
    blocks: tuple[str, ...]
    """2.4: setting blocks of the binary configuration."""
    rights_from: str = ""
    """Another service (2.3) and protocol (2.4) whose plugins that decide rights hold as well."""

    def for_service(self, service: str) -> Wanted:
        """2.3: the same as another service sees it."""
        return Wanted(service, self.modules, self.protocol, self.blocks)


LOGIN = Wanted(
    service="imap-urlauth",
    modules=("imap-urlauth-login",),
    protocol="imap-urlauth",
    blocks=("master_service", "login"),
)

BROKER = Wanted(
    service="imap-urlauth",
    modules=("imap-urlauth",),
    protocol="imap-urlauth",
    blocks=("master_service", "imap_urlauth"),
)

WORKER = Wanted(
    service="imap-urlauth-worker",
    modules=("imap-urlauth-worker",),
    protocol="imap-urlauth-worker",
    blocks=("master_service", "imap_urlauth_worker"),
)
"""The worker's process before it serves a user."""

TARGET_USER = Wanted(
    service="imap-urlauth-worker",
    modules=("imap-urlauth-worker",),
    protocol="imap-urlauth-worker",
    blocks=(
        "master",
        "master_service",
        "imap_urlauth_worker",
        "mail_user",
        "mail_namespace",
        "mail_storage",
        "mail_driver",
        "mailbox_list_layout",
        "maildir",
        "mbox",
        "mdbox",
        "sdbox",
        "imapc",
        "dict",
        "dict_file",
        "dict_proxy",
        "fs",
        "fs_posix",
        "crypt",
        "crypt_private_key",
        "acl",
        "acl_rights",
    ),
    rights_from="imap",
)
"""The worker and the mail store of the user whose mail it reads."""

BACKENDS = Wanted(
    service="imap-urlauth-worker",
    modules=("ssl",),
    protocol="imap-urlauth-worker",
    blocks=("ssl",),
)
"""What a certificate of another backend has to be worth."""
