"""The dialer: a process that knows where one user's mail is, and logs in there for every session that asks.

It is forked as root, asks the passdb, says what it learned, and gives root up.  It never becomes the user, reads
no mail itself and knows no IMAP beyond the login: whoever took over the process that reads URLs would find a
session, and no password.  It ends with its link.
"""

from __future__ import annotations

import os
import resource

from dovecot_urlauth.config.imapc_settings import tls_settings
from dovecot_urlauth.config.settings import Settings
from dovecot_urlauth.service.connection import Connection, ConnectionLost
from dovecot_urlauth.service.descriptor import close_all
from dovecot_urlauth.service.loop import Loop, TimedOut
from dovecot_urlauth.service.privileges import drop_privileges, forbid_new_privileges
from dovecot_urlauth.service.run import describe
from dovecot_urlauth.service.tcp import connect_tcp
from dovecot_urlauth.service.tls import TlsConnection
from dovecot_urlauth.wire.imaplogin import BeginTls, ImapLogin
from dovecot_urlauth.wire.lines import ProtocolError
from dovecot_urlauth.worker.backend.fields import BackendUnusable, Encryption, backend_of
from dovecot_urlauth.worker.target import NOBODY
from dovecot_urlauth.worker.userdb import LookupFailed, Userdb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ssl import SSLContext

    from dovecot_urlauth.service.log import Log
    from dovecot_urlauth.start.cpython import socket
    from dovecot_urlauth.worker.backend.fields import Backend
    from dovecot_urlauth.worker.target import WorkerConfig

HERE, THERE, FAILED = b"H", b"T", b"F"
"""What the dialer says of the user's mail, with the user's name there, or the reason why nobody can tell."""
ANSWER_SIZE = 4096
LARGE_READ = 64 * 1024
"""Bytes that are carried at once."""
PREAUTH = b"* PREAUTH Logged in.\r\n"


