"""One process for each target user: who shares it, and that nobody there is in another's way."""

from __future__ import annotations

import base64
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from dovecot_urlauth.worker.parent.policy import LINGER, MOST_CLIENTS, PATIENCE
from testing.instance import USERS
from testing.oracle import WorkerLost, WorkerSession
from testing.processes import Process, wait_for
from testing.scene import MESSAGE, Scene
from testing.versions import PIECES

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.only("tuned")

UNREADABLE = b"imap://"
BIG = b"Subject: big\r\n\r\n" + b"0123456789abcde\r\n" * 600_000


@pytest.fixture
def session(scene: Scene) -> Iterator[Callable[..., WorkerSession]]:
    """Makes sessions with the worker, each with its user selected, and served by the process that it will have."""
    with ExitStack() as stack:

        def make(user: bytes = b"bob", target: bytes = b"alice", *parameters: bytes) -> WorkerSession:
            made = stack.enter_context(WorkerSession(scene.dovecot))
            made.access(user, b"imap", *parameters)
            assert made.select(target) == b"OK\n"
            assert not made.fetch(UNREADABLE).ok  # OK is said before anybody serves
            return made

        yield make


def serving(scene: Scene, owner: str = "alice") -> list[Process]:
    """The processes that are this user."""
    return [worker for worker in scene.dovecot.processes(PIECES[2]) if USERS[owner] in worker.uids]


def titles(scene: Scene) -> list[str]:
    return [worker.title.removeprefix("dovecot/imap-urlauth-worker ") for worker in serving(scene)]


@pytest.fixture(autouse=True)
def _alone(scene: Scene) -> None:
    """Begin when no process of an earlier scenario lingers."""
    assert wait_for(lambda: not serving(scene) + serving(scene, "carol"), 2 * LINGER + 2)


def test_one_users_clients_of_one_users_mail_share_a_process(
    scene: Scene, session: Callable[..., WorkerSession]
) -> None:
    url = scene.sign(scene.store(), "authuser")
    clients = [session() for _ in range(3)]
    assert [client.fetch(url).ok for client in clients] == [True] * 3
    assert titles(scene) == ["[3 connections->alice]"]
    clients.pop().close()
    clients.pop().close()
    assert wait_for(lambda: titles(scene) == ["[bob->alice]"])
    assert clients[0].fetch(url).content == MESSAGE


def test_no_other_users_sockets_are_in_a_process(scene: Scene, session: Callable[..., WorkerSession]) -> None:
    """Code that took one over would keep them: another user, or the same over another service, has his own."""
    url = scene.sign(scene.store(), "authuser")
    clients = [session(b"bob"), session(b"carol"), session(b"")]
    assert [client.fetch(url).ok for client in clients] == [True, True, False]
    submitting = WorkerSession(scene.dovecot)
    submitting.access(b"bob", b"submission")
    assert submitting.select(b"alice") == b"OK\n"
    expected = ["[anonymous->alice]", "[bob->alice]", "[bob->alice]", "[carol->alice]"]
    assert wait_for(lambda: sorted(titles(scene)) == expected)
    submitting.close()


def test_a_process_lingers_and_goes(scene: Scene, session: Callable[..., WorkerSession]) -> None:
    url = scene.sign(scene.store())
    client = session()
    assert client.fetch(url).ok
    [first] = serving(scene)
    client.close()
    assert wait_for(lambda: titles(scene) == ["[idling->alice]"])
    assert session().fetch(url).content == MESSAGE
    assert [worker.pid for worker in serving(scene)] == [first.pid]


def test_switching_between_targets_starts_no_process(scene: Scene) -> None:
    urls = [scene.sign(scene.store(owner=owner)) for owner in ("alice", "carol")]
    bob = scene.user("bob")

    def pids() -> list[int]:
        assert [bob.fetch_url(url) for url in urls] == [MESSAGE] * 2
        return [worker.pid for owner in ("alice", "carol") for worker in serving(scene, owner)]

    before = pids()
    assert len(before) == 2
    assert [pids() for _ in range(4)] == [before] * 4


def test_who_does_not_read_keeps_nobody_waiting(scene: Scene, session: Callable[..., WorkerSession]) -> None:
    big, small = scene.sign(scene.store(BIG)), scene.sign(scene.store())
    lazy, eager = session(), session()
    lazy.send(b"URL\t" + big + b"\n")
    for _ in range(20):
        assert eager.fetch(small).content == MESSAGE
    assert eager.fetch(big).content == lazy.answer().content == BIG
    assert len(serving(scene)) == 1


def test_one_client_is_ended_and_the_other_is_not(scene: Scene, session: Callable[..., WorkerSession]) -> None:
    url = scene.sign(scene.store())
    first, second = session(), session()
    first._control.close()
    first._control_input.close()
    assert first.line() == b""
    assert second.fetch(url).content == MESSAGE


