"""The mail stores that both workers read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.dovecot.differential import dictionaries
from tests.dovecot.differential.mail_store import MAILDIR, MailStore, Saver
from tests.dovecot.differential.names import MAILBOX, Names
from tests.dovecot.test_encrypted_stores import encrypting

if TYPE_CHECKING:
    from testing.versions import Version

SMALL_LOGS = """
mail_index_log_rotate_min_size = 4k
mail_index_log_rotate_max_size = 16k
mail_index_log_rotate_min_age = 0
mdbox_rotate_size = 1M
"""


def _both(first: MailStore, second: MailStore) -> MailStore:
    """The settings of the second, too."""
    name = f"{first.name}+{second.name}"
    return replace(first, name=name, old=first.old + second.old, new=first.new + second.new)


# -- formats

PLAIN = MailStore(MAILDIR, takes_files=True)


def _dbox(driver: str) -> MailStore:
    old = f"mail_location = {driver}:~/box:ALT=~/alt:INDEX=~/index\n"
    new = f"mail_driver = {driver}\nmail_path = ~/box\nmail_alt_path = ~/alt\nmail_index_path = ~/index\n"
    return MailStore(driver, old + SMALL_LOGS, new + SMALL_LOGS, has_alt=True)


SDBOX, MDBOX = _dbox("sdbox"), _dbox("mdbox")

MBOX = MailStore(
    "mbox",
    "mail_location = mbox:~/mail:INBOX=~/spool\n" + SMALL_LOGS,
    "mail_driver = mbox\nmail_path = ~/mail\nmail_inbox_path = ~/spool\n" + SMALL_LOGS,
)
"""Debian's default, but for the place of INBOX."""


def _attachments(driver: str) -> MailStore:
    """Parts of messages in files of their own, the smallest of them, too."""
    old = f"mail_location = {driver}:~/box\nmail_attachment_dir = ~/attachments\nmail_attachment_min_size = 1\n"
    new = f"mail_driver = {driver}\nmail_path = ~/box\nmail_ext_attachment_path = ~/attachments\n"
    new += "mail_ext_attachment_min_size = 1\nmail_ext_attachment {\n  fs sis {\n  }\n  fs posix {\n  }\n}\n"
    return MailStore(f"{driver}-attachments", old, new, loses_returns=True)


# -- compression


def _compressed(method: str) -> MailStore:
    old = f"mail_plugins = zlib\nplugin {{\n  zlib_save = {method}\n}}\n"
    new = f"mail_plugins {{\n  mail_compress = yes\n}}\nmail_compress_write_method = {method}\n"
    return MailStore(method, old, new)


READS_ALL = MailStore("mixed", "mail_plugins = zlib\n", "mail_plugins {\n  mail_compress = yes\n}\n")
"""The plugin, which compresses nothing for whom nothing is set."""
METHODS = ("gz", "bz2", "lz4", "zstd")
XZ = replace(READS_ALL, name="xz", takes_files=True, methods=("xz",), languages=("2.3",))
"""Which 2.3 reads, and nobody writes any more."""
MIXED = replace(READS_ALL, name="maildir-mixed", takes_files=True, methods=("", *METHODS))
"""Files of all kinds side by side."""


def _saver(method: str) -> Saver:
    return Saver(method, f"zlib_save={method}", f"mail_compress_write_method={method}")


def _mixed(store: MailStore) -> MailStore:
    """Each mail is saved with another method, or plain."""
    return replace(_both(store, READS_ALL), savers=tuple(_saver(method) for method in METHODS))


# -- encryption

ENCRYPTED = MailStore(
    "mail_crypt",
    "mail_plugins = mail_crypt\nplugin {\n  mail_crypt_curve = prime256v1\n  mail_crypt_save_version = 2\n}\n",
    "mail_plugins {\n  mail_crypt = yes\n}\ncrypt_user_key_curve = X25519\n",
)
"""With keys of folders and users."""


def _with_global_key(version: Version) -> str:
    return encrypting(version, "global")


def _in_version_1(version: Version) -> str:
    return encrypting(version, "global", version_1=True)


GLOBAL_KEY = MailStore("mail_crypt-global", more=_with_global_key)
VERSION_1 = MailStore("mail_crypt-1", more=_in_version_1, languages=("2.3",))
"""The older version of the files, which has no tag, and which only 2.3 still writes."""

