"""What public test suites ask of URLAUTH, in our own words, asked by one user of another's mail.

Cassandane (Cyrus IMAP), imaptest (Dovecot) and Apple's script for its Dovecot.  There an owner fetches his own
URLs, which imap answers itself; here they go through our three services.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from testing.instance import HOST
from testing.oracle import sign
from testing.scene import Scene, Stored
from testing.versions import TUNED

if TYPE_CHECKING:
    from testing.imapclient import ImapClient
    from tests.dovecot.conftest import Row

pytestmark = pytest.mark.only(TUNED.name)

CASSANDANE, IMAPTEST, APPLE = "Cassandane", "imaptest", "Apple"

NIL = None
"""What a client sees of a refusal."""


def lines(*texts: str) -> bytes:
    return "".join(f"{text}\r\n" for text in texts).encode()


SIMPLE = lines("Subject: within", "Content-Type: text/plain", "", "inside")
AROUND = lines(
    "Subject: around", "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=outer", "",
    "--outer", "Content-Type: text/plain", "", "first",
    "--outer", "Content-Type: multipart/mixed; boundary=only", "",
    "--only", "Content-Type: text/plain", "", "alone", "--only--",
    "--outer", "Content-Type: message/rfc822", "",
) + SIMPLE + lines("--outer--")  # fmt: skip

ENCODED = lines(
    "Subject: encoded", "MIME-Version: 1.0", "Content-Type: multipart/alternative; boundary=inner", "", "before",
    "--inner", "Content-Type: text/x-1", "Content-Transfer-Encoding: base64", "", "Z29vZCBt", "b3JuaW5n",
    "--inner", "Content-Type: text/x-2", "Content-Transfer-Encoding: base64", "", "  Z29v ", "ZCBt \t", "b3JuaW5n",
    "--inner", "Content-Type: text/plain", "Content-Transfer-Encoding: x-unheard-of", "", "as it is",
    "--inner", "Content-Type: text/plain", "Content-Transfer-Encoding: quoted-printable", "", "soft=",
    " end", "--=", "inner", "--inner--", "behind",
)  # fmt: skip
HOLDING = lines(
    "Subject: holding", "MIME-Version: 1.0", "Content-Type: multipart/digest; boundary=holder", "",
    "--holder", "",
) + ENCODED + lines("--holder--")  # fmt: skip

SIZES = {
    "small": lines("Subject: small", "", "one line"),
    "medium": lines("Subject: medium", "", *(f"line {number} of a kilobyte" for number in range(45))),
    "large": lines("Subject: large", "", *(f"line {number} of two megabytes" for number in range(70_000))),
}


@dataclass(frozen=True)
class Check:
    """One question: a URL of `message`, for whom it is signed, who asks, and what must come."""

    suite: str
    says: str
    message: bytes
    answer: bytes | None
    section: str = ""
    partial: str = ""
    access: str = "user+bob"
    reader: str = "bob"
    """Nobody's name is an anonymous login."""
    item: str = ""
    """BINARY as RFC 5524 has it; empty for RFC 4467's plain command."""


CHECKS = [
    Check(CASSANDANE, "some bytes of a message's text within", AROUND, b"nsi", section="3.TEXT", partial="1.3"),
    Check(CASSANDANE, "the one part of a multipart", AROUND, b"alone", section="2.1"),
    Check(CASSANDANE, "a message within, whole", AROUND, SIMPLE[:-2], section="3"),
    # imaptest has it undecoded, but Dovecot's own worker refuses it as ours does
    Check(IMAPTEST, "a message with an unknown encoding in it", HOLDING, NIL, section="1", item="BINARY"),
    Check(IMAPTEST, "the same as it is stored", HOLDING, ENCODED[:-2], section="1"),
    Check(IMAPTEST, "base64", HOLDING, b"good morning", section="1.1", item="BINARY"),
    Check(IMAPTEST, "base64 with blanks in it", HOLDING, b"good morning", section="1.2", item="BINARY"),
    Check(IMAPTEST, "an encoding that nobody knows", HOLDING, NIL, section="1.3", item="BINARY"),
    Check(IMAPTEST, "that part as it is stored", HOLDING, b"as it is", section="1.3"),
    Check(IMAPTEST, "a boundary, once decoded", HOLDING, b"soft end\r\n--inner", section="1.4", item="BINARY"),
    *(
        Check(APPLE, f"a {size} message for {access}, asked by {reader or 'nobody'}", SIZES[size],
              SIZES[size] if is_let_in else NIL, access=access, reader=reader)
        for size in SIZES
        for access, reader, is_let_in in (
            ("anonymous", "bob", True),
            ("authuser", "bob", True),
            ("user+bob", "bob", True),
            ("submit+bob", "bob", False),
            ("anonymous", "", True),
            ("authuser", "", False),
            ("user+bob", "", False),
            ("submit+bob", "", False),
        )
    ),
]  # fmt: skip


