"""A child's life: spare, selecting, spare again or a target user; and what it does when parent or master dies."""

from __future__ import annotations

import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dovecot_urlauth.service.privileges import PrivilegesKept
from dovecot_urlauth.service.run import EXIT_FATAL, EXIT_OK
from dovecot_urlauth.service.sockets import PeerCredentials
from dovecot_urlauth.service.stats import SILENT, Stats
from dovecot_urlauth.service.watchdog import LIMIT
from dovecot_urlauth.worker import child as child_module
from dovecot_urlauth.worker import rehearsal, warmup
from dovecot_urlauth.worker.child import DIE_WITH_MASTER, Child, live
from dovecot_urlauth.worker.client import SessionOver
from dovecot_urlauth.worker.parentlink import ClientUnusable, GivenAgain
from dovecot_urlauth.worker.selecting import Selection
from dovecot_urlauth.worker.target import TargetUser
from dovecot_urlauth.worker.userdb import LookupFailed
from tests.clock import SteppingLoop
from tests.worker import fakes

PEER = PeerCredentials(8, 97, 97)


class Client:
    access = fakes.BOB
    fds = (7, 8)

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def report_to(self, stats: Stats, *, is_new: bool) -> None:
        assert not is_new  # another child has told of it

    def close(self) -> None:
        self._told.append("client closed")


