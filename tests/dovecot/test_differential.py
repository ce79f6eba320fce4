"""The short form of the differential: a few hundred seeded questions to each version, every answer explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testing.oracle import Answer
from testing.versions import CHOSEN, WANTED, Version
from tests.dovecot.differential import campaign, generator
from tests.dovecot.differential.compare import SAME, UNEXPLAINED, Exchange, judge
from tests.dovecot.differential.mail_store import MAILDIR
from tests.dovecot.differential.questions import Question
from tests.dovecot.differential.reduce import expression
from tests.dovecot.differential.stores import STORES

if TYPE_CHECKING:
    from tests.dovecot.conftest import Installations
    from tests.dovecot.differential.mail_store import MailStore

SEED = 0
COUNT = 600
FEWER = 240
"""Questions about each store that is not plain Maildir: the same code answers them once the mail is found."""


def _rows() -> list[tuple[MailStore, Version]]:
    """Each store on one of the versions that have it; on all that DOVECOT_URLAUTH_VERSIONS names."""
    rows = []
    for number, store in enumerate(STORES.values()):
        fitting = [version for version in CHOSEN if store.is_for(version)]
        chosen = fitting if WANTED or not fitting else [fitting[number % len(fitting)]]
        rows += [(store, version) for version in chosen]
    return rows


@pytest.mark.parametrize(
    ("store", "running_on"), _rows(), ids=[f"{store.name}-{version.name}" for store, version in _rows()]
)
def test_every_difference_is_meant(installations: Installations, store: MailStore, running_on: Version) -> None:
    count = COUNT if store.name == MAILDIR else FEWER
    outcome = campaign.run(running_on, installations[running_on], SEED, count, store)
    assert outcome.good, "\n\n".join((outcome.writer_failed, *outcome.reports))
    assert not outcome.complaints
    # a comparison of refusals would prove little
    assert outcome.counts[SAME] > count // 2, outcome.counts
    assert store.has_writer == bool(outcome.changes)


@given(st.integers(0, 300).map(lambda number: generator.message(SEED, number)) | st.binary())
def test_a_message_can_be_pasted(message: bytes) -> None:
    assert eval(expression(message)) == message


def test_what_is_repeated_is_written_once() -> None:
    assert len(expression(b"head\n\n" + b"--b\n\nx\n" * 10_000 + b"--b--\n")) < 200


CUT = b"Subject\0: a\n\nbody of some lines\n"
"""A name with a NUL, which stock miscounts in an mbox file that was rewritten."""


@pytest.mark.parametrize(
    ("content", "message", "is_rewritten", "rule"),
    [
        (b"y of some lines\r\n", CUT, True, "place in a rewritten file"),
        (b"\r\nbody of some lin", CUT, True, "place in a rewritten file"),
        (b"body of some lines\r\n", CUT, True, SAME),
        (b"body of some", CUT, False, UNEXPLAINED),
        (b"body of some", CUT.replace(b"\0", b""), True, UNEXPLAINED),
        (b"body of other lines\r\n", CUT, True, UNEXPLAINED),
        (b"", CUT, True, UNEXPLAINED),
    ],
)
def test_what_begins_too_early_or_too_late(content: bytes, message: bytes, is_rewritten: bool, rule: str) -> None:
    question = Question("message", b"imap://", (b"body",))
    stock, ours = (Answer((b"OK",), text) for text in (content, b"body of some lines\r\n"))
    assert judge(Exchange(question, stock, ours, message, is_rewritten=is_rewritten)) == rule
