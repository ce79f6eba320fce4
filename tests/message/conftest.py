"""Messages for the tests of the message room: the shared collection of broken ones, and how to ask for parts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def nasty() -> Path:
    """The folder of broken messages and of what Dovecot's imap answered about them."""
    shared = Path(os.environ.get("DOVECOT_URLAUTH_SHARED") or REPOSITORY.parent / "shared")
    folder = shared / "nasty"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing; DOVECOT_URLAUTH_SHARED names the folder that holds it")
    return folder
