"""Whether a user's mail is on another backend, and sessions there, as seen by the process that serves the user."""

from __future__ import annotations

import os

from dovecot_urlauth.service.connection import Connection, ConnectionLost
from dovecot_urlauth.service.descriptor import close_all, send_message
from dovecot_urlauth.service.forking import fork
from dovecot_urlauth.service.loop import TimedOut
from dovecot_urlauth.service.signals import SIGKILL
from dovecot_urlauth.start.cpython import (
    AF_UNIX,
    SOCK_CLOEXEC,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    socket,
    socketpair,
)
from dovecot_urlauth.store.engine.imap_process import EngineGone
from dovecot_urlauth.store.engine.remote import RemoteImap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from dovecot_urlauth.config.account import Account
    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.service.loop import Loop
    from dovecot_urlauth.worker.backend.fields import Backend
    from dovecot_urlauth.worker.target import WorkerConfig

IMAP_PORT = 143
FIND_TIMEOUT = 160.0
"""Seconds for the dialer to say where the mail is: as long as auth may take, and a little."""
SESSION = b"S"


class BackendNotFound(Exception):
    """Nobody can tell where the mail is; ``str()`` says why, for the log."""


class Elsewhere:
    """A user's mail on another backend; an ImapStart of the engine."""

    def __init__(self, link: socket, user: bytes, host: bytes) -> None:
        self._link = link
        self.user = user
        """The name of the user there."""
        self.host = host
        """The site's host in URLs, and the port if it is not IMAP's."""

    def start(self, log: Callable[[str], None], loop: Loop) -> RemoteImap:
        """Ask for a session; the dialer connects while the client sends its URL.  Raises EngineGone."""
        ours, theirs = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
        try:
            send_message(self._link, SESSION, [theirs.fileno()])
        except OSError:
            ours.close()
            raise EngineGone("the dialer has ended") from None
        finally:
            theirs.close()
        return RemoteImap(loop, ours)


async def find_backend(
    loop: Loop, name: bytes, site: tuple[str, int], config: WorkerConfig, log: Log, account: Account | None
) -> Elsewhere | None:
    """Ask where the mail of ``name`` is, as root; None when it is here.  Raises BackendNotFound.

    ``site`` is the host and the port in this site's URLs, ``account`` the user as it is known here.
    """
    from dovecot_urlauth.config.errors import UnsupportedSetting

    try:
        known = None if account is None else _imapc(account, config)
    except UnsupportedSetting as error:
        log.debug(f"imapc is left to Dovecot's own imap: {error.reason}")
        return None  # whatever the passdb says: it knows nothing of the plugins that decide rights here
    ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)
    try:
        pid = fork(lambda: _live(theirs, name, config, log, known), log)
    except OSError as error:
        ours.close()
        raise BackendNotFound(f"fork() failed: {error.strerror}") from None
    finally:
        theirs.close()
    link = Connection(loop, ours)
    try:
        answer, descriptors = await link.read_message(seconds=FIND_TIMEOUT)
    except ConnectionLost:
        answer, descriptors = b"", []
    except TimedOut:
        answer, descriptors = b"", []
        os.kill(pid, SIGKILL)  # it still has the link, so it has not ended
    close_all(descriptors)
    from dovecot_urlauth.worker.backend.dialer import HERE, THERE

    if answer[:1] == THERE:
        host, port = site
        return Elsewhere(link.detach(), answer[1:], host.encode() + (b"" if port == IMAP_PORT else b":%d" % port))
    link.close()
    _see_end_of(pid)
    if answer == HERE:
        return None
    raise BackendNotFound(answer[1:].decode("utf-8", "backslashreplace") or "the dialer has ended")


def _see_end_of(pid: int) -> None:
    """Wait for a dialer that has said all it had to say: nobody else does, while this process lives on."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return  # the process hears of every child's end, and has waited for it


def _imapc(account: Account, config: WorkerConfig) -> Backend | None:
    """The backend of a user whose driver is imapc, which the passdb need not know.

    Raises BackendNotFound, UnsupportedSetting.
    """
    from dovecot_urlauth.config.imapc_settings import imapc_settings, tls_settings
    from dovecot_urlauth.config.settings import Settings, SettingsError
    from dovecot_urlauth.worker.backend.fields import BackendUnusable, backend_of_imapc

    try:
        found = imapc_settings(account, tls_settings(config.backends or Settings({})), config.dialect)
        return None if found is None else backend_of_imapc(found)
    except SettingsError as error:
        raise BackendNotFound(error.text) from None
    except BackendUnusable as error:
        raise BackendNotFound(str(error)) from None


def _live(link: socket, name: bytes, config: WorkerConfig, log: Log, known: Backend | None) -> int:
    from dovecot_urlauth.worker.backend.dialer import live

    return live(link, name, config, log, known)
