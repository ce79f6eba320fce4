"""A proxy and two backends: URLs made anywhere are served everywhere, while backends come, go and stand still."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from testing import processes
from testing.imapclient import quote
from testing.instance import USERS
from testing.scene import MESSAGE, Scene
from testing.versions import VERSIONS, Version
from tests.dovecot.backends import Backend, ring, ring_of_three, running

if TYPE_CHECKING:
    from tests.dovecot.conftest import Installations

pytestmark = pytest.mark.in_turns

LARGE = b"Subject: large\r\n\r\n" + (b"0123456789abcdef" * 64 + b"\r\n") * 25 * 1000
NOT_SIGNED = "imap://{0}@imap.example.test/INBOX;UIDVALIDITY=1/;UID=1;URLAUTH=user+bob:internal:" + "01" * 21


def sessions_of(backend: Backend, user: str) -> int:
    """How many times somebody has logged in there for this user's imap."""
    return sum("imap-login: " in line and f"user=<{user}>" in line for line in backend.log.lines())


MIXED = VERSIONS["trixie"], VERSIONS["bookworm"], VERSIONS["bookworm"]


def test_a_proxy_and_two_backends(installations: Installations) -> None:
    first, second, proxy = ring_of_three(MIXED, installations)
    with running(first, second, proxy), Scene(proxy) as people, Scene(second) as beside:
        assert people.user("bob").fetch_url(people.sign(people.store(LARGE))) == LARGE
        stored = people.store()
        url, bobs = people.sign(stored), people.sign(people.store(owner="bob"), "user+alice")
        for _ in range(3):
            assert people.user("bob").fetch_url(url) == MESSAGE
            assert people.user("alice").fetch_url(bobs) == MESSAGE
        for scene in (people, beside):
            assert scene.user("bob").fetch_url(url) == MESSAGE
        before = sessions_of(first, "alice")
        for _ in range(3):
            assert people.session("bob").fetch_url(url) == MESSAGE
        assert sessions_of(first, "alice") == before, "a session at the backend serves one client after the other"

        people.user("alice").resetkey("INBOX")
        for scene, name in ((people, "bob"), (beside, "bob"), (people, "alice")):
            assert scene.user(name).fetch_url(url) is None
        assert people.user("alice").fetch_url(bobs) == MESSAGE, "bob's key is another"

        url = people.sign(stored)
        first.die()
        assert people.user("bob").fetch_url(url) is None
        second.log.wait_for("connect failed: Connection refused")
        first.launch()
        assert people.user("bob").fetch_url(url) == MESSAGE
        assert not (second.home("alice") / "Maildir").exists()


def test_a_backend_that_stands_still_and_one_that_is_full(version: Version, installations: Installations) -> None:
    """Nobody but who asked waits for the first; the second has no room for another access user."""
    first, second = ring((version, version), installations)
    first.extra += "mail_max_userip_connections = 2\n"
    second.locals = frozenset(USERS) - {"alice", "streamsrv"}
    with socket.create_server(("127.0.0.1", 0)) as still:
        second.ports["streamsrv"] = still.getsockname()[1]
        with running(first, second), Scene(first) as home, Scene(second) as away:
            url = home.sign(home.store(), "authuser")
            waiting = away.user("bob")
            tag = waiting.send(b"URLFETCH " + quote(NOT_SIGNED.format("streamsrv").encode()))
            standing, _ = still.accept()
            for _ in range(4):
                assert away.session("bob").fetch_url(url) == MESSAGE
            assert away.user("carol").fetch_url(url) is None
            second.log.wait_for(r"Maximum number of connections from user\+IP exceeded")
            standing.close()
            [[_, content]] = waiting.reply(tag).all(b"URLFETCH")
            assert content is None
            second.log.wait_for("Disconnected by backend before the login")
            for process in first.processes("imap"):
                process.kill()
            assert processes.wait_for(lambda: away.user("carol").fetch_url(url) == MESSAGE, 5)