class Life:
    """Everything around a child: what the parent gives, what selecting finds, what becomes of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.loop = SteppingLoop()
        self.told: list[str] = []
        self.gives: deque[Any] = deque()
        self.found: deque[TargetUser | None] = deque()
        self.is_taken = self.is_awaited = False
        self.usual_format = ""
        self.serving = 0.0
        self.pipe = SimpleNamespace(debugging=False)
        self.log: Any = SimpleNamespace(
            pipe=self.pipe, error=self.told.append, fatal=self.told.append, debug=self.told.append
        )
        self.userdb = SimpleNamespace(connect=self.connect, close=lambda: self.told.append("userdb closed"))
        for name, value in {
            "select": self.select,
            "select_again": self.select_again,
            "TargetUserProcess": self.process,
            "Userdb": lambda *others: self.userdb,
        }.items():
            monkeypatch.setattr(child_module, name, value)
        monkeypatch.setattr(warmup, "warm_up", self.warm_up)
        monkeypatch.setattr(rehearsal, "rehearse", self.rehearse)
        monkeypatch.setattr(rehearsal, "usual_format", lambda config: self.usual_format)
        self.dead_reader, dead_writer = os.pipe()
        monkeypatch.setattr(child_module, "DEAD_PIPE_FD", dead_writer)
        self.fds = [self.dead_reader, dead_writer]

    def close(self) -> None:
        self.loop.close()
        for fd in self.fds:
            os.close(fd)

    def kill_master(self) -> None:
        self.fds.remove(self.dead_reader)
        os.close(self.dead_reader)

    async def connect(self) -> None:
        raise LookupFailed("auth is not there yet")

    async def warm_up(self, *others: Any) -> None:
        self.told.append("warm")

    async def rehearse(self, loop: object, config: object, kept_as: str) -> None:
        if kept_as == "mbox":
            raise MemoryError
        self.told.append(f"ready for {kept_as}")

    async def given(self) -> Any:
        given = self.gives.popleft() if self.gives else None
        if isinstance(given, Exception):
            raise given
        if given == "in a while":
            await self.loop.sleep(1)
            return await self.given()
        if given == "nothing yet":
            self.kill_master()
            await self.loop.promise().wait()
        return given

    async def offer(self, key: bytes, name: bytes, access: Any, fds: tuple[int, ...]) -> bool:
        self.told.append(f"offer {name.decode()}")
        return self.is_taken

    def say(self, word: bytes) -> None:
        self.told.append("not shared" if word == child_module.NOT_SHARED else repr(word))

    def end(self) -> None:
        self.told.append("link closed")

    async def select(self, *others: Any) -> Selection | None:
        target = self.found.popleft()
        self.pipe.debugging = True
        if target is None:
            return None
        return Selection(Client(self.told), target)  # type: ignore[arg-type]

    async def select_again(self, loop: Any, client: Any, name: bytes, *others: Any) -> Selection | None:
        self.told.append(f"again {name.decode()}")
        return await self.select()

    def process(self, loop: Any, config: Any, log: Any, show_title: Any, link: Any, stats: Any) -> Any:
        async def serve(selection: Selection) -> None:
            shared = "shared" if link is not None else "alone"
            self.told.append(f"{selection.target.name.decode()} {shared}")
            await loop.sleep(self.serving)
            self.told.append("served")

        return SimpleNamespace(serve=serve)

    def live(self, likely_format: str = "") -> list[str]:
        """Run the child to its end; what happened, in order."""
        link: Any = SimpleNamespace(
            has_given=lambda: self.is_awaited, given=self.given, offer=self.offer, say=self.say, close=self.end
        )
        child = Child(self.loop, SimpleNamespace(dialect=None, userdb_path=b""), self.log, self.told.append)  # type: ignore[arg-type]
        try:
            self.loop.run(child.wait_and_serve(link, likely_format))
        except SessionOver:
            self.told.append("over")
        return self.told


@pytest.fixture
def life(monkeypatch: pytest.MonkeyPatch) -> Iterator[Life]:
    made = Life(monkeypatch)
    yield made
    made.close()


def user(key: bytes | None = b"key") -> TargetUser:
    return TargetUser(b"alice", b"ALICE", None, key)


def test_the_parents_end_is_a_spares(life: Life) -> None:
    assert life.live() == ["warm", "[spare]"]


@pytest.mark.parametrize(
    ("usual", "likely", "done"),
    [
        ("sdbox", "", ["ready for sdbox"]),
        ("sdbox", "mdbox", ["ready for mdbox"]),
        ("", "", []),
    ],
)
def test_it_is_made_ready_for_what_is_likely_to_come(life: Life, usual: str, likely: str, done: list[str]) -> None:
    life.usual_format = usual
    assert life.live(likely) == ["warm", *done, "[spare]"]


def test_one_that_cannot_be_made_ready_serves_all_the_same(life: Life) -> None:
    warm, why, spare = life.live("mbox")
    assert (warm, spare) == ("warm", "[spare]")
    assert why.startswith("Could not make ready for the first client: MemoryError")


def test_who_waits_already_is_not_kept_waiting(life: Life) -> None:
    life.is_awaited = True
    assert life.live("sdbox") == ["[spare]"]


def test_a_spare_outlives_master_with_its_parent(life: Life) -> None:
    """A client that came before master's death may still wait for a spare."""
    life.kill_master()
    life.gives += ["in a while", (object(), PEER)]
    life.found.append(user())
    assert life.live() == ["warm", "[spare]", "offer ALICE", "userdb closed", "alice shared", "served"]


def test_but_not_for_long(life: Life) -> None:
    life.gives.append("nothing yet")
    assert life.live() == ["warm", "[spare]", "over"]
    assert life.loop.now() == pytest.approx(DIE_WITH_MASTER)


def test_another_child_is_this_user(life: Life) -> None:
    """The child is a spare again, and debugs no more than before."""
    life.gives.append((object(), PEER))
    life.found.append(user())
    life.is_taken = True
    assert life.live() == ["warm", "[spare]", "offer ALICE", "client closed", "[spare]"]
    assert not life.pipe.debugging


def test_nobody_is_this_user(life: Life) -> None:
    life.gives.append((object(), PEER))
    life.found.append(user())
    assert life.live() == ["warm", "[spare]", "offer ALICE", "userdb closed", "alice shared", "served"]


