"""The client's commands behind USER: URLs, then END (imap-urlauth-worker-common.c)."""

from __future__ import annotations

import os

from dovecot_urlauth.message.errors import MessageError
from dovecot_urlauth.store.errors import StoreError
from dovecot_urlauth.url.access import Accessor
from dovecot_urlauth.wire.fetch import CommandReader, EndCommand, UrlCommand
from dovecot_urlauth.wire.lines import ProtocolError
from dovecot_urlauth.worker.answer import Answerer
from dovecot_urlauth.worker.userdb import LookupFailed
from dovecot_urlauth.worker.waiting import ConnectionOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.wire.control import Access
    from dovecot_urlauth.wire.fetch import UserCommand
    from dovecot_urlauth.worker.answer import Reply
    from dovecot_urlauth.worker.channel import ClientChannel
    from dovecot_urlauth.worker.target import Target
    from dovecot_urlauth.worker.userdb import UserdbConnection
    from dovecot_urlauth.worker.waiting import Conversation

ANONYMOUS = "anonymous"
SMALL_REPLY = 65536
"""Up to this size a reply's line and its first bytes leave in one piece."""


def shown_user(access: Access) -> str:
    """Who fetches, as titles and the log have it."""
    return ANONYMOUS if access.user is None else os.fsdecode(access.user)


def next_command(
    commands: CommandReader, channel: ClientChannel, log: Log
) -> Conversation[UserCommand | UrlCommand | EndCommand]:
    """The client's next command; raises ConnectionOver."""
    try:
        while (command := commands.next_event()) is None:
            commands.receive_data((yield from channel.read()))
    except ProtocolError as error:
        for text in error.texts[:-1]:
            log.error(text)
        raise ConnectionOver(error.texts[-1]) from error
    return command


class ClientSession:
    """Serves one client, whose USER was answered with OK."""

    def __init__(
        self,
        channel: ClientChannel,
        access: Access,
        target: Target,
        dialect: Dialect,
        userdb: UserdbConnection,
        log: Log,
    ) -> None:
        """``target``'s store is this session's own, and closed with it."""
        self._channel = channel
        self._log = log
        self._userdb = userdb
        self._commands = CommandReader()
        self._commands.selected()
        self._answerer = Answerer(
            target,
            Accessor(access.user, access.service, access.applications),
            dialect.load_url_rules(),
            lambda other: self._is_same_user(other, target.name),
            log,
        )

    def run(self) -> Conversation[None]:
        """Return after END; raises ConnectionOver at any other end."""
        try:
            while True:
                command = yield from next_command(self._commands, self._channel, self._log)
                if not isinstance(command, UrlCommand):
                    return
                yield from self._send(self._answerer.answer(command))
        finally:
            self._answerer.close()

    def _is_same_user(self, other: bytes, target: bytes) -> bool:
        """Whether the userdb knows ``other`` under the target's name."""
        try:
            reply = self._userdb.lookup(other, debug=self._log.pipe.debugging)
        except LookupFailed as error:
            self._log.error(f"URLAUTH userid lookup failed: {error}")
            return False
        return reply is not None and reply.name == target

    def _send(self, reply: Reply) -> Conversation[None]:
        if reply.chunks is None:
            yield from self._channel.write(reply.line)
            return
        pending = reply.line
        try:
            for chunk in reply.chunks:
                if pending and len(pending) + len(chunk) <= SMALL_REPLY:
                    pending += chunk
                    continue
                if pending:
                    yield from self._channel.write(pending)
                    pending = b""
                yield from self._channel.write(chunk)
        except (StoreError, MessageError, OSError) as error:
            # The size is promised already: a closed connection is the only honest answer left.
            self._log.error(f"{_why(error)}")
            raise ConnectionOver("Session aborted: Fatal failure while transferring URL") from error
        if pending:
            yield from self._channel.write(pending)


def _why(error: Exception) -> str:
    if isinstance(error, StoreError | MessageError):
        return error.text
    return f"read() failed: {error}"
