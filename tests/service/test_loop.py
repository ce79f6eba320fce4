"""The loop's rules, with a clock that tests set and real descriptors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from dovecot_urlauth.service.loop import Loop, Promise, TimedOut
from dovecot_urlauth.service.timers import FEWEST_STALE
from tests.clock import SteppingLoop

if TYPE_CHECKING:
    from collections.abc import Iterator


class Stop(Exception):
    """A reason to end a task."""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    os.set_blocking(ends[0], False)
    os.set_blocking(ends[1], False)
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            pass


def test_a_run_returns_what_its_coroutine_returns() -> None:
    async def work() -> int:
        return 7

    assert Loop().run(work()) == 7


def test_a_run_raises_what_its_coroutine_raises() -> None:
    async def work() -> None:
        raise Stop

    with pytest.raises(Stop):
        Loop().run(work())


def test_tasks_take_turns() -> None:
    loop = Loop()
    seen: list[str] = []

    async def speak(name: str) -> None:
        for number in range(3):
            seen.append(f"{name}{number}")
            await loop.turn()

    async def work() -> None:
        tasks = [loop.spawn(speak(name), name) for name in "ab"]
        for task in tasks:
            await task.join()

    loop.run(work())
    assert seen == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_readable_wakes_when_there_is_something(pipe: tuple[int, int]) -> None:
    loop = Loop()

    async def write() -> None:
        os.write(pipe[1], b"x")

    async def work() -> bytes:
        loop.spawn(write(), "writer")
        await loop.readable(pipe[0], 5)
        return os.read(pipe[0], 1)

    assert loop.run(work()) == b"x"


def test_two_tasks_may_wait_for_one_descriptor_and_different_events(pipe: tuple[int, int]) -> None:
    loop = Loop()

    async def gone() -> str:
        await loop.hung_up(pipe[0])
        return "gone"

    async def work() -> tuple[bytes, str]:
        hang_up = loop.spawn(gone(), "gone")
        await loop.turn()
        os.write(pipe[1], b"x")
        await loop.readable(pipe[0])
        assert not hang_up.ended
        data = os.read(pipe[0], 1)
        os.close(pipe[1])
        return data, await hang_up.join(5)

    assert loop.run(work()) == (b"x", "gone")


def test_a_wait_ends_after_its_time() -> None:
    loop = SteppingLoop()

    async def work() -> float:
        with pytest.raises(TimedOut):
            await loop.promise().wait(150)
        return loop.now()

    assert loop.run(work()) == 150


def test_what_comes_in_time_is_no_time_out(pipe: tuple[int, int]) -> None:
    loop = Loop()
    os.write(pipe[1], b"x")

    async def work() -> None:
        await loop.readable(pipe[0], 0)

    loop.run(work())


def test_a_cancelled_task_sees_the_reason_where_it_awaits() -> None:
    loop = SteppingLoop()
    seen: list[object] = []

    async def sleeper() -> None:
        try:
            await loop.sleep(1000)
        except Stop as reason:
            seen.append(reason)

    async def work() -> None:
        task = loop.spawn(sleeper(), "sleeper")
        await loop.turn()
        reason = Stop("first")
        task.cancel(reason)
        task.cancel(Stop("second"))
        await task.join()
        task.cancel(Stop("too late"))
        assert seen == [reason]

    loop.run(work())
    assert loop.now() == 0


def test_a_task_that_is_cancelled_before_it_has_begun_releases_what_it_was_given() -> None:
    loop = Loop()
    released: list[str] = []

    async def client(name: str, waits: bool) -> None:
        try:
            if waits:
                await loop.sleep(100)
        except Stop:
            released.append(f"{name} heard")
            raise
        finally:
            released.append(name)

    async def main() -> None:
        tasks = [
            loop.spawn(client("waiting", True), must_begin=True),
            loop.spawn(client("ready", False), must_begin=True),
            loop.spawn(client("need not", True)),
        ]
        for task in tasks:
            task.cancel(Stop())
        for task in tasks:
            await task.wait_for_end(5)

    loop.run(main())
    loop.close()
    assert sorted(released) == ["ready", "waiting", "waiting heard"]


def test_a_task_that_does_not_catch_its_reason_has_not_crashed() -> None:
    loop = SteppingLoop()
    crashes: list[str] = []
    loop.on_crash = lambda name, error: crashes.append(name)

    async def sleeper() -> None:
        await loop.sleep(1000)

    async def work() -> None:
        task = loop.spawn(sleeper(), "sleeper")
        await loop.turn()
        task.cancel(Stop())
        await loop.turn()
        assert task.ended

    loop.run(work())
    assert crashes == []


def test_a_reason_is_not_lost_behind_a_time_that_is_up() -> None:
    """Both come in one round: the task would take it for its time limit, and go on."""
    loop = SteppingLoop()
    seen: list[object] = []

    async def patient() -> None:
        for _ in range(2):
            try:
                await loop.promise().wait(1)
            except TimedOut:
                continue
            except Stop as reason:
                seen.append(reason)
                return

    async def work() -> None:
        task = loop.spawn(patient(), "patient")
        await loop.turn()
        loop.time = 1
        loop._wake_late()
        task.cancel(Stop())
        await task.join()

    loop.run(work())
    assert len(seen) == 1
    assert loop.now() == 1


@pytest.mark.parametrize("error", [None, Stop("cancelled"), KeyError("nobody thought of this")])
def test_waiting_for_an_end_takes_any(error: Exception | None) -> None:
    loop = SteppingLoop()
    crashes: list[BaseException] = []
    loop.on_crash = lambda name, crash: crashes.append(crash)

    async def ends() -> None:
        await loop.sleep(1)
        if error is not None:
            raise error

    async def work() -> None:
        task = loop.spawn(ends(), "ends")
        await loop.turn()
        if isinstance(error, Stop):
            task.cancel(error)
        await task.wait_for_end(5)
        await task.wait_for_end(5)
        assert task.ended

    loop.run(work())
    assert crashes == ([error] if isinstance(error, KeyError) else [])


def test_waiting_for_an_end_has_its_time_and_its_own_reasons() -> None:
    loop = SteppingLoop()

    async def wait(task: Any) -> None:
        await task.wait_for_end()

    async def work() -> None:
        task = loop.spawn(loop.sleep(1000), "sleeper")
        with pytest.raises(TimedOut):
            await task.wait_for_end(1)
        waiting = loop.spawn(wait(task), "waiting")
        await loop.turn()
        waiting.cancel(Stop())
        with pytest.raises(Stop):
            await waiting.join()

    loop.run(work())


def test_an_unforeseen_exception_ends_its_task_alone() -> None:
    loop = SteppingLoop()
    crashes: list[tuple[str, BaseException]] = []
    loop.on_crash = lambda name, error: crashes.append((name, error))
    error = KeyError("nobody thought of this")

    async def broken() -> None:
        raise error

    async def work() -> str:
        loop.spawn(broken(), "client 1")
        await loop.sleep(1)
        return "still here"

    assert loop.run(work()) == "still here"
    assert crashes == [("client 1", error)]


def test_who_joins_gets_the_exception() -> None:
    loop = SteppingLoop()

    async def broken() -> None:
        await loop.sleep(1)
        raise Stop

    async def work() -> None:
        task = loop.spawn(broken(), "broken")
        with pytest.raises(Stop):
            await task.join()

    loop.run(work())


def test_a_promise_answers_all_who_wait_and_those_who_come_later() -> None:
    loop = SteppingLoop()
    promise: Promise[str] = Promise(loop)

    async def ask() -> str:
        return await promise.wait(10)

    async def work() -> list[str]:
        tasks = [loop.spawn(ask(), "asker") for _ in range(2)]
        await loop.turn()
        promise.set("yes")
        promise.set("no")
        promise.fail(Stop())
        return [await task.join() for task in tasks] + [await promise.wait(0)]

    assert loop.run(work()) == ["yes", "yes", "yes"]


def test_a_promise_may_fail() -> None:
    loop = SteppingLoop()
    promise: Promise[str] = Promise(loop)

    async def work() -> None:
        promise.fail(Stop())
        with pytest.raises(Stop):
            await promise.wait()

    loop.run(work())


def test_a_closed_descriptor_wakes_who_waits_for_it(pipe: tuple[int, int]) -> None:
    loop = Loop()

    async def wait() -> None:
        await loop.readable(pipe[0])

    async def work() -> None:
        task = loop.spawn(wait(), "waiting")
        await loop.turn()
        loop.forget(pipe[0])
        os.close(pipe[0])
        with pytest.raises(OSError, match="Bad file descriptor"):
            await task.join(5)

    loop.run(work())


def test_a_reused_number_is_another_descriptor(pipe: tuple[int, int]) -> None:
    loop = Loop()

    async def work() -> bytes:
        with pytest.raises(TimedOut):
            await loop.readable(pipe[0], 0)
        loop.forget(pipe[0])
        read, write = os.pipe()
        os.dup2(read, pipe[0])
        os.close(read)
        os.write(write, b"new")
        os.close(write)
        await loop.readable(pipe[0], 5)
        return os.read(pipe[0], 3)

    assert loop.run(work()) == b"new"


def test_the_end_of_a_run_releases_what_other_tasks_hold() -> None:
    loop = SteppingLoop()
    released: list[str] = []

    async def holder() -> None:
        try:
            await loop.sleep(1000)
        finally:
            released.append("released")

    async def work() -> None:
        loop.spawn(holder(), "holder")
        await loop.turn()

    loop.run(work())
    assert released == ["released"]


def test_time_limits_that_were_not_reached_do_not_pile_up() -> None:
    loop = SteppingLoop()

    async def work() -> int:
        most = 0
        for _ in range(FEWEST_STALE * 20):
            promise: Promise[Any] = loop.promise()
            loop.spawn(_settle(promise), "settler")
            await promise.wait(150)
            most = max(most, len(loop._timers))
        return most

    assert loop.run(work()) <= FEWEST_STALE + 2


async def _settle(promise: Promise[Any]) -> None:
    promise.set(None)


def test_only_a_task_can_wait() -> None:
    work = Loop().sleep(1)
    with pytest.raises(RuntimeError):
        work.send(None)
