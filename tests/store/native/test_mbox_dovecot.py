"""mbox as Dovecot's own imap shows it, whoever wrote the file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.store.errors import MailboxMissing, ReadFailed, StoreFailure
from tests.store.imap import UID, Dovecot, append, needs_dovecot
from tests.store.native.compared import WHOLE, compare, mail, native, read_all
from tests.store.waiting import key_of, open_mailbox, wait, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_dovecot

FROM_LINES = [
    b"From alice@example.test  Thu Nov 26 10:00:00 2026",
    b"From MAILER-DAEMON Fri Feb  6 01:02:03 2026",
    b'From "a b"@example.test Thu Nov 26 10:00:00 2026 +0300',
    b"From x Thu Nov 26 10:00:00 +0100 2026",
    b"From x Thu Nov 26 10:00:00 MET 2026",
    b"From - Thu Nov 26 10:00 2026 remote",
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A new folder in which every user may write, as /var/mail is for its group."""
    with tempfile.TemporaryDirectory(prefix="du-mbox-") as name:
        made = Path(name)
        made.chmod(0o1777)
        yield made


def debian(folder: Path, more: str = "") -> Dovecot:
    """Debian's default: folders in ~/mail, INBOX in a spool directory."""
    dovecot = Dovecot(folder, f"mbox:~/mail:INBOX={folder}/%u", more=more)
    (dovecot.home / "mail").mkdir()
    os.chown(dovecot.home / "mail", UID, UID)
    return dovecot


def deliver(path: Path, *mails: bytes, from_line: bytes = FROM_LINES[0]) -> None:
    """Add mails to a file as a delivery agent does."""
    with path.open("ab") as file:
        for each in mails:
            file.write(from_line + b"\n" + each + (b"" if each.endswith(b"\n") else b"\n") + b"\n")
    os.chown(path, UID, UID)


def odd_mail(random: Random) -> bytes:
    """A message with what an mbox reader stumbles over, line ends as a delivery agent has them."""
    own = [b"Status: RO", b"X-Status: A", b"X-UID: 77", b"Content-Length: 12", b"X-Keywords: a b",
           b"X-IMAPbase: 5 0000000009", b"sTaTuS : R", b"X-IMAP: 1 0000000001", b"Status\0x: O",
           b"X-Keywords: a\n b\n\tc", b"Content-Length: 10\n ", b"X-UID:\n 3", b"Status"]  # fmt: skip
    fields = [b"Subject: %d" % random.randint(0, 1 << 30), b"From: a@example.test", b"To: b\n c\n\td",
              b"no colon", b": empty", b"A: \xff\r", b"Long: " + b"y " * random.choice([5, 5000]),
              b"Statusx: kept", b"XStatus: kept", b" first"]  # fmt: skip
    header = random.sample(own, random.randint(0, 4)) + random.sample(fields, random.randint(0, 6))
    random.shuffle(header)
    words = [b"word", b"\n", b"\r\n", b"\r", b"\nFrom me to you\n", b"\n>From x Thu Nov 26 10:00:00 2026\n",
             b"\nFrom", b"\n\n", b"x" * 700, b"\0", b" "]  # fmt: skip
    body = b"".join(random.choices(words, k=random.randint(0, 40)))
    end = random.choice([b"\n", b"\r\n"])
    text = b"\n".join(header) + b"\n" * bool(header)
    return text.replace(b"\n", end) + random.choice([end, end, end, b""]) + body


