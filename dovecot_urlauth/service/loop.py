"""Waiting: the one loop that all three stages and the worker's children run.

The rules:

* Whatever waits is a coroutine and awaits: a descriptor, a time, a result.  A task is one coroutine from its
  first line to its last; in a stage that is one client.
* A wait may have a time limit in seconds, and then raises :class:`TimedOut` where it stands.
* Whoever wants a task to end cancels it *with a reason*: an exception that is raised where the task awaits.
  The task may catch it, say what the client or the log is to hear, and leave.
* A result that many may wait for, one time each, is a :class:`Promise`: a question to auth, for one.
* :meth:`Loop.run` runs until the coroutine that it was given has ended, and then gives the other tasks up.
* An :class:`Exception` that a task does not handle ends this task alone, and goes to :attr:`Loop.on_crash`.
  Whoever joins a task gets it instead.
* A task that computes for long awaits :meth:`Loop.turn` now and then, so that nobody waits for its end.

Native coroutines need no import.  asyncio would be the natural choice and takes 35 ms to import, which under
stock service settings is part of every request.
"""

from __future__ import annotations

import select
from time import monotonic

from dovecot_urlauth.service.timers import Timers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from typing import Any, Generic, TypeVar

    Result = TypeVar("Result")
    Work = Coroutine[Any, Any, Result]
else:
    Result = "Result"
    Generic = {Result: object}

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
HUNG_UP = 0
"""No event to wait for but those that the kernel always reports: the peer has gone, or the connection broke."""

MAIN = "main"
"""The name of the task that :meth:`Loop.run` waits for."""


class TimedOut(Exception):
    """What was waited for did not come in time."""


