"""What all tests of the worker share."""

from __future__ import annotations

from itertools import count

import pytest

from dovecot_urlauth.worker import urlfetch

READ_SECONDS = 1e-6


@pytest.fixture(autouse=True)
def _own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal takes its time by a clock that a slow machine does not hasten: each look at it is a moment."""
    looks = count()
    monkeypatch.setattr(urlfetch, "monotonic", lambda: next(looks) * READ_SECONDS)
