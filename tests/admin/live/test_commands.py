"""share, fetch, revoke, keys and test URL, from the command line to what is printed."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.admin.live import dovecot as live
from dovecot_urlauth.admin.live import sharing
from dovecot_urlauth.admin.live.dovecot import LiveDovecot
from dovecot_urlauth.admin.live.failure import LiveFailure
from dovecot_urlauth.admin.live.urls import expiry
from dovecot_urlauth.admin.main import main
from dovecot_urlauth.url.token import mint
from tests.admin.live.stand_ins import COMMANDS, UIDVALIDITY, StandIn

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., tuple[int, str, str]]

KEY = bytes(range(64))
SERVER = "imap.example.test"
RUMP = f"imap://alice@{SERVER}/Sent;UIDVALIDITY={UIDVALIDITY}/;UID=5;URLAUTH=user+bob"


def signed(rump: str = RUMP, key: bytes = KEY) -> str:
    return f"{rump}:internal:{mint(key, rump.encode()).hex()}"


@pytest.fixture
def run(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    monkeypatch.setattr(live, "read_configuration", lambda file: stand_in.dovecot().configuration)
    stand_in.configure_imap(
        [
            (
                r'GETMETADATA "?Sent"?',
                f'* METADATA Sent (/private/vendor/vendor.dovecot/imap-urlauth "{KEY.hex()}")\r\nTAG OK done\r\n',
            ),
            *COMMANDS,
        ]
    )

    def call(*words: str) -> tuple[int, str, str]:
        status = main(["dovecot-urlauth", *words])
        printed = capsysbinary.readouterr()
        return status, printed.out.decode(), printed.err.decode()

    return call


def test_share(run: Run) -> None:
    status, printed, _ = run("share", "alice", "Grüße & mehr", "5", "--for", "bob", "--part", "1.2")
    assert status == 0
    assert printed.startswith(
        f"imap://alice@{SERVER}/Gr%C3%BC%C3%9Fe%20&%20mehr;UIDVALIDITY=17/;UID=5/;SECTION=1.2;URLAUTH=user+bob:internal:"
    )
    assert ";URLAUTH=anonymous:" in run("share", "alice", "Sent", "5", "--anyone")[1]
    assert run("share", "alice", "Sent", "5", "--anyone", "--expire", "tomorrow")[0] == 2
    assert "no mailbox nowhere" in run("share", "alice", "nowhere", "5", "--anyone")[2]
    assert "no message with UID 6" in run("share", "alice", "Sent", "6", "--anyone")[2]
    assert "has no part 9" in run("share", "alice", "Sent", "5", "--anyone", "--part", "9")[2]


def test_a_reader_whom_nobody_knows_is_remarked_on(run: Run) -> None:
    status, printed, said = run("share", "alice", "Sent", "5", "--for", "bbo")
    assert (status, ";URLAUTH=user+bbo:internal:" in printed) == (0, True)
    assert said == "dovecot-urlauth: note: the userdb knows no bbo, whom this URL is for\n"


@pytest.mark.parametrize(
    ("duration", "end"),
    [("90m", "1970-01-01T01:30:00Z"), ("12h", "1970-01-01T12:00:00Z"), ("7d", "1970-01-08T00:00:00Z")],
)
def test_how_long(duration: str, end: str) -> None:
    assert expiry(duration, 0) == f";EXPIRE={end}"


@pytest.mark.parametrize("duration", ["", "7", "d", "-1d", "1.5h", "7 d", "1y"])
def test_what_is_no_duration(duration: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        expiry(duration, 0)


def test_fetch(run: Run, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.answer = lambda reader, service, owner, url, decoded: b"decoded" if decoded else b"as it is"
    assert run("fetch", signed(), "--as", "bob") == (0, "as it is", "")
    assert run("fetch", signed(), "--as", "bob", "--decode") == (0, "decoded", "")
    assert run("fetch", signed()) == (0, "as it is", ""), "in the name of whom it is for"
    monkeypatch.setattr(sys, "stdin", io.StringIO(signed() + "\n"))
    assert run("fetch", "-") == (0, "as it is", "")
    assert "for nobody in particular" in run("fetch", RUMP.replace("user+bob", "authuser"))[2]
    stand_in.answer = lambda *words: None
    assert "not for you" in run("fetch", signed(), "--as", "bob")[2]
    assert "refused without a reason" in run("fetch", RUMP.replace("user+bob", "authuser"), "--as", "bob")[2]
    assert "names no user" in run("fetch", "imap://host/INBOX", "--as", "bob")[2]


def test_an_empty_answer(run: Run, stand_in: StandIn) -> None:
    stand_in.answer = lambda *words: b""
    assert run("fetch", signed(), "--as", "bob") == (0, "", "")


def test_progress_is_shown_on_a_terminal_while_data_goes_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    progress = sharing.Progress(200)
    progress.add(100)
    progress.add(100)
    progress.end()
    assert terminal.getvalue().endswith(f"\r[{'#' * 40}] 200 of 200 bytes\n")
    assert f"\r[{'#' * 20}{'-' * 20}] 100 of 200 bytes" in terminal.getvalue()


def test_revoke_and_keys(run: Run, stand_in: StandIn) -> None:
    assert run("keys", "alice") == (0, "Sent\n", "")
    assert run("revoke", "alice", "Sent")[0] == 0
    stand_in.configure_imap([(r"RESETKEY", "TAG NO no such mailbox\r\n"), *COMMANDS])
    assert "cannot reset the key of Sent: NO no such mailbox" in run("revoke", "alice", "Sent")[2]
    stand_in.configure_imap(
        [
            (r"GETMETADATA", '* METADATA x (/private/vendor/vendor.dovecot/imap-urlauth "zz")\r\nTAG OK done\r\n'),
            *COMMANDS,
        ]
    )
    assert run("keys", "alice") == (0, "", "dovecot-urlauth: note: no mailbox of alice has a key\n")
    assert run("keys", "nobody") == (1, "", "dovecot-urlauth: userdb: user nobody doesn't exist\n")


def test_keys_names_mailboxes_as_share_takes_them(run: Run, stand_in: StandIn) -> None:
    listed = '* LIST () "." "Gr&APwA3w-e &- mehr"\r\n* LIST () "." &AP-\r\nTAG OK done\r\n'
    entry = f'* METADATA x (/private/vendor/vendor.dovecot/imap-urlauth "{KEY.hex()}")\r\nTAG OK done\r\n'
    stand_in.configure_imap([(r"LIST", listed), (r"GETMETADATA", entry), *COMMANDS])
    assert run("keys", "alice")[1] == "Grüße & mehr\n&AP-\n"


def test_a_good_url(run: Run, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in.answer = lambda reader, *words: b"mail" if reader == "bob" else None
    status, printed, _ = run("test", signed())
    assert (status, printed.splitlines()[-1]) == (0, "This URL is honoured.")
    assert "ok    bob was given 4 bytes" in printed
    monkeypatch.setattr(sys, "stdin", io.StringIO(signed() + "\n"))
    assert run("test", "-")[0] == 0
    status, printed, _ = run("test", signed(), "--as", "carol")
    assert status == 1
    assert "the worker says no to carol: not for you" in printed


def test_a_url_for_submission_is_tried_as_submission(run: Run, stand_in: StandIn) -> None:
    asked = []
    stand_in.answer = lambda reader, service, *words: asked.append((reader, service)) or b"mail"  # type: ignore[func-returns-value]
    assert run("test", signed(RUMP.replace("user+bob", "submit+carol")))[0] == 0
    assert run("test", signed(RUMP.replace("user+bob", "authuser")))[0] == 0
    assert asked == [("carol", "submission"), ("alice", "imap")]


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        (RUMP.partition(";URLAUTH")[0], "it is not signed"),
        (signed(RUMP.replace(";URLAUTH", ";EXPIRE=2020-01-01T00:00:00Z;URLAUTH")), "it has expired"),
        (signed(RUMP.replace(SERVER, "elsewhere.test")), "another server than imap.example.test"),
        (signed(RUMP.replace(SERVER, f"{SERVER}:1143")), "another server than imap.example.test"),
        (signed(RUMP.replace("alice@", "")), "it names no user"),
        (signed(RUMP.replace("/Sent", "/nowhere")), "alice has no mailbox nowhere"),
        (signed(RUMP.replace("UIDVALIDITY=17", "UIDVALIDITY=18")), "UIDVALIDITY is 17 now"),
        (signed(RUMP.replace("/Sent", "/INBOX")), "INBOX has no key"),
        (signed(key=bytes(64)), "the token is not of the key that Sent has"),
        (signed(RUMP.replace("UID=5", "UID=6")), "the message with UID 6 is gone"),
        (signed(RUMP.replace("alice@", "nobody@")), "userdb: user nobody doesn't exist"),
    ],
)
def test_the_rule_that_refuses(run: Run, url: str, rule: str) -> None:
    status, printed, _ = run("test", url)
    *_, last, verdict = printed.splitlines()
    assert (status, verdict) == (1, "This URL is not honoured.")
    assert rule in last


def test_test_without_a_url_reports(run: Run) -> None:
    status, printed, _ = run("test", "--user", "alice", "--as", "bob")
    assert status == 1
    assert printed.splitlines()[-1] == "URLAUTH does not work as it should."


def test_only_root_may_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(LiveFailure, match="run it as root"):
        LiveDovecot.find(None)
