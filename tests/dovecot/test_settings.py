"""Settings of real sites: ours reads what the stock worker reads, by ourselves or through the engine.

Each case is a configuration on top of the tests' own.  The stock worker runs beside ours, as another service of
the same Dovecot, and both are asked the same.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from testing.instance import HOST, DovecotInstance
from testing.oracle import STOCK_WORKER, WORKER, Answer, WorkerSession, mailbox_keys, sign
from testing.scene import MESSAGE, Scene
from testing.versions import ALL_OURS, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dovecot.conftest import Installations

    Starter = Callable[..., DovecotInstance]

REFUSED = None
"""The mail is not given."""

NATIVE = "native"
DOVECOT = "dovecot"


@dataclass(frozen=True)
class Case:
    """One configuration: which road is to be taken, and what is set in each language (or None).

    ``{base}`` in them is the instance's folder.
    """

    road: str
    old: str | None = None
    new: str | None = None
    fields: str = ""
    """More fields of the userdb's answer."""
    no_home: bool = False
    """The userdb does not know the home."""
    acl: str = ""
    """Alice's ACL of her INBOX."""
    answer: bytes | None = MESSAGE
    stock: bytes | None = MESSAGE
    mailbox: tuple[str, str] = ("INBOX", "INBOX")
    """The name in IMAP and the name in the URL."""
    host: str = HOST


DENIED = "user=alice l\n"
OWNER = "  acl owner {{\n    rights = lrwstipekxa\n  }}\n"
ALLOWED = "user=alice lrw\n"
NAMESPACES = "namespace inbox {{\n  inbox = yes\n  separator = /\n}}\nnamespace {name} {{\n  {text}\n}}\n"

ENGINE = ("mail_plugins = virtual\n", "mail_plugins {{\n  virtual = yes\n}}\n")
"""What only Dovecot's own imap can do, in both languages."""

SLASHES = "namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n"
DOTS = SLASHES.replace("/", ".")

SENT_ITEMS = (
    "mail_plugins = mailbox_alias\nplugin {{\n  mailbox_alias_old = Sent\n  mailbox_alias_new = Sent Items\n}}\n"
)

DEL = "a mailbox with DEL in its name"
WITHOUT_DEL = (2, 4, 2)
"""Since then none is created."""

