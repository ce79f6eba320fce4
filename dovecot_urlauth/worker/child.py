"""One control connection from beginning to end, in a process of its own."""

from __future__ import annotations

import os
import select
from _socket import AF_UNIX, SO_DOMAIN, SOCK_STREAM, SOL_SOCKET, socket

from dovecot_urlauth.service.environment import DEAD_PIPE_FD
from dovecot_urlauth.service.privileges import PrivilegesKept
from dovecot_urlauth.service.run import describe
from dovecot_urlauth.wire.control import DISCONNECTED, FINISHED
from dovecot_urlauth.worker.channel import (
    DIE_WITH_MASTER,
    ClientChannel,
    ClientLost,
    ConnectionOver,
    Watch,
)
from dovecot_urlauth.worker.handshake import ControlConnection, ControlRefused
from dovecot_urlauth.worker.session import ClientSession

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.sockets import PeerCredentials
    from dovecot_urlauth.wire.control import Access, Descriptors
    from dovecot_urlauth.worker.target import WorkerConfig
    from dovecot_urlauth.worker.userdb import UserdbConnection


def serve_connection(
    connection: socket,
    peer: PeerCredentials,
    config: WorkerConfig,
    userdb: UserdbConnection,
    log: Log,
    show_title: Callable[[str], None],
    watch: Watch,
) -> None:
    """Serve ``connection`` until it is over; every way out but a broken promise leaves at most log lines.

    Raises PrivilegesKept: the process must end at once.
    """
    control = ControlConnection(
        connection, config.dialect.control_order, f"conn unix:pid={peer.pid},uid={peer.uid}"
    )
    try:
        descriptors, access = control.open(watch)
    except ConnectionOver:
        return
    except ControlRefused as refused:
        for text in refused.texts:
            log.error(text)
        return
    if access.debug:
        log.pipe.debugging = True
    watch.add(control.fileno(), control.check_quiet)
    try:
        control.say(_serve_client(descriptors, access, config, userdb, log, show_title, watch))
    except ConnectionOver as over:
        if over.text:
            log.with_prefix(_client_prefix(access)).error(over.text)


def _serve_client(
    descriptors: Descriptors,
    access: Access,
    config: WorkerConfig,
    userdb: UserdbConnection,
    log: Log,
    show_title: Callable[[str], None],
    watch: Watch,
) -> bytes:
    client = _as_socket(descriptors)
    channel = ClientChannel(watch, descriptors.fd_in, descriptors.fd_out, client)
    try:
        ClientSession(config, userdb, channel, access, log, show_title).run()
    except ClientLost:
        return DISCONNECTED
    except PrivilegesKept:
        raise
    except (ConnectionOver, MemoryError):
        raise
    except Exception as error:
        raise ConnectionOver(f"Session aborted: Unexpected {describe(error)}") from error
    return FINISHED


def _as_socket(descriptors: Descriptors) -> socket | None:
    """The client's socket; None when its fds are pipes or two different things."""
    os.set_blocking(descriptors.fd_in, False)
    os.set_blocking(descriptors.fd_out, False)
    if descriptors.fd_in != descriptors.fd_out:
        return None
    try:
        client = socket(AF_UNIX, SOCK_STREAM, 0, descriptors.fd_in)
        client.getsockopt(SOL_SOCKET, SO_DOMAIN)
    except OSError:
        return None
    return client


def _client_prefix(access: Access) -> str:
    who = "anonymous" if access.user is None else os.fsdecode(access.user)
    return f"imap-urlauth[{os.getpid()}]({who}): "


def watch_master(watch: Watch) -> None:
    """Notice master's death, which leaves the client half a minute."""

    def master_died() -> None:
        watch.remove(DEAD_PIPE_FD)
        watch.end_within(DIE_WITH_MASTER)

    watch.add(DEAD_PIPE_FD, master_died, select.POLLERR)
