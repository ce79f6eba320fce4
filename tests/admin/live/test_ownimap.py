"""Responses of imap in each of their forms, and an imap that goes away amid them."""

from __future__ import annotations

import os
import signal

import pytest

from dovecot_urlauth.admin.live.failure import LiveFailure
from dovecot_urlauth.admin.live.ownimap import OwnImap, mailbox_word, strings
from tests.admin.live.stand_ins import COMMANDS, StandIn

URL = "imap://alice@host/INBOX/;UID=1;URLAUTH=anonymous:internal:0123"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b'* GENURLAUTH "a\\"b"\r\n', [b'a"b']),
        (b"* GENURLAUTH {5}\r\n12345\r\n", [b"12345"]),
        (b'* X {2}\r\nab "c" {1}\r\nd\r\n', [b"ab", b"c", b"d"]),
        (f"* GENURLAUTH {URL}\r\n".encode(), [URL.encode()]),
        (b"* METADATA INBOX (/x NIL)\r\n", []),
    ],
)
def test_strings(line: bytes, found: list[bytes]) -> None:
    assert strings(line) == found


@pytest.mark.parametrize(
    ("name", "word"),
    [("INBOX", b'"INBOX"'), ('a"b\\c', b'"a\\"b\\\\c"'), ("Entwürfe", b'"Entw&APw-rfe"')],
)
def test_mailbox_words(name: str, word: bytes) -> None:
    assert mailbox_word(name) == word


def open_imap(stand_in: StandIn, patience: float = 20) -> OwnImap:
    return OwnImap(str(stand_in.folder / "libexec/imap"), "dovecot.conf", "alice", patience)


def test_a_literal_is_part_of_its_response(stand_in: StandIn) -> None:
    reply = f"* GENURLAUTH {{{len(URL)}}}\r\n{URL}\r\nTAG OK done\r\n"
    stand_in.configure_imap([(r"GENURLAUTH", reply), *COMMANDS])
    with open_imap(stand_in) as imap:
        assert imap.sign("imap://whatever") == URL


def test_an_imap_that_has_gone(stand_in: StandIn) -> None:
    stand_in.configure_imap([(r"NOOP", None)])
    with open_imap(stand_in) as imap:
        for _ in range(2):
            with pytest.raises(LiveFailure, match="ended without a word"):
                imap.command(b"NOOP")


@pytest.mark.parametrize(
    ("part", "reply", "there"),
    [
        ("2", "BODY[2.MIME]<0> {2}\r\n\r\n", True),
        ("2", "BODY[2.MIME]<0> {0}\r\n", False),
        ("1.2", "BODY[1.2.MIME]<0> NIL", False),
        ("TEXT", 'BODY[TEXT]<0> "ab"', True),
        ("TEXT", 'BODY[TEXT]<0> ""', False),
        ("0", "BODY[0]<0> {2}\r\nab", False),
    ],
)
def test_parts(stand_in: StandIn, part: str, reply: str, there: bool) -> None:
    """As Dovecot answers: a part that is not there is an empty one, and an empty one has a header."""
    stand_in.configure_imap([(r"UID FETCH", f"* 1 FETCH (UID 5 {reply})\r\nTAG OK done\r\n")])
    with open_imap(stand_in) as imap:
        assert imap.has_part(5, part) is there


def test_it_does_not_hear_what_is_typed_at_the_terminal(stand_in: StandIn) -> None:
    with open_imap(stand_in) as imap:
        assert os.getpgid(imap._process.pid) != os.getpgrp()


def test_one_that_does_not_end_is_ended(stand_in: StandIn) -> None:
    with open_imap(stand_in, patience=0.5) as imap:
        os.kill(imap._process.pid, signal.SIGSTOP)
    assert imap._process.returncode == -signal.SIGKILL


def test_what_may_not_be_looked_at_is_not_called_missing(stand_in: StandIn) -> None:
    stand_in.configure_imap([(r"STATUS", "TAG NO [NOPERM] Permission denied\r\n"), *COMMANDS])
    with (
        open_imap(stand_in) as imap,
        pytest.raises(LiveFailure, match=r"alice cannot see the mailbox: NO \[NOPERM\] Permission denied"),
    ):
        imap.uidvalidity(b"x")


def test_what_is_not_there(stand_in: StandIn) -> None:
    stand_in.configure_imap(
        [(r"EXAMINE|NAMESPACE", "TAG NO none\r\n"), (r"STATUS", "TAG NO [NONEXISTENT] none\r\n"), *COMMANDS]
    )
    with open_imap(stand_in) as imap:
        assert not imap.has_message(b"x", 5)
        assert imap.uidvalidity(b"x") is None
        assert imap.key(b"x") is None
        with pytest.raises(LiveFailure, match="alice cannot ask for its namespaces"):
            imap.personal_prefix()


def test_no_namespace_of_its_own(stand_in: StandIn) -> None:
    stand_in.configure_imap([(r"NAMESPACE", "* NAMESPACE NIL NIL NIL\r\nTAG OK done\r\n")])
    with open_imap(stand_in) as imap:
        assert imap.personal_prefix() == ""