@pytest.mark.parametrize("seed", range(12))
def test_what_a_delivery_agent_writes(folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file that Dovecot may not write: of fields without a line end and with CR it would make other ones.

    UIDs that it cannot write make the index doubt its offsets, which are right for all that.
    """
    monkeypatch.setattr("dovecot_urlauth.store.native.mbox.opened_mbox.Synced.is_dirty", False)
    dovecot = debian(folder)
    random = Random(seed)
    for _ in range(40):
        deliver(folder / "bob", odd_mail(random), from_line=random.choice(FROM_LINES))
    os.chown(folder / "bob", 0, 0)
    assert compare(dovecot, {b"INBOX": b"INBOX"}) >= 39  # the first may be Dovecot's own (X-IMAP)


@pytest.mark.parametrize("seed", range(4))
def test_history(folder: Path, seed: int) -> None:
    """Rounds of deliveries, appends, flags and expunges, by Dovecot and by others, with logs that rotate often."""
    more = "mail_index_log_rotate_min_size = 2k\nmail_index_log_rotate_max_size = 4k"
    more += "\nmail_index_log_rotate_min_age = 0\nmail_index_rewrite_min_log_bytes = 1k"
    more += "\nmail_index_rewrite_max_log_bytes = 3k"
    dovecot = debian(folder, more if seed % 2 else "")
    random = Random(seed)
    opened = None
    for number in range(8):
        deliver(folder / "bob", *(mail(random).replace(b"\0", b"") for _ in range(random.randint(0, 8))))
        commands = [append(b"INBOX", mail(random)) for _ in range(random.randint(1, 8))]
        commands.append(b"SELECT INBOX")
        for _ in range(6):
            flags = random.choice([r"\Seen", r"\Answered \Flagged", "$Forwarded", "Junk x y"])
            low = random.randint(1, 99)
            high = low + random.randint(0, 20)
            commands.append(f"UID STORE {low}:{high} +FLAGS.SILENT ({flags})".encode())
        commands += [rb"UID STORE %d +FLAGS.SILENT \Deleted" % random.randint(1, 99) for _ in range(number)]
        commands.append(b"EXPUNGE")
        dovecot.imap(*commands)
        expected = dovecot.mails(b"INBOX")
        opened = opened or open_mailbox(native(dovecot), b"INBOX")
        for uid, content in expected.items():
            assert wait(whole(wait(opened.fetch(uid, WHOLE)))) == content
        assert read_all(native(dovecot), b"INBOX", max(expected, default=0) + 5) == expected


LAYOUTS = {
    "debian": ("mbox:~/mail:INBOX={folder}/%u", "", {}),
    "default inbox": ("mbox:~/mail", "", {}),
    "index apart": ("mbox:~/mail:INBOX={folder}/%u:INDEX=~/index", "", {}),
    "control apart": ("mbox:~/mail:CONTROL=~/control", "", {}),
    "prefix": ("mbox:~/mail", "separator = /\n  prefix = mail/", {"namespace/inbox/prefix": "mail/"}),
    "other separator": ("mbox:~/mail", "separator = .", {"namespace/inbox/separator": "."}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(folder: Path, layout: str) -> None:
    location, namespace, changes = LAYOUTS[layout]
    dovecot = Dovecot(folder, location.format(folder=folder), namespace)
    separator = changes.get("namespace/inbox/separator", "/").encode()
    prefix = changes.get("namespace/inbox/prefix", "").encode()
    names = {b"INBOX": b"INBOX"}
    for imap_name, url_name in ((b"Sub", b"Sub"), (b"Entw&APw-rfe", "Entwürfe".encode()), (b"a&-b", b"a&b")):
        names[prefix + imap_name] = prefix + url_name
        names[prefix + b"up" + separator + imap_name] = prefix + b"up" + separator + url_name
    random = Random(layout)
    dovecot.imap(*(b'CREATE "%s"' % name for name in names if name != b"INBOX"))
    dovecot.imap(*(append(random.choice(list(names)), mail(random)) for _ in range(40)))
    dovecot.imap(*(append(name, mail(random)) for name in names))
    assert compare(dovecot, names, changes) == 40 + len(names)
    for name in (b"INBOX", prefix + b"up" + separator + b"Sub"):
        key = dovecot.key(name)
        assert key_of(native(dovecot, changes), name) == key


def test_what_is_no_mailbox(folder: Path) -> None:
    dovecot = debian(folder)
    dovecot.imap(b"CREATE up/Sub", append(b"up/Sub", b"a: b\r\n\r\n"), append(b"INBOX", b"a: b\r\n\r\n"))
    for name in (b"up", b"none", b"up/none", b"none/none"):
        with pytest.raises(MailboxMissing):
            open_mailbox(native(dovecot), name)
    for name in (b".imap/INBOX", b"up/.imap", b"x.lock"):
        with pytest.raises((MailboxMissing, StoreFailure)):
            open_mailbox(native(dovecot), name)
    opened = open_mailbox(native(dovecot), b"up/Sub")
    with pytest.raises(ReadFailed, match="Message not found"):
        wait(opened.fetch(999, WHOLE))


def test_a_delivery_that_no_session_has_seen(folder: Path) -> None:
    """The message is not there, as for the stock worker; the others are."""
    dovecot = debian(folder)
    deliver(folder / "bob", b"a: b\n\none\n")
    assert len(dovecot.mails(b"INBOX")) == 1
    opened = open_mailbox(native(dovecot), b"INBOX")
    assert wait(whole(wait(opened.fetch(1, WHOLE)))) == b"a: b\r\n\r\none\r\n"
    deliver(folder / "bob", b"a: b\n\ntwo\n")
    with pytest.raises(ReadFailed, match="Message not found"):
        wait(opened.fetch(2, WHOLE))
    assert wait(whole(wait(opened.fetch(1, WHOLE)))) == b"a: b\r\n\r\none\r\n"
    assert len(dovecot.mails(b"INBOX")) == 2
    assert wait(whole(wait(opened.fetch(2, WHOLE)))) == b"a: b\r\n\r\ntwo\r\n"
