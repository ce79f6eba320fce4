"""The process of one target user, root given up: every client of one access user who asks for this user's mail.

Each client has a session of its own; what they share is the user's open mailboxes, which none of them can change.
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.service.stats import SILENT, Stats
from dovecot_urlauth.worker.client import SessionOver, new_session, readable_user, user_prefix
from dovecot_urlauth.worker.parent.protocol import ACCEPTED, NOT_SHARED, pack_gone
from dovecot_urlauth.worker.parentlink import ClientUnusable
from dovecot_urlauth.worker.session import serve_client
from dovecot_urlauth.worker.target import open_target
from dovecot_urlauth.worker.userdb import Userdb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.config.account import Account
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop, Task
    from dovecot_urlauth.worker.client import Client
    from dovecot_urlauth.worker.parentlink import ParentLink
    from dovecot_urlauth.worker.selecting import Selection
    from dovecot_urlauth.worker.target import OpenedTarget, WorkerConfig

REST_AFTER = 1.0
"""Seconds in which none of a process's clients asks for anything, after which its memory is worth more than its
readiness: imap keeps a connection for five seconds behind its last URL."""
RECEIVE_PAUSE = 1.0
"""Seconds until the next client is received after the system could not do it."""
FAREWELL = 1.0
"""Seconds that clients get to end when the process has to."""


class TargetUserProcess:
    """Serves clients until the last is gone and the parent sends no more, or none of them asks for anything."""

    def __init__(
        self,
        loop: Loop,
        config: WorkerConfig,
        log: Log,
        show_title: Callable[[str], None],
        link: ParentLink | None,
        stats: Stats = SILENT,
    ) -> None:
        """Without a ``link`` there is one client in the process's life."""
        self._loop = loop
        self._config = config
        self._log = log
        self._show_title = show_title
        self._link = link
        self._is_shared = link is not None
        self._stats = stats
        self._userdb = Userdb(loop, config.dialect, config.userdb_path, stats)
        self._clients: dict[Client, Task[None] | None] = {}
        self._numbers: dict[Client, int] = {}
        """What the parent knows them by."""
        self._next_number = 0
        self._rests = False
        """Whether the parent has the clients again."""
        self._over = loop.promise()
        self._target: OpenedTarget
        self._account: Account | None = None
        self._kept_as: str | None = None
        """The format of the user's mail, once it was looked for; "" if children cannot be made ready for it."""

    async def serve(self, selection: Selection) -> None:
        """Become the target user and serve the client that asked, and whom the parent sends.

        Raises PrivilegesKept, and what ends the process.
        """
        target, config = selection.target, self._config
        self._account = target.account
        settings = config.settings if target.account is None else target.account.settings
        prefix = user_prefix(target.name, selection.client.access, config.dialect, settings, new_session())
        log = self._log.with_prefix(prefix)
        self._target = await open_target(self._loop, selection.target, self._config, log, self._share_no_more)
        if self._target.store is None:
            self._share_no_more()  # what failed for this client may go well for the next
        if self._link is None:
            await self._serve_client(selection.client)
            return
        self._add(selection.client)
        receiving = self._loop.spawn(self._receive_clients(self._link), "link")
        self._loop.spawn(self._rest_when_idle(self._link, receiving), "rest")
        try:
            await self._over.wait()
        except SessionOver as reason:
            await self._end_clients(reason)

    def _share_no_more(self) -> None:
        """The parent is asked once to send no more clients; those that are on their way are served."""
        if self._link is not None and self._is_shared:
            self._is_shared = False
            self._link.say(NOT_SHARED)

    async def _receive_clients(self, link: ParentLink) -> None:
        """Take over whom the parent sends, until it is gone; whatever fails, those who are here go on."""
        try:
            while True:
                try:
                    client = await link.client()
                except ClientUnusable as lost:
                    self._log.error(f"Client lost on its way from the parent: {lost}")
                    link.say(ACCEPTED)
                    link.say(pack_gone(self._number()))
                except OSError as error:
                    self._log.error(f"recvmsg(parent) failed: {error.strerror}")
                    self._share_no_more()
                    await self._loop.sleep(RECEIVE_PAUSE)
                else:
                    if client is None:
                        return
                    link.say(ACCEPTED)
                    client.report_to(self._stats, is_new=False)
                    self._add(client)
        finally:
            self._link = None
            link.close()
            self._end_if_unused()

    async def _rest_when_idle(self, link: ParentLink, receiving: Task[None]) -> None:
        """Leave the clients to the parent when they let time pass, and end."""
        while self._link is not None:
            idle = self._idle_clients()
            await self._loop.sleep(REST_AFTER)
            nobody_asks = len(idle) == len(self._clients) > 0 and idle == self._idle_clients()
            if self._link is not None and nobody_asks and link.rest(self._format()):
                self._rests = True
                for task in (receiving, *self._clients.values()):
                    if task is not None:
                        task.cancel(SessionOver())
                return

    def _idle_clients(self) -> dict[Client, int]:
        """With what each has asked so far."""
        return {client: client.commands for client in self._clients if client.is_idle}

    def _number(self) -> int:
        number, self._next_number = self._next_number, self._next_number + 1
        return number

    def _add(self, client: Client) -> None:
        self._numbers[client] = self._number()
        self._clients[client] = None
        self._clients[client] = self._loop.spawn(self._serve_client(client), "client", must_begin=True)

    async def _serve_client(self, client: Client) -> None:
        self._clients.setdefault(client, None)
        self._show_clients()
        try:
            await serve_client(
                self._loop, client, self._target, self._config, self._userdb, self._log, self._stats
            )
        finally:
            self._remove(client)

    def _remove(self, client: Client) -> None:
        del self._clients[client]
        if not self._rests:
            client.ended()
        client.close()
        self._show_clients()
        if self._link is not None:
            self._link.say(pack_gone(self._numbers.pop(client), self._format()))
        self._end_if_unused()

    def _format(self) -> str:
        if self._kept_as is None:
            from dovecot_urlauth.worker.rehearsal import format_of

            account = self._account
            try:
                self._kept_as = "" if account is None else format_of(account, self._config.dialect)
            except Exception:  # it is only made ready by: the parent has to hear that the client has gone
                self._kept_as = ""
        return self._kept_as

    def _end_if_unused(self) -> None:
        if self._link is None and not self._clients:
            self._over.set(None)

    async def _end_clients(self, reason: SessionOver) -> None:
        tasks = [task for task in self._clients.values() if task is not None]
        for task in tasks:
            task.cancel(reason)
        for task in tasks:
            try:
                await task.wait_for_end(FAREWELL)
            except TimedOut:
                continue

    def _show_clients(self) -> None:
        whose = f"->{os.fsdecode(self._target.name)}"
        if len(self._clients) == 1:
            [client] = self._clients
            self._show_title(f"[{readable_user(client.access)}{whose}]")
        else:
            count = len(self._clients)
            self._show_title(f"[{count} connections{whose}]" if count else f"[idling{whose}]")
