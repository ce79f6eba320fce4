"""Messages of dbox whose attachments lie in files of their own: ours reads them natively, and as stock does."""

from __future__ import annotations

from base64 import b64encode
from itertools import product
from random import Random
from typing import TYPE_CHECKING

import pytest

from testing.instance import DovecotInstance
from testing.oracle import STOCK_WORKER, WORKER, WorkerLost, WorkerSession
from testing.scene import Scene
from testing.versions import TUNED, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dovecot.conftest import Installations

pytestmark = pytest.mark.in_turns

OLD = """\
mail_location = %s:~/box
mail_attachment_dir = ~/attachments
mail_attachment_min_size = 1
mail_save_crlf = %s
"""
NEW = """\
mail_driver = %s
mail_path = ~/box
mail_ext_attachment_path = ~/attachments
mail_ext_attachment_min_size = 1
mail_ext_attachment {
  fs sis {
  }
  fs posix {
  }
}
mail_save_crlf = %s
"""
SIZES = (1, 2, 3, 56, 57, 58, 114, 1000, 54_321)
COLUMNS = (76, 72, 64, 4, 400)


def lines(data: bytes, columns: int) -> bytes:
    """BASE64 in lines of so many columns, without an end of the last one."""
    encoded = b64encode(data)
    return b"\r\n".join(encoded[at : at + columns] for at in range(0, len(encoded), columns))


def part(kind: bytes, encoding: bytes, body: bytes) -> bytes:
    header = b"Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\nContent-Disposition: attachment\r\n"
    return b"--b\r\n" + header % (kind, encoding) + b"\r\n" + body + b"\r\n"


def message(random: Random) -> bytes:
    """Some parts, most of which come out as they were when they are encoded again."""
    parts = []
    for _ in range(random.randrange(1, 4)):
        body = lines(random.randbytes(random.choice(SIZES)), random.choice(COLUMNS))
        spoiled = (
            body,
            body,
            body,
            body + b"\r\n",
            body + b"\r\n\r\n",
            body.replace(b"\r\n", b"", 1),
            body + b" ",
        )
        parts.append(part(b"application/x", b"base64", random.choice(spoiled)))
        if random.random() < 0.5:
            parts.append(part(b"text/x", b"8bit", b"text \xe4\r\n" * random.randrange(1, 50)))
    return (
        b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"".join(parts)
        + b"--b--\r\n"
    )


@pytest.mark.parametrize("driver", ["sdbox", "mdbox"])
def test_attachments(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version, driver: str
) -> None:
    dovecot = DovecotInstance(version, TUNED, installations[version])
    settings = OLD if version.language == "2.3" else NEW
    dovecot.extra = "mail_debug = yes\n" + settings % (driver, "yes" if driver == "sdbox" else "no")
    starter(dovecot, "stock-worker", "imap-urlauth", "Corrupted|Missing|attachment")
    random = Random(1)
    with Scene(dovecot) as scene:
        scene.create("Box")
        sent = [message(random) for _ in range(20)]
        stored = [scene.store(each, "Box") for each in sent]
        whole = [scene.sign(each) for each in stored]
        parts = [scene.sign(each, section="1") for each in stored]
        ranges = [scene.sign(each, partial="150.100") for each in stored]
        files = [path for path in (dovecot.home("alice") / "attachments").rglob("*") if path.is_file()]
        assert len(files) > 20
        urls = [*whole, *parts, *ranges]
        ours, theirs = (answers(dovecot, worker, urls) for worker in (WORKER, STOCK_WORKER))
        assert ours == theirs
        assert ours[: 2 * len(sent) : 2] == sent
        for path in files:
            path.unlink()
        # what is not there is for Dovecot to make something of
        assert len(answers(dovecot, WORKER, whole[:1])) == 2
    roads = [line.rpartition("store: ")[2] for line in dovecot.log.lines() if "store: " in line]
    assert roads[:-1] == ["native"] * (len(roads) - 1)
    assert roads[-1] == "dovecot: an external attachment is not there"


def answers(dovecot: DovecotInstance, worker: str, urls: list[bytes]) -> list[bytes | None]:
    """Each message as it is, and decoded; None is a NO, after which stock says no more."""
    found: list[bytes | None] = []
    with WorkerSession(dovecot, worker) as session:
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        for url, item in product(urls, (b"body", b"binary")):
            try:
                answer = session.fetch(url, item)
            except (WorkerLost, OSError):
                found.append(None)
            else:
                found.append(answer.content if answer.ok else None)
    return found
