"""A Maildir's file is cut, or grows, while a slow client reads the mail: never a wrong byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testing.scene import MESSAGE, Scene
from tests.dovecot.changing import LARGE, SHORT, cut_while_sent, grown_while_sent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.only("tuned")


def _stored(scene: Scene) -> tuple[Path, bytes]:
    """The file of a large mail, and its URL."""
    folder = scene.dovecot.home("alice") / "Maildir"
    before = {path.name.partition(":")[0] for path in folder.rglob("*,S=*")}
    url = scene.sign(scene.store(LARGE), "authuser")
    [file] = [path for path in folder.rglob("*,S=*") if path.name.partition(":")[0] not in before]
    return file, url


def test_cut_while_it_is_sent(scene: Scene) -> None:
    scene.expect_log(*SHORT)
    mark = scene.dovecot.log.mark()
    file, url = _stored(scene)
    cut_while_sent(scene, file, url)
    file.unlink()
    scene.works(scene.store())
    scene.dovecot.log.wait_for(SHORT[0], mark)


def test_grown_while_it_is_sent(scene: Scene) -> None:
    file, url = _stored(scene)
    grown_while_sent(scene, file, url, scene.sign(scene.store(MESSAGE), "authuser"))
    file.unlink()
    scene.works(scene.store())
