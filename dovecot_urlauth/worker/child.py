"""A child's life: spare, selecting, then spare again or the process of a target user to its end."""

from __future__ import annotations

import os

from dovecot_urlauth.service.environment import DEAD_PIPE_FD, STATUS_FD
from dovecot_urlauth.service.loop import Loop
from dovecot_urlauth.service.privileges import PrivilegesKept
from dovecot_urlauth.service.process import ProcessOver
from dovecot_urlauth.service.run import EXIT_FATAL, EXIT_OK, describe
from dovecot_urlauth.service.stats import SILENT, Stats
from dovecot_urlauth.service.watchdog import Watchdog
from dovecot_urlauth.worker.client import SessionOver
from dovecot_urlauth.worker.parent.protocol import NOT_SHARED
from dovecot_urlauth.worker.parentlink import ClientUnusable, GivenAgain
from dovecot_urlauth.worker.selecting import select, select_again
from dovecot_urlauth.worker.serving import TargetUserProcess
from dovecot_urlauth.worker.userdb import LookupFailed, Userdb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.service.connection import Connection
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Task
    from dovecot_urlauth.service.sockets import PeerCredentials
    from dovecot_urlauth.start.cpython import socket
    from dovecot_urlauth.worker.parentlink import ParentLink
    from dovecot_urlauth.worker.selecting import Selection
    from dovecot_urlauth.worker.target import WorkerConfig

ANVIL_FD = 3
DIE_WITH_MASTER = 30.0
"""Seconds that clients get after master's death (master-service.c)."""


class MasterDied(SessionOver):
    """Master is gone, for so long that clients must go, too."""


class Child:
    """Serves connections of imap-urlauth; raises PrivilegesKept when the process must end at once."""

    def __init__(
        self,
        loop: Loop,
        config: WorkerConfig,
        log: Log,
        show_title: Callable[[str], None],
        stats: Stats = SILENT,
    ) -> None:
        self._loop = loop
        self._config = config
        self._log = log
        self._show_title = show_title
        self._stats = stats
        self._userdb = Userdb(loop, config.dialect, config.userdb_path, stats)

    async def serve(self, connection: Connection, peer: PeerCredentials) -> None:
        """Serve one connection, which is the process's only one."""
        master = self._loop.spawn(self._heed_master(self._loop.current), "master")
        try:
            selection = await self._select(connection, peer)
            if selection is not None:
                await self._become(selection, None)
        except SessionOver:
            return
        finally:
            master.cancel(SessionOver())

    async def wait_and_serve(self, link: ParentLink, likely_format: str = "") -> None:
        """Serve what the parent sends over ``link``, as long as it is there.

        ``likely_format`` is how the mail may be kept that will be asked for, "" if nobody knows.
        """
        self._loop.spawn(self._heed_master(self._loop.current), "master")
        self._stats.listen()
        try:
            await self._userdb.connect()
        except LookupFailed:
            pass  # the lookup tries again, and says what is wrong
        if not link.has_given():  # a client that waits has nothing of it
            await self._make_ready(likely_format)
        debugging = self._log.pipe.debugging
        while await self._serve_next(link):
            self._log.pipe.debugging = debugging
        await self._stats.finish()

    async def _make_ready(self, likely_format: str) -> None:
        """Write to each page that the first client's request will write to."""
        from dovecot_urlauth.worker.rehearsal import rehearse, usual_format
        from dovecot_urlauth.worker.warmup import warm_up

        try:
            await warm_up(self._loop, self._config)
            kept_as = likely_format or usual_format(self._config)
            if kept_as:
                await rehearse(self._loop, self._config, kept_as)
        except ProcessOver:
            raise
        except Exception as error:  # who is not ready is slower, and serves all the same
            self._log.debug(f"Could not make ready for the first client: {describe(error)}")

    async def _serve_next(self, link: ParentLink) -> bool:
        """Wait for a connection and see to it; whether the process can be a spare again."""
        self._show_title("[spare]")
        selection = await self._select_given(link)
        if selection is None:
            return False
        client, key = selection.client, selection.target.key
        if key is None:
            link.say(NOT_SHARED)
            link.close()
            await self._become(selection, None)
            return False
        if not await link.offer(key, selection.target.asked_for, client.access, client.fds):
            await self._become(selection, link)
            return False
        client.close()
        return True

    async def _select(self, connection: Connection, peer: PeerCredentials) -> Selection | None:
        return await select(self._loop, connection, peer, self._config, self._userdb, self._log, self._stats)

    async def _select_given(self, link: ParentLink) -> Selection | None:
        """Wait for what the parent gives; None when that is nothing, or came to nothing."""
        try:
            given = await link.given()
        except (ClientUnusable, OSError) as lost:
            self._log.error(f"Client lost on its way from the parent: {lost}")
            return None
        if isinstance(given, GivenAgain):
            given.client.report_to(self._stats, is_new=False)
            return await select_again(self._loop, given.client, given.name, self._config, self._userdb, self._log)
        return None if given is None else await self._select(*given)

    async def _become(self, selection: Selection, link: ParentLink | None) -> None:
        self._userdb.close()  # root made it, and it answers more than the target user may know
        account = selection.target.account
        if account is not None and account.chroot is not None:
            self._stats.load()
        process = TargetUserProcess(self._loop, self._config, self._log, self._show_title, link, self._stats)
        await process.serve(selection)

    async def _heed_master(self, life: Task[None]) -> None:
        """Notice master's death, which leaves clients half a minute.

        A spare is the parent's to end, which may have clients for it that came before.
        """
        await self._loop.hung_up(DEAD_PIPE_FD)
        await self._loop.sleep(DIE_WITH_MASTER)
        life.cancel(MasterDied())


def live(
    link_end: socket,
    config: WorkerConfig,
    log: Log,
    show_title: Callable[[str], None],
    new_stats: Callable[[Loop], Stats],
    likely_format: str = "",
) -> int:
    """A forked child from its first moment to its exit status.

    What belongs to the parent was let go of, but for master's own descriptors, of which only the dead pipe is
    of use here.
    """
    from dovecot_urlauth.worker.parentlink import ParentLink

    for fd in (ANVIL_FD, STATUS_FD):
        try:
            os.close(fd)
        except OSError:
            continue  # not every service gets every fd
    loop = Loop()
    loop.on_crash = lambda name, error: log.error(f"Unexpected {describe(error)}")
    try:
        with Watchdog(loop, log):
            child = Child(loop, config, log, show_title, new_stats(loop))
            loop.run(child.wait_and_serve(ParentLink(loop, link_end), likely_format))
    except SessionOver:
        return EXIT_OK
    except PrivilegesKept as error:
        log.fatal(str(error))
        return EXIT_FATAL
    except BaseException as error:
        log.fatal(f"Unexpected {describe(error)}")
        return EXIT_FATAL
    return EXIT_OK
