"""URL commands against a store made for the test: what the client is told, and what the log is."""

from __future__ import annotations

import binascii
import os

import pytest

from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.message.errors import Undecodable
from dovecot_urlauth.message.fetch import Content
from dovecot_urlauth.store.errors import MailboxMissing, MailboxRefused, ReadFailed, StoreFailure
from dovecot_urlauth.url.access import Accessor
from dovecot_urlauth.url.rules import RULES_2_3
from dovecot_urlauth.url.token import mint
from dovecot_urlauth.wire.fetch import UrlCommand
from dovecot_urlauth.worker.answer import Answerer, without_token
from dovecot_urlauth.worker.target import Target

KEY = bytes(range(64))
SETTINGS = Settings({"imap_urlauth_host": "h"})
BOB = Accessor(b"bob", b"imap", ())
ANONYMOUS = Accessor(None, b"imap", ())


class Mailbox:
    def __init__(self, content=None, key=KEY):
        self.content = content or Content(size=3, has_nuls=False, structure=None, chunks=iter([b"ab", b"c"]))
        self._key = key
        self.closed = False

    def key(self):
        return self._key

    def fetch(self, uid, request):
        if isinstance(self.content, Exception):
            raise self.content
        return self.content

    def close(self):
        self.closed = True


class Store:
    def __init__(self, mailbox):
        self.mailbox = mailbox

    def open(self, name, uidvalidity):
        if isinstance(self.mailbox, Exception):
            raise self.mailbox
        return self.mailbox

    def close(self):
        pass


class Lines:
    """A log that keeps what it is told."""

    def __init__(self):
        self.lines = []

    def debug(self, text):
        self.lines.append(f"Debug: {text}")

    def error(self, text):
        self.lines.append(f"Error: {text}")


def signed(rest=";URLAUTH=user+bob", key=KEY, section=""):
    rump = f"imap://alice@h/INBOX/;UID=1{section}{rest}".encode()
    return rump + b":internal:" + binascii.hexlify(mint(key, rump))


def ask(mailbox, url=None, accessor=BOB, **flags):
    """The reply's line, its data, and the log."""
    log = Lines()
    store = None if mailbox is None else Store(mailbox)
    answerer = Answerer(Target(b"alice", SETTINGS, store), accessor, RULES_2_3, lambda other: False, log)
    command = UrlCommand(url or signed(), **{"body": True, "binary": False, "structure": False, **flags})
    reply = answerer.answer(command)
    data = None if reply.chunks is None else b"".join(reply.chunks)
    answerer.close()
    return reply.line, data, log.lines


def content(size=3, has_nuls=False, structure=None, chunks=(b"abc",)):
    return Mailbox(Content(size=size, has_nuls=has_nuls, structure=structure, chunks=iter(chunks)))


def test_the_bytes_and_their_guard():
    assert ask(Mailbox())[:2] == (b"OK\t3\n", b"abc\n")


def test_nuls_are_announced():
    assert ask(content(has_nuls=True), binary=True, body=False)[0] == b"OK\thasnuls\t3\n"


def test_structure_alone_has_no_data():
    line, data, _ = ask(content(0, structure=b'"text" "plain"', chunks=()), body=False, structure=True)
    assert (line, data) == (b'OK\tbpstruct="text" "plain"\t0\n', None)


def test_too_large_for_memory_is_no():
    line, data, log = ask(Mailbox(MemoryError()))
    assert (line, data) == (b"NO\n", None)
    assert log[-1].startswith("Error: Failed to read URLAUTH")
    assert log[-1].endswith("Out of memory")


def test_an_empty_result_is_no():
    """imap hangs its client on a literal of no bytes (BUGS B6)."""
    assert ask(content(0, chunks=()))[:2] == (b"NO\n", None)


@pytest.mark.parametrize(
    "mailbox",
    [
        pytest.param(None, id="no such user"),
        pytest.param(MailboxMissing(), id="no such mailbox"),
        pytest.param(Mailbox(key=None), id="no key"),
        pytest.param(Mailbox(key=bytes(64)), id="another key"),
    ],
)
@pytest.mark.parametrize("accessor", [BOB, ANONYMOUS], ids=["bob", "anonymous"])
def test_what_exists_is_not_told(mailbox, accessor):
    url = signed(";URLAUTH=anonymous")
    assert ask(mailbox, url, accessor)[:2] == (b"NO\n", None)


@pytest.mark.parametrize(
    ("mailbox", "url", "why"),
    [
        (Mailbox(), signed(";URLAUTH=user+carol"), "No 'user+carol' access allowed for user bob"),
        (Mailbox(), signed(";EXPIRE=2001-01-01T00:00:00Z;URLAUTH=user+bob"), "URLAUTH has expired"),
        (MailboxRefused("Character not allowed"), signed(), "Invalid URLAUTH: Character not allowed"),
    ],
)
def test_a_refusal_in_the_clients_own_words_is_explained(mailbox, url, why):
    line, data, _ = ask(mailbox, url)
    assert line.startswith(b'NO\terror=Failed to fetch URLAUTH "' + url + b'": ' + os.fsencode(why))
    assert data is None


def test_but_not_to_the_anonymous():
    assert ask(Mailbox(), accessor=ANONYMOUS)[0] == b"NO\n"


@pytest.mark.parametrize(
    "failure", [ReadFailed("Message not found"), Undecodable("Unknown Content-Transfer-Encoding.")]
)
def test_what_cannot_be_read_is_said(failure):
    url = signed()
    line, _, _ = ask(Mailbox(failure), url)
    assert line == b'NO\terror=Failed to read URLAUTH "' + url + b'": ' + failure.text.encode() + b"\n"


def test_a_broken_store_is_for_the_log_alone():
    line, _, log = ask(StoreFailure("disk on fire"))
    assert line == b"NO\n"
    assert [text for text in log if text.startswith("Error")] == [
        'Error: Failed to fetch URLAUTH "imap://alice@h/INBOX/;UID=1;URLAUTH=user+bob:internal:...": disk on fire'
    ]


def test_an_invalid_section_is_a_bare_no():
    assert ask(Mailbox(), signed(section="/;SECTION=MIME"))[0] == b"NO\n"


def test_the_mailbox_is_closed_at_the_end():
    mailbox = Mailbox()
    ask(mailbox)
    assert mailbox.closed


@pytest.mark.parametrize("accessor", [BOB, ANONYMOUS])
@pytest.mark.parametrize("mailbox", [Mailbox(), StoreFailure("x"), MailboxMissing(), Mailbox(ReadFailed("y"))])
def test_no_log_line_holds_a_token(mailbox, accessor):
    url = signed(";URLAUTH=authuser")
    token = url.rpartition(b":")[2].decode()
    assert not [line for line in ask(mailbox, url, accessor)[2] if token in line]


def test_a_url_without_token_is_shown_whole():
    assert without_token(b"imap://h/x") == "imap://h/x"
