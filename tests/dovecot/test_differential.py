"""The short form of the differential: a few hundred seeded questions to each version, every answer explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testing.versions import CHOSEN, WANTED, Version
from tests.dovecot.differential import campaign, generator
from tests.dovecot.differential.compare import SAME
from tests.dovecot.differential.mail_store import MAILDIR
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


def test_names_without_nuls() -> None:
    header = b"a\0b: c\0d: e\r\n\0: f\n g\0h: i\nnone\0\n"
    plain = b"a: c\0d: e\r\n: f\n g: i\nnone\0\n"
    assert generator.with_plain_names(header + b"\nj\0k: l\n") == plain + b"\nj\0k: l\n"
    assert generator.with_plain_names(header) == plain
