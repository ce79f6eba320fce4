"""The mail stores that both workers read, and how generated messages come into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from testing.versions import PIECES

if TYPE_CHECKING:
    from pathlib import Path

    from testing.executables import Installation
    from testing.versions import Version

MAILDIR = "maildir"

SMALL_LOGS = """
mail_index_log_rotate_min_size = 4k
mail_index_log_rotate_max_size = 16k
mail_index_log_rotate_min_age = 0
mdbox_rotate_size = 1M
"""


@dataclass(frozen=True)
class MailStore:
    """One kind of storage, in both configuration languages."""

    name: str
    old: str = ""
    new: str = ""
    has_alt: bool = False
    """Some of the mail is moved to a second storage."""
    has_acl: bool = False
    """Mailboxes have ACL files; one of them may not be read."""
    prefix: str = ""
    """Of the namespace that all mailboxes but INBOX are in."""

    @property
    def takes_files(self) -> bool:
        """Messages are put into the mailbox as they are; otherwise imap stores them."""
        return self.name in (MAILDIR, DICT_PROXY.name, ACL.name)

    def folder(self, mailbox: str) -> str:
        """Where a mailbox lies that has an ACL file, below alice's home."""
        if self.prefix and mailbox != "INBOX":
            return f"public/mailboxes/{mailbox.removeprefix(self.prefix)}/dbox-Mails"
        return "Maildir/" if mailbox == "INBOX" else f"Maildir/.{mailbox}"

    def settings(self, version: Version, installation: Installation, base: Path) -> str:
        """The configuration: our worker may not leave this store to Dovecot's own imap; ``base`` is for `BASE`."""
        worker = (
            f"service {PIECES[2]} {{\n  executable = {installation.executables}/{PIECES[2]} --store=native\n}}\n"
        )
        own = (self.old if version.language == "2.3" else self.new).replace("BASE", str(base))
        return own + ("" if self.name == MAILDIR else worker)


def _dbox(driver: str) -> MailStore:
    old = f"mail_location = {driver}:~/box:ALT=~/alt:INDEX=~/index\n"
    new = f"mail_driver = {driver}\nmail_path = ~/box\nmail_alt_path = ~/alt\nmail_index_path = ~/index\n"
    return MailStore(driver, old + SMALL_LOGS, new + SMALL_LOGS, has_alt=True)


def _mbox() -> MailStore:
    """Debian's default, but for the place of INBOX."""
    old = "mail_location = mbox:~/mail:INBOX=~/spool\n"
    new = "mail_driver = mbox\nmail_path = ~/mail\nmail_inbox_path = ~/spool\n"
    return MailStore("mbox", old + SMALL_LOGS, new + SMALL_LOGS)


def _compressed(method: str) -> MailStore:
    old = f"mail_plugins = zlib\nplugin {{\n  zlib_save = {method}\n}}\n"
    new = f"mail_plugins {{\n  mail_compress = yes\n}}\nmail_compress_write_method = {method}\n"
    return MailStore(method, old, new)


ENCRYPTED = MailStore(
    "mail_crypt",
    "mail_plugins = mail_crypt\nplugin {\n  mail_crypt_curve = prime256v1\n  mail_crypt_save_version = 2\n}\n",
    "mail_plugins {\n  mail_crypt = yes\n}\ncrypt_user_key_curve = X25519\n",
)
"""With keys of folders and users."""

DICT_PROXY = MailStore(
    "dict-proxy",
    "mail_attribute_dict = proxy::attributes\n"
    "dict {\n  attributes = file:BASE/home/alice/dovecot-attributes\n}\n"
    "service dict {\n  user = root\n  unix_listener dict {\n    mode = 0666\n  }\n}\n",
    "mail_attribute {\n  dict file {\n    dict_driver = proxy\n    dict_proxy_name = attributes\n  }\n}\n"
    "dict_server {\n  dict attributes {\n    dict_driver = file\n"
    "    dict_file_path = BASE/home/alice/dovecot-attributes\n  }\n}\n"
    "service dict {\n  user = root\n  unix_listener dict {\n    mode = 0666\n  }\n}\n",
)
"""A Maildir; Dovecot's dict service has the keys."""
ACL = MailStore(
    "acl",
    "protocol imap-urlauth-worker {\n  mail_plugins = acl\n}\nplugin {\n  acl = vfile\n}\n",
    "protocol imap-urlauth-worker {\n  mail_plugins {\n    acl = yes\n  }\n}\nacl_driver = vfile\n",
    has_acl=True,
)
"""A Maildir whose worker asks for rights."""

LIST_INDEX = MailStore(
    "list-index",
    "mail_location = sdbox:~/box:LAYOUT=index:INDEX=~/index\n" + SMALL_LOGS,
    "mail_driver = sdbox\nmail_path = ~/box\nmailbox_list_layout = index\nmail_index_path = ~/index\n"
    + SMALL_LOGS,
)
"""Directories whose names the index of the mailbox list has."""


def _public() -> MailStore:
    inbox = "namespace inbox {\n  inbox = yes\n  separator = /\n}\n"
    public = "namespace public {\n  type = public\n  prefix = Public/\n  separator = /\n  subscriptions = no\n"
    old = inbox + public + "  location = mdbox:BASE/home/alice/public:INDEXPVT=~/private\n}\n"
    new = inbox + public + "  mail_driver = mdbox\n  mail_path = BASE/home/alice/public\n"
    new += "  mail_index_private_path = ~/private\n}\n"
    return MailStore("public", ACL.old + old, ACL.new + new, has_acl=True, prefix="Public/")


def _attachments(driver: str) -> MailStore:
    """Parts of messages in files of their own, the smallest of them, too."""
    old = f"mail_location = {driver}:~/box\nmail_attachment_dir = ~/attachments\nmail_attachment_min_size = 1\n"
    new = f"mail_driver = {driver}\nmail_path = ~/box\nmail_ext_attachment_path = ~/attachments\n"
    new += "mail_ext_attachment_min_size = 1\nmail_ext_attachment {\n  fs sis {\n  }\n  fs posix {\n  }\n}\n"
    return MailStore(f"{driver}-attachments", old, new)


def _both(first: MailStore, second: MailStore) -> MailStore:
    name = f"{first.name}+{second.name}"
    return MailStore(name, first.old + second.old, first.new + second.new, first.has_alt or second.has_alt)


STORES = {
    store.name: store
    for store in (
        MailStore(MAILDIR),
        _dbox("sdbox"),
        _dbox("mdbox"),
        _mbox(),
        _compressed("gz"),
        _compressed("zstd"),
        ENCRYPTED,
        DICT_PROXY,
        ACL,
        LIST_INDEX,
        _public(),
        _attachments("sdbox"),
        _both(_attachments("mdbox"), _compressed("gz")),
        _both(_dbox("mdbox"), _compressed("gz")),
        _both(_dbox("sdbox"), ENCRYPTED),
    )
}
