"""Any name: opened, refused with the same words, or missing, as Dovecot's own imap says."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.config.native_settings import native_settings
from dovecot_urlauth.dialect.versions import DOVECOT_2_3_19
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, Unsupported
from dovecot_urlauth.store.native.mailbox import NativeStore
from dovecot_urlauth.store.native.names import to_mutf7
from tests.store.imap import Dovecot, append, needs_dovecot
from tests.store.native.compared import bob_of
from tests.store.native.test_native_dovecot import LAYOUTS
from tests.store.waiting import LOOP, open_mailbox

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_dovecot

PIECES = [
    "INBOX",
    "inbox",
    "Sub",
    "a",
    "b c",
    ".",
    "/",
    "..",
    "~",
    "cur",
    "&",
    "ü",
    "*",
    "%",
    "\\",
    '"',
    ".mails",
    "dbox-Mails",
]
OPEN = "opened"
MISSING = "missing"


def names(random: Random) -> set[str]:
    """Names that are made of what means something somewhere."""
    made = {"".join(random.choices(PIECES, k=random.randint(1, 5))) for _ in range(400)}
    # A name with a control character cannot be said in a quoted string.
    return {*PIECES, *made, "INBOX.Sub", "INBOX/Sub", "Sub.a", "Sub/a", "x" * 300, "a/" * 100 + "a"}


def quoted(name: str) -> bytes:
    """What stands between the quotes of an IMAP string."""
    return to_mutf7(name).replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def dovecots_answer(line: bytes) -> str:
    """The tagged answer to EXAMINE, in our words."""
    _, condition, text = line.split(b" ", 2)
    text = text.rpartition(b" (")[0]
    if condition == b"OK":
        return OPEN
    return text.removeprefix(b"[CANNOT] ").decode() if text.startswith(b"[CANNOT]") else MISSING


def our_answer(store: NativeStore, name: str) -> str:
    try:
        open_mailbox(store, name.encode()).close()
    except MailboxRefused as refused:
        return refused.text
    except MailboxMissing:
        return MISSING
    except Unsupported:
        return "Unsupported"
    return OPEN


DBOX: dict[str, tuple[str, str, dict[str, str]]] = {
    "sdbox": ("sdbox:~/box", "", {}),
    "mdbox": ("mdbox:~/box:DIRNAME=.mails:ALT=~/alt", "separator = .", {"namespace/inbox/separator": "."}),
}


@pytest.mark.parametrize("layout", ["maildir++", "maildir++ with /", "prefix", "fs", "fs with names", *DBOX])
def test_names(folder: Path, layout: str) -> None:
    location, namespace, changes = {**LAYOUTS, **DBOX}[layout]
    dovecot = Dovecot(folder, location, namespace)
    prefix = changes.get("namespace/inbox/prefix", "").encode()
    dovecot.imap(b"CREATE %sSub" % prefix, append(b"INBOX", b"a: b\r\n\r\n"), b"SELECT %sSub" % prefix)
    store = NativeStore(native_settings(bob_of(dovecot, changes), DOVECOT_2_3_19), LOOP)
    different = {}
    said = set()
    asked = sorted(names(Random(layout)))
    answers = dovecot.imap(*(b'EXAMINE "%s"' % quoted(name) for name in asked), check=False)
    for name, answer in zip(asked, answers):
        theirs = dovecots_answer(answer.rstrip(b"\r\n").rpartition(b"\r\n")[2])
        ours = our_answer(store, name)
        said.add(ours)
        if ours not in (theirs, "Unsupported"):
            different[name] = (theirs, ours)
    assert not different
    assert {OPEN, MISSING} < said
