"""Which commit an installation, a source archive or a checkout says that it is of."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from dovecot_urlauth.admin import VERSION, version
from dovecot_urlauth.admin.version import COMMIT_FILE, commit_of, full_version


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.test"]
    done = subprocess.run(
        ["git", *identity, "-C", str(folder), *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("one\n")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


def test_a_checkout_asks_git(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")[:12]
    assert commit_of(checkout) == commit
    (checkout / "untracked").touch()
    assert commit_of(checkout) == commit
    (checkout / "file").write_text("two\n")
    assert commit_of(checkout) == f"{commit}+"


def test_an_installation_has_it_written_down(checkout: Path) -> None:
    (checkout / COMMIT_FILE).write_text("abc\n")
    assert commit_of(checkout) == "abc"


def test_nobody_knows(tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "inside").mkdir()
    assert commit_of(checkout / "inside") is None  # some other repository
    monkeypatch.setenv("PATH", "/nonexistent")
    assert commit_of(checkout) is None


@pytest.mark.parametrize(("commit", "text"), [("abc", f"{VERSION} (commit abc)"), (None, VERSION)])
def test_the_whole(commit: str | None, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version, "commit_of", lambda _: commit)
    assert full_version() == text
