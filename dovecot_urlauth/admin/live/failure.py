"""Why the running Dovecot did not do what was asked of it."""

from __future__ import annotations

LOG_HINT = "Dovecot's log says why (doveadm log errors)"


class LiveFailure(Exception):
    """``stage`` is who failed, ``why`` what was seen, ``remedy`` what to do, where that is known."""

    def __init__(self, stage: str, why: str, remedy: str = "") -> None:
        super().__init__(f"{stage}: {why}" + (f"; {remedy}" if remedy else ""))
        self.stage = stage
        self.why = why
        self.remedy = remedy
