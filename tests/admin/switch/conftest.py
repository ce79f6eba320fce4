"""The scene that enable and disable are tried in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.admin.switch.scene import Scene

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, monkeypatch)
