"""The stand-in Dovecot of the live commands' unit tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.admin.live import account
from tests.admin.live.stand_ins import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    made = StandIn(tmp_path)
    for name in ("DOVEADM", "DEBIANS"):
        monkeypatch.setattr(account, name, str(made.doveadm))
    yield made
    made.close()