class Dialer:
    """The life of the process."""

    def __init__(
        self, loop: Loop, link: socket, name: bytes, config: WorkerConfig, known: Backend | None = None
    ) -> None:
        """``known`` is the backend of a user whom the driver imapc serves: the passdb is not asked."""
        self._loop = loop
        self._link = Connection(loop, link)
        self._name = name
        self._config = config
        self._known = known

    async def run(self) -> None:
        """Find out where the mail is, and dial until nobody asks any more."""
        try:
            await self._live()
        finally:
            self._link.close()

    async def _live(self) -> None:
        backend = await self._find()
        if backend is None:
            return
        context = None
        if backend.encryption is not Encryption.NONE:
            try:
                context = tls_context(self._tls_settings(), backend)
            except OSError as error:
                self._say(FAILED, f"the certificates of ssl_client_ca cannot be read: {error}".encode())
                return
        drop_privileges(NOBODY)
        forbid_new_privileges()
        for kind in (resource.RLIMIT_CORE, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
            resource.setrlimit(kind, (0, 0))
        self._say(THERE, backend.credentials.user)
        while True:
            message, descriptors = await self._link.read_message(ANSWER_SIZE)
            if not message:
                close_all(descriptors)
                return
            for descriptor in descriptors:
                pipe = Connection(self._loop, descriptor)
                self._loop.spawn(Session(self._loop, pipe, backend, context).run(), "session")

    def _tls_settings(self) -> Settings:
        settings = self._config.backends or Settings({})
        return settings if self._known is None else tls_settings(settings)

    async def _find(self) -> Backend | None:
        if self._known is not None:
            return self._known
        userdb = Userdb(self._loop, self._config.dialect, self._config.userdb_path)
        try:
            fields = await userdb.ask_passdb(self._name)
            backend = None if fields is None else backend_of(self._name, fields)
        except (LookupFailed, BackendUnusable) as error:
            self._say(FAILED, str(error).encode("utf-8", "surrogateescape"))
            return None
        finally:
            userdb.close()
        if backend is None:
            self._say(HERE)
        return backend

    def _say(self, word: bytes, text: bytes = b"") -> None:
        self._link.send_now((word + text)[:ANSWER_SIZE])


class Session:
    """One session of the engine: a pipe to whoever asked, a connection to the backend."""

    def __init__(self, loop: Loop, pipe: Connection, backend: Backend, context: SSLContext | None) -> None:
        self._loop = loop
        self._pipe = pipe
        self._backend = backend
        self._context = context

    async def run(self) -> None:
        """Log in, then hand over the connection, or where it is encrypted carry bytes until one end is closed."""
        try:
            stream, first = await self._log_in()
            try:
                if isinstance(stream, Connection):
                    await self._pipe.send_descriptors(PREAUTH + first, [stream.fileno()])
                    await carry(self._pipe, stream)  # what was said before it came
                    return
                await self._pipe.write(PREAUTH + first)
                back = self._loop.spawn(carry(self._pipe, stream), "commands")
                await carry(stream, self._pipe)
                back.cancel(ConnectionLost("the backend has closed"))
            finally:
                stream.close()
        except Failure as failure:
            self._pipe.send_now(b"* BYE %s\r\n" % str(failure).encode("utf-8", "backslashreplace"))
        except ConnectionLost:
            return  # whoever asked has gone, and needs no session
        finally:
            self._pipe.close()

    async def _log_in(self) -> tuple[Connection | TlsConnection, bytes]:
        """A connection where the user is logged in, and what came behind that, in time. Raises Failure."""
        backend = self._backend
        until = self._loop.now() + backend.seconds
        where = f"{backend.name}:{backend.port}"
        connection = None
        try:
            connection = await connect_tcp(self._loop, backend.address, backend.port, backend.seconds)
            stream: Connection | TlsConnection = connection
            protocol = ImapLogin(backend.credentials, starttls=backend.encryption is Encryption.STARTTLS)
            if backend.encryption is Encryption.AT_ONCE:
                stream = await self._encrypted(connection, until)
            while True:
                event = protocol.next_event()
                await stream.write(protocol.data_to_send(), max(0.0, until - self._loop.now()))
                if isinstance(event, BeginTls):
                    stream = await self._encrypted(connection, until)
                    protocol.encrypted()
                elif event is not None:
                    return stream, protocol.surplus()
                else:
                    await hear(stream, protocol, max(0.0, until - self._loop.now()))
        except ProtocolError as error:
            problem = error.text
        except TimedOut:
            problem = f"no answer for {backend.seconds:g} seconds"
        except ConnectionLost as lost:
            problem = lost.text
        except OSError as error:
            problem = f"connect failed: {error.strerror}"
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        if connection is not None:
            connection.close()
        raise Failure(f"backend {where}: {problem}")

    async def _encrypted(self, connection: Connection, until: float) -> TlsConnection:
        assert self._context is not None  # noqa: S101 - made whenever the backend has an encryption
        stream = TlsConnection(connection, self._context, self._backend.name)
        await stream.handshake(max(0.0, until - self._loop.now()))
        return stream


class Failure(Exception):
    """There is no session; ``str()`` says why."""


async def hear(stream: Connection | TlsConnection, protocol: ImapLogin, seconds: float) -> None:
    """Give the protocol what comes next.  Raises TimedOut, ConnectionLost, ProtocolError."""
    data = await stream.read(seconds=seconds)
    if data:
        protocol.receive_data(data)
    else:
        protocol.receive_eof()


async def carry(source: Connection | TlsConnection, sink: Connection | TlsConnection) -> None:
    """Hand on bytes until either end is closed, which then closes the sink."""
    try:
        while data := await source.read(LARGE_READ):
            await sink.write(data)
    except (ConnectionLost, OSError):
        pass
    sink.close()


def tls_context(settings: Settings, backend: Backend) -> SSLContext:
    """What a certificate has to be worth: ``ssl_client_ca_file`` and ``_dir``, or the system's authorities.

    2.4 gives a file's content behind its name.  Raises OSError.
    """
    from ssl import CERT_NONE, create_default_context

    file, _, content = settings.get("ssl_client_ca_file").partition("\n")
    folder = settings.get("ssl_client_ca_dir")
    if content:
        context = create_default_context(cadata=content, capath=folder or None)
    else:
        context = create_default_context(cafile=file or None, capath=folder or None)
    if backend.any_certificate:
        context.check_hostname = False
        context.verify_mode = CERT_NONE
    return context


def live(link: socket, name: bytes, config: WorkerConfig, log: Log, known: Backend | None = None) -> int:
    """The forked process, from its first moment to its exit status: it keeps the link and stderr."""
    kept = link.fileno()
    os.closerange(3, kept)
    os.closerange(kept + 1, 65536)
    loop = Loop()
    loop.on_crash = lambda name, error: log.error(f"Unexpected {describe(error)}")
    loop.run(Dialer(loop, link, name, config, known).run())
    return 0
