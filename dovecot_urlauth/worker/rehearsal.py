"""A client's whole story played on nothing, before a client comes: from the handshake to the last byte of a mail.

A child that has been through it once has its own copies of the pages that its first client's request writes to,
and the parent, before it forks, code that the interpreter has adapted.  The client is made up, and so is the
mailbox (``store/native/made_up.py``), of the format that is likely to be asked for next.
"""

from __future__ import annotations

import os

from dovecot_urlauth.config.account import AccountRefused, resolve_account
from dovecot_urlauth.config.errors import UnsupportedSetting
from dovecot_urlauth.config.language import language_of
from dovecot_urlauth.config.native_settings import native_settings
from dovecot_urlauth.config.settings import Settings, SettingsError
from dovecot_urlauth.service import sandbox
from dovecot_urlauth.service.connection import Connection
from dovecot_urlauth.service.descriptor import send_message
from dovecot_urlauth.service.log import Log, LogPipe
from dovecot_urlauth.service.sockets import PeerCredentials
from dovecot_urlauth.start.cpython import AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM, socketpair
from dovecot_urlauth.store.fallback import NATIVE, ChosenStore
from dovecot_urlauth.store.native.made_up import KEY, UID, MadeUpStore
from dovecot_urlauth.url.token import mint
from dovecot_urlauth.wire.authmaster import UserReply
from dovecot_urlauth.wire.control import Access, ControlClient, access_line
from dovecot_urlauth.worker.parent.protocol import FORMATS
from dovecot_urlauth.worker.selecting import select
from dovecot_urlauth.worker.session import serve_client
from dovecot_urlauth.worker.target import OpenedTarget, WorkerConfig
from dovecot_urlauth.worker.userdb import Userdb
from dovecot_urlauth.worker.warmup import FIELDS, HOST, NAME, NOWHERE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from dovecot_urlauth.config.mail_user import MailUser
    from dovecot_urlauth.dialect.dialect import Dialect
    from dovecot_urlauth.service.log import Severity
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.start.cpython import socket

RUMP = b"imap://%s@%s/INBOX/;UID=%d;URLAUTH=user+%s" % (NAME, HOST.encode(), UID, NAME)
URL = b"%s:internal:%s" % (RUMP, mint(KEY, RUMP).hex().encode())
SAID = b"USER\t%s\nURL\t%s\nEND\n" % (NAME, URL)
MOST_SAID = 4096
"""Bytes of all that is answered."""


def format_of(user: MailUser, dialect: Dialect) -> str:
    """The format of a user's INBOX; "" where the native store cannot tell."""
    try:
        namespaces = native_settings(user, dialect).namespaces
    except UnsupportedSetting:
        return ""
    found = [each.location.driver for each in namespaces if each.inbox and each.location is not None]
    return found[0] if found and found[0] in FORMATS else ""


def usual_format(config: WorkerConfig) -> str:
    """The format that the settings of all users name, as far as it does not depend on the user."""
    try:
        return format_of(resolve_account(NAME, FIELDS, config.settings, config.dialect), config.dialect)
    except (AccountRefused, SettingsError):
        return ""


async def rehearse(loop: Loop, config: WorkerConfig, kept_as: str) -> bytes:
    """Serve the made-up client from a mailbox ``kept_as`` one of FORMATS; what it is answered.  Raises OSError."""
    dialect = config.dialect
    settings = Settings({"imap_urlauth_host": HOST, **language_of(dialect).maildir_at(NOWHERE)})
    config = WorkerConfig(dialect, config.settings, config.engine, NATIVE, sandbox.Mode.OFF, (), b"", b"")
    account = resolve_account(NAME, FIELDS, settings, dialect)
    made_up = MadeUpStore(kept_as, native_settings(account, dialect), loop)
    target = OpenedTarget(NAME, settings, ChosenStore(made_up, _no_other), NAME)
    userdb = _MadeUpUserdb(loop, dialect, os.fsencode(NOWHERE))
    log = Log("", _Mute(to_master=False))
    try:
        connection, (control, client) = _give_client(loop, dialect)
    except BaseException:
        made_up.close()
        raise
    try:
        selection = await select(loop, connection, PeerCredentials(0, 0, 0), config, userdb, log)
        if selection is None:
            return b""
        await serve_client(loop, selection.client, target, config, userdb, log)
        selection.client.close()
        return client.recv(MOST_SAID)
    finally:
        made_up.close()
        connection.close()
        for end in (control, client):
            end.close()


def _give_client(loop: Loop, dialect: Dialect) -> tuple[Connection, tuple[socket, socket]]:
    """A connection over which a client comes that has said all it has to say; its other end, and the client's."""
    ours, control = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
    ends = [ours, control]
    try:
        given, client = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
        ends += [given, client]
        client.send(SAID)
        client.setblocking(False)
        access = Access(NAME, b"imap")
        opening = ControlClient(dialect.control_order, access, "").opening(given.fileno(), given.fileno())
        for transmission in opening:
            send_message(control, transmission.data, [] if transmission.fd is None else [transmission.fd])
        given.close()
        if access_line(access) not in opening[-1].data:
            control.send(access_line(access))
        return Connection(loop, ours), (control, client)
    except BaseException:
        for end in ends:
            end.close()
        raise


def _no_other(reason: str) -> NoReturn:
    raise AssertionError(reason)


class _MadeUpUserdb(Userdb):
    """Knows everybody, and asks nobody."""

    async def ask(self, name: bytes, *, debug: bool) -> UserReply:
        return UserReply(1, name, FIELDS)


class _Mute(LogPipe):
    """Takes whatever is said about a client who does not exist."""

    __slots__ = ()

    def write(self, severity: Severity, text: str, prefix: str) -> None:
        return
