"""The child while it is root: who asks, and for whose mail.

It goes through the control handshake, reads one line of the client, and asks the userdb.  Nothing of a user's is
opened.
"""

from __future__ import annotations

import os

from dovecot_urlauth.service.connection import ConnectionLost, TimedOut
from dovecot_urlauth.service.descriptor import Descriptor, close_all
from dovecot_urlauth.service.stats import SILENT, Stats
from dovecot_urlauth.start.frozen import frozen
from dovecot_urlauth.wire.control import DISCONNECTED, Access, ControlServer, Descriptors
from dovecot_urlauth.wire.lines import ProtocolError
from dovecot_urlauth.worker.client import (
    IDLE_TIMEOUT,
    Client,
    ClientGone,
    SessionOver,
    client_prefix,
    readable_user,
    user_prefix,
)
from dovecot_urlauth.worker.pipes import open_connection
from dovecot_urlauth.worker.session import hear_user
from dovecot_urlauth.worker.target import TargetUser, find_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dovecot_urlauth.service.connection import Connection
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.service.sockets import PeerCredentials
    from dovecot_urlauth.worker.target import WorkerConfig
    from dovecot_urlauth.worker.userdb import Userdb

READ_SIZE = 4096
"""Bytes of one piece of the handshake."""


class ControlRefused(Exception):
    """The peer does not speak the control protocol; ``texts`` are the error lines."""

    def __init__(self, *texts: str) -> None:
        super().__init__(*texts)
        self.texts = texts


@frozen
class Selection:
    """A client, and whom it asked for."""

    client: Client
    target: TargetUser


async def select(
    loop: Loop,
    control: Connection,
    peer: PeerCredentials,
    config: WorkerConfig,
    userdb: Userdb,
    log: Log,
    stats: Stats = SILENT,
) -> Selection | None:
    """Go through the handshake and wait for the client's USER; None when it is over before."""
    try:
        client = await _shake_hands(loop, control, peer, config)
    except ControlRefused as refused:
        for text in refused.texts:
            log.error(text)
        return None
    except SessionOver:
        return None
    client.report_to(stats)
    if client.access.debug:
        log.pipe.debugging = True
    _log_access(client.access, log.with_prefix(client_prefix(client.access)))
    return await _select_target(loop, client, None, config, userdb, log)


async def select_again(
    loop: Loop, client: Client, name: bytes, config: WorkerConfig, userdb: Userdb, log: Log
) -> Selection | None:
    """Find whom a client asked another child for, which could not serve it; None when it is over before."""
    if client.access.debug:
        log.pipe.debugging = True
    return await _select_target(loop, client, name, config, userdb, log)


async def _select_target(
    loop: Loop, client: Client, name: bytes | None, config: WorkerConfig, userdb: Userdb, log: Log
) -> Selection | None:
    """``name`` is what the client said USER with, if that was heard already."""
    log = log.with_prefix(client_prefix(client.access))
    watcher = client.end_with_control(loop)
    try:
        if name is None:
            name = await hear_user(client, log)
        return Selection(client, await _find(name, client.access, config, userdb, log))
    except ClientGone:
        client.tell_control(DISCONNECTED)
    except SessionOver as over:
        if over.text:
            log.error(over.text)
    finally:
        watcher.cancel(SessionOver())
    client.ended()
    client.close()
    return None


async def _shake_hands(loop: Loop, control: Connection, peer: PeerCredentials, config: WorkerConfig) -> Client:
    """The control connection's opening: a client's descriptors, and for whom it fetches.

    Raises ControlRefused, SessionOver.
    """
    protocol = ControlServer(config.dialect.control_order, f"conn unix:pid={peer.pid},uid={peer.uid}")
    owned: list[Descriptor] = []
    try:
        while True:
            _answer(control, protocol)
            data, descriptors = await _receive(control)
            protocol.receive_data(data, [descriptor.detach() for descriptor in descriptors])
            close_all(Descriptor(fd) for fd in protocol.surplus_fds())
            while (event := protocol.next_event()) is not None:
                if isinstance(event, Descriptors):
                    owned += [Descriptor(fd) for fd in dict.fromkeys((event.fd_in, event.fd_out))]
                else:
                    _answer(control, protocol)
                    return Client(open_connection(loop, owned[0], owned[-1]), event, control)
    except ProtocolError as error:
        close_all(owned)
        raise ControlRefused(*error.texts) from error
    except SessionOver:
        close_all(owned)
        raise


async def _receive(control: Connection) -> tuple[bytes, list[Descriptor]]:
    try:
        data, descriptors = await control.read_message(READ_SIZE, IDLE_TIMEOUT)
    except TimedOut:
        raise SessionOver from None
    except ConnectionLost as lost:
        if isinstance(lost.__cause__, ConnectionResetError):
            raise SessionOver from lost  # imap-urlauth left without reading what we had said
        raise ControlRefused(f"fd_read() failed: {lost.text}", "FD Transfer failed") from lost
    if not data:
        close_all(descriptors)
        raise SessionOver
    return data, descriptors


def _answer(control: Connection, protocol: ControlServer) -> None:
    """Say what is due. Raises SessionOver: imap-urlauth would wait for it."""
    output = protocol.data_to_send()
    if output and not control.send_now(output):
        raise SessionOver


async def _find(name: bytes, access: Access, config: WorkerConfig, userdb: Userdb, log: Log) -> TargetUser:
    readable = os.fsdecode(name)
    log.debug(f"Looking up user {readable}")
    about = log.with_prefix(user_prefix(name, access, config.dialect, config.settings))
    return await find_target(name, access, config, userdb, about)


def _log_access(access: Access, log: Log) -> None:
    who, service = readable_user(access), os.fsdecode(access.service)
    log.debug(f"Worker activated for access by user `{who}' using service `{service}'")
    for application in access.applications:
        log.debug(f"User {who} has URLAUTH {os.fsdecode(application)} access")
