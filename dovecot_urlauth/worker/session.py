"""The story of one client: USER, then URLs, then END (imap-urlauth-worker-common.c)."""

from __future__ import annotations

import os

from dovecot_urlauth.message.errors import MessageError
from dovecot_urlauth.service.process import ProcessOver
from dovecot_urlauth.service.run import describe
from dovecot_urlauth.service.stats import SILENT, Stats
from dovecot_urlauth.store.errors import StoreError
from dovecot_urlauth.wire.control import DISCONNECTED, FINISHED
from dovecot_urlauth.wire.fetch import OK_LINE, CommandReader, UrlCommand, UserCommand
from dovecot_urlauth.wire.lines import ProtocolError
from dovecot_urlauth.worker.audit import Audit
from dovecot_urlauth.worker.client import ClientGone, SessionOver, client_prefix, readable_user
from dovecot_urlauth.worker.events import SessionEvents
from dovecot_urlauth.worker.urlfetch import UrlFetcher

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.wire.fetch import EndCommand
    from dovecot_urlauth.worker.client import Client
    from dovecot_urlauth.worker.target import OpenedTarget, WorkerConfig
    from dovecot_urlauth.worker.urlfetch import Reply
    from dovecot_urlauth.worker.userdb import Userdb

SMALL_REPLY = 65536
"""Up to this size a reply's line and its first bytes leave in one piece."""
FAIR_SHARE = 1 << 20
"""Bytes after which a client that reads as fast as we write lets the others have their turn."""


async def serve_client(
    loop: Loop,
    client: Client,
    target: OpenedTarget,
    config: WorkerConfig,
    userdb: Userdb,
    log: Log,
    stats: Stats = SILENT,
) -> None:
    """One client from its first URL to its end; the client is closed by the caller.

    Raises ProcessOver, and nothing else.
    """
    log = log.with_prefix(client_prefix(client.access, target.name))
    watcher = client.end_with_control(loop)
    fetcher = None
    events = SessionEvents(stats, client.access, target)
    try:
        target = target.for_session()
        rules = config.dialect.load_url_rules()
        fetcher = UrlFetcher(loop, target, client.access, rules, userdb, log, events=events)
        audit = Audit(config.audit, client.access, target.name, rules, log, loop.now, events)
        if target.store is not None:
            who, name = readable_user(client.access), os.fsdecode(target.name)
            log.debug(f"Found user account `{name}' on behalf of user `{who}'")
        commands = CommandReader()
        commands.selected()
        while isinstance(command := await next_command(commands, client, log), UrlCommand):
            await audit.follow(command, _answer_url(loop, client, fetcher, command, log))
        client.tell_control(FINISHED)
    except ClientGone:
        client.tell_control(DISCONNECTED)
    except SessionOver as over:
        if over.text:
            log.error(over.text)
    except ProcessOver:
        raise
    except Exception as error:
        log.error(f"Session aborted: Unexpected {describe(error)}")
    finally:
        watcher.cancel(SessionOver())
        if fetcher is not None:
            fetcher.close()
        events.ended()


async def hear_user(client: Client, log: Log) -> bytes:
    """Whom the client asks for, which it is told OK to.  Raises SessionOver.

    It is told so whoever that is, and while that is looked up it can send its URL.
    """
    command = await next_command(CommandReader(), client, log)
    assert isinstance(command, UserCommand)  # noqa: S101 - the reader knows no other as the first
    await client.write(OK_LINE)
    return command.name


async def next_command(commands: CommandReader, client: Client, log: Log) -> UserCommand | UrlCommand | EndCommand:
    """The client's next command. Raises SessionOver."""
    try:
        while (command := commands.next_event()) is None:
            client.is_idle = commands.is_between_lines
            commands.receive_data(await client.read_line())
            client.is_idle = False
            client.commands += 1
    except ProtocolError as error:
        for text in error.texts[:-1]:
            log.error(text)
        raise SessionOver(error.texts[-1]) from error
    return command


async def _answer_url(loop: Loop, client: Client, fetcher: UrlFetcher, command: UrlCommand, log: Log) -> Reply:
    """From the command to the last byte of its answer, which is returned.

    As long as nothing was sent any failure is a NO.  Later a closed connection is the only honest answer left,
    since the size is promised.
    """
    reply = await fetcher.fetch(command)
    if reply.chunks is None:
        await client.write(reply.line)
        return reply
    pending, unbroken, sent = reply.line, 0, False
    try:
        async for chunk in reply.chunks:
            if pending and len(pending) + len(chunk) <= SMALL_REPLY:
                pending += chunk
                continue
            if not sent:
                client.expect_much()
                sent = True
            for piece in (pending, chunk):
                await client.write(piece)
            pending, unbroken = b"", unbroken + len(chunk)
            if unbroken >= FAIR_SHARE:
                await loop.turn()
                unbroken = 0
    except (StoreError, MessageError, OSError, MemoryError) as error:
        if sent:
            log.error(_reason(error))
            raise SessionOver("Session aborted: Fatal failure while transferring URL") from error
        reply = fetcher.refuse(command, error)
        pending = reply.line
    await client.write(pending)
    return reply


def _reason(error: Exception) -> str:
    if isinstance(error, StoreError | MessageError):
        return error.text
    return "Out of memory" if isinstance(error, MemoryError) else f"read() failed: {error}"
