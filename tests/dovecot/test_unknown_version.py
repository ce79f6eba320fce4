"""A Dovecot of a version that nobody has seen gets the newest dialect, and one warning from each service."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from testing.instance import DovecotInstance
from testing.scene import MESSAGE, Scene
from testing.versions import ALL_OURS, CHOSEN, PIECES, Version
from tests.dovecot.conftest import Installations

NEWEST = [version for version in CHOSEN if version.suite and version.number >= (2, 4, 2)][-1:]


@pytest.mark.parametrize("on", NEWEST, ids=lambda version: version.name)
@pytest.mark.parametrize("pretended", ["2.4.9", "2.5.0", "0.0.0-37075+f28b5a92ec"])
def test_nearest_dialect(
    starter: Callable[..., DovecotInstance], installations: Installations, on: Version, pretended: str
) -> None:
    ours = installations[on]
    dovecot = DovecotInstance(on, ALL_OURS, ours)
    for name in PIECES:
        wrapper = dovecot.folder / name
        real = ours.executables / name
        wrapper.write_text(f'#!/bin/sh\nDOVECOT_VERSION={pretended} exec {real} "$@"\n')
        wrapper.chmod(0o755)
        dovecot.extra += f"service {name} {{\n  executable = {dovecot.inside}/{name}\n}}\n"
    expected = rf"Warning: Dovecot {re.escape(pretended)} is not known"
    starter(dovecot, expected)
    with Scene(dovecot) as scene:
        assert scene.user("bob").fetch_url(scene.sign(scene.store())) == MESSAGE
    warnings = [line for line in dovecot.log.lines() if f"Dovecot {pretended} is not known" in line]
    assert len(warnings) == len(PIECES)
