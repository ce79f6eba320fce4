"""The table of rfc.py, asked of our worker and of Dovecot's own over the same mail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testing.oracle import STOCK_WORKER, WORKER, Answer, WorkerLost, WorkerSession, mailbox_keys, sign
from testing.scene import Scene
from testing.versions import TUNED
from tests.dovecot.rfc import NO, SENTENCES, Sentence

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dovecot.conftest import Row

pytestmark = pytest.mark.only(TUNED.name)

TOKENS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "good": sign,
    "short": lambda rump, key: sign(rump, key)[:-1],
    "long": lambda rump, key: sign(rump, key) + b"0",
    "wrong": lambda rump, key: sign(rump, key)[:-1] + (b"1" if sign(rump, key).endswith(b"0") else b"0"),
    "upper": lambda rump, key: rump + b":internal:" + sign(rump, key).rpartition(b":")[2].upper(),
    "version": lambda rump, key: sign(rump, key).replace(b":internal:01", b":internal:02"),
    "none": lambda rump, key: rump,
    "INTERNAL": lambda rump, key: sign(rump, key).replace(b":internal:", b":INTERNAL:"),
    "mechanism": lambda rump, key: sign(rump, key).replace(b":internal:", b":external:"),
    "respelled": lambda rump, key: sign(rump, key).replace(b"INBOX", b"inbox"),
    "key": lambda rump, key: sign(rump, bytes(len(key))),
}


def _ask(scene: Scene, name: str, row: Sentence, url: bytes) -> Answer | None:
    """The answer; None if the worker ended instead of giving one."""
    with WorkerSession(scene.dovecot, name, timeout=20 if name == WORKER else 3) as session:
        applications = (f"apps={','.join(row.applications)}".encode(),) if row.applications else ()
        session.access(row.user.encode(), row.service.encode(), *applications)
        assert session.select(b"alice") == b"OK\n"
        try:
            return session.fetch(url, *(flag.encode() for flag in row.flags))
        except (WorkerLost, OSError):
            return None


def _content(answer: Answer | None) -> bytes | str | None:
    if answer is None:
        return "the worker dies"
    return answer.content if answer.ok else NO


def test_every_sentence(scene: Scene, row: Row) -> None:
    stored = scene.store()
    signed = scene.sign(stored)  # lets imap make the key
    scene.expect_log(r"Fatal failure while fetching URL", r"userdb uid \(5003\)", r"userid lookup failed")
    rump = signed.partition(b":internal:")[0]
    [key] = [key for key in mailbox_keys(scene.dovecot.home("alice")) if sign(rump, key) == signed]
    wrong, untold = [], []
    for sentence in SENTENCES:
        rump = sentence.url.format(validity=stored.uidvalidity, uid=stored.uid).encode()
        url = TOKENS[sentence.token](rump, key)
        ours = _content(_ask(scene, WORKER, sentence, url))
        if ours != sentence.answer:
            wrong.append((sentence.source, sentence.says, ours))
        stock = _content(_ask(scene, STOCK_WORKER, sentence, url))
        differs = bool(sentence.stock) and not (sentence.mended and row.version.number >= (2, 4, 3))
        if (stock != sentence.answer) != differs:
            untold.append((sentence.source, sentence.says, sentence.stock, stock))
    assert not wrong, "\n".join(map(str, wrong))
    assert not untold, "\n".join(map(str, untold))


def test_no_sentence_stands_twice() -> None:
    asked = [(each.url, each.user, each.service, each.flags, each.token) for each in SENTENCES]
    assert len(set(asked)) == len(asked) > 120