def test_one_client_breaks_the_protocol_and_the_other_goes_on(
    scene: Scene, session: Callable[..., WorkerSession]
) -> None:
    scene.expect_log(r"Client input error: Unknown or inappropriate command", r"Session aborted: Unexpected input")
    url = scene.sign(scene.store())
    first, second = session(), session()
    first.send(b"USER\tcarol\n")
    assert first.line() == b""
    assert second.fetch(url).content == MESSAGE


def test_a_killed_process_is_replaced(scene: Scene, session: Callable[..., WorkerSession]) -> None:
    scene.expect_log(r"killed with signal 9")
    url = scene.sign(scene.store())
    clients = [session(), session()]
    [worker] = serving(scene)
    os.kill(worker.pid, signal.SIGKILL)
    for client in clients:
        with pytest.raises(WorkerLost):
            client.fetch(url)
    assert session().fetch(url).content == MESSAGE


def test_a_stopped_process_keeps_only_whom_it_serves(scene: Scene, session: Callable[..., WorkerSession]) -> None:
    """Those that were sent to it are another's to serve, and all that come later."""
    url = scene.sign(scene.store())
    first = session()
    [worker] = serving(scene)
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        clients = [session() for _ in range(5)]
        assert [client.fetch(url).content for client in clients] == [MESSAGE] * 5
        assert time.monotonic() - began < PATIENCE + 3
        assert len(serving(scene)) == 2
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    assert first.fetch(url).content == MESSAGE


def test_more_clients_than_one_process_takes(scene: Scene, session: Callable[..., WorkerSession]) -> None:
    url = scene.sign(scene.store())
    clients = [session() for _ in range(MOST_CLIENTS + 3)]
    assert {client.fetch(url).content for client in clients} == {MESSAGE}
    assert sorted(titles(scene)) == [f"[{count} connections->alice]" for count in (MOST_CLIENTS, 3)]


def test_decoded_parts_of_all_clients_fit_into_memory(scene: Scene, session: Callable[..., WorkerSession]) -> None:
    """Each keeps what it decoded to find the size, up to 8 MiB, as long as its client does not read."""
    decoded = bytes(range(256)) * 30_000
    encoded = base64.encodebytes(decoded).replace(b"\n", b"\r\n")
    head = b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    url = scene.sign(scene.store(head + encoded), section="1")
    clients = [session() for _ in range(MOST_CLIENTS)]
    for client in clients:
        client.send(b"URL\t" + url + b"\tbinary\n")
    assert len(serving(scene)) == 1
    for client in clients:
        assert client.answer().content == decoded


def test_another_account_is_another_process(scene: Scene, session: Callable[..., WorkerSession]) -> None:
    """The userdb is asked every time: what it says now counts for the next client."""
    url = scene.sign(scene.store())
    first = session()
    assert first.fetch(url).content == MESSAGE
    users = scene.dovecot.folder / "users"
    before = users.read_text()
    moved = before.replace("/alice::", "/alice-moved::")
    assert moved != before
    try:
        users.write_text(moved)
        time.sleep(1.1)  # auth looks at the file once a second
        assert not session().fetch(url).ok
        assert first.fetch(url).content == MESSAGE
        assert len(serving(scene)) == 2
    finally:
        users.write_text(before)
        time.sleep(1.1)
    assert session().fetch(url).content == MESSAGE


def test_debugging_is_not_shared(scene: Scene, session: Callable[..., WorkerSession]) -> None:
    url = scene.sign(scene.store())
    quiet = session(b"bob")
    mark = scene.dovecot.log.mark()
    session(b"bob", b"alice", b"debug").fetch(url)
    scene.dovecot.log.wait_for("Fetching URLAUTH", mark)
    assert len(serving(scene)) == 2
    mark = scene.dovecot.log.mark()
    quiet.fetch(url)
    session(b"bob").fetch(url)
    assert not [line for line in scene.dovecot.log.since(mark) if "Debug" in line]


def test_the_engine_serves_one_client(scene: Scene, session: Callable[..., WorkerSession]) -> None:
    """A store that asks Dovecot's imap may keep its process waiting, and shares it with nobody."""
    scene.create("Linked")
    url, linked = scene.sign(scene.store()), scene.sign(scene.store(mailbox="Linked"))
    cur = scene.dovecot.folder / "home/alice/Maildir/.Linked/cur"
    cur.rename(cur.with_name("elsewhere"))
    cur.symlink_to("elsewhere")  # root's links are Dovecot's to follow
    first, second = session(), session()
    assert second.fetch(url).ok
    assert len(serving(scene)) == 1
    assert first.fetch(linked).content == MESSAGE
    third = session()
    assert [client.fetch(url).content for client in (first, second, third)] == [MESSAGE] * 3
    assert len([title for title in titles(scene) if title.endswith("->alice]")]) == 2
    assert second.fetch(linked).content == MESSAGE
