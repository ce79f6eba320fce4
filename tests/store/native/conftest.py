"""A folder for mail that belongs to a user of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder() -> Iterator[Path]:
    """A new folder that every user may enter; pytest's own are root's alone."""
    with tempfile.TemporaryDirectory(prefix="du-store-") as name:
        made = Path(name)
        made.chmod(0o755)
        yield made
