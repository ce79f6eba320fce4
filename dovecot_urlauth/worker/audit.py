"""Whose mail was read by whom: an event for stats, and one Info line for each URL where ``--audit`` asks for it.

The line is off by default, since a drop-in's log lines are Dovecot's.  Its fields are always these::

    URLAUTH: outcome=sent user=<bob> service=imap owner=<alice> mailbox=<INBOX> uid=7 section=<2> bytes=84
        seconds=0.003 reason=<>

``outcome`` is ``sent``, ``refused`` (``reason`` says by what, also where the client is not told) or ``aborted``.
A token is never shown, and in what stands between ``<`` and ``>`` both are written as percent forms.
"""

from __future__ import annotations

import os
from time import time

from dovecot_urlauth.start.frozen import Enum
from dovecot_urlauth.url.imapurl import parse
from dovecot_urlauth.url.uri import InvalidURL
from dovecot_urlauth.worker.client import readable_user

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.url.imapurl import ImapURL
    from dovecot_urlauth.url.rules import URLRules
    from dovecot_urlauth.wire.control import Access
    from dovecot_urlauth.wire.fetch import UrlCommand
    from dovecot_urlauth.worker.events import SessionEvents
    from dovecot_urlauth.worker.urlfetch import Reply


class Outcome(Enum):
    """What became of a URL."""

    SENT = "sent"
    REFUSED = "refused"
    ABORTED = "aborted"


class Audit:
    """Says what became of each URL in one client's session with one user's mail; no lines unless ``wanted``."""

    def __init__(
        self,
        wanted: bool,
        access: Access,
        owner: bytes,
        rules: URLRules,
        log: Log,
        clock: Callable[[], float],
        events: SessionEvents | None = None,
    ) -> None:
        self._wanted = wanted
        self._access = access
        self._owner = owner
        self._rules = rules
        self._log = log
        self._clock = clock
        self._events = events

    async def follow(self, command: UrlCommand, answer: Coroutine[Any, Any, Reply]) -> None:
        """Await ``answer`` to ``command`` and say what became of it; what it raises goes on its way."""
        events = self._events if self._events is not None and self._events.wants_fetches else None
        if not self._wanted and events is None:
            await answer
            return
        began, created = self._clock(), time()
        outcome, reply = Outcome.ABORTED, None
        try:
            reply = await answer
            outcome = Outcome.REFUSED if reply.refusal else Outcome.SENT
        finally:
            url = self._parse(command.url)
            if self._wanted:
                self._log.info(self._line(url, outcome, reply, self._clock() - began))
            if events is not None:
                events.fetched(command, url, outcome.value, reply, created)

    def _parse(self, text: bytes) -> ImapURL | None:
        try:
            return parse(text, self._rules)
        except InvalidURL:
            return None

    def _line(self, url: ImapURL | None, outcome: Outcome, reply: Reply | None, seconds: float) -> str:
        """A URL that cannot be read leaves mailbox, UID and section empty."""
        mailbox, uid, section = (None, 0, None) if url is None else (url.mailbox, url.uid, url.section)
        reason = "" if reply is None else reply.refusal
        size = 0 if reply is None or reason else reply.size
        service = os.fsdecode(self._access.service) or "-"
        return (
            f"URLAUTH: outcome={outcome.value} user={_shown(readable_user(self._access))} service={service} "
            f"owner={_shown(os.fsdecode(self._owner))} mailbox={_shown(os.fsdecode(mailbox or b''))} uid={uid} "
            f"section={_shown(os.fsdecode(section or b''))} bytes={size} seconds={seconds:.3f} "
            f"reason={_shown(reason)}"
        )


def _shown(text: str) -> str:
    return "<" + text.replace("%", "%25").replace("<", "%3C").replace(">", "%3E") + ">"
