"""Everything that must be refused, and that the session that asked goes on; nobody learns what exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from testing.instance import HOST
from testing.oracle import mailbox_keys, sign
from testing.scene import MESSAGE, Scene, Stored

EMPTY_PART = (
    b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\r\n--b--\r\n"
)


def _swap_token(url: bytes, change: Callable[[bytes], bytes]) -> bytes:
    rump, _, token = url.rpartition(b":")
    return rump + b":" + change(token)


def _other_digit(digit: int) -> bytes:
    return b"0" if digit != ord("0") else b"1"


#: what is wrong -> the changed URL
CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "forged token": lambda url: _swap_token(url, lambda token: b"01" + b"0" * 40),
    "last digit of the token": lambda url: url[:-1] + _other_digit(url[-1]),
    "token of another algorithm": lambda url: _swap_token(url, lambda token: b"02" + token[2:]),
    "too short token": lambda url: _swap_token(url, lambda token: token[:10]),
    "longer token": lambda url: _swap_token(url, lambda token: token + b"00"),
    "token that is no hex": lambda url: _swap_token(url, lambda token: b"zz" + token[2:]),
    "another uid": lambda url: url.replace(b";UID=", b";UID=1"),
    "another mailbox": lambda url: url.replace(b"/INBOX;", b"/Other;"),
    "missing mailbox": lambda url: url.replace(b"/INBOX;", b"/Missing;"),
    "mailbox outside": lambda url: url.replace(b"/INBOX;", b"/..%2F..%2Fcarol%2FMaildir;"),
    "missing UIDVALIDITY": lambda url: url[: url.index(b";UIDVALIDITY")] + url[url.index(b"/;UID=") :],
    "another owner": lambda url: url.replace(b"alice@", b"carol@"),
    "wrong host": lambda url: url.replace(HOST.encode(), b"elsewhere.example.test"),
    "wrong port": lambda url: url.replace(HOST.encode(), HOST.encode() + b":1143"),
    "another access identifier": lambda url: url.replace(b"user+bob", b"authuser"),
    "another mechanism": lambda url: url.replace(b":internal:", b":external:"),
    "no token": lambda url: url[: url.index(b":internal:")],
    "section added": lambda url: url.replace(b";URLAUTH", b"/;SECTION=1;URLAUTH"),
    "percent form changed": lambda url: url.replace(b"INBOX", b"%49NBOX"),
}


@pytest.mark.every_combination
@pytest.mark.spoiled_by("switch-breaks", "finish-overlooked")
def test_each_change_is_refused_in_one_session(scene: Scene) -> None:
    scene.create("Other")
    stored = scene.store()
    url = scene.sign(stored)
    bob = scene.user("bob")
    for what, change in CHANGES.items():
        assert change(url) != url, what
        assert bob.fetch_url(change(url)) is None, what
        assert bob.fetch_url(url) == MESSAGE, f"after: {what}"


@pytest.mark.parametrize("what", CHANGES)
def test_refused_first(scene: Scene, what: str) -> None:
    url = scene.sign(scene.store())
    assert scene.user("bob").fetch_url(CHANGES[what](url)) is None
    assert scene.user("bob").fetch_url(url) == MESSAGE


@pytest.mark.every_combination
@pytest.mark.spoiled_by("unknown-user-panics-imap", "finish-overlooked")
def test_missing_target_user(scene: Scene) -> None:
    url = scene.sign(scene.store())
    bob = scene.user("bob")
    assert bob.fetch_url(url.replace(b"alice@", b"nobody@")) is None
    assert bob.fetch_url(url) == MESSAGE


@pytest.mark.every_combination
def test_wrong_uidvalidity(scene: Scene) -> None:
    stored = scene.store()
    other = Stored("alice", "INBOX", stored.uidvalidity + 1, stored.uid)
    reply = scene.user("alice").command(f'GENURLAUTH "{other.rump()}" INTERNAL'.encode())
    url = reply.all(b"GENURLAUTH")[0][0] if reply.ok else other.rump().encode() + b":internal:01" + b"0" * 40
    assert scene.user("bob").fetch_url(url) is None
    scene.works(stored)


@pytest.mark.every_combination
def test_after_resetkey(scene: Scene) -> None:
    scene.create("Reset")
    stored = scene.store(mailbox="Reset")
    url = scene.sign(stored)
    assert scene.user("bob").fetch_url(url) == MESSAGE
    assert scene.user("alice").resetkey("Reset").ok
    assert scene.user("bob").fetch_url(url) is None
    assert scene.user("bob").fetch_url(scene.sign(stored)) == MESSAGE
    scene.user("alice").command(b"DELETE Reset")


@pytest.mark.every_combination
@pytest.mark.spoiled_by("expunged-ends-worker")
def test_expunged(scene: Scene) -> None:
    kept, stored = scene.store(), scene.store()
    url = scene.sign(stored)
    assert scene.user("bob").fetch_url(url) == MESSAGE
    alice = scene.user("alice")
    alice.command(b"SELECT INBOX")
    alice.command(b"UID STORE %d +FLAGS.SILENT (\\Deleted)" % stored.uid)
    assert alice.command(b"UID EXPUNGE %d" % stored.uid).ok
    assert scene.user("bob").fetch_url(url) is None
    scene.works(kept)


def test_uid_that_never_was(scene: Scene) -> None:
    stored = scene.store()
    never = Stored("alice", "INBOX", stored.uidvalidity, 999_999)
    scene.sign(stored)
    # imap signs only what is there; so this token is made with the mailbox's key
    keys = mailbox_keys(scene.dovecot.home("alice"))
    assert keys
    for key in keys:
        assert scene.user("bob").fetch_url(sign(never.rump().encode(), key)) is None
    scene.works(stored)


@pytest.mark.parametrize("section", ["9", "1.2", "2.MIME.3", "3.9", "2.HEADER"])
def test_missing_part(scene: Scene, section: str) -> None:
    stored = scene.store()
    scene.sign(stored)
    # imap does not sign every one of them; so these tokens are made with the mailbox's key
    keys = mailbox_keys(scene.dovecot.home("alice"))
    assert keys
    for key in keys:
        assert scene.user("bob").fetch_url(sign(stored.rump(section=section).encode(), key)) is None
    scene.works(stored)


@pytest.mark.every_combination
@pytest.mark.spoiled_by("bad-section-ends-worker")
@pytest.mark.parametrize("section", ["FOO", "HEADER.FIELDS", "1..2", "MIME"])
def test_section_that_is_none(scene: Scene, section: str) -> None:
    stored = scene.store()
    url = scene.sign(stored).replace(b";URLAUTH", b"/;SECTION=" + section.encode() + b";URLAUTH")
    assert scene.user("bob").fetch_url(url) is None
    scene.works(stored)


@pytest.mark.every_combination
@pytest.mark.spoiled_by("undecodable-ends-worker")
def test_part_that_cannot_be_decoded(scene: Scene) -> None:
    message = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: x-unheard-of\r\n\r\nbody\r\n"
    stored = scene.store(message)
    assert scene.user("bob").fetch_items(scene.sign(stored), "BINARY") is None
    assert scene.user("bob").fetch_items(scene.sign(stored), "BODY") == {b"BODY": message}


@pytest.mark.every_combination
@pytest.mark.spoiled_by("empty-result-hangs")
@pytest.mark.parametrize("parts", [{"partial": "100000.5"}, {"section": "1"}])
def test_empty_result(scene: Scene, parts: dict[str, str]) -> None:
    stored = scene.store(EMPTY_PART)
    assert scene.user("bob").fetch_url(scene.sign(stored, **parts)) is None
    assert scene.user("bob").fetch_url(scene.sign(stored)) == EMPTY_PART


def _without_url(untagged: list[list[Any]], url: bytes) -> list[list[Any]]:
    return [[word and word.replace(url, b"URL") for word in line] for line in untagged]


@pytest.mark.parametrize("person", ["bob", "anonymous"])
def test_nobody_learns_what_exists(scene: Scene, person: str) -> None:
    access = "user+bob" if person == "bob" else "anonymous"
    stored = scene.store()
    url = scene.sign(stored, access)
    forged = CHANGES["forged token"](url)
    session = scene.anonymous() if person == "anonymous" else scene.user(person)
    answers = {}
    for what, asked in {
        "the mailbox and the message": forged,
        "no such user": forged.replace(b"alice@", b"nobody@"),
        "no such mailbox": forged.replace(b"/INBOX;", b"/Missing;"),
        "no mailbox of such a name": forged.replace(b"/INBOX;", b"/a%2f%2fb;"),
        "no user of such a mailbox": forged.replace(b"alice@", b"nobody@").replace(b"/INBOX;", b"/a%2f%2fb;"),
        "no such message": forged.replace(b";UID=", b";UID=99"),
        "no such uidvalidity": forged.replace(b"%d/" % stored.uidvalidity, b"%d/" % (stored.uidvalidity + 1)),
    }.items():
        answers[what] = _without_url(session.urlfetch(asked).untagged, asked)
    expected = answers["the mailbox and the message"]
    assert expected == [[b"URLFETCH", b"URL", None]]
    assert answers == dict.fromkeys(answers, expected)


def test_a_mailbox_without_key_gets_none(scene: Scene) -> None:
    scene.create("Keyless")
    scene.store(mailbox="Keyless")
    keys = scene.dovecot.home("alice") / "dovecot-attributes"
    before = keys.read_bytes()
    url = CHANGES["forged token"](scene.sign(scene.store())).replace(b"/INBOX;", b"/Keyless;")
    assert scene.user("bob").fetch_url(url) is None
    assert keys.read_bytes().count(b"/imap-urlauth") == before.count(b"/imap-urlauth")
    scene.user("alice").command(b"DELETE Keyless")
