"""The native store reads what Dovecot's own imap reads, whatever Dovecot did to the mailbox before."""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.store.errors import MailboxMissing, ReadFailed
from dovecot_urlauth.store.native.files import Directory
from tests.store.imap import UID, Dovecot, append, needs_dovecot
from tests.store.native.compared import FLAGS, WHOLE, compare, mail, native, read_all
from tests.store.waiting import key_of, open_mailbox, wait, whole

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_dovecot


LAYOUTS = {
    "maildir++": ("maildir:~/Maildir", "", {}),
    "maildir++ with /": ("maildir:~/Maildir", "separator = /", {"namespace/inbox/separator": "/"}),
    "prefix": (
        "maildir:~/Maildir",
        "separator = /\n  prefix = INBOX/",
        {"namespace/inbox/separator": "/", "namespace/inbox/prefix": "INBOX/"},
    ),
    "apart": ("maildir:~/Maildir:INDEX=~/index:CONTROL=~/control:VOLATILEDIR=~/volatile:LISTINDEX=l", "", {}),
    "inbox elsewhere": ("maildir:~/folders:INBOX=~/inbox/", "", {}),
    "fs": ("maildir:~/Maildir:LAYOUT=fs", "", {}),
    "fs apart": ("maildir:~/mail:LAYOUT=fs:INDEX=~/index:CONTROL=~/control", "", {}),
    "fs with names": ("maildir:~/mail:LAYOUT=fs:DIRNAME=.mails:MAILBOXDIR=boxes:INDEX=~/index", "", {}),
    "fs with full names": ("maildir:~/mail:LAYOUT=fs:FULLDIRNAME=.mails:INDEX=~/index", "", {}),
    "utf-8": ("maildir:~/Maildir:UTF-8", "", {}),
    "variables": ("maildir:%h/%Lu/%1n/%{uid}", "", {}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(folder: Path, layout: str) -> None:
    location, namespace, changes = LAYOUTS[layout]
    dovecot = Dovecot(folder, location, namespace)
    separator = changes.get("namespace/inbox/separator", "." if "fs" not in layout else "/").encode()
    prefix = changes.get("namespace/inbox/prefix", "").encode()
    names = {b"INBOX": b"INBOX"}
    for imap_name, url_name in ((b"Sub", b"Sub"), (b"Entw&APw-rfe", "Entwürfe".encode()), (b"a&-b", b"a&b")):
        names[prefix + imap_name] = prefix + url_name
        names[prefix + imap_name + separator + b"&2D3eAA-"] = prefix + url_name + separator + "😀".encode()
    random = Random(layout)
    dovecot.imap(*(b'CREATE "%s"' % name for name in names if name != b"INBOX"))
    dovecot.imap(
        *(append(random.choice(list(names)), mail(random), random.choice(FLAGS)) for _ in range(60)),
        *(append(name, mail(random)) for name in names),
    )
    assert compare(dovecot, names, changes) == 60 + len(names)
    key = dovecot.key(b"INBOX")
    assert key_of(native(dovecot, changes), b"inBox") == key


@pytest.mark.parametrize("layout", ["maildir++", "fs", "fs apart", "fs with names"])
def test_a_message_that_is_not_there(folder: Path, layout: str) -> None:
    """The stock worker's words, whatever the layout: whoever asks has shown a valid token."""
    location, namespace, changes = LAYOUTS[layout]
    dovecot = Dovecot(folder, location, namespace)
    dovecot.imap(append(b"INBOX", b"a: b\r\n\r\n"), b"CREATE Sub", append(b"Sub", b"a: b\r\n\r\n"))
    for name in (b"INBOX", b"Sub"):
        opened = open_mailbox(native(dovecot, changes), name)
        assert dovecot.key(name) == wait(opened.key())
        with pytest.raises(ReadFailed, match="Message not found"):
            wait(opened.fetch(999, WHOLE))


def test_key(folder: Path) -> None:
    dovecot = Dovecot(folder, "maildir:~/Maildir")
    dovecot.imap(append(b"INBOX", b"a: b\r\n\r\n"), b"CREATE Sub", append(b"Sub", b"a: b\r\n\r\n"))
    opened = open_mailbox(native(dovecot), b"INBOX")
    assert wait(opened.key()) is None
    key = dovecot.key(b"INBOX")
    assert wait(opened.key()) == key
    dovecot.key(b"Sub")
    assert wait(opened.key()) == key
    dovecot.imap(b"RESETKEY INBOX INTERNAL")
    assert wait(opened.key()) is None


def test_uidvalidity(folder: Path) -> None:
    dovecot = Dovecot(folder, "maildir:~/Maildir")
    answer = dovecot.imap(append(b"INBOX", b"a: b\r\n\r\n"), b"STATUS INBOX (UIDVALIDITY)")[1]
    value = int(answer.partition(b"(UIDVALIDITY ")[2].partition(b")")[0])
    store = native(dovecot)
    open_mailbox(store, b"INBOX", value).close()
    with pytest.raises(MailboxMissing):
        open_mailbox(store, b"INBOX", value + 1)


@pytest.mark.parametrize("seed", range(4))
def test_history(folder: Path, seed: int) -> None:
    """Rounds of everything that changes index, log, uidlist and file names, with small logs that rotate often."""
    more = "mail_index_log_rotate_min_size = 2k\nmail_index_log_rotate_max_size = 4k"
    more += "\nmail_index_log_rotate_min_age = 0\nmail_index_rewrite_min_log_bytes = 1k"
    more += "\nmail_index_rewrite_max_log_bytes = 3k"
    dovecot = Dovecot(folder, "maildir:~/Maildir", more=more if seed % 2 else "")
    random = Random(seed)
    opened = None
    for _ in range(6):
        commands = [append(b"INBOX", mail(random), random.choice(FLAGS)) for _ in range(30)]
        commands.append(b"SELECT INBOX")
        for _ in range(15):
            low = random.randint(1, 120)
            what = random.choice([b"+FLAGS", b"-FLAGS", b"FLAGS"]) + b".SILENT (%s)" % random.choice(FLAGS)
            commands.append(b"UID STORE %d:%d %s" % (low, low + random.randint(0, 9), what))
        commands += [rb"UID STORE %d +FLAGS.SILENT \Deleted" % random.randint(1, 150) for _ in range(5)]
        commands.append(b"EXPUNGE")
        dovecot.imap(*commands)
        expected = dovecot.mails(b"INBOX")
        assert len(expected) > 20
        # One mailbox stays open through all rounds, the other one sees each state first.
        opened = opened or open_mailbox(native(dovecot), b"INBOX")
        for uid, content in expected.items():
            assert wait(whole(wait(opened.fetch(uid, WHOLE)))) == content
        assert read_all(native(dovecot), b"INBOX", max(expected) + 5) == expected


def test_delivery_that_no_session_has_seen(folder: Path) -> None:
    dovecot = Dovecot(folder, "maildir:~/Maildir")
    dovecot.imap(append(b"INBOX", b"a: b\r\n\r\none"))
    delivered = dovecot.home / "Maildir" / "new" / "1.2.host"
    delivered.write_bytes(b"a: b\n\ntwo\n")
    os.chown(delivered, UID, UID)
    opened = open_mailbox(native(dovecot), b"INBOX")
    with pytest.raises(ReadFailed, match="Message not found"):
        wait(opened.fetch(2, WHOLE))
    assert dovecot.mails(b"INBOX")[2] == b"a: b\r\n\r\ntwo\r\n"
    assert wait(whole(wait(opened.fetch(2, WHOLE)))) == b"a: b\r\n\r\ntwo\r\n"


def test_no_maildir_is_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags and keywords in index and log tell the name of each file that Dovecot has named."""
    dovecot = Dovecot(folder, "maildir:~/Maildir")
    random = Random(1)
    keywords = [b"", b"NonJunk", b"$Forwarded", b"Junk a b c", rb"\Seen NonJunk x", rb"\Flagged \Draft"]
    dovecot.imap(*(append(b"INBOX", mail(random), random.choice(keywords)) for _ in range(40)))
    for _ in range(4):
        lows = [random.randint(1, 40) for _ in range(10)]
        changes = [
            b"UID STORE %d:%d %sFLAGS.SILENT (%s)" % (low, low + 5, random.choice([b"+", b"-", b""]), words)
            for low, words in zip(lows, random.choices(keywords, k=10))
        ]
        dovecot.imap(b"SELECT INBOX", *changes)
        expected = dovecot.mails(b"INBOX")
        with monkeypatch.context() as patch:
            patch.setattr(Directory, "names", lambda self: pytest.fail("listed"))
            assert read_all(native(dovecot), b"INBOX", 45) == expected


def test_renamed_and_removed_behind_dovecots_back(folder: Path) -> None:
    dovecot = Dovecot(folder, "maildir:~/Maildir")
    dovecot.imap(append(b"INBOX", b"a: b\r\n\r\none"), append(b"INBOX", b"a: b\r\n\r\ntwo"), b"SELECT INBOX")
    opened = open_mailbox(native(dovecot), b"INBOX")
    # names have microseconds that are not padded, and so no order
    files = {file.read_bytes()[-3:]: file for file in (dovecot.home / "Maildir" / "cur").iterdir()}
    first, second = files[b"one"], files[b"two"]
    first.rename(first.with_name(first.name.partition(":")[0] + ":2,FPRSab"))
    second.unlink()
    assert wait(whole(wait(opened.fetch(1, WHOLE)))) == b"a: b\r\n\r\none"
    with pytest.raises(ReadFailed, match="expunged"):
        wait(opened.fetch(2, WHOLE))


def test_index_files_lost(folder: Path) -> None:
    """Without `dovecot.index` the log tells all, as long as it goes back to the beginning."""
    dovecot = Dovecot(folder, "maildir:~/Maildir")
    dovecot.imap(*(append(b"INBOX", b"a: b\r\n\r\n%d" % number) for number in range(5)))
    (dovecot.home / "Maildir" / "dovecot.index").unlink(missing_ok=True)
    (dovecot.home / "Maildir" / "dovecot.index.cache").unlink(missing_ok=True)
    found = read_all(native(dovecot), b"INBOX", 9)
    assert found == {number + 1: b"a: b\r\n\r\n%d" % number for number in range(5)}