def _ask(client: ImapClient, url: bytes, item: str) -> object:
    if not item:
        return client.fetch_url(url)
    items = client.fetch_items(url, item)
    return items and items[item.encode()]


def test_every_check(scene: Scene) -> None:
    anonymous = scene.anonymous()
    stored = {message: scene.store(message) for message in dict.fromkeys(check.message for check in CHECKS)}
    wrong = []
    for check in CHECKS:
        url = scene.sign(stored[check.message], check.access, section=check.section, partial=check.partial)
        answer = _ask(scene.user(check.reader) if check.reader else anonymous, url, check.item)
        if answer != check.answer:
            wrong.append((check.suite, check.says, str(answer)[:200]))
    assert not wrong, "\n".join(map(str, wrong))


def test_a_key_that_was_never_made_signs_nothing(scene: Scene) -> None:
    """Cassandane: a mailbox without a key, of a user who has one for another mailbox."""
    scene.create("Archived")
    scene.sign(scene.store())
    stored = scene.store(mailbox="Archived")
    for key in (b"", bytes(16)):
        assert scene.user("bob").fetch_url(sign(stored.rump().encode(), key)) is NIL
    scene.user("alice").command(b"DELETE Archived")


def test_a_new_key_takes_back_every_url_of_its_mailbox(scene: Scene) -> None:
    """imaptest, and Apple's: each of two messages, whoever they are signed for; another mailbox's stay good."""
    scene.create("Taken")
    kept = scene.store()
    good = scene.sign(kept)
    messages = (SIZES["small"], SIZES["medium"])
    signed = [
        (message, scene.sign(scene.store(message, "Taken"), access))
        for message in messages
        for access in ("user+bob", "authuser", "anonymous")
    ]
    assert [scene.user("bob").fetch_url(url) for _, url in signed] == [message for message, _ in signed]
    assert scene.user("alice").resetkey("Taken").ok
    assert {scene.user("bob").fetch_url(url) for _, url in signed} == {NIL}
    assert scene.user("bob").fetch_url(good) is not NIL
    scene.user("alice").command(b"DELETE Taken")


def test_another_mailbox_in_a_signed_url(scene: Scene) -> None:
    """Apple's: the mailbox that is named is not there."""
    url = scene.sign(scene.store())
    assert scene.user("bob").fetch_url(url.replace(b"/INBOX;", b"/not-there;")) is NIL


def test_nothing_is_signed_that_is_not_ones_own(scene: Scene) -> None:
    """Apple's and Cassandane's; imap itself must refuse, ours standing behind it."""
    scene.expect_log("client doesn't have lookup permissions", "Auth USER lookup failed")
    own = scene.store()
    alice = scene.user("alice")
    for rump in (
        Stored("alice", "not-there", own.uidvalidity, own.uid).rump(),
        Stored("bob", "INBOX", own.uidvalidity, own.uid).rump(),
        f"imap://nobody@{HOST}/INBOX/;UID=1;URLAUTH=user+nobody",
    ):
        reply = alice.command(f'GENURLAUTH "{rump}" INTERNAL'.encode())
        assert not reply.ok
        assert not reply.all(b"GENURLAUTH")
    assert not alice.resetkey("not-there").ok


def test_sent_by_burl(scene: Scene, row: Row) -> None:
    """Apple's: a submission server fetches what is signed for it, and nothing else, in three sizes."""
    if row.version.language == "2.3":
        pytest.skip("2.3's submission fails after any other user's URL")
    relay = scene.dovecot.relay
    for size, message in SIZES.items():
        before = len(relay.deliveries)
        stored = scene.store(message)
        for access in ("user+bob", "submit+carol"):
            code, _ = scene.submission("bob").burl(scene.sign(stored, access))
            assert code >= 500, size
        assert not relay.deliveries[before:]
        code, text = scene.submission("bob").burl(scene.sign(stored, "submit+bob"))
        assert code == 250, (size, text)
        [delivery] = relay.deliveries[before:]
        assert delivery.message.endswith(message.partition(b"\r\n\r\n")[2]), size