def test_a_user_for_one_client_is_not_offered(life: Life) -> None:
    life.gives.append((object(), PEER))
    life.found.append(user(None))
    assert life.live() == [
        "warm", "[spare]", "not shared", "link closed", "userdb closed", "alice alone", "served",
    ]  # fmt: skip


def test_a_client_of_another_child_is_asked_for_again(life: Life) -> None:
    life.gives.append(GivenAgain(Client(life.told), b"ALICE"))  # type: ignore[arg-type]
    life.found.append(user())
    assert life.live()[2:] == ["again ALICE", "offer ALICE", "userdb closed", "alice shared", "served"]


@pytest.mark.parametrize("lost", [ClientUnusable("2 descriptors"), OSError("no memory")])
def test_a_client_that_is_lost_on_its_way_is_a_line(life: Life, lost: Exception) -> None:
    life.gives.append(lost)
    assert life.live() == ["warm", "[spare]", f"Client lost on its way from the parent: {lost}"]


def test_a_client_that_leaves_early(life: Life) -> None:
    life.gives.append((object(), PEER))
    life.found.append(None)
    assert life.live() == ["warm", "[spare]"]


def test_master_leaves_clients_half_a_minute(life: Life) -> None:
    life.kill_master()
    life.serving = 100.0
    life.gives.append((object(), PEER))
    life.found.append(user())
    assert life.live()[-2:] == ["alice shared", "over"]
    assert life.loop.now() == pytest.approx(DIE_WITH_MASTER)


@pytest.mark.parametrize(("serving", "ends"), [(29.0, "served"), (31.0, "alice alone")])
def test_the_same_in_a_process_of_one_client(life: Life, serving: float, ends: str) -> None:
    life.kill_master()
    life.serving = serving
    life.found.append(user())
    config: Any = SimpleNamespace(dialect=None, userdb_path=b"")
    child = Child(life.loop, config, life.log, life.told.append)
    life.loop.run(child.serve(object(), PEER))  # type: ignore[arg-type]
    assert life.told == ["userdb closed", "alice alone", "served"][: 3 if ends == "served" else 2]


@pytest.mark.parametrize(
    ("failure", "status", "lines"),
    [
        (None, EXIT_OK, []),
        (SessionOver(), EXIT_OK, []),
        (PrivilegesKept("We couldn't drop root privileges"), EXIT_FATAL, ["We couldn't drop root privileges"]),
        (MemoryError(), EXIT_FATAL, ["Unexpected MemoryError"]),
    ],
)
def test_every_way_out_is_an_exit_status(
    life: Life, monkeypatch: pytest.MonkeyPatch, failure: Exception | None, status: int, lines: list[str]
) -> None:
    async def wait_and_serve(self: Child, link: Any, likely_format: str) -> None:
        assert likely_format == "sdbox"
        assert signal.getitimer(signal.ITIMER_REAL)[1] == LIMIT / 2, "nobody watches"
        if failure is not None:
            raise failure

    closed: list[int] = []
    real = os.close
    monkeypatch.setattr(Child, "wait_and_serve", wait_and_serve)
    monkeypatch.setattr(child_module, "os", SimpleNamespace(close=_refusing(closed, real)))
    ours, theirs = socket.socketpair()
    config: Any = SimpleNamespace(dialect=None, userdb_path=b"")
    end: Any = theirs
    assert live(end, config, life.log, life.told.append, lambda loop: SILENT, "sdbox") == status
    assert closed == [child_module.ANVIL_FD, child_module.STATUS_FD]
    assert [line[: len(start)] for line, start in zip(life.told, lines)] == lines
    assert len(life.told) == len(lines)
    ours.close()
    theirs.close()


def _refusing(closed: list[int], real: Callable[[int], None]) -> Callable[[int], None]:
    """Notes what would be closed; the test's own descriptors of these numbers stay."""

    def close(fd: int) -> None:
        closed.append(fd)
        raise OSError(9, "Bad file descriptor")

    return close
