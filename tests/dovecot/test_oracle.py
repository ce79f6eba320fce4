"""The stock worker and ours behind the same control protocol, on the same Maildir: the same bytes.

Every difference must be one of those that are meant: an empty result is NO, what ends the stock worker is
NO too, and `hasnuls` is said only when there is a NUL.
"""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter
from dataclasses import dataclass, replace

import pytest

from testing.oracle import STOCK_WORKER, WORKER, Answer, WorkerLost, WorkerSession, mailbox_keys, sign
from testing.scene import Scene, Stored
from tests.dovecot import corpus
from tests.dovecot.differential.compare import NUMBER

SECTIONS = (
    "", "HEADER", "TEXT", "1", "2", "3", "1.1", "2.1", "1.2", "1.MIME", "2.MIME", "1.HEADER", "1.TEXT", "1.1.MIME",
    "2.HEADER", "2.TEXT", "HEADER.FIELDS (SUBJECT FROM)", "HEADER.FIELDS.NOT (SUBJECT CONTENT-TYPE)",
    "1.HEADER.FIELDS (SUBJECT)", "4.1.2", "1.1.1",
)  # fmt: skip
FLAGS = ((b"body",), (b"binary",), (b"bpstruct",), (b"bpstruct", b"body"), (b"bpstruct", b"binary"))
PARTIALS = ("0.7", "3.1000", "50")

#: Thousands of parts: a second for each answer.
SLOW = ("30-many-parts",)

#: The words of an answer that the stock worker announces without need.
NULS = b"hasnuls"


@dataclass(frozen=True)
class Question:
    """One URL command."""

    stored: Stored
    section: str
    partial: str
    flags: tuple[bytes, ...]

    def url(self, key: bytes) -> bytes:
        return sign(self.stored.rump(section=self.section, partial=self.partial).encode(), key)


class Respondent:
    """A worker that is asked one question after the other, and begun anew when it ends."""

    def __init__(self, scene: Scene, name: str) -> None:
        self._scene = scene
        self._name = name
        self._session: WorkerSession | None = None

    def ask(self, url: bytes, flags: tuple[bytes, ...]) -> Answer | None:
        """The answer; None if a worker ended, or fell silent, instead of completing one."""
        if self._session is not None:
            try:
                return self._session.fetch(url, *flags)
            except (WorkerLost, OSError):
                # the stock worker may have ended after its last NO: ask a new one
                self.close()
        self._session = WorkerSession(self._scene.dovecot, self._name, timeout=3)
        self._session.access(b"bob")
        assert self._session.select(b"alice") == b"OK\n"
        try:
            return self._session.fetch(url, *flags)
        except (WorkerLost, OSError):
            self.close()
            return None

    def close(self) -> None:
        if self._session:
            self._session.close()
            self._session = None


def _questions(scene: Scene) -> list[tuple[str, Question]]:
    """Everything for the specimens that were made to break readers, a sample for each generated one."""
    choose = random.Random(0)
    asked = []
    for name, stored in _stored(scene):
        questions = [Question(stored, section, "", flags) for section in SECTIONS for flags in FLAGS]
        for section, partial in itertools.product(("", "TEXT", "1"), PARTIALS):
            questions += [Question(stored, section, partial, flags) for flags in FLAGS[:2]]
        if name.startswith("generated"):
            questions = choose.sample(questions, 15)
        elif name in SLOW:
            questions = choose.sample(questions, 5)
        asked += [(name, question) for question in questions]
    return asked


def _stored(scene: Scene) -> list[tuple[str, Stored]]:
    """Put the corpus into a mailbox of Alice's, file by file."""
    scene.create("Oracle")
    specimens = corpus.specimens()
    for number, specimen in enumerate(specimens):
        scene.dovecot.deliver("alice", specimen.content, f"{1_700_000_000 + number}.{specimen.name}", ".Oracle")
    reply = scene.user("alice").command(b"SELECT Oracle")
    texts = b" ".join(line[1] for line in reply.untagged if line[0] == b"OK")
    uidvalidity = re.search(rb"UIDVALIDITY (\d+)", texts)
    assert uidvalidity
    return [
        (specimen.name, Stored("alice", "Oracle", int(uidvalidity[1]), number))
        for number, specimen in enumerate(specimens, 1)
    ]


def _same(stock: Answer | None, ours: Answer | None, flags: tuple[bytes, ...]) -> bool:
    """Whether ours is what the stock worker said, or what is meant to be said in its place."""
    if ours is None:
        return False
    if stock is None or not stock.ok:
        # a NO is a NO: the stock worker's texts differ with its state
        return not ours.ok
    if not stock.content and flags != (b"bpstruct",):
        # imap would leave its client waiting for the end of the response
        return not ours.ok
    if (NULS in ours.words) and b"\0" not in ours.content:
        return False
    return _words(ours, flags) == _words(stock, flags) and ours.content == stock.content


def _words(answer: Answer, flags: tuple[bytes, ...]) -> list[bytes]:
    """What both have to say; the sizes of decoded parts are right in ours only."""
    words = [word for word in answer.words if word != NULS]
    return [NUMBER.sub(b" #", word) for word in words] if flags == (b"bpstruct", b"binary") else words


def _stock_contradicts_itself(stock: Respondent, question: Question, key: bytes, ours: Answer | None) -> bool:
    """Whether ours is the right slice of what the stock worker itself says without the partial range.

    Its slices are off by one when they begin within a line end of a mail that mixes them.
    """
    if not question.partial or ours is None:
        return False
    whole = stock.ask(replace(question, partial="").url(key), question.flags)
    offset, _, size = question.partial.partition(".")
    end = int(offset) + int(size) if size else None
    return whole is not None and ours.content == whole.content[int(offset) : end]


@pytest.mark.only("ours-ours-ours")
def test_same_bytes(scene: Scene) -> None:
    scene.expect_log(r"imap-urlauth\[", r"imap-urlauth-worker", r"stock-worker", r"imap-urlauth\(")
    questions = _questions(scene)
    first = questions[0][1].stored
    signed = scene.sign(first)
    keys = mailbox_keys(scene.dovecot.home("alice"))
    [key] = [key for key in keys if sign(first.rump().encode(), key) == signed]
    stock, ours = Respondent(scene, STOCK_WORKER), Respondent(scene, WORKER)
    outcomes: Counter[str] = Counter()
    wrong = []
    for name, question in questions:
        url = question.url(key)
        said, answered = stock.ask(url, question.flags), ours.ask(url, question.flags)
        outcomes["lost" if said is None else said.words[0].decode()] += 1
        if _same(said, answered, question.flags):
            continue
        if _stock_contradicts_itself(stock, question, key, answered):
            outcomes["contradicted"] += 1
        else:
            wrong.append(f"{name} {question.section} {question.partial} {question.flags}\n  {said}\n  {answered}")
    stock.close()
    ours.close()
    assert outcomes["OK"] > 3000, outcomes
    assert outcomes["contradicted"] < 5, outcomes
    assert not wrong, f"{len(wrong)} of {len(questions)} answers differ:\n" + "\n".join(wrong[:20])
