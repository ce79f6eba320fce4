"""Sessions at another backend that clients share: who gets one, who waits, and which end."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from dovecot_urlauth.message.request import Request
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.store.engine import pool as pool_module
from dovecot_urlauth.store.engine.pool import IDLE_SECONDS, TURN_SECONDS, PooledStore, SessionPool, sessions_for
from dovecot_urlauth.store.errors import MailboxMissing, StoreFailure
from dovecot_urlauth.store.store import Ahead, Delivery, nothing
from tests.clock import SteppingLoop


class Mailbox:
    async def key(self) -> bytes:
        return b"key"

    async def fetch(self, uid: int, request: Request) -> Delivery:
        async def chunks() -> Any:
            yield b"a"
            yield b"b"

        return Delivery(2, False, None, chunks() if uid == 1 else nothing())


class Engine:
    """An EngineStore that remembers what is done with it."""

    made: list[Engine]

    def __init__(self, user: bytes, command: Any, log: Callable[[str], None], loop: Loop) -> None:
        self.done: list[str] = []
        Engine.made.append(self)

    def start(self) -> None:
        self.done.append("start")

    def rest(self) -> None:
        self.done.append("rest")

    def close(self) -> None:
        self.done.append("close")

    async def open(self, name: bytes, uidvalidity: int, ahead: Ahead | None = None) -> Mailbox:
        if name == b"none":
            raise MailboxMissing
        return Mailbox()


class Stage:
    def __init__(self, most: int) -> None:
        self.loop = SteppingLoop()
        command: Any = type("Command", (), {"host": b"h"})
        self.pool = SessionPool(b"alice", command, lambda text: None, self.loop, most)
        self.store = PooledStore(self.pool)

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.loop.run(work)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    Engine.made = []
    monkeypatch.setattr(pool_module, "EngineStore", Engine)
    made = Stage(2)
    yield made
    made.loop.close()


@pytest.mark.parametrize(("allowed", "most"), [(10, 5), (1, 1), (2, 1), (0, 32), ((1 << 32) - 1, 32)])
def test_half_of_what_a_backend_allows(allowed: int, most: int) -> None:
    assert sessions_for(allowed) == most


def test_a_session_is_free_behind_the_last_byte(stage: Stage) -> None:
    async def life() -> None:
        stage.pool.start()
        for _ in range(3):
            mailbox = await stage.store.share().open(b"INBOX", 0)
            assert await mailbox.key() == b"key"
            found = await mailbox.fetch(1, Request(b""))
            assert [chunk async for chunk in found.chunks] == [b"a", b"b"]
            mailbox.close()
        stage.store.close()
        assert [engine.done for engine in Engine.made] == [["start", "rest", "rest", "rest"]]

    stage.run(life())


def test_a_mailbox_that_is_not_there_keeps_no_session(stage: Stage) -> None:
    async def life() -> None:
        for _ in range(3):
            with pytest.raises(MailboxMissing):
                await stage.store.open(b"none", 0)
        assert [engine.done for engine in Engine.made] == [["rest", "rest", "rest"]]

    stage.run(life())


def test_who_comes_later_waits_for_a_turn(stage: Stage) -> None:
    async def life() -> None:
        first, second = [await stage.store.open(b"INBOX", 0) for _ in range(2)]
        third = stage.loop.spawn(stage.store.open(b"INBOX", 0))
        gone = stage.loop.spawn(stage.store.open(b"INBOX", 0))
        fifth = stage.loop.spawn(stage.store.open(b"INBOX", 0))
        await stage.loop.turn()
        assert not third.ended
        gone.cancel(StoreFailure("the client is gone"))
        with pytest.raises(StoreFailure, match="gone"):
            await gone.join()
        first.close()
        second.close()
        (await third.join()).close()
        (await fifth.join()).close()
        assert len(Engine.made) == 2

    stage.run(life())


def test_nobody_waits_without_end(stage: Stage) -> None:
    async def life() -> None:
        held = [await stage.store.open(b"INBOX", 0) for _ in range(2)]
        before = stage.loop.now()
        with pytest.raises(StoreFailure, match="all 2 sessions at the backend were busy for 60 seconds"):
            await stage.store.open(b"INBOX", 0)
        assert stage.loop.now() - before == pytest.approx(TURN_SECONDS)
        held[0].close()
        (await stage.store.open(b"INBOX", 0)).close()

    stage.run(life())


def test_a_turn_that_comes_as_the_client_goes_is_the_next_ones(stage: Stage) -> None:
    async def life() -> None:
        held = [await stage.store.open(b"INBOX", 0) for _ in range(2)]
        going = stage.loop.spawn(stage.store.open(b"INBOX", 0))
        await stage.loop.turn()
        held[0].close()
        going.cancel(StoreFailure("the client is gone"))
        with pytest.raises(StoreFailure, match="gone"):
            await going.join()
        mailbox = await stage.store.open(b"INBOX", 0)
        mailbox.close()
        assert len(Engine.made) == 2

    stage.run(life())


def test_idle_sessions_end(stage: Stage) -> None:
    async def life() -> None:
        stage.pool.start()
        first, second = [await stage.store.open(b"INBOX", 0) for _ in range(2)]
        first.close()
        await stage.loop.sleep(IDLE_SECONDS / 2)
        second.close()
        await stage.loop.sleep(IDLE_SECONDS / 2 + 1)
        assert ["close" in engine.done for engine in Engine.made] == [True, False]
        await stage.loop.sleep(IDLE_SECONDS)
        assert ["close" in engine.done for engine in Engine.made] == [True, True]
        (await stage.store.open(b"INBOX", 0)).close()
        assert len(Engine.made) == 3
        await stage.loop.sleep(2 * IDLE_SECONDS)
        assert "close" in Engine.made[2].done

    stage.run(life())
