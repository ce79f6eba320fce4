"""Long work in steps, so that a process with many clients can serve them in turns.

What takes the longer the larger a message is, is a generator here: each ``yield`` is a place where others may have
their turn, some milliseconds behind the last one at most, and what it returns is the result.  Chunks of bytes do
the same: an empty one says that there was work and nothing to give yet.  This room knows no clock and no loop; who
drives it decides, at each step, whether it goes on at once.

    content = run_through(fetching(...))                    # nobody else is waiting
    pace = Pace(loop.turn, loop.now)                        # on a loop, one for each client
    content = await pace.run(fetching(...))
    async for chunk in pace.chunks(content.chunks): ...
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
    from typing import TypeAlias, TypeVar

    Result = TypeVar("Result")
    Steps: TypeAlias = Generator[None, None, Result]

#: Seconds of work after which others get their turn.
TURN = 0.02

#: A loop over short things pauses at each so many of them: ``if not number & OFTEN``.
OFTEN = 63

#: The same for chunks of bytes, which are large or small.
FEW = 7


def run_through(steps: Steps[Result]) -> Result:
    """Take all the steps at once."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        result: Result = end.value
        return result


class Pace:
    """Takes steps, and gives others a turn when it has worked for a while.

    ``turn`` is awaited for that; ``now`` is a clock in seconds.
    """

    def __init__(self, turn: Callable[[], Awaitable[object]], now: Callable[[], float]) -> None:
        self._turn = turn
        self._now = now
        self._began = now()

    async def run(self, steps: Steps[Result]) -> Result:
        """Take all the steps; the generator is closed when an error is raised at a turn."""
        self._began = self._now()
        try:
            while True:
                next(steps)
                await self._rest()
        except StopIteration as end:
            result: Result = end.value
            return result
        finally:
            steps.close()

    async def chunks(self, chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
        """Yield those chunks that hold bytes."""
        self._began = self._now()
        for chunk in chunks:
            if chunk:
                yield chunk
            await self._rest()

    async def _rest(self) -> None:
        if self._now() - self._began > TURN:
            await self._turn()
            self._began = self._now()
