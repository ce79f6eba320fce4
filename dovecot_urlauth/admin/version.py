"""Which dovecot-urlauth this is: the version, and the commit it was made from where that is known."""

from __future__ import annotations

import subprocess
from pathlib import Path

from dovecot_urlauth.admin import VERSION

COMMIT_FILE = "COMMIT"
"""Beside the package: in an installation, where install.py wrote it, or in a source archive."""


def full_version() -> str:
    """What ``--version`` prints: ``0.2.0 (commit 9e6be58aa0c1)``."""
    commit = commit_of(Path(__file__).resolve().parents[2])
    return f"{VERSION} (commit {commit})" if commit else VERSION


def commit_of(folder: Path) -> str | None:
    """The commit that ``folder``, which holds the package, was made from; None if nothing tells.

    A checkout that was changed since is marked with a ``+``.
    """
    try:
        return (folder / COMMIT_FILE).read_text(encoding="utf-8").strip() or None
    except OSError:
        pass
    if not (folder / ".git").exists():
        return None
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    changed = commit and _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+" if changed else commit


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
