"""How the Dovecots of the tests are told apart, one that was built from git among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from testing import built, trees
from testing.versions import NEWEST, USUAL, Version

GIT = Version("next", "0.0.0-37075+f28b5a92ec", installed=Path("/nowhere"))


def test_from_the_oldest_to_one_from_git() -> None:
    versions = [Version("bullseye", "2.3.13", "bullseye"), *USUAL, GIT]
    assert sorted(versions, key=lambda version: version.number) == versions
    assert [version.language for version in versions] == ["2.3", "2.3", "2.4", "2.4", "2.4"]
    assert GIT.number == NEWEST


@pytest.mark.parametrize(
    ("version", "heading"),
    [
        (Version("x", "2.3.21.1"), ""),
        (Version("x", "2.4.5"), "dovecot_config_version = 2.4.5\ndovecot_storage_version = 2.4.5\n"),
        (GIT, "dovecot_config_version = 0.0.0\ndovecot_storage_version = 9999\n"),
    ],
)
def test_what_a_configuration_begins_with(version: Version, heading: str) -> None:
    assert version.heading == heading


def test_a_folder_without_a_dovecot(tmp_path: Path) -> None:
    with pytest.raises(trees.TreeError, match=r"usr/sbin/dovecot is missing"):
        built.tree(tmp_path)