CASES = {
    "inbox path set to nothing": Case(NATIVE, new="mail_inbox_path ="),
    "inbox path set to nothing in the namespace": Case(
        NATIVE, new="mail_inbox_path = .\nnamespace inbox {{\n  inbox = yes\n  mail_inbox_path =\n}}\n"
    ),
    "inbox path set to nothing with layout fs": Case(NATIVE, new="mail_inbox_path =\nmailbox_list_layout = fs\n"),
    "acl for the worker, denied": Case(
        NATIVE,
        old="protocol imap-urlauth-worker {{\n  mail_plugins = acl\n}}\nplugin {{\n  acl = vfile\n}}\n",
        new="protocol imap-urlauth-worker {{\n  mail_plugins {{\n    acl = yes\n  }}\n}}\nacl_driver = vfile\n",
        acl=DENIED,
        answer=REFUSED,
        stock=REFUSED,
    ),
    "acl for the worker, its settings too, denied": Case(
        NATIVE,
        new="protocol imap-urlauth-worker {{\n  mail_plugins {{\n    acl = yes\n  }}\n  acl_driver = vfile\n}}\n",
        acl=DENIED,
        answer=REFUSED,
        stock=REFUSED,
    ),
    "acl for the worker, allowed": Case(
        NATIVE,
        old="protocol imap-urlauth-worker {{\n  mail_plugins = acl\n}}\nplugin {{\n  acl = vfile\n}}\n",
        new="protocol imap-urlauth-worker {{\n  mail_plugins {{\n    acl = yes\n  }}\n  acl_driver = vfile\n}}\n",
        acl=ALLOWED,
    ),
    "acl in one namespace, denied": Case(
        DOVECOT,
        new="protocol imap-urlauth-worker {{\n  mail_plugins {{\n    acl = yes\n  }}\n}}\n"
        "namespace inbox {{\n  inbox = yes\n  acl_driver = vfile\n}}\n",
        acl=DENIED,
        answer=REFUSED,
        stock=REFUSED,
    ),
    "acl for imap only, denied": Case(
        NATIVE,
        old="protocol imap {{\n  mail_plugins = acl\n}}\nplugin {{\n  acl = vfile\n}}\n",
        new="protocol imap {{\n  mail_plugins {{\n    acl = yes\n  }}\n  acl_driver = vfile\n}}\n",
        acl=DENIED,
        answer=REFUSED,
    ),
    "acl for imap only, allowed": Case(
        NATIVE,
        old="protocol imap {{\n  mail_plugins = acl\n}}\nplugin {{\n  acl = vfile\n}}\n",
        new="protocol imap {{\n  mail_plugins {{\n    acl = yes\n  }}\n  acl_driver = vfile\n}}\n",
        acl=ALLOWED,
    ),
    "acl for imap only, rights in its settings": Case(
        NATIVE,
        new="protocol imap {{\n  mail_plugins {{\n    acl = yes\n  }}\n  acl_driver = vfile\n" + OWNER + "}}\n",
        acl="owner w\n",
    ),
    "acl for imap only, rights in its settings, through the engine": Case(
        DOVECOT,
        new="protocol imap {{\n  mail_plugins {{\n    acl = yes\n  }}\n  acl_driver = vfile\n" + OWNER + "}}\n"
        "protocol imap-urlauth-worker {{\n  mail_plugins {{\n    virtual = yes\n  }}\n}}\n",
        acl="owner w\n",
    ),
    "mail elsewhere for imap": Case(
        DOVECOT,
        old="protocol imap {{\n  mail_location = maildir:~/Elsewhere\n}}\n",
        new="protocol imap {{\n  mail_path = ~/Elsewhere\n}}\n",
        answer=REFUSED,
        stock=REFUSED,
    ),
    "mail elsewhere for imap, through the engine": Case(
        DOVECOT,
        old=ENGINE[0] + "mail_location = sdbox:~/box\nprotocol imap {{\n  mail_location = sdbox:~/Elsewhere\n}}\n",
        new=ENGINE[1]
        + "mail_driver = sdbox\nmail_path = ~/box\nprotocol imap {{\n  mail_path = ~/Elsewhere\n}}\n",
        answer=REFUSED,
        stock=REFUSED,
    ),
    "mail as the worker finds it, through the engine": Case(
        DOVECOT,
        old=ENGINE[0] + "mail_location = sdbox:~/Elsewhere\n"
        "protocol imap-urlauth-worker {{\n  mail_location = sdbox:~/box\n}}\n"
        "protocol imap {{\n  mail_location = sdbox:~/box\n}}\n",
        new=ENGINE[1] + "mail_driver = sdbox\nmail_path = ~/Elsewhere\n"
        "protocol imap-urlauth-worker {{\n  mail_path = ~/box\n}}\n"
        "protocol imap {{\n  mail_path = ~/box\n}}\n",
    ),
    "first_valid_uid for imap alone does not bind the worker": Case(
        NATIVE,
        old="first_valid_uid = 6000\n"
        "protocol imap {{\n  first_valid_uid = 1\n}}\n"
        "protocol imap-urlauth-worker {{\n  first_valid_uid = 1\n}}\n",
        new="first_valid_uid = 6000\n"
        "protocol imap {{\n  first_valid_uid = 1\n}}\n"
        "protocol imap-urlauth-worker {{\n  first_valid_uid = 1\n}}\n",
    ),
    "a home below a hash": Case(
        NATIVE,
        old="mail_home = {base}/homes/%2.256Nu-%u\n",
        new="mail_home = {base}/homes/%{{user | sha1}}\n",
        no_home=True,
    ),
    "a home that only Dovecot finds": Case(
        DOVECOT,
        old="mail_home = {base}/homes/%{{if;%u;eq;alice;a;b}}%u\n",
        new="mail_home = {base}/homes/%{{user | if('eq', 'alice', 'a', 'b')}}%{{user}}\n",
        no_home=True,
    ),
    "hashed directories, an imported variable and the machine's name": Case(
        NATIVE,
        old="import_environment = TZ STORE=disk\n"
        "mail_location = maildir:{base}/homes/%{{env:STORE}}-%1Mu/%2.16Nu/%{{hostname}}-%u\n",
        new="import_environment {{\n  STORE = disk\n}}\n"
        "mail_path = {base}/homes/%{{env:STORE}}-%{{user | md5 | hexlify(1)}}/%{{user | md5 % 16 | hex(2)}}/"
        "%{{hostname}}-%{{user}}\n",
    ),
    "a variable with a default": Case(DOVECOT, new='mail_path = %{{env:NOSUCH | default("~/Maildir")}}\n'),
    "a field of the userdb": Case(
        NATIVE,
        old="mail_location = maildir:~/%{{userdb:disk}}\n",
        new='mail_path = ~/%{{userdb:disk | default("Maildir")}}\n',
        fields="userdb_disk=other",
    ),
    "the machine's own names": Case(
        NATIVE,
        old="hostname =\nmail_location = maildir:~/%{{hostname}}\n",
        new="hostname =\nmail_path = ~/%{{hostname}}/%{{system:hostname}}\n",
    ),
    "a field of the userdb that begins with a tilde": Case(
        DOVECOT, new="mail_path = %{{userdb:disk}}\n", fields="userdb_disk=~/other"
    ),
    "a field that the userdb has not": Case(
        NATIVE,
        old="mail_location = maildir:~/%{{userdb:nosuch:Maildir}}\n",
        new='mail_path = ~/%{{userdb:nosuch | default("Maildir")}}\n',
    ),
    "a field that the userdb has not, nor a default": Case(
        NATIVE, old="mail_location = maildir:~/Maildir%{{userdb:nosuch}}\n"
    ),
    "a host from the userdb": Case(
        NATIVE, new="imap_urlauth_host = %{{userdb:host}}\n", fields="userdb_host=urls.test", host="urls.test"
    ),
    "a shared namespace": Case(
        NATIVE,
        old=NAMESPACES.format(
            name="shared",
            text="type = shared\n  separator = /\n  prefix = shared/%%u/\n  location = maildir:%%h/M",
        )
        .replace("{", "{{")
        .replace("}", "}}"),
        new=NAMESPACES.format(name="shared", text="type = shared\n  separator = /\n  prefix = shared/$user/")
        .replace("{", "{{")
        .replace("}", "}}"),
    ),
    "the name of an alias": Case(
        DOVECOT,
        old=NAMESPACES.format(
            name="alias", text="separator = /\n  prefix = Alias/\n  alias_for =\n  hidden = yes\n  list = no"
        )
        .replace("{", "{{")
        .replace("}", "}}"),
        mailbox=("Sub", "Alias/Sub"),
    ),
    DEL: Case(
        NATIVE, old="mail_location = sdbox:~/box\n", new="mail_driver = sdbox\n", mailbox=("a&AH8-b", "a%7Fb")
    ),
    "sdbox": Case(NATIVE, old="mail_location = sdbox:~/box\n", new="mail_driver = sdbox\n"),
    "mdbox": Case(NATIVE, old="mail_location = mdbox:~/box\n", new="mail_driver = mdbox\n"),
    "mdbox in several places": Case(
        NATIVE,
        old="mail_location = mdbox:~/box:INDEX=~/index:CONTROL=~/control:ALT=~/alt\n",
        new="mail_driver = mdbox\nmail_index_path = ~/index\nmail_control_path = ~/control\n"
        "mail_alt_path = ~/alt\n",
        mailbox=("Sub/a", "Sub/a"),
    ),
    "sdbox with an index elsewhere, named as before": Case(
        NATIVE,
        old="mail_location = sdbox:~/box:INDEX=~/index\n",
        new="mail_driver = sdbox\nmail_index_path = ~/index\nmailbox_directory_name_legacy = yes\n",
    ),
    "sdbox with an index elsewhere, named in full": Case(
        NATIVE,
        old="mail_location = sdbox:~/box:INDEX=~/index:FULLDIRNAME=mails\n",
        new="mail_driver = sdbox\nmail_index_path = ~/index\nmailbox_directory_name_legacy = no\n",
    ),
    "mdbox with names of its own": Case(
        NATIVE,
        old="mail_location = mdbox:~/box:DIRNAME=mails:MAILBOXDIR=boxes:INBOX=~/in\n",
        new="mail_driver = mdbox\nmailbox_directory_name = mails\nmailbox_root_directory_name = boxes\n"
        "mail_inbox_path = ~/in\n",
    ),
    "a mailbox with a second name": Case(
        NATIVE,
        old=SENT_ITEMS,
        mailbox=("Sent", "Sent"),
    ),
    "the second name of a mailbox": Case(
        NATIVE,
        old=SENT_ITEMS,
        mailbox=("Sent Items", "Sent%20Items"),
    ),
    "an archive in mdbox": Case(
        NATIVE,
        old="namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n"
        "namespace archive {{\n  separator = /\n  prefix = Archive/\n  location = mdbox:~/archive\n}}\n",
        new="namespace inbox {{\n  inbox = yes\n  separator = /\n}}\nnamespace archive {{\n  separator = /\n"
        "  prefix = Archive/\n  mail_driver = mdbox\n  mail_path = ~/archive\n}}\n",
        mailbox=("Archive/old", "Archive/old"),
    ),
    "names with an escape character": Case(
        NATIVE,
        old="mail_plugins = listescape\nplugin {{\n  listescape_char = ^\n}}\n" + SLASHES,
        new="mailbox_list_storage_escape_char = ^\n" + SLASHES,
        mailbox=("a.b^c/d.e", "a.b%5Ec/d.e"),
    ),
    "names that are not ASCII, with an escape character": Case(
        NATIVE,
        old="mail_plugins = listescape\n" + SLASHES,
        new='mailbox_list_storage_escape_char = "|"\n' + SLASHES,
        mailbox=("&AOQ-.&AOQ-", "%C3%A4.%C3%A4"),
    ),
    "a layout of directories with an escape character": Case(
        NATIVE,
        old="mail_plugins = listescape\nmail_location = maildir:~/Maildir:LAYOUT=fs\n" + DOTS,
        new="mailbox_list_storage_escape_char = ^\nmailbox_list_layout = fs\n" + DOTS,
        mailbox=("a/b.c", "a%2Fb.c"),
    ),
    "a character for names that are no mUTF-7": Case(
        NATIVE,
        old="mail_location = maildir:~/Maildir:BROKENCHAR=^\n",
        new="mailbox_list_visible_escape_char = ^\n",
        mailbox=("a.&AOQ-", "a.%C3%A4"),
    ),
    "names with such a character": Case(
        NATIVE,
        old="mail_location = maildir:~/Maildir:BROKENCHAR=^:LAYOUT=fs\n" + SLASHES,
        new="mailbox_list_visible_escape_char = ^\nmailbox_list_layout = fs\n" + SLASHES,
        mailbox=("a^b/c^26^5ed", "a%5Eb/c%5E26%5E5ed"),
    ),
    "a list of mailboxes in an index": Case(
        NATIVE,
        old="mail_location = mdbox:~/box:LAYOUT=index:INDEX=~/index\n" + DOTS,
        new="mail_driver = mdbox\nmail_path = ~/box\nmailbox_list_layout = index\nmail_index_path = ~/index\n"
        + DOTS,
        mailbox=("a^b/c.&AOQ-", "a%5Eb%2Fc.%C3%A4"),
    ),
    "a private index": Case(
        NATIVE,
        old="mail_location = maildir:~/Maildir:INDEXPVT=~/private\n",
        new="mail_index_private_path = ~/private\n",
    ),
    "a volatile directory": Case(
        NATIVE,
        old="mail_location = maildir:~/Maildir:VOLATILEDIR={base}/tmp/%u\n",
        new="mail_volatile_path = {base}/tmp/%{{user}}\n",
    ),
    "plugins that do not matter": Case(
        NATIVE,
        old="mail_plugins = quota pop3_migration notify mail_log\n",
        new="mail_plugins {{\n  quota = yes\n  pop3_migration = yes\n  notify = yes\n  mail_log = yes\n}}\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_settings(starter: Starter, installations: Installations, version: Version, name: str) -> None:
    case = CASES[name]
    extra = case.old if version.language == "2.3" else case.new
    if extra is None:
        pytest.skip(f"not in the language of {version.language}")
    if name == DEL and version.number >= WITHOUT_DEL:
        pytest.skip("this version creates no such mailbox")
    dovecot = DovecotInstance(version, ALL_OURS, installations[version])
    dovecot.extra = f"mail_debug = yes\n{extra.format(base=dovecot.inside)}\n"
    starter(dovecot, "mailbox_directory_name_legacy=yes has been deprecated")
    prepare(dovecot, case)
    mark = dovecot.log.mark()
    imap_name, url_name = case.mailbox
    with Scene(dovecot) as scene:
        if imap_name != "INBOX":
            scene.create(imap_name)
        stored = scene.store(mailbox=imap_name)
        scene.sign(stored, host=case.host, mailbox=url_name)
    url = sign(stored.rump(host=case.host, mailbox=url_name).encode(), key_of(dovecot))
    if case.acl:
        acl = dovecot.home("alice") / "Maildir" / "dovecot-acl"
        acl.write_text(case.acl)
        os.chown(acl, dovecot.users["alice"], dovecot.users["alice"])
    for worker, expected in ((STOCK_WORKER, case.stock), (WORKER, case.answer)):
        answer = ask(dovecot, worker, url)
        assert (answer.content if answer.ok else REFUSED) == expected, (worker, answer)
    dovecot.log.wait_for("store: ", mark)  # the answer is faster than the log
    roads = [line.rpartition("store: ")[2] for line in dovecot.log.since(mark) if "store: " in line]
    assert roads[-1].partition(":")[0] == case.road, roads


def prepare(dovecot: DovecotInstance, case: Case) -> None:
    """Give the users what the userdb is to say of them."""
    homes = dovecot.folder / "homes"
    homes.mkdir()
    homes.chmod(0o1777)
    users = dovecot.folder / "users"
    lines = [line.split(":") for line in users.read_text().splitlines()]
    for words in lines:
        words[5] = "" if case.no_home else words[5]
        words[7] = case.fields
    users.write_text("".join(":".join(words) + "\n" for words in lines))


def key_of(dovecot: DovecotInstance) -> bytes:
    """The one mailbox key that there is, wherever the homes are."""
    [attributes] = dovecot.folder.rglob("dovecot-attributes")
    [key] = mailbox_keys(attributes.parent)
    return key


def ask(dovecot: DovecotInstance, worker: str, url: bytes) -> Answer:
    with WorkerSession(dovecot, worker) as session:
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        return session.fetch(url, b"body")
