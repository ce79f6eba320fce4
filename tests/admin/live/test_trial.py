"""What the trial finds when the services do right, and in each way in which they may do wrong."""

from __future__ import annotations

import io
import os
import sys
import time
from dataclasses import replace

import pytest

from dovecot_urlauth.admin.doveconf import Block
from dovecot_urlauth.admin.findings import Level
from dovecot_urlauth.admin.live.commands import _report
from dovecot_urlauth.admin.live.failure import LiveFailure
from dovecot_urlauth.admin.live.trial import MESSAGE, PICTURE, People, choose_people, run_trial
from dovecot_urlauth.admin.live.verdict import judge
from tests.admin.live.stand_ins import COMMANDS, StandIn

PEOPLE = People("alice", "bob", "carol")
SIGNED = "01" + "ab" * 20


def right(reader: str, service: str, owner: str, url: str, decoded: bool) -> bytes | None:
    """What services do that do right; the third signing is after the key was reset."""
    if reader != "bob" or owner != "alice" or not url.endswith(SIGNED):
        return None
    return PICTURE if decoded else MESSAGE


class Once:
    """Right until the key is reset: the URL that is asked for last is of a key that is gone."""

    def __init__(self) -> None:
        self.whole = 0

    def __call__(self, reader: str, service: str, owner: str, url: str, decoded: bool) -> bytes | None:
        data = right(reader, service, owner, url, decoded)
        if data is MESSAGE and service == "imap":
            self.whole += 1
            return data if self.whole == 1 else None
        return data


def failures(
    stand_in: StandIn, people: People = PEOPLE, protocols: str = "imap submission", patience: float = 20
) -> list[str]:
    dovecot = replace(stand_in.dovecot(protocols=protocols), patience=patience)
    return [finding.text for finding in run_trial(dovecot, people) if finding.level is Level.FAIL]


def test_all_is_right(stand_in: StandIn) -> None:
    stand_in.answer = Once()
    findings = list(run_trial(stand_in.dovecot(protocols="imap submission"), PEOPLE))
    assert [finding.level for finding in findings] == [Level.OK] * 8


def test_without_a_third_user_it_says_what_was_not_tried(stand_in: StandIn) -> None:
    stand_in.answer = Once()
    findings = list(run_trial(stand_in.dovecot(), People("alice", "bob", None)))
    assert Level.NOTE in [finding.level for finding in findings]
    assert Level.FAIL not in [finding.level for finding in findings]


def test_whoever_stops_reading_leaves_no_mailbox(stand_in: StandIn) -> None:
    findings = run_trial(stand_in.dovecot(), PEOPLE)
    assert "stored a message" in next(findings).text
    findings.close()
    assert stand_in.commands()[-1].startswith('DELETE "INBOX.dovecot-urlauth-test-')


