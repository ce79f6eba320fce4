"""A Dovecot of a version that nobody has seen gets the nearest dialect, and one warning from each service."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from testing.instance import DovecotInstance
from testing.scene import MESSAGE, Scene
from testing.versions import ALL_OURS, PIECES, VERSIONS
from tests.dovecot.conftest import Installations


@pytest.mark.parametrize("pretended", ["2.4.9", "2.5.0"])
def test_nearest_dialect(
    starter: Callable[..., DovecotInstance], installations: Installations, pretended: str
) -> None:
    version = VERSIONS["sid"]
    ours = installations[version]
    dovecot = DovecotInstance(version, ALL_OURS, ours)
    for name in PIECES:
        wrapper = dovecot.folder / name
        real = ours.executables / name
        wrapper.write_text(f'#!/bin/sh\nDOVECOT_VERSION={pretended} exec {real} "$@"\n')
        wrapper.chmod(0o755)
        dovecot.extra += f"service {name} {{\n  executable = {dovecot.inside}/{name}\n}}\n"
    expected = rf"Warning: Dovecot {pretended} is not known"
    starter(dovecot, expected)
    with Scene(dovecot) as scene:
        assert scene.user("bob").fetch_url(scene.sign(scene.store())) == MESSAGE
    warnings = [line for line in dovecot.log.lines() if expected.removeprefix("Warning: ") in line]
    assert len(warnings) == len(PIECES)
