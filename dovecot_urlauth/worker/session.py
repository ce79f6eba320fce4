"""The client's commands: USER, then URLs, then END (imap-urlauth-worker-common.c)."""

from __future__ import annotations

import os

from dovecot_urlauth.message.errors import MessageError
from dovecot_urlauth.store.errors import StoreError
from dovecot_urlauth.url.access import Accessor
from dovecot_urlauth.wire.fetch import OK_LINE, CommandReader, EndCommand, UrlCommand, UserCommand
from dovecot_urlauth.wire.lines import ProtocolError
from dovecot_urlauth.worker.answer import Answerer
from dovecot_urlauth.worker.channel import ClientChannel, ConnectionOver
from dovecot_urlauth.worker.target import WorkerConfig, select_target
from dovecot_urlauth.worker.userdb import LookupFailed, UserdbConnection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.wire.control import Access

ANONYMOUS = "anonymous"
SMALL_REPLY = 65536
"""Up to this size a reply's line and its first bytes leave in one piece."""


class ClientSession:
    """Serves one client until END or its end."""

    def __init__(
        self,
        config: WorkerConfig,
        userdb: UserdbConnection,
        channel: ClientChannel,
        access: Access,
        log: Log,
        show_title: Callable[[str], None],
    ) -> None:
        self._config = config
        self._channel = channel
        self._access = access
        self._accessor = Accessor(access.user, access.service, access.applications)
        self._who = ANONYMOUS if access.user is None else os.fsdecode(access.user)
        self._log = log.with_prefix(f"imap-urlauth[{os.getpid()}]({self._who}): ")
        self._show_title = show_title
        self._userdb = userdb
        self._commands = CommandReader()
        self._answerer: Answerer | None = None
        service = os.fsdecode(access.service)
        self._log.debug(f"Worker activated for access by user `{self._who}' using service `{service}'")
        for application in access.applications:
            self._log.debug(f"User {self._who} has URLAUTH {os.fsdecode(application)} access")
        show_title(f"[{self._who}]")

    def run(self) -> None:
        """Return after END; raises ConnectionOver at any other end."""
        try:
            while True:
                command = self._next_command()
                if isinstance(command, EndCommand):
                    return
                if isinstance(command, UserCommand):
                    self._select(command)
                else:
                    self._fetch(command)
        finally:
            if self._answerer is not None:
                self._answerer.close()

    def _next_command(self) -> UserCommand | UrlCommand | EndCommand:
        try:
            while (command := self._commands.next_command()) is None:
                self._commands.feed(self._channel.read())
        except ProtocolError as error:
            for text in error.texts[:-1]:
                self._log.error(text)
            raise ConnectionOver(error.texts[-1]) from error
        return command

    def _select(self, command: UserCommand) -> None:
        name = os.fsdecode(command.name)
        self._log.debug(f"Looking up user {name}")
        target = select_target(
            command.name, self._config, self._userdb, self._log.with_prefix(f"imap-urlauth-worker({name}): ")
        )
        shown = os.fsdecode(target.name)
        self._log = self._log.with_prefix(f"imap-urlauth[{os.getpid()}]({self._who}->{shown}): ")
        if target.store is not None:
            self._log.debug(f"Found user account `{shown}' on behalf of user `{self._who}'")
        self._show_title(f"[{self._who}->{shown}]")
        self._answerer = Answerer(
            target,
            self._accessor,
            self._config.dialect.load_url_rules(),
            lambda other: self._is_same_user(other, target.name),
            self._log,
        )
        self._commands.selected()
        self._channel.write(OK_LINE)

    def _is_same_user(self, other: bytes, target: bytes) -> bool:
        """Whether the userdb knows ``other`` under the target's name."""
        try:
            reply = self._userdb.lookup(other, debug=self._log.pipe.debugging)
        except LookupFailed as error:
            self._log.error(f"URLAUTH userid lookup failed: {error}")
            return False
        return reply is not None and reply.name == target

    def _fetch(self, command: UrlCommand) -> None:
        if self._answerer is None:
            raise AssertionError("URL before USER")
        reply = self._answerer.answer(command)
        if reply.chunks is None:
            self._channel.write(reply.line)
            return
        pending = reply.line
        try:
            for chunk in reply.chunks:
                if pending and len(pending) + len(chunk) <= SMALL_REPLY:
                    pending += chunk
                    continue
                if pending:
                    self._channel.write(pending)
                    pending = b""
                self._channel.write(chunk)
        except (StoreError, MessageError, OSError) as error:
            # The size is promised already: a closed connection is the only honest answer left.
            self._log.error(f"{_why(error)}")
            raise ConnectionOver("Session aborted: Fatal failure while transferring URL") from error
        if pending:
            self._channel.write(pending)


def _why(error: Exception) -> str:
    if isinstance(error, StoreError | MessageError):
        return error.text
    return f"read() failed: {error}"
