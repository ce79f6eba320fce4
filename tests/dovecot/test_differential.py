"""The short form of the differential: a few hundred seeded questions to each version, every answer explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.dovecot.differential import campaign
from tests.dovecot.differential.compare import SAME

if TYPE_CHECKING:
    from tests.dovecot.conftest import Installations
    from tests.dovecot.versions import Version

SEED = 0
COUNT = 600


def test_every_difference_is_meant(version: Version, installations: Installations) -> None:
    outcome = campaign.run(version, installations[version], SEED, COUNT)
    assert outcome.good, "\n\n".join(outcome.reports)
    assert not outcome.complaints
    # a comparison of refusals would prove little
    assert outcome.counts[SAME] > COUNT // 2, outcome.counts