MIXED_ENCRYPTED = replace(
    SDBOX,
    name="sdbox+mail_crypt-mixed",
    old=SDBOX.old + ENCRYPTED.old + "mail_plugins = $mail_plugins zlib\n",
    new=SDBOX.new + ENCRYPTED.new + "mail_plugins {\n  mail_compress = yes\n}\n",
    savers=(
        _saver("gz"),
        Saver("clear", "mail_crypt_save_version=0", "crypt_write_algorithm="),
        Saver(
            "clear-zstd",
            "mail_crypt_save_version=0 zlib_save=zstd",
            "crypt_write_algorithm= mail_compress_write_method=zstd",
        ),
    ),
)
"""Encrypted or not, compressed or not."""

# -- attribute dictionaries

SERVICE = "service dict {\n  user = root\n  unix_listener dict {\n    mode = 0666\n  }\n}\n"
DICT_PROXY = MailStore(
    "dict-proxy",
    "mail_attribute_dict = proxy::attributes\n"
    "dict {\n  attributes = file:BASE/home/alice/dovecot-attributes\n}\n" + SERVICE,
    "mail_attribute {\n  dict file {\n    dict_driver = proxy\n    dict_proxy_name = attributes\n  }\n}\n"
    "dict_server {\n  dict attributes {\n    dict_driver = file\n"
    "    dict_file_path = BASE/home/alice/dovecot-attributes\n  }\n}\n" + SERVICE,
    takes_files=True,
)
"""A Maildir; Dovecot's dict service has the keys."""
DICT_FILES = MailStore(
    "dict-files",
    "mail_attribute_dict = fs:posix:prefix=%h/attributes/\n",
    "mail_attribute {\n  dict file {\n    dict_driver = fs\n"
    "    fs posix {\n      prefix = %{home}/attributes/\n    }\n  }\n}\n",
    keys=dictionaries.in_files,
    takes_files=True,
)
"""A Maildir; each key is a file."""
DICT_SQLITE = MailStore(
    "dict-sqlite",
    "mail_attribute_dict = proxy::attributes\ndict {\n  attributes = sqlite:BASE/dict.conf\n}\n" + SERVICE,
    languages=("2.3",),
    needs=dictionaries.SQLITE,
    keys=dictionaries.in_sqlite,
    prepare=dictionaries.make_sqlite,
    takes_files=True,
)
"""A Maildir; a database behind Dovecot's dict service has the keys."""

# -- rights, and mail of others

ACL = MailStore(
    "acl",
    "protocol imap-urlauth-worker {\n  mail_plugins = acl\n}\nplugin {\n  acl = vfile\n}\n",
    "protocol imap-urlauth-worker {\n  mail_plugins {\n    acl = yes\n  }\n}\nacl_driver = vfile\n",
    takes_files=True,
    has_acl=True,
)
"""A Maildir whose worker asks for rights."""


def _public() -> MailStore:
    inbox = "namespace inbox {\n  inbox = yes\n  separator = /\n}\n"
    public = "namespace public {\n  type = public\n  prefix = Public/\n  separator = /\n  subscriptions = no\n"
    old = inbox + public + "  location = mdbox:BASE/home/alice/public:INDEXPVT=~/private\n}\n"
    new = inbox + public + "  mail_driver = mdbox\n  mail_path = BASE/home/alice/public\n"
    new += "  mail_index_private_path = ~/private\n}\n"
    return MailStore("public", ACL.old + old, ACL.new + new, has_acl=True, names=Names("Public/"))


# -- names

LIST_INDEX = MailStore(
    "list-index",
    "mail_location = sdbox:~/box:LAYOUT=index:INDEX=~/index\n" + SMALL_LOGS,
    "mail_driver = sdbox\nmail_path = ~/box\nmailbox_list_layout = index\nmail_index_path = ~/index\n"
    + SMALL_LOGS,
)
"""Directories whose names the index of the mailbox list has."""

MOSTLY_NAMES = 0.6
SLASHES = "namespace inbox {\n  inbox = yes\n  separator = /\n}\n"
DOTS = SLASHES.replace("/", ".")
LISTESCAPE = "mail_plugins = listescape\nplugin {\n  listescape_char = ^\n}\n"
STORAGE_ESCAPE = "mailbox_list_storage_escape_char = ^\n"

