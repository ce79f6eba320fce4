"""One installation, made as an administrator makes it, for all tests that look at it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.packaging)


def run_install(*words: str) -> subprocess.CompletedProcess[str]:
    """Run install.py under a umask that hides everything, with the Python of the tests."""
    command = [sys.executable, "-IB", str(CHECKOUT / "install.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, umask=0o077, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own is closed."""
    folder = Path(tempfile.mkdtemp(prefix="dovecot-urlauth-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def prefix(open_folder: Path) -> Path:
    """An installation's PREFIX."""
    prefix = open_folder / "prefix"
    done = run_install("--prefix", str(prefix))
    assert done.returncode == 0, done.stderr
    return prefix
