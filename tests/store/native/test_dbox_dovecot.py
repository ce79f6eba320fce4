"""sdbox and mdbox as Dovecot writes them: moved, purged, rebuilt, rotated, and read while that happens."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.store.imap import Dovecot, append, needs_dovecot
from tests.store.native.compared import FLAGS, WHOLE, compare, mail, native, read_all
from tests.store.waiting import key_of, open_mailbox, wait, whole

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_dovecot

SLASH = {"namespace/inbox/separator": "/"}
LAYOUTS = {
    "sdbox": "sdbox:~/box",
    "dbox": "dbox:~/box",
    "sdbox apart": "sdbox:~/box:INDEX=~/index:CONTROL=~/control:ALT=~/alt:VOLATILEDIR=~/volatile:LISTINDEX=l",
    "sdbox with names": "sdbox:~/box:DIRNAME=.mails:MAILBOXDIR=boxes:INDEX=~/index:ALT=~/alt",
    "sdbox with full names": "sdbox:~/box:FULLDIRNAME=.mails:INDEX=~/index",
    "sdbox with another inbox": "sdbox:~/box:INBOX=~/inbox:ALT=~/alt",
    "mdbox": "mdbox:~/box",
    "mdbox apart": "mdbox:~/box:INDEX=~/index:CONTROL=~/control:ALT=~/alt",
    "mdbox with names": "mdbox:~/box:DIRNAME=.mails:MAILBOXDIR=boxes:INDEX=~/index",
    "mdbox with another inbox": "mdbox:~/box:INBOX=~/inbox:UTF-8",
}
SMALL_LOGS = """
mail_index_log_rotate_min_size = 2k
mail_index_log_rotate_max_size = 4k
mail_index_log_rotate_min_age = 0
mail_index_rewrite_min_log_bytes = 1k
mail_index_rewrite_max_log_bytes = 3k
mdbox_rotate_size = 20k
"""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(folder: Path, layout: str) -> None:
    dovecot = Dovecot(folder, LAYOUTS[layout])
    names = {b"INBOX": b"INBOX", b"Sub": b"Sub", b"Sub/a": b"Sub/a", b"a&-b/&2D3eAA-": b"a&b/\xf0\x9f\x98\x80"}
    if "UTF-8" not in LAYOUTS[layout]:
        names[b"Entw&APw-rfe"] = "Entwürfe".encode()
    random = Random(layout)
    dovecot.imap(*(b'CREATE "%s"' % name for name in names if name != b"INBOX"))
    dovecot.imap(
        *(append(random.choice(list(names)), mail(random), random.choice(FLAGS)) for _ in range(60)),
        *(append(name, mail(random)) for name in names),
    )
    assert compare(dovecot, names) == 60 + len(names)
    for name in (b"INBOX", b"Sub/a"):
        key = dovecot.key(name)
        assert key_of(native(dovecot), name) == key
    if "ALT" in LAYOUTS[layout]:
        dovecot.doveadm("altmove", "all")
        assert compare(dovecot, names) == 60 + len(names)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("driver", ["sdbox", "mdbox"])
def test_history(folder: Path, driver: str, seed: int) -> None:
    """Rounds of everything that changes the indexes and the files, with small logs that rotate often."""
    dovecot = Dovecot(folder, f"{driver}:~/box:ALT=~/alt", more=SMALL_LOGS if seed % 2 else "")
    random = Random(seed)
    opened = None
    dovecot.imap(b"CREATE Sub")
    for number in range(6):
        commands = [append(b"INBOX", mail(random), random.choice(FLAGS)) for _ in range(30)]
        commands.append(b"SELECT INBOX")
        for _ in range(10):
            low = random.randint(1, 120)
            what = random.choice([b"+FLAGS", b"-FLAGS", b"FLAGS"]) + b".SILENT (%s)" % random.choice(FLAGS)
            commands.append(b"UID STORE %d:%d %s" % (low, low + random.randint(0, 9), what))
            commands.append(b"UID COPY %d %s" % (low + 3, random.choice([b"INBOX", b"Sub"])))
        commands += [rb"UID STORE %d +FLAGS.SILENT \Deleted" % random.randint(1, 150) for _ in range(5)]
        commands.append(b"EXPUNGE")
        dovecot.imap(*commands, check=False)
        low = random.randint(1, 100)
        dovecot.doveadm(*[["altmove", "mailbox", "INBOX", "uid", f"{low}:{low + 40}"], ["purge"]][number % 2])
        if number == 4:
            dovecot.doveadm("altmove", "-r", "mailbox", "INBOX", "uid", f"{low}:{low + 20}")
        expected = dovecot.mails(b"INBOX")
        assert len(expected) > 20
        # One mailbox stays open through all rounds, the other one sees each state first.
        opened = opened or open_mailbox(native(dovecot), b"INBOX")
        for uid, content in expected.items():
            assert wait(whole(wait(opened.fetch(uid, WHOLE)))) == content
        assert read_all(native(dovecot), b"INBOX", max(expected) + 5) == expected
        assert read_all(native(dovecot), b"Sub", 100) == dovecot.mails(b"Sub")
