"""The child while it is root: who asks, and for whose mail.

It reads the control handshake and one line of the client, and asks the userdb.  Nothing of a user's is opened.
"""

from __future__ import annotations

import os

from dovecot_urlauth.wire.control import DISCONNECTED
from dovecot_urlauth.wire.fetch import CommandReader, UserCommand
from dovecot_urlauth.wire.value import record
from dovecot_urlauth.worker.channel import ClientLost
from dovecot_urlauth.worker.guest import Guest
from dovecot_urlauth.worker.handshake import ControlConnection, ControlRefused
from dovecot_urlauth.worker.session import next_command, shown_user
from dovecot_urlauth.worker.target import Resident, find_resident
from dovecot_urlauth.worker.waiting import ConnectionOver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.sockets import PeerCredentials
    from dovecot_urlauth.wire.control import Access
    from dovecot_urlauth.worker.target import WorkerConfig
    from dovecot_urlauth.worker.userdb import UserdbConnection
    from dovecot_urlauth.worker.waiting import Watch


@record(frozen=True, slots=True)
class Visit:
    """A client, and whom it asked for."""

    guest: Guest
    resident: Resident


class Reception:
    """Receives connections of imap-urlauth, one after the other."""

    def __init__(self, config: WorkerConfig, userdb: UserdbConnection, log: Log, watch: Watch) -> None:
        self._config = config
        self._userdb = userdb
        self._log = log
        self._watch = watch

    def receive(self, connection: socket, peer: PeerCredentials) -> Visit | None:
        """Go on until the client says USER; None when it is over before."""
        control = ControlConnection(
            connection, self._config.dialect.control_order, f"conn unix:pid={peer.pid},uid={peer.uid}"
        )
        try:
            descriptors, access = control.open(self._watch)
        except ConnectionOver:
            return None
        except ControlRefused as refused:
            for text in refused.texts:
                self._log.error(text)
            return None
        guest = Guest(control, descriptors, access)
        log = self._log.with_prefix(client_prefix(access))
        if access.debug:
            log.pipe.debugging = True
        _log_access(access, log)
        self._watch.add(control.fileno(), control.check_quiet)
        try:
            name = self._await_user(guest, log)
        except ClientLost:
            control.say(DISCONNECTED)
            return None
        except ConnectionOver as over:
            if over.text:
                log.error(over.text)
            return None
        finally:
            self._watch.remove(control.fileno())
        return Visit(guest, self._find(name, log))

    def _await_user(self, guest: Guest, log: Log) -> bytes:
        command = self._watch.converse(next_command(CommandReader(), guest.channel, log))
        if not isinstance(command, UserCommand):
            raise AssertionError("a command before USER")
        return command.name

    def _find(self, name: bytes, log: Log) -> Resident:
        shown = os.fsdecode(name)
        log.debug(f"Looking up user {shown}")
        return find_resident(name, self._config, self._userdb, log.with_prefix(f"imap-urlauth-worker({shown}): "))


def client_prefix(access: Access, target: bytes | None = None) -> str:
    """What begins the log lines about a client (imap-urlauth-worker-common.c)."""
    whose = "" if target is None else f"->{os.fsdecode(target)}"
    return f"imap-urlauth[{os.getpid()}]({shown_user(access)}{whose}): "


def _log_access(access: Access, log: Log) -> None:
    who, service = shown_user(access), os.fsdecode(access.service)
    log.debug(f"Worker activated for access by user `{who}' using service `{service}'")
    for application in access.applications:
        log.debug(f"User {who} has URLAUTH {os.fsdecode(application)} access")
