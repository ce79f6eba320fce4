"""share, fetch, revoke, keys and test URL, from the command line to what is printed."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.admin.interruption import ENDING
from dovecot_urlauth.admin.live import dovecot as live
from dovecot_urlauth.admin.live import sharing
from dovecot_urlauth.admin.live.dovecot import LiveDovecot
from dovecot_urlauth.admin.live.failure import LiveFailure
from dovecot_urlauth.admin.live.urls import expiry
from dovecot_urlauth.admin.main import main
from dovecot_urlauth.admin.usage import WrongUsage
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


@pytest.mark.parametrize("duration", ["", "7", "d", "-1d", "1.5h", "7 d", "1y", "0d", "00m"])
def test_what_is_no_duration(duration: str) -> None:
    with pytest.raises(WrongUsage, match="not a duration"):
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
    anyones = signed(RUMP.replace("user+bob", "authuser"))
    assert "refused without a reason" in run("fetch", anyones, "--as", "bob")[2]
    assert "names no user" in run("fetch", "imap://host/INBOX", "--as", "bob")[2]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "url: is empty; cut off?"),
        ("hello", "not an IMAP URL: Relative URL not allowed (cut off?"),
        (RUMP.partition(";")[0], "url: it is not signed (cut off?"),
        (RUMP.partition(";URLAUTH")[0], "url: it is not signed (cut off?"),
        (RUMP.partition("VALIDITY")[0], "not an IMAP URL: Encountered stray ';' in mailbox reference (cut off?"),
        (signed()[:-2], "url: its token has 40 digits, not 42 (cut off?"),
    ],
)
def test_a_url_that_the_shell_has_cut(run: Run, url: str, said: str) -> None:
    status, printed, complaints = run("fetch", url, "--as", "bob")
    assert (status, printed) == (1, "")
    assert said in complaints
    assert "quote the URL, or use - and standard input" in complaints
    _, printed, complaints = run("test", url)
    assert "quote the URL, or use - and standard input" in printed + complaints


def test_a_url_as_it_stands_in_a_mail(run: Run, stand_in: StandIn) -> None:
    stand_in.answer = lambda reader, service, owner, url, decoded: b"mail" if url == signed() else None
    assert run("fetch", f" <{signed()}> ") == (0, "mail", "")
    assert run("test", f"<{signed()}>")[0] == 0


def test_no_token_is_shown(run: Run, stand_in: StandIn) -> None:
    stand_in.refusal = f'Failed to fetch URLAUTH "{signed()}": no'
    shortened = f'Failed to fetch URLAUTH "{RUMP}:internal:...": no'
    complaints = run("fetch", signed(), "--as", "carol")[2]
    assert shortened in complaints
    printed = run("test", signed(), "--as", "carol")[1]
    assert shortened in printed
    assert signed().rpartition(":")[2] not in complaints + printed


def test_urlauths_own_commands_that_are_refused_point_to_check(run: Run, stand_in: StandIn) -> None:
    refused = "TAG BAD Error in IMAP command GENURLAUTH: URLAUTH disabled\r\n"
    stand_in.configure_imap([(r"GENURLAUTH|RESETKEY", refused), *COMMANDS])
    for words in (("share", "alice", "Sent", "5", "--anyone"), ("revoke", "alice", "Sent")):
        status, _, complaints = run(*words)
        assert status == 1
        assert complaints.endswith("URLAUTH disabled; see: dovecot-urlauth check\n")


def test_a_dovecot_that_does_not_run(run: Run, stand_in: StandIn) -> None:
    (stand_in.folder / "master.pid").unlink()
    for words in (
        ("test",),
        ("test", signed()),
        ("share", "alice", "Sent", "5", "--anyone"),
        ("fetch", signed()),
        ("revoke", "alice", "Sent"),
        ("keys", "alice"),
    ):
        status, printed, complaints = run(*words)
        assert (status, printed) == (1, "")
        assert complaints.startswith(f"dovecot-urlauth: no Dovecot runs with base_dir {stand_in.folder} (")
        assert "start it" in complaints
        assert "Errno" not in complaints


@pytest.mark.parametrize("timeout", ["-5", "0", "nan", "inf", "x"])
def test_no_time_to_wait(run: Run, timeout: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run("test", f"--timeout={timeout}")
    assert ended.value.code == 2


@pytest.mark.parametrize("reply", ["NO [SERVERBUG] Internal error", "NO Internal error", "BAD METADATA disabled"])
def test_a_key_that_cannot_be_looked_for(run: Run, stand_in: StandIn, reply: str) -> None:
    """'No key' would be taken for 'nothing to revoke'."""
    stand_in.configure_imap([(r"GETMETADATA", f"TAG {reply}\r\n"), *COMMANDS])
    assert run("keys", "alice") == (
        1,
        "",
        f"dovecot-urlauth: imap: alice cannot read the key of INBOX: {reply}; see: dovecot-urlauth check\n",
    )


def test_a_mailbox_that_is_not_to_be_read_has_no_key(run: Run, stand_in: StandIn) -> None:
    stand_in.configure_imap([(r"GETMETADATA", "TAG NO [NOPERM] Permission denied\r\n"), *COMMANDS])
    assert run("keys", "alice")[0] == 0
    gone = [(r"GETMETADATA", "TAG NO none\r\n"), (r"STATUS", "TAG NO none\r\n")]
    stand_in.configure_imap([*gone, *COMMANDS])
    assert run("keys", "alice")[0] == 0


@pytest.mark.parametrize(("number", "ended"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_test_that_is_told_to_end(run: Run, stand_in: StandIn, number: signal.Signals, ended: int) -> None:
    """Its mailbox goes first."""
    stand_in.answer = lambda *words: os.kill(os.getpid(), number)
    before = [signal.getsignal(number) for number in ENDING]
    status, printed, complaints = run("test")
    assert (status, complaints) == (ended, "dovecot-urlauth: interrupted\n")
    assert "does not work" not in printed
    assert stand_in.commands()[-1] == f'DELETE "INBOX.dovecot-urlauth-test-{os.getpid()}"'
    assert [signal.getsignal(number) for number in ENDING] == before


def test_a_mailbox_that_cannot_be_removed_is_named(run: Run, stand_in: StandIn) -> None:
    stand_in.configure_imap([(r"DELETE", "TAG NO Internal error\r\n"), *COMMANDS])
    named = (
        f"the mailbox INBOX.dovecot-urlauth-test-{os.getpid()} could not be removed (NO Internal error); "
        f"when that is mended: doveadm mailbox delete -u alice INBOX.dovecot-urlauth-test-{os.getpid()}"
    )
    status, printed, _ = run("test")
    assert status == 1
    assert f"FAIL  imap: {named}" in printed
    stand_in.answer = lambda *words: os.kill(os.getpid(), signal.SIGINT)
    status, _, complaints = run("test")
    assert (status, complaints) == (130, f"dovecot-urlauth: interrupted\ndovecot-urlauth: {named}\n")


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
