"""Mail that Dovecot's own plugins compressed or encrypted: served natively, and as the stock worker serves it."""

from __future__ import annotations

import random
from base64 import encodebytes
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from testing.instance import DovecotInstance
from testing.oracle import STOCK_WORKER, WORKER, WorkerSession
from testing.scene import MESSAGE, SECTIONS, Scene
from testing.versions import TUNED, Version
from tests.store.native.compressing import COMPRESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testing.scene import Stored
    from tests.dovecot.conftest import Installations

pytestmark = pytest.mark.in_turns

MAGIC = {"gz": b"\x1f\x8b", "bz2": b"BZh", "xz": b"\xfd7zXZ", "lz4": b"Dovecot-LZ4", "zstd": b"\x28\xb5\x2f\xfd"}
ATTACHMENT = encodebytes(random.Random(3).randbytes(17_000_000)).replace(b"\n", b"\r\n")
LARGE = (
    b"Subject: large\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nsmall\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + ATTACHMENT
    + b"--b\r\nContent-Type: text/plain\r\n\r\nlast\r\n--b--\r\n"
)
"""24 MB; line ends as they are in IMAP."""
ITEMS = (("body",), ("binary",), ("bpstruct",))


def compressing(version: Version, method: str) -> str:
    if version.language == "2.3":
        save = f"plugin {{\n  zlib_save = {method}\n}}\n" if method != "xz" else ""
        return f"mail_plugins = zlib\n{save}"
    return f"mail_plugins {{\n  mail_compress = yes\n}}\nmail_compress_write_method = {method}\n"


def natively(version: Version, ours: Installations) -> str:
    """The worker that has no other store."""
    executable = ours[version].executables / "imap-urlauth-worker"
    return f"service imap-urlauth-worker {{\n  executable = {executable} --store=native\n}}\n"


def files(dovecot: DovecotInstance, folder: str = "") -> list[Path]:
    maildir = dovecot.home("alice") / "Maildir" / folder
    return [path for part in ("cur", "new") for path in (maildir / part).iterdir()]


@contextmanager
def both_workers(dovecot: DovecotInstance) -> Iterator[tuple[WorkerSession, WorkerSession]]:
    """Ours and the stock one, bob asking for alice's mail."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(WorkerSession(dovecot, name, 60)) for name in (WORKER, STOCK_WORKER)]
        for session in sessions:
            session.access(b"bob")
            assert session.select(b"alice") == b"OK\n"
        yield sessions[0], sessions[1]


def same(dovecot: DovecotInstance, scene: Scene, mails: dict[Stored, bytes], sections: tuple[str, ...]) -> int:
    """Ask both workers for parts of each mail; how many answers were the same, and not refusals."""
    agreed = 0
    with both_workers(dovecot) as (ours, stock):
        for stored, mail in mails.items():
            assert ours.fetch(scene.sign(stored)).content == mail
            for section in sections:
                for partial in ("", "3.40"):
                    url = scene.sign(stored, section=section, partial=partial)
                    for items in ITEMS:
                        asked = tuple(item.encode() for item in items)
                        answer = ours.fetch(url, *asked)
                        expected = stock.fetch(url, *asked)
                        assert answer.content == expected.content, (section, items)
                        if items == ("bpstruct",):
                            assert answer.words == expected.words
                        agreed += answer.ok
    return agreed


@pytest.mark.parametrize("method", COMPRESS)
def test_compressed(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version, method: str
) -> None:
    """Mails of every kind side by side, some plain; parts, ranges and decoded parts of them."""
    if method == "xz" and version.language != "2.3":
        pytest.skip("2.4 knows no xz")
    extra = compressing(version, method) + natively(version, installations)
    dovecot = starter(DovecotInstance(version, TUNED, installations[version], extra))
    with Scene(dovecot) as scene:
        written = scene.store()
        [file] = files(dovecot)
        if method != "xz":  # which nobody writes any more
            assert file.read_bytes().startswith(MAGIC[method])
        plain = b"Subject: plain\n\nnot compressed\n"
        for number, content in enumerate((plain, COMPRESS[method](plain), COMPRESS[method](MESSAGE))):
            dovecot.deliver("alice", content, str(1_700_000_000 + number))
        scene.user("alice").command(b"SELECT INBOX")
        others = [replace(written, uid=written.uid + number) for number in (1, 2, 3)]
        crlf = plain.replace(b"\n", b"\r\n")
        mails = dict(zip((written, *others), (MESSAGE, crlf, crlf, MESSAGE), strict=True))
        assert same(dovecot, scene, mails, tuple(SECTIONS)) > 100


@pytest.mark.parametrize("method", ["gz", "zstd"])
def test_large_and_compressed(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version, method: str
) -> None:
    extra = compressing(version, method) + natively(version, installations)
    dovecot = starter(DovecotInstance(version, TUNED, installations[version], extra))
    with Scene(dovecot) as scene:
        stored = scene.store(LARGE)
        with both_workers(dovecot) as (ours, stock):
            for section, partial in (("", ""), ("", "16500000.100"), ("2", ""), ("3", ""), ("2", "15000000.9")):
                url = scene.sign(stored, section=section, partial=partial)
                for item in (b"body", b"binary"):
                    answer, expected = ours.fetch(url, item), stock.fetch(url, item)
                    assert answer.ok
                    assert answer.content == expected.content
            assert ours.fetch(scene.sign(stored)).content == LARGE


def test_cut_and_garbled(
    starter: Callable[..., DovecotInstance], installations: Installations, version: Version
) -> None:
    """A NO, one line in the log, and the session goes on."""
    extra = compressing(version, "gz") + natively(version, installations)
    dovecot = starter(DovecotInstance(version, TUNED, installations[version], extra), "gz: ")
    with Scene(dovecot) as scene, WorkerSession(dovecot) as session:
        stored = [scene.store(mailbox=mailbox) for mailbox in ("INBOX", "INBOX")]
        good, bad = (scene.sign(each) for each in stored)
        [file] = [file for file in files(dovecot) if _uid(dovecot, file) == stored[1].uid]
        content = file.read_bytes()
        session.access(b"bob")
        assert session.select(b"alice") == b"OK\n"
        for broken, text in (
            (content[:-9], "gz: Unexpected end of data at byte"),
            (content[:100] + b"garbage" + content[107:], "gz: Corrupted data before byte"),
        ):
            mark = dovecot.log.mark()
            file.write_bytes(broken)
            assert not session.fetch(bad).ok
            assert session.fetch(good).content == MESSAGE
            dovecot.log.wait_for(text, mark)
            assert len([line for line in dovecot.log.since(mark) if text in line]) == 1


def _uid(dovecot: DovecotInstance, file: Path) -> int:
    uidlist = (dovecot.home("alice") / "Maildir/dovecot-uidlist").read_text()
    [line] = [line for line in uidlist.splitlines() if line.endswith(":" + file.name.partition(":")[0])]
    return int(line.split()[0])
