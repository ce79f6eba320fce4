"""What the stock executables do wrong, asserted where they do it: why anybody swaps them, and when no longer."""

from __future__ import annotations

import time

import pytest

from testing.imapclient import ConnectionLost
from testing.instance import DovecotInstance
from testing.oracle import WorkerSession, mailbox_keys, sign
from testing.scene import MESSAGE, Scene
from testing.versions import PIECES

ANYTHING = r"(?:Warning|Error|Fatal|Panic): "


@pytest.mark.struck_by("login-panics")
def test_login_panics(scene: Scene) -> None:
    scene.expect_log(ANYTHING)
    mark = scene.dovecot.log.mark()
    url = scene.sign(scene.store())
    reply = scene.user("bob").urlfetch(url)
    assert reply.status == b"NO"
    assert reply.all(b"URLFETCH") == []
    scene.dovecot.log.wait_for(r"imap-urlauth-login: Panic: .*sasl_server_auth_begin", mark)


@pytest.mark.struck_by("switch-breaks")
def test_switching_breaks_the_connection(scene: Scene) -> None:
    scene.expect_log("imap-urlauth: Service disconnected unexpectedly", "Error sending USER request")
    urls = [scene.sign(scene.store(owner=owner)) for owner in ("alice", "carol", "alice")]
    started = time.monotonic()
    for url in urls:
        assert scene.user("bob").fetch_url(url) == MESSAGE
    assert time.monotonic() - started > 1.9


@pytest.mark.struck_by("session-leaks")
def test_a_process_stays_after_each_session(scene: Scene) -> None:
    before = {process.pid for process in scene.dovecot.processes(PIECES[1])}
    session = scene.session("bob")
    assert session.fetch_url(scene.sign(scene.store())) == MESSAGE
    session.close()
    time.sleep(1)
    assert len({process.pid for process in scene.dovecot.processes(PIECES[1])} - before) == 1


@pytest.mark.struck_by("urlauth-is-root")
def test_imap_urlauth_stays_root(scene: Scene) -> None:
    assert scene.user("bob").fetch_url(scene.sign(scene.store())) == MESSAGE
    assert {process.uids for process in scene.dovecot.processes(PIECES[1])} == {(0, 0, 0, 0)}


@pytest.mark.struck_by("anonymous-crashes")
def test_an_anonymous_user_crashes_it(scene: Scene) -> None:
    scene.expect_log(ANYTHING)
    mark = scene.dovecot.log.mark()
    anonymous = scene.anonymous()
    url = scene.sign(scene.store(), "anonymous")
    try:
        assert not anonymous.urlfetch(url).ok
    except ConnectionLost:
        pass
    scene.dovecot.log.wait_for(r"imap-urlauth.* killed with signal 11", mark)


@pytest.mark.struck_by("anyone-is-the-user")
def test_carol_reads_what_was_for_bob(scene: Scene) -> None:
    assert scene.user("carol").fetch_url(scene.sign(scene.store(), "user+bob")) == MESSAGE


@pytest.mark.struck_by("unknown-user-panics-imap")
def test_an_unknown_user_ends_imap(scene: Scene) -> None:
    scene.expect_log(ANYTHING)
    mark = scene.dovecot.log.mark()
    url = scene.sign(scene.store()).replace(b"alice@", b"nobody@")
    try:
        assert scene.session("bob").urlfetch(url).all(b"URLFETCH") in ([], [[url, None]])
    except ConnectionLost:
        pass
    scene.dovecot.log.wait_for(r"imap\(bob\).*Panic: .*imap-urlauth-connection", mark)


def _own_url(scene: Scene, section: str, message: bytes = MESSAGE) -> bytes:
    """A URL whose section no imap would sign, with a token that is right."""
    stored = scene.store(message)
    scene.sign(stored)
    rump = stored.rump(section=section).encode()
    return sign(rump, mailbox_keys(scene.dovecot.home("alice"))[0])


def _worker_ends(dovecot: DovecotInstance, url: bytes, *flags: bytes) -> bool:
    """Whether the worker closes the client's connection after its answer to this URL."""
    with WorkerSession(dovecot) as worker:
        worker.access(b"bob")
        assert worker.select(b"alice") == b"OK\n"
        assert not worker.fetch(url, *flags).ok
        worker.send(b"URL\tx\n")
        return worker.line() == b""


@pytest.mark.struck_by("bad-section-ends-worker")
def test_a_bad_section_ends_the_worker(scene: Scene) -> None:
    scene.expect_log("Session aborted: Fatal failure while fetching URL", "imap-urlauth")
    assert _worker_ends(scene.dovecot, _own_url(scene, "NONSENSE"), b"body")


@pytest.mark.struck_by("undecodable-ends-worker")
def test_an_undecodable_part_ends_the_worker(scene: Scene) -> None:
    scene.expect_log("Session aborted: Fatal failure while fetching URL", "imap-urlauth")
    message = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: x-unheard-of\r\n\r\nbody\r\n"
    assert _worker_ends(scene.dovecot, scene.sign(scene.store(message)), b"binary")


@pytest.mark.struck_by("empty-result-hangs")
def test_an_empty_result_is_announced(scene: Scene) -> None:
    with WorkerSession(scene.dovecot) as worker:
        worker.access(b"bob")
        assert worker.select(b"alice") == b"OK\n"
        answer = worker.fetch(scene.sign(scene.store(), partial="100000.5"), b"body")
        assert answer.words == (b"OK",)
        assert answer.content == b""


@pytest.mark.struck_by("new-mail-unseen")
def test_new_mail_is_not_found(scene: Scene) -> None:
    bob = scene.user("bob")
    assert bob.fetch_url(scene.sign(scene.store())) == MESSAGE
    assert bob.fetch_url(scene.sign(scene.store())) is None


@pytest.mark.struck_by("long-url-ends-worker")
def test_a_long_url_ends_the_worker(scene: Scene) -> None:
    scene.expect_log("Session aborted: Input line too long")
    with WorkerSession(scene.dovecot) as worker:
        worker.access(b"bob")
        assert worker.select(b"alice") == b"OK\n"
        worker.send(b"URL\timap://" + b"a" * 3000 + b"\tbody\n")
        assert worker.line() == b""
