"""The short form of the differential: a few hundred seeded questions to each version, every answer explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testing.oracle import Answer
from testing.versions import CHOSEN, WANTED, Version
from tests.dovecot.differential import campaign, generator
from tests.dovecot.differential.compare import (
    SAME,
    UNEXPLAINED,
    Exchange,
    as_rewritten,
    is_as_its_copy,
    judge,
    may_be_lost_in_mbox,
)
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


def test_an_answer_is_compared_with_that_about_a_copy() -> None:
    message = b"Subject\0: a\n\nbody\n"
    question = Question("message", b"imap://", (b"body",))
    early, body, other = (Answer((b"OK",), text) for text in (b"\r\nbody", b"body\r\n", b"bodY\r\n"))
    exchange = Exchange(question, early, body, message)
    assert judge(exchange) == UNEXPLAINED
    assert may_be_lost_in_mbox(message)
    assert not may_be_lost_in_mbox(b"Subject: a\n\nno: na\0me\n")
    assert as_rewritten(b"a\0b: c\r\n\r\nd\0e: f") == b"a: c\r\n\r\nd\0e: f"
    assert is_as_its_copy(exchange, Exchange(question, body, body, message))
    assert not is_as_its_copy(exchange, Exchange(question, other, body, message))
    assert not is_as_its_copy(exchange, Exchange(question, other, other, message))
    assert not is_as_its_copy(exchange, Exchange(question, body, None, message))
