"""Whose mail was read by whom: one Info line for each URL, where the executable's ``--audit`` asks for it.

Off by default, since a drop-in's log lines are Dovecot's.  The fields are always the same and in this order::

    URLAUTH: outcome=sent user=<bob> service=imap owner=<alice> mailbox=<INBOX> uid=7 section=<2> bytes=84
        seconds=0.003 reason=<>

``outcome`` is ``sent``, ``refused`` (``reason`` says by what, also where the client is not told) or ``aborted``.
A token is never shown, and in what stands between ``<`` and ``>`` both are written as percent forms.
"""

from __future__ import annotations

import os

from dovecot_urlauth.start.frozen import Enum
from dovecot_urlauth.url.imapurl import parse
from dovecot_urlauth.url.uri import InvalidURL
from dovecot_urlauth.worker.client import readable_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.url.rules import URLRules
    from dovecot_urlauth.wire.control import Access
    from dovecot_urlauth.worker.urlfetch import Reply


class Outcome(Enum):
    """What became of a URL."""

    SENT = "sent"
    REFUSED = "refused"
    ABORTED = "aborted"


class Audit:
    """Writes the lines of one client's session with one user's mail; none unless ``wanted``."""

    def __init__(
        self,
        wanted: bool,
        access: Access,
        owner: bytes,
        rules: URLRules,
        log: Log,
        clock: Callable[[], float],
    ) -> None:
        self._wanted = wanted
        self._access = access
        self._owner = owner
        self._rules = rules
        self._log = log
        self._clock = clock

    async def follow(self, url: bytes, answer: Coroutine[Any, Any, Reply]) -> None:
        """Await ``answer`` to ``url`` and write what became of it; what it raises goes on its way."""
        if not self._wanted:
            await answer
            return
        began = self._clock()
        outcome, size, reason = Outcome.ABORTED, 0, ""
        try:
            reply = await answer
            outcome = Outcome.REFUSED if reply.refusal else Outcome.SENT
            size, reason = 0 if reply.refusal else reply.size, reply.refusal
        finally:
            self._log.info(self._line(url, outcome, size, self._clock() - began, reason))

    def _line(self, text: bytes, outcome: Outcome, size: int, seconds: float, reason: str) -> str:
        """A URL that cannot be read leaves mailbox, UID and section empty."""
        try:
            url = parse(text, self._rules)
            mailbox, uid, section = url.mailbox, url.uid, url.section
        except InvalidURL:
            mailbox, uid, section = None, 0, None
        service = os.fsdecode(self._access.service) or "-"
        return (
            f"URLAUTH: outcome={outcome.value} user={_shown(readable_user(self._access))} service={service} "
            f"owner={_shown(os.fsdecode(self._owner))} mailbox={_shown(os.fsdecode(mailbox or b''))} uid={uid} "
            f"section={_shown(os.fsdecode(section or b''))} bytes={size} seconds={seconds:.3f} "
            f"reason={_shown(reason)}"
        )


def _shown(text: str) -> str:
    return "<" + text.replace("%", "%25").replace("<", "%3C").replace(">", "%3E") + ">"
