"""Messages for the tests of the message room: the collection of those that break MIME readers."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def nasty() -> Path:
    """The folder of broken messages and of what Dovecot's imap answered about them."""
    return Path(__file__).parents[1] / "messages" / "nasty"
