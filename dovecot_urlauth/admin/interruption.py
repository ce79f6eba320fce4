"""A command that is told to end while it has something to put away first."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal came; nothing but what puts things away catches it. Notes say what could not be put away."""

    def __init__(self, number: int) -> None:
        super().__init__("interrupted")
        self.status = 128 + number
        """The exit status, as shells say it."""


@contextmanager
def interruptible() -> Iterator[None]:
    """The first signal that ends a program raises Interrupted within; those that follow change nothing.

    A handler, not "ignored", which programs started meanwhile would inherit.
    """
    came = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came:
            return
        came = True
        raise Interrupted(number)

    before = [signal.signal(number, interrupt) for number in ENDING]
    try:
        yield
    finally:
        for number, handler in zip(ENDING, before):
            signal.signal(number, handler)
