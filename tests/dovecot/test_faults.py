"""A sample of `make faults`: one system call of one process fails while a client is on its way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from testing.faults import SAMPLE, Fault, matrix
from testing.faults.stand import Stand
from testing.instance import DovecotInstance
from testing.versions import TUNED, Version
from tests.dovecot.conftest import Installations

pytestmark = [
    pytest.mark.in_turns,
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace injects the errors"),
]


@pytest.fixture(scope="module")
def stand(version: Version, installations: Installations) -> Iterator[Stand]:
    dovecot = DovecotInstance(version, TUNED, installations[version]).start()
    made = Stand(dovecot)
    yield made
    made.close()
    dovecot.stop()


@pytest.mark.parametrize("fault", SAMPLE, ids=str)
def test_fault(stand: Stand, fault: Fault) -> None:
    outcome, _, wrong = stand.try_fault(fault)
    assert wrong == [], outcome


def test_the_sample_is_of_the_matrix() -> None:
    assert set(SAMPLE) <= set(matrix())
