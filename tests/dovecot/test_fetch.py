"""Bob fetches what Alice signed for him: whole messages, parts, decoded parts, structures (RFC 4467, RFC
5524).
"""

from __future__ import annotations

import pytest

from testing.imapclient import Literal8
from testing.scene import DECODED, MESSAGE, SECTIONS, Scene
from tests.dovecot.conftest import Row


@pytest.mark.every_combination
def test_capability(scene: Scene) -> None:
    assert {b"URLAUTH", b"URLAUTH=BINARY"} <= scene.user("bob").capabilities()


@pytest.mark.every_combination
def test_whole_message(scene: Scene) -> None:
    url = scene.sign(scene.store())
    assert scene.user("bob").fetch_url(url) == MESSAGE


@pytest.mark.every_combination
def test_every_section_in_one_session(scene: Scene) -> None:
    stored = scene.store()
    for section, content in SECTIONS.items():
        url = scene.sign(stored, section=section)
        assert scene.user("bob").fetch_url(url) == content, section


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section or "whole")
def test_section(scene: Scene, section: str) -> None:
    url = scene.sign(scene.store(), section=section)
    assert scene.user("bob").fetch_url(url) == SECTIONS[section]


@pytest.mark.every_combination
@pytest.mark.parametrize("section", DECODED)
def test_binary(scene: Scene, section: str) -> None:
    url = scene.sign(scene.store(), section=section)
    answer = scene.user("bob").fetch_items(url, "BINARY")
    assert answer == {b"BINARY": DECODED[section]}
    assert isinstance(answer[b"BINARY"], Literal8) or b"\0" not in DECODED[section]


@pytest.mark.every_combination
@pytest.mark.parametrize(
    "items",
    [("BODYPARTSTRUCTURE",), ("BODYPARTSTRUCTURE", "BODY"), ("BINARY", "BODYPARTSTRUCTURE")],
)
def test_structure_beside_content(scene: Scene, row: Row, items: tuple[str, ...]) -> None:
    url = scene.sign(scene.store(), section="1")
    answer = scene.user("bob").fetch_items(url, *items)
    assert answer is not None
    assert set(answer) == {item.encode() for item in items}
    structure = answer[b"BODYPARTSTRUCTURE"]
    assert isinstance(structure, list)
    # 2.4 names the encoding of what it sends, 2.3 the one of the mail
    decoded = "BINARY" in items and row.version.language == "2.4"
    encoding = b"binary" if decoded else b"quoted-printable"
    assert structure[:6] == [b"text", b"plain", [b"charset", b"utf-8"], None, None, encoding]
    if "BODY" in items:
        assert answer[b"BODY"] == SECTIONS["1"]
    if "BINARY" in items:
        assert answer[b"BINARY"] == DECODED["1"]


@pytest.mark.parametrize("section", ["", "2", "3", "3.1"])
def test_structure_is_what_the_owner_sees(scene: Scene, section: str) -> None:
    stored = scene.store()
    url = scene.sign(stored, section=section)
    own = scene.sign(stored, "user+alice", section=section)
    seen = scene.user("alice").fetch_items(own, "BODYPARTSTRUCTURE")
    assert seen is not None
    assert scene.user("bob").fetch_items(url, "BODYPARTSTRUCTURE") == seen


@pytest.mark.every_combination
@pytest.mark.parametrize(
    ("partial", "start", "end"),
    [("0.10", 0, 10), ("100.50", 100, 150), ("300", 300, None)],
)
def test_partial(scene: Scene, partial: str, start: int, end: int | None) -> None:
    url = scene.sign(scene.store(), partial=partial)
    assert scene.user("bob").fetch_url(url) == MESSAGE[start:end]


def test_partial_of_a_section(scene: Scene) -> None:
    url = scene.sign(scene.store(), section="3.TEXT", partial="5.12")
    assert scene.user("bob").fetch_url(url) == SECTIONS["3.TEXT"][5:17]


@pytest.mark.every_combination
def test_several_urls_in_one_command(scene: Scene) -> None:
    stored = scene.store()
    urls = [scene.sign(stored, section=section) for section in SECTIONS]
    reply = scene.user("bob").urlfetch(*urls)
    assert reply.ok
    assert reply.all(b"URLFETCH") == [[url, content] for url, content in zip(urls, SECTIONS.values())]


@pytest.mark.every_combination
@pytest.mark.spoiled_by("switch-breaks", "finish-overlooked")
def test_several_targets_in_one_command(scene: Scene) -> None:
    owners = ("alice", "carol", "submitsrv")
    contents = {owner: b"Subject: from %s\r\n\r\nx\r\n" % owner.encode() for owner in owners}
    urls = [scene.sign(scene.store(content, owner=owner)) for owner, content in contents.items()]
    reply = scene.user("bob").urlfetch(*urls)
    assert reply.ok
    assert dict(reply.all(b"URLFETCH")) == dict(zip(urls, contents.values()))


@pytest.mark.every_combination
def test_own_and_foreign_urls_in_one_command(scene: Scene) -> None:
    foreign = scene.sign(scene.store())
    own = scene.sign(scene.store(b"Subject: mine\r\n\r\nmine\r\n", owner="bob"))
    reply = scene.user("bob").urlfetch(own, foreign, own)
    assert reply.ok
    assert dict(reply.all(b"URLFETCH")) == {own: b"Subject: mine\r\n\r\nmine\r\n", foreign: MESSAGE}


@pytest.mark.parametrize("mailbox", ["Archive", "Archive/2026", "with space", "Entw&APw-rfe"])
def test_mailbox_names(scene: Scene, mailbox: str) -> None:
    name = mailbox.replace("/", ".")
    scene.user("alice").command(f'CREATE "{name}"'.encode())
    stored = scene.store(mailbox=name)
    # RFC 5092: the URL has the name in percent-encoded UTF-8
    written = name.replace(" ", "%20").replace("&APw-", "%C3%BC")
    [url] = scene.user("alice").genurlauth(stored.rump(mailbox=written))
    assert scene.user("bob").fetch_url(url) == MESSAGE


@pytest.mark.parametrize(
    "message",
    [b"Subject: no end of line\r\n\r\nx", b"Subject: header only\r\n\r\n", b"\r\n\r\nno header\r\n"],
)
def test_odd_messages(scene: Scene, message: bytes) -> None:
    url = scene.sign(scene.store(message))
    assert scene.user("bob").fetch_url(url) == message


@pytest.mark.every_combination
@pytest.mark.spoiled_by("new-mail-unseen")
def test_new_mail_in_a_running_session(scene: Scene) -> None:
    bob = scene.user("bob")
    for number in range(5):
        message = b"Subject: number %d\r\n\r\n%d\r\n" % (number, number)
        assert bob.fetch_url(scene.sign(scene.store(message))) == message


def test_bare_line_feeds_on_disk(scene: Scene) -> None:
    scene.user("alice").command(b"SELECT INBOX")
    scene.dovecot.deliver("alice", b"Subject: unix\n\none\ntwo\n", f"{1_700_000_000}.{scene.dovecot.log.mark()}")
    scene.user("alice").command(b"NOOP")
    stored = scene.store(b"Subject: after\r\n\r\n")
    before = type(stored)("alice", "INBOX", stored.uidvalidity, stored.uid - 1)
    assert scene.user("bob").fetch_url(scene.sign(before)) == b"Subject: unix\r\n\r\none\r\ntwo\r\n"
