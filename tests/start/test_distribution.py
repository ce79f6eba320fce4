"""A link beside the package leads to the distribution's libraries, when mail takes one of them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dovecot_urlauth.start import distribution

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_it_is_found_behind_everything_else_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/first"])
    monkeypatch.setattr(distribution, "FOLDER", str(tmp_path / "distribution"))
    distribution.add_distribution()
    assert sys.path == ["/first"]
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "distribution").symlink_to("elsewhere")
    distribution.add_distribution()
    distribution.add_distribution()
    assert sys.path == ["/first", str(tmp_path / "distribution")]


def test_the_link_is_beside_the_package() -> None:
    package = distribution.__file__.removesuffix("start/distribution.py")
    assert distribution.FOLDER == package.removesuffix("dovecot_urlauth/") + "distribution"