def test_an_output_that_is_closed_ends_the_trial_at_once(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    with pytest.raises(BrokenPipeError) as ended:  # which holds the trial, so that it is not collected by chance
        _report(run_trial(stand_in.dovecot(), PEOPLE), "", "")
    assert stand_in.commands()[-1].startswith('DELETE "INBOX.dovecot-urlauth-test-'), ended


def test_what_a_test_that_was_killed_has_left(stand_in: StandIn) -> None:
    """A young one may be of a test that runs elsewhere on the same mail."""
    names = [f"INBOX.dovecot-urlauth-test-{name}" for name in ("1", "2", "mine")]
    listed = "".join(f'* LIST () "." "{name}"\r\n' for name in names) + "TAG OK done\r\n"
    young = rf"* STATUS {names[1]} (UIDVALIDITY {int(time.time())})" + "\r\nTAG OK done\r\n"
    commands: list[tuple[str, str | None]] = [(r"LIST", listed), (rf'STATUS "{names[1]}"', young), *COMMANDS]
    stand_in.configure_imap(commands)
    stand_in.answer = Once()
    findings = list(run_trial(stand_in.dovecot(), PEOPLE))
    assert findings[0].text == f"removed {names[0]} of alice, which a test that was killed had left"
    deleted = [line for line in stand_in.commands() if line.startswith("DELETE")]
    assert deleted == [f'DELETE "{names[0]}"', f'DELETE "INBOX.dovecot-urlauth-test-{os.getpid()}"']
    stand_in.configure_imap([(rf'DELETE "{names[0]}"', "TAG NO no\r\n"), *commands])
    assert any(f"{names[0]} could not be removed (NO no)" in text for text in failures(stand_in))


def test_an_imap_that_dies_on_the_way_leaves_no_mailbox(stand_in: StandIn) -> None:
    stand_in.configure_imap([(r"GENURLAUTH", None), *COMMANDS])
    assert failures(stand_in) == ["imap: for alice: ended without a word"]
    assert stand_in.commands()[-1].startswith('DELETE "INBOX.dovecot-urlauth-test-')


def test_a_refused_fetch(stand_in: StandIn) -> None:
    assert "imap-urlauth-worker refuses the whole message: not for you" in failures(stand_in)


def test_wrong_bytes(stand_in: StandIn) -> None:
    stand_in.answer = lambda *words: b"something else"
    found = failures(stand_in)
    assert any("came with other bytes" in text for text in found)
    assert any("this must never be" in text for text in found)


@pytest.mark.parametrize(
    ("answer", "text"),
    [(b"garbage", "does not speak its protocol"), (b"cut", "closed the connection amid the data")],
)
def test_a_broken_worker(stand_in: StandIn, answer: bytes, text: str) -> None:
    stand_in.answer = lambda *words: answer
    assert any(text in found for found in failures(stand_in))


def test_auth_does_not_know_the_token(stand_in: StandIn) -> None:
    (stand_in.folder / "auth-token-secret.dat").write_bytes(bytes(32))
    assert any("auth: does not accept the token of bob" in text for text in failures(stand_in))


def test_the_reader_is_refused(stand_in: StandIn) -> None:
    stand_in.first_line = b"NO\n"
    assert any("imap-urlauth: refuses bob" in text for text in failures(stand_in))


def test_the_worker_refuses_the_owner(stand_in: StandIn) -> None:
    stand_in.select_line = b"NO\n"
    assert any("imap-urlauth-worker: refuses the mail of alice" in text for text in failures(stand_in))


@pytest.mark.parametrize("line", ["first_line", "select_line"])
def test_a_stage_that_says_half_a_line(stand_in: StandIn, line: str) -> None:
    setattr(stand_in, line, b"O")
    assert any("no answer in 2 seconds" in text for text in failures(stand_in, patience=2))


def test_nobody_listens(stand_in: StandIn) -> None:
    stand_in.close()
    assert any("is Dovecot running?" in text for text in failures(stand_in))


@pytest.mark.parametrize(
    ("content", "text"), [(None, "is Dovecot running"), (b"short", "5 bytes long, not 32")], ids=["none", "short"]
)
def test_auths_secret(stand_in: StandIn, content: bytes | None, text: str) -> None:
    path = stand_in.folder / "auth-token-secret.dat"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert any(text in found for found in failures(stand_in))


@pytest.mark.parametrize(
    ("pattern", "reply", "text"),
    [
        (r"CREATE", "TAG NO no space\r\n", "alice cannot make a mailbox: NO no space"),
        (r"APPEND", "TAG OK no uid\r\n", "no APPENDUID"),
        (r"GENURLAUTH", "TAG OK no url\r\n", "no URL after GENURLAUTH"),
        (r"NAMESPACE", None, "imap: for alice: ended without a word"),
    ],
)
def test_imap_does_not_do_its_part(stand_in: StandIn, pattern: str, reply: str | None, text: str) -> None:
    stand_in.configure_imap([(pattern, reply), *COMMANDS])
    assert any(text in found for found in failures(stand_in))


def test_imap_lets_nobody_in(stand_in: StandIn) -> None:
    stand_in.configure_imap(COMMANDS, greeting="")
    assert failures(stand_in) == ["imap: for alice: imap: Fatal: Unknown user"]


def test_imap_is_not_there(stand_in: StandIn) -> None:
    (stand_in.folder / "libexec/imap").unlink()
    assert any("cannot be started" in text for text in failures(stand_in))


def test_no_host_is_set(stand_in: StandIn) -> None:
    found = [finding.text for finding in run_trial(stand_in.dovecot(host=""), PEOPLE)]
    assert found == ["settings: imap_urlauth_host is not set; set it to the name that clients use"]


def test_a_namespace_without_prefix_and_another_port(stand_in: StandIn) -> None:
    stand_in.configure_imap([(r"NAMESPACE", '* NAMESPACE (("" "/")) NIL NIL\r\nTAG OK done\r\n'), *COMMANDS])
    urls = []
    stand_in.answer = lambda reader, service, owner, url, decoded: urls.append(url)
    list(run_trial(stand_in.dovecot(port="1143"), PEOPLE))
    assert urls[0].startswith("imap://alice@imap.example.test:1143/dovecot-urlauth-test-")


def test_people_are_those_who_are_named_and_then_the_next(stand_in: StandIn) -> None:
    assert choose_people(stand_in.dovecot(), None, None) == People("alice", "bob", "carol")
    assert choose_people(stand_in.dovecot(), "carol", None) == People("carol", "alice", "bob")
    assert choose_people(stand_in.dovecot(), "alice", "carol") == People("alice", "carol", "bob")
    with pytest.raises(LiveFailure, match="doesn't exist"):
        choose_people(stand_in.dovecot(), "alice", "nobody")
    with pytest.raises(LiveFailure, match="gives nothing for nohome: has the user a home"):
        choose_people(stand_in.dovecot(), "alice", "nohome")
    stand_in.configure_users({})
    with pytest.raises(LiveFailure, match="name two"):
        choose_people(stand_in.dovecot(), None, None)


def test_doveadm_that_cannot_be_run(stand_in: StandIn) -> None:
    stand_in.doveadm.unlink()
    with pytest.raises(LiveFailure, match="doveadm: "):
        choose_people(stand_in.dovecot(), "alice", "bob")


AWAY = {"uid": "0", "gid": "0", "home": "/", "proxy": "", "host": "b1"}
AT_HOME = {"uid": "0", "gid": "0", "home": "/"}


def test_nobodys_mail_is_tried_that_is_elsewhere(stand_in: StandIn) -> None:
    """imap would make an empty mailbox of that name here."""
    stand_in.configure_users({"alice": AWAY, "bob": AT_HOME, "carol": AT_HOME})
    dovecot = stand_in.dovecot()
    assert choose_people(dovecot, None, None) == People("bob", "alice", "carol")
    assert failures(stand_in) == ["imap: the mail of alice is on backend b1, and its keys are; run this there"]
    stand_in.configure_users({"alice": AWAY, "bob": AWAY})
    with pytest.raises(LiveFailure, match="lists nobody whose mail is here; run this on a backend"):
        choose_people(dovecot, None, None)


def test_an_imapc_frontend_signs_nothing(stand_in: StandIn) -> None:
    dovecot = stand_in.dovecot()
    everything = dovecot.configuration.everything
    everything.settings |= {"mail_driver": "imapc", "imapc_host": "b1"}
    assert not dovecot.elsewhere("alice"), "as in Dovecot, where the worker does not ask"
    everything.blocks["service imap-urlauth-worker"] = Block({"executable": "x --backends=ask"})
    with pytest.raises(LiveFailure, match="the mail of alice is on b1, and its keys are"):
        dovecot.imap("alice")


def test_a_url_of_mail_that_is_elsewhere(stand_in: StandIn) -> None:
    """The worker is asked all the same; what is signed by which key, the backend knows."""
    stand_in.configure_users({"alice": AWAY, "bob": AT_HOME})
    stand_in.answer = right
    url = f"imap://alice@imap.example.test/INBOX/;UID=5;URLAUTH=user+bob:internal:{SIGNED}"
    findings = [str(finding) for finding in judge(stand_in.dovecot(), url, None)]
    assert findings[1:] == [
        "note  the mail of alice is on backend b1: key and message are there, too",
        f"ok    bob was given {len(MESSAGE)} bytes",
    ]