class _Pause:
    """What a task hands to the loop when it has nothing to do until it is woken."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield


_PAUSE = _Pause()


class Task(Generic[Result]):
    """One coroutine on its way; made by :meth:`Loop.spawn`."""

    __slots__ = ("_end", "_error", "_has_begun", "_loop", "_must_begin", "_reason", "_scheduled", "_work", "name")

    def __init__(self, loop: Loop, work: Work[Result], name: str, must_begin: bool) -> None:
        self.name = name
        self._must_begin = must_begin
        self._loop = loop
        self._work = work
        self._end: Promise[Result] = Promise(loop)
        self._scheduled = self._has_begun = False
        self._error: BaseException | None = None
        self._reason: Exception | None = None
        """Why it was cancelled."""

    @property
    def ended(self) -> bool:
        return self._end.settled

    def cancel(self, reason: Exception) -> None:
        """Raise ``reason`` where the task awaits; the first reason counts, and an ended task needs none."""
        if not self.ended:
            self._reason = self._reason or reason
            self._loop._wake(self, reason)

    async def join(self, seconds: float | None = None) -> Result:
        """Wait for the end; return or raise what the coroutine did. Raises TimedOut."""
        return await self._end.wait(seconds)

    async def wait_for_end(self, seconds: float | None = None) -> None:
        """Wait for the end, whatever it is; a crash goes where it would have gone. Raises TimedOut."""
        if self.ended:
            return
        await self._end.come(seconds)
        error = self._end._error
        if error is not None and error is not self._reason:
            self._loop.on_crash(self.name, error)


class Promise(Generic[Result]):
    """One result that comes once; who waits gets it, then or later."""

    __slots__ = ("_error", "_loop", "_result", "_waiting", "settled")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: list[Task[Any]] = []
        self._result: Result
        self._error: BaseException | None = None
        self.settled = False

    def set(self, result: Result) -> None:
        """The result is there; a second one is not heard."""
        if not self.settled:
            self._result = result
            self._settle()

    def fail(self, error: BaseException) -> None:
        """There will be no result: ``error`` is raised in whoever waits."""
        if not self.settled:
            self._error = error
            self._settle()

    async def wait(self, seconds: float | None = None) -> Result:
        """Wait for the result. Raises TimedOut, or the error that there was instead."""
        await self.come(seconds)
        if self._error is not None:
            raise self._error
        return self._result

    async def come(self, seconds: float | None = None) -> None:
        """Wait until there is a result or an error. Raises TimedOut."""
        if not self.settled:
            task = self._loop.current
            self._waiting.append(task)
            try:
                await self._loop.pause(seconds)
            finally:
                if not self.settled:
                    self._waiting.remove(task)

    def _settle(self) -> None:
        self.settled = True
        for task in self._waiting:
            self._loop._wake(task)
        self._waiting.clear()


class Loop:
    """Runs tasks; the module says by which rules."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.now = clock
        self.on_crash: Callable[[str, BaseException], None] = _raise
        """Gets a task's name and the exception that it did not handle."""
        self.turns, self.is_resting = 0, False  # a watchdog looks at them
        self.steps = 0
        """Steps that tasks have taken: as long as it is the same, no other task has run."""
        self._epoll = select.epoll()
        self._registered: dict[int, int] = {}
        self._waiting: dict[int, dict[Task[Any], int]] = {}
        """By descriptor: the tasks that wait for it, and each one's events."""
        self._timers: Timers[Task[Any]] = Timers()
        self._ready: list[Task[Any]] = []
        self._tasks: set[Task[Any]] = set()
        self._current: Task[Any] | None = None

    @property
    def current(self) -> Task[Any]:
        """The task that runs now; only tasks may wait."""
        if self._current is not None:
            return self._current
        raise RuntimeError("only a task can wait")

    @property
    def running(self) -> Task[Any] | None:
        """The task that runs now, if it is a task's doing."""
        return self._current

    def spawn(self, work: Work[Result], name: str = "", *, must_begin: bool = False) -> Task[Result]:
        """Let ``work`` run beside the others, from the next round on; what ``must_begin`` does, even cancelled."""
        task = Task(self, work, name, must_begin)
        self._tasks.add(task)
        self._wake(task)
        return task

    def promise(self) -> Promise[Any]:
        """A result to come."""
        return Promise(self)

    def run(self, work: Work[Result]) -> Result:
        """Run until ``work`` has ended, and return or raise what it did; the other tasks are given up."""
        main = self.spawn(work, MAIN)
        try:
            while not main.ended:
                self._run_ready()
                if not main.ended:
                    self._poll(0 if self._ready else self._patience())
        finally:
            self._give_up_tasks()
        if main._end._error is not None:
            raise main._end._error
        return main._end._result

    def readable(self, fd: int, seconds: float | None = None) -> Work[None]:
        """Wait until ``fd`` has something to read, its end included. Raises TimedOut, OSError."""
        return self._wait_for(fd, READ, seconds)

    def writable(self, fd: int, seconds: float | None = None) -> Work[None]:
        """Wait until ``fd`` takes more. Raises TimedOut, OSError."""
        return self._wait_for(fd, WRITE, seconds)

    def hung_up(self, fd: int, seconds: float | None = None) -> Work[None]:
        """Wait until the peer of ``fd`` is gone. Raises TimedOut, OSError."""
        return self._wait_for(fd, HUNG_UP, seconds)

    async def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        try:
            await self.pause(seconds)
        except TimedOut:
            return

    async def turn(self) -> None:
        """Let every other task that can go on do so, and look at the descriptors once."""
        self._wake(self.current)
        await _PAUSE

    async def pause(self, seconds: float | None = None) -> None:
        """Wait until somebody wakes this task. Raises TimedOut."""
        timer = None if seconds is None else self._timers.set(self.now() + seconds, self.current)
        try:
            await _PAUSE
        finally:
            if timer is not None:
                self._timers.stop(timer)

    def forget(self, fd: int) -> None:
        """``fd`` is about to be closed: nobody can wait for it any more."""
        if self._registered.pop(fd, None) is not None:
            self._epoll.unregister(fd)
        for task in self._waiting.pop(fd, ()):
            self._wake(task, OSError(9, "Bad file descriptor"))

    def close(self) -> None:
        """In a forked child: give up the epoll, which is the parent's, too.

        The tasks stay as they are: taken down, they would say and release what is the parent's to say.
        """
        self._epoll.close()
        self._registered.clear()
        self._waiting.clear()
        self._timers.clear()
        self._ready.clear()

    async def _wait_for(self, fd: int, events: int, seconds: float | None) -> None:
        task = self.current
        waiting = self._waiting.setdefault(fd, {})
        waiting[task] = events
        timer = None
        try:
            if len(waiting) > 1 or self._registered.get(fd) != events:
                self._register(fd)
            if seconds is not None:
                timer = self._timers.set(self.now() + seconds, task)
            await _PAUSE
        finally:
            if timer is not None:
                self._timers.stop(timer)
            waiting.pop(task, None)
            if not waiting and self._waiting.get(fd) is waiting:
                del self._waiting[fd]

    def _register(self, fd: int) -> None:
        """Tell the kernel what is waited for. Nothing is taken back before it is reported in vain."""
        wanted = 0
        for events in self._waiting.get(fd, {}).values():
            wanted |= events
        known = self._registered.get(fd)
        if known is None:
            self._epoll.register(fd, wanted)
        elif known == wanted:
            return
        else:
            self._epoll.modify(fd, wanted)
        self._registered[fd] = wanted

    def _poll(self, seconds: float | None) -> None:
        """Wake those whose descriptors are ready and those whose time is up; None waits for ever."""
        self.turns += 1
        self.is_resting = True
        reported = self._epoll.poll(seconds)
        self.is_resting = False
        for fd, events in reported:
            waiting = self._waiting.get(fd)
            if waiting is None:
                del self._registered[fd]
                self._epoll.unregister(fd)
                continue
            in_vain = True
            for task, wanted in list(waiting.items()):
                if events & (wanted | select.EPOLLERR | select.EPOLLHUP):
                    self._wake(task)
                    in_vain = False
            if in_vain:
                self._register(fd)
        self._wake_late()

    def _wake_late(self) -> None:
        for task in self._timers.due(self.now()):
            if not task._scheduled:  # else it came in time, just so
                self._wake(task, TimedOut())

    def _patience(self) -> float | None:
        when = self._timers.next()
        return None if when is None else max(0.0, when - self.now())

    def _wake(self, task: Task[Any], error: BaseException | None = None) -> None:
        if error is not None and (task._error is None or isinstance(task._error, TimedOut)):
            task._error = error  # a reason to end is not lost behind a time that is up
        if not task._scheduled:
            task._scheduled = True
            self._ready.append(task)

    def _run_ready(self) -> None:
        ready, self._ready = self._ready, []
        for task in ready:
            self._step(task)

    def _step(self, task: Task[Any]) -> None:
        task._scheduled = False
        self.steps += 1
        if task.ended:
            return
        error, task._error = task._error, None
        if not task._has_begun:
            task._has_begun = True
            if error is not None and task._must_begin:
                self._wake(task, error)  # where it awaits: what it was given it must release
                error = None
        self._current = task
        try:
            if error is None:
                task._work.send(None)
            else:
                task._work.throw(error)
        except StopIteration as end:
            self._tasks.discard(task)
            task._end.set(end.value)
        except Exception as failure:
            self._tasks.discard(task)
            is_expected = failure is error or bool(task._end._waiting) or task.name == MAIN
            task._end.fail(failure)
            if not is_expected:
                self.on_crash(task.name, failure)
        finally:
            self._current = None

    def _give_up_tasks(self) -> None:
        """Whatever they hold is released where they wait; they cannot wait any more."""
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task._work.close()
        self._ready.clear()


def _raise(name: str, error: BaseException) -> None:
    raise error
