"""Large things, under the 256 MiB of address space that Dovecot gives each process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from testing.scene import Scene, Stored

LINE = b"The quick brown fox jumps over the lazy dog, seventy-six bytes long, CRLF.\r\n"


HEADER = b"Subject: large\r\nContent-Type: text/plain\r\n\r\n"


def _content(lines: int) -> Iterator[bytes]:
    yield HEADER
    for _ in range(0, lines, 1000):
        yield LINE * 1000


def _deliver(scene: Scene, lines: int) -> tuple[Stored, bytes]:
    """Put a message of so many lines into Alice's INBOX; its place and SHA-256."""
    alice = scene.user("alice")
    alice.command(b"SELECT INBOX")
    scene.dovecot.deliver("alice", _content(lines), f"{1_700_000_000 + lines}.large")
    alice.command(b"NOOP")
    uidvalidity, uid = alice.append("INBOX", b"Subject: after\r\n\r\n")
    reply = alice.command(b"UID SEARCH LARGER 10000000")
    # the largest mail is the newest one that large
    large = max(int(word) for word in reply.all(b"SEARCH")[0])
    assert large < uid
    digest = hashlib.sha256()
    for chunk in _content(lines):
        digest.update(chunk)
    return Stored("alice", "INBOX", uidvalidity, large), digest.digest()


def _remove(scene: Scene, stored: Stored) -> None:
    alice = scene.user("alice")
    alice.command(b"UID STORE %d +FLAGS.SILENT (\\Deleted)" % stored.uid)
    alice.command(b"UID EXPUNGE %d" % stored.uid)


def test_25_megabytes(scene: Scene) -> None:
    stored, digest = _deliver(scene, 330_000)
    content = scene.user("bob").fetch_url(scene.sign(stored))
    assert content is not None
    assert hashlib.sha256(content).digest() == digest
    url = scene.sign(stored, section="TEXT", partial=f"{len(LINE) * 300_000}.{len(LINE)}")
    assert scene.user("bob").fetch_url(url) == LINE
    _remove(scene, stored)


@pytest.mark.only("tuned")
def test_300_megabytes(scene: Scene) -> None:
    stored, digest = _deliver(scene, 4_000_000)
    bob = scene.user("bob")
    bob.set_timeout(120)
    scene.user("alice").set_timeout(120)
    content = bob.fetch_url(scene.sign(stored))
    assert content is not None
    assert len(content) > 300_000_000
    assert hashlib.sha256(content).digest() == digest
    _remove(scene, stored)


def test_large_base64_part(scene: Scene) -> None:
    encoded = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5\r\n" * 60_000
    head = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    stored = scene.store(head + encoded)
    answer = scene.user("bob").fetch_items(scene.sign(stored, section="1"), "BINARY")
    decoded = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxy" * 60_000
    assert answer == {b"BINARY": decoded}


def test_a_part_of_nothing_but_nuls(scene: Scene) -> None:
    head = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    stored = scene.store(head + b"AAAA" * 18 + b"\r\n")
    answer = scene.user("bob").fetch_items(scene.sign(stored, section="1"), "BINARY")
    assert answer == {b"BINARY": bytes(54)}


@pytest.mark.every_combination
@pytest.mark.spoiled_by("long-url-ends-worker")
def test_long_url(scene: Scene) -> None:
    fields = "%20".join(["SUBJECT"] * 300)
    stored = scene.store(b"Subject: long\r\nFrom: a@b\r\n\r\nx\r\n")
    url = scene.sign(stored, section=f"HEADER.FIELDS%20({fields})")
    assert len(url) > 2500
    assert scene.user("bob").fetch_url(url) == b"Subject: long\r\n\r\n"


def test_a_hundred_urls_in_one_command(scene: Scene) -> None:
    urls = [scene.sign(scene.store(b"Subject: %d\r\n\r\n" % number)) for number in range(100)]
    reply = scene.user("bob").urlfetch(*urls)
    contents = [content for _, content in reply.all(b"URLFETCH")]
    assert contents == [b"Subject: %d\r\n\r\n" % number for number in range(100)]
