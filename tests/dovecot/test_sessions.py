"""How sessions run: target after target, many at once, pipelined, with pauses."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from testing.scene import MESSAGE, Scene


@pytest.mark.every_combination
@pytest.mark.spoiled_by("switch-breaks", "finish-overlooked")
def test_alternating_targets_without_a_pause(scene: Scene) -> None:
    urls = {owner: scene.sign(scene.store(owner=owner)) for owner in ("alice", "carol")}
    bob = scene.user("bob")
    for url in list(urls.values()) * 4:
        started = time.monotonic()
        assert bob.fetch_url(url) == MESSAGE
        # a lost connection costs imap two seconds
        assert time.monotonic() - started < 1.9


@pytest.mark.every_combination
def test_pipelined_commands(scene: Scene) -> None:
    url = scene.sign(scene.store())
    bob = scene.user("bob")
    tags = [bob.send(b'URLFETCH "%s"' % url) for _ in range(20)]
    for tag in tags:
        reply = bob.reply(tag)
        assert reply.ok
        assert reply.all(b"URLFETCH") == [[url, MESSAGE]]


def test_pipelined_commands_for_two_targets(scene: Scene) -> None:
    urls = [scene.sign(scene.store(owner=owner)) for owner in ("alice", "carol")] * 5
    bob = scene.user("bob")
    tags = [bob.send(b'URLFETCH "%s"' % url) for url in urls]
    # imap works on several commands at once and may answer a later one first
    replies = bob.replies(tags)
    assert all(reply.ok for reply in replies)
    answers = [answer for reply in replies for answer in reply.all(b"URLFETCH")]
    assert sorted(answers) == sorted([url, MESSAGE] for url in urls)


@pytest.mark.every_combination
def test_sixteen_sessions_at_once(scene: Scene) -> None:
    url = scene.sign(scene.store(), "authuser")
    sessions = [scene.session(name) for name in ("bob", "carol") * 8]
    with ThreadPoolExecutor(len(sessions)) as pool:
        contents = list(pool.map(lambda session: [session.fetch_url(url) for _ in range(3)], sessions))
    assert contents == [[MESSAGE] * 3] * len(sessions)


def test_two_sessions_take_turns(scene: Scene) -> None:
    url = scene.sign(scene.store(), "authuser")
    sessions = [scene.session("bob"), scene.session("carol")]
    for _ in range(3):
        for session in sessions:
            assert session.fetch_url(url) == MESSAGE


@pytest.mark.only("tuned")
def test_a_pause_longer_than_imaps_idle_limit(scene: Scene) -> None:
    url = scene.sign(scene.store())
    bob = scene.user("bob")
    assert bob.fetch_url(url) == MESSAGE
    # imap closes its connection to the service after five seconds
    time.sleep(6)
    assert bob.fetch_url(url) == MESSAGE


def test_two_fetches_after_a_refused_target(scene: Scene) -> None:
    url = scene.sign(scene.store())
    nobody = url.replace(b"alice@", b"nobody@")
    reply = scene.user("bob").urlfetch(url, nobody, url, nobody, url)
    assert reply.ok
    answers = [content for _, content in reply.all(b"URLFETCH")]
    assert sorted(answers, key=lambda content: content is None) == [MESSAGE] * 3 + [None] * 2


@pytest.mark.every_combination
def test_leaving_in_the_middle_of_a_literal(scene: Scene) -> None:
    # imap fails an assertion of its own when its client leaves during URLFETCH; it may leave during the hand-off
    scene.expect_log(r" imap\(bob\)", r"Login client disconnected too early")
    big = b"Subject: big\r\n\r\n" + b"0123456789abcde\r\n" * 60_000
    url = scene.sign(scene.store(big))
    leaver = scene.session("bob")
    leaver.send(b'URLFETCH "%s"' % url)
    leaver.close()
    assert scene.session("bob").fetch_url(url) == big


def test_the_owner_may_be_gone(scene: Scene) -> None:
    url = scene.sign(scene.store())
    scene.user("alice").command(b"LOGOUT")
    assert scene.user("bob").fetch_url(url) == MESSAGE
