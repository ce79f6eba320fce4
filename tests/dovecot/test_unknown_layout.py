"""A 2.4 whose parsed configuration is written in another way than we know: doveconf is asked, one warning each."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from testing import executables
from testing.instance import DovecotInstance
from testing.scene import MESSAGE, SECTIONS, Scene
from testing.versions import ALL_OURS, CHOSEN, PIECES, TUNED, Version

if TYPE_CHECKING:
    from collections.abc import Callable

WARNING = r"Warning: Failed to parse config from fd \d+: .* - Using what doveconf prints instead"


@pytest.mark.parametrize("combination", [ALL_OURS, TUNED], ids=lambda combination: combination.name)
@pytest.mark.parametrize(
    "on",
    [version for version in CHOSEN if version.language == "2.4"],
    ids=lambda version: version.name,
)
def test_a_layout_that_we_do_not_know(
    on: Version, combination: object, starter: Callable[..., DovecotInstance]
) -> None:
    ours = executables.install(on, on.folder())
    try:
        for source in ours.outside.rglob("wire/config_binary.py"):
            text = source.read_text()
            assert 'MAJOR_VERSION = b"1."' in text
            source.write_text(text.replace('MAJOR_VERSION = b"1."', 'MAJOR_VERSION = b"9."'))
        for cache in ours.outside.rglob("__pycache__"):
            shutil.rmtree(cache)
        dovecot = starter(DovecotInstance(on, combination, ours), WARNING)  # type: ignore[arg-type]
        with Scene(dovecot) as scene:
            stored = scene.store()
            bob = scene.user("bob")
            assert bob.fetch_url(scene.sign(stored)) == MESSAGE
            assert bob.fetch_url(scene.sign(stored, section="2")) == SECTIONS["2"]
        said = "\n".join(dovecot.log.lines())
        for piece in PIECES:
            assert re.search(rf"{piece}: {WARNING}", said), said
    finally:
        shutil.rmtree(ours.outside.parent)
