"""Submission sends what a URL names (BURL, RFC 4468)."""

from __future__ import annotations

import pytest

from testing.scene import MESSAGE, SECTIONS, Scene
from tests.dovecot.conftest import Row


def _delivered(scene: Scene, before: int) -> list[bytes]:
    return [delivery.message.split(b"\r\n\r\n", 1)[1] for delivery in scene.dovecot.relay.deliveries[before:]]


def _body(message: bytes) -> bytes:
    return message.split(b"\r\n\r\n", 1)[1]


@pytest.mark.every_combination
def test_own_message(scene: Scene) -> None:
    before = len(scene.dovecot.relay.deliveries)
    url = scene.sign(scene.store(), "submit+alice")
    code, text = scene.submission("alice").burl(url)
    assert code == 250, text
    assert _delivered(scene, before) == [_body(MESSAGE)]


def test_another_users_message(scene: Scene, row: Row) -> None:
    if row.version.language == "2.3":
        # delivered, but then stock submission fails an assertion of its own
        scene.expect_log("submission.*(Panic|Error|Fatal)")
    before = len(scene.dovecot.relay.deliveries)
    url = scene.sign(scene.store(owner="alice"), "submit+bob")
    submission = scene.submission("bob")
    if row.version.language == "2.3":
        mark = scene.dovecot.log.mark()
        try:
            submission.burl(url)
        except OSError:
            pass
        # master tells of the death late, and no later scenario shall be blamed for it
        scene.dovecot.log.wait_for(r"submission.*killed with signal", mark)
    else:
        code, text = submission.burl(url)
        assert code == 250, text
    assert _delivered(scene, before) == [_body(MESSAGE)]


def test_part_of_another_users_message(scene: Scene, row: Row) -> None:
    if row.version.language == "2.3":
        pytest.skip("2.3's submission fails after any other user's URL")
    before = len(scene.dovecot.relay.deliveries)
    url = scene.sign(scene.store(owner="alice"), "submit+bob", section="3")
    code, text = scene.submission("bob").burl(url)
    assert code == 250, text
    [message] = scene.dovecot.relay.deliveries[before:]
    assert message.message.endswith(_body(SECTIONS["3.HEADER"] + SECTIONS["3.TEXT"]))


@pytest.mark.parametrize("access", ["submit+carol", "user+bob", "authuser", "anonymous"])
def test_refused(scene: Scene, access: str) -> None:
    before = len(scene.dovecot.relay.deliveries)
    url = scene.sign(scene.store(owner="alice"), access)
    code, _ = scene.submission("bob").burl(url)
    assert code >= 500
    assert not scene.dovecot.relay.deliveries[before:]


def test_refused_token(scene: Scene, row: Row) -> None:
    before = len(scene.dovecot.relay.deliveries)
    url = scene.sign(scene.store(owner="alice"), "submit+bob")[:-4] + b"0000"
    code, _ = scene.submission("bob").burl(url)
    assert code >= 400
    assert not scene.dovecot.relay.deliveries[before:]
