"""A worker that reads natively only, in its sandbox: everything is served, and nothing else can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testing.instance import USERS, DovecotInstance
from testing.processes import wait_for
from testing.scene import DECODED, MESSAGE, SECTIONS, Scene
from testing.versions import PIECES, TUNED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.dovecot.conftest import Installations, Row

pytestmark = pytest.mark.only(TUNED.name)


def test_a_native_worker_in_its_sandbox(
    row: Row, installations: Installations, starter: Callable[..., DovecotInstance]
) -> None:
    ours = installations[row.version]
    worker = f"service imap-urlauth-worker {{\n  executable = {ours.executables}/{PIECES[2]} %s\n}}\n"
    options = "--store=native --sandbox=require"
    dovecot = starter(DovecotInstance(row.version, row.combination, ours, extra=worker % options))
    with Scene(dovecot) as scene:
        stored = scene.store()
        bob = scene.user("bob")
        for section, content in SECTIONS.items():
            assert bob.fetch_url(scene.sign(stored, section=section)) == content, section
        for section, content in DECODED.items():
            items = bob.fetch_items(scene.sign(stored, section=section), "BINARY")
            assert items is not None
            assert items[b"BINARY"] == content
        serving = wait_for(
            lambda: [process for process in dovecot.processes(PIECES[2]) if USERS["alice"] in process.uids]
        )
        assert serving
        assert all(process.filtered for process in serving)
        # mail that comes later, another user, and what is not there
        later = scene.store(MESSAGE + b"more\r\n")
        assert bob.fetch_url(scene.sign(later)) == MESSAGE + b"more\r\n"
        assert bob.fetch_url(scene.sign(scene.store(owner="carol"))) == MESSAGE
        scene.create("anew")
        assert bob.fetch_url(scene.sign(scene.store(mailbox="anew"))) == MESSAGE
