"""A loop whose time passes only when nothing else is left to do."""

from __future__ import annotations

from dovecot_urlauth.service.loop import Loop


class SteppingLoop(Loop):
    """Instead of waiting for a timer it sets its clock to it; descriptors are looked at, never waited for."""

    def __init__(self) -> None:
        self.time = 0.0
        super().__init__(clock=lambda: self.time)

    def _poll(self, seconds: float | None) -> None:
        super()._poll(0)
        if self._ready:
            return
        if seconds is None:
            raise AssertionError("every task waits, and for nothing that could come")
        if seconds:
            self.time += seconds
            self._wake_late()
