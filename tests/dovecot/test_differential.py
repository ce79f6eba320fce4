"""The short form of the differential: a few hundred seeded questions to each version, every answer explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dovecot.differential import campaign, generator
from tests.dovecot.differential.compare import SAME
from tests.dovecot.differential.reduce import expression
from tests.dovecot.differential.stores import MAILDIR, STORES

if TYPE_CHECKING:
    from testing.versions import Version
    from tests.dovecot.conftest import Installations
    from tests.dovecot.differential.stores import MailStore

pytestmark = pytest.mark.in_turns

SEED = 0
COUNT = 600
FEWER = 240
"""Questions about each store that is not plain Maildir: the same code answers them once the mail is found."""


@pytest.mark.parametrize("store", STORES.values(), ids=list(STORES))
def test_every_difference_is_meant(version: Version, installations: Installations, store: MailStore) -> None:
    count = COUNT if store.name == MAILDIR else FEWER
    outcome = campaign.run(version, installations[version], SEED, count, store)
    assert outcome.good, "\n\n".join(outcome.reports)
    assert not outcome.complaints
    # a comparison of refusals would prove little
    assert outcome.counts[SAME] > count // 2, outcome.counts


@given(st.integers(0, 300).map(lambda number: generator.message(SEED, number)) | st.binary())
def test_a_message_can_be_pasted(message: bytes) -> None:
    assert eval(expression(message)) == message


def test_what_is_repeated_is_written_once() -> None:
    assert len(expression(b"head\n\n" + b"--b\n\nx\n" * 10_000 + b"--b--\n")) < 200