ESCAPED = MailStore(
    "escaped",
    LISTESCAPE + SLASHES,
    STORAGE_ESCAPE + SLASHES,
    takes_files=True,
    names=Names(
        more={
            "v1.0": "v1.0",
            "a.b%5Ec/d.e": "a.b^c/d.e",
            "%C3%A4.%C3%A4": "&AOQ-.&AOQ-",
            "a%5E2eb": "a^2eb",
            "a%26b/%5E": "a&-b/^",
        },
        share=MOSTLY_NAMES,
    ),
)
"""A Maildir with dots in its names, which it needs itself."""
ESCAPED_FS = MailStore(
    "escaped-fs",
    LISTESCAPE + "mail_location = sdbox:~/box\n" + DOTS,
    STORAGE_ESCAPE + "mail_driver = sdbox\nmail_path = ~/box\n" + DOTS,
    names=Names(more={"a%2Fb.c": "a/b.c", "a%5Eb": "a^b", "a%5E2fb": "a^2fb", "%5E": "^"}, share=MOSTLY_NAMES),
)
"""Directories with slashes in their names."""
BROKEN_CHAR = MailStore(
    "broken-char",
    "mail_location = maildir:~/Maildir:BROKENCHAR=^:LAYOUT=fs\n" + SLASHES,
    "mailbox_list_visible_escape_char = ^\nmailbox_list_layout = fs\n" + SLASHES,
    names=Names(more={"a%5Eb/c%5E26%5E5ed": "a^b/c^26^5ed", "a%5Ee4": "a^e4"}, share=MOSTLY_NAMES),
)
"""Names whose letters stand for bytes that are no mUTF-7."""
ALIAS = MailStore(
    "alias",
    "mail_plugins = mailbox_alias\nplugin {\n  mailbox_alias_old = Sent\n  mailbox_alias_new = Sent Items\n"
    "  mailbox_alias_old2 = Differential\n  mailbox_alias_new2 = Deep.est\n}\n",
    languages=("2.3",),
    takes_files=True,
    names=Names(
        more={"Sent": "Sent"},
        spellings={"Sent%20Items": "Sent", "Deep.est": MAILBOX, "inbox": "INBOX"},
        share=MOSTLY_NAMES,
    ),
)
"""Mailboxes with second names."""

# -- what is left to Dovecot's own imap

ENGINE = MailStore("engine", takes_files=True, read_by="dovecot")
"""A Maildir as any store that only Dovecot knows."""

# -- a writer at work


def _written(store: MailStore) -> MailStore:
    """Index logs are small, so that they rotate every few moments; mails are fewer, and more is asked of each."""
    old, new = (text if SMALL_LOGS in text else text + SMALL_LOGS for text in (store.old, store.new))
    return replace(store, name=f"{store.name}+writer", old=old, new=new, has_writer=True, per_message=40)


WRITTEN_MBOX = replace(_written(MBOX), read_by="auto", is_rewritten=True)
"""What others have changed is left to Dovecot's own imap."""

STORES = {
    store.name: store
    for store in (
        PLAIN,
        SDBOX,
        MDBOX,
        MBOX,
        _compressed("gz"),
        _compressed("zstd"),
        ENCRYPTED,
        DICT_PROXY,
        ACL,
        LIST_INDEX,
        _public(),
        _attachments("sdbox"),
        _both(_attachments("mdbox"), _compressed("gz")),
        _both(MDBOX, _compressed("gz")),
        _both(SDBOX, ENCRYPTED),
        _compressed("bz2"),
        _compressed("lz4"),
        XZ,
        MIXED,
        _mixed(MDBOX),
        GLOBAL_KEY,
        VERSION_1,
        MIXED_ENCRYPTED,
        DICT_FILES,
        DICT_SQLITE,
        ESCAPED,
        ESCAPED_FS,
        BROKEN_CHAR,
        ALIAS,
        ENGINE,
        _written(PLAIN),
        _written(SDBOX),
        _written(MDBOX),
        _written(_mixed(MDBOX)),
        _written(LIST_INDEX),
        WRITTEN_MBOX,
    )
}
