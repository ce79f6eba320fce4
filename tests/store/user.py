"""A target user, and a maildir of his made without Dovecot."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dovecot_urlauth.config.settings import Settings
from tests.store import ondisk

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEY = bytes(range(64))
GUID = "0123456789abcdef" * 2
SETTINGS_2_3 = {
    "mail_location": "maildir:~/Maildir",
    "mail_attribute_dict": "file:%h/attributes",
    "namespace": "inbox",
    "namespace/inbox/inbox": "yes",
}
SETTINGS_2_4 = {
    "mail_driver": "maildir",
    "mail_path": "~/Maildir",
    "mail_attribute/dict": "file",
    "mail_attribute/dict/file/path": "%{home}/attributes",
    "namespace": "inbox",
    "namespace/inbox/inbox": "yes",
}


@dataclass
class User:
    """What the store needs to know of an account."""

    home: bytes | None
    settings: Settings = field(default_factory=lambda: Settings(SETTINGS_2_3))
    name: bytes = b"bob"
    uid: int = field(default_factory=os.getuid)
    gid: int = field(default_factory=os.getgid)
    chroot: bytes | None = None
    fields: dict[str, str] = field(default_factory=dict)
    not_understood: str = ""


def user(home: Path, changes: Mapping[str, str] | None = None, base: Mapping[str, str] = SETTINGS_2_3) -> User:
    """A user with these settings."""
    return User(os.fsencode(home), Settings({**base, **(changes or {})}))


def make_maildir(mailbox: Path, mails: Mapping[int, bytes], control: Path | None = None) -> None:
    """A maildir with one file for each UID, known to its uidlist and index."""
    for name in ("cur", "new", "tmp"):
        (mailbox / name).mkdir(parents=True)
    control = control or mailbox
    control.mkdir(parents=True, exist_ok=True)
    for uid, mail in mails.items():
        (mailbox / "cur" / f"mail{uid}:2,S").write_bytes(mail)
    (control / "dovecot-uidlist").write_bytes(ondisk.uidlist([(uid, f":mail{uid}") for uid in mails], guid=GUID))
    (control / "dovecot.index").write_bytes(ondisk.index([(uid, 0x08) for uid in mails]))
    (control / "dovecot.index.log").write_bytes(ondisk.log_header())


def write_key(home: Path, text: bytes = KEY.hex().encode()) -> None:
    """The mailbox key in the attribute dictionary of SETTINGS_2_3 and SETTINGS_2_4."""
    entry = f"priv/{GUID}/vendor/vendor.dovecot/imap-urlauth\n".encode()
    (home / "attributes").write_bytes(entry + text + b"\n")
